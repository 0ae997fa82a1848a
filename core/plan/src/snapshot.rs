//! The cluster as one node sees it at one moment, parsed: the whole input of a plan.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{
    Instant, InterfaceName, IpPrefix, IpRange, Labels, Link, NodeName, ObjectName, PoolName, Selector,
    ServiceKey,
};

use crate::bgp::{BgpAdvertisement, Peering};
use crate::interfaces::Exclusions;
use crate::ownership::Ownership;

/// Everything a plan depends on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The node this plan is for.
    pub me: NodeName,
    /// The time of the plan.
    pub now: Instant,
    /// All nodes of the cluster.
    pub nodes: BTreeMap<NodeName, Node>,
    /// Nodes whose speaker is alive, or was not yet given the time to show it. This node
    /// counts as alive whether it is in the set or not.
    pub alive: BTreeSet<NodeName>,
    /// Who owns what, as far as this node knows.
    pub ownership: Ownership,
    /// The load-balanced Services that are ours to handle. There are thousands, and few change at a time.
    pub services: BTreeMap<ServiceKey, Arc<Service>>,
    /// Valid pools.
    pub pools: BTreeMap<PoolName, Pool>,
    /// Valid advertisements.
    pub advertisements: Advertisements,
    /// This node's interfaces.
    pub links: Vec<Link>,
    /// Interfaces never to announce on.
    pub exclusions: Exclusions,
    /// Who is told by BGP.
    pub peering: Peering,
}

/// A node, as far as announcing is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The Node object's labels.
    pub labels: Labels,
    /// The Node's condition `NetworkUnavailable` is `True`.
    pub network_unavailable: bool,
    /// Labelled `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded: bool,
    /// Marked to be drained (`ferrolb.io/drain`): it gives up what it owns as soon as another node has it.
    pub draining: bool,
    /// Subnets on the node's announceable interfaces, from its `NodeState`.
    pub subnets: BTreeSet<IpPrefix>,
}

/// A Service of type `LoadBalancer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// The Service's labels.
    pub labels: Labels,
    /// The addresses of `status.loadBalancer`, in order.
    pub addresses: Vec<IpAddr>,
    /// `spec.externalTrafficPolicy`.
    pub traffic_policy: TrafficPolicy,
    /// Carries an `allow-shared-ip` annotation that is not empty.
    pub shares_address: bool,
    /// Who can serve.
    pub endpoints: ServingEndpoints,
}

/// Which nodes may receive a Service's external traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any node: kube-proxy forwards to an endpoint anywhere.
    #[default]
    Cluster,
    /// Only nodes with an endpoint of their own; the client's address survives.
    Local,
}

/// The endpoints that can serve: ready, or terminating but still serving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServingEndpoints {
    /// Whether there is any, on a known node or not.
    pub any: bool,
    /// The nodes that have one, each with how many of its are ready: none where those it has terminate.
    pub nodes: BTreeMap<NodeName, u32>,
}

/// A pool, as far as announcing is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The namespace of the `IPAddressPool`; advertisements select pools of their own only.
    pub namespace: String,
    /// The `IPAddressPool`'s labels.
    pub labels: Labels,
    /// The addresses.
    pub ranges: Vec<IpRange>,
}

/// The advertisement objects of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertisements {
    /// Valid `L2Advertisement`s, by name.
    pub l2: BTreeMap<ObjectName, L2Advertisement>,
    /// Valid `BGPAdvertisement`s, by name.
    pub bgp: BTreeMap<ObjectName, BgpAdvertisement>,
    /// Whether the cluster has an advertisement object of any kind, valid or not. Without one,
    /// a pool inside a node's subnet is announced by layer 2 (ADR 0005).
    pub any_object: bool,
}

/// An `L2Advertisement`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L2Advertisement {
    /// Pools by name. With no name and no selector: all pools.
    pub pools: BTreeSet<PoolName>,
    /// Pools by label, ORed with the names.
    pub pool_selectors: Vec<Selector>,
    /// Nodes that may announce; empty means all.
    pub node_selectors: Vec<Selector>,
    /// Interfaces to announce on; empty means all.
    pub interfaces: BTreeSet<InterfaceName>,
    /// Services that are announced; empty means all.
    pub service_selectors: Vec<Selector>,
    /// Nodes that should rather announce.
    pub preferences: Vec<NodePreference>,
    /// Whether the first node in the order owns an address whenever it can
    /// (`ferrolb.io/failback`), rather than the one that has it.
    pub failback: bool,
    /// Whether each address of a Service has an owner of its own (`ferrolb.io/spread`).
    pub spread: bool,
}

/// A soft preference for nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePreference {
    /// Added to a matching node's score, 1 to 100.
    pub weight: u32,
    /// The nodes preferred; an empty selector prefers every node.
    pub selector: Selector,
}

impl Pool {
    /// Whether `address` belongs to the pool.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whether an advertisement is about this pool that names `pools`, and selects others by label:
    /// one that does neither is about all.
    pub(crate) fn is_among(
        &self,
        name: &PoolName,
        pools: &BTreeSet<PoolName>,
        selectors: &[Selector],
    ) -> bool {
        pools.is_empty() && selectors.is_empty()
            || pools.contains(name)
            || selectors.iter().any(|selector| selector.matches(&self.labels))
    }
}

impl Snapshot {
    /// The pool that holds every one of `addresses`.
    pub(crate) fn pool_of(&self, addresses: &[IpAddr]) -> Option<(&PoolName, &Pool)> {
        self.pools.iter().find(|(_, pool)| addresses.iter().all(|address| pool.contains(*address)))
    }

    pub(crate) fn is_alive(&self, node: &NodeName) -> bool {
        *node == self.me || self.alive.contains(node)
    }
}
