//! Lets an unattended upgrade start only when it can succeed, and sees it through.

pub mod cli;
pub mod clock;
pub mod commandline;
pub mod commands;
pub mod config;
pub mod dbus;
pub mod dirs;
pub mod engine;
pub mod exit;
mod fd;
mod files;
pub mod gate;
pub mod guard;
mod limits;
mod ourselves;
pub mod probe;
pub mod report;
pub mod restart;
pub mod run;
pub mod secret;
pub mod sources;
pub mod text;
pub mod watch;
