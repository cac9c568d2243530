//! The reasons for which an upgrade is held: one stable label each, used everywhere.

use std::fmt;

macro_rules! reasons {
    ($($variant:ident $label:literal $meaning:literal;)*) => {
        /// Why the gate is held. The label is an interface: text, JSON, journal and status use it alike.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order in which they are named when several hold.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable `snake_case` label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// What is waited for, as one sentence without the particulars.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

reasons! {
    ShuttingDown "shutting_down" "the machine is shutting down";
    Asleep "asleep" "the machine is going to sleep or has not finished waking up";
    NoNetwork "no_network" "no network interface is up with an address";
    NoRoute "no_route" "there is a network, but no route to the target";
    Connecting "connecting" "a connection is being set up";
    Dns "dns" "the target's name does not resolve";
    Portal "portal" "a captive portal answers in place of the target";
    Proxy "proxy" "the proxy refuses to reach the target";
    Clock "clock" "this machine's date is implausible, so certificates cannot be judged";
    Tls "tls" "the target's certificate is not accepted";
    UnexpectedAnswer "unexpected_answer" "something answers, but not as the target should";
    Unreachable "unreachable" "the target does not answer";
    Guess "guess" "nothing can be probed; a route exists, which is only a guess";
    Metered "metered" "the connection is metered";
    OnBattery "on_battery" "the machine runs on battery";
    BatteryLow "battery_low" "the battery is not charged enough";
    Busy "busy" "another upgrade holds the profile's lock";
    Recent "recent" "the last success is recent enough";
    Unknown "unknown" "something that must be known is not known yet";
    Settling "settling" "online, but not stable for long enough yet";
}

impl Reason {
    /// The reason with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.label() == label)
    }

    /// Whether a person may waive it for once with `--allow`.
    pub const fn is_soft(self) -> bool {
        matches!(
            self,
            Self::Metered | Self::OnBattery | Self::BatteryLow | Self::Recent
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
