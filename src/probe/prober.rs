//! The gate's side of a probe: starts the child, reads its answer, kills it at the deadline.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::protocol::{Answer, Request, Verdict};
use crate::gate::event::{Failure, Outcome, ProbeId};
use crate::gate::reason::Reason;

/// When a child is killed: its own ten seconds, and a little to start and to answer in.
const LIMIT: Duration = Duration::from_millis(10_500);

/// How long an answer may be; addresses and one clause are far below.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Runs probes as children of this process; dropped, it kills them all.
///
/// It must live inside a tokio runtime, and starts no thread.
#[derive(Debug)]
pub struct Prober {
    program: Vec<OsString>,
    request: Request,
    running: JoinSet<Finished>,
    abandon: Vec<(ProbeId, oneshot::Sender<()>)>,
}

/// A probe that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub id: ProbeId,
    /// What it found; [`Reason::Unknown`] if the child itself failed.
    pub outcome: Outcome,
    /// The addresses the way out is about, sorted; empty if none is known.
    pub addresses: Vec<IpAddr>,
}

impl Prober {
    /// Probes by running this program again, as `upgrade-gate __probe`.
    pub fn new(request: Request) -> Self {
        Self::with_program(request, ourselves())
    }

    /// Probes by running `program`, the first word, with the others as its arguments.
    pub fn with_program(request: Request, program: Vec<OsString>) -> Self {
        Self {
            program,
            request,
            running: JoinSet::new(),
            abandon: Vec::new(),
        }
    }

    /// Probes once, outside of any gate.
    pub async fn once(request: Request) -> Finished {
        let mut prober = Self::new(request);
        prober.start(ProbeId(0));
        prober.finished().await
    }

    /// Starts a probe at once; if it cannot be started, [`Self::finished`] tells.
    pub fn start(&mut self, id: ProbeId) {
        let (sender, abandoned) = oneshot::channel();
        self.abandon.push((id, sender));
        let child = spawn(&self.program);
        let request = self.request.clone();
        self.running.spawn(async move {
            let answer = match child {
                Ok(child) => run(child, &request, abandoned).await,
                Err(error) => Err(format!("the probe cannot be started: {error}")),
            };
            finished(id, &request, answer)
        });
    }

    /// Kills a probe; nothing more is heard of it.
    pub fn abandon(&mut self, id: ProbeId) {
        // Its task sees that the sender is gone.
        self.forget(id);
    }

    /// Waits for the next probe that ends; for ever if none runs. Safe to cancel.
    pub async fn finished(&mut self) -> Finished {
        loop {
            match self.running.join_next().await {
                Some(Ok(finished)) if self.forget(finished.id) => return finished,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Whether `id` was still waited for.
    fn forget(&mut self, id: ProbeId) -> bool {
        let before = self.abandon.len();
        self.abandon.retain(|(other, _)| *other != id);
        self.abandon.len() < before
    }
}

/// This very program, even if its file has been replaced or removed meanwhile.
fn ourselves() -> Vec<OsString> {
    let running = Path::new("/proc/self/exe");
    let program = if running.exists() {
        running.as_os_str().to_owned()
    } else {
        std::env::current_exe().map_or_else(|_| "upgrade-gate".into(), OsString::from)
    };
    vec![program, super::SUBCOMMAND.into()]
}

fn spawn(program: &[OsString]) -> io::Result<Child> {
    let (program, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .arg0("upgrade-gate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// Sees a child to its end: by itself, at the deadline, or because nobody waits for it any more.
async fn run(
    mut child: Child,
    request: &Request,
    abandoned: oneshot::Receiver<()>,
) -> Result<Answer, String> {
    let answer = tokio::select! {
        answer = timeout(LIMIT, converse(&mut child, request)) => {
            answer.unwrap_or_else(|_| Err(overdue()))
        }
        _ = abandoned => Err("the probe was abandoned".to_owned()),
    };
    // It may have ended already; it is reaped either way.
    let _ = child.kill().await;
    answer
}

async fn converse(child: &mut Child, request: &Request) -> Result<Answer, String> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    if let Some(mut stdin) = stdin {
        let text = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        // A child that does not read may answer all the same.
        let _ = stdin.write_all(&text).await;
    }
    let mut said = Vec::new();
    if let Some(stdout) = stdout {
        let mut stdout = stdout.take(ANSWER_LIMIT);
        let read = stdout.read_to_end(&mut said).await;
        read.map_err(|error| format!("the probe cannot be listened to: {error}"))?;
    }
    if said.is_empty() {
        return Err(wordless(child.wait().await));
    }
    serde_json::from_slice(&said).map_err(|error| format!("the probe answered nonsense: {error}"))
}

fn wordless(status: io::Result<std::process::ExitStatus>) -> String {
    match status {
        Ok(status) => format!("the probe ended without an answer ({status})"),
        Err(error) => format!("the probe ended without an answer: {error}"),
    }
}

fn overdue() -> String {
    format!(
        "the probe was killed after {} s without an answer",
        LIMIT.as_secs_f32()
    )
}

fn finished(id: ProbeId, request: &Request, answer: Result<Answer, String>) -> Finished {
    match answer {
        Ok(Answer { addresses, verdict }) => Finished {
            id,
            outcome: outcome(verdict),
            addresses,
        },
        Err(detail) => Finished {
            id,
            outcome: Outcome::Failed(Failure {
                reason: Reason::Unknown,
                target: first_target(request),
                detail,
                may_be_portal: false,
            }),
            addresses: Vec::new(),
        },
    }
}

fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Reached(targets) => Outcome::Reached(targets.join(", ")),
        Verdict::Failed {
            reason,
            target,
            detail,
            may_be_portal,
        } => Outcome::Failed(Failure {
            reason: Reason::from_label(&reason).unwrap_or(Reason::Unknown),
            target,
            detail,
            may_be_portal,
        }),
    }
}

fn first_target(request: &Request) -> String {
    let first = request.wanted.groups.iter().flatten().next();
    first.map(ToString::to_string).unwrap_or_default()
}
