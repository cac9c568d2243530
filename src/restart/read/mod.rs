//! Units as systemd has them, from files below a root directory.

mod chroot;
pub mod files;
mod search;
mod settings;
mod unit_text;
mod values;
