//! What several tests need: a private bus, and fakes of the services on it.
//!
//! An example includes this folder by `#[path]`; the files say which crates they need.

pub mod bus;
pub mod fake;
pub mod fakes;
