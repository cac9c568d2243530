//! The real binary and the real edges, from outside.
mod kernel;
mod purity;

mod run_child;

mod config;
mod span;

mod cli;
mod docs;
