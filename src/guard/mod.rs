//! The guard: after the switch.
//!
//! [`step`] decides, from what is on disk ([`state`]) and what the machine is like ([`facts`]); [`drive`] writes the
//! decision down ([`store`]) and then carries it out. A candidate is tried first and made the boot default last, so that
//! whatever ends the machine before the commit ends in the baseline without any code of ours.

pub mod drive;
pub mod facts;
mod health;
pub mod loader;
mod network;
pub mod nixos;
pub mod other;
pub mod plan;
pub mod program;
pub mod reach;
pub mod state;
pub mod step;
pub mod store;
mod systemd;
pub mod units;

#[cfg(test)]
mod tests;
