//! Standard output and error: pipes, sockets, terminals and files, whose descriptions belong to others as well.
//!
//! `O_NONBLOCK` is a flag of the open file description: setting it would set it for the shell, and for the command of `run`.
//! So a pipe or a terminal is opened once more, for a description of our own, and a socket is sent to without waiting.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::fstat;
use nix::unistd::{isatty, write};

use super::Sink;

/// POSIX: a pipe that polls writable takes as much at once.
const PIPE_BUF: usize = 4096;

pub(super) struct Stream<F> {
    shared: F,
    way: Way,
}

enum Way {
    /// A description of our own, which does not block.
    Own(File),
    /// A socket.
    Send,
    /// A pipe or terminal that may not be opened again: another user's, or there is no /proc. Asked before each write; who
    /// else writes to it may still take the room in between.
    Ask,
    /// A file, which has no reader to wait for.
    Plain,
}

impl<F: AsFd> Stream<F> {
    pub(super) fn of(shared: F) -> Self {
        let way = way(shared.as_fd());
        Self { shared, way }
    }
}

impl<F: AsFd + Send> Sink for Stream<F> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shared = self.shared.as_fd();
        match &mut self.way {
            Way::Own(file) => file.write(bytes),
            Way::Send => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(shared.as_raw_fd(), bytes, flags)?)
            }
            Way::Ask if !has_room(shared)? => Err(io::ErrorKind::WouldBlock.into()),
            Way::Ask => Ok(write(shared, &bytes[..bytes.len().min(PIPE_BUF)])?),
            Way::Plain => Ok(write(shared, bytes)?),
        }
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        match &self.way {
            Way::Own(file) => file.as_fd().try_clone_to_owned(),
            _ => self.shared.as_fd().try_clone_to_owned(),
        }
    }
}

fn way(shared: BorrowedFd<'_>) -> Way {
    let mode = fstat(shared).map_or(0, |stat| stat.st_mode & libc::S_IFMT);
    let waits = mode == libc::S_IFIFO || isatty(shared).unwrap_or(false);
    match mode {
        libc::S_IFSOCK => Way::Send,
        _ if waits => reopened(shared).map_or(Way::Ask, Way::Own),
        _ => Way::Plain,
    }
}

fn reopened(shared: BorrowedFd<'_>) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", shared.as_raw_fd()))
}

fn has_room(shared: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut polled = [PollFd::new(shared, PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).map(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read, pipe};
    use std::os::unix::net::UnixStream;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    /// Fills it; how many bytes it took.
    fn fill(stream: &mut impl Sink) -> usize {
        let mut taken = 0;
        loop {
            match stream.send(&[b'x'; 100]) {
                Ok(sent) => taken += sent,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return taken;
                }
            }
        }
    }

    fn is_blocking(description: impl AsFd) -> bool {
        let flags = fcntl(description, FcntlArg::F_GETFL).unwrap();
        !OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
    }

    fn full() -> (PipeReader, Stream<PipeWriter>, usize) {
        let (reader, writer) = pipe().unwrap();
        let mut stream = Stream::of(writer);
        let taken = fill(&mut stream);
        (reader, stream, taken)
    }

    #[test]
    fn a_full_pipe_never_blocks_and_its_other_writers_still_do() {
        let (mut reader, mut stream, taken) = full();
        assert!(matches!(stream.way, Way::Own(_)));
        assert!(is_blocking(&stream.shared));
        reader.read_exact(&mut vec![0; taken]).unwrap();
        assert_eq!(stream.send(b"again").unwrap(), 5);
    }

    #[test]
    fn a_pipe_that_cannot_be_opened_again_is_asked_before_each_write() {
        let (_reader, writer) = pipe().unwrap();
        let mut stream = Stream {
            shared: writer,
            way: Way::Ask,
        };
        assert!(fill(&mut stream) > 0);
        assert!(is_blocking(&stream.shared));
    }

    #[test]
    fn a_pipe_nobody_holds_the_other_end_of_is_an_error() {
        for way in [Way::Ask, Way::Plain] {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            let mut stream = Stream {
                shared: writer,
                way,
            };
            let error = stream.send(b"x").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
    }

    #[test]
    fn a_full_socket_never_blocks_and_its_other_writers_still_do() {
        let (_reader, writer) = UnixStream::pair().unwrap();
        let mut stream = Stream::of(writer);
        assert!(fill(&mut stream) > 0);
        assert!(is_blocking(&stream.shared));
    }

    #[test]
    fn a_file_is_written_to_where_its_other_writers_are() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"theirs ").unwrap();
        let mut stream = Stream::of(file.try_clone().unwrap());
        stream.send(b"ours ").unwrap();
        file.write_all(b"theirs").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "theirs ours theirs");
    }
}
