//! Where the gate learns of the world: each source turns what it hears into events.

pub mod clock_step;
mod fd;
pub mod kernel;
mod netlink;
pub mod power_supply;
mod resolv_conf;
pub mod suspend_count;
pub mod uevent;
//! The world, turned into the gate's events.

pub mod bus;
mod logind;
mod network_manager;
mod networkd;
mod power;
mod upower;
