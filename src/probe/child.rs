//! The probe child: one request in, all targets asked at once, one answer out.

use std::cmp::Reverse;
use std::io::{self, Read, Write};
use std::panic::Location;
use std::process::ExitCode;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::fault::{Circumstances, Fault, Label, Progress, built, label, rank};
use super::names::Names;
use super::protocol::{ProbeAnswer, ProbeRequest, ProbeResult};
use super::roots::Tls;
use super::wire::Web;
use super::{stream, web};
use crate::gate::reason::Reason;
use crate::gate::time::Monotonic;
use crate::sys::clock;
use crate::sys::limits;
use crate::targets::Target;
use crate::text::secret;

/// How long the whole probe may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How long is spent on explaining one failure by a portal, within [`LIMIT`].
const EXPLANATION: Duration = Duration::from_secs(2);

/// Reads a [`ProbeRequest`] from standard input, probes, and writes a [`ProbeAnswer`] as one line.
///
/// It dies with the thread that started it, and ends by itself after ten seconds.
pub fn main() -> ExitCode {
    let deadline = clock::now().monotonic.after(LIMIT);
    // Without it a child outlives a killed parent by its own limit at most.
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    answer_panics();
    let answer = read().map_or_else(refusal, |request| answer(&request, deadline));
    match write(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(70),
    }
}

/// A panic is the answer as well: the gate is to name it, and standard error goes nowhere.
fn answer_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, place);
        let _ = write(&unknown(format!(
            "internal error in upgrade-gate, please report it: the probe ended{place}"
        )));
    }));
}

/// ` at tokio-1.54.1/src/runtime/scheduler.rs:12`: without the folders of the machine that built it.
fn place(location: &Location<'_>) -> String {
    let folders: Vec<_> = location.file().split('/').collect();
    let sources = folders.iter().rposition(|folder| *folder == "src");
    let shown = &folders[sources.unwrap_or_default().saturating_sub(1)..];
    format!(" at {}:{}", shown.join("/"), location.line())
}

/// Probes in the calling thread.
pub(super) fn here(request: &ProbeRequest) -> ProbeAnswer {
    answer(request, clock::now().monotonic.after(LIMIT))
}

fn read() -> Result<ProbeRequest, String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn write(answer: &ProbeAnswer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    io::stdout().write_all(&line)
}

fn refusal(why: impl std::fmt::Display) -> ProbeAnswer {
    unknown(format!("invalid probe request: {why}"))
}

fn unknown(why: String) -> ProbeAnswer {
    ProbeAnswer {
        addresses: Vec::new(),
        verdict: FailedTarget::unknown("", why).into(),
    }
}

/// Enough for the runtime, and for what one target takes.
const DESCRIPTORS: (usize, usize) = (8, 4);

fn answer(request: &ProbeRequest, deadline: Monotonic) -> ProbeAnswer {
    let targets = request.wanted.groups.iter().flatten().count();
    let runtime =
        limits::spare_descriptors(DESCRIPTORS.0 + DESCRIPTORS.1 * targets).and_then(|()| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return unknown(format!("cannot probe: {}", limits::refusal(&error))),
    };
    let answer = runtime.block_on(probe(request, deadline));
    // A resolver that hangs is left behind; the process ends anyway.
    runtime.shutdown_background();
    answer
}

async fn probe(request: &ProbeRequest, deadline: Monotonic) -> ProbeAnswer {
    let env = |name: &str| std::env::var(name).ok();
    let names = Names::default();
    let prober = ChildProbe {
        web: Web {
            env: &env,
            proxies: &request.proxies,
            tls: Tls::new(&env, request.ssl_cert_file.as_deref()),
            names: &names,
        },
        deadline,
    };
    let groups = request.wanted.groups.iter().map(|g| prober.any(g));
    let verdict = verdict(join_all(groups).await);
    ProbeAnswer {
        addresses: names.ways_out(),
        verdict,
    }
}

/// All groups must be reached; of several failures the one that explains most is told.
fn verdict(groups: Vec<Result<String, FailedTarget>>) -> ProbeResult {
    if groups.is_empty() {
        return FailedTarget::unknown("", "there is nothing to probe".to_owned()).into();
    }
    let (reached, failed): (Vec<_>, Vec<_>) = groups.into_iter().partition(Result::is_ok);
    match most_telling(failed.into_iter().filter_map(Result::err)) {
        Some(failed) => failed.into(),
        None => ProbeResult::Reached(reached.into_iter().flatten().collect()),
    }
}

/// The first of those whose reason ranks first ([`rank`]).
fn most_telling(failed: impl Iterator<Item = FailedTarget>) -> Option<FailedTarget> {
    failed.min_by_key(|failed| {
        (
            rank(failed.label.reason),
            Reverse(failed.label.may_be_portal),
        )
    })
}

/// A target that was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FailedTarget {
    label: Label,
    target: String,
    detail: String,
}

impl FailedTarget {
    fn unknown(target: &str, detail: String) -> Self {
        let label = Label {
            reason: Reason::Unknown,
            may_be_portal: false,
        };
        Self {
            label,
            target: target.to_owned(),
            detail,
        }
    }
}

impl From<FailedTarget> for ProbeResult {
    fn from(failed: FailedTarget) -> Self {
        Self::Failed {
            reason: failed.label.reason.label().to_owned(),
            target: failed.target,
            detail: secret::text(&failed.detail),
            may_be_portal: failed.label.may_be_portal,
        }
    }
}

struct ChildProbe<'a> {
    web: Web<'a>,
    deadline: Monotonic,
}

impl ChildProbe<'_> {
    /// The first target of a group that is reached; the others are dropped.
    async fn any(&self, group: &[Target]) -> Result<String, FailedTarget> {
        let asked = group.iter().enumerate();
        let mut running: FuturesUnordered<_> = asked
            .map(|(place, target)| async move { (place, self.one(target).await) })
            .collect();
        let mut failed = Vec::new();
        while let Some((place, ended)) = running.next().await {
            match ended {
                Ok(target) => return Ok(target),
                Err(why) => failed.push((place, why)),
            }
        }
        failed.sort_by_key(|(place, _)| *place);
        let told = most_telling(failed.into_iter().map(|(_, why)| why));
        Err(told.unwrap_or_else(|| FailedTarget::unknown("", "a group without targets".to_owned())))
    }

    async fn one(&self, target: &Target) -> Result<String, FailedTarget> {
        let progress = Progress::default();
        let asked = timeout(self.left(), self.ask(target, &progress)).await;
        match asked.unwrap_or_else(|_| Err(progress.out_of_time())) {
            Ok(()) => Ok(target.to_string()),
            Err(fault) => Err(self.explained(target, fault).await),
        }
    }

    async fn ask(&self, target: &Target, progress: &Progress) -> Result<(), Fault> {
        let (web, names) = (&self.web, self.web.names);
        match target {
            Target::NixCache { url } => web::nix_cache(web, progress, url).await,
            Target::Https { url } => web::https(web, progress, url).await,
            Target::Http { url, expect } => web::http(web, progress, url, expect.as_deref()).await,
            Target::Ssh { host, port } => stream::ssh(names, progress, host, *port).await,
            Target::Tcp { host, port } => {
                let connected = stream::tcp(names, progress, host, *port).await;
                connected.map(drop)
            }
        }
    }

    async fn explained(&self, target: &Target, fault: Fault) -> FailedTarget {
        let https = match target {
            Target::NixCache { url } | Target::Https { url } => {
                Some(url.as_str()).filter(|url| web::is_direct_https(&self.web, url))
            }
            Target::Http { .. } | Target::Ssh { .. } | Target::Tcp { .. } => None,
        };
        let around = Circumstances {
            wall: clock::wall(),
            built: built(),
            https: https.is_some(),
            foreign_on_http: match https {
                Some(url) if fault.kind.portals_do_this() => self.portal_on_http(url).await,
                _ => false,
            },
        };
        FailedTarget {
            label: label(fault.kind, &around),
            target: target.to_string(),
            detail: fault.detail,
        }
    }

    async fn portal_on_http(&self, url: &str) -> bool {
        let limit = self.left().min(EXPLANATION);
        let asked = timeout(limit, web::portal_on_http(&self.web, url)).await;
        asked.unwrap_or(false)
    }

    fn left(&self) -> Duration {
        self.deadline.since(clock::now().monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: Reason, target: &str) -> FailedTarget {
        let label = Label {
            reason,
            may_be_portal: false,
        };
        FailedTarget {
            label,
            ..FailedTarget::unknown(target, String::new())
        }
    }

    fn told(verdict: ProbeResult) -> String {
        match verdict {
            ProbeResult::Reached(targets) => targets.join(", "),
            ProbeResult::Failed { reason, target, .. } => format!("{reason} {target}"),
        }
    }

    #[test]
    fn a_panic_is_told_by_its_place_without_the_builders_folders() {
        let place = place(Location::caller());
        assert!(place.starts_with(" at "), "{place}");
        assert!(place.contains("src/probe/child.rs:"), "{place}");
    }

    #[test]
    fn every_group_must_be_reached() {
        let all = vec![Ok("a".to_owned()), Ok("b".to_owned())];
        assert_eq!(told(verdict(all)), "a, b");
        let one = vec![Ok("a".to_owned()), Err(failed(Reason::Tls, "b"))];
        assert_eq!(told(verdict(one)), "tls b");
    }

    #[test]
    fn nothing_to_probe_is_unknown_rather_than_reached() {
        assert_eq!(told(verdict(Vec::new())), "unknown ");
    }

    #[test]
    fn the_failure_that_explains_most_is_told_and_of_equals_the_first() {
        let groups = vec![
            Err(failed(Reason::UnexpectedAnswer, "a")),
            Err(failed(Reason::Dns, "b")),
            Err(failed(Reason::Dns, "c")),
        ];
        assert_eq!(told(verdict(groups)), "dns b");
    }
}
