//! What is said to a socket or a pipe that someone else reads, or does not read: none of it ever waits for the reader.
//!
//! A write is tried at once. What the reader does not take waits in a bounded `Queue`, from which the oldest is dropped and
//! counted; a task sends the rest as soon as there is room. At the end of the process [`flush`] gives the readers a last moment.

mod datagram;
mod queue;
mod stream;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::runtime::Handle;

use self::datagram::Datagram;
use self::queue::Queue;
use self::stream::Stream;
use crate::sys::clock;
use crate::sys::fd;

/// Standard output, for the commands that wait for a gate.
pub static STDOUT: Output = Output::new(|| Ok(Box::new(Stream::of(io::stdout()))), plain_notice);
/// Standard error.
pub static STDERR: Output = Output::new(|| Ok(Box::new(Stream::of(io::stderr()))), plain_notice);
/// journald's own socket; whoever uses it sets the notice.
pub static JOURNAL: Output = Output::new(|| Ok(Box::new(Datagram::journal()?)), |_| Vec::new());
/// The service manager's socket; an error without one. The few assignments that wait for it fit.
pub static NOTIFY: Output = Output::new(|| Ok(Box::new(Datagram::notify()?)), |_| Vec::new());

/// How long a reader may read nothing before the process ends without it.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(300);
/// How long the end of the process takes at most, if readers read slowly.
const LONGEST: Duration = Duration::from_secs(1);

/// The line that says how many were dropped.
type Notice = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// Where bytes go.
trait Sink: Send {
    /// Sends what is taken at once, and says how much; [`io::ErrorKind::WouldBlock`] if nothing is.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// A descriptor that becomes writable when there is room again.
    fn descriptor(&self) -> io::Result<OwnedFd>;
}

/// One output of the process.
pub struct Output {
    state: Mutex<OutputState>,
    open: fn() -> io::Result<Box<dyn Sink>>,
    notice: fn(u64) -> Vec<u8>,
}

struct OutputState {
    sink: Option<Box<dyn Sink>>,
    queue: Queue,
    notice: Option<Notice>,
    /// A task waits for the reader.
    awaited: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

impl Output {
    const fn new(open: fn() -> io::Result<Box<dyn Sink>>, notice: fn(u64) -> Vec<u8>) -> Self {
        let state = OutputState {
            sink: None,
            queue: Queue::new(),
            notice: None,
            awaited: false,
        };
        Self {
            state: Mutex::new(state),
            open,
            notice,
        }
    }

    /// Opens it, if it is not open yet. An error means that there is nobody to say anything to.
    pub fn open(&self) -> io::Result<()> {
        self.opened(&mut self.lock()).map(drop)
    }

    /// Sets what is said in place of lines that were dropped.
    pub fn set_notice(&self, notice: impl Fn(u64) -> Vec<u8> + Send + 'static) {
        self.lock().notice = Some(Box::new(notice));
    }

    /// Says something whole: a line, a datagram. Ok if it is sent, or waits for the reader.
    pub fn say(&'static self, item: impl Into<Vec<u8>>) -> io::Result<()> {
        self.say_in(&mut self.lock(), item.into())
    }

    /// Says something in place of what waits and is outdated by it.
    pub fn say_instead(
        &'static self,
        outdated: impl Fn(&[u8]) -> bool,
        item: impl Into<Vec<u8>>,
    ) -> io::Result<()> {
        let mut state = self.lock();
        state.queue.remove(outdated);
        self.say_in(&mut state, item.into())
    }

    /// Says something that is worth nothing later.
    pub fn say_now_or_never(&'static self, item: impl Into<Vec<u8>>) {
        let mut state = self.lock();
        if state.queue.is_empty() {
            // A reader who went away misses nothing.
            let _ = self.say_in(&mut state, item.into());
        }
    }

    fn say_in(&'static self, state: &mut OutputState, item: Vec<u8>) -> io::Result<()> {
        self.opened(state)?;
        state.queue.push(item);
        let sent = self.send(state);
        self.await_reader(state);
        sent
    }

    fn opened<'a>(&self, state: &'a mut OutputState) -> io::Result<&'a mut Box<dyn Sink>> {
        match &mut state.sink {
            Some(sink) => Ok(sink),
            none => Ok(none.insert((self.open)()?)),
        }
    }

    /// Sends until nothing waits, or nothing is taken. What cannot be sent at all is dropped, and the last error returned.
    fn send(&self, state: &mut OutputState) -> io::Result<()> {
        let mut result = Ok(());
        let Some(sink) = &mut state.sink else {
            return result;
        };
        let own = state.notice.as_deref();
        let notice = |lost| own.map_or_else(|| (self.notice)(lost), |own| own(lost));
        while let Some(next) = state.queue.next(notice) {
            match sink.send(next) {
                Ok(0) => break,
                Ok(sent) => state.queue.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    state.queue.discard();
                    result = Err(error);
                }
            }
        }
        result
    }

    /// Has a task send what waits. Outside of a runtime it waits for [`flush`], or for what is said next.
    fn await_reader(&'static self, state: &mut OutputState) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if let Some(descriptor) = state.blocked().filter(|_| !state.awaited) {
            state.awaited = true;
            runtime.spawn(self.send_when_read(descriptor));
        }
    }

    async fn send_when_read(&'static self, descriptor: OwnedFd) {
        if let Ok(reader) = fd::writable(descriptor) {
            while let Ok(mut room) = reader.writable().await {
                if self.sends_all() {
                    return;
                }
                room.clear_ready();
            }
        }
        self.lock().awaited = false;
    }

    /// Whether nothing waits any longer. Under one lock, so that what is said next has a task again.
    fn sends_all(&self) -> bool {
        let mut state = self.lock();
        // A reader who went away misses nothing.
        let _ = self.send(&mut state);
        state.awaited = !state.queue.is_empty();
        !state.awaited
    }

    fn lock(&self) -> MutexGuard<'_, OutputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputState {
    /// What to wait on, if something waits.
    fn blocked(&self) -> Option<OwnedFd> {
        let sink = self.sink.as_ref().filter(|_| !self.queue.is_empty())?;
        sink.descriptor().ok()
    }
}

/// Gives the readers a last moment, as the process is about to end: a slow one more than one that does not read.
pub fn flush() {
    flush_all(&[&NOTIFY, &JOURNAL, &STDERR, &STDOUT]);
}

fn flush_all(outputs: &[&Output]) {
    let end = clock::now().monotonic.after(LONGEST);
    loop {
        for output in outputs {
            output.sends_all();
        }
        let blocked = outputs.iter().filter_map(|output| output.lock().blocked());
        let blocked: Vec<_> = blocked.collect();
        let left = end.since(clock::now().monotonic).min(FLUSH_TIMEOUT);
        if blocked.is_empty() || left.is_zero() || !becomes_writable(&blocked, left) {
            return;
        }
    }
}

fn becomes_writable(descriptors: &[OwnedFd], patience: Duration) -> bool {
    let of = |descriptor| PollFd::new(AsFd::as_fd(descriptor), PollFlags::POLLOUT);
    let mut polled: Vec<_> = descriptors.iter().map(of).collect();
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
    poll(&mut polled, timeout).is_ok_and(|ready| ready > 0)
}

fn plain_notice(lost: u64) -> Vec<u8> {
    format!("upgrade-gate: warning: {}\n", lost_lines(lost)).into_bytes()
}

/// `3 lines were lost: nothing was read for too long`.
pub(super) fn lost_lines(lost: u64) -> String {
    let lines = if lost == 1 { "line was" } else { "lines were" };
    format!("{lost} {lines} lost: nothing was read for too long")
}

#[cfg(test)]
mod tests;
