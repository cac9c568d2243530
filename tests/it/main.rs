//! The real binary and the real edges, from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::wildcard_imports,
    reason = "clippy.toml allows them in tests, but not in what tests share"
)]

mod probe;
mod support;
