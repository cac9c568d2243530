//! Small real servers on loopback, scripted by a closure; each ends when it is dropped.

pub(crate) mod http;
pub(crate) mod proxy;
pub(crate) mod tls;
