//! What of a session is the node's: who it is, and where its peers find it. No IO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use ferrolb_link::Routers;
use ferrolb_vocab::{BgpId, InterfaceName, Link, LinkAddress, LinkFlag, NodeName};

/// The node, as its sessions see it.
#[derive(Clone, Copy, Debug)]
pub(in crate::speaker) struct Host<'a> {
    /// Its name.
    pub(in crate::speaker) node: &'a NodeName,
    /// Its `InternalIP`s.
    pub(in crate::speaker) internal_ips: &'a [IpAddr],
    /// Its interfaces.
    pub(in crate::speaker) links: &'a [Link],
    /// Who is heard behind those of them on which a peer has no address.
    pub(in crate::speaker) routers: &'a Routers,
}

impl<'a> Host<'a> {
    /// The BGP Identifier where no object names one: the node's IPv4 address, or a number that its name
    /// gives, always the same (RFC 6286 §2.1: any that is unique in the autonomous system).
    pub(super) fn bgp_id(&self) -> BgpId {
        let from_address = self.internal_ips.iter().copied().find_map(usable_v4).and_then(BgpId::from_ipv4);
        from_address.unwrap_or_else(|| {
            let octets = self.node.as_str().bytes();
            let hash =
                octets.fold(FNV_OFFSET, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(FNV_PRIME));
            BgpId::new(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN))
        })
    }

    /// The link of this node that the address is on; of several, one that carries.
    pub(super) fn link_to(&self, address: IpAddr) -> Option<&'a Link> {
        let mut links = self.links.iter().filter(|link| reaches(link, address));
        let first = links.next()?;
        Some([first].into_iter().chain(links).find(|link| carries(link)).unwrap_or(first))
    }

    /// The link by which packets to the address leave this node. Those to its own address do not, whatever
    /// becomes of the link that has it.
    pub(super) fn way_to(&self, address: IpAddr) -> Option<&'a Link> {
        self.link_to(address).filter(|link| link.addresses.iter().all(|own| own.address != address))
    }

    /// The interface of this name.
    pub(super) fn link(&self, name: &InterfaceName) -> Option<&'a Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    /// Whether there is an interface of this name that is up and has a carrier.
    pub(super) fn carries(&self, name: &InterfaceName) -> bool {
        self.link(name).is_some_and(carries)
    }

    /// The IPv4 address that a peer can send to, where the session itself has none.
    pub(super) fn next_hop_ipv4(&self, peer: IpAddr) -> Option<Ipv4Addr> {
        self.addresses(peer).into_iter().find_map(usable_v4)
    }

    /// The global IPv6 address that a peer can send to, where the session itself has none.
    pub(super) fn next_hop_ipv6(&self, peer: IpAddr) -> Option<Ipv6Addr> {
        self.addresses(peer).into_iter().find_map(usable_v6)
    }

    /// The node's addresses, those first that the peer most likely reaches: on the link to it the node's
    /// `InternalIP`s, then the others, then the `InternalIP`s, then what is beside them on their links.
    fn addresses(&self, peer: IpAddr) -> Vec<IpAddr> {
        let is_internal = |address: &IpAddr| self.internal_ips.contains(address);
        let of = |link: &Link| -> Vec<IpAddr> { link.addresses.iter().map(|own| own.address).collect() };
        let links = || self.links.iter();
        let toward: Vec<IpAddr> = links().filter(|link| reaches(link, peer)).flat_map(of).collect();
        let first = toward.iter().copied().filter(is_internal);
        let beside = links().map(of).filter(|all| all.iter().any(is_internal)).flatten();
        let internal = self.internal_ips.iter().copied();
        first.chain(toward.iter().copied()).chain(internal).chain(beside).collect()
    }
}

/// Whether `link` has an address of its own that packets to its neighbours can come from.
pub(super) fn has_link_local(link: &Link) -> bool {
    let is_link_local = |own: IpAddr| matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
    link.addresses.iter().any(|own| is_link_local(own.address))
}

/// The addresses of `link` that who is on it can send to: an IPv4 and a global IPv6 one.
pub(super) fn next_hops_on(link: &Link) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    let addresses = || link.addresses.iter().map(|own| own.address);
    (addresses().find_map(usable_v4), addresses().find_map(usable_v6))
}

/// Whether frames come and go on `link`, as far as the node can see.
fn carries(link: &Link) -> bool {
    link.is(LinkFlag::Up) && link.is(LinkFlag::Carrier)
}

/// Whether `address` is on-link through `link`. A host route says nothing of others.
fn reaches(link: &Link, address: IpAddr) -> bool {
    let is_shared = |own: &&LinkAddress| own.prefix.length() < own.prefix.family().bits();
    link.addresses.iter().filter(is_shared).any(|own| own.prefix.contains(address))
}

fn usable_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = address else { return None };
    let is_useless = address.is_loopback() || address.is_unspecified() || address.is_link_local();
    (!is_useless).then_some(address)
}

fn usable_v6(address: IpAddr) -> Option<Ipv6Addr> {
    let IpAddr::V6(address) = address else { return None };
    let is_useless = address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local();
    (!is_useless).then_some(address)
}

/// FNV-1a of 32 bits.
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_vocab::IpPrefix;

    fn link(name: &str, addresses: &[&str]) -> Link {
        let address = |text: &&str| {
            let (address, length) = text.split_once('/').unwrap();
            let address = address.parse().unwrap();
            LinkAddress { address, prefix: IpPrefix::containing(address, length.parse().unwrap()).unwrap() }
        };
        Link {
            index: 2,
            name: name.into(),
            mac: None,
            flags: [LinkFlag::Up, LinkFlag::Carrier].into(),
            addresses: addresses.iter().map(address).collect(),
        }
    }

    fn host<'a>(node: &'a NodeName, internal_ips: &'a [IpAddr], links: &'a [Link]) -> Host<'a> {
        static NOBODY: Routers = Routers::new();
        Host { node, internal_ips, links, routers: &NOBODY }
    }

    fn ips(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn without_an_ipv4_address_the_identifier_is_the_names_and_always_the_same() {
        let (one, other) = (NodeName::from("node-a"), NodeName::from("node-b"));
        let id = |node, internal_ips: &[&str]| host(node, &ips(internal_ips), &[]).bgp_id().to_string();
        assert_eq!(id(&one, &["fd00::1", "192.0.2.7"]), "192.0.2.7");
        assert_eq!(id(&one, &["fd00::1"]), id(&one, &[]));
        assert_ne!(id(&one, &[]), id(&other, &[]));
    }

    #[test]
    fn the_next_hop_is_on_the_link_to_the_peer_if_there_is_one() {
        let node = NodeName::from("a");
        let links = [
            link("lo", &["127.0.0.1/8", "::1/128", "198.51.100.1/32"]),
            link("eth0", &["192.0.2.7/24", "fe80::7/64", "2001:db8::77/64", "2001:db8::7/64"]),
            link("eth1", &["10.0.0.7/24", "fd00::7/64"]),
        ];
        let (v4, v6) = (ips(&["192.0.2.7"]), ips(&["2001:db8::7", "192.0.2.7"]));
        for (internal_ips, peer, expected_v4, expected_v6) in [
            (&v4, "192.0.2.1", "192.0.2.7", "2001:db8::77"),
            (&v6, "192.0.2.1", "192.0.2.7", "2001:db8::7"),
            (&v6, "fd00::1", "10.0.0.7", "fd00::7"),
            (&v4, "203.0.113.1", "192.0.2.7", "2001:db8::77"),
        ] {
            let host = host(&node, internal_ips, &links);
            let peer = peer.parse().unwrap();
            let found = (host.next_hop_ipv4(peer).unwrap(), host.next_hop_ipv6(peer).unwrap());
            assert_eq!((found.0.to_string(), found.1.to_string()), (expected_v4.into(), expected_v6.into()));
        }
        let nowhere = host(&node, &[], &[]);
        assert_eq!(nowhere.next_hop_ipv4("192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn what_a_prefix_of_a_link_holds_is_on_link_and_a_host_route_holds_nobody_else() {
        let node = NodeName::from("a");
        let links = [link("eth0", &["192.0.2.7/24", "198.51.100.1/32"])];
        for (address, expected) in [("192.0.2.1", true), ("192.0.3.1", false), ("198.51.100.1", false)] {
            let found = host(&node, &[], &links).link_to(address.parse().unwrap());
            assert_eq!(found.is_some(), expected, "{address}");
        }
    }

    #[test]
    fn of_two_links_to_a_subnet_one_that_carries_is_the_way() {
        use LinkFlag::{Carrier, Up};
        let node = NodeName::from("a");
        for (flags, expected) in [
            ([vec![Up, Carrier], vec![Up, Carrier]], "eth0"),
            ([vec![Up], vec![Up, Carrier]], "eth1"),
            ([vec![Carrier], vec![Up, Carrier]], "eth1"),
            ([vec![Up], vec![]], "eth0"),
        ] {
            let mut links = [link("eth0", &["192.0.2.7/24"]), link("eth1", &["192.0.2.8/24"])];
            for (link, flags) in links.iter_mut().zip(flags) {
                link.flags = flags.into_iter().collect();
            }
            let host = host(&node, &[], &links);
            let way = host.link_to("192.0.2.1".parse().unwrap()).unwrap();
            assert_eq!(way.name.as_str(), expected, "{links:?}");
        }
    }
}
