//! What each peer is told: prefixes, and what goes with them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use ferrolb_vocab::{Community, IpFamily, IpPrefix, LargeCommunity, ObjectName, ServiceKey};

use super::advertisement::BgpAdvertisement;
use super::eligible::{Eligible, Named};
use super::peer::BgpPeer;

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
    /// How many endpoints on this node share what comes to it: the weight of the path. `None` where
    /// other nodes get a part of it anyway, under policy Cluster.
    pub local_endpoints: Option<NonZeroU32>,
}

/// What this node tells its peers, with a table for those who are told the same.
pub(super) struct Tables<'a> {
    tables: Vec<(Vec<&'a ObjectName>, Arc<Routes>)>,
    /// The peers of some of the tables together.
    told: BTreeMap<Vec<usize>, Arc<BTreeSet<ObjectName>>>,
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
    local_endpoints: Option<NonZeroU32>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        advertisements: &'a BTreeMap<ObjectName, BgpAdvertisement>,
        peers: &BTreeMap<&'a ObjectName, &'a BgpPeer>,
        services: &[Eligible<'a>],
    ) -> Self {
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
            (peers, Arc::new(audience.routes(services)))
        };
        Self { tables: audiences.into_iter().map(table).collect(), told: BTreeMap::new() }
    }

    /// What `peer` is told.
    pub(super) fn routes(&self, peer: &ObjectName) -> Arc<Routes> {
        let table = self.tables.iter().find(|(peers, _)| peers.contains(&peer));
        table.map(|(_, routes)| Arc::clone(routes)).unwrap_or_default()
    }

    /// The peers that are told a prefix which the Service has.
    pub(super) fn peers_told(&mut self, one: &Eligible<'_>) -> Arc<BTreeSet<ObjectName>> {
        let tells = |routes: &Routes| prefixes(one).any(|(prefix, _)| routes.contains_key(&prefix));
        let telling: Vec<usize> = self
            .tables
            .iter()
            .enumerate()
            .filter(|(_, (_, routes))| tells(routes))
            .map(|(index, _)| index)
            .collect();
        if let Some(known) = self.told.get(&telling) {
            return Arc::clone(known);
        }
        let tables = telling.iter().filter_map(|index| self.tables.get(*index));
        let peers = tables.flat_map(|(peers, _)| peers).map(|peer| ObjectName::clone(peer));
        let peers: Arc<BTreeSet<ObjectName>> = Arc::new(peers.collect());
        self.told.insert(telling, Arc::clone(&peers));
        peers
    }
}

impl<'a> Audience<'a> {
    fn routes(&self, services: &[Eligible<'a>]) -> Routes {
        let mut sources = Vec::with_capacity(services.len());
        for one in services {
            let told = prefixes(one).filter(|(prefix, (name, _))| {
                self.families.contains(&prefix.family()) && self.advertisements.contains(name)
            });
            sources.extend(told.map(|(prefix, advertisement)| Source {
                prefix,
                advertisement,
                service: one.key,
                local_endpoints: one.local_endpoints,
            }));
        }
        // Stable: what is of one Service stays together.
        sources.sort_by_key(|source| source.prefix);
        let mut known: BTreeSet<Arc<Route>> = BTreeSet::new();
        let told = |of_prefix: &[Source<'a>]| {
            let prefix = of_prefix.first()?.prefix;
            let route = route(of_prefix);
            let route = known.get(&route).cloned().unwrap_or_else(|| Arc::new(route));
            known.insert(Arc::clone(&route));
            Some((prefix, route))
        };
        sources.chunk_by(|one, other| one.prefix == other.prefix).filter_map(told).collect()
    }
}

/// What is told of a prefix by all that is a reason to. Of several preferences the first by the
/// advertisement's name counts.
fn route(sources: &[Source<'_>]) -> Route {
    let by_name: BTreeMap<&ObjectName, &BgpAdvertisement> =
        sources.iter().map(|source| source.advertisement).collect();
    let advertisements = || by_name.values();
    let of_services = sources.chunk_by(|one, other| one.service == other.service);
    let endpoints = of_services.filter_map(|of_service| of_service.first()).map(|one| one.local_endpoints);
    Route {
        local_pref: advertisements().find_map(|one| one.local_pref),
        communities: advertisements().flat_map(|one| &one.communities).copied().collect(),
        large_communities: advertisements().flat_map(|one| &one.large_communities).copied().collect(),
        local_endpoints: endpoints.reduce(|sum, one| Some(sum?.saturating_add(one?.get()))).flatten(),
    }
}

/// The prefixes of a Service, each with an advertisement that it is for.
fn prefixes<'a>(one: &Eligible<'a>) -> impl Iterator<Item = (IpPrefix, Named<'a>)> {
    one.service.addresses.iter().flat_map(move |address| {
        let told = move |named: &Named<'a>| Some((named.1.prefix(*address)?, *named));
        one.advertisements.iter().filter_map(told)
    })
}
