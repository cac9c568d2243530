//! A hint for steps of the wall clock; on resume the kernel gives it too (`timerfd_create(2)`).

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::gate::event::{Event, Hint};
use crate::sys::fd::{Fd, readable};
use crate::sys::limits;

/// The year 2514, as seconds since 1970: late enough never to come.
const NEVER: Duration = Duration::from_secs(4 * (u32::MAX as u64));

/// Sends [`Event::Hint`] of [`Hint::ClockStep`] at each step, until nobody listens to `events`.
pub async fn watch(events: mpsc::Sender<Event>) {
    match ClockStep::armed(NEVER) {
        Ok(step) => follow(step, &events).await,
        Err(error) => {
            tracing::warn!(
                "cannot watch the wall clock for steps ({}); clock changes are detected later",
                limits::refusal(&error)
            );
            events.closed().await;
        }
    }
}

async fn follow(mut step: ClockStep, events: &mpsc::Sender<Event>) {
    loop {
        tokio::select! {
            rung = step.rung() => rung,
            () = events.closed() => return,
        }
        if events.send(Event::Hint(Hint::ClockStep)).await.is_err() {
            return;
        }
    }
}

/// A timer of the wall clock that is cancelled when the clock is set.
#[derive(Debug)]
struct ClockStep(AsyncFd<Fd<TimerFd>>);

impl ClockStep {
    // `at` is since 1970. Needs a tokio runtime with I/O.
    fn armed(at: Duration) -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        arm(&timer, at)?;
        Ok(Self(readable(timer)?))
    }

    /// Waits for the next step; cancel-safe.
    async fn rung(&mut self) {
        loop {
            let Ok(mut readable) = self.0.readable().await else {
                return std::future::pending().await;
            };
            // Once it is cancelled or has run out, it must be armed again, and before anyone looks.
            match self.0.get_ref().0.wait() {
                Err(Errno::EAGAIN) => readable.clear_ready(),
                Err(_) => return std::future::pending().await,
                Ok(()) => return self.rearm().await,
            }
        }
    }

    async fn rearm(&self) {
        if let Err(error) = arm(&self.0.get_ref().0, NEVER) {
            tracing::warn!("cannot watch the wall clock for steps any more ({error})");
            std::future::pending::<()>().await;
        }
    }
}

fn arm(timer: &TimerFd, at: Duration) -> nix::Result<()> {
    let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
    timer.set(Expiration::OneShot(TimeSpec::from_duration(at)), flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_that_rang_rings_no_more_until_the_next_step() {
        let mut step = ClockStep::armed(Duration::from_secs(1)).unwrap();
        step.rung().await;
        let armed = step.0.get_ref().0.get().unwrap();
        assert!(matches!(armed, Some(Expiration::OneShot(_))), "{armed:?}");
        assert_eq!(
            nix::sys::timerfd::TimerFd::wait(&step.0.get_ref().0),
            Err(Errno::EAGAIN)
        );
    }

    #[tokio::test]
    async fn the_watch_ends_when_nobody_listens() {
        let (events, listener) = mpsc::channel(1);
        drop(listener);
        watch(events).await;
    }

    #[tokio::test]
    async fn a_step_is_a_bell() {
        let (events, mut listener) = mpsc::channel(1);
        let step = ClockStep::armed(Duration::from_secs(1)).unwrap();
        let heard = tokio::select! {
            () = follow(step, &events) => None,
            heard = listener.recv() => heard,
        };
        assert_eq!(heard, Some(Event::Hint(Hint::ClockStep)));
    }
}
