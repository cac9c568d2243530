//! What systemd makes of a unit's restart settings, and how they are better written.
//!
//! The arithmetic, the rules and the drop-ins are pure: a [`unit::Unit`] and systemd's [`version::Version`] go in. Who reads
//! units is apart, so that what is said of a unit can be shown by a table.

pub mod delay;
pub mod drop_in;
pub mod environment;
pub mod exec_line;
pub mod gated;
pub mod lint;
pub mod outage;
pub mod read;
pub mod restart;
pub mod simulate;
pub mod start_limit;
pub mod surroundings;
pub mod timeline;
pub mod unit;
pub mod version;

#[cfg(test)]
mod tests;
