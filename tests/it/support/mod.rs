//! Small real servers on loopback, scripted by a closure; each ends when it is dropped.

pub mod http;
pub mod proxy;
pub mod tls;
