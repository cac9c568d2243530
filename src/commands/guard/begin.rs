//! The beginning of a try: what is refused, and the transaction that is written down.

use std::path::{Path, PathBuf};

use super::{Context, usec};
use crate::cli::guard::{Arm, How, TrialArgs, Try, Waived};
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::state::{Baseline, GuardState, Rules, Transaction, TransactionPhase, TrialMode};
use crate::sys::clock;

/// What a candidate must have to be got back from, and to be reached.
const GUARD_UNIT: &str = "upgrade-gate-guard.service";
const NEEDED: &[&str] = &[
    "sshd.service",
    "NetworkManager.service",
    "systemd-networkd.service",
];

fn not_now(why: &str) -> Refusal {
    Refusal::new(Exit::NotNow, why)
}

impl Context {
    /// Begins a try of a system; none if it runs already.
    pub(super) async fn begin_try(&mut self, args: &Try) -> Result<Option<Transaction>, Refusal> {
        let candidate = self.system(&args.candidate)?;
        refuse_armed(&self.load()?)?;
        let mode = match args.mode {
            How::Live => TrialMode::Live,
            How::Reboot => TrialMode::Reboot,
            How::Auto => self.fitting_mode(&candidate).await,
        };
        if mode == TrialMode::Reboot && !self.machine.has_one_shot() {
            let why = "no systemd-boot found: this boot loader has no one-shot entry";
            return Err(Refusal::new(Exit::Unavailable, why));
        }
        let baseline = self.baseline().await?;
        if baseline.system == candidate {
            tracing::info!("{} runs already", candidate.display());
            return Ok(None);
        }
        let begun = self.begin(&args.watched, mode, baseline, Some(candidate));
        begun.await.map(Some)
    }

    async fn fitting_mode(&self, candidate: &Path) -> TrialMode {
        match self.machine.refuses_switch(candidate).await {
            Some(why) if self.machine.has_one_shot() => {
                tracing::info!("guard: only a reboot can activate it: {why}");
                TrialMode::Reboot
            }
            _ => TrialMode::Live,
        }
    }

    /// Begins to wait for an activation by somebody else.
    pub(super) async fn begin_arm(&mut self, args: &Arm) -> Result<Transaction, Refusal> {
        let candidate = args.candidate.as_deref();
        let candidate = candidate.map(|path| self.system(path)).transpose()?;
        let baseline = self.baseline().await?;
        self.begin(&args.watched, TrialMode::Foreign, baseline, candidate)
            .await
    }

    /// Begins a try of what runs already.
    pub(super) async fn begin_drill(
        &mut self,
        watched: &TrialArgs,
    ) -> Result<Transaction, Refusal> {
        let baseline = self.baseline().await?;
        let candidate = baseline.system.clone();
        self.begin(watched, TrialMode::Live, baseline, Some(candidate))
            .await
    }

    async fn baseline(&self) -> Result<Baseline, Refusal> {
        let baseline = self.machine.baseline().await;
        baseline.map_err(|why| Refusal::new(Exit::Unavailable, &why))
    }

    /// The system that a path names.
    fn system(&self, path: &Path) -> Result<PathBuf, Refusal> {
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
        mode: TrialMode,
        baseline: Baseline,
        candidate: Option<PathBuf>,
    ) -> Result<Transaction, Refusal> {
        let _lock = self.lock()?;
        let mut state = self.load()?;
        refuse_armed(&state)?;
        self.refuse_system(&state, watched, &baseline, candidate.as_deref())?;
        self.refuse_machine(&baseline, candidate.as_deref()).await?;
        if let Some(candidate) = candidate.as_deref().filter(|_| mode == TrialMode::Live) {
            self.refuse_switch(watched, &baseline, candidate).await?;
        }
        let begun = self.transaction(watched, mode, baseline, candidate);
        state.transaction = Some(begun.clone());
        self.save(&state)?;
        Ok(begun)
    }

    fn refuse_system(
        &self,
        state: &GuardState,
        watched: &TrialArgs,
        baseline: &Baseline,
        candidate: Option<&Path>,
    ) -> Result<(), Refusal> {
        // A drill proves that there is a way back, whatever was undone.
        let Some(candidate) = candidate.filter(|path| *path != baseline.system) else {
            return Ok(());
        };
        let waived = |reason| watched.allow.contains(&reason);
        if let Some(denial) = state.denial(candidate).filter(|_| !waived(Waived::Denied)) {
            return Err(not_now(&format!(
                "denied: {} was undone before ({}); --allow denied tries it again",
                candidate.display(),
                super::status::label(denial.cause),
            )));
        }
        if state.is_paused() && !waived(Waived::Paused) {
            let why = "paused: the last 3 systems were undone, each another one; --allow paused tries one all the same";
            return Err(not_now(why));
        }
        let older = self.machine.is_older(candidate, &baseline.system);
        if let Some([old, new]) = older.filter(|_| !waived(Waived::Older)) {
            let shown = candidate.display();
            return Err(not_now(&format!(
                "older: {shown} is NixOS {old}, and {new} runs: a stale flake or channel; --allow older tries it all the same"
            )));
        }
        let lacking = self.machine.lacks_space(candidate);
        if let Some(bytes) = lacking.filter(|_| !waived(Waived::NoSpace)) {
            return Err(not_now(&format!(
                "no_space: the boot partition lacks {} MiB for the kernel and initrd of {}; remove old generations, or --allow no-space",
                bytes.div_ceil(1 << 20),
                candidate.display()
            )));
        }
        let lacks = self.lacks(baseline, candidate);
        match lacks.filter(|_| !waived(Waived::Bare)) {
            Some(unit) => Err(not_now(&format!(
                "bare: {} has no {unit}; --allow bare tries it all the same",
                candidate.display()
            ))),
            None => Ok(()),
        }
    }

    /// What the candidate lacks, and must have.
    fn lacks(&self, baseline: &Baseline, candidate: &Path) -> Option<&'static str> {
        let has = |system: &Path, file: &str| {
            let units = self.machine.inside(system).join("etc/systemd/system");
            units.join(file).symlink_metadata().is_ok()
        };
        let wanted = |unit: &&&str| {
            let wants = format!("multi-user.target.wants/{unit}");
            has(&baseline.system, &wants) && !has(candidate, &wants)
        };
        let bare = !has(candidate, GUARD_UNIT);
        bare.then_some(GUARD_UNIT)
            .or_else(|| NEEDED.iter().find(wanted).copied())
    }

    async fn refuse_switch(
        &self,
        watched: &TrialArgs,
        baseline: &Baseline,
        candidate: &Path,
    ) -> Result<(), Refusal> {
        if baseline.system == candidate || watched.allow.contains(&Waived::Checks) {
            return Ok(());
        }
        match self.machine.refuses_switch(candidate).await {
            Some(why) => Err(not_now(&format!(
                "checks: {} refuses to be switched to from the system that runs: {why}; if it wants a reboot, use --mode reboot",
                candidate.display()
            ))),
            None => Ok(()),
        }
    }

    async fn refuse_machine(
        &self,
        baseline: &Baseline,
        candidate: Option<&Path>,
    ) -> Result<(), Refusal> {
        let switching = self.machine.switching().await;
        let switching = switching.map_err(|why| Refusal::new(Exit::Unavailable, &why))?;
        if let Some(unit) = switching.first() {
            return Err(not_now(&format!("busy: {unit} switches to a system now")));
        }
        let profile = self.machine.profile_system();
        let known =
            |system: &PathBuf| *system == baseline.system || Some(system.as_path()) == candidate;
        match profile.filter(|system| !known(system)) {
            Some(other) => Err(not_now(&format!(
                "other_system: the system profile is {}, which does not run; reboot into it or switch to it first",
                other.display()
            ))),
            None => Ok(()),
        }
    }

    fn transaction(
        &self,
        watched: &TrialArgs,
        mode: TrialMode,
        baseline: Baseline,
        candidate: Option<PathBuf>,
    ) -> Transaction {
        let grace = usec(watched.within);
        let now = usec(clock::now().monotonic.0);
        Transaction {
            id: id(),
            phase: TransactionPhase::Arming,
            boot_id: self.machine.boot_id(),
            armed_at_usec_realtime: usec(clock::wall().0),
            tried_at_usec: now,
            deadline_usec: now.saturating_add(grace),
            rules: Rules {
                grace_usec: grace,
                settle_usec: usec(watched.settle_after),
                confirm: watched.confirm,
                reboot: !watched.no_reboot,
                checks: watched.checks.iter().map(|line| words(line)).collect(),
                notify: words(watched.notify.as_deref().unwrap_or_default()),
            },
            mode,
            baseline,
            candidate,
            ..Transaction::default()
        }
    }
}

fn refuse_armed(state: &GuardState) -> Result<(), Refusal> {
    let Some(under_way) = &state.transaction else {
        return Ok(());
    };
    let phase = super::status::label(under_way.phase);
    Err(not_now(&format!(
        "armed: another upgrade is being tried ({phase}); see upgrade-gate guard status"
    )))
}

/// Random, as the kernel makes it.
fn id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    id.trim().replace('-', "")
}

/// A command line as it is typed, without quotes or a shell.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}
