//! The cluster as the controller judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::conditions::ConfigStatus;
use ferrolb_api::ip_address_pool::IpAddressPoolStatus;
use ferrolb_api::node_state::ConflictState;
use ferrolb_api::{
    AddressClaim, BgpAdvertisement, BgpSession, Community, IpAddressPool, L2Advertisement, NodeState,
};
use ferrolb_ipam as ipam;
use ferrolb_plan as plan;
use ferrolb_vocab::{IpRange, Labels, NodeName, ObjectName, PoolName, ServiceKey};
use k8s_openapi::api::core::v1::{Namespace, Node, ObjectReference};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};

use super::claims::{Claim, claims};
use super::objects::ControllerObjects;
use crate::bgp::{BgpStores, Secrets};
use crate::coexistence::{MetalLbPods, MetalLbWatch};
use crate::config::{ConfigStores, Guarded};
use crate::parse::community::community_errors;
use crate::parse::conflict::{HostConflict, conflicts, occupied_by_host};
use crate::parse::occupied::occupied;
use crate::parse::service::{Ownership, SeenService};
use crate::parse::{ObjectError, advertisement, node, pool, readable, reference};
use crate::services::Services;
use crate::watches::{GuardedStore, OptionalStore, Watches, synced};

mod bgp;

pub use bgp::Sessions;

/// The controller's local copies.
#[derive(Debug)]
pub struct ControllerWatches {
    services: Services,
    namespaces: Store<Namespace>,
    nodes: Store<Node>,
    node_states: Store<NodeState>,
    service_cidrs: OptionalStore<ServiceCIDR>,
    metallb: MetalLbWatch,
    claims: GuardedStore<AddressClaim>,
    config: ConfigStores,
    bgp: BgpStores,
    sessions: Store<BgpSession>,
}

/// Everything the controller decides on, parsed.
#[derive(Debug, Default)]
pub struct ControllerView {
    /// The Services of type `LoadBalancer` that are ours.
    pub services: BTreeMap<ServiceKey, Arc<SeenService>>,
    /// Services that are not load balanced (any more).
    pub others: Vec<Arc<SeenService>>,
    /// Services of another implementation's class, with that class.
    pub foreign: BTreeMap<ServiceKey, String>,
    /// The pools; those with errors are frozen.
    pub pools: ipam::PoolSet,
    /// The same pools as advertisements see them, by name.
    pub announced_pools: BTreeMap<PoolName, plan::Pool>,
    /// The advertisements.
    pub advertisements: plan::Advertisements,
    /// The nodes.
    pub nodes: BTreeMap<NodeName, plan::Node>,
    /// The claims of all namespaces.
    pub claims: BTreeMap<ObjectName, Claim>,
    /// Every configuration object that carries conditions, with what is wrong with it.
    pub config: Vec<ConfigObject>,
    /// How the sessions with BGP peers are.
    pub sessions: Sessions,
    /// The addresses that other hosts have, or had lately.
    pub conflicts: BTreeMap<IpAddr, HostConflict>,
    /// The Pods of `MetalLB` for whose sake nothing is given.
    pub metallb: MetalLbPods,
    /// Services with addresses of `MetalLB`, while there is no pool object at all: not to be touched.
    pub unclaimed: BTreeSet<ServiceKey>,
}

/// A configuration object, to be told whether it is accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigObject {
    /// The object.
    pub reference: ObjectReference,
    /// Its `metadata.generation`, the one the verdict is about.
    pub generation: Option<i64>,
    /// The conditions it carries now.
    pub conditions: Vec<meta::Condition>,
    /// For a pool, the counters it carries now.
    pub usage: Option<IpAddressPoolStatus>,
    /// The pool's name, if it is one that is in use.
    pub pool: Option<PoolName>,
    /// What is wrong with it; empty when it is accepted.
    pub errors: Vec<ObjectError>,
    /// Pools that it names and that its namespace does not have.
    pub unknown_pools: Vec<PoolName>,
    /// The part of a pool that is not given, because the cluster itself uses it.
    pub withheld: Vec<ipam::Withheld>,
}

impl ControllerWatches {
    /// Starts the watches; status objects are kept in `own_namespace`.
    pub fn start(watches: &mut Watches, client: &Client, own_namespace: &str, namespaces: &[String]) -> Self {
        let all = watcher::Config::default;
        Self {
            services: Services::start(watches, client),
            namespaces: watches.follow(Api::all(client.clone()), all(), |_| ()),
            nodes: watches.follow(Api::all(client.clone()), all(), strip_node),
            node_states: watches.follow(Api::all(client.clone()), all(), |_| ()),
            service_cidrs: watches.follow_if_known(Api::all(client.clone())),
            metallb: MetalLbWatch::start(watches, client),
            claims: watches.follow(Api::all(client.clone()), all(), |_| ()),
            config: ConfigStores::start(watches, client, namespaces),
            bgp: BgpStores::start(watches, client, namespaces, Secrets::Unread),
            sessions: watches.follow(Api::namespaced(client.clone(), own_namespace), all(), |_| ()),
        }
    }

    /// Waits for the first complete copy of everything.
    pub async fn synced(&self) {
        self.services.synced().await;
        synced(&self.namespaces).await;
        synced(&self.nodes).await;
        synced(&self.node_states).await;
        self.service_cidrs.synced().await;
        self.metallb.synced().await;
        synced(&self.claims).await;
        self.config.synced().await;
        self.bgp.synced().await;
        synced(&self.sessions).await;
    }

    /// The cluster now.
    #[must_use]
    pub fn view(&self, lb_class: Option<&str>) -> ControllerView {
        ControllerView { metallb: self.metallb.pods(lb_class), ..self.objects().view(lb_class) }
    }

    /// The objects now, as they were read.
    #[must_use]
    pub fn objects(&self) -> ControllerObjects {
        let config = self.config.objects();
        let bgp = self.bgp.objects(Vec::new());
        ControllerObjects {
            services: Vec::new(),
            seen_services: self.services.state(),
            namespaces: self.namespaces.state(),
            nodes: self.nodes.state(),
            node_states: self.node_states.state(),
            service_cidrs: self.service_cidrs.state(),
            claims: self.claims.state(),
            config,
            communities: bgp.communities,
            peers: bgp.peers,
            profiles: bgp.profiles,
            sessions: self.sessions.state(),
        }
    }
}

impl ControllerView {
    /// What `objects` mean, when we handle Services of `lb_class`.
    pub(super) fn of(objects: &ControllerObjects, lb_class: Option<&str>) -> Self {
        let mut view = Self::default();
        let services = objects.all_services();
        let mut occupied = occupied(&objects.nodes, &objects.node_states, &services, &objects.service_cidrs);
        view.add_services(services, lb_class);
        view.conflicts = conflicts(&objects.nodes, &objects.node_states);
        occupied.extend(view.conflicts.iter().filter_map(occupied_by_host));
        view.add_pools(&objects.config.pools, &objects.namespaces, &occupied);
        view.add_advertisements(&objects.config.l2_advertisements, &objects.config.bgp_advertisements);
        view.add_communities(&objects.communities);
        view.claims = claims(&objects.claims).collect();
        view.nodes = nodes(&objects.nodes, &objects.node_states);
        view.add_bgp(objects);
        if objects.config.pools.is_empty() {
            view.leave_unclaimed();
        }
        view
    }

    /// What each Service asks the allocator for.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<ServiceKey, Arc<ipam::ServiceRequest>> {
        self.services.iter().map(|(key, service)| (key.clone(), service.request(&self.pools))).collect()
    }

    /// What each claim asks the allocator for.
    #[must_use]
    pub fn claim_requests(&self) -> BTreeMap<ObjectName, ipam::ClaimRequest> {
        self.claims.iter().map(|(name, claim)| (name.clone(), claim.request.clone())).collect()
    }

    fn add_services(&mut self, services: Vec<Arc<SeenService>>, lb_class: Option<&str>) {
        for service in services {
            match service.ownership(lb_class) {
                Ownership::Ours => {
                    self.services.insert(service.key.clone(), service);
                }
                Ownership::NotLoadBalanced => self.others.push(service),
                Ownership::ForeignClass(class) => {
                    self.foreign.insert(service.key.clone(), class);
                }
            }
        }
    }

    /// Without any pool, an address that `MetalLB` gave stays: most likely the pools are on their way.
    fn leave_unclaimed(&mut self) {
        let unclaimed = |_: &ServiceKey, service: &mut Arc<SeenService>| {
            service.is_metallbs() && service.written.listed().next().is_some()
        };
        self.unclaimed = self.services.extract_if(.., unclaimed).map(|(key, _)| key).collect();
    }

    fn add_pools(
        &mut self,
        pools: &[Guarded<IpAddressPool>],
        namespaces: &[Arc<Namespace>],
        occupied: &[(IpRange, ipam::Occupant)],
    ) {
        let (objects, unreadable) = readable(pools);
        self.add_unreadable(unreadable);
        let mut usable = Vec::new();
        let mut broken = Vec::new();
        let mut seen = BTreeSet::new();
        for object in &objects {
            let (parsed, mut errors) = pool::ipam_pool(object, namespaces);
            let name = parsed.name.clone();
            if seen.insert(name.clone()) {
                let ranges = parsed.ranges.clone();
                let namespace = object.namespace().unwrap_or_default();
                let labels = Labels::from(object.labels());
                self.announced_pools.insert(name.clone(), plan::Pool { namespace, labels, ranges });
            } else {
                let taken = ipam::PoolError::DuplicateName { pool: name.clone() };
                errors.push(ObjectError::at(object, taken.reason(), taken.to_string()));
            }
            let taken = ipam::withhold(ipam::give_last(parsed, self.released()), occupied);
            let is_emptied = taken.pool.ranges.is_empty() && !taken.withheld.is_empty();
            // A host that has the last address is no mistake of the configuration.
            let is_hosts = taken.withheld.iter().any(ipam::Withheld::is_hosts);
            if is_emptied && !is_hosts && errors.is_empty() {
                let message = format!(
                    "the cluster itself uses all of its addresses: {}; choose addresses that nobody uses",
                    listed(&taken.withheld)
                );
                errors.push(ObjectError::at(object, "AddressesWithheld", message));
            }
            let is_usable = errors.is_empty() && !is_emptied;
            if is_usable { &mut usable } else { &mut broken }.push(taken.pool);
            broken.extend(taken.kept_back);
            self.config.push(ConfigObject {
                reference: reference(object),
                generation: object.metadata.generation,
                conditions: object.status.clone().unwrap_or_default().conditions,
                usage: object.status.clone(),
                pool: Some(name),
                errors,
                unknown_pools: Vec::new(),
                withheld: taken.withheld,
            });
        }
        let (pools, rejected) = ipam::PoolSet::new(usable);
        self.pools = pools;
        broken.into_iter().for_each(|pool| self.pools.freeze(pool));
        for rejected in rejected {
            let of_pool = |object: &&mut ConfigObject| object.pool.as_ref() == Some(&rejected.pool);
            if let Some(object) = self.config.iter_mut().find(of_pool) {
                let message = rejected.reason.to_string();
                let reason = rejected.reason.reason();
                let reference = Box::new(object.reference.clone());
                object.errors.push(ObjectError { object: reference, reason, message });
            }
        }
    }

    /// The addresses that another host had, and nobody knows whether it still has.
    fn released(&self) -> impl Iterator<Item = IpAddr> {
        let is_released = |conflict: &HostConflict| match conflict.state {
            ConflictState::Released | ConflictState::Avoided => true,
            ConflictState::Occupied | ConflictState::Contested => false,
        };
        self.conflicts.iter().filter(move |(_, conflict)| is_released(conflict)).map(|(address, _)| *address)
    }

    fn add_advertisements(&mut self, l2: &[Guarded<L2Advertisement>], bgp: &[Guarded<BgpAdvertisement>]) {
        let (objects, unreadable) = readable(l2);
        self.advertisements = advertisements((&objects, &unreadable), bgp, &plan::Advertisements::default());
        self.add_unreadable(unreadable);
        for object in &objects {
            let errors = advertisement::l2_advertisement(object).err().into_iter().collect();
            self.add_config(object, object.status.as_ref(), errors, &object.spec.ip_address_pools);
        }
    }

    fn add_communities(&mut self, communities: &[Guarded<Community>]) {
        let (objects, unreadable) = readable(communities);
        self.add_unreadable(unreadable);
        let errors = community_errors(&objects);
        for object in &objects {
            let reference = reference(object);
            let own = errors.iter().filter(|error| *error.object == reference).cloned().collect();
            self.add_config(object, object.status.as_ref(), own, &[]);
        }
    }

    fn add_config<K: Resource<DynamicType = ()>>(
        &mut self,
        object: &K,
        status: Option<&ConfigStatus>,
        errors: Vec<ObjectError>,
        named_pools: &[String],
    ) {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let is_known = |pool: &PoolName| {
            self.announced_pools.get(pool).is_some_and(|known| known.namespace == namespace)
        };
        let unknown_pools = named_pools.iter().map(PoolName::from).filter(|pool| !is_known(pool)).collect();
        self.config.push(ConfigObject {
            reference: reference(object),
            generation: object.meta().generation,
            conditions: status.map(|status| status.conditions.clone()).unwrap_or_default(),
            usage: None,
            pool: None,
            errors,
            unknown_pools,
            withheld: Vec::new(),
        });
    }

    fn add_unreadable(&mut self, errors: Vec<ObjectError>) {
        self.config.extend(errors.into_iter().map(|error| ConfigObject {
            reference: ObjectReference::clone(&error.object),
            generation: None,
            conditions: Vec::new(),
            usage: None,
            pool: None,
            errors: vec![error],
            unknown_pools: Vec::new(),
            withheld: Vec::new(),
        }));
    }
}

/// As many withheld parts as a person reads.
const LISTED_MAX: usize = 5;

/// The first few withheld parts, for a message.
#[must_use]
pub fn listed(withheld: &[ipam::Withheld]) -> String {
    let first: Vec<String> = withheld.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    match withheld.len().saturating_sub(LISTED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The advertisements, readable or not. One that means nothing takes no Service off the network: it
/// stays what it is in `known`, if it is there, and counts as an object at least.
pub(crate) fn advertisements(
    (l2, unreadable): (&[L2Advertisement], &[ObjectError]),
    bgp: &[Guarded<BgpAdvertisement>],
    known: &plan::Advertisements,
) -> plan::Advertisements {
    let read = l2.iter().map(|object| {
        let name = ObjectName::new(object.namespace().unwrap_or_default(), object.name_any());
        (name, advertisement::l2_advertisement(object).ok())
    });
    let unread = unreadable.iter().map(|error| {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        (ObjectName::new(text(&error.object.namespace), text(&error.object.name)), None)
    });
    let valid = read.chain(unread).filter_map(|(name, read)| {
        let advertisement = read.or_else(|| known.l2.get(&name).cloned())?;
        Some((name, advertisement))
    });
    plan::Advertisements {
        l2: valid.collect(),
        bgp: BTreeMap::new(),
        any_object: !l2.is_empty() || !unreadable.is_empty() || !bgp.is_empty(),
    }
}

/// The nodes with what their speakers reported.
pub(crate) fn nodes(nodes: &[Arc<Node>], states: &[Arc<NodeState>]) -> BTreeMap<NodeName, plan::Node> {
    let states: BTreeMap<String, &NodeState> =
        states.iter().map(|state| (state.name_any(), state.as_ref())).collect();
    let parse = |object: &Arc<Node>| {
        let name = object.name_any();
        let state = states.get(&name).copied();
        (NodeName::from(name), node::node(object, state))
    };
    nodes.iter().map(parse).collect()
}

/// Images and volumes make most of a Node object and are never read.
pub(crate) fn strip_node(node: &mut Node) {
    if let Some(status) = &mut node.status {
        status.images = None;
        status.volumes_attached = None;
        status.volumes_in_use = None;
    }
}

#[cfg(test)]
mod tests;
