//! What of a unit's surroundings matters to a gate that is put before its commands.

use std::collections::BTreeSet;

use super::environment::Environment;

/// The settings that decide whether a gate can work inside the unit, and what it needs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct Surroundings {
    /// It has `ExecStartPost=`.
    pub start_post: bool,
    /// It has `ExecStop=`.
    pub stop: bool,
    /// It has `ExecStopPost=`.
    pub stop_post: bool,
    /// `SuccessAction=` is not `none`.
    pub success_action: bool,
    /// `Before=` of more than the shutdown: something waits for its end.
    pub before: bool,
    /// A socket unit hands it what it listens on.
    pub socket: bool,
    /// `WatchdogSec=`.
    pub watchdog: bool,
    /// What its commands, and a gate among them, find in their environment.
    pub environment: Environment,
    /// `PrivateNetwork=` or `NetworkNamespacePath=`: what it sees is not the machine's network.
    pub own_network: bool,
    /// `IPAddressDeny=` shuts it off.
    pub addresses_denied: bool,
    /// `RootDirectory=` or `RootImage=`: our program is not there.
    pub own_root: bool,
    /// `ProtectSystem=strict`: it may write nowhere.
    pub read_only: bool,
    /// `RestrictAddressFamilies=`.
    pub families: Families,
    /// It has `RuntimeDirectory=`.
    pub runtime_directory: bool,
    /// It has `StateDirectory=`.
    pub state_directory: bool,
}

/// `RestrictAddressFamilies=`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// Not set: any.
    #[default]
    Any,
    /// These and no others.
    Only(BTreeSet<String>),
    /// Any but these.
    AllBut(BTreeSet<String>),
}

impl Families {
    /// Follows one more assignment, as systemd does: the first one decides whether the list allows or denies.
    pub fn assign(&mut self, value: &str) {
        let (inverted, names) = match value.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, value),
        };
        match value {
            "" => *self = Self::Any,
            "none" => *self = Self::Only(BTreeSet::new()),
            _ => {
                if *self == Self::Any {
                    *self = Self::empty(inverted);
                }
                self.change(inverted, names);
            }
        }
    }

    fn empty(inverted: bool) -> Self {
        if inverted {
            Self::AllBut(BTreeSet::new())
        } else {
            Self::Only(BTreeSet::new())
        }
    }

    fn change(&mut self, inverted: bool, names: &str) {
        for name in names.split_whitespace() {
            match (&mut *self, inverted) {
                (Self::Only(set), false) | (Self::AllBut(set), true) => {
                    set.insert(name.to_owned());
                }
                (Self::Only(set), true) | (Self::AllBut(set), false) => {
                    set.remove(name);
                }
                (Self::Any, _) => {}
            }
        }
    }

    /// Whether sockets of this family are allowed.
    pub fn allow(&self, family: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(set) => set.contains(family),
            Self::AllBut(set) => !set.contains(family),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(values: &[&str]) -> Families {
        let mut families = Families::default();
        for value in values {
            families.assign(value);
        }
        families
    }

    #[test]
    fn the_first_assignment_decides_whether_the_list_allows_or_denies() {
        let only = families(&["AF_UNIX AF_INET", "~AF_INET", "AF_NETLINK"]);
        assert!(only.allow("AF_NETLINK") && !only.allow("AF_INET") && !only.allow("AF_INET6"));
        let but = families(&["~AF_UNIX AF_INET", "AF_INET"]);
        assert!(!but.allow("AF_UNIX") && but.allow("AF_INET") && but.allow("AF_INET6"));
    }

    #[test]
    fn none_allows_nothing_and_an_empty_assignment_anything() {
        assert!(!families(&["none"]).allow("AF_UNIX"));
        assert!(families(&["none", "AF_UNIX"]).allow("AF_UNIX"));
        assert_eq!(families(&["AF_UNIX", ""]), Families::Any);
    }
}
