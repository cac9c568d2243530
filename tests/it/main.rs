//! The real binary and the real edges, from outside.

mod probe;
mod support;
