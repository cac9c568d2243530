//! What is installed for systemd: the real systemd-analyze finds nothing wrong with it.

mod drop_in;
mod root;
mod shipped;
