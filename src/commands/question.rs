//! `wait-online` and `check`: the gate's verdict as an exit code.

use std::time::Duration;

use super::prepare::{Prepared, Refusal, Setting, made, prepare};
use crate::cli::Question;
use crate::clock;
use crate::dirs::Dirs;
use crate::engine::{Engine, News};
use crate::exit::Exit;
use crate::gate::policy::Policy;
use crate::gate::verdict::Verdict;
use crate::report::{Kind, Reporter, Setup, Summary, sentence};

/// How long `check` looks at most: one probe, and a bus that hangs beside it.
const LOOK: Duration = Duration::from_secs(15);

/// Waits until the gate opens.
pub(super) async fn wait_online(question: &Question, setting: &Setting) -> Result<Exit, Refusal> {
    let prepared = prepare(&question.gate, &[], &setting.root)?;
    let mut reporter = reporter(Kind::WaitOnline, &prepared, question.gate.json, setting);
    let mut engine = Engine::start(prepared.policy, prepared.request, setting.root.clone());
    let began = clock::now().monotonic;
    let verdict = until_decided(&mut engine, &mut reporter).await;
    reporter.verdict(&verdict, clock::now());
    let exit = exit(&verdict);
    reporter.summary(&Summary {
        waited: clock::now().monotonic.since(began),
        attempts: 0,
        exit,
        why: sentence::lasting(&verdict),
    });
    Ok(exit)
}

/// Takes one look, and prints the verdict.
pub(super) async fn check(question: &Question, setting: &Setting) -> Result<Exit, Refusal> {
    let prepared = prepare(&question.gate, &[], &setting.root)?;
    let mut reporter = reporter(Kind::Check, &prepared, question.gate.json, setting);
    let timeout = prepared
        .policy
        .timeout
        .map_or(LOOK, |timeout| timeout.min(LOOK));
    let policy = Policy {
        once: true,
        timeout: Some(timeout),
        ..prepared.policy
    };
    let mut engine = Engine::start(policy, prepared.request, setting.root.clone());
    let verdict = until_decided(&mut engine, &mut reporter).await;
    reporter.answer(&verdict, clock::now()).map_err(|error| {
        Refusal::new(Exit::Fault, &format!("cannot print the verdict: {error}"))
    })?;
    Ok(exit(&verdict))
}

async fn until_decided(engine: &mut Engine, reporter: &mut Reporter) -> Verdict {
    loop {
        let news = tokio::select! {
            biased;
            news = engine.next() => news,
            () = reporter.ticked() => {
                reporter.redraw(clock::now());
                continue;
            }
        };
        match news {
            News::Open(evidence) => return Verdict::Open(evidence),
            News::GiveUp(holds) => return Verdict::Held(holds),
            News::Say(verdict) => reporter.verdict(&verdict, clock::now()),
            News::Probe(_) | News::Abandon(_) => {}
        }
    }
}

fn exit(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Open(_) => Exit::Ok,
        Verdict::Held(_) => Exit::NotNow,
    }
}

/// The reporter of a gate.
pub(super) fn reporter(kind: Kind, prepared: &Prepared, json: bool, setting: &Setting) -> Reporter {
    let gates_dir = match kind {
        // Its verdict is gone before anybody could look for it.
        Kind::Check => None,
        Kind::WaitOnline | Kind::Run => {
            made(Dirs::of_process(&setting.root).usable_runtime()).map(|dir| dir.join("gates"))
        }
    };
    Reporter::new(Setup {
        kind,
        profile: prepared.profile.name.clone(),
        targets: prepared.targets(),
        timeout: prepared.policy.timeout,
        json,
        quiet: setting.quiet,
        log: setting.log,
        started: clock::now(),
        gates_dir,
    })
}
