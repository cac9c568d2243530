//! The gate: may this upgrade run now? Pure: events and a time in, actions out.
//!
//! Nothing here reads a clock, a bus or a file, so every rule can be shown by a table of events.

pub mod event;
pub mod policy;
pub mod reason;
pub mod time;
pub mod verdict;
