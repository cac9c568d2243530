//! How tokio waits for a descriptor that another crate owns; apart because this is the one place that has to vouch for it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Any owner of a descriptor, as tokio wants it.
#[derive(Debug)]
pub(crate) struct Fd<T>(pub(crate) T);

impl<T: AsFd> AsRawFd for Fd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Hands a descriptor to tokio's reactor, for reading. Needs a tokio runtime with I/O.
pub(crate) fn readable<T: AsFd>(owner: T) -> io::Result<AsyncFd<Fd<T>>> {
    registered(owner, Interest::READABLE)
}

/// The same, for writing.
pub(crate) fn writable<T: AsFd>(owner: T) -> io::Result<AsyncFd<Fd<T>>> {
    registered(owner, Interest::WRITABLE)
}

#[allow(
    deprecated,
    reason = "tokio's other way is unsafe, for owners whose descriptor may change; these keep theirs until they are dropped"
)]
fn registered<T: AsFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<Fd<T>>> {
    AsyncFd::with_interest(Fd(owner), interest)
}
