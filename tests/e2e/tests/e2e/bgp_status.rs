//! MetalLB's acceptance list, BGP, number 66: `ServiceBGPStatus` tells which nodes advertise a Service, and
//! to whom.

use std::collections::BTreeMap;

use ferrolb_e2e::bgp::{OUTSIDE_V4, OUTSIDE_V6, bgp_advertisement_yaml, host_route};
use ferrolb_e2e::{Cluster, eventually, on_nodes, service_yaml};

/// The Services, each with how its spec names its families.
const SERVICES: [(&str, &str); 3] = [
    ("v4", "ipFamilies: [IPv4]"),
    ("v6", "ipFamilies: [IPv6]"),
    ("dual", "ipFamilyPolicy: RequireDualStack"),
];

/// Waits until exactly `nodes` say of each Service that they advertise it to these peers; to none: until no
/// node says anything.
fn wait_told(cluster: &Cluster, nodes: &[String], peers: [&[&str]; 3]) {
    for ((service, _), peers) in SERVICES.into_iter().zip(peers) {
        let peers: Vec<String> = peers.iter().map(|peer| (*peer).to_owned()).collect();
        let of_node = |node: &String| (!peers.is_empty()).then(|| (node.clone(), peers.clone()));
        let expected: BTreeMap<_, _> = nodes.iter().filter_map(of_node).collect();
        eventually(&format!("{service} is advertised as in {expected:?}"), || {
            let found = cluster.bgp_statuses(service);
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
}

/// Number 66.
#[test]
fn each_node_tells_the_peers_of_a_service_and_follows_every_change() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    let advertise = |spec: &str| cluster.apply(&bgp_advertisement_yaml("bgp", spec));
    advertise("");
    let router = cluster.peer_with_router(&[], "");
    for (name, families) in SERVICES {
        cluster.apply(&service_yaml(name, "node-web-v1", &[families]));
    }
    let all = cluster.lab.node_names();
    let one = ["worker1".to_owned()];
    wait_told(&cluster, &all, [&["v4"], &["v6"], &["v4", "v6"]]);

    // A name that no peer has changes nothing.
    advertise("peers: [v4, nobody, v6]");
    wait_told(&cluster, &all, [&["v4"], &["v6"], &["v4", "v6"]]);
    advertise("peers: [v6, nobody]");
    wait_told(&cluster, &all, [&[], &["v6"], &["v6"]]);
    router.wait_next_hops::<&str>(&host_route(OUTSIDE_V4), &[]);
    advertise("peers: [nobody]");
    wait_told(&cluster, &all, [&[], &[], &[]]);

    advertise(&on_nodes(&["worker1"]));
    wait_told(&cluster, &one, [&["v4"], &["v6"], &["v4", "v6"]]);
    for address in [OUTSIDE_V4, OUTSIDE_V6] {
        router.wait_next_hops(&host_route(address), &[cluster.node_address("worker1", address)]);
    }
    cluster.kubectl(&["delete", "bgppeer", "v6", "-n", "metallb-system"]);
    wait_told(&cluster, &one, [&["v4"], &[], &["v4"]]);
    advertise("");
    wait_told(&cluster, &all, [&["v4"], &[], &["v4"]]);
    cluster.kubectl(&["delete", "service", "v4", "v6", "dual"]);
    wait_told(&cluster, &all, [&[], &[], &[]]);
    router.wait_next_hops::<&str>(&host_route(OUTSIDE_V4), &[]);
}
