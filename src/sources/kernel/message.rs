//! rtnetlink's bytes, read and written: pure, so that every shape of a message can be tested.
//!
//! Only the few attributes that matter are looked at; what newer kernels add is passed over.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkBuffer, NlasIterator};
use nix::libc::{
    self, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_OPTIMISTIC, IFA_F_TENTATIVE, IFLA_EXT_MASK,
    IFLA_IFNAME, IFLA_WIRELESS, RT_SCOPE_LINK, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_VIA,
    RTM_DELROUTE, RTM_F_CLONED, RTM_NEWLINK, RTM_NEWROUTE, RTN_BLACKHOLE, RTN_THROW,
};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const RTEXT_FILTER_SKIP_STATS: u32 = libc::RTEXT_FILTER_SKIP_STATS.cast_unsigned();
const IFF_LOOPBACK: u32 = libc::IFF_LOOPBACK.cast_unsigned();
// A Wi-Fi card has carrier (LOWER_UP) before its keys are set; only then is it RUNNING (RFC 2863, dormant).
const PASSES: u32 = (libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOWER_UP).cast_unsigned();
// linux/if_addr.h; not in libc.
const IFA_FLAGS: u16 = 8;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of a datagram, up to the first one that is malformed.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(datagram).ok()?;
        let length = usize::try_from(message.length()).ok()?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Message {
            kind: message.message_type(),
            flags: message.flags(),
            sequence: message.sequence_number(),
            payload: message.payload(),
        })
    })
}

/// A request to the kernel: a header and its body.
pub(super) fn request(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | NLM_F_REQUEST).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// The body of `RTM_GETROUTE`: which way does a packet to `address` take?
///
/// `through` is the index of the interface a link-local address belongs to.
pub(super) fn route_to(address: IpAddr, through: Option<u32>) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    let mut body = vec![0; 12];
    body[0] = family;
    body[1] = if family == AF_INET { 32 } else { 128 };
    push_attribute(&mut body, RTA_DST, &octets);
    if let Some(index) = through {
        push_attribute(&mut body, RTA_OIF, &index.to_ne_bytes());
    }
    body
}

/// The body of `RTM_GETLINK`: this link or, in a dump with index 0, all; without counters where the kernel can.
pub(super) fn link_at(index: u32) -> Vec<u8> {
    let mut body = vec![0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    push_attribute(
        &mut body,
        IFLA_EXT_MASK,
        &RTEXT_FILTER_SKIP_STATS.to_ne_bytes(),
    );
    body
}

/// The body of `RTM_GETADDR`: a link's addresses of both families, or with index 0 all. Before Linux 4.20 always all.
pub(super) fn addresses_at(index: u32) -> Vec<u8> {
    let mut body = vec![0; 8];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body
}

// Every value of ours is a multiple of four bytes long, so nothing is to be padded.
fn push_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The index of the outgoing interface.
    pub(super) interface: u32,
    /// The gateway, which may be of the other family (`RTA_VIA`, RFC 5549).
    pub(super) gateway: Option<IpAddr>,
}

/// Reads a route; none if it leads nowhere (unreachable, prohibit, blackhole, throw).
pub(super) fn route(payload: &[u8]) -> Option<Route> {
    let kind = *payload.get(7)?;
    if (RTN_BLACKHOLE..=RTN_THROW).contains(&kind) {
        return None;
    }
    let mut found = Route {
        interface: 0,
        gateway: None,
    };
    for (kind, value) in attributes(payload, 12) {
        match kind {
            RTA_OIF => found.interface = word(value, 0)?,
            RTA_GATEWAY => found.gateway = ip(value),
            RTA_VIA => found.gateway = value.get(2..).and_then(ip),
            _ => {}
        }
    }
    (found.interface != 0).then_some(found)
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NetworkLink {
    /// Its index.
    pub(super) index: u32,
    /// Its name.
    pub(super) name: String,
    /// Whether packets can pass: up, with carrier, and, on Wi-Fi, associated.
    pub(super) passes: bool,
    /// Whether it is the machine's way to itself.
    pub(super) loopback: bool,
}

/// Reads a link.
pub(super) fn link(payload: &[u8]) -> Option<NetworkLink> {
    let name = attributes(payload, 16).find(|(kind, _)| *kind == IFLA_IFNAME)?;
    let flags = word(payload, 8)?;
    Some(NetworkLink {
        index: word(payload, 4)?,
        name: text(name.1),
        passes: flags & PASSES == PASSES,
        loopback: flags & IFF_LOOPBACK != 0,
    })
}

/// Reads an address: the index of its interface, if it can be used to reach beyond the link.
pub(super) fn usable_address(payload: &[u8]) -> Option<u32> {
    let scope = *payload.get(3)?;
    let short = u32::from(*payload.get(2)?);
    let flags = attributes(payload, 8)
        .find(|(kind, _)| *kind == IFA_FLAGS)
        .and_then(|(_, value)| word(value, 0))
        .unwrap_or(short);
    (scope < RT_SCOPE_LINK && usable(flags)).then_some(word(payload, 4)?)
}

// An optimistic address is tentative too, and may be used all the same (RFC 4429).
fn usable(flags: u32) -> bool {
    let waits = flags & IFA_F_TENTATIVE != 0 && flags & IFA_F_OPTIMISTIC == 0;
    !waits && flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED) == 0
}

/// Whether a notice says "look again". What cannot be read does.
pub(super) fn is_hint(datagram: &[u8]) -> bool {
    let mut messages = messages(datagram).peekable();
    messages.peek().is_none() || messages.any(|message| message_rings(&message))
}

// Drivers report the events of a scan as RTM_NEWLINK with IFLA_WIRELESS, many a second; a cloned route
// is the kernel's own cache.
fn message_rings(message: &Message) -> bool {
    match message.kind {
        RTM_NEWLINK => !attributes(message.payload, 16).any(|(kind, _)| kind == IFLA_WIRELESS),
        RTM_NEWROUTE | RTM_DELROUTE => {
            word(message.payload, 8).is_none_or(|flags| flags & RTM_F_CLONED == 0)
        }
        _ => true,
    }
}

fn attributes(payload: &[u8], header: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let rest = payload.get(header..).unwrap_or(&[]);
    NlasIterator::new(rest).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(4..length)?))
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?));
    v4().or_else(v6)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: u32 = PASSES;

    fn with_attribute(mut body: Vec<u8>, kind: u16, value: &[u8]) -> Vec<u8> {
        push_attribute(&mut body, kind, value);
        body
    }

    fn link_of(flags: u32) -> Vec<u8> {
        let mut body = vec![0; 16];
        body[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        body[8..12].copy_from_slice(&flags.to_ne_bytes());
        with_attribute(body, IFLA_IFNAME, b"wlan0\0\0\0")
    }

    fn address_of(scope: u8, flags: u32) -> Vec<u8> {
        let mut body = vec![0, 24, 0, scope, 7, 0, 0, 0];
        body[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        with_attribute(body, IFA_FLAGS, &flags.to_ne_bytes())
    }

    fn route_of(kind: u8) -> Vec<u8> {
        let mut body = vec![0; 12];
        body[7] = kind;
        with_attribute(body, RTA_OIF, &7_u32.to_ne_bytes())
    }

    fn notice(kind: u16, body: &[u8]) -> bool {
        is_hint(&request(kind, 0, 0, body))
    }

    #[test]
    fn a_link_has_a_name_and_an_index() {
        let link = link(&link_of(GOOD)).unwrap();
        assert_eq!((link.index, link.name.as_str()), (7, "wlan0"));
        assert!(link.passes && !link.loopback);
    }

    #[test]
    fn a_link_without_carrier_or_keys_lets_nothing_pass() {
        for missing in [libc::IFF_UP, libc::IFF_RUNNING, libc::IFF_LOWER_UP] {
            let missing = missing.cast_unsigned();
            assert!(!link(&link_of(GOOD & !missing)).unwrap().passes);
        }
    }

    #[test]
    fn a_global_address_is_usable_and_a_link_local_one_is_not() {
        assert_eq!(usable_address(&address_of(0, 0x80)), Some(7));
        assert_eq!(usable_address(&address_of(RT_SCOPE_LINK, 0x80)), None);
        assert_eq!(usable_address(&address_of(254, 0x80)), None);
    }

    #[test]
    fn an_address_that_is_not_settled_is_not_usable() {
        for flag in [IFA_F_TENTATIVE, IFA_F_DADFAILED, IFA_F_DEPRECATED] {
            assert_eq!(usable_address(&address_of(0, flag)), None);
        }
        let optimistic = IFA_F_TENTATIVE | IFA_F_OPTIMISTIC;
        assert_eq!(usable_address(&address_of(0, optimistic)), Some(7));
    }

    #[test]
    fn an_address_of_an_old_kernel_has_its_flags_in_the_header() {
        let mut body = vec![0, 24, 0, 0, 0, 0, 0, 0];
        body[2] = 0x20;
        assert_eq!(usable_address(&body), None);
    }

    #[test]
    fn a_route_has_an_interface_and_a_gateway_of_either_family() {
        let plain = route(&route_of(1)).unwrap();
        assert_eq!((plain.interface, plain.gateway), (7, None));
        let gateway = with_attribute(route_of(1), RTA_GATEWAY, &[192, 0, 2, 1]);
        let expected = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(route(&gateway).unwrap().gateway, expected);
        let v6: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
        let mut via = u16::from(AF_INET6).to_ne_bytes().to_vec();
        via.extend(v6.octets());
        let body = with_attribute(route_of(1), RTA_VIA, &via);
        assert_eq!(route(&body).unwrap().gateway, Some(v6.into()));
    }

    #[test]
    fn an_unreachable_route_leads_nowhere() {
        for kind in RTN_BLACKHOLE..=RTN_THROW {
            assert_eq!(route(&route_of(kind)), None);
        }
    }

    #[test]
    fn a_route_without_an_interface_leads_nowhere() {
        assert_eq!(route(&[0; 12]), None);
    }

    #[test]
    fn links_addresses_routes_and_rules_ring() {
        for kind in [16, 17, 20, 21, 24, 25, 32, 33, 104, 105] {
            assert!(notice(kind, &[0; 16]), "{kind}");
        }
    }

    #[test]
    fn a_wireless_scan_rings_nothing() {
        let scan = with_attribute(link_of(GOOD), IFLA_WIRELESS, &[0; 8]);
        assert!(!notice(RTM_NEWLINK, &scan));
    }

    #[test]
    fn the_kernels_own_route_cache_rings_nothing() {
        let mut cloned = route_of(1);
        cloned[8..12].copy_from_slice(&RTM_F_CLONED.to_ne_bytes());
        assert!(!notice(RTM_NEWROUTE, &cloned));
    }

    #[test]
    fn a_notice_that_cannot_be_read_rings() {
        assert!(is_hint(&[]));
        assert!(is_hint(&[0xff; 40]));
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let bytes = request(
            libc::RTM_GETROUTE,
            0,
            9,
            &route_to([192, 0, 2, 1].into(), Some(3)),
        );
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].kind, read[0].sequence), (libc::RTM_GETROUTE, 9));
        assert_eq!(read[0].payload.len(), 12 + 8 + 8);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = (route(&bytes), link(&bytes), usable_address(&bytes), is_hint(&bytes));
            prop_assert!(messages(&bytes).count() <= bytes.len() / 16);
        }

        #[test]
        fn a_message_cut_short_is_not_read(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let whole = request(RTM_NEWROUTE, 0, 1, &body);
            prop_assert_eq!(messages(&whole).count(), 1);
            prop_assert_eq!(messages(&whole[..whole.len() - 1]).count(), 0);
        }
    }
}
