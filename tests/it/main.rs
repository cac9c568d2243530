//! The real binary and the real edges, from outside.

mod config;
mod span;
