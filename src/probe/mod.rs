//! One probe of all targets, in a short-lived child of ourselves.
//!
//! The child does what leaks and blocks (name resolution, TLS, proxies), answers in one line of JSON
//! and ends; a deadline is a kill. So the gate itself stays small and single-threaded. `check`, which ends
//! with the answer anyway, has a thread for it.

pub mod child;
pub mod protocol;

mod body;
mod client_certificate;
mod connect;
mod distrust;
mod fault;
mod judge;
mod messages;
mod names;
mod p521;
mod prober;
mod proxy;
mod roots;
mod stream;
#[cfg(test)]
mod tests;
mod thread;
mod trust;
mod web;
mod wire;

pub use prober::{Finished, Prober};

/// The hidden subcommand that [`child::main`] is behind.
pub const SUBCOMMAND: &str = "__probe";
