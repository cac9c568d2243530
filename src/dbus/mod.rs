//! D-Bus interfaces as they are called: one trait each, cut down to the members used.

pub mod login1;
pub mod systemd1;
