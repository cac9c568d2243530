//! The real binary and the real edges, from outside.
mod kernel;
mod purity;

mod run_child;

mod config;
mod span;

mod cli;
mod docs;

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "clippy.toml allows them in tests, but not in what tests share"
)]

mod probe;
mod support;
