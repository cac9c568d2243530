//! The world, turned into the gate's events.

pub mod bus;
mod logind;
mod network_manager;
mod networkd;
mod power;
mod upower;
