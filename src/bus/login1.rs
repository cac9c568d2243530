//! logind's inhibitor locks (org.freedesktop.login1(5)).

use std::os::fd::OwnedFd;

use zbus::{Connection, fdo};

/// `org.freedesktop.login1.Manager`.
#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
pub trait Login1Manager {
    /// Takes an inhibitor lock, which lasts until the descriptor and all its copies are closed.
    #[zbus(no_autostart)]
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<zbus::OwnedFd>;

    /// `InhibitDelayMaxSec=` in microseconds: how long a sleep waits for `delay` locks.
    #[zbus(property(emits_changed_signal = "false"), name = "InhibitDelayMaxUSec")]
    fn inhibit_delay_max_usec(&self) -> zbus::Result<u64>;
}

/// How an inhibitor lock holds things back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InhibitMode {
    /// Until it is released. `block-weak` where logind knows it (systemd ≥ 257), since a plain
    /// `block` there refuses even root's own `systemctl reboot` inside the command.
    Block,
    /// For `InhibitDelayMaxSec=` at most; only for `sleep` and `shutdown`.
    Delay,
}

/// Takes an inhibitor lock on `what`, a colon-separated list such as `shutdown:sleep`.
pub async fn inhibit(
    connection: &Connection,
    what: &str,
    who: &str,
    why: &str,
    mode: InhibitMode,
) -> zbus::Result<OwnedFd> {
    let logind = Login1ManagerProxy::new(connection).await?;
    let lock = match mode {
        InhibitMode::Delay => logind.inhibit(what, who, why, "delay").await,
        InhibitMode::Block => match logind.inhibit(what, who, why, "block-weak").await {
            Err(error) if is_unknown_mode(&error) => logind.inhibit(what, who, why, "block").await,
            other => other,
        },
    };
    lock.map(Into::into)
}

fn is_unknown_mode(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(error) if matches!(**error, fdo::Error::InvalidArgs(_)))
}
