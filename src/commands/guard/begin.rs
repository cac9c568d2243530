//! The beginning of a try: what is refused, and the transaction that is written down.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;

use super::refusals::{Systems, refuse_armed};
use super::settings::{check, commands, words};
use super::{Context, Patience, durable, usec};
use crate::cli::guard::{Arm, How, TrialArgs, Try};
use crate::commands::prepare::Refusal;
use crate::config::guard::OnDoubt;
use crate::exit::Exit;
use crate::guard::facts::Order;
use crate::guard::nixos::NO_ONE_SHOT;
use crate::guard::state::{Baseline, GuardState, Rules, Transaction, TransactionPhase, TrialMode};
use crate::report::status_file::unit;
use crate::sys::clock;

impl Context {
    /// Begins a try of a system; none if it runs already.
    pub(super) async fn begin_try(&mut self, args: &Try) -> Result<Option<Transaction>, Refusal> {
        if let Some(commands) = commands(&args.commands)? {
            let begun = self.begin_other(&args.watched, commands).await;
            return begun.map(Some);
        }
        let candidate = args.candidate.as_deref().unwrap_or(Path::new("result"));
        let candidate = self.system(candidate)?;
        let waiting = self.waiting()?;
        let baseline = self.baseline().await?;
        let runs = baseline.system == candidate;
        let mode = if runs {
            TrialMode::Live
        } else {
            self.mode(args.mode, &candidate).await?
        };
        let is_waiting = waiting
            .as_ref()
            .is_some_and(|t| t.is_candidate(Some(&candidate)));
        if is_waiting && mode == TrialMode::Reboot {
            let candidate = candidate.display();
            tracing::info!("guard: {candidate} is staged already: the next boot tries it");
            return Ok(None);
        }
        let mut begun = self.transaction(&args.watched, mode, baseline, Some(candidate.clone()));
        if let Some(waiting) = waiting {
            self.refuse(&self.load()?, &args.watched, &begun).await?;
            self.give_way(&waiting, &candidate).await?;
            let since = waiting.waits_since_usec.unwrap_or(waiting.tried_at_usec);
            let is_same_boot = waiting.boot_id == begun.boot_id;
            begun.waits_since_usec = Some(if is_same_boot { since } else { 0 });
        }
        if runs {
            tracing::info!("{} runs already", candidate.display());
            return Ok(None);
        }
        if mode == TrialMode::Reboot && self.is_this_machine() {
            durable::warn_if_unproven(&self.dir);
        }
        self.begin(&args.watched, begun).await.map(Some)
    }

    /// What waits for its boot; anything else that is under way refuses the next one.
    fn waiting(&self) -> Result<Option<Transaction>, Refusal> {
        let state = self.load()?;
        let waiting = state.transaction.clone().filter(waits);
        match waiting {
            Some(waiting) => Ok(Some(waiting)),
            None => refuse_armed(&state).map(|()| None),
        }
    }

    /// Nothing of what waits for its boot was activated. What somebody else has begun since then is left alone.
    async fn give_way(&mut self, waiting: &Transaction, to: &Path) -> Result<(), Refusal> {
        let system = waiting.candidate.as_deref().unwrap_or(Path::new(""));
        tracing::info!(
            "guard: {}, which waited for its boot, gives way to {}",
            system.display(),
            to.display()
        );
        let is_it = |t: &Transaction| t.id == waiting.id && waits(t);
        let order = |state: &GuardState| state.transaction.as_ref().is_some_and(is_it);
        self.turns(
            |state| order(state).then_some(Order::Disarm),
            Patience::Leaves,
        )
        .await
        .map(drop)
    }

    async fn mode(&self, how: How, candidate: &Path) -> Result<TrialMode, Refusal> {
        match how {
            How::Reboot if !self.machine.has_one_shot() => {
                Err(Refusal::new(Exit::Unavailable, NO_ONE_SHOT))
            }
            How::Reboot => Ok(TrialMode::Reboot),
            How::Auto if self.wants_a_boot(candidate).await => Ok(TrialMode::Reboot),
            How::Live | How::Auto => Ok(TrialMode::Live),
        }
    }

    /// Whether only a boot can try it, and one can.
    async fn wants_a_boot(&self, candidate: &Path) -> bool {
        let others = self.machine.boots_another(candidate);
        if !self.machine.has_one_shot() {
            if let Some(others) = others {
                tracing::warn!("guard: the next boot starts its {others} untried: {NO_ONE_SHOT}");
            }
            return false;
        }
        if let Some(why) = self.machine.refuses_switch(candidate).await {
            tracing::info!("guard: only a reboot can activate it: {why}");
            return true;
        }
        if let Some(others) = &others {
            tracing::info!("guard: only a reboot tries its {others}");
        }
        others.is_some()
    }

    /// Begins to wait for an activation by somebody else.
    pub(super) async fn begin_arm(&mut self, args: &Arm) -> Result<Transaction, Refusal> {
        let candidate = args.candidate.as_deref();
        let candidate = candidate.map(|path| self.system(path)).transpose()?;
        let baseline = self.baseline().await?;
        let begun = self.transaction(&args.watched, TrialMode::Foreign, baseline, candidate);
        self.begin(&args.watched, begun).await
    }

    /// Begins a try of what runs already.
    pub(super) async fn begin_drill(
        &mut self,
        watched: &TrialArgs,
    ) -> Result<Transaction, Refusal> {
        let baseline = self.baseline().await?;
        let candidate = baseline.system.clone();
        let begun = self.transaction(watched, TrialMode::Live, baseline, Some(candidate));
        self.begin(watched, begun).await
    }

    pub(super) async fn baseline(&self) -> Result<Baseline, Refusal> {
        let baseline = self.machine.baseline().await;
        baseline.map_err(|why| Refusal::new(Exit::Unavailable, &why))
    }

    /// The system that a path names.
    pub(super) fn system(&self, path: &Path) -> Result<PathBuf, Refusal> {
        let system = self.followed(path);
        let program = self
            .machine
            .inside(&system)
            .join("bin/switch-to-configuration");
        if program.exists() {
            return Ok(system);
        }
        let shown = path.display();
        let why = if self.machine.inside(&system).exists() {
            format!("{shown} is not a NixOS system: it has no bin/switch-to-configuration")
        } else {
            format!("there is no system at {shown}; nixos-rebuild build leaves one at ./result")
        };
        Err(Refusal::new(Exit::Usage, &why))
    }

    /// Where a chain of links ends, such as that of ./result or of a profile.
    fn followed(&self, path: &Path) -> PathBuf {
        let root = self.machine.inside(Path::new("/"));
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let below = absolute.strip_prefix(&root).ok();
        let below = below.filter(|_| path.is_relative());
        let mut path = Path::new("/").join(below.unwrap_or(path));
        // More are a loop.
        for _ in 0..16 {
            let Ok(target) = std::fs::read_link(self.machine.inside(&path)) else {
                break;
            };
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        path
    }

    async fn begin(
        &mut self,
        watched: &TrialArgs,
        mut begun: Transaction,
    ) -> Result<Transaction, Refusal> {
        let lock = self.lock()?;
        let state = self.load()?;
        refuse_armed(&state)?;
        self.refuse(&state, watched, &begun).await?;
        let other = begun.candidate.as_deref();
        if begun.mode == TrialMode::Reboot && other.is_some_and(|system| state.was_outage(system)) {
            begun.rules.on_doubt = kept_after_an_outage(watched.on_doubt);
        }
        self.written(lock, state, begun)
    }

    /// The transaction, once it is on disk. What refuses may have taken its time, so its deadline counts from here.
    pub(super) fn written(
        &mut self,
        lock: Flock<File>,
        mut state: GuardState,
        mut begun: Transaction,
    ) -> Result<Transaction, Refusal> {
        let now = usec(clock::now().monotonic.0);
        begun.deadline_usec = now.saturating_add(begun.rules.grace_usec);
        (state.transaction, state.refused) = (Some(begun.clone()), None);
        self.save(&state)?;
        self.arming = Some(lock);
        Ok(begun)
    }

    async fn refuse(
        &self,
        state: &GuardState,
        watched: &TrialArgs,
        begun: &Transaction,
    ) -> Result<(), Refusal> {
        let baseline = &begun.baseline;
        let candidate = begun.candidate.as_deref();
        // A drill proves that there is a way back, whatever other systems did.
        if let Some(candidate) = candidate.filter(|path| *path != baseline.system) {
            let systems = Systems {
                candidate,
                baseline: &baseline.system,
            };
            self.refuse_system(state, watched, &systems)?;
            if begun.mode == TrialMode::Live {
                self.refuse_switch(&watched.allow, candidate).await?;
            }
        }
        self.refuse_machine(baseline, candidate).await
    }

    pub(super) fn transaction(
        &self,
        watched: &TrialArgs,
        mode: TrialMode,
        baseline: Baseline,
        candidate: Option<PathBuf>,
    ) -> Transaction {
        Transaction {
            id: id(),
            phase: TransactionPhase::Arming,
            boot_id: self.machine.boot_id(),
            armed_at_usec_realtime: usec(clock::wall().0),
            tried_at_usec: usec(clock::now().monotonic.0),
            rules: Rules {
                grace_usec: usec(watched.within),
                settle_usec: usec(watched.settle_after),
                confirm: watched.confirm,
                on_doubt: watched.on_doubt,
                reboot: !watched.no_reboot,
                checks: watched.checks.iter().map(|line| check(line)).collect(),
                check_usec: usec(watched.check_timeout),
                ignore_units: watched.ignore_units.iter().cloned().chain(unit()).collect(),
                notify: words(watched.notify.as_deref().unwrap_or_default()),
            },
            mode,
            baseline,
            candidate,
            ..Transaction::default()
        }
    }
}

/// One experiment with two reboots is enough for a system: it was not its fault.
fn kept_after_an_outage(wanted: OnDoubt) -> OnDoubt {
    match wanted {
        OnDoubt::Experiment => {
            tracing::info!(
                "guard: without a verdict it is kept: there was an outage the last time"
            );
            OnDoubt::Keep
        }
        other => other,
    }
}

/// Random, as the kernel makes it.
pub(super) fn id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    id.trim().replace('-', "")
}

fn waits(t: &Transaction) -> bool {
    t.phase == TransactionPhase::Staged && t.commands.is_none()
}
