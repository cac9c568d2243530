//! Whether the machine reaches others, and is reached, as before. Pure: what was recorded, compared with what is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::facts::Health;
use crate::sources::kernel::DefaultRoutes;

/// The TCP ports on which each service of the system listens, but for those that only this machine reaches.
pub type ListeningServices = BTreeMap<String, BTreeSet<u16>>;

/// What there is of a network at one time.
#[derive(Clone, Debug, Default)]
pub struct NetworkReading {
    /// The default routes, and the links.
    pub routes: DefaultRoutes,
    /// Why no name can be resolved, where that is certain.
    pub no_resolver: Option<String>,
    /// How long the machine has been asleep in this boot.
    pub asleep_usec: u64,
}

/// How the machine reached others, and was reached, before the try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkBaseline {
    /// The default route, if there was one.
    pub route: Option<DefaultRoute>,
    /// Where there was none: the interfaces that let packets pass and had an address.
    pub links: BTreeSet<String>,
    /// Whether there was a name server to ask.
    pub resolver: bool,
    /// Who listened.
    pub listeners: ListeningServices,
    /// How long the machine had been asleep in its boot.
    pub asleep_usec: u64,
}

/// A shorter sleep is the difference between two readings.
const SLEEP: u64 = 1_000_000;

impl NetworkBaseline {
    /// What must not be lost of it.
    pub fn of(reading: &NetworkReading, listeners: ListeningServices) -> Self {
        let route = DefaultRoute::of(&reading.routes);
        let links = route.is_none().then(|| reading.routes.addressed.clone());
        Self {
            route,
            links: links.unwrap_or_default(),
            resolver: reading.no_resolver.is_none(),
            listeners,
            asleep_usec: reading.asleep_usec,
        }
    }

    /// Whether others are reached as before. After a sleep the network may be another one, which says nothing.
    pub fn reaching(&self, now: &NetworkReading, is_same_boot: bool) -> Health {
        let then = if is_same_boot { self.asleep_usec } else { 0 };
        if now.asleep_usec > then.saturating_add(SLEEP) {
            return Health::Good;
        }
        let way = match &self.route {
            Some(route) => route.health(&now.routes),
            None => self.address(&now.routes),
        };
        match &now.no_resolver {
            // Without a way the name servers are gone, too.
            Some(why) if self.resolver && way == Health::Good => Health::Bad(why.clone()),
            _ => way,
        }
    }

    /// What has become of the addresses of a machine that reaches its own networks only. One that is on another interface now was
    /// moved, as to a bridge.
    fn address(&self, now: &DefaultRoutes) -> Health {
        let lost = self.links.difference(&now.addressed);
        let lost: Vec<_> = lost.map(String::as_str).collect();
        if lost.is_empty() || !now.addressed.is_subset(&self.links) {
            return Health::Good;
        }
        match lost.iter().find(|link| now.passing.contains(**link)) {
            Some(link) => Health::Bad(format!("{link} has no address, though it has carrier")),
            None if now.addressed.is_empty() => {
                let lost = lost.join(", ");
                Health::Unknown(format!("{lost}: no carrier, or not there"))
            }
            // A bridge without containers, a cable of several.
            None => Health::Good,
        }
    }
}

/// Why no name can be resolved: all name servers are on this machine, and none of them listens. Others may answer.
pub fn no_resolver(asked: &[IpAddr], listening: &BTreeSet<IpAddr>) -> Option<String> {
    let any = listening.iter().any(IpAddr::is_unspecified);
    let silent = |server: &IpAddr| server.is_loopback() && !any && !listening.contains(server);
    let server = asked.first().filter(|_| asked.iter().all(silent))?;
    Some(format!(
        "nothing listens on the name server {server} of /etc/resolv.conf"
    ))
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
    fn of(routes: &DefaultRoutes) -> Option<Self> {
        let of = |ipv6, interface: &Option<String>| {
            let interface = interface.clone()?;
            Some(Self { ipv6, interface })
        };
        of(false, &routes.ipv4).or_else(|| of(true, &routes.ipv6))
    }

    /// What has become of it. A cable that is out, or a network that is out of range, is no verdict.
    fn health(&self, now: &DefaultRoutes) -> Health {
        let (there, family) = if self.ipv6 {
            (now.ipv6.is_some(), "IPv6")
        } else {
            (now.ipv4.is_some(), "IPv4")
        };
        let interface = &self.interface;
        if there {
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

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn routes(ipv4: Option<&str>, ipv6: Option<&str>, passing: &[&str]) -> NetworkReading {
        let routes = DefaultRoutes {
            ipv4: ipv4.map(str::to_owned),
            ipv6: ipv6.map(str::to_owned),
            passing: names(passing),
            addressed: names(passing),
        };
        NetworkReading {
            routes,
            ..NetworkReading::default()
        }
    }

    /// No default route; these interfaces let packets pass, and those have an address.
    fn local(passing: &[&str], addressed: &[&str]) -> NetworkReading {
        let mut reading = routes(None, None, passing);
        reading.routes.addressed = names(addressed);
        reading
    }

    fn baseline(reading: &NetworkReading) -> NetworkBaseline {
        NetworkBaseline::of(reading, ListeningServices::new())
    }

    fn ethernet() -> NetworkBaseline {
        baseline(&routes(Some("eth0"), Some("eth0"), &["eth0"]))
    }

    #[test]
    fn a_default_route_is_lost_only_where_the_link_still_has_carrier() {
        let health = |now: &NetworkReading| ethernet().reaching(now, true);
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
        assert_eq!(ethernet().reaching(&moved, true), Health::Good);
    }

    #[test]
    fn after_a_sleep_the_network_may_be_another_one() {
        let mut nowhere = routes(None, None, &["eth0"]);
        nowhere.asleep_usec = 2_000_000;
        assert_eq!(ethernet().reaching(&nowhere, true), Health::Good);
        let slept_before = NetworkBaseline {
            asleep_usec: 1_500_000,
            ..ethernet()
        };
        assert!(slept_before.reaching(&nowhere, true).is_bad());
        assert_eq!(slept_before.reaching(&nowhere, false), Health::Good);
    }

    #[test]
    fn an_ipv6_route_counts_where_there_was_no_other() {
        let only = baseline(&routes(None, Some("eth0"), &["eth0"]));
        let now = routes(Some("eth0"), None, &["eth0"]);
        assert!(only.reaching(&now, true).is_bad());
        assert_eq!(baseline(&routes(None, None, &["eth0"])).route, None);
    }

    #[test]
    fn an_address_counts_where_there_was_no_default_route() {
        let before = baseline(&local(&["docker0", "eth0", "eth1"], &["docker0", "eth0"]));
        let health = |passing: &[&str], addressed: &[&str]| {
            before.reaching(&local(passing, addressed), true)
        };
        let lost = Health::Bad("eth0 has no address, though it has carrier".to_owned());
        assert_eq!(health(&["docker0", "eth0"], &["docker0"]), lost);
        let unknown = Health::Unknown("docker0, eth0: no carrier, or not there".to_owned());
        assert_eq!(health(&["eth1"], &[]), unknown);
        assert_eq!(
            health(&["eth0", "eth1"], &["eth0"]),
            Health::Good,
            "no container"
        );
        assert_eq!(health(&["br0", "eth0"], &["br0"]), Health::Good, "moved");
        let nowhere = baseline(&local(&["eth0"], &[]));
        assert_eq!(nowhere.reaching(&local(&["eth0"], &[]), true), Health::Good);
    }

    #[test]
    fn name_servers_that_do_not_listen_count_where_there_is_a_way_to_others() {
        let mut deaf = routes(Some("eth0"), None, &["eth0"]);
        deaf.no_resolver = Some("nothing listens".to_owned());
        assert!(ethernet().reaching(&deaf, true).is_bad());
        assert_eq!(baseline(&deaf).reaching(&deaf, true), Health::Good);
        deaf.routes = local(&[], &[]).routes;
        assert!(!ethernet().reaching(&deaf, true).is_bad());
    }

    #[test]
    fn only_name_servers_of_this_machine_are_known_not_to_listen() {
        let addresses = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let none = |asked: &[&str], listening: &[&str]| {
            no_resolver(
                &addresses(asked),
                &addresses(listening).into_iter().collect(),
            )
        };
        let silent = "nothing listens on the name server 127.0.0.53 of /etc/resolv.conf";
        assert_eq!(
            none(&["127.0.0.53"], &["127.0.0.1"]).as_deref(),
            Some(silent)
        );
        assert!(none(&["127.0.0.1", "::1"], &["192.0.2.7"]).is_some());
        assert_eq!(none(&["127.0.0.1", "192.0.2.53"], &[]), None);
        assert_eq!(none(&["127.0.0.53"], &["127.0.0.53"]), None);
        assert_eq!(none(&["127.0.0.53", "::1"], &["::1"]), None);
        assert_eq!(none(&["::1"], &["0.0.0.0"]), None);
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
