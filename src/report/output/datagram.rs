//! Sockets of datagrams that the system's services read: the journal's, and the service manager's.

use std::env;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::Sink;

const JOURNAL: &str = "/run/systemd/journal/socket";

/// A socket that is connected, so that the kernel tells when the reader has made room.
pub(super) struct Datagram {
    address: SocketAddr,
    socket: UnixDatagram,
}

impl Datagram {
    pub(super) fn journal() -> io::Result<Self> {
        Self::to(SocketAddr::from_pathname(JOURNAL)?)
    }

    /// `$NOTIFY_SOCKET`: a path, or with `@` an abstract name (`sd_notify(3)`).
    pub(super) fn notify() -> io::Result<Self> {
        let name = env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        Self::to(match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        })
    }

    pub(super) fn to(address: SocketAddr) -> io::Result<Self> {
        let socket = connected(&address)?;
        Ok(Self { address, socket })
    }
}

impl Sink for Datagram {
    fn send(&mut self, datagram: &[u8]) -> io::Result<usize> {
        match self.socket.send(datagram) {
            Err(error) if is_gone(&error) => {
                self.socket = connected(&self.address)?;
                self.socket.send(datagram)
            }
            result => result,
        }
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }
}

fn connected(address: &SocketAddr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(address)?;
    Ok(socket)
}

/// The reader has closed its socket; there may be another one by the same name.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | NotConnected
    )
}
