//! `guard`: a try from its beginning to its end, and what people say to it.

mod begin;
mod durable;
mod orders;
mod other;
mod refusals;
mod said;
mod session;
mod settings;
mod status;
mod told;
mod tries;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::Flock;

use self::said::{unusable, unwritable};
pub(super) use self::status::line;
use super::prepare::{CommonOptions, Refusal};
use crate::cli::guard::{Guard, GuardCommand};
use crate::config::guard::GuardSettings;
use crate::exit::Exit;
use crate::guard::drive::Driver;
use crate::guard::facts::Order;
use crate::guard::nixos::Nixos;
use crate::guard::other::OtherSystem;
use crate::guard::state::{Cause, GuardState, TransactionPhase};
use crate::guard::step::AfterTurn;
use crate::guard::store::Store;
use crate::guard::store::files::StateDirectory;
use crate::sys::clock;
use crate::sys::dirs::Dirs;

/// How often a process that stays looks at the candidate.
const RECHECK: Duration = Duration::from_secs(5);
/// How often a program that runs is looked at.
const POLL: Duration = Duration::from_millis(500);
/// How long after its deadline a drill must have been undone.
const LATE: Duration = Duration::from_secs(10 * 60);

/// The machine, and the guard's state on it.
struct Context {
    machine: Nixos,
    other: OtherSystem,
    dir: PathBuf,
    driver: Driver,
    said: Option<(String, TransactionPhase)>,
    /// Held until the activation has been started: to another process, a beginning that nobody holds was interrupted.
    arming: Option<Flock<File>>,
}

/// Whether the process stays while nothing is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Stays,
    Leaves,
}

/// Carries out a command of `guard`.
pub(super) async fn guard(args: Guard, setting: &CommonOptions) -> Result<Exit, Refusal> {
    refuse_unprivileged(setting)?;
    let only_looks = matches!(
        args.command,
        GuardCommand::Status { .. } | GuardCommand::Denied
    );
    let mut context = Context::new(&setting.root, only_looks)?;
    match args.command {
        GuardCommand::Try(args) => context.attempt(&settings::settled(args, setting)?).await,
        GuardCommand::Arm(args) => context.arm(&args).await,
        GuardCommand::Drill { within } => context.drill(within).await,
        GuardCommand::Verify => context.verify().await,
        GuardCommand::Confirm(args) => context.confirm(&args).await,
        GuardCommand::Rollback => context.say(Order::Rollback, TransactionPhase::Undone).await,
        GuardCommand::Extend { span } => context.extend(span).await,
        GuardCommand::Disarm => context.disarm().await,
        GuardCommand::Act => context.act().await,
        GuardCommand::Status { json } => context.status(json).await,
        GuardCommand::Denied => context.denied(),
        GuardCommand::Allow { system } => context.allow(&system),
        GuardCommand::Reset => context.reset().await,
    }
}

/// Whoever is not root can activate nothing.
pub(super) fn refuse_unprivileged(setting: &CommonOptions) -> Result<(), Refusal> {
    if setting.root == Path::new("/") && !nix::unistd::geteuid().is_root() {
        return Err(Refusal::new(Exit::Unavailable, "guard needs root"));
    }
    Ok(())
}

/// Before anything is fetched that could not be tried.
pub(super) fn refuse_incomplete(guard: &GuardSettings) -> Result<(), Refusal> {
    settings::refuse_unknown_programs(&guard.checks)?;
    settings::commands(&guard.commands).map(drop)
}

/// An upgrade that is recent may still wait for its boot.
pub(super) async fn after_staging(
    guard: &GuardSettings,
    setting: &CommonOptions,
) -> Result<Exit, Refusal> {
    let context = Context::new(&setting.root, true)?;
    context.after_staging(guard.on_staged.as_deref()).await?;
    Ok(Exit::Ok)
}

impl Context {
    fn new(root: &Path, only_looks: bool) -> Result<Self, Refusal> {
        let dirs = Dirs::of_process(root);
        let state = match &dirs.state {
            Some(state) if only_looks => state,
            _ => dirs.usable_state().map_err(|error| unwritable(&error))?,
        };
        let dir = state.join("guard");
        Ok(Self {
            machine: Nixos::new(root, &dir),
            other: OtherSystem::new(root, &dir),
            dir,
            driver: Driver::default(),
            said: None,
            arming: None,
        })
    }

    fn directory(&self) -> Result<StateDirectory, Refusal> {
        let directory = StateDirectory::open(&self.dir);
        directory.map_err(|error| {
            let dir = self.dir.display();
            Refusal::new(
                Exit::Config,
                &format!("cannot use the guard's directory {dir}: {error}"),
            )
        })
    }

    fn lock(&self) -> Result<Flock<File>, Refusal> {
        let lock = self.directory()?.lock();
        lock.map_err(|error| {
            Refusal::new(
                Exit::Config,
                &format!(
                    "cannot take the guard's lock {}/lock: {error}",
                    self.dir.display()
                ),
            )
        })
    }

    fn store(&self) -> Result<Store<StateDirectory>, Refusal> {
        let machine_id = self.machine.machine_id();
        let machine_id = machine_id.ok_or_else(|| {
            Refusal::new(
                Exit::Config,
                "there is no /etc/machine-id, which the guard's state is bound to",
            )
        })?;
        Ok(Store::new(self.directory()?, &self.dir, &machine_id))
    }

    /// Creates nothing: whoever only looks may not be able to.
    fn load(&self) -> Result<GuardState, Refusal> {
        if matches!(StateDirectory::existing(&self.dir), Ok(None)) {
            let machine_id = self.machine.machine_id();
            return Ok(GuardState::idle(&machine_id.unwrap_or_default()));
        }
        self.store()?.load().map_err(|error| unusable(&error))
    }

    fn save(&self, state: &GuardState) -> Result<(), Refusal> {
        self.store()?.save(state).map_err(|error| unusable(&error))
    }

    /// Turns, until there is nothing to do; whoever stays waits for what is to come.
    async fn turns(
        &mut self,
        order: impl Fn(&GuardState) -> Option<Order>,
        patience: Patience,
    ) -> Result<GuardState, Refusal> {
        loop {
            let (state, next) = self.turn(&order).await?;
            self.tell(&state);
            match next {
                AfterTurn::Again => {}
                AfterTurn::Poll => tokio::time::sleep(POLL).await,
                AfterTurn::Wait(until) if patience == Patience::Stays => pause(until).await,
                AfterTurn::Wait(_) | AfterTurn::Rest => return Ok(state),
            }
        }
    }

    /// One turn under the lock: between two others may say something.
    async fn turn(
        &mut self,
        order: impl Fn(&GuardState) -> Option<Order>,
    ) -> Result<(GuardState, AfterTurn), Refusal> {
        let lock = match self.arming.take() {
            Some(lock) => lock,
            None => self.lock()?,
        };
        let mut store = self.store()?;
        let state = store.load().map_err(|error| unusable(&error))?;
        let order = order(&state);
        let turn = if is_other(&state) {
            self.driver.turn(&mut store, &mut self.other, order).await
        } else {
            self.driver.turn(&mut store, &mut self.machine, order).await
        };
        let (state, next) = turn.map_err(|error| unusable(&error))?;
        let phase = state.transaction.as_ref().map(|t| t.phase);
        let begins = next == AfterTurn::Again && phase.is_some_and(is_beginning);
        self.arming = begins.then_some(lock);
        Ok((state, next))
    }

    /// Finishes what a process left behind when it died.
    async fn tidy(&mut self) -> Result<(), Refusal> {
        self.directory()?;
        if self.is_this_machine() {
            durable::refuse_volatile(&self.dir)?;
        }
        self.turns(|_| None, Patience::Leaves).await.map(drop)
    }

    /// Tests have a machine below a folder, whose state need not last.
    fn is_this_machine(&self) -> bool {
        let root = Path::new("/");
        self.machine.inside(root) == root
    }

    /// Only what went wrong is a failure of the unit.
    async fn act(&mut self) -> Result<Exit, Refusal> {
        let state = self.turns(|_| None, Patience::Leaves).await?;
        let broken = state
            .transaction
            .is_some_and(|t| t.phase == TransactionPhase::Broken);
        Ok(if broken {
            Exit::RollbackFailed
        } else {
            Exit::Ok
        })
    }

    async fn status(&self, json: bool) -> Result<Exit, Refusal> {
        let state = self.load()?;
        let text = if json {
            self.json(&state).await? + "\n"
        } else {
            self.text(&state).await
        };
        print(&text)
    }
}

/// Whether nothing has been started yet.
fn is_beginning(phase: TransactionPhase) -> bool {
    matches!(
        phase,
        TransactionPhase::Arming
            | TransactionPhase::Armed
            | TransactionPhase::Trying
            | TransactionPhase::Staging
    )
}

/// Whether what is under way is of a system other than NixOS.
fn is_other(state: &GuardState) -> bool {
    let t = state.transaction.as_ref();
    t.is_some_and(|t| t.commands.is_some())
}

/// The exit code of a try that has ended, or is to go on at the next boot.
fn exit_of(state: &GuardState, id: &str) -> Exit {
    if let Some(t) = state.transaction.as_ref().filter(|t| t.id == id) {
        return match t.phase {
            TransactionPhase::Broken => Exit::RollbackFailed,
            TransactionPhase::Staged => Exit::Ok,
            _ => Exit::NotNow,
        };
    }
    let ended = state.history.iter().find(|ended| ended.id == id);
    match ended.map(|ended| ended.phase) {
        _ if ended.is_some_and(|ended| ended.cause == Some(Cause::Unchanged)) => Exit::Ok,
        Some(TransactionPhase::Confirmed) => Exit::Ok,
        Some(TransactionPhase::Undone | TransactionPhase::CandidateDidNotBoot) => Exit::RolledBack,
        _ => Exit::NotNow,
    }
}

fn print(text: &str) -> Result<Exit, Refusal> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Refusal::new(Exit::Fault, &error))
        }
        _ => Ok(Exit::Ok),
    }
}

async fn pause(until: u64) {
    let left = until.saturating_sub(usec(clock::now().monotonic.0));
    tokio::time::sleep(Duration::from_micros(left).min(RECHECK)).await;
}

/// In microseconds.
fn usec(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
