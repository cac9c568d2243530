//! What people and programs are told: the sentence, the JSON, the journal's fields, STATUS=, the status file.

pub mod change;
pub mod journal;
pub mod json;
pub mod live;
pub mod notify;
pub mod output;
pub mod sentence;
pub mod status_file;

mod json_lines;
mod log;

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tracing::{debug, warn};

use self::change::{Listeners, LogLine, Telling, VerdictChange};
use self::journal::Log;
use self::json::{JsonEvent, usec};
use self::live::Live;
use self::notify::Notify;
use self::output::STDOUT;
use self::sentence::{lasting, sentence};
use self::status_file::{GateStatus, StatusFile};
use crate::exit::Exit;
use crate::gate::time::{Monotonic, Now};
use crate::gate::verdict::Verdict;
use crate::sys::clock;
use crate::sys::limits;
use crate::text::line;

/// The command a gate belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// `wait-online`.
    WaitOnline,
    /// `check`: its verdict is an answer, on standard output.
    Check,
    /// `run`: standard output is the command's.
    Run,
    /// `watch`: it is up before its gate opens.
    Watch,
}

impl CommandKind {
    /// The command as it is typed.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WaitOnline => "wait-online",
            Self::Check => "check",
            Self::Run => "run",
            Self::Watch => "watch",
        }
    }
}

/// Who reports, and to whom.
#[derive(Clone, Debug)]
pub struct ReporterSetup {
    /// The command.
    pub kind: CommandKind,
    /// The profile's name.
    pub profile: String,
    /// The targets, as they are written, once `auto` is resolved.
    pub targets: Vec<String>,
    /// How long is waited at most, in awake time; `None` for no limit.
    pub timeout: Option<Duration>,
    /// `--json`.
    pub json: bool,
    /// `--quiet`.
    pub quiet: bool,
    /// Where log lines go: what [`journal::start`] said.
    pub log: Log,
    /// When the gate began.
    pub started: Now,
    /// Where the status files are; none if there is no place for them.
    pub gates_dir: Option<PathBuf>,
}

/// How an attempt is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The command succeeded.
    Succeeded,
    /// It ended with a verdict of its own, or has done its work.
    Final,
    /// It failed by itself.
    Failed,
    /// A suspend or the network interrupted it.
    Interrupted,
}

impl Judged {
    /// The label in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Final => "final",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How it is judged.
    pub judged: Judged,
    /// The command's exit code, if it exited.
    pub exit_status: Option<i32>,
    /// The signal that killed it, if one did.
    pub signal: Option<i32>,
    /// How long it ran, in awake time.
    pub took: Duration,
    /// Why it is judged so: `the machine slept for 8h`. Lower case, no full stop.
    pub why: String,
}

/// The end of a wait or a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// All waiting, in awake time.
    pub waited: Duration,
    /// How often the command was run.
    pub attempts: u32,
    /// What is exited with.
    pub exit: Exit,
    /// Why it ends so. Lower case, no full stop.
    pub why: String,
}

/// Tells everyone who is to know of one gate. Dropping it takes the live line and the status file away.
#[derive(Debug)]
pub struct Reporter {
    setup: ReporterSetup,
    verdict: Option<Verdict>,
    waiting_since: Monotonic,
    live: Live,
    notify: Notify,
    file: Option<StatusFile>,
    gate: GateStatus,
}

impl Reporter {
    /// Begins to report. With a wait ahead, systemd is asked for as much time.
    pub fn new(setup: ReporterSetup) -> Self {
        let mut notify = Notify::default();
        if matches!(setup.kind, CommandKind::WaitOnline | CommandKind::Run) {
            notify.extend(setup.timeout);
        }
        if setup.json {
            json_lines::count_lost(&setup);
        }
        let possible = !setup.quiet && !setup.json && setup.kind != CommandKind::Check;
        Self {
            verdict: None,
            waiting_since: setup.started.monotonic,
            live: Live::new(possible && live::is_possible()),
            notify,
            file: file(&setup),
            gate: gate(&setup),
            setup,
        }
    }

    /// Tells a verdict, as far as it is new. Of `check`'s verdict only STATUS= tells: its place is [`Self::answer`].
    pub fn verdict(&mut self, verdict: &Verdict, now: Now) {
        if self.setup.kind == CommandKind::Check {
            return self.notify.status(&lasting(verdict));
        }
        let change = change::change(self.verdict.as_ref(), verdict);
        let telling = change::telling(change, verdict, self.listeners());
        let looked_at = self.verdict.as_ref().map(look_again) != Some(look_again(verdict));
        self.verdict = Some(verdict.clone());
        // The status file first: whoever hears of the change finds it there.
        if change > VerdictChange::Times || looked_at {
            self.note(change, verdict);
        }
        self.log(telling, verdict, now);
        if telling.json {
            self.json(JsonEvent::verdict(verdict, self.waited(now), now.monotonic));
        }
        if telling.live {
            self.redraw(now);
        }
    }

    /// A new wait begins: it is counted and reported from the start.
    pub fn waits_anew(&mut self, now: Now) {
        self.verdict = None;
        self.waiting_since = now.monotonic;
    }

    /// Tells systemd that the start, or the reload, is over.
    pub fn ready(&mut self) {
        self.notify.ready();
    }

    /// Tells systemd that a reload begins; [`Self::ready`] ends it.
    pub fn reloading(&mut self, now: Now) {
        self.notify.reloading(now.monotonic);
    }

    /// Tells systemd that the end has begun.
    pub fn stopping(&mut self) {
        self.notify.stopping();
    }

    /// Waits until the live line is to be drawn again: indefinitely where there is none. Whoever waits for the
    /// gate awaits this too.
    pub async fn ticked(&self) {
        match self.live.tick() {
            Some(span) => tokio::time::sleep(span).await,
            None => pending().await,
        }
    }

    /// Draws the live line as it reads now.
    pub fn redraw(&mut self, now: Now) {
        if !matches!(self.verdict, Some(Verdict::Open(_))) {
            let text = sentence::live(self.verdict.as_ref(), self.waited(now), now.monotonic);
            self.live.show(&text);
        }
    }

    /// Tells that the command is started; the live line makes room for its output.
    pub fn attempt_started(&mut self, attempt: u32) {
        self.live.clear();
        self.json(JsonEvent::AttemptStarted { attempt });
        self.running(attempt, true);
        self.notify.status(&format!("running: attempt {attempt}"));
    }

    /// Tells how the command ended. What is waited for now is a new wait, and reported as one.
    pub fn attempt_ended(&mut self, end: &AttemptEnd, now: Now) {
        self.waits_anew(now);
        if !self.json_replaces_lines() {
            log::attempt_ended(&self.setup, end);
        }
        self.json(JsonEvent::AttemptEnded {
            attempt: end.attempt,
            outcome: end.judged.label(),
            exit_status: end.exit_status,
            signal: end.signal,
            took_usec: usec(end.took),
            detail: &end.why,
        });
        self.running(end.attempt, false);
        self.notify.status(&line::one_line(&log::ended(end)));
    }

    /// Tells how it all came out, as the last thing.
    pub fn summary(&mut self, summary: &Summary) {
        self.live.clear();
        if summary.exit.is_fault() {
            log::fault(&self.setup, summary);
        } else if !self.json_replaces_lines() {
            log::summary(&self.setup, self.verdict.as_ref(), summary);
        }
        self.json(JsonEvent::Summary {
            attempts: summary.attempts,
            exit_status: summary.exit.code(),
            waited_usec: usec(summary.waited),
            detail: &summary.why,
        });
        self.notify.status(&line::one_line(&summary.why));
    }

    /// Prints the verdict as the answer to `check`. As text it has no times, for
    /// `check` does not wait. That the reader went away is not a fault.
    pub fn answer(&mut self, verdict: &Verdict, now: Now) -> io::Result<()> {
        let text = if self.setup.json {
            JsonEvent::verdict(verdict, self.waited(now), now.monotonic)
                .line(&self.setup.profile, clock::wall())
        } else {
            lasting(verdict)
        };
        match STDOUT.say(format!("{text}\n")) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said,
        }
    }

    fn listeners(&self) -> Listeners {
        Listeners {
            log: self.setup.log,
            live: self.live.is_possible(),
            json: self.setup.json,
        }
    }

    /// The same twice on one screen helps nobody; the journal has no screen.
    fn json_replaces_lines(&self) -> bool {
        self.setup.json && self.setup.log == Log::Stderr
    }

    fn waited(&self, now: Now) -> Duration {
        now.monotonic.since(self.waiting_since)
    }

    fn log(&mut self, telling: Telling, verdict: &Verdict, now: Now) {
        if !telling.live {
            self.live.clear();
        }
        let waited = self.waited(now);
        match telling.line {
            Some(LogLine::Plain) => log::verdict(&self.setup, verdict, waited, now.monotonic),
            Some(LogLine::Verbose) => debug!("{}", sentence(verdict, waited, now.monotonic)),
            None => {}
        }
    }

    /// A JSON line, to where nothing else is printed. A reader who went away is not told.
    fn json(&self, event: JsonEvent<'_>) {
        if !self.setup.json {
            return;
        }
        let line = event.line(&self.setup.profile, clock::wall());
        let _ = json_lines::output(self.setup.kind).say(format!("{line}\n"));
    }

    /// STATUS= and the status file.
    fn note(&mut self, change: VerdictChange, verdict: &Verdict) {
        let said = lasting(verdict);
        self.notify.status(&said);
        if change == VerdictChange::Reasons {
            self.gate.since_usec_realtime = usec(clock::wall().0);
        }
        json::label(verdict).clone_into(&mut self.gate.verdict);
        self.gate.reason = verdict.hold().map(|hold| hold.reason.label().to_owned());
        self.gate.sentence = said;
        self.gate.look_again_usec_monotonic = look_again(verdict).map(|at| usec(at.0));
        self.write_file();
    }

    fn running(&mut self, attempt: u32, running: bool) {
        self.gate.attempt = attempt;
        self.gate.running = running;
        self.write_file();
    }

    /// Says once that it cannot, and then does without.
    fn write_file(&mut self) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write(&self.gate) {
            warn!(
                "cannot write the status file {}: {}; status will not show this gate",
                file.path().display(),
                limits::refusal(&error)
            );
            self.file = None;
        }
    }
}

fn look_again(verdict: &Verdict) -> Option<Monotonic> {
    verdict.hold().and_then(|hold| hold.look_again)
}

fn file(setup: &ReporterSetup) -> Option<StatusFile> {
    if setup.kind == CommandKind::Check {
        return None;
    }
    // Why there is none has been said.
    let dir = setup.gates_dir.as_ref()?;
    let started = usec(setup.started.boottime.0);
    Some(StatusFile::new(dir, std::process::id(), started))
}

fn gate(setup: &ReporterSetup) -> GateStatus {
    GateStatus {
        version: json::VERSION,
        pid: std::process::id(),
        unit: status_file::unit(),
        command: setup.kind.label().to_owned(),
        profile: setup.profile.clone(),
        started_usec_realtime: usec(clock::wall().0),
        ..GateStatus::default()
    }
}

#[cfg(test)]
mod tests;
