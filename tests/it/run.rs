//! `run` from outside: the real binary, real commands, and a world that changes under them.

mod ending;
mod interrupted;
mod locks;
mod pre;
mod seldom;
