//! `check`: one look, and the verdict as an exit code.

use std::time::Duration;

use super::prepare::{CommonOptions, Refusal, prepare_question, reporter};
use crate::cli::QuestionArgs;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::gate::policy::Policy;
use crate::report::CommandKind;
use crate::sys::clock;

/// How long `check` looks at most: one probe, and a bus that hangs beside it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// Takes one look, and prints the verdict.
pub(super) async fn check(
    question: &QuestionArgs,
    setting: &CommonOptions,
) -> Result<Exit, Refusal> {
    let prepared = prepare_question(question, &setting.root)?;
    let mut reporter = reporter(CommandKind::Check, &prepared, question.gate.json, setting);
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
    let verdict = engine.decided(&mut reporter).await;
    reporter.answer(&verdict, clock::now()).map_err(|error| {
        Refusal::new(Exit::Fault, &format!("cannot print the verdict: {error}"))
    })?;
    Ok(Exit::from(&verdict))
}
