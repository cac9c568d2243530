//! What several tests need: real servers on loopback scripted by a closure, a private bus, and fakes of the services on it.
//!
//! An example includes this folder by `#[path]`; the files say which crates they need. Each ends when it is dropped.

#![allow(dead_code, reason = "whoever includes this uses a part of it")]

pub mod bus;
pub mod fake;
pub mod fakes;
pub mod http;
pub mod proxy;
pub mod systemd;
pub mod tls;
