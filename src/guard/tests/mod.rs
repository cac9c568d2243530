mod loss;
mod play;
mod search;
mod table;
mod timers;
mod world;
