//! The beginning of a try of a system other than NixOS.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::Context;
use super::refusals::{GUARD_UNIT, denied, first, paused, refuse_armed};
use crate::cli::guard::{TrialArgs, Waived};
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::state::{Baseline, GuardState, SystemCommands, Transaction, TrialMode};

impl Context {
    /// Begins a try of whatever `activate` leads to.
    pub(super) async fn begin_other(
        &mut self,
        watched: &TrialArgs,
        commands: SystemCommands,
    ) -> Result<Transaction, Refusal> {
        let failed = |why: String| Refusal::new(Exit::Unavailable, &why);
        let lock = self.lock()?;
        let state = self.load()?;
        refuse_armed(&state)?;
        self.refuse_place(&commands)?;
        let mut baseline = self.other.baseline(&commands).await.map_err(failed)?;
        self.refuse_other(&state, &watched.allow, &baseline)?;
        baseline.snapshot = self.other.snapshot(&commands).await.map_err(failed)?;
        let begun = Transaction {
            commands: Some(commands),
            ..self.transaction(watched, TrialMode::Live, baseline, None)
        };
        self.written(lock, state, begun)
    }

    /// A way back that takes the state with it would try the same again each night.
    fn refuse_place(&self, commands: &SystemCommands) -> Result<(), Refusal> {
        let flags = statvfs(&self.dir).map(|found| found.flags());
        if flags.is_ok_and(|flags| flags.contains(FsFlags::ST_NOEXEC)) {
            let dir = self.dir.display();
            let why = format!("{dir} is mounted noexec, and the guard runs a copy of itself there");
            return Err(Refusal::new(Exit::Config, &why));
        }
        if commands.snapshot.is_empty() || !self.other.state_is_in_root() {
            return Ok(());
        }
        let dir = self.dir.display();
        Err(Refusal::new(
            Exit::Config,
            &format!(
                "{dir} is on the file system that snapshot saves and rollback brings back: mount another one there, or a subvolume that is not below the root's, as docs/setups/debian.md does"
            ),
        ))
    }

    fn refuse_other(
        &self,
        state: &GuardState,
        allow: &[Waived],
        baseline: &Baseline,
    ) -> Result<(), Refusal> {
        let offer = baseline.offer.as_deref().unwrap_or(Path::new(""));
        let reasons = [
            (Waived::Denied, denied(state, offer)),
            (Waived::Paused, paused(state)),
            (Waived::Bare, self.sleeps_through_boots()),
        ];
        first(allow, reasons)
    }

    fn sleeps_through_boots(&self) -> Option<String> {
        let why = format!(
            "bare: {GUARD_UNIT} is not enabled, so nothing would go on after a reboot: systemctl enable {GUARD_UNIT} upgrade-gate-guard-boot.timer"
        );
        (!self.other.looks_at_boot()).then_some(why)
    }
}
