//! What is written for people and read from them: spans, URLs, command lines.

pub mod command_line;
pub mod line;
pub mod secret;
pub mod shell;
pub(crate) mod similar;
pub mod span;
