//! What each peer is told: prefixes, and what goes with them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use ferrolb_vocab::{Community, Instant, IpFamily, IpPrefix, LargeCommunity, ObjectName, ServiceKey};

use super::advertisement::BgpAdvertisement;
use super::eligible::{Eligible, Named};
use super::peer::BgpPeer;
use super::weight::{Scale, Weights};
use crate::snapshot::Snapshot;

/// What a peer is told. Thousands of prefixes mostly say the same of their path, and share it.
pub type Routes = BTreeMap<IpPrefix, Arc<Route>>;

/// What is told of a prefix, besides what every session adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// What internal peers prefer the path by; `None` leaves it to the default.
    pub local_pref: Option<u32>,
    /// Communities, of all advertisements together.
    pub communities: BTreeSet<Community>,
    /// Large communities, of all advertisements together.
    pub large_communities: BTreeSet<LargeCommunity>,
    /// How many endpoints on this node share what comes to it, about: the weight of the path
    /// ([`super::weight`]). `None` where other nodes get a part of it anyway, under policy Cluster.
    pub local_endpoints: Option<NonZeroU32>,
}

/// What this node tells its peers, with a table for those who are told the same.
pub(super) struct Tables<'a> {
    tables: Vec<Table<'a>>,
    /// The peers of some of the tables together.
    told: BTreeMap<Vec<usize>, Arc<BTreeSet<ObjectName>>>,
}

/// What some peers are told.
struct Table<'a> {
    peers: Vec<&'a ObjectName>,
    routes: Arc<Routes>,
    weights: Arc<Weights>,
    /// When it would be another with the same endpoints.
    expires: Option<Instant>,
}

/// What decides what a peer is told.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Audience<'a> {
    families: Vec<IpFamily>,
    advertisements: BTreeSet<&'a ObjectName>,
}

/// A reason to tell a prefix.
struct Source<'a> {
    prefix: IpPrefix,
    advertisement: Named<'a>,
    service: &'a ServiceKey,
    ready_endpoints: Option<u32>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        peers: &BTreeMap<&'a ObjectName, &'a BgpPeer>,
        services: &[Eligible<'a>],
    ) -> Self {
        let advertisements = &snapshot.advertisements.bgp;
        let mut audiences: BTreeMap<Audience<'a>, Vec<&'a ObjectName>> = BTreeMap::new();
        for (&name, peer) in peers {
            let is_for = |(object, one): &Named<'a>| one.covers_peer(&object.namespace, name);
            let audience = Audience {
                families: [IpFamily::V4, IpFamily::V6].into_iter().filter(|one| peer.carries(*one)).collect(),
                advertisements: advertisements.iter().filter(is_for).map(|(object, _)| object).collect(),
            };
            audiences.entry(audience).or_default().push(name);
        }
        let table = |(audience, peers): (Audience<'a>, Vec<&'a ObjectName>)| {
            let before = peers.iter().find_map(|peer| snapshot.peering.weights.get(*peer));
            let mut scale = Scale::new(before.map(|weights| &**weights), snapshot.now);
            let routes = Arc::new(audience.routes(services, &mut scale));
            let (weights, expires) = scale.finish();
            Table { peers, routes, weights: Arc::new(weights), expires }
        };
        Self { tables: audiences.into_iter().map(table).collect(), told: BTreeMap::new() }
    }

    /// What `peer` is told.
    pub(super) fn routes(&self, peer: &ObjectName) -> Arc<Routes> {
        let table = self.tables.iter().find(|table| table.peers.contains(&peer));
        table.map(|table| Arc::clone(&table.routes)).unwrap_or_default()
    }

    /// The weights that the peers are told, of those that are told any.
    pub(super) fn weights(&self) -> BTreeMap<ObjectName, Arc<Weights>> {
        let mut weights = BTreeMap::new();
        for table in self.tables.iter().filter(|table| !table.weights.is_empty()) {
            let of_peer = |peer: &&ObjectName| (ObjectName::clone(peer), Arc::clone(&table.weights));
            weights.extend(table.peers.iter().map(of_peer));
        }
        weights
    }

    /// When the same snapshot would give other routes.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.tables.iter().filter_map(|table| table.expires).min()
    }

    /// The peers that are told a prefix which the Service has.
    pub(super) fn peers_told(&mut self, one: &Eligible<'_>) -> Arc<BTreeSet<ObjectName>> {
        let tells = |routes: &Routes| prefixes(one).any(|(prefix, _)| routes.contains_key(&prefix));
        let telling: Vec<usize> = self
            .tables
            .iter()
            .enumerate()
            .filter(|(_, table)| tells(&table.routes))
            .map(|(index, _)| index)
            .collect();
        if let Some(known) = self.told.get(&telling) {
            return Arc::clone(known);
        }
        let tables = telling.iter().filter_map(|index| self.tables.get(*index));
        let peers = tables.flat_map(|table| &table.peers).map(|peer| ObjectName::clone(peer));
        let peers: Arc<BTreeSet<ObjectName>> = Arc::new(peers.collect());
        self.told.insert(telling, Arc::clone(&peers));
        peers
    }
}

impl<'a> Audience<'a> {
    fn routes(&self, services: &[Eligible<'a>], scale: &mut Scale<'_>) -> Routes {
        let mut sources = Vec::with_capacity(services.len());
        for one in services {
            let told = prefixes(one).filter(|(prefix, (name, _))| {
                self.families.contains(&prefix.family()) && self.advertisements.contains(name)
            });
            sources.extend(told.map(|(prefix, advertisement)| Source {
                prefix,
                advertisement,
                service: one.key,
                ready_endpoints: one.ready_endpoints,
            }));
        }
        // Stable: what is of one Service stays together.
        sources.sort_by_key(|source| source.prefix);
        let mut known: BTreeSet<Arc<Route>> = BTreeSet::new();
        let told = |of_prefix: &[Source<'a>]| {
            let prefix = of_prefix.first()?.prefix;
            let mut route = route(of_prefix);
            route.local_endpoints = ready_endpoints(of_prefix).map(|ready| scale.weigh(prefix, ready));
            let route = known.get(&route).cloned().unwrap_or_else(|| Arc::new(route));
            known.insert(Arc::clone(&route));
            Some((prefix, route))
        };
        sources.chunk_by(|one, other| one.prefix == other.prefix).filter_map(told).collect()
    }
}

/// What is told of a prefix by all that is a reason to, but for its weight. Of several preferences the
/// first by the advertisement's name counts.
fn route(sources: &[Source<'_>]) -> Route {
    let by_name: BTreeMap<&ObjectName, &BgpAdvertisement> =
        sources.iter().map(|source| source.advertisement).collect();
    let advertisements = || by_name.values();
    Route {
        local_pref: advertisements().find_map(|one| one.local_pref),
        communities: advertisements().flat_map(|one| &one.communities).copied().collect(),
        large_communities: advertisements().flat_map(|one| &one.large_communities).copied().collect(),
        local_endpoints: None,
    }
}

/// How many endpoints of this node are ready behind a prefix; `None` if one of its Services is for all
/// nodes.
fn ready_endpoints(sources: &[Source<'_>]) -> Option<u32> {
    let of_services = sources.chunk_by(|one, other| one.service == other.service);
    let ready = of_services.filter_map(|of_service| of_service.first()).map(|one| one.ready_endpoints);
    ready.reduce(|sum, one| Some(sum?.saturating_add(one?))).flatten()
}

/// The prefixes of a Service, each with an advertisement that it is for.
fn prefixes<'a>(one: &Eligible<'a>) -> impl Iterator<Item = (IpPrefix, Named<'a>)> {
    one.service.addresses.iter().flat_map(move |address| {
        let told = move |named: &Named<'a>| Some((named.1.prefix(*address)?, *named));
        one.advertisements.iter().filter_map(told)
    })
}
