//! The cluster as a speaker plans on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::node_state::ConflictState;
use ferrolb_api::{BgpSession, IpAddressPool, NodeState, ServiceBgpStatus, ServiceL2Status, labels};
use ferrolb_plan as plan;
use ferrolb_vocab::{IpRange, Labels, MacAddr, NodeName, ObjectName, PoolName, ServiceKey};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use super::peering::NodePeering;
use super::planned::PlannedServices;
use crate::bgp::{BgpStores, Secrets};
use crate::coexistence::{MetalLbPods, MetalLbWatch};
use crate::config::{ConfigStores, Guarded};
use crate::controller::view::{advertisements, nodes, strip_node};
use crate::parse::conflict::{HostConflict, conflicts};
use crate::parse::peering::BgpObjects;
use crate::parse::service::{Ownership, SeenService};
use crate::parse::{ObjectError, advertisement, node, pool, readable};
use crate::services::Services;
use crate::watches::{Watches, synced};

/// A speaker's local copies.
#[derive(Debug)]
pub struct SpeakerWatches {
    services: Services,
    endpoint_slices: Store<EndpointSlice>,
    planned: PlannedServices,
    nodes: Store<Node>,
    pub(super) node_states: Store<NodeState>,
    metallb: MetalLbWatch,
    config: ConfigStores,
    bgp: BgpStores,
    pub(super) l2_statuses: Store<ServiceL2Status>,
    /// Of this node only: what other nodes advertise is none of its business.
    pub(super) bgp_statuses: Store<ServiceBgpStatus>,
    /// Of this node only.
    pub(super) sessions: Store<BgpSession>,
}

/// What earlier views found of objects, and what counts while these cannot be read any more.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The ranges that each pool had.
    pub pools: BTreeMap<PoolName, plan::Pool>,
    /// The advertisements as they were last valid.
    pub advertisements: plan::Advertisements,
    /// The same of BGP.
    pub peering: Arc<NodePeering>,
}

/// Everything a plan depends on that the API server knows.
#[derive(Debug, Default)]
pub struct SpeakerView {
    /// The load-balanced Services that are ours.
    pub services: BTreeMap<ServiceKey, Arc<plan::Service>>,
    /// The same Services as they were read, in the order of their keys.
    pub seen: Vec<Arc<SeenService>>,
    /// The pools' ranges.
    pub pools: BTreeMap<PoolName, plan::Pool>,
    /// The advertisements.
    pub advertisements: plan::Advertisements,
    /// The BGP peers of all nodes.
    pub peers: BTreeMap<ObjectName, plan::BgpPeer>,
    /// What those, and the advertisements by BGP, were read from.
    pub peering: Arc<NodePeering>,
    /// The nodes.
    pub nodes: BTreeMap<NodeName, plan::Node>,
    /// Where each node's speaker is reached.
    pub internal_ips: BTreeMap<NodeName, Vec<IpAddr>>,
    /// The addresses that a speaker found to be another host's when it was last to announce them.
    pub occupied: BTreeSet<IpAddr>,
    /// The nodes by the link-layer addresses of their interfaces.
    pub fellows: BTreeMap<MacAddr, NodeName>,
    /// The UID of each Node object.
    pub node_uids: BTreeMap<NodeName, String>,
    /// The Pods of `MetalLB` that handle the same Services.
    pub metallb: MetalLbPods,
    /// What is wrong with advertisements, and with peers that concern this node.
    pub errors: Vec<ObjectError>,
}

impl SpeakerWatches {
    /// Starts the watches of the speaker of `node`; status objects are kept in `own_namespace`.
    pub fn start(
        watches: &mut Watches,
        client: &Client,
        node: &NodeName,
        own_namespace: &str,
        namespaces: &[String],
    ) -> Self {
        let all = watcher::Config::default;
        let of_node = || all().labels(&format!("{}={node}", labels::NODE));
        Self {
            services: Services::start(watches, client),
            endpoint_slices: watches.follow(Api::all(client.clone()), all(), |_| ()),
            planned: PlannedServices::default(),
            nodes: watches.follow(Api::all(client.clone()), all(), strip_node),
            node_states: watches.follow(Api::all(client.clone()), all(), |_| ()),
            metallb: MetalLbWatch::start(watches, client),
            config: ConfigStores::start(watches, client, namespaces),
            bgp: BgpStores::start(watches, client, namespaces, Secrets::Read),
            l2_statuses: watches.follow_written(Api::namespaced(client.clone(), own_namespace), all()),
            bgp_statuses: watches.follow_written(Api::namespaced(client.clone(), own_namespace), of_node()),
            sessions: watches.follow_written(Api::namespaced(client.clone(), own_namespace), of_node()),
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
        synced(&self.bgp_statuses).await;
        synced(&self.sessions).await;
        self.config.synced().await;
        self.bgp.synced().await;
    }

    /// The cluster now as the speaker of `me` sees it, when the view before found what is `known`.
    #[must_use]
    pub fn view(&mut self, me: &NodeName, lb_class: Option<&str>, known: &Known) -> SpeakerView {
        let config = self.config.objects();
        let mut view = SpeakerView {
            pools: pools(&config.pools, &known.pools),
            metallb: self.metallb.pods(lb_class),
            ..SpeakerView::default()
        };
        let mut services = self.services.state();
        services.retain(|service| service.ownership(lb_class) == Ownership::Ours);
        view.services = self.planned.update(&services, self.endpoint_slices.state());
        view.seen = services;
        let (l2, unreadable) = readable(&config.l2_advertisements);
        let bgp = &config.bgp_advertisements;
        view.advertisements = advertisements((&l2, &unreadable), bgp, &known.advertisements);
        view.errors.extend(l2.iter().filter_map(|object| advertisement::l2_advertisement(object).err()));
        view.errors.extend(unreadable);
        view.add_nodes(&self.nodes.state(), &self.node_states.state());
        let objects = self.bgp.objects(config.bgp_advertisements);
        view.add_peering(me, (objects, config.pools), &known.peering);
        view
    }
}

impl SpeakerView {
    /// After the nodes: whom an object concerns is told by their labels.
    fn add_peering(
        &mut self,
        me: &NodeName,
        objects: (BgpObjects, Vec<Guarded<IpAddressPool>>),
        known: &Arc<NodePeering>,
    ) {
        let labels = self.nodes.get(me).map(|node| node.labels.clone()).unwrap_or_default();
        self.peering = known.reread(objects, labels);
        self.errors.extend(self.peering.config.errors.iter().cloned());
        self.peers.clone_from(&self.peering.config.peers);
        self.advertisements.bgp.clone_from(&self.peering.config.advertisements);
    }

    fn add_nodes(&mut self, objects: &[Arc<Node>], states: &[Arc<NodeState>]) {
        self.nodes = nodes(objects, states);
        let is_occupied = |(_, conflict): &(_, HostConflict)| match conflict.state {
            ConflictState::Occupied | ConflictState::Avoided => true,
            ConflictState::Contested | ConflictState::Released => false,
        };
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

/// The pools' ranges. What does not parse takes nothing off the network: a pool with such an entry is
/// used with the entries that do, and with those it had before; one that cannot be read stays what it was.
fn pools(
    objects: &[Guarded<IpAddressPool>],
    known: &BTreeMap<PoolName, plan::Pool>,
) -> BTreeMap<PoolName, plan::Pool> {
    let (objects, unreadable) = readable(objects);
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
    let unreadable = unreadable.into_iter().filter_map(|error| error.object.name.map(PoolName::from));
    for (name, pool) in unreadable.filter_map(|name| Some((name.clone(), known.get(&name)?))) {
        pools.entry(name).or_insert_with(|| pool.clone());
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A pool with these addresses; what is no list does not have the shape of one.
    fn pool(addresses: serde_json::Value) -> Guarded<IpAddressPool> {
        let metadata = json!({"namespace": "metallb-system", "name": "lb"});
        Arc::new(
            serde_json::from_value(json!({"metadata": metadata, "spec": {"addresses": addresses}})).unwrap(),
        )
    }

    #[test]
    fn what_a_pool_had_stays_while_it_cannot_be_read() {
        let ranges = |pools: &BTreeMap<PoolName, plan::Pool>| {
            let all = pools.values().flat_map(|pool| &pool.ranges).map(ToString::to_string);
            all.collect::<Vec<_>>().join(" ")
        };
        let known = pools(&[pool(json!(["10.0.0.0/30"]))], &BTreeMap::new());
        let before = "10.0.0.0-10.0.0.3";
        assert_eq!(ranges(&known), before);
        for (addresses, expected) in [
            (json!(["10.0.1.0/30"]), "10.0.1.0-10.0.1.3"),
            (json!(["10.0.1.0/30", "nonsense"]), "10.0.0.0-10.0.0.3 10.0.1.0-10.0.1.3"),
            (json!({}), before),
        ] {
            assert_eq!(ranges(&pools(&[pool(addresses.clone())], &known)), expected, "{addresses}");
        }
        assert_eq!(ranges(&pools(&[], &known)), "", "it is deleted");
    }

    #[test]
    fn what_a_host_had_before_any_speaker_announced_it_is_known_whoever_asks_next() {
        for (state, expected) in [("Occupied", 1), ("Avoided", 1), ("Contested", 0), ("Released", 0)] {
            let conflict = json!({"address": "10.0.0.1", "mac": "02:00:00:00:00:99", "state": state});
            let link = json!({"name": "eth0", "up": true, "conflicts": [conflict]});
            let heard = json!({"metadata": {"name": "worker1"}, "status": {"links": [link]}});
            let mut view = SpeakerView::default();
            view.add_nodes(&[], &[Arc::new(serde_json::from_value(heard).unwrap())]);
            assert_eq!(view.occupied.len(), expected, "{state}");
        }
    }
}
