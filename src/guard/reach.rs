//! Whether the machine reaches others, and is reached, as before. Pure: what was recorded, compared with what is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::facts::Health;
use crate::sources::kernel::DefaultRoutes;

/// The TCP ports on which each service of the system listens, but for those that only this machine reaches.
pub type ListeningServices = BTreeMap<String, BTreeSet<u16>>;

/// How the machine reached others, and was reached, before the try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkBaseline {
    /// The default route, if there was one.
    pub route: Option<DefaultRoute>,
    /// Who listened.
    pub listeners: ListeningServices,
    /// How long the machine had been asleep in its boot.
    pub asleep_usec: u64,
}

/// The default route that must not be lost: that of IPv4, or of IPv6 where there is no other. An IPv6 route comes and goes with
/// the router's advertisements.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DefaultRoute {
    /// Whether it is that of IPv6.
    pub ipv6: bool,
    /// The interface that it leads through.
    pub interface: String,
}

impl DefaultRoute {
    /// The one of these that must not be lost.
    pub fn of(routes: &DefaultRoutes) -> Option<Self> {
        let of = |ipv6, interface: &Option<String>| {
            let interface = interface.clone()?;
            Some(Self { ipv6, interface })
        };
        of(false, &routes.ipv4).or_else(|| of(true, &routes.ipv6))
    }

    /// What has become of it. A cable that is out, or a network that is out of range, is no verdict; after a sleep the network may
    /// be another one, which says nothing.
    pub fn health(&self, now: &DefaultRoutes, has_slept: bool) -> Health {
        let (there, family) = if self.ipv6 {
            (now.ipv6.is_some(), "IPv6")
        } else {
            (now.ipv4.is_some(), "IPv4")
        };
        let interface = &self.interface;
        if there || has_slept {
            Health::Good
        } else if now.passing.contains(interface) {
            Health::Bad(format!(
                "there is no {family} default route, though {interface} has carrier"
            ))
        } else {
            Health::Unknown(format!("{interface} has no carrier, or is not there"))
        }
    }
}

/// The services that listened before and of whose ports none is listened on now.
pub fn silent<'a>(before: &'a ListeningServices, ports: &BTreeSet<u16>) -> Vec<&'a str> {
    let silent = before.iter().filter(|(_, had)| had.is_disjoint(ports));
    silent.map(|(unit, _)| unit.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(ipv4: Option<&str>, ipv6: Option<&str>, passing: &[&str]) -> DefaultRoutes {
        DefaultRoutes {
            ipv4: ipv4.map(str::to_owned),
            ipv6: ipv6.map(str::to_owned),
            passing: passing.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn ethernet() -> DefaultRoute {
        DefaultRoute::of(&routes(Some("eth0"), Some("eth0"), &["eth0"])).unwrap()
    }

    #[test]
    fn a_default_route_is_lost_only_where_the_link_still_has_carrier() {
        let health = |now: &DefaultRoutes| ethernet().health(now, false);
        let lost = "there is no IPv4 default route, though eth0 has carrier";
        let lost = Health::Bad(lost.to_owned());
        assert_eq!(health(&routes(None, None, &["eth0"])), lost);
        assert_eq!(health(&routes(None, Some("eth0"), &["eth0"])), lost);
        let out = Health::Unknown("eth0 has no carrier, or is not there".to_owned());
        assert_eq!(health(&routes(None, None, &[])), out);
        assert_eq!(health(&routes(None, None, &["docker0"])), out);
    }

    #[test]
    fn a_default_route_through_another_interface_is_as_good() {
        let moved = routes(Some("wlan0"), None, &["wlan0"]);
        assert_eq!(ethernet().health(&moved, false), Health::Good);
    }

    #[test]
    fn after_a_sleep_the_network_may_be_another_one() {
        let nowhere = routes(None, None, &["eth0"]);
        assert_eq!(ethernet().health(&nowhere, true), Health::Good);
    }

    #[test]
    fn an_ipv6_route_counts_where_there_was_no_other() {
        let only = DefaultRoute::of(&routes(None, Some("eth0"), &["eth0"])).unwrap();
        let now = routes(Some("eth0"), None, &["eth0"]);
        assert!(matches!(only.health(&now, false), Health::Bad(_)));
        assert_eq!(DefaultRoute::of(&routes(None, None, &["eth0"])), None);
    }

    #[test]
    fn a_service_is_silent_if_none_of_its_ports_is_listened_on() {
        let ports = |ports: &[u16]| ports.iter().copied().collect::<BTreeSet<_>>();
        let before = ListeningServices::from([
            ("sshd.service".to_owned(), ports(&[22])),
            ("nginx.service".to_owned(), ports(&[80, 443])),
        ]);
        assert_eq!(silent(&before, &ports(&[443, 8080])), ["sshd.service"]);
    }
}
