//! The gate's side of a probe: starts the child, reads its answer, kills it at the deadline.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::protocol::{ProbeAnswer, ProbeRequest, ProbeResult};
use super::thread;
use crate::gate::event::{Failure, Outcome, ProbeId};
use crate::gate::reason::Reason;
use crate::sys::{limits, ourselves};

/// When a child is killed: its own ten seconds, and two to start and to answer in, which a slow machine may need.
const LIMIT: Duration = Duration::from_secs(12);

/// How long an answer may be; addresses and one clause are far below.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Runs probes; dropped, it kills those that are children of this process. It must live inside a tokio runtime.
#[derive(Debug)]
pub struct Prober {
    place: Isolation,
    request: ProbeRequest,
    limit: Duration,
    running: JoinSet<Finished>,
    abandon: Vec<(ProbeId, oneshot::Sender<()>)>,
}

/// Where probes run.
#[derive(Clone, Debug)]
enum Isolation {
    /// In a child each, which can be killed and takes its memory with it.
    Child(Vec<OsString>),
    Thread,
}

/// A probe that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub id: ProbeId,
    /// What it found; [`Reason::Unknown`] if the child itself failed.
    pub outcome: Outcome,
    /// The addresses the route is about, sorted; empty if none is known.
    pub addresses: Vec<IpAddr>,
}

impl Prober {
    /// Probes by running this program again, as `upgrade-gate __probe`.
    pub fn new(request: ProbeRequest) -> Self {
        let words = [ourselves::PROGRAM, super::SUBCOMMAND];
        Self::with_program(request, words.map(OsString::from).to_vec())
    }

    /// Probes without the cost of a child; the caller's deadline is the only one for sure.
    pub fn of_one_look(request: ProbeRequest) -> Self {
        Self::at(Isolation::Thread, request)
    }

    /// Probes by running `program`, the first word, with the others as its arguments.
    pub fn with_program(request: ProbeRequest, program: Vec<OsString>) -> Self {
        Self::at(Isolation::Child(program), request)
    }

    fn at(place: Isolation, request: ProbeRequest) -> Self {
        Self {
            place,
            request,
            limit: LIMIT,
            running: JoinSet::new(),
            abandon: Vec::new(),
        }
    }

    /// Probes once, outside of any gate.
    pub async fn once(request: ProbeRequest) -> Finished {
        let mut prober = Self::new(request);
        prober.start(ProbeId(0));
        prober.finished().await
    }

    /// Starts a probe at once; if it cannot be started, [`Self::finished`] tells.
    pub fn start(&mut self, id: ProbeId) {
        let (sender, abandoned) = oneshot::channel();
        self.abandon.push((id, sender));
        let (request, limit) = (self.request.clone(), self.limit);
        match &self.place {
            Isolation::Child(program) => {
                let child = spawn(program);
                self.running.spawn(async move {
                    let answer = match child {
                        Ok(child) => run(child, &request, limit, abandoned).await,
                        Err(error) => Err(format!("cannot start the probe: {error}")),
                    };
                    finished(id, &request, answer)
                });
            }
            Isolation::Thread => {
                let answer = thread::start(request.clone());
                let finished = async move { finished(id, &request, answer.await) };
                self.running.spawn(finished);
            }
        }
    }

    /// Kills a probe; nothing more is heard of it.
    pub fn abandon(&mut self, id: ProbeId) {
        // Its task sees that the sender is gone.
        self.forget(id);
    }

    /// Waits for the next probe that ends; indefinitely if none runs. Safe to cancel.
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

fn spawn(program: &[OsString]) -> Result<Child, String> {
    let (program, arguments) = program.split_first().ok_or("no program given")?;
    let child = Command::new(program)
        .arg0("upgrade-gate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    child.map_err(|error| ourselves::why_not(program, &error))
}

/// Sees a child to its end: by itself, at the deadline, or because nobody waits for it any more.
async fn run(
    mut child: Child,
    request: &ProbeRequest,
    limit: Duration,
    abandoned: oneshot::Receiver<()>,
) -> Result<ProbeAnswer, String> {
    let answer = tokio::select! {
        answer = timeout(limit, converse(&mut child, request)) => {
            answer.unwrap_or_else(|_| Err(overdue(limit)))
        }
        _ = abandoned => Err("the probe was abandoned".to_owned()),
    };
    // It may have ended already; it is reaped either way.
    let _ = child.kill().await;
    answer
}

async fn converse(child: &mut Child, request: &ProbeRequest) -> Result<ProbeAnswer, String> {
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
        read.map_err(|error| format!("cannot read the probe's answer: {error}"))?;
    }
    if said.is_empty() {
        return Err(wordless(child.wait().await));
    }
    serde_json::from_slice(&said).map_err(|error| format!("invalid answer of the probe: {error}"))
}

fn wordless(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("the probe {} before it answered", limits::ending(status)),
        Err(error) => format!("the probe did not answer: {error}"),
    }
}

fn overdue(limit: Duration) -> String {
    format!(
        "the probe was killed after {} s without an answer",
        limit.as_secs_f32()
    )
}

fn finished(id: ProbeId, request: &ProbeRequest, answer: Result<ProbeAnswer, String>) -> Finished {
    match answer {
        Ok(ProbeAnswer { addresses, verdict }) => Finished {
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

fn outcome(verdict: ProbeResult) -> Outcome {
    match verdict {
        ProbeResult::Reached(targets) => Outcome::Reached(targets.join(", ")),
        ProbeResult::Failed {
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

fn first_target(request: &ProbeRequest) -> String {
    let first = request.wanted.groups.iter().flatten().next();
    first.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::targets::{Target, Wanted};

    fn prober(script: &str) -> Prober {
        let target = Target::Tcp {
            host: "192.0.2.1".to_owned(),
            port: 1,
        };
        let groups = vec![vec![target]];
        let request = ProbeRequest {
            wanted: Wanted { groups },
            ..ProbeRequest::default()
        };
        Prober::with_program(request, ["sh", "-c", script].map(OsString::from).to_vec())
    }

    async fn failure(mut prober: Prober) -> Failure {
        prober.start(ProbeId(7));
        let finished = prober.finished().await;
        assert_eq!(finished.id, ProbeId(7));
        match finished.outcome {
            Outcome::Failed(failure) => failure,
            Outcome::Reached(what) => panic!("reached {what}"),
        }
    }

    #[tokio::test]
    async fn an_answer_is_told_with_its_addresses() {
        let line = r#"{"addresses":["192.0.2.1"],"verdict":{"reached":["a","b"]}}"#;
        let mut prober = prober(&format!("cat > /dev/null; echo '{line}'"));
        prober.start(ProbeId(1));
        let finished = prober.finished().await;
        assert_eq!(finished.outcome, Outcome::Reached("a, b".to_owned()));
        assert_eq!(finished.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn the_child_is_asked_on_its_standard_input() {
        let failure = failure(prober("grep -q 192.0.2.1 && exit 3; exit 4")).await;
        assert!(failure.detail.contains("exited with 3"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_child_that_dies_or_talks_nonsense_leaves_the_matter_unknown() {
        let answers = [
            ("exit 5", "exited with 5"),
            ("kill -9 $$", "killed by SIGKILL"),
            ("echo hello", "invalid answer"),
            ("cat /dev/zero", "invalid answer"),
            (r#"echo '{"addresses":[]}'"#, "verdict"),
        ];
        for (script, words) in answers {
            let failure = failure(prober(script)).await;
            assert_eq!(failure.reason, Reason::Unknown, "{script}");
            assert!(failure.detail.contains(words), "{script}: {failure:?}");
            assert_eq!(failure.target, "tcp://192.0.2.1:1");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_a_failure_that_says_so() {
        let program = vec![OsString::from("/nowhere/upgrade-gate")];
        let failure = failure(Prober::with_program(ProbeRequest::default(), program)).await;
        assert_eq!(failure.reason, Reason::Unknown);
        assert!(
            failure
                .detail
                .contains("/nowhere/upgrade-gate: No such file"),
            "{failure:?}"
        );
        let empty = Prober::with_program(ProbeRequest::default(), Vec::new());
        assert!(self::failure(empty).await.detail.contains("cannot start"));
    }

    #[tokio::test]
    async fn a_hung_child_is_killed_at_the_deadline() {
        let mut prober = prober("exec sleep 600");
        prober.limit = Duration::from_millis(20);
        let failure = failure(prober).await;
        assert!(failure.detail.contains("killed after"), "{failure:?}");
    }

    #[tokio::test]
    async fn an_abandoned_probe_is_reaped_and_never_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let mut prober = prober(&format!("echo $$ >> {}; exec sleep 600", pids.display()));
        prober.start(ProbeId(1));
        let pid = written(&pids).await;
        prober.abandon(ProbeId(1));
        prober.place = Isolation::Child(vec!["true".into()]);
        prober.start(ProbeId(2));
        assert_eq!(prober.finished().await.id, ProbeId(2));
        gone(&pid).await;
    }

    #[tokio::test]
    async fn a_dropped_prober_leaves_no_child() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let mut prober = prober(&format!("echo $$ >> {}; exec sleep 600", pids.display()));
        prober.start(ProbeId(1));
        let pid = written(&pids).await;
        drop(prober);
        gone(&pid).await;
    }

    #[tokio::test]
    async fn nothing_finishes_where_nothing_runs() {
        let mut prober = prober("exit 0");
        let waited = timeout(Duration::from_millis(5), prober.finished()).await;
        assert!(waited.is_err());
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_no_answer() {
        let mut prober = prober("cat > /dev/null; exit 6");
        prober.start(ProbeId(1));
        let mut cancelled = 0;
        loop {
            match timeout(Duration::ZERO, prober.finished()).await {
                Ok(finished) => break assert_eq!(finished.id, ProbeId(1)),
                Err(_) => cancelled += 1,
            }
        }
        assert!(cancelled > 0);
    }

    async fn written(file: &Path) -> String {
        loop {
            match std::fs::read_to_string(file) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn gone(pid: &str) {
        let process = Path::new("/proc").join(pid);
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
