//! `upgrade-gate watch`: keeps `upgrade-gate-online.target` in sync, and starts again what failed while offline.
//!
//! What is to be done is decided in [`tracker`], [`target`], [`outages`] and [`rearm`], which are pure; [`link`] is the way
//! to systemd and logind, [`memory`] outlives a watch, and [`watcher`] joins all with the gate.

pub mod link;
pub mod memory;
pub mod outages;
pub mod rearm;
pub mod target;
pub mod tracker;
pub mod watcher;
