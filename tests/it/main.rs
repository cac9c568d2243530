//! The real binary and the real edges, from outside.

mod bus;
mod support;
