//! The commands: what each one does with its arguments.

pub mod status;
