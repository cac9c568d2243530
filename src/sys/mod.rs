//! The only readers of clocks, folders, descriptors and limits.

pub mod clock;
pub mod dirs;
pub(crate) mod fd;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod ourselves;
pub(crate) mod watches;
