//! The cluster as a speaker plans on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::node_state::ConflictState;
use ferrolb_api::{IpAddressPool, NodeState, ServiceL2Status};
use ferrolb_plan as plan;
use ferrolb_vocab::{IpRange, Labels, MacAddr, NodeName, PoolName, ServiceKey};
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use crate::coexistence::{MetalLbPods, MetalLbWatch};
use crate::config::{ConfigStores, Guarded};
use crate::controller::view::{advertisements, nodes, strip_node};
use crate::parse::conflict::{HostConflict, conflicts};
use crate::parse::endpoints::serving_endpoints;
use crate::parse::service::Ownership;
use crate::parse::{node, pool, readable};
use crate::services::Services;
use crate::watches::{Watches, synced};

/// A speaker's local copies.
#[derive(Debug)]
pub struct SpeakerWatches {
    services: Services,
    endpoint_slices: Store<EndpointSlice>,
    nodes: Store<Node>,
    pub(super) node_states: Store<NodeState>,
    metallb: MetalLbWatch,
    config: ConfigStores,
    pub(super) l2_statuses: Store<ServiceL2Status>,
}

/// Everything a plan depends on that the API server knows.
#[derive(Debug, Default)]
pub struct SpeakerView {
    /// The load-balanced Services that are ours.
    pub services: BTreeMap<ServiceKey, plan::Service>,
    /// The same Services as Events name them.
    pub references: BTreeMap<ServiceKey, ObjectReference>,
    /// The pools' ranges.
    pub pools: BTreeMap<PoolName, plan::Pool>,
    /// The advertisements.
    pub advertisements: plan::Advertisements,
    /// The nodes.
    pub nodes: BTreeMap<NodeName, plan::Node>,
    /// Where each node's speaker is reached.
    pub internal_ips: BTreeMap<NodeName, Vec<IpAddr>>,
    /// The addresses that a speaker found to be another host's, and therefore does not announce.
    pub occupied: BTreeSet<IpAddr>,
    /// The nodes by the link-layer addresses of their interfaces.
    pub fellows: BTreeMap<MacAddr, NodeName>,
    /// The UID of each Node object.
    pub node_uids: BTreeMap<NodeName, String>,
    /// The Pods of `MetalLB` that handle the same Services.
    pub metallb: MetalLbPods,
}

impl SpeakerWatches {
    /// Starts the watches; status objects are kept in `own_namespace`.
    pub fn start(watches: &mut Watches, client: &Client, own_namespace: &str, namespaces: &[String]) -> Self {
        let all = watcher::Config::default;
        Self {
            services: Services::start(watches, client),
            endpoint_slices: watches.follow(Api::all(client.clone()), all(), |_| ()),
            nodes: watches.follow(Api::all(client.clone()), all(), strip_node),
            node_states: watches.follow(Api::all(client.clone()), all(), |_| ()),
            metallb: MetalLbWatch::start(watches, client),
            config: ConfigStores::start(watches, client, namespaces),
            l2_statuses: watches.follow(Api::namespaced(client.clone(), own_namespace), all(), |_| ()),
        }
    }

    /// Waits for the first complete copy of everything.
    pub async fn synced(&self) {
        self.services.synced().await;
        synced(&self.endpoint_slices).await;
        synced(&self.nodes).await;
        synced(&self.node_states).await;
        self.metallb.synced().await;
        synced(&self.l2_statuses).await;
        self.config.synced().await;
    }

    /// The cluster now. `known` are the ranges that each pool had in an earlier view.
    #[must_use]
    pub fn view(&self, lb_class: Option<&str>, known: &BTreeMap<PoolName, plan::Pool>) -> SpeakerView {
        let mut endpoints = serving_endpoints(&self.endpoint_slices.state());
        let config = self.config.objects();
        let mut view = SpeakerView {
            pools: pools(&config.pools, known),
            metallb: self.metallb.pods(lb_class),
            ..SpeakerView::default()
        };
        for service in self.services.state() {
            if service.ownership(lb_class) == Ownership::Ours {
                let endpoints = endpoints.remove(&service.key).unwrap_or_default();
                view.references.insert(service.key.clone(), service.reference());
                view.services.insert(service.key.clone(), service.planned(endpoints));
            }
        }
        let (l2, unreadable) = readable(&config.l2_advertisements);
        view.advertisements = advertisements(&l2, &unreadable, &config.bgp_advertisements);
        view.add_nodes(&self.nodes.state(), &self.node_states.state());
        view
    }
}

impl SpeakerView {
    fn add_nodes(&mut self, objects: &[Arc<Node>], states: &[Arc<NodeState>]) {
        self.nodes = nodes(objects, states);
        let is_occupied = |(_, conflict): &(_, HostConflict)| conflict.state == ConflictState::Occupied;
        let occupied = conflicts(objects, states).into_iter().filter(is_occupied);
        self.occupied = occupied.map(|(address, _)| address).collect();
        self.fellows = states.iter().flat_map(|state| node::link_layer_addresses(state)).collect();
        for object in objects {
            let name = NodeName::from(object.name_any());
            self.internal_ips.insert(name.clone(), node::internal_ips(object));
            self.node_uids.extend(object.uid().map(|uid| (name, uid)));
        }
    }
}

/// The pools' ranges. An entry that does not parse takes nothing off the network: a pool with
/// one is used with the entries that do, and with those it had before.
fn pools(
    objects: &[Guarded<IpAddressPool>],
    known: &BTreeMap<PoolName, plan::Pool>,
) -> BTreeMap<PoolName, plan::Pool> {
    let (objects, _told_by_the_controller) = readable(objects);
    let mut pools = BTreeMap::new();
    for object in &objects {
        let name = PoolName::from(object.name_any());
        let read: Vec<_> = pool::ranges(object).collect();
        let before = known.get(&name).filter(|_| read.iter().any(Result::is_err));
        let mut ranges: BTreeSet<IpRange> =
            before.into_iter().flat_map(|pool| &pool.ranges).copied().collect();
        ranges.extend(read.into_iter().flatten());
        let pool = plan::Pool {
            namespace: object.namespace().unwrap_or_default(),
            labels: Labels::from(object.labels()),
            ranges: ranges.into_iter().collect(),
        };
        // Of two pools with one name the first counts; the controller tells the second.
        pools.entry(name).or_insert(pool);
    }
    pools
}
