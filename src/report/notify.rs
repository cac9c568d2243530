//! What systemd is told: STATUS= at each change, and once how long the start may take.

use std::env;
use std::fmt;
use std::io;
use std::time::Duration;

use tracing::debug;

use super::output::NOTIFY;
use crate::gate::time::Monotonic;

/// Indefinitely: systemd ignores infinity here (`USEC_INFINITY`).
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// So that the gate gives up, with its own exit code, before systemd does.
const MARGIN: Duration = Duration::from_secs(60);

type Send = Box<dyn FnMut(&str) -> io::Result<()>>;

/// The way to the service manager; without `$NOTIFY_SOCKET` what is said goes nowhere.
pub struct Notify {
    send: Send,
    status: String,
    extended: bool,
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("status", &self.status)
            .field("extended", &self.extended)
            .finish_non_exhaustive()
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new(Box::new(send))
    }
}

impl Notify {
    fn new(send: Send) -> Self {
        Self {
            send,
            status: String::new(),
            extended: false,
        }
    }

    /// Says what is waited for, if it was not said just before. `text` is one line.
    pub fn status(&mut self, text: &str) {
        if self.status != text {
            text.clone_into(&mut self.status);
            self.tell(&format!("STATUS={text}"));
        }
    }

    /// Asks for time to wait this long, or indefinitely. Only the first call says anything: systemd measures the
    /// time from when it is told, so that a repetition would have to be repeated indefinitely.
    pub fn extend(&mut self, wait: Option<Duration>) {
        if !self.extended {
            self.extended = true;
            self.tell(&format!("EXTEND_TIMEOUT_USEC={}", extension_usec(wait)));
        }
    }

    /// The start, or the reload, is over.
    pub fn ready(&mut self) {
        self.tell("READY=1");
    }

    /// A reload begins, which [`Self::ready`] ends. With the time, `Type=notify-reload` knows which one it is.
    pub fn reloading(&mut self, now: Monotonic) {
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={}",
            now.0.as_micros()
        ));
    }

    /// The end has begun.
    pub fn stopping(&mut self) {
        self.tell("STOPPING=1");
    }

    fn tell(&mut self, assignment: &str) {
        if let Err(error) = (self.send)(assignment) {
            debug!("cannot send {assignment} to the service manager: {error}");
        }
    }
}

/// What systemd has not read yet and is outdated by this is not sent: of each variable only the last value counts.
fn send(assignment: &str) -> io::Result<()> {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    let variable = assignment.split_inclusive('=').next().unwrap_or_default();
    let outdated = |waiting: &[u8]| waiting.starts_with(variable.as_bytes());
    NOTIFY.say_instead(outdated, assignment)
}

fn extension_usec(wait: Option<Duration>) -> u128 {
    wait.map_or(A_YEAR, |wait| wait.saturating_add(MARGIN).min(A_YEAR))
        .as_micros()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn recorded() -> (Notify, Rc<RefCell<Vec<String>>>) {
        let said = Rc::new(RefCell::new(Vec::new()));
        let ear = Rc::clone(&said);
        let notify = Notify::new(Box::new(move |text| {
            ear.borrow_mut().push(text.to_owned());
            Ok(())
        }));
        (notify, said)
    }

    #[test]
    fn the_same_status_is_said_once() {
        let (mut notify, said) = recorded();
        notify.status("held: dns");
        notify.status("held: dns");
        notify.status("open");
        assert_eq!(*said.borrow(), ["STATUS=held: dns", "STATUS=open"]);
    }

    #[test]
    fn the_timeout_is_extended_once_and_never_again() {
        let (mut notify, said) = recorded();
        notify.extend(None);
        notify.extend(Some(Duration::from_secs(1)));
        assert_eq!(*said.borrow(), ["EXTEND_TIMEOUT_USEC=31536000000000"]);
    }

    #[test]
    fn an_extension_outlasts_the_wait_and_stays_finite() {
        assert_eq!(extension_usec(Some(Duration::from_secs(600))), 660_000_000);
        assert_eq!(extension_usec(Some(Duration::MAX)), A_YEAR.as_micros());
    }

    #[test]
    fn a_reload_is_told_with_its_time_in_one_datagram() {
        let (mut notify, said) = recorded();
        notify.reloading(Monotonic(Duration::from_millis(5)));
        notify.ready();
        assert_eq!(
            *said.borrow(),
            ["RELOADING=1\nMONOTONIC_USEC=5000", "READY=1"]
        );
    }

    #[test]
    fn a_refusal_is_no_obstacle() {
        let mut notify = Notify::new(Box::new(|_| Err(io::ErrorKind::NotFound.into())));
        notify.extend(None);
        notify.status("held");
        assert_eq!(notify.status, "held");
    }
}
