//! Node and `NodeState` objects.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ferrolb_api::{NodeState, labels};
use ferrolb_plan::Node;
use ferrolb_vocab::{IpPrefix, Labels, MacAddr, NodeName};
use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;

/// The Node as the plan sees it; `state` is what its speaker reported.
#[must_use]
pub fn node(object: &core::Node, state: Option<&NodeState>) -> Node {
    let conditions = object.status.as_ref().and_then(|status| status.conditions.as_ref());
    let unavailable = |condition: &core::NodeCondition| {
        condition.type_ == "NetworkUnavailable" && condition.status == "True"
    };
    Node {
        labels: Labels::from(object.labels()),
        network_unavailable: conditions.into_iter().flatten().any(unavailable),
        draining: is_draining(object),
        excluded: object.labels().contains_key(labels::EXCLUDE_FROM_LOAD_BALANCERS),
        subnets: state.map(subnets).unwrap_or_default(),
    }
}

/// Whether the node is to give up what it announces: by taint or by annotation, never by
/// cordoning alone, which says nothing about the network.
fn is_draining(object: &core::Node) -> bool {
    let taints = object.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    taints.into_iter().flatten().any(|taint| taint.key == labels::DRAIN)
        || object.annotations().get(labels::DRAIN).is_some_and(|value| value == "true")
}

/// The subnets a speaker reported. One it wrote wrongly is as if it were not there: the node
/// then announces nothing in it without an advertisement.
fn subnets(state: &NodeState) -> BTreeSet<IpPrefix> {
    let links = state.status.iter().flat_map(|status| &status.links);
    links.flat_map(|link| &link.subnets).filter_map(|subnet| subnet.parse().ok()).collect()
}

/// The link-layer addresses that a speaker reported, each with its node.
pub fn link_layer_addresses(state: &NodeState) -> impl Iterator<Item = (MacAddr, NodeName)> {
    let links = state.status.iter().flat_map(|status| &status.links);
    let macs = links.filter_map(|link| link.mac.as_deref()?.parse().ok());
    macs.map(|mac| (mac, NodeName::from(state.name_any())))
}

/// The Node's `InternalIP` addresses, where its speaker is reached by the others.
#[must_use]
pub fn internal_ips(object: &core::Node) -> Vec<IpAddr> {
    let addresses = object.status.as_ref().and_then(|status| status.addresses.as_ref());
    let internal = addresses.into_iter().flatten().filter(|address| address.type_ == "InternalIP");
    internal.filter_map(|address| address.address.parse().ok()).collect()
}
