//! MetalLB's acceptance list, BGP, numbers 93 to 99: the Services that an advertisement is for.

use ferrolb_e2e::bgp::{ROUTER_V4, bgp_advertisement_yaml, peer_yaml, url};
use ferrolb_e2e::bgp_more::{
    Attributes, DUAL_STACK, NODES, addresses, numbered_service, of_services, prefixes,
};
use ferrolb_e2e::{Cluster, Router, pool_yaml};

/// The prefixes of all these numbers.
fn all(numbers: &[u8]) -> Vec<String> {
    numbers.iter().flat_map(|number| prefixes(*number)).collect()
}

/// Pools `one` and `two`, of sixteen addresses of each family, Services by number, name and labels, and a
/// router that peers with all nodes.
fn with_services(services: &[(u8, &str, &str)]) -> (Cluster, Router) {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    let router = cluster.router(&cluster.frr_config_of_all(&[]));
    let mut objects = vec![
        pool_yaml("one", &["172.30.0.0/28", "fd00:200::/124"]),
        pool_yaml("two", &["172.30.0.16/28", "fd00:200::10/124"]),
        peer_yaml("tor", ROUTER_V4, DUAL_STACK),
    ];
    objects.extend(services.iter().map(|(number, name, labels)| numbered_service(*number, name, labels)));
    cluster.apply(&objects.join("---\n"));
    (cluster, router)
}

/// Numbers 93 to 96.
#[test]
fn the_pool_and_one_of_the_service_selectors_must_match() {
    let services = [
        (1, "front", "tier: front"),
        (2, "shop", "tier: shop"),
        (3, "back", "tier: back"),
        (17, "elsewhere", "tier: front"),
    ];
    let (cluster, router) = with_services(&services);
    let select = |labels: &[&str]| {
        let spec = format!("ipAddressPools: [one], {}", of_services(labels));
        cluster.apply(&bgp_advertisement_yaml("selected", &spec));
    };
    select(&["tier: front"]);
    cluster.wait_via(&router, &prefixes(1), &NODES);
    router.wait_prefixes(&prefixes(1));
    for address in addresses(1) {
        cluster.curl(&url(&address));
    }
    select(&["tier: front", "tier: shop"]);
    router.wait_prefixes(&all(&[1, 2]));
    select(&["tier: back"]);
    router.wait_prefixes(&all(&[3]));
    cluster.kubectl(&["label", "service", "shop", "tier=back", "--overwrite"]);
    router.wait_prefixes(&all(&[2, 3]));
    cluster.kubectl(&["label", "service", "back", "tier=front", "--overwrite"]);
    router.wait_prefixes(&all(&[2]));
    cluster.wait_via(&router, &prefixes(2), &NODES);
}

/// Numbers 97 to 99.
#[test]
fn advertisements_with_and_without_service_selectors_add_up() {
    let services = [(1, "front", "tier: front"), (2, "back", "tier: back"), (17, "elsewhere", "tier: front")];
    let (cluster, router) = with_services(&services);
    let advertise = |name: &str, spec: &str| cluster.apply(&bgp_advertisement_yaml(name, spec));
    let has = |number: u8, communities: &[&str]| {
        router.wait_attributes(&prefixes(number), &Attributes::new(communities, None));
    };
    let front = of_services(&["tier: front"]);

    advertise("front", &format!("ipAddressPools: [one], {front}"));
    advertise("all", "ipAddressPools: [one], aggregationLength: 28, aggregationLengthV6: 124");
    let aggregates = ["172.30.0.0/28", "fd00:200::/124"].map(str::to_owned);
    let both_kinds = [prefixes(1), aggregates].concat();
    cluster.wait_via(&router, &both_kinds, &NODES);
    router.wait_prefixes(&both_kinds);

    advertise("front", &format!("ipAddressPools: [one], {front}, communities: ['1111:2']"));
    advertise("all", "ipAddressPools: [one], communities: ['1111:1']");
    has(1, &["1111:1", "1111:2"]);
    has(2, &["1111:1"]);
    router.wait_prefixes(&all(&[1, 2]));

    advertise("all", &format!("ipAddressPools: [two], {front}, communities: ['1111:1']"));
    has(1, &["1111:2"]);
    has(17, &["1111:1"]);
    router.wait_prefixes(&all(&[1, 17]));
    cluster.wait_via(&router, &all(&[1, 17]), &NODES);
}
