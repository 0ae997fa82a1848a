//! Objects that cannot all be meant as they are.

use std::collections::BTreeMap;

use ferrolb_api::annotations::LISTEN_RANGE;
use ferrolb_api::{BgpAdvertisement, BgpPeer, IpAddressPool};
use ferrolb_plan as plan;
use ferrolb_plan::bgp::Identity;
use ferrolb_plan::bgp::advertisement::widest_prefix;
use ferrolb_vocab::{IpFamily, Labels, ObjectName, PoolName};
use kube::ResourceExt;

use super::{Viewpoint, families, object_name};
use crate::parse::{INVALID_SPEC, ObjectError, pool};

type Peers = BTreeMap<ObjectName, plan::BgpPeer>;
type Advertisements = BTreeMap<ObjectName, plan::BgpAdvertisement>;

/// Peers that an earlier one already is to a node.
#[must_use]
pub fn duplicate_peers(objects: &[BgpPeer], peers: &Peers, viewpoint: Viewpoint<'_>) -> Vec<ObjectError> {
    let mut groups: BTreeMap<Identity<'_>, Vec<(&ObjectName, &plan::BgpPeer)>> = BTreeMap::new();
    for (name, peer) in peers {
        groups.entry(peer.identity()).or_default().push((name, peer));
    }
    let nodes = viewpoint.nodes();
    let mut errors = Vec::new();
    for (identity, group) in groups.iter().filter(|(_, group)| group.len() > 1) {
        let mut later: BTreeMap<&ObjectName, &ObjectName> = BTreeMap::new();
        for labels in &nodes {
            let covers = |peer: &plan::BgpPeer| labels.is_none_or(|labels| peer.covers_node(labels));
            let mut names = group.iter().filter(|(_, peer)| covers(peer)).map(|(name, _)| *name);
            let Some(first) = names.next() else { continue };
            later.extend(names.map(|name| (name, first)));
        }
        for (name, first) in later {
            let message = format!(
                "peer {identity} already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node: \
                 BGPPeer {first} is the same; change spec.nodeSelectors of one of the two"
            );
            errors.extend(at(objects, name, "DuplicatePeer", message));
        }
    }
    errors.extend(overlapping_ranges(objects, peers, &nodes));
    errors
}

/// Ranges with addresses of an earlier one's: who connects from there could be a peer of either.
fn overlapping_ranges(objects: &[BgpPeer], peers: &Peers, nodes: &[Option<&Labels>]) -> Vec<ObjectError> {
    let mut later: BTreeMap<&ObjectName, &ObjectName> = BTreeMap::new();
    for labels in nodes {
        let covers = |peer: &plan::BgpPeer| labels.is_none_or(|labels| peer.covers_node(labels));
        let mut kept: Vec<(&ObjectName, &plan::BgpPeer)> = Vec::new();
        for (name, peer) in peers.iter().filter(|(_, peer)| covers(peer)) {
            match kept.iter().find(|(_, other)| other.shares_addresses_with(peer)) {
                // That is told already.
                Some((_, other)) if other.identity() == peer.identity() => {}
                Some((first, _)) => {
                    later.insert(name, first);
                }
                None => kept.push((name, peer)),
            }
        }
    }
    let error = |(name, first): (&ObjectName, &ObjectName)| {
        let message = format!(
            "metadata.annotations[{LISTEN_RANGE}]: BGPPeer {first} has addresses of it on the same nodes; change \
             the annotation or spec.nodeSelectors of one of the two"
        );
        at(objects, name, "OverlappingListenRange", message)
    };
    later.into_iter().filter_map(error).collect()
}

/// Advertisements that aggregate more than an entry of their pools holds, however it is cut into
/// prefixes.
#[must_use]
pub fn aggregation_errors(
    objects: &[BgpAdvertisement],
    advertisements: &Advertisements,
    pools: &[IpAddressPool],
) -> Vec<ObjectError> {
    let pools: Vec<_> =
        pools.iter().map(|object| (object, object.name_any().into(), planned(object))).collect();
    let mut errors = Vec::new();
    let aggregates = |(_, one): &(&ObjectName, &plan::BgpAdvertisement)| {
        [IpFamily::V4, IpFamily::V6].into_iter().any(|family| one.length(family) < family.bits())
    };
    for (name, advertisement) in advertisements.iter().filter(aggregates) {
        let named = pools
            .iter()
            .filter(|(_, pool_name, pool)| advertisement.names_pool(&name.namespace, pool_name, pool));
        for (object, ..) in named {
            let mut entries = pool::ranges(object).zip(&object.spec.addresses);
            let too_wide = entries.find_map(|(range, written)| {
                let range = range.ok().filter(|range| !advertisement.fits(*range))?;
                let (length, widest) = (advertisement.length(range.family()), widest_prefix(range));
                Some(format!(
                    "invalid aggregation length {length}: prefix {widest} in this pool is more specific than the \
                     aggregation length for addresses {written}"
                ))
            });
            errors.extend(too_wide.and_then(|message| at(objects, name, INVALID_SPEC, message)));
        }
    }
    errors
}

/// Advertisements that give prefixes of a pool another preference than an earlier one, to the same
/// peers. With service selectors it depends on the Services, and each is judged on its nodes.
#[must_use]
pub fn local_pref_errors(
    objects: &[BgpAdvertisement],
    advertisements: &Advertisements,
    pools: &[IpAddressPool],
    viewpoint: Viewpoint<'_>,
) -> Vec<ObjectError> {
    let pools: Vec<(PoolName, plan::Pool)> =
        pools.iter().map(|object| (object.name_any().into(), planned(object))).collect();
    let general: Vec<_> = advertisements.iter().filter(|(_, one)| one.service_selectors.is_empty()).collect();
    let nodes = viewpoint.nodes();
    let mut errors = Vec::new();
    for (index, (name, one)) in general.iter().enumerate() {
        let mut others = general.iter().take(index).filter(|(_, other)| other.local_pref != one.local_pref);
        let clash = others.find_map(|(earlier, other)| {
            let both = |labels: &Labels| one.covers_node(labels) && other.covers_node(labels);
            let share_a_node = || nodes.iter().any(|labels| labels.is_none_or(both));
            let clash_on = |(pool_name, pool): &&(PoolName, plan::Pool)| {
                one.covers_pool(&name.namespace, pool_name, pool)
                    && other.covers_pool(&earlier.namespace, pool_name, pool)
                    && one.clashes_with(other, &families(pool))
            };
            let (pool, _) = pools.iter().find(clash_on).filter(|_| share_a_node())?;
            Some((earlier, other.local_pref.unwrap_or(0), pool))
        });
        let Some((earlier, theirs, pool)) = clash else { continue };
        let message = format!(
            "invalid local preference {}: local preference {theirs} was already set for the same type of BGP \
             update by BGPAdvertisement {earlier}, for IPAddressPool {pool}; give both the same, or let their \
             aggregation lengths, peers or nodes differ",
            one.local_pref.unwrap_or(0)
        );
        errors.extend(at(objects, name, "ConflictingAdvertisements", message));
    }
    errors
}

/// Peers that are watched with echo packets, and told of IPv6 prefixes.
#[must_use]
pub fn echo_errors(
    objects: &[BgpPeer],
    peers: &Peers,
    advertisements: &Advertisements,
    pools: &[IpAddressPool],
) -> Vec<ObjectError> {
    let ipv6: Vec<(PoolName, plan::Pool)> = pools
        .iter()
        .map(|object| (object.name_any().into(), planned(object)))
        .filter(|(_, pool)| families(pool).contains(&IpFamily::V6))
        .collect();
    let mut errors = Vec::new();
    for (name, _) in peers.iter().filter(|(_, peer)| peer.bfd.is_some_and(|bfd| bfd.echo_interval.is_some()))
    {
        let told = advertisements.iter().find_map(|(object, one)| {
            let covered = ipv6.iter().find(|(pool_name, pool)| {
                one.covers_peer(&object.namespace, name)
                    && one.covers_pool(&object.namespace, pool_name, pool)
            });
            covered.map(|(pool, _)| (object, pool))
        });
        let Some((advertisement, pool)) = told else { continue };
        let message = format!(
            "spec.bfdProfile: the profile has echoMode, but BGPAdvertisement {advertisement} tells this peer of \
             IPAddressPool {pool}, which has IPv6 addresses; name a profile without echoMode, or keep IPv6 pools \
             from this peer with spec.peers of the advertisement"
        );
        errors.extend(at(objects, name, "EchoWithIPv6", message));
    }
    errors
}

fn at<K>(objects: &[K], name: &ObjectName, reason: &'static str, message: String) -> Option<ObjectError>
where
    K: kube::Resource<DynamicType = ()>,
{
    let object = objects.iter().find(|object| object_name(*object) == *name)?;
    Some(ObjectError::at(object, reason, message))
}

/// The pool as advertisements see it; of its entries those that can be read.
fn planned(object: &IpAddressPool) -> plan::Pool {
    plan::Pool {
        namespace: object.namespace().unwrap_or_default(),
        labels: Labels::from(object.labels()),
        ranges: pool::ranges(object).filter_map(Result::ok).collect(),
    }
}
