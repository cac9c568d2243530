//! The real binary and the real edges, from outside.
mod purity;
mod kernel;

mod run_child;

mod config;
mod span;
