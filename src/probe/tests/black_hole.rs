//! For tests: an address at which the kernel drops every SYN, as a dead host does.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};

/// A listener whose backlog is full and stays so.
pub(in crate::probe) struct BlackHole {
    pub(in crate::probe) address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one on an address, port 0 for any.
    pub(in crate::probe) fn new(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(100);
        let queue = || TcpStream::connect_timeout(&address, patience).ok();
        Self {
            address,
            _queued: std::iter::from_fn(queue).collect(),
            _listener: listener,
        }
    }
}
