//! What peers have been told, for `ferrolb bgp advertised`. No IO.

use ferrolb_peering::bgp::AdjRibOut;
use ferrolb_vocab::{IpPrefix, ObjectName};
use ferrolb_wire::bgp::{Attributes, ExtendedCommunity, NextHop};

use crate::bgp_command::answer::{AdvertisedTo, LinkBandwidth, Route};

/// What a peer has been told.
pub(super) fn told(peer: &ObjectName, AdjRibOut { routes, pending }: &AdjRibOut) -> AdvertisedTo {
    let routes = routes.iter().map(|(prefix, attributes)| route(*prefix, attributes)).collect();
    AdvertisedTo { peer: peer.to_string(), pending: *pending, routes }
}

fn route(prefix: IpPrefix, attributes: &Attributes) -> Route {
    let (next_hop, next_hop_link_local) = match attributes.next_hop {
        NextHop::Ipv4(address) => (address.to_string(), None),
        NextHop::Ipv6 { global, link_local } => (global.to_string(), link_local),
    };
    Route {
        prefix: prefix.to_string(),
        next_hop,
        next_hop_link_local: next_hop_link_local.map(|address| address.to_string()),
        origin: attributes.origin.name().to_owned(),
        as_path: attributes.as_path.iter().map(|asn| asn.0).collect(),
        multi_exit_disc: attributes.multi_exit_disc,
        local_pref: attributes.local_pref,
        communities: attributes.communities.iter().map(ToString::to_string).collect(),
        large_communities: attributes.large_communities.iter().map(ToString::to_string).collect(),
        link_bandwidth: attributes.extended_communities.iter().find_map(|one| bandwidth(*one)),
    }
}

fn bandwidth(community: ExtendedCommunity) -> Option<LinkBandwidth> {
    let (asn, octets_per_second) = community.as_link_bandwidth()?;
    Some(LinkBandwidth { asn: asn.0, octets_per_second, is_transitive: community.is_transitive() })
}
