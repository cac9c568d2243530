//! The wrapped command: its attempts, its signals, its lock, and what counts as interrupted.
//!
//! [`runner`] joins the parts with the gate. Only [`command`], [`child`], [`die`], [`signals`], [`lock`],
//! [`stamp`] and [`changed`] touch the system, each in one thin place.

pub mod changed;
pub mod child;
pub mod command;
pub mod die;
mod directories;
pub mod holder;
pub mod inhibit;
pub mod judge;
pub mod lock;
pub mod pre;
pub mod runner;
pub mod signals;
pub mod stamp;
