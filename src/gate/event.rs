//! What the gate is told: the words between the sources and the decision.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::reason::Reason;

/// What one source says of itself. `Absent` is knowledge; `Unknown` is the lack of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report<T> {
    /// The service is not there: nobody owns its name, or there is no bus.
    Absent,
    /// It is there, and hangs or answers nonsense; the text says which, for people.
    Unknown(String),
    /// It was asked, and answered.
    Known(T),
}

/// `org.freedesktop.login1.Manager`: whether the machine is on its way down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logind {
    /// `PreparingForSleep`.
    pub preparing_for_sleep: bool,
    /// `PreparingForShutdown`.
    pub preparing_for_shutdown: bool,
}

/// `NMConnectivityState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connectivity {
    /// 0, or a value this program does not know.
    #[default]
    Unknown,
    /// 1.
    None,
    /// 2: a captive portal.
    Portal,
    /// 3: the check's answer did not come.
    Limited,
    /// 4: a guess, unless the check is available and enabled.
    Full,
}

/// `org.freedesktop.NetworkManager`, for explanations and as a hint; it never opens the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkManager {
    /// `State` (`NMState`): 10 asleep or disabled, 20 disconnected, 40 connecting, 50/60/70 connected.
    pub state: u32,
    /// `Connectivity`.
    pub connectivity: Connectivity,
    /// `ConnectivityCheckAvailable` and `ConnectivityCheckEnabled` are both true.
    pub checks: bool,
    /// `Metered` is YES or GUESS_YES; everything else counts as not metered (nm-dbus-interface.h).
    pub metered: bool,
}

/// `org.freedesktop.network1.Manager`, for explanations and as a hint; it never opens the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networkd {
    /// `OperationalState`: `routable`, `degraded`, `no-carrier`, …
    pub operational_state: String,
}

/// The kernel's answer to "which way does a packet to this address take?" (`RTM_GETROUTE`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// The interface's name.
    pub interface: String,
    /// The gateway; none on the same link.
    pub gateway: Option<IpAddr>,
}

/// What there is of a network at all, apart from the targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// No interface but loopback is up with carrier.
    #[default]
    NoLink,
    /// A link, but no address beyond link-local ones.
    NoAddress,
    /// A link with an address.
    Addressed,
}

/// The route: for each address that matters, the hop, or none if the kernel has no route.
///
/// The addresses are those of the targets or of their proxies, once a probe has resolved them. Until
/// then they are the name servers' and a stand-in for "anywhere" of each family, and `known` is false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Address → hop.
    pub hops: BTreeMap<IpAddr, Option<Hop>>,
    /// Whether `hops` is about the targets' own addresses.
    pub known: bool,
    /// What the machine has of a network.
    pub link_state: LinkState,
}

/// The power supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Power {
    /// Whether it runs on battery. No battery means mains.
    pub on_battery: bool,
    /// The charge in percent, if there is a battery.
    pub percentage: Option<u8>,
}

/// An event that only says "look again".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// resolv.conf was rewritten, or replaced.
    ResolvConf,
    /// The wall clock was set, or the machine resumed (`TFD_TIMER_CANCEL_ON_SET`).
    ClockStep,
}

/// Names one probe; the gate gives them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// What one probe of all targets found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that must be reached was; the text names what answered.
    Reached(String),
    /// Something was not.
    Failed(Failure),
}

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of `dns`, `no_route`, `unreachable`, `portal`, `proxy`, `tls`, `clock`, `unexpected_answer`.
    pub reason: Reason,
    /// The target, as it was written.
    pub target: String,
    /// What happened, for people: `connection refused by 192.0.2.1:443`.
    pub detail: String,
    /// Whether a captive portal would look like this: no answer from an https target, or the certificate of another.
    /// Then NetworkManager's PORTAL explains it.
    pub may_be_portal: bool,
}

/// Everything that can happen to a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// logind's properties were read, or could not be.
    Logind(Report<Logind>),
    /// logind's signal of that name: true before sleep, false after.
    PrepareForSleep(bool),
    /// logind's signal of that name.
    PrepareForShutdown(bool),
    /// `/sys/power/suspend_stats/success`, if the kernel has it.
    SuspendCount(u64),
    /// NetworkManager was read.
    NetworkManager(Report<NetworkManager>),
    /// systemd-networkd was read.
    Networkd(Report<Networkd>),
    /// The kernel was asked for the route.
    Routes(Routes),
    /// UPower was read.
    UPower(Report<Power>),
    /// logind's `OnExternalPower` was read.
    ExternalPower(Report<bool>),
    /// `/sys/class/power_supply` was read.
    PowerSupply(Report<Power>),
    /// Look again.
    Hint(Hint),
    /// A probe ended.
    Probed(ProbeId, Outcome),
    /// A deadline passed.
    Tick,
}
