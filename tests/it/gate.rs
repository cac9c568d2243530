//! The gate from outside: the real binary, its verdicts, and a world that is driven through what laptops go through.

mod buses;
mod crowd;
mod manners;
mod one_look;
mod refusals;
mod resume;
mod status;
mod traps;
