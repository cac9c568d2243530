//! Configuration: TOML as written → validated [`profile::Profile`]; strict.

pub mod profile;
pub mod span;
pub mod target;
