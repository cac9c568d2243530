//! Lets an unattended upgrade start only when it can succeed, and sees it through.

pub mod bus;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod exit;
pub mod gate;
pub mod guard;
pub mod probe;
pub mod report;
pub mod run;
pub mod sources;
pub mod sys;
pub mod systemd;
pub mod targets;
pub mod text;
pub mod watch;
