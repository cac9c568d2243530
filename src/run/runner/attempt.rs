//! One attempt: the command is started, stayed with to its end, and judged.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::{RunEnd, Runner};
use crate::gate::event::Outcome;
use crate::gate::reason::Reason;
use crate::gate::time::Monotonic;
use crate::probe::Prober;
use crate::report::{AttemptEnd, Judged};
use crate::run::changed::Fingerprints;
use crate::run::command::Running;
use crate::run::inhibit;
use crate::run::judge::{self, AttemptFacts, CommandExit, Judgement};
use crate::sys::clock;

/// What one attempt was like.
pub(super) struct Attempt {
    ended: CommandOutcome,
    slept: bool,
    route_lost: bool,
    /// Something in `final_if_changed` did.
    pub(super) changed: bool,
    took: Duration,
}

/// How the command ended, and what we had to do with it.
struct CommandOutcome {
    ending: CommandExit,
    timed_out: bool,
    stopped_by: Option<i32>,
    /// It was one of `--exec-start-pre`: the command itself was not started.
    before_command: bool,
}

impl CommandOutcome {
    fn was_ended(&self) -> bool {
        self.timed_out || self.stopped_by.is_some()
    }
}

impl Runner {
    /// Runs the command once, under the inhibitor locks.
    pub(super) async fn attempt(&mut self) -> Result<Attempt, RunEnd> {
        let request = inhibit::InhibitRequest::new(
            &self.plan.profile.inhibit,
            &self.plan.profile.name,
            &self.plan.command,
        );
        let _inhibitor = match request {
            Some(request) => {
                self.meanwhile(inhibit::take(request, inhibit::ask_logind))
                    .await?
            }
            None => None,
        };
        let before = Fingerprints::read(&self.plan.profile.final_if_changed);
        let (sleeps, route_changes) = (
            self.engine.gate().sleeps(),
            self.engine.gate().route_changes(),
        );
        let began = clock::now().monotonic;
        self.reporter.attempt_started(self.attempts);
        let deadline = self.plan.profile.attempt_timeout;
        let ended = self.run_all(deadline.map(|span| began.after(span))).await?;
        // A suspend may have ended the command and have frozen us: it is told after the command's end.
        self.engine.hear_all().await;
        Ok(Attempt {
            slept: self.engine.gate().sleeps() != sleeps,
            route_lost: self.engine.gate().route_changes() != route_changes,
            // Without the command it was someone else's doing.
            changed: !ended.before_command
                && before != Fingerprints::read(&self.plan.profile.final_if_changed),
            ended,
            took: clock::now().monotonic.since(began),
        })
    }

    /// Runs what comes before the command, up to the first that fails, and then the command.
    async fn run_all(&mut self, deadline: Option<Monotonic>) -> Result<CommandOutcome, RunEnd> {
        for pre in self.plan.exec_start_pre.clone() {
            let ended = self.run_one(&pre.command, pre.argv0, deadline).await?;
            if ended.ending != CommandExit::Exited(0) {
                report_pre(&pre.command, ended.ending, pre.ignore_failure);
            }
            let failed = ended.ending != CommandExit::Exited(0) && !pre.ignore_failure;
            if failed || ended.was_ended() {
                return Ok(CommandOutcome {
                    before_command: true,
                    ..ended
                });
            }
        }
        let (command, argv0) = (self.plan.command.clone(), self.plan.argv0.clone());
        self.run_one(&command, argv0, deadline).await
    }

    async fn run_one(
        &mut self,
        command: &[OsString],
        argv0: Option<OsString>,
        deadline: Option<Monotonic>,
    ) -> Result<CommandOutcome, RunEnd> {
        let running = self.launcher.named(argv0).start(command);
        let running = running.map_err(|e| RunEnd::of_fault(&e))?;
        let ended = self.watch(running, deadline).await;
        ended.map_err(|e| RunEnd::of_fault(&e))
    }

    /// Stays with the command to its end; passes signals on, and listens to the world.
    async fn watch(
        &mut self,
        mut running: Running,
        mut deadline: Option<Monotonic>,
    ) -> io::Result<CommandOutcome> {
        let mut ended = CommandOutcome {
            ending: CommandExit::Exited(0),
            timed_out: false,
            stopped_by: None,
            before_command: false,
        };
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => {
                    running.pass_on(signal);
                    ended.stopped_by = Some(signal as i32);
                }
                ending = running.ending() => {
                    ended.ending = ending?;
                    return Ok(ended);
                }
                () = clock::sleep_until_some(deadline) => {
                    running.terminate();
                    ended.timed_out = true;
                    deadline = None;
                }
                _ = self.engine.next() => {}
            }
        }
    }

    /// Says what the attempt means; asks the targets once more where that hangs on it.
    pub(super) async fn judge(&mut self, attempt: &Attempt) -> Result<Judgement, RunEnd> {
        let mut final_exit_status = self.plan.profile.final_exit_status.clone();
        if attempt.ended.before_command {
            // They are the command's verdicts, and it has given none.
            final_exit_status.clear();
        }
        let mut facts = AttemptFacts {
            ending: attempt.ended.ending,
            final_exit_status: &final_exit_status,
            changed: attempt.changed,
            slept: attempt.slept,
            route_lost: attempt.route_lost,
            reachable_after: None,
            timed_out: attempt.ended.timed_out,
            stopped_by: attempt.ended.stopped_by,
        };
        if judge::needs_probe(&facts) {
            let probe = Prober::once(self.plan.request.clone());
            facts.reachable_after = match self.meanwhile(probe).await?.outcome {
                Outcome::Reached(_) => Some(true),
                Outcome::Failed(failure) => (failure.reason != Reason::Unknown).then_some(false),
            };
        }
        Ok(judge::judge(&facts))
    }

    pub(super) fn report(&mut self, attempt: &Attempt, judgement: Judgement) {
        let (judged, why) = told(judgement);
        let (exit_status, signal) = match attempt.ended.ending {
            CommandExit::Exited(code) => (Some(i32::from(code)), None),
            CommandExit::Killed(signal) => (None, Some(signal)),
        };
        self.reporter.attempt_ended(
            &AttemptEnd {
                attempt: self.attempts,
                judged,
                exit_status,
                signal,
                took: attempt.took,
                why,
            },
            clock::now(),
        );
    }
}

/// What became of a command line of `--exec-start-pre` that did not succeed.
fn report_pre(command: &[OsString], ending: CommandExit, ignored: bool) {
    let program = command.first().map(OsString::as_os_str).unwrap_or_default();
    let then = if ignored {
        "ignored, as its line begins with -"
    } else {
        "the command is not started"
    };
    tracing::warn!("--exec-start-pre: {} {ending}; {then}", program.display());
}

/// How a judgement is told.
pub(super) fn told(judgement: Judgement) -> (Judged, String) {
    match judgement {
        Judgement::Succeeded => (Judged::Succeeded, "the command succeeded".into()),
        Judgement::Final(ending) => (
            Judged::Final,
            format!("the command {ending}, which is final"),
        ),
        Judgement::Failed(ending) => (Judged::Failed, format!("the command {ending}")),
        Judgement::Interrupted(why) => (Judged::Interrupted, why.to_string()),
        Judgement::Stopped(signal) => (
            Judged::Failed,
            format!("terminated by {}", judge::signal(signal)),
        ),
    }
}
