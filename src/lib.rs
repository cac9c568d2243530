//! Lets an unattended upgrade start only when it can succeed, and sees it through.

pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod dbus;
pub mod dirs;
pub mod engine;
pub mod exit;
mod fd;
pub mod gate;
pub mod guard;
pub mod probe;
pub mod report;
pub mod restart;
pub mod run;
pub mod sources;
pub mod watch;
