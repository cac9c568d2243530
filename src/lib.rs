//! Lets an unattended upgrade start only when it can succeed, and sees it through.

pub mod clock;
pub mod commands;
pub mod config;
pub mod gate;
pub mod probe;
