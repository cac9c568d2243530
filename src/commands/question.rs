//! `wait-online` and `check`: the gate's verdict as an exit code.

use std::time::Duration;

use super::prepare::{Prepared, Refusal, Setting, made, prepare_question};
use super::stay;
use crate::cli::{Question, WaitOnline};
use crate::engine::{Engine, News};
use crate::exit::Exit;
use crate::gate::policy::Policy;
use crate::gate::verdict::Verdict;
use crate::report::{Kind, Reporter, Setup, Summary, sentence};
use crate::sys::clock;
use crate::sys::dirs::Dirs;

/// How long `check` looks at most: one probe, and a bus that hangs beside it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// Waits until the gate opens; with `--stay` until what it has opened on proves nothing any more.
pub(super) async fn wait_online(args: &WaitOnline, setting: &Setting) -> Result<Exit, Refusal> {
    let question = &args.question;
    let prepared = prepare_question(question, &setting.root)?;
    let mut reporter = reporter(Kind::WaitOnline, &prepared, question.gate.json, setting);
    let mut engine = Engine::start(prepared.policy, prepared.request, setting.root.clone());
    let began = clock::now().monotonic;
    let verdict = until_decided(&mut engine, &mut reporter).await;
    reporter.verdict(&verdict, clock::now());
    let waited = clock::now().monotonic.since(began);
    let end = match verdict {
        Verdict::Open(evidence) if args.stay => {
            stay::stay(&mut engine, &mut reporter, &prepared.profile, evidence).await
        }
        verdict => End::of(&verdict),
    };
    reporter.summary(&Summary {
        waited,
        attempts: 0,
        exit: end.exit,
        why: end.why,
    });
    Ok(end.exit)
}

/// What a wait ends with.
pub(super) struct End {
    pub(super) exit: Exit,
    pub(super) why: String,
}

impl End {
    pub(super) fn of(verdict: &Verdict) -> Self {
        Self {
            exit: exit(verdict),
            why: sentence::lasting(verdict),
        }
    }
}

/// Takes one look, and prints the verdict.
pub(super) async fn check(question: &Question, setting: &Setting) -> Result<Exit, Refusal> {
    let prepared = prepare_question(question, &setting.root)?;
    let mut reporter = reporter(Kind::Check, &prepared, question.gate.json, setting);
    let timeout = prepared
        .policy
        .timeout
        .map_or(CHECK_TIMEOUT, |timeout| timeout.min(CHECK_TIMEOUT));
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

/// Waits until the gate has opened or has given up, and tells what it says until then.
pub(super) async fn until_decided(engine: &mut Engine, reporter: &mut Reporter) -> Verdict {
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
        Kind::WaitOnline | Kind::Run | Kind::Watch => {
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
