//! MetalLB's acceptance list, BGP, numbers 54, 57, 58, 60, 61 and 68: addresses are reached through routers,
//! which spread over the nodes that may have the traffic.

use std::collections::BTreeSet;

use ferrolb_e2e::bgp::{
    OUTSIDE_V4, OUTSIDE_V6, bgp_advertisement_yaml, frr_config, host_route, peer_yaml, url,
};
use ferrolb_e2e::{Cluster, Router, pool_yaml, service_yaml};

const OUTSIDE: [&str; 2] = [OUTSIDE_V4, OUTSIDE_V6];

/// A cluster whose pool `bgp` is advertised, and the router that it is advertised to.
fn with_router() -> (Cluster, Router) {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    cluster.apply(&bgp_advertisement_yaml("bgp", ""));
    let router = cluster.peer_with_router(&[], "");
    (cluster, router)
}

/// A Service with these annotations, for the Pods of [`Cluster::create_pods_and_outside_pool`].
fn annotated(name: &str, annotations: &str, more: &str) -> String {
    let metadata = format!("{{name: {name}, annotations: {{{annotations}}}}}");
    service_yaml(name, "node-web-v1", &[more]).replace(&format!("{{name: {name}}}"), &metadata)
}

/// Waits until the router forwards each address to these nodes, and it is reached.
fn wait_reached<S: AsRef<str>>(cluster: &Cluster, router: &Router, addresses: &[&str], nodes: &[S]) {
    for address in addresses {
        let hops: Vec<_> = nodes.iter().map(|node| cluster.node_address(node.as_ref(), address)).collect();
        router.wait_next_hops(&host_route(address), &hops);
        cluster.curl(&url(address));
    }
}

fn set_network_unavailable(cluster: &Cluster, node: &str, status: &str) {
    let fields = format!(r#""type":"NetworkUnavailable","status":"{status}","reason":"Test","message":"""#);
    let patch = format!(r#"{{"status":{{"conditions":[{{{fields}}}]}}}}"#);
    cluster.kubectl(&["patch", "node", node, "--subresource=status", "--type=strategic", "-p", &patch]);
}

/// Number 54.
#[test]
fn under_policy_cluster_every_router_forwards_to_all_nodes() {
    let (cluster, router) = with_router();
    let other = cluster.router_at(2, &frr_config(&cluster.all_node_addresses(), &[]));
    let peers = [("other-v4", "192.168.100.2"), ("other-v6", "fd00:100::2")];
    cluster.apply(&peers.map(|(name, address)| peer_yaml(name, address, "")).join("---\n"));
    cluster.wait_all_sessions(&peers.map(|(name, _)| name));
    let [v4, v6, dual] = ["ipFamilies: [IPv4]", "ipFamilies: [IPv6]", "ipFamilyPolicy: RequireDualStack"];
    let asked = |addresses: &str| format!("metallb.io/loadBalancerIPs: \"{addresses}\"");
    let cases: [(&str, &str, String, &[&str]); 5] = [
        ("v4", v4, String::new(), &[OUTSIDE_V4]),
        ("v6", v6, String::new(), &[OUTSIDE_V6]),
        ("dual", dual, String::new(), &["172.30.0.2", "fd00:200::2"]),
        ("asked-v4", v4, asked("172.30.0.77"), &["172.30.0.77"]),
        ("asked-dual", dual, asked("172.30.0.78,fd00:200::78"), &["172.30.0.78", "fd00:200::78"]),
    ];
    let nodes = cluster.lab.node_names();
    for (name, families, annotations, addresses) in cases {
        cluster.apply(&annotated(name, &annotations, families));
        cluster.wait_addresses(name, addresses);
        for router in [&router, &other] {
            wait_reached(&cluster, router, addresses, &nodes);
        }
    }
}

/// Number 57.
#[test]
fn a_node_whose_network_is_unavailable_is_no_next_hop() {
    let (cluster, router) = with_router();
    cluster.create_dual_service("web", "");
    let all = cluster.lab.node_names();
    wait_reached(&cluster, &router, &OUTSIDE, &all);
    set_network_unavailable(&cluster, "worker1", "True");
    wait_reached(&cluster, &router, &OUTSIDE, &["master", "worker2"]);
    set_network_unavailable(&cluster, "worker1", "False");
    wait_reached(&cluster, &router, &OUTSIDE, &all);
}

/// Number 58.
#[test]
fn under_policy_local_only_nodes_with_pods_are_next_hops_and_traffic_stays_there() {
    let (cluster, router) = with_router();
    let pod = |node: &str| {
        let container = "{name: web, image: \"whatwant/node-web:1.0\", ports: [{containerPort: 8080}]}";
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: on-{node}, labels: {{app: local}}}}\n\
             spec: {{nodeName: {node}, terminationGracePeriodSeconds: 1, containers: [{container}]}}\n"
        )
    };
    cluster.apply(&["master", "worker1"].map(pod).join("---\n"));
    let policy = "externalTrafficPolicy: Local";
    let cases: [(&str, &str, &[&str]); 3] = [
        ("v4", "ipFamilies: [IPv4]", &[OUTSIDE_V4]),
        ("v6", "ipFamilies: [IPv6]", &[OUTSIDE_V6]),
        ("dual", "ipFamilyPolicy: RequireDualStack", &["172.30.0.2", "fd00:200::2"]),
    ];
    for (name, families, addresses) in cases {
        cluster.apply(&service_yaml(name, "local", &[families, policy]));
        cluster.wait_addresses(name, addresses);
        wait_reached(&cluster, &router, addresses, &["master", "worker1"]);
        for address in addresses {
            let expected = ["master", "worker1"].map(|node| format!("You've hit on-{node}"));
            // The router spreads over both, whose Pods see who asks.
            assert_eq!(cluster.wait_answers(&url(address), 2), BTreeSet::from(expected));
            let client = if address.contains(':') { "fd00:100::10" } else { "192.168.100.10" };
            assert_eq!(cluster.curl(&format!("{}/ip", url(address))), client);
        }
    }
    cluster.kubectl(&["delete", "pod", "on-master", "--wait=false"]);
    for (_, _, addresses) in cases {
        wait_reached(&cluster, &router, addresses, &["worker1"]);
    }
}

/// Number 60.
#[test]
fn services_that_share_an_address_are_all_reached() {
    let (cluster, router) = with_router();
    for (family, address) in [("IPv4", OUTSIDE_V4), ("IPv6", OUTSIDE_V6)] {
        for port in ["80", "81"] {
            let name = format!("{}-{port}", family.to_lowercase());
            let shares =
                format!("metallb.io/allow-shared-ip: key, metallb.io/loadBalancerIPs: \"{address}\"");
            let yaml = annotated(&name, &shares, &format!("ipFamilies: [{family}]"));
            cluster.apply(&yaml.replace("port: 80,", &format!("port: {port},")));
            cluster.wait_addresses(&name, &[address]);
            cluster.curl(&format!("{}:{port}", url(address)));
        }
        wait_reached(&cluster, &router, &[address], &cluster.lab.node_names());
    }
    cluster.kubectl(&["delete", "service", "ipv4-80", "ipv6-81"]);
    for (port, address) in [("81", OUTSIDE_V4), ("80", OUTSIDE_V6)] {
        router.wait_next_hops(&host_route(address), &cluster.node_addresses(address));
        cluster.curl(&format!("{}:{port}", url(address)));
    }
}

/// Numbers 61 and 68.
#[test]
fn pools_by_range_and_by_prefix_are_added_one_by_one_and_earlier_services_go_on() {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    let router = cluster.peer_with_router(&[], "");
    let nodes = cluster.lab.node_names();
    let [range, prefix] =
        [["172.30.3.7-172.30.3.9", "fd00:200:3::7-fd00:200:3::9"], ["172.30.4.64/28", "fd00:200:4::40/124"]];
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("range-v4", &["172.30.1.7-172.30.1.9"], &["172.30.1.7"]),
        ("prefix-v4", &["172.30.2.64/28"], &["172.30.2.64"]),
        ("range-v6", &["fd00:200:1::7-fd00:200:1::9"], &["fd00:200:1::7"]),
        ("prefix-v6", &["fd00:200:2::40/124"], &["fd00:200:2::40"]),
        ("range", &range, &["172.30.3.7", "fd00:200:3::7"]),
        ("prefix", &prefix, &["172.30.4.64", "fd00:200:4::40"]),
    ];
    cluster.apply(&bgp_advertisement_yaml("bgp", ""));
    for (count, (name, entries, addresses)) in (1..).zip(cases) {
        cluster.apply(&pool_yaml(name, entries));
        let families = match addresses {
            [one] if one.contains(':') => "ipFamilies: [IPv6]",
            [_] => "ipFamilies: [IPv4]",
            _ => "ipFamilyPolicy: RequireDualStack",
        };
        cluster.apply(&annotated(name, &format!("metallb.io/address-pool: {name}"), families));
        for (earlier, _, addresses) in cases.into_iter().take(count) {
            cluster.wait_addresses(earlier, addresses);
            wait_reached(&cluster, &router, addresses, &nodes);
        }
    }
    router.assert_never_dropped(&cluster.all_node_addresses());
}
