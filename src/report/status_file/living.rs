//! The sign of a living gate: a write lock on its file, which nobody can set who can only read it.
//!
//! It is an open file description lock, fcntl(2), of the first byte; the kernel releases it when the gate ends, however it ends.

use std::fs::File;
use std::io;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Locks the file, which must be open for writing, for as long as it stays open.
pub(super) fn declare(file: &File) -> io::Result<()> {
    let lock = lock(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock))?;
    Ok(())
}

/// Whether a file is locked for writing by another that has opened it.
pub(super) fn is_declared(file: &File) -> io::Result<bool> {
    let mut lock = lock(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(lock.l_type != kind(libc::F_UNLCK))
}

fn lock(of: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind(of),
        l_whence: kind(libc::SEEK_SET),
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    }
}

/// The constants are small, and their types differ from that of the field.
#[allow(clippy::cast_possible_truncation, reason = "0 to 2")]
const fn kind(of: libc::c_int) -> libc::c_short {
    of as libc::c_short
}
