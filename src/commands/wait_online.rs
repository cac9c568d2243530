//! `wait-online`: the gate's verdict as an exit code; with `--stay` the companion of a unit that knows nothing of gates.

use super::prepare::{CommonOptions, Refusal, prepare_question, reporter};
use crate::cli::WaitOnline;
use crate::config::profile::Profile;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::gate::verdict::{Evidence, Verdict};
use crate::report::{CommandKind, Reporter, Summary, sentence};
use crate::run::inhibit;
use crate::sys::clock;

/// Waits until the gate opens; with `--stay` until what it has opened on proves nothing any more.
pub(super) async fn wait_online(
    args: &WaitOnline,
    setting: &CommonOptions,
) -> Result<Exit, Refusal> {
    let question = &args.question;
    let prepared = prepare_question(question, &setting.root)?;
    let mut reporter = reporter(
        CommandKind::WaitOnline,
        &prepared,
        question.gate.json,
        setting,
    );
    let mut engine = Engine::start(prepared.policy, prepared.request, setting.root.clone());
    let began = clock::now().monotonic;
    let verdict = engine.decided(&mut reporter).await;
    reporter.verdict(&verdict, clock::now());
    let waited = clock::now().monotonic.since(began);
    let end = match verdict {
        Verdict::Open(evidence) if args.stay => {
            stay(&mut engine, &mut reporter, &prepared.profile, evidence).await
        }
        verdict => WaitEnd::of(&verdict),
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
struct WaitEnd {
    exit: Exit,
    why: String,
}

impl WaitEnd {
    fn of(verdict: &Verdict) -> Self {
        Self {
            exit: Exit::from(verdict),
            why: sentence::lasting(verdict),
        }
    }
}

/// Stays from the opening on `evidence` until that proves nothing any more.
///
/// The inhibitor locks are there before READY=1 lets the gated unit start. A proof that is lost before that is waited
/// for again: a unit that ends without READY=1 has failed in systemd's eyes. A condition of the profile that is no longer
/// met, or a probe that would fail, ends nothing: they are judged before an upgrade, not during it.
async fn stay(
    engine: &mut Engine,
    reporter: &mut Reporter,
    profile: &Profile,
    mut evidence: Evidence,
) -> WaitEnd {
    loop {
        let request = inhibit::InhibitRequest::new(&profile.inhibit, &profile.name, &[]);
        let _inhibitor = match request {
            Some(request) => {
                let take = inhibit::take(request, inhibit::ask_logind);
                engine.during(take).await
            }
            None => None,
        };
        if engine.gate().loss(&evidence).is_none() {
            reporter.ready();
            return ended(engine, &evidence).await;
        }
        engine.begin();
        let verdict = engine.decided(reporter).await;
        reporter.verdict(&verdict, clock::now());
        match verdict {
            Verdict::Open(again) => evidence = again,
            held @ Verdict::Held(_) => return WaitEnd::of(&held),
        }
    }
}

async fn ended(engine: &mut Engine, evidence: &Evidence) -> WaitEnd {
    let loss = engine.lost(evidence).await;
    tracing::info!("{loss}: gate closed, the next start waits again");
    WaitEnd {
        exit: Exit::Ok,
        why: loss.to_string(),
    }
}
