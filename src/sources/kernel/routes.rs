//! Computes the route and the link state from the kernel's answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use nix::errno::Errno;
use nix::libc::{RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE};
use nix::net::if_::if_nametoindex;

use super::message::{
    Message, NetworkLink, Route, addresses_at, link, link_at, route, route_to, usable_address,
};
use super::queries::{KernelAnswer, Queries};
use crate::gate::event::{Hop, LinkState, Routes};
use crate::sources::resolv_conf::{self, NameServer};

/// Stand-ins for "anywhere", to which no packet is ever sent: the AS112 service (RFC 7534).
///
/// These prefixes are globally reachable by registry (RFC 6890), and nobody's own. Documentation
/// prefixes, the usual choice, are what firewalls and routing daemons send to a black hole, and the
/// benchmark prefix 198.18.0.0/15 is where tunnelling proxies put their made-up addresses.
pub(super) const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 175, 48, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 1)),
];

/// What is said where the kernel cannot be asked: unknown must not forbid a probe, so there is a link,
/// and no address without a hop.
pub(super) fn unknown() -> Routes {
    Routes {
        hops: BTreeMap::new(),
        known: false,
        link_state: LinkState::Addressed,
    }
}

/// Asks for the route to `addresses`, or to the name servers and anywhere if there are none.
///
/// Routes are read before links: what a route leads through is then either among the links or gone.
pub(super) async fn read(
    queries: &mut Queries,
    resolv_conf: &Path,
    addresses: &[IpAddr],
) -> Result<Routes> {
    let mut routes = Vec::new();
    for (address, scope) in destinations(addresses, resolv_conf) {
        let found = ask(queries, address, scope.as_deref()).await?;
        routes.push((address, found));
    }
    let (links, link_state) = match on_the_way(queries, &routes).await? {
        // One link with an address is enough: containers have links by the hundred.
        (links, LinkState::Addressed) => (links, LinkState::Addressed),
        _ => everywhere(queries).await?,
    };
    Ok(Routes {
        hops: hops(routes, &links),
        known: !addresses.is_empty(),
        link_state,
    })
}

/// The interfaces of the default routes, those that let packets pass, and those of them that have an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultRoutes {
    /// The interface through which IPv4 leads anywhere, if it does.
    pub ipv4: Option<String>,
    /// The same of IPv6.
    pub ipv6: Option<String>,
    /// The interfaces that are up and have carrier.
    pub passing: BTreeSet<String>,
    /// Those of them that have an address beyond link-local ones.
    pub addressed: BTreeSet<String>,
}

/// Asks the kernel once for its default routes.
pub async fn default_routes() -> Result<DefaultRoutes> {
    let mut queries = Queries::open()?;
    let [ipv4, ipv6] = ANYWHERE;
    let found = [
        ask(&mut queries, ipv4, None).await?,
        ask(&mut queries, ipv6, None).await?,
    ];
    let links = all(&mut queries).await?;
    let with_address = usable_addresses(&mut queries, 0).await?;
    let passing = links.values().filter(|link| link.passes && !link.loopback);
    let addressed = passing
        .clone()
        .filter(|link| with_address.contains(&link.index));
    let addressed = addressed.map(|link| link.name.clone()).collect();
    let passing = passing.map(|link| link.name.clone()).collect();
    let [ipv4, ipv6] = found.map(|route| Some(hop_of(&route?, &links)?.interface));
    Ok(DefaultRoutes {
        ipv4,
        ipv6,
        passing,
        addressed,
    })
}

/// The links that the routes lead through, and what they amount to.
async fn on_the_way(
    queries: &mut Queries,
    routes: &[(IpAddr, Option<Route>)],
) -> Result<(Links, LinkState)> {
    let mut links = Links::new();
    let mut with_address = Vec::new();
    let ways = routes.iter().filter_map(|(_, route)| *route);
    let interfaces: BTreeSet<u32> = ways.map(|route| route.interface).collect();
    for index in interfaces {
        links.extend(link_of(queries, index).await?);
        with_address.extend(usable_addresses(queries, index).await?);
    }
    let link_state = link_state(&links, &with_address);
    Ok((links, link_state))
}

async fn all(queries: &mut Queries) -> Result<Links> {
    let links = queries
        .all(RTM_GETLINK, &link_at(0), |message| {
            link(message.payload).filter(|_| message.kind == RTM_NEWLINK)
        })
        .await?;
    Ok(links.into_iter().map(|link| (link.index, link)).collect())
}

/// All links, and what they amount to.
async fn everywhere(queries: &mut Queries) -> Result<(Links, LinkState)> {
    let links = all(queries).await?;
    let with_address = usable_addresses(queries, 0).await?;
    let link_state = link_state(&links, &with_address);
    Ok((links, link_state))
}

// Every destination with the interface its scope names.
fn destinations(addresses: &[IpAddr], resolv_conf: &Path) -> Vec<(IpAddr, Option<String>)> {
    if !addresses.is_empty() {
        return addresses.iter().map(|address| (*address, None)).collect();
    }
    let content = resolv_conf::read(resolv_conf).unwrap_or_default();
    let servers = resolv_conf::name_servers(&content);
    let anywhere = ANYWHERE.map(|address| (address, None));
    servers
        .filter(|server| !server.address.to_canonical().is_loopback())
        .map(|NameServer { address, scope }| (address, scope))
        .chain(anywhere)
        .collect()
}

async fn ask(queries: &mut Queries, address: IpAddr, scope: Option<&str>) -> Result<Option<Route>> {
    let Ok(through) = scope.map(interface_index).transpose() else {
        // The scope's interface is not there, and so nor is a way.
        return Ok(None);
    };
    let address = address.to_canonical();
    let body = route_to(address, through);
    let mut found = None;
    let answer = queries
        .one(RTM_GETROUTE, &body, |message| {
            found = route(message.payload).filter(|_| message.kind == RTM_NEWROUTE);
        })
        .await?;
    match answer {
        KernelAnswer::Refused(errno) if cannot_be_asked(address, errno) => Err(errno.into()),
        KernelAnswer::Refused(_) => Ok(None),
        KernelAnswer::Given | KernelAnswer::Torn => Ok(found),
    }
}

// A scope is an interface's name, or its index.
fn interface_index(scope: &str) -> Result<u32> {
    scope
        .parse()
        .or_else(|_| if_nametoindex(scope).map_err(Into::into))
}

// A refusal is a routing decision (unreachable, prohibit, blackhole, no such family), but for those that
// say that such a question is not answered at all; a kernel without IPv6 says so of IPv6 only.
fn cannot_be_asked(address: IpAddr, errno: Errno) -> bool {
    match errno {
        Errno::EPERM | Errno::ENOMEM | Errno::ENOBUFS | Errno::ENOSYS => true,
        Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT => address.is_ipv4(),
        _ => false,
    }
}

type Links = HashMap<u32, NetworkLink>;

/// None if it has gone meanwhile.
async fn link_of(queries: &mut Queries, index: u32) -> Result<Option<(u32, NetworkLink)>> {
    let mut found = None;
    let take = |message: Message| {
        found = link(message.payload).filter(|_| message.kind == RTM_NEWLINK);
    };
    queries.one(RTM_GETLINK, &link_at(index), take).await?;
    Ok(found.map(|link| (link.index, link)))
}

/// The indices of links, once for each usable address.
async fn usable_addresses(queries: &mut Queries, index: u32) -> Result<Vec<u32>> {
    let read =
        |message: Message| usable_address(message.payload).filter(|_| message.kind == RTM_NEWADDR);
    let found = queries.all(RTM_GETADDR, &addresses_at(index), read).await;
    match found {
        // The link has gone meanwhile.
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(Vec::new()),
        found => found,
    }
}

// The same address may be asked for in several scopes: a way is a way.
fn hops(routes: Vec<(IpAddr, Option<Route>)>, links: &Links) -> BTreeMap<IpAddr, Option<Hop>> {
    let mut hops = BTreeMap::new();
    for (address, route) in routes {
        let hop: &mut Option<Hop> = hops.entry(address).or_default();
        *hop = hop.take().or_else(|| hop_of(&route?, links));
    }
    hops
}

// A route stays for a while when the cable is out, but nothing passes.
fn hop_of(route: &Route, links: &Links) -> Option<Hop> {
    let link = links.get(&route.interface).filter(|link| link.passes)?;
    Some(Hop {
        interface: link.name.clone(),
        gateway: route.gateway,
    })
}

fn link_state(links: &Links, addressed: &[u32]) -> LinkState {
    let passes = |link: &&NetworkLink| link.passes && !link.loopback;
    let mut passing = links.values().filter(passes).peekable();
    if passing.peek().is_none() {
        LinkState::NoLink
    } else if passing.any(|link| addressed.contains(&link.index)) {
        LinkState::Addressed
    } else {
        LinkState::NoAddress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, passes: bool) -> (u32, NetworkLink) {
        let link = NetworkLink {
            index,
            name: format!("eth{index}"),
            passes,
            loopback: index == 1,
        };
        (index, link)
    }

    fn through(interface: u32) -> Route {
        Route {
            interface,
            gateway: None,
        }
    }

    #[test]
    fn loopback_alone_is_no_ground() {
        assert_eq!(
            link_state(&Links::from([link(1, true)]), &[1]),
            LinkState::NoLink
        );
    }

    #[test]
    fn an_address_counts_on_a_link_that_lets_packets_pass() {
        let links = Links::from([link(2, true), link(3, false)]);
        assert_eq!(link_state(&links, &[]), LinkState::NoAddress);
        assert_eq!(link_state(&links, &[3]), LinkState::NoAddress);
        assert_eq!(link_state(&links, &[2]), LinkState::Addressed);
    }

    #[test]
    fn a_route_through_a_cable_that_is_out_is_no_way() {
        let links = Links::from([link(2, true), link(3, false)]);
        let [inside, outside] = ANYWHERE;
        let routes = vec![(inside, Some(through(2))), (outside, Some(through(3)))];
        let hops = hops(routes, &links);
        assert_eq!(hops[&inside].as_ref().unwrap().interface, "eth2");
        assert_eq!(hops[&outside], None);
    }

    #[test]
    fn an_address_reached_in_one_of_its_scopes_is_reached() {
        let links = Links::from([link(2, true)]);
        let address = ANYWHERE[1];
        for routes in [[None, Some(through(2))], [Some(through(2)), None]] {
            let routes = routes.map(|route| (address, route));
            assert!(hops(routes.to_vec(), &links)[&address].is_some());
        }
    }

    #[test]
    fn the_targets_addresses_take_the_name_servers_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let content = "nameserver 127.0.0.53\nnameserver fe80::1%wlan0\n";
        std::fs::write(&path, content).unwrap();
        let scoped = ("fe80::1".parse().unwrap(), Some("wlan0".to_owned()));
        let [v4, v6] = ANYWHERE.map(|address| (address, None));
        assert_eq!(destinations(&[], &path), [scoped, v4.clone(), v6]);
        assert_eq!(destinations(&[ANYWHERE[0]], &path), [v4]);
    }

    #[test]
    fn a_kernel_without_ipv6_can_still_be_asked() {
        let [v4, v6] = ANYWHERE;
        assert!(!cannot_be_asked(v6, Errno::EOPNOTSUPP));
        assert!(cannot_be_asked(v4, Errno::EOPNOTSUPP));
        assert!(!cannot_be_asked(v4, Errno::ENETUNREACH));
    }

    #[test]
    fn unknown_forbids_no_probe() {
        assert_eq!(unknown().link_state, LinkState::Addressed);
        assert!(unknown().hops.is_empty() && !unknown().known);
    }
}
