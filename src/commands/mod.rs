//! The commands: what each one does with its arguments.

pub mod status;
//! What each command does, once its arguments are parsed.

pub mod config;
