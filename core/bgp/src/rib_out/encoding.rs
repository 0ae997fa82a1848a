//! How what is wanted becomes path attributes on one session.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::{Asn, Community};
use ferrolb_wire::bgp::{Attributes, EncodedAttributes, Families, Family, NextHop, Origin, TooLong};

use crate::route::{LOCAL_PREF_DEFAULT, Route};

/// What UPDATEs on a session depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Both sides carry AS numbers of four octets (RFC 6793).
    pub four_octet_as: bool,
    /// The peer is in the same autonomous system.
    pub is_internal: bool,
    /// The number in this side's OPEN. With a local AS it is the alias, and the peer sees no other:
    /// RFC 7705 §3, no-prepend and replace-as.
    pub local_asn: Asn,
    /// This end of the connection.
    pub local_address: IpAddr,
    /// The next hop of IPv4 routes where `local_address` cannot be: over IPv6 without
    /// `extended_next_hop`, and over the loopback interface.
    pub next_hop_ipv4: Option<Ipv4Addr>,
    /// The global next hop of IPv6 routes where `local_address` is none: over IPv4, over the
    /// loopback interface, and beside a link-local address.
    pub next_hop_ipv6: Option<Ipv6Addr>,
    /// The families that both sides carry.
    pub families: Families,
    /// Both sides take IPv4 routes with an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
}

/// Makes the path attributes of one family's routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoder {
    four_octet_as: bool,
    is_internal: bool,
    local_asn: Asn,
    next_hop: NextHop,
    /// Routes are told as about to go away (RFC 8326).
    pub(super) is_shutting_down: bool,
}

impl Encoder {
    /// `None`: this node has no address that the peer could take for the next hop of `family`.
    pub(super) fn new(encoding: &Encoding, family: Family, is_shutting_down: bool) -> Option<Self> {
        let Encoding { four_octet_as, is_internal, local_asn, .. } = *encoding;
        let next_hop = match family {
            Family::Ipv4Unicast => ipv4_next_hop(encoding),
            Family::Ipv6Unicast => ipv6_next_hop(encoding),
        }?;
        Some(Self { four_octet_as, is_internal, local_asn, next_hop, is_shutting_down })
    }

    pub(super) fn encode(&self, route: &Route) -> Result<EncodedAttributes, TooLong> {
        EncodedAttributes::new(&self.attributes(route), self.four_octet_as)
    }

    /// RFC 4271 §5.1: this speaker originates the route and is its next hop.
    pub(super) fn attributes(&self, route: &Route) -> Attributes {
        // RFC 8326 §4: the community lowers the preference where an external peer lets it; inside
        // the autonomous system LOCAL_PREF does.
        let shutdown = self.is_shutting_down.then_some(Community::GRACEFUL_SHUTDOWN);
        let local_pref =
            if self.is_shutting_down { 0 } else { route.local_pref.unwrap_or(LOCAL_PREF_DEFAULT) };
        let link_bandwidth = route.link_bandwidth.map(|share| share.extended_community(self.local_asn));
        Attributes {
            origin: Origin::Igp,
            as_path: if self.is_internal { Vec::new() } else { Vec::from([self.local_asn]) },
            next_hop: self.next_hop,
            multi_exit_disc: None,
            local_pref: self.is_internal.then_some(local_pref),
            communities: route.communities.iter().copied().chain(shutdown).collect(),
            large_communities: route.large_communities.iter().copied().collect(),
            extended_communities: link_bandwidth.into_iter().collect(),
        }
    }
}

fn ipv4_next_hop(encoding: &Encoding) -> Option<NextHop> {
    match encoding.local_address {
        IpAddr::V4(address) if !address.is_loopback() && !address.is_unspecified() => {
            Some(NextHop::Ipv4(address))
        }
        // The one address that is sure to be on the link to the peer.
        IpAddr::V6(_) if encoding.extended_next_hop => ipv6_next_hop(encoding),
        IpAddr::V4(_) | IpAddr::V6(_) => encoding.next_hop_ipv4.map(NextHop::Ipv4),
    }
}

/// RFC 2545 §3: a global address, and the link-local one with it if the session runs over that.
/// Without a global one the link-local address stands alone, which the usual routers take.
fn ipv6_next_hop(encoding: &Encoding) -> Option<NextHop> {
    match encoding.local_address {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(match encoding.next_hop_ipv6 {
            Some(global) => NextHop::Ipv6 { global, link_local: Some(address) },
            None => NextHop::Ipv6 { global: address, link_local: None },
        }),
        IpAddr::V6(global) if !global.is_loopback() && !global.is_unspecified() => {
            Some(NextHop::Ipv6 { global, link_local: None })
        }
        IpAddr::V4(_) | IpAddr::V6(_) => {
            encoding.next_hop_ipv6.map(|global| NextHop::Ipv6 { global, link_local: None })
        }
    }
}
