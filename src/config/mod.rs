//! Configuration: TOML as written → validated [`profile::Profile`]; strict.

pub mod auto;
pub mod profile;
pub mod target;
