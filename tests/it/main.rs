//! The real binary and the real edges, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "tests panic, and share their support with examples"
)]

mod bus;
mod support;
