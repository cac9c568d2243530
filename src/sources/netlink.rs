//! A netlink socket that tokio can wait for; apart because routes and uevents both need one.

use std::io::{Error, ErrorKind, Result};

use netlink_sys::{Socket, SocketAddr};
use tokio::io::unix::AsyncFd;

use crate::sys::fd::{Fd, readable};

/// The most the kernel puts into one datagram of a dump, when the reader has room for it (netlink(7)).
const DATAGRAM: usize = 32 * 1024;

/// How a socket is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// `netlink_sys::protocols::…`.
    pub(super) protocol: isize,
    /// The multicast groups to hear, as a mask; bits the kernel does not know are ignored by it.
    pub(super) groups: u32,
    /// `SO_RCVBUF`, in bytes; the system's default if none.
    pub(super) receive_buffer: Option<u32>,
}

/// An open netlink socket and the datagram last read from it.
#[derive(Debug)]
pub(super) struct Port {
    socket: AsyncFd<Fd<Socket>>,
    datagram: Vec<u8>,
}

impl Port {
    /// Opens a socket and joins its groups. Needs a tokio runtime with I/O.
    pub(super) fn open(opening: &Opening) -> Result<Self> {
        let mut socket = Socket::new(opening.protocol)?;
        socket.set_non_blocking(true)?;
        if let Some(size) = opening.receive_buffer {
            socket.set_rx_buf_sz(size)?;
        }
        socket.bind(&SocketAddr::new(0, opening.groups))?;
        Ok(Self {
            socket: readable(socket)?,
            datagram: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Lets rtnetlink refuse requests that it would otherwise misread in silence (Linux 4.20).
    pub(super) fn check_strictly(&self) {
        // An older kernel does not know the option; the requests are the same.
        let _ = self.socket.get_ref().0.set_netlink_get_strict_chk(true);
    }

    /// Sends to the kernel, which takes a request at once or refuses it.
    pub(super) fn send(&self, request: &[u8]) -> Result<()> {
        let kernel = SocketAddr::new(0, 0);
        let sent = self.socket.get_ref().0.send_to(request, &kernel, 0)?;
        if sent < request.len() {
            return Err(Error::from(ErrorKind::WriteZero));
        }
        Ok(())
    }

    /// Waits for the next datagram of the kernel; cancel-safe.
    ///
    /// `ENOBUFS` says that messages were lost (netlink(7)).
    pub(super) async fn receive(&mut self) -> Result<&[u8]> {
        // The answer to a request is usually there by now.
        while !self.try_receive()? {
            self.socket.readable().await?.clear_ready();
        }
        Ok(&self.datagram)
    }

    /// Reads the next datagram of the kernel, if there is one.
    pub(super) fn try_receive(&mut self) -> Result<bool> {
        loop {
            self.datagram.clear();
            let socket = &self.socket.get_ref().0;
            match socket.recv_from(&mut self.datagram, 0) {
                Ok((_, sender)) if sender.port_number() == 0 => return Ok(true),
                // Another process: not the kernel's word.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What was read last.
    pub(super) fn datagram(&self) -> &[u8] {
        &self.datagram
    }
}
