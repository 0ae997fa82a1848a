//! The addresses that the cluster itself uses, so that no pool gives them.

use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::NodeState;
use ferrolb_ipam::Occupant;
use ferrolb_vocab::{IpPrefix, IpRange, NodeName};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::ResourceExt;

use super::service::SeenService;

/// What nodes, their Pods, Services inside the cluster and the ends of the nodes' subnets occupy.
/// What does not parse was written by another and is left out.
#[must_use]
pub fn occupied(
    nodes: &[Arc<Node>],
    states: &[Arc<NodeState>],
    services: &[Arc<SeenService>],
    service_cidrs: &[Arc<ServiceCIDR>],
) -> Vec<(IpRange, Occupant)> {
    let mut occupied = Vec::new();
    for node in nodes {
        let name = NodeName::from(node.name_any());
        let status = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let own = status.filter_map(|address| single(&address.address));
        occupied.extend(own.map(|range| (range, Occupant::Node(name.clone()))));
        let spec = node.spec.iter();
        let pods = spec.flat_map(|spec| spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr));
        occupied
            .extend(pods.filter_map(|cidr| prefix(cidr)).map(|range| (range, Occupant::Pods(name.clone()))));
    }
    for state in states {
        let name = NodeName::from(state.name_any());
        for link in state.status.iter().flat_map(|status| &status.links) {
            let own = link.addresses.iter().filter_map(|address| single(address));
            occupied.extend(own.map(|range| (range, Occupant::Node(name.clone()))));
            let ends = link.subnets.iter().filter_map(|subnet| subnet.parse().ok()).flat_map(subnet_ends);
            occupied.extend(ends.map(|range| (range, Occupant::Subnet)));
        }
    }
    let cidrs =
        service_cidrs.iter().flat_map(|object| &object.spec).flat_map(|spec| spec.cidrs.iter().flatten());
    let networks: Vec<IpRange> = cidrs.filter_map(|cidr| prefix(cidr)).collect();
    occupied.extend(networks.iter().map(|range| (*range, Occupant::Services)));
    // An API server before 1.33 does not tell the network.
    let is_outside = |address: &&IpAddr| !networks.iter().any(|network| network.contains(**address));
    for service in services {
        let own = service.cluster_ips.iter().filter(is_outside);
        let own = own.filter_map(|address| IpRange::new(*address, *address).ok());
        occupied.extend(own.map(|range| (range, Occupant::ClusterIp(service.key.clone()))));
    }
    occupied
}

fn single(address: &str) -> Option<IpRange> {
    let address: IpAddr = address.parse().ok()?;
    IpRange::new(address, address).ok()
}

fn prefix(cidr: &str) -> Option<IpRange> {
    cidr.parse::<IpPrefix>().ok().map(IpRange::from)
}

/// The network and the broadcast address of an IPv4 subnet. A /31 has neither (RFC 3021), and
/// IPv6 has no broadcast; its first address belongs to the subnet's routers (RFC 4291 §2.6.1).
fn subnet_ends(subnet: IpPrefix) -> impl Iterator<Item = IpRange> {
    let ends = match subnet.network() {
        IpAddr::V4(_) if subnet.length() >= 31 => [None, None],
        IpAddr::V4(_) => [Some(subnet.network()), Some(subnet.last())],
        IpAddr::V6(_) if subnet.length() >= 127 => [None, None],
        IpAddr::V6(_) => [Some(subnet.network()), None],
    };
    ends.into_iter().flatten().filter_map(|end| IpRange::new(end, end).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_json<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> Arc<T> {
        Arc::new(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn nodes_pods_services_and_subnet_ends_are_occupied() {
        let node = from_json(serde_json::json!({
            "metadata": { "name": "worker1" },
            "spec": { "podCIDR": "10.233.65.0/24", "podCIDRs": ["10.233.65.0/24"] },
            "status": { "addresses": [
                { "type": "InternalIP", "address": "192.168.100.201" },
                { "type": "Hostname", "address": "worker1" }
            ] }
        }));
        let state = from_json(serde_json::json!({
            "metadata": { "name": "worker1" },
            "status": { "links": [{
                "name": "eth0", "up": true,
                "addresses": ["192.168.100.201", "fd00:100::201"],
                "subnets": ["192.168.100.0/24", "fd00:100::/64", "198.51.100.0/31", "nonsense"]
            }] }
        }));
        let seen = |json| Arc::new(SeenService::of(&serde_json::from_value(json).unwrap()));
        let service = seen(serde_json::json!({
            "metadata": { "namespace": "default", "name": "kubernetes" },
            "spec": { "clusterIPs": ["10.233.0.1", "fd00:233::1", "10.96.0.1"] }
        }));
        let headless = seen(serde_json::json!({
            "metadata": { "namespace": "default", "name": "headless" },
            "spec": { "clusterIPs": ["None"] }
        }));
        let network = from_json(serde_json::json!({
            "metadata": { "name": "kubernetes" },
            "spec": { "cidrs": ["10.233.0.0/18", "fd00:233::/112"] }
        }));
        let occupied = occupied(&[node], &[state], &[service, headless], &[network]);
        let text = |of: fn(&Occupant) -> bool| -> Vec<String> {
            let matching = occupied.iter().filter(|(_, occupant)| of(occupant));
            matching.map(|(range, _)| range.start().to_string()).collect()
        };
        assert_eq!(
            text(|occupant| matches!(occupant, Occupant::Node(_))),
            ["192.168.100.201", "192.168.100.201", "fd00:100::201"]
        );
        assert_eq!(
            text(|occupant| *occupant == Occupant::Subnet),
            ["192.168.100.0", "192.168.100.255", "fd00:100::"]
        );
        assert_eq!(
            text(|occupant| matches!(occupant, Occupant::ClusterIp(_))),
            ["10.96.0.1"],
            "the others are in a network that is occupied as a whole"
        );
        assert_eq!(text(|occupant| matches!(occupant, Occupant::Pods(_))), ["10.233.65.0", "10.233.65.0"]);
        assert_eq!(text(|occupant| *occupant == Occupant::Services), ["10.233.0.0", "fd00:233::"]);
    }
}
