//! What several tests need: a private bus, and fakes of the services on it.

pub mod bus;
pub mod fakes;
