//! What logind is asked to inhibit during an attempt, and that a refusal is not an obstacle.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::bus::BusAddress;
use crate::bus::login1;
use crate::bus::login1::InhibitMode;
use crate::config::profile::Inhibit;

/// How long logind may think about it: polkit can hang, and the upgrade is not to wait for it.
const LOGIND_TIMEOUT: Duration = Duration::from_secs(10);

/// The words of `org.freedesktop.login1.Manager.Inhibit`, but for the mode, which depends on systemd's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InhibitRequest {
    /// The operations, separated by colons.
    pub what: String,
    /// Who asks.
    pub who: &'static str,
    /// Why, for people.
    pub why: String,
}

impl InhibitRequest {
    /// What to ask for; `None` if the profile inhibits nothing. Without a command it is asked for in the name of
    /// the unit that waits for the gate.
    pub fn new(inhibit: &[Inhibit], profile: &str, command: &[OsString]) -> Option<Self> {
        let operations: BTreeSet<Inhibit> = inhibit.iter().copied().collect();
        let what: Vec<&str> = operations.into_iter().map(operation).collect();
        (!what.is_empty()).then(|| Self {
            what: what.join(":"),
            who: "upgrade-gate",
            why: why(profile, command),
        })
    }
}

/// Takes the lock with `inhibit`, the call to logind; the lock lasts as long as what is returned.
///
/// A refusal (polkit, no logind, a container) or no answer in 10 s is one line, and the upgrade runs without.
pub async fn take<L, E: Display>(
    request: InhibitRequest,
    inhibit: impl AsyncFnOnce(InhibitRequest) -> Result<L, E>,
) -> Option<L> {
    take_within(LOGIND_TIMEOUT, request, inhibit).await
}

/// Takes the lock over a connection of its own: the sources' is for listening only.
pub async fn ask_logind(request: InhibitRequest) -> Result<OwnedFd, String> {
    let connection = BusAddress::system()
        .connect()
        .await
        .map_err(|e| e.to_string())?;
    let lock = login1::inhibit(
        &connection,
        &request.what,
        request.who,
        &request.why,
        InhibitMode::Block,
    );
    lock.await.map_err(|error| error.to_string())
}

async fn take_within<L, E: Display>(
    patience: Duration,
    request: InhibitRequest,
    inhibit: impl AsyncFnOnce(InhibitRequest) -> Result<L, E>,
) -> Option<L> {
    let what = request.what.clone();
    let refused = match tokio::time::timeout(patience, inhibit(request)).await {
        Ok(Ok(lock)) => return Some(lock),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("logind did not answer within {} s", patience.as_secs()),
    };
    tracing::warn!("running without an inhibitor lock on {what}: {refused}");
    None
}

const fn operation(inhibit: Inhibit) -> &'static str {
    match inhibit {
        Inhibit::Shutdown => "shutdown",
        // LidSwitchIgnoreInhibited=yes is logind's default: a lock on sleep alone does not stop the lid.
        Inhibit::Sleep => "sleep:handle-lid-switch",
    }
}

fn why(profile: &str, command: &[OsString]) -> String {
    let program = command
        .first()
        .map_or("what it gates".into(), |name| name.to_string_lossy());
    format!("{profile}: {program} is running")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(inhibit: &[Inhibit]) -> Option<InhibitRequest> {
        InhibitRequest::new(
            inhibit,
            "nixos-upgrade",
            &["nixos-rebuild".into(), "switch".into()],
        )
    }

    #[test]
    fn a_profile_that_inhibits_nothing_asks_for_nothing() {
        assert_eq!(request(&[]), None);
    }

    #[test]
    fn a_lock_on_sleep_takes_the_lid_with_it() {
        let asked = request(&[Inhibit::Sleep, Inhibit::Shutdown, Inhibit::Sleep]).unwrap();
        assert_eq!(asked.what, "shutdown:sleep:handle-lid-switch");
    }

    #[test]
    fn the_request_names_the_profile_and_the_command() {
        let asked = request(&[Inhibit::Shutdown]).unwrap();
        assert_eq!(asked.who, "upgrade-gate");
        assert_eq!(asked.why, "nixos-upgrade: nixos-rebuild is running");
    }

    #[test]
    fn without_a_command_it_is_asked_for_what_is_gated() {
        let asked = InhibitRequest::new(&[Inhibit::Shutdown], "fwupd-refresh", &[]).unwrap();
        assert_eq!(asked.why, "fwupd-refresh: what it gates is running");
    }

    #[tokio::test]
    async fn a_lock_that_is_granted_is_handed_on() {
        let asked = request(&[Inhibit::Shutdown]).unwrap();
        let lock = take(asked, async |request| Ok::<_, String>(request.what)).await;
        assert_eq!(lock.as_deref(), Some("shutdown"));
    }

    #[tokio::test]
    async fn a_refusal_is_no_obstacle() {
        let asked = request(&[Inhibit::Shutdown]).unwrap();
        assert_eq!(
            take(asked, async |_| Err::<(), _>("access denied")).await,
            None
        );
    }

    #[tokio::test]
    async fn a_logind_that_hangs_is_no_obstacle() {
        let asked = request(&[Inhibit::Shutdown]).unwrap();
        let hung = async |_| std::future::pending::<Result<(), &str>>().await;
        assert_eq!(take_within(Duration::ZERO, asked, hung).await, None);
    }
}
