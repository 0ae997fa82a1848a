//! What can be said about BGP's objects without speaking BGP: references, duplicates, forms.

use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::bgp_peer::BgpPeerSpec;
use ferrolb_api::{BgpAdvertisement, BgpPeer, IpAddressPool, parse_selector};
use ferrolb_cluster::config::Guarded;
use ferrolb_cluster::parse::community::check_community;
use ferrolb_cluster::parse::{INVALID_SPEC, ObjectError, pool, readable};
use ferrolb_vocab::{IpFamily, IpPrefix, IpRange, Labels, Selector};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

/// Why a profile cannot be deleted: a peer of its namespace names it.
pub(super) fn profile_in_use(namespace: &str, profile: &str, peers: &[Guarded<BgpPeer>]) -> Option<String> {
    let (peers, _unreadable) = readable(peers);
    let uses = |peer: &&BgpPeer| {
        peer.namespace().as_deref() == Some(namespace) && peer.spec.bfd_profile.as_deref() == Some(profile)
    };
    let user = peers.iter().find(uses)?;
    Some(format!(
        "failed to delete BFDProfile {profile}, used by BGPPeer {}; remove its bfdProfile first",
        user.name_any()
    ))
}

/// Advertisements that aggregate more than their pools hold, or that cannot be read.
pub(super) fn advertisement_errors(
    objects: &[Guarded<BgpAdvertisement>],
    pools: &[Guarded<IpAddressPool>],
) -> Vec<ObjectError> {
    let (objects, mut errors) = readable(objects);
    let (pools, _unreadable) = readable(pools);
    for object in &objects {
        let mut invalid = |message: String| errors.push(ObjectError::at(object, INVALID_SPEC, message));
        // What is no literal is an alias, and an alias may be defined later.
        for (index, community) in object.spec.communities.iter().enumerate() {
            if let Some(message) = check_community(community).err().filter(|_| community.contains(':')) {
                invalid(format!("spec.communities[{index}]: {message}"));
            }
        }
        let selectors = match selectors(&object.spec.ip_address_pool_selectors) {
            Ok(selectors) => selectors,
            Err(message) => {
                invalid(format!("spec.ipAddressPoolSelectors{message}"));
                continue;
            }
        };
        let advertised = pools.iter().filter(|pool| advertises(object, &selectors, pool));
        advertised.filter_map(|pool| aggregates_too_much(object, pool)).for_each(&mut invalid);
        let is_aggregated = (object.spec.aggregation_length, object.spec.aggregation_length_v6) != (32, 128);
        if is_aggregated && !object.spec.service_selectors.is_empty() {
            invalid(
                "serviceSelectors and aggregationLength are mutually exclusive, can only be used together with \
                 default aggregationLength (32) and aggregationLengthV6 (128)"
                    .into(),
            );
        }
    }
    errors
}

/// Whether the advertisement is about the pool: by name, by label, or because it names none.
fn advertises(object: &BgpAdvertisement, selectors: &[Selector], pool: &IpAddressPool) -> bool {
    let names = &object.spec.ip_address_pools;
    pool.namespace() == object.namespace()
        && (names.is_empty() && selectors.is_empty()
            || names.contains(&pool.name_any())
            || selectors.iter().any(|selector| selector.matches(&Labels::from(pool.labels()))))
}

/// An aggregate must lie within one entry of the pool, however the entry is cut into prefixes.
fn aggregates_too_much(object: &BgpAdvertisement, pool: &IpAddressPool) -> Option<String> {
    pool::ranges(pool).zip(&pool.spec.addresses).find_map(|(range, written)| {
        let range = range.ok()?;
        let aggregate = match range.family() {
            IpFamily::V4 => object.spec.aggregation_length,
            IpFamily::V6 => object.spec.aggregation_length_v6,
        };
        let widest = widest(range);
        (aggregate < i32::from(widest)).then(|| {
            format!(
                "invalid aggregation length {aggregate}: prefix {widest} in this pool is more specific than the \
                 aggregation length for addresses {written}"
            )
        })
    })
}

/// The length of the widest prefix within `range`.
fn widest(range: IpRange) -> u8 {
    let bits = range.family().bits();
    let holds = |prefix: IpPrefix| range.contains(prefix.network()) && range.contains(prefix.last());
    let fits = |length: &u8| {
        // If no prefix begins where the range does, the first one inside begins after the one around its start.
        let around = IpPrefix::containing(range.start(), *length);
        let beside = around.and_then(|prefix| {
            let next = ferrolb_vocab::prefix::address_value(prefix.last()).checked_add(1)?;
            IpPrefix::containing(range.family().address(next), *length)
        });
        around.is_some_and(holds) || beside.is_some_and(holds)
    };
    (0..bits).find(fits).unwrap_or(bits)
}

/// Peers without a valid address, and peers that another is already on the same node.
pub(super) fn peer_errors(objects: &[Guarded<BgpPeer>], nodes: &[Arc<Node>]) -> Vec<ObjectError> {
    let (objects, mut errors) = readable(objects);
    let mut earlier: Vec<(&BgpPeer, Vec<Selector>)> = Vec::new();
    for object in &objects {
        let mut invalid = |reason, message| errors.push(ObjectError::at(object, reason, message));
        let address = object.spec.peer_address.as_deref().unwrap_or_default();
        if !address.is_empty() && address.parse::<IpAddr>().is_err() {
            let message = format!("invalid BGPPeer address {address:?}: write one IPv4 or IPv6 address");
            invalid(INVALID_SPEC, message);
        }
        match selectors(&object.spec.node_selectors) {
            Err(message) => invalid(INVALID_SPEC, format!("spec.nodeSelectors{message}")),
            Ok(selectors) => {
                let is_same = |(other, theirs): &&(&BgpPeer, Vec<Selector>)| {
                    identity(&other.spec) == identity(&object.spec) && share_a_node(nodes, theirs, &selectors)
                };
                if let Some((other, _)) = earlier.iter().find(is_same) {
                    let message = format!(
                        "peer {} already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node: \
                         BGPPeer {}/{} is the same; change spec.nodeSelectors of one of the two",
                        identity(&object.spec),
                        other.namespace().unwrap_or_default(),
                        other.name_any(),
                    );
                    invalid("DuplicatePeer", message);
                }
                earlier.push((object, selectors));
            }
        }
    }
    errors
}

/// Who the peer is to a node: its address, else the interface, within a VRF. The port is no part of it.
fn identity(spec: &BgpPeerSpec) -> String {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let address = given(&spec.peer_address).map(|text| match text.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_no_address) => text,
    });
    let end = address.or_else(|| given(&spec.interface)).unwrap_or_default();
    given(&spec.vrf).map_or_else(|| end.clone(), |vrf| format!("{end}-{vrf}"))
}

/// Whether some node peers by both; as long as no node is known, some may.
fn share_a_node(nodes: &[Arc<Node>], one: &[Selector], other: &[Selector]) -> bool {
    let peers = |selectors: &[Selector], node: &Arc<Node>| {
        Selector::any_or_empty(selectors, &Labels::from(node.labels()))
    };
    nodes.is_empty() || nodes.iter().any(|node| peers(one, node) && peers(other, node))
}

/// A list of selectors; an error begins with the place in the list.
fn selectors(written: &[LabelSelector]) -> Result<Vec<Selector>, String> {
    let parse = |(index, selector)| parse_selector(selector).map_err(|error| format!("[{index}]: {error}"));
    written.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_prefix_of_a_range_is_the_one_that_fits_wherever_it_begins() {
        for (range, expected) in [
            ("1.1.1.0/28", 28),
            ("10.0.0.0-10.0.0.255", 24),
            ("10.0.0.1-10.0.0.255", 25),
            ("10.0.0.1-10.0.0.1", 32),
            ("10.0.0.1-10.0.0.2", 32),
            ("10.0.0.127-10.0.1.129", 25),
            ("10.0.0.1-10.0.2.9", 24),
            ("255.255.255.255/32", 32),
            ("0.0.0.0/0", 0),
            ("::/0", 0),
            ("fd00::1-fd00::ffff", 113),
        ] {
            assert_eq!(widest(range.parse().unwrap()), expected, "{range}");
        }
    }

    #[test]
    fn the_form_of_a_community_is_told_in_the_words_of_metallb() {
        for text in ["0:0", "65535:65281", "large:4294967295:0:1"] {
            assert_eq!(check_community(text), Ok(()), "{text}");
        }
        for (text, expected) in [
            ("65536:1", "invalid community value: invalid section \"65536\" of community \"65536:1\""),
            ("large:1:2:4294967296", "invalid community value: invalid section \"4294967296\""),
            ("1:2:3:4", "expected community to be of format large"),
            ("1", "invalid community format: 1"),
            ("large:1:2", "invalid community format: large:1:2"),
            ("", "invalid community format: "),
        ] {
            let message = check_community(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
