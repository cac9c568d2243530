//! `upgrade-gate watch`: keeps `upgrade-gate-online.target` truthful, and starts again what failed for want of the network.
//!
//! What is to be done is decided in [`course`], [`target`], [`outages`] and [`rearm`], which are pure; [`link`] is the way
//! to systemd and logind, and [`watcher`] joins all with the gate.

pub mod course;
pub mod link;
pub mod outages;
pub mod rearm;
pub mod target;
pub mod watcher;
