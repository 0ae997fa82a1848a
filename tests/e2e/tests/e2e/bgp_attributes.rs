//! MetalLB's acceptance list, BGP, numbers 70 to 73 and 80: what routers are told of a prefix, what becomes
//! of what they tell, and a Service that is announced by layer 2 too.

use ferrolb_e2e::bgp::{ROUTER_ASN, ROUTER_V4, bgp_advertisement_yaml, host_route, peer_yaml, url};
use ferrolb_e2e::bgp_more::{
    Attributes, DUAL_STACK, LOCAL_PREF_DEFAULT, NODES, addresses, community_yaml, internal_peer_yaml,
    numbered_service, prefixes,
};
use ferrolb_e2e::{Cluster, V4, V6, advertisement_yaml, counted, eventually, pool_yaml};

/// Name of an advertisement, of its pool and of the Service there; its spec; and the communities and the
/// LOCAL_PREF that it gives.
type Case = (&'static str, &'static str, &'static [&'static str], u64);

/// Number 70.
#[test]
fn attributes_arrive_and_a_preference_does_within_the_as_only() {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    let inside = cluster.router(&cluster.internal_frr_config());
    let outside = cluster.router_at(2, &cluster.frr_config_of_all(&[]));
    let by_label = "ipAddressPoolSelectors: [{matchLabels: {tier: by-label}}], localPref: 80";
    let cases: [Case; 6] = [
        ("both", "ipAddressPools: [both], communities: ['1:22'], localPref: 50", &["1:22"], 50),
        ("large", "ipAddressPools: [large], communities: ['large:1:2:3'], localPref: 6", &["large:1:2:3"], 6),
        ("preference", "ipAddressPools: [preference], localPref: 70", &[], 70),
        ("tags", "ipAddressPools: [tags], communities: ['1:1', '1:2']", &["1:1", "1:2"], LOCAL_PREF_DEFAULT),
        ("alias", "ipAddressPools: [alias], communities: [blue]", &["64512:99"], LOCAL_PREF_DEFAULT),
        ("by-label", by_label, &[], 80),
    ];
    let mut objects = vec![
        community_yaml("colours", "blue", "64512:99"),
        internal_peer_yaml("inside", ROUTER_V4, DUAL_STACK),
        peer_yaml("outside", "192.168.100.2", DUAL_STACK),
    ];
    for (number, (name, spec, ..)) in (1..).zip(cases) {
        let pool = pool_yaml(name, &prefixes(number).each_ref().map(String::as_str));
        let namespace = "namespace: metallb-system";
        objects.push(pool.replace(namespace, &format!("{namespace}, labels: {{tier: {name}}}")));
        objects.push(bgp_advertisement_yaml(name, spec));
        objects.push(numbered_service(number, name, ""));
    }
    cluster.apply(&objects.join("---\n"));
    for (number, (.., communities, local_pref)) in (1..).zip(cases) {
        inside.wait_attributes(&prefixes(number), &Attributes::new(communities, Some(local_pref)));
        outside.wait_attributes(&prefixes(number), &Attributes::new(communities, None));
    }
}

/// Numbers 71 and 72.
#[test]
fn communities_of_several_advertisements_are_united_and_each_change_is_told() {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    let router = cluster.router(&cluster.internal_frr_config());
    let one = |spec: &str| bgp_advertisement_yaml("one", spec);
    let objects = [
        internal_peer_yaml("tor", ROUTER_V4, DUAL_STACK),
        pool_yaml("bgp", &["172.30.0.0/24", "fd00:200::/112"]),
        numbered_service(1, "web", ""),
        one("communities: ['1111:1', '1111:2']"),
        bgp_advertisement_yaml("two", "communities: ['1111:2', '1111:3']"),
    ];
    cluster.apply(&objects.join("---\n"));
    let is_told = |communities: &[&str], local_pref: u64, prefixes: &[String]| {
        router.wait_attributes(prefixes, &Attributes::new(communities, Some(local_pref)));
    };
    is_told(&["1111:1", "1111:2", "1111:3"], LOCAL_PREF_DEFAULT, &prefixes(1));
    cluster.kubectl(&["delete", "bgpadvertisement", "two", "-n", "metallb-system"]);
    is_told(&["1111:1", "1111:2"], LOCAL_PREF_DEFAULT, &prefixes(1));
    cluster.apply(&one("communities: ['2222:1'], localPref: 150"));
    is_told(&["2222:1"], 150, &prefixes(1));

    let lengths = "aggregationLength: 24, aggregationLengthV6: 124";
    cluster.apply(&one(&format!("communities: ['2222:1'], localPref: 150, {lengths}")));
    let aggregates = ["172.30.0.0/24", "fd00:200::/124"].map(str::to_owned);
    is_told(&["2222:1"], 150, &aggregates);
    router.wait_prefixes(&aggregates);
    cluster.wait_via(&router, &aggregates, &NODES);
    for address in addresses(1) {
        cluster.curl(&url(&address));
    }
}

/// Number 73.
#[test]
fn what_a_router_tells_is_counted_and_not_installed() {
    let cluster = Cluster::fresh();
    let router = cluster.router(&cluster.frr_config_of_all(&[]));
    let foreign = [("-4", "10.99.0.0/24"), ("-6", "fd00:99::/64")];
    router.configure(&[
        &format!("router bgp {ROUTER_ASN}"),
        "address-family ipv4 unicast",
        "network 10.99.0.0/24",
        "exit-address-family",
        "address-family ipv6 unicast",
        "network fd00:99::/64",
    ]);
    cluster.apply(&peer_yaml("tor", ROUTER_V4, DUAL_STACK));
    for node in NODES {
        let series = "ferrolb_bgp_received_prefixes_total{peer=\"metallb-system/tor\",kind=\"reachable\"}";
        eventually(&format!("{node} counts both prefixes"), || {
            let count = counted(&cluster.speaker_metrics(node)?, series);
            if count >= foreign.len() as u64 { Ok(()) } else { Err(format!("{count}")) }
        });
        for (family, prefix) in foreign {
            let argv = ["ip", family, "route", "show", "table", "all", "exact", prefix];
            let routes = cluster.lab.exec(node, &argv).expect("the node is there");
            assert!(routes.status.success() && routes.stdout.is_empty(), "{node}: {routes:?}");
        }
    }
    cluster.wait_sessions("tor", &NODES);
}

/// Number 80.
#[test]
fn a_service_of_both_kinds_is_reached_by_each_as_long_as_that_is_advertised() {
    let cluster = Cluster::fresh();
    let router = cluster.router(&cluster.frr_config_of_all(&[]));
    cluster.create_pods_and_dual_pool();
    let objects = [peer_yaml("tor", ROUTER_V4, DUAL_STACK), bgp_advertisement_yaml("lb", "")];
    cluster.apply(&objects.join("---\n"));
    cluster.create_dual_service("web", "");
    cluster.wait_addresses("web", &[V4, V6]);
    let is_reached_by_bgp = || {
        cluster.wait_via(&router, &[V4, V6].map(host_route), &NODES);
        for address in [V4, V6] {
            // From the router, which has no other way than what it was told.
            eventually(&format!("{address} answers the router"), || {
                let argv = ["curl", "-sS", "--max-time", "2", &url(address)];
                let output = cluster.lab.exec("router", &argv).map_err(|error| format!("{error:#}"))?;
                if output.status.success() { Ok(()) } else { Err(format!("{output:?}")) }
            });
        }
    };
    let nobody_answers = || [V4, V6].iter().for_each(|address| cluster.wait_answering("eth0", address, &[]));
    is_reached_by_bgp();
    nobody_answers();

    cluster.apply(&advertisement_yaml("lb", ""));
    cluster.wait_node("master");
    is_reached_by_bgp();

    cluster.kubectl(&["delete", "l2advertisement", "lb", "-n", "metallb-system"]);
    nobody_answers();
    is_reached_by_bgp();
}
