//! What systemd makes of a unit's restart settings, and how they are better written.
//!
//! The arithmetic, the rules and the drop-ins are pure: a [`unit::Unit`] and systemd's [`version::Version`] go in. Who reads
//! units is apart, so that what is said of a unit can be shown by a table.

pub mod unit;
pub mod version;
