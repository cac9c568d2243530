//! `wait-online --stay`: the companion of a unit that knows nothing of gates.

use super::question::{End, until_decided};
use crate::config::profile::Profile;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::gate::verdict::{Evidence, Verdict};
use crate::report::Reporter;
use crate::run::inhibit;
use crate::sys::clock;

/// Stays from the opening on `evidence` until that proves nothing any more.
///
/// The inhibitor locks are there before READY=1 lets the gated unit start. A proof that is lost before that is waited
/// for again: a unit that ends without READY=1 has failed in systemd's eyes. A condition of the profile that is no longer
/// met, or a probe that would fail, ends nothing: they are judged before an upgrade, not during it.
pub(super) async fn stay(
    engine: &mut Engine,
    reporter: &mut Reporter,
    profile: &Profile,
    mut evidence: Evidence,
) -> End {
    loop {
        let request = inhibit::Request::new(&profile.inhibit, &profile.name, &[]);
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
        let verdict = until_decided(engine, reporter).await;
        reporter.verdict(&verdict, clock::now());
        match verdict {
            Verdict::Open(again) => evidence = again,
            held @ Verdict::Held(_) => return End::of(&held),
        }
    }
}

async fn ended(engine: &mut Engine, evidence: &Evidence) -> End {
    let loss = engine.lost(evidence).await;
    tracing::info!("{loss}: gate closed, the next start waits again");
    End {
        exit: Exit::Ok,
        why: loss.to_string(),
    }
}
