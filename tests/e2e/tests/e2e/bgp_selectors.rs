//! MetalLB's acceptance list, BGP, numbers 83 to 92: which peers are told what, by which nodes, and over
//! which sessions.

use std::collections::BTreeSet;

use ferrolb_e2e::bgp::{NODES_ASN, ROUTER_ASN, ROUTER_V4, ROUTER_V6, bgp_advertisement_yaml, peer_yaml, url};
use ferrolb_e2e::bgp_more::{
    Attributes, DUAL_STACK, NODES, addresses, internal_peer_yaml, numbered_service, numbered_service_v4,
    numbered_service_v6, prefixes,
};
use ferrolb_e2e::{Cluster, Router, eventually, on_nodes, pool_yaml};

/// The second router.
const SECOND_V4: &str = "192.168.100.2";
/// The same over IPv6.
const SECOND_V6: &str = "fd00:100::2";

/// Numbers 83 and 84.
#[test]
fn both_families_and_their_attributes_come_over_a_session_of_either() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    let router = cluster.router(&cluster.internal_frr_config());
    let objects = [
        bgp_advertisement_yaml("bgp", "communities: ['1111:1', 'large:1:2:3'], localPref: 150"),
        numbered_service(1, "both", ""),
        numbered_service_v4(2, "only-v4"),
        numbered_service_v6(3, "only-v6"),
    ];
    cluster.apply(&objects.join("---\n"));
    let [both_v4, both_v6] = prefixes(1);
    let ([only_v4, _], [_, only_v6]) = (prefixes(2), prefixes(3));
    let told = [both_v4, both_v6, only_v4, only_v6];
    let attributes = Attributes::new(&["1111:1", "large:1:2:3"], Some(150));
    for sessions in [&[ROUTER_V4][..], &[ROUTER_V6], &[ROUTER_V4, ROUTER_V6]] {
        let name = |address: &str| if address == ROUTER_V4 { "over-v4" } else { "over-v6" };
        let peer = |address: &&str| internal_peer_yaml(name(address), address, DUAL_STACK);
        cluster.apply(&sessions.iter().map(peer).collect::<Vec<_>>().join("---\n"));
        for address in sessions {
            router.wait_established(&cluster.node_addresses(address));
        }
        cluster.wait_via(&router, &told, &NODES);
        router.wait_attributes(&told, &attributes);
        for address in addresses(1) {
            cluster.curl(&url(&address));
        }
        cluster.kubectl(&["delete", "bgppeers.metallb.io", "--all", "-n", "metallb-system"]);
        router.wait_prefixes(&[]);
    }
}

/// Two pools, `one` and `two`, with a Service of the same name in each, numbers 1 and 2.
fn with_two_pools() -> Cluster {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    for (number, name) in [(1, "one"), (2, "two")] {
        let pool = pool_yaml(name, &prefixes(number).each_ref().map(String::as_str));
        cluster.apply(&[pool, numbered_service(number, name, "")].join("---\n"));
    }
    cluster
}

/// Applies advertisements, each by its name and spec.
fn advertise(cluster: &Cluster, advertisements: &[(&str, &str)]) {
    let yaml = advertisements.iter().map(|(name, spec)| bgp_advertisement_yaml(name, spec));
    cluster.apply(&yaml.collect::<Vec<_>>().join("---\n"));
}

/// Numbers 85 and 86.
#[test]
fn each_peer_is_told_what_is_for_it() {
    let cluster = with_two_pools();
    let config = cluster.frr_config_of_all(&[]);
    let (a, b) = (cluster.router(&config), cluster.router_at(2, &config));
    let peers = [peer_yaml("a", ROUTER_V4, DUAL_STACK), peer_yaml("b", SECOND_V6, DUAL_STACK)];
    cluster.apply(&peers.join("---\n"));
    let of_one = "ipAddressPools: [one]";
    let of_two = "ipAddressPools: [two]";
    let only = |peer: &str, number: u32| format!("{of_one}, peers: [{peer}], communities: ['1111:{number}']");

    let (for_a, for_b) = (format!("{of_one}, peers: [a]"), format!("{of_two}, peers: [b]"));
    advertise(&cluster, &[("one", &for_a), ("two", &for_b)]);
    for (router, number) in [(&a, 1), (&b, 2)] {
        cluster.wait_via(router, &prefixes(number), &NODES);
        router.wait_prefixes(&prefixes(number));
    }
    advertise(&cluster, &[("one", &only("a", 1)), ("more", &only("b", 2))]);
    for (router, community) in [(&a, "1111:1"), (&b, "1111:2")] {
        cluster.wait_via(router, &prefixes(1), &NODES);
        router.wait_attributes(&prefixes(1), &Attributes::new(&[community], None));
    }
    cluster.kubectl(&["delete", "bgpadvertisement", "more", "-n", "metallb-system"]);
    advertise(&cluster, &[("one", of_one), ("two", of_two)]);
    for router in [&a, &b] {
        cluster.wait_via(router, &[prefixes(1), prefixes(2)].concat(), &NODES);
        router.wait_attributes(&prefixes(1), &Attributes::default());
    }
}

/// Numbers 87 to 90.
#[test]
fn the_selected_nodes_are_the_next_hops() {
    let cluster = with_two_pools();
    let router = cluster.router(&cluster.frr_config_of_all(&[]));
    cluster.apply(&peer_yaml("tor", ROUTER_V4, DUAL_STACK));
    let via = |number: u8, nodes: &[&str]| cluster.wait_via(&router, &prefixes(number), nodes);
    let of = |pool: &str, nodes: &str| format!("ipAddressPools: [{pool}], {nodes}");
    let labelled = |label: &str| format!("nodeSelectors: [{{matchLabels: {{{label}}}}}]");

    let two = of("two", &on_nodes(&["master", "worker2"]));
    advertise(&cluster, &[("one", &of("one", &on_nodes(&["worker1"]))), ("two", &two)]);
    via(1, &["worker1"]);
    via(2, &["master", "worker2"]);
    advertise(&cluster, &[("more", &of("one", &on_nodes(&["worker2"])))]);
    via(1, &["worker1", "worker2"]);
    via(2, &["master", "worker2"]);

    cluster.kubectl(&["delete", "bgpadvertisement", "more", "-n", "metallb-system"]);
    advertise(&cluster, &[("one", &of("one", &labelled("edge: 'yes'")))]);
    via(1, &[]);
    cluster.kubectl(&["label", "node", "master", "edge=yes"]);
    via(1, &["master"]);
    via(2, &["master", "worker2"]);

    advertise(&cluster, &[("two", &of("two", &labelled("edge: nowhere")))]);
    via(2, &[]);
    via(1, &["master"]);
    for address in addresses(1) {
        cluster.curl(&url(&address));
    }
}

/// The paths' AS numbers, each path as text.
fn as_paths(router: &Router, prefix: &str) -> BTreeSet<String> {
    let route = router.route(prefix);
    let paths = route["paths"].as_array().into_iter().flatten();
    paths.filter_map(|path| Some(path["aspath"]["string"].as_str()?.to_owned())).collect()
}

/// Numbers 91 and 92.
#[test]
fn the_selected_nodes_peer_each_with_its_own_as_number() {
    let cluster = with_two_pools();
    advertise(&cluster, &[("all", "")]);
    let told = [prefixes(1), prefixes(2)].concat();
    let config = cluster.frr_config_of_all(&[]);
    let external = config.replace(&format!("remote-as {NODES_ASN}"), "remote-as external");
    let (a, b) = (cluster.router(&external), cluster.router_at(2, &external));
    a.configure(&[&format!("router bgp {ROUTER_ASN}"), "bgp bestpath as-path multipath-relax"]);
    let on = |nodes: &[&str]| format!("{DUAL_STACK}, {}", on_nodes(nodes));
    let peer_on = |router: &Router, nodes: &[&str]| {
        cluster.wait_peering(router, ROUTER_V4, nodes);
        cluster.wait_via(router, &told, nodes);
    };

    cluster.apply(&peer_yaml("a", ROUTER_V4, &on(&["worker1"])));
    peer_on(&a, &["worker1"]);
    cluster.apply(&peer_yaml("a", ROUTER_V4, &on(&["worker1", "worker2"])));
    peer_on(&a, &["worker1", "worker2"]);
    let split = [
        peer_yaml("a", ROUTER_V4, &on(&["master"])),
        peer_yaml("b", SECOND_V4, &on(&["worker1", "worker2"])),
    ];
    cluster.apply(&split.join("---\n"));
    peer_on(&a, &["master"]);
    peer_on(&b, &["worker1", "worker2"]);

    let of_node = |(node, asn): (&str, u32)| {
        let yaml = peer_yaml(&format!("a-{node}"), ROUTER_V4, &on(&[node]));
        yaml.replace(&format!("myASN: {NODES_ASN}"), &format!("myASN: {asn}"))
    };
    let each = NODES.into_iter().zip(64_601..);
    cluster.kubectl(&["delete", "bgppeers.metallb.io", "--all", "-n", "metallb-system"]);
    cluster.apply(&each.clone().map(of_node).collect::<Vec<_>>().join("---\n"));
    peer_on(&a, &NODES);
    peer_on(&b, &[]);
    let expected: BTreeSet<String> = each.map(|(_, asn)| asn.to_string()).collect();
    for prefix in &told {
        eventually(&format!("{prefix} comes from {expected:?}"), || {
            let found = as_paths(&a, prefix);
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
}
