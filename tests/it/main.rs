//! The real binary and the real edges, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::wildcard_imports,
    clippy::missing_panics_doc,
    missing_docs,
    unreachable_pub,
    reason = "clippy.toml allows them in tests, but not in what tests share with each other and with examples"
)]

mod apt;
mod bus;
mod cli;
mod config;
mod datagrams;
mod docs;
mod faults;
mod gate;
mod guard;
mod harness;
mod kernel;
mod limits;
mod lint;
mod namespace;
mod network_manager;
mod probe;
mod purity;
mod readme;
mod restart;
mod run;
mod run_child;
mod span;
mod stay;
mod support;
mod units;
mod unread;
mod watch;
mod words;
mod written;
