//! Lets an unattended upgrade start only when it can succeed, and sees it through.

pub mod clock;
pub mod config;
pub mod dbus;
pub mod gate;
pub mod probe;
pub mod sources;
