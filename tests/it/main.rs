//! The real binary and the real edges, from outside.
mod kernel;
mod namespace;
