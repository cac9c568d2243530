//! The real binary and the real edges, from outside.

mod cli;
mod docs;
