//! What the tests of several files here share.

pub(super) mod black_hole;
