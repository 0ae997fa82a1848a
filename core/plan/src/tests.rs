//! A small cluster on 192.168.100.0/24, changed one thing at a time.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use std::string::ToString;

use ferrolb_vocab::{
    Epoch, Instant, InterfaceName, Labels, Link, LinkAddress, LinkFlag, MacAddr, NodeName, ObjectName,
    Operator, PoolName, Requirement, Selector, ServiceKey,
};

use crate::election::{self, Candidate};
use crate::{
    Action, Advertisements, Announcements, Coverage, Exclusions, L2Advertisement, Node, NodePreference,
    Ownership, Peering, Pool, Service, ServingEndpoints, Snapshot, TrafficPolicy, Verdict, Withheld,
    coverage, diff, plan,
};

const VIP: &str = "192.168.100.240";
const NODES: [&str; 3] = ["master", "worker1", "worker2"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn selects(key: &str, value: &str) -> Selector {
    let operator = Operator::In([value.into()].into());
    Selector { requirements: vec![Requirement { key: key.into(), operator }] }
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<InterfaceName> {
    names.into_iter().map(InterfaceName::from).collect()
}

fn link(index: u32, name: &str, address: &str) -> Link {
    let own = |address: &str| LinkAddress {
        prefix: address.parse().unwrap(),
        address: ip(address.split_once('/').unwrap().0),
    };
    Link {
        index,
        name: name.into(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        flags: [LinkFlag::Up, LinkFlag::Carrier, LinkFlag::Broadcast].into(),
        addresses: vec![own(address), own("fe80::1/64")],
    }
}

fn node(name: &str) -> (NodeName, Node) {
    let node = Node {
        labels: [("kubernetes.io/hostname", name)].into(),
        subnets: ["192.168.100.0/24".parse().unwrap(), "fd00:100::/64".parse().unwrap()].into(),
        ..Node::default()
    };
    (name.into(), node)
}

fn key() -> ServiceKey {
    ServiceKey::new("default", "svc-lb")
}

fn pool(range: &str) -> Pool {
    Pool {
        namespace: "metallb-system".into(),
        labels: Labels::default(),
        ranges: vec![range.parse().unwrap()],
    }
}

/// The walkthrough's cluster, seen from `me`: 192.168.100.240 belongs to master by its hash.
fn cluster(me: &str) -> Snapshot {
    let everywhere =
        ServingEndpoints { any: true, nodes: [("worker1".into(), 1), ("worker2".into(), 1)].into() };
    let service = Service { addresses: vec![ip(VIP)], endpoints: everywhere, ..Service::default() };
    Snapshot {
        me: me.into(),
        now: Instant::ORIGIN,
        ownership: Ownership { is_settled: true, ..Ownership::default() },
        nodes: NODES.into_iter().map(node).collect(),
        alive: NODES.into_iter().map(NodeName::from).collect(),
        services: [(key(), service.into())].into(),
        pools: [(PoolName::from("lb-pool"), pool("192.168.100.240-192.168.100.250"))].into(),
        advertisements: explicit(L2Advertisement::default()),
        links: vec![link(2, "eth0", "192.168.100.200/24"), link(3, "eth1", "10.9.0.1/24")],
        exclusions: Exclusions::default(),
        peering: Peering::default(),
    }
}

fn explicit(advertisement: L2Advertisement) -> Advertisements {
    let l2 = [(ObjectName::new("metallb-system", "lb"), advertisement)].into();
    Advertisements { l2, any_object: true, ..Advertisements::default() }
}

/// One advertisement for these nodes.
fn on_nodes(nodes: &[&str]) -> Advertisements {
    let node_selectors = nodes.iter().map(|node| selects("kubernetes.io/hostname", node)).collect();
    explicit(L2Advertisement { node_selectors, ..L2Advertisement::default() })
}

fn service(snapshot: &mut Snapshot) -> &mut Service {
    Arc::make_mut(snapshot.services.get_mut(&key()).unwrap())
}

/// Gives the Service and the pool a second family. Alone, fd00:100::240 would belong to worker1.
fn dual(snapshot: &mut Snapshot) {
    let pool = snapshot.pools.get_mut(&PoolName::from("lb-pool")).unwrap();
    pool.ranges.push("fd00:100::240-fd00:100::250".parse().unwrap());
    service(snapshot).addresses = vec![ip(VIP), ip("fd00:100::240")];
}

fn verdict(snapshot: &Snapshot) -> Verdict {
    plan(snapshot).verdicts.remove(&key()).unwrap()
}

fn withheld(snapshot: &Snapshot) -> Withheld {
    match verdict(snapshot) {
        Verdict::Withhold(why) => why,
        Verdict::Announce(on) => panic!("announced on {on:?}"),
    }
}

fn owners(change: impl Fn(&mut Snapshot)) -> Vec<&'static str> {
    let announces = |me: &&str| {
        let mut snapshot = cluster(me);
        change(&mut snapshot);
        matches!(verdict(&snapshot), Verdict::Announce(_))
    };
    NODES.into_iter().filter(announces).collect()
}

#[test]
fn the_order_of_nodes_is_metallbs() {
    let order = |names: &[&str], address: &str| -> Vec<std::string::String> {
        let nodes: Vec<NodeName> = names.iter().map(|name| NodeName::from(*name)).collect();
        let candidates = nodes.iter().map(|node| Candidate { node, preference: 0 }).collect();
        election::order(candidates, ip(address)).iter().map(|candidate| candidate.node.to_string()).collect()
    };
    let abc = ["node-a", "node-b", "node-c"];
    let vectors = [
        ("10.0.0.1", ["node-b", "node-a", "node-c"]),
        ("10.0.0.2", ["node-b", "node-c", "node-a"]),
        ("192.168.1.240", ["node-a", "node-c", "node-b"]),
        ("10.20.30.1", ["node-b", "node-c", "node-a"]),
        ("fc00::1", ["node-b", "node-c", "node-a"]),
        ("fc00:f853:ccd:e799::1", ["node-b", "node-a", "node-c"]),
        ("::ffff:10.0.0.1", ["node-b", "node-a", "node-c"]),
    ];
    for (address, expected) in vectors {
        assert_eq!(order(&abc, address), expected, "{address}");
    }
    assert_eq!(order(&["iris1", "iris2"], "10.20.30.1"), ["iris2", "iris1"]);
    assert_eq!(order(&["edge-a", "edge-b"], "10.20.30.1"), ["edge-b", "edge-a"]);
}

#[test]
fn exactly_one_node_announces_and_the_others_name_it() {
    assert_eq!(owners(|_| {}), ["master"]);
    assert_eq!(withheld(&cluster("worker1")), Withheld::ElectionLost { owner: "master".into() });
}

#[test]
fn a_dead_owner_is_followed_by_the_next_in_order() {
    assert_eq!(
        owners(|snapshot| {
            snapshot.alive.remove(&NodeName::from("master"));
            // A dead node cannot plan; the one that is asked always counts itself alive.
            if snapshot.me.as_str() == "master" {
                snapshot.nodes.clear();
            }
        }),
        ["worker2"]
    );
}

#[test]
fn label_and_condition_keep_a_node_out() {
    let master = NodeName::from("master");
    assert_eq!(owners(|snapshot| snapshot.nodes.get_mut(&master).unwrap().excluded = true), ["worker2"]);
    let unavailable =
        |snapshot: &mut Snapshot| snapshot.nodes.get_mut(&master).unwrap().network_unavailable = true;
    assert_eq!(owners(unavailable), ["worker2"]);
    let mut snapshot = cluster("master");
    unavailable(&mut snapshot);
    assert_eq!(withheld(&snapshot), Withheld::NodeNotEligible);
}

#[test]
fn policy_local_leaves_nodes_with_an_endpoint_only() {
    assert_eq!(
        owners(|snapshot| service(snapshot).traffic_policy = TrafficPolicy::Local),
        ["worker2"],
        "the order is master, worker2, worker1, and master has no endpoint"
    );
    assert_eq!(
        owners(|snapshot| {
            service(snapshot).traffic_policy = TrafficPolicy::Local;
            service(snapshot).endpoints.nodes = [("worker1".into(), 1)].into();
        }),
        ["worker1"]
    );
}

#[test]
fn nothing_is_announced_without_an_endpoint_an_address_or_a_pool() {
    let mut snapshot = cluster("master");
    service(&mut snapshot).endpoints = ServingEndpoints::default();
    assert_eq!(withheld(&snapshot), Withheld::NoServingEndpoint);

    let mut snapshot = cluster("master");
    service(&mut snapshot).addresses.clear();
    assert_eq!(withheld(&snapshot), Withheld::NoAddress);

    let mut snapshot = cluster("master");
    service(&mut snapshot).addresses = vec![ip("192.168.100.9")];
    assert_eq!(withheld(&snapshot), Withheld::AddressOutsidePools { address: ip("192.168.100.9") });
}

#[test]
fn an_advertisement_of_another_namespace_does_not_count() {
    let mut snapshot = cluster("master");
    let advertisement = L2Advertisement::default();
    snapshot.advertisements.l2 = [(ObjectName::new("ferrolb-system", "lb"), advertisement)].into();
    assert_eq!(withheld(&snapshot), Withheld::NoMatchingAdvertisement);
}

#[test]
fn pools_are_covered_by_name_or_by_label() {
    let mut snapshot = cluster("master");
    let other = L2Advertisement { pools: [PoolName::from("other")].into(), ..L2Advertisement::default() };
    snapshot.advertisements = explicit(other.clone());
    assert_eq!(withheld(&snapshot), Withheld::NoMatchingAdvertisement);

    snapshot.advertisements =
        explicit(L2Advertisement { pool_selectors: vec![selects("tier", "front")], ..other });
    assert_eq!(withheld(&snapshot), Withheld::NoMatchingAdvertisement);
    snapshot.pools.get_mut(&PoolName::from("lb-pool")).unwrap().labels = [("tier", "front")].into();
    assert!(matches!(verdict(&snapshot), Verdict::Announce(_)));
}

#[test]
fn node_selectors_are_a_hard_filter_and_a_union() {
    assert_eq!(owners(|snapshot| snapshot.advertisements = on_nodes(&["worker1"])), ["worker1"]);
    assert_eq!(owners(|snapshot| snapshot.advertisements = on_nodes(&["worker1", "worker2"])), ["worker2"]);
    assert_eq!(owners(|snapshot| snapshot.advertisements = on_nodes(&["nobody"])), [""; 0]);
    let mut snapshot = cluster("master");
    snapshot.advertisements = on_nodes(&["worker1"]);
    assert_eq!(withheld(&snapshot), Withheld::NodeNotSelected);
}

#[test]
fn a_preferred_node_comes_before_the_hash() {
    let prefers =
        |node: &str, weight| NodePreference { weight, selector: selects("kubernetes.io/hostname", node) };
    let advertised = |preferences| explicit(L2Advertisement { preferences, ..L2Advertisement::default() });
    assert_eq!(
        owners(|snapshot| snapshot.advertisements = advertised(vec![prefers("worker1", 10)])),
        ["worker1"]
    );
    let two = || vec![prefers("worker1", 10), prefers("worker2", 9)];
    assert_eq!(owners(|snapshot| snapshot.advertisements = advertised(two())), ["worker1"]);
    let everyone = NodePreference { weight: 50, selector: Selector::default() };
    assert_eq!(
        owners(|snapshot| snapshot.advertisements = advertised(vec![everyone.clone()])),
        ["master"],
        "a preference for every node changes nothing"
    );
}

#[test]
fn service_selectors_choose_services_and_exclude_sharing() {
    let advertisement =
        L2Advertisement { service_selectors: vec![selects("app", "web")], ..L2Advertisement::default() };
    let mut snapshot = cluster("master");
    snapshot.advertisements = explicit(advertisement);
    assert_eq!(withheld(&snapshot), Withheld::NoMatchingAdvertisement);
    service(&mut snapshot).labels = [("app", "web")].into();
    assert!(matches!(verdict(&snapshot), Verdict::Announce(_)));
    service(&mut snapshot).shares_address = true;
    assert_eq!(withheld(&snapshot), Withheld::SharedAddressWithServiceSelector);
}

#[test]
fn interfaces_are_the_advertisements_or_all_usable_ones() {
    let on = |snapshot: &Snapshot| match verdict(snapshot) {
        Verdict::Announce(mut on) => on.interfaces.remove(&ip(VIP)).unwrap(),
        Verdict::Withhold(why) => panic!("{why}"),
    };
    let mut snapshot = cluster("master");
    assert_eq!(on(&snapshot), names(["eth0", "eth1"]));

    snapshot.exclusions = Exclusions::new(["^eth1$"]).unwrap();
    assert_eq!(on(&snapshot), names(["eth0"]));
    snapshot.exclusions = Exclusions::default();

    for flag in [LinkFlag::Enslaved, LinkFlag::NoArp, LinkFlag::Loopback] {
        let mut snapshot = snapshot.clone();
        snapshot.links[1].flags.insert(flag);
        assert_eq!(on(&snapshot), names(["eth0"]), "{flag:?}");
    }
    snapshot.links[1].flags.remove(&LinkFlag::Up);
    assert_eq!(on(&snapshot), names(["eth0"]));

    let wanted = L2Advertisement { interfaces: names(["eth0", "eth7"]), ..L2Advertisement::default() };
    snapshot.advertisements = explicit(wanted);
    assert_eq!(on(&snapshot), names(["eth0"]));
    let missing = L2Advertisement { interfaces: names(["eth7"]), ..L2Advertisement::default() };
    snapshot.advertisements = explicit(missing);
    assert_eq!(withheld(&snapshot), Withheld::ElectionLost { owner: "worker2".into() });
    let back = [(ip(VIP), Epoch::STANDS_BACK)];
    let claims = ["worker1", "worker2"].map(|node| (node.into(), back.into()));
    snapshot.ownership.claims = claims.into();
    assert_eq!(withheld(&snapshot), Withheld::NoUsableInterface { address: ip(VIP) }, "one must say so");
    assert_eq!(plan(&snapshot).claims(), back.into());
}

#[test]
fn without_any_advertisement_nodes_announce_what_lies_in_their_subnets() {
    let implied = |snapshot: &mut Snapshot| snapshot.advertisements = Advertisements::default();
    assert_eq!(owners(implied), ["master"]);

    let mut snapshot = cluster("master");
    implied(&mut snapshot);
    let Verdict::Announce(on) = verdict(&snapshot) else { panic!("withheld") };
    assert_eq!(on.interfaces[&ip(VIP)], names(["eth0"]), "eth1 is in another subnet");
    assert!(!on.is_restricted);

    let mut snapshot = cluster("master");
    implied(&mut snapshot);
    snapshot.pools = [(PoolName::from("far"), pool("203.0.113.0/24"))].into();
    service(&mut snapshot).addresses = vec![ip("203.0.113.1")];
    assert_eq!(withheld(&snapshot), Withheld::NodeNotSelected);
}

#[test]
fn an_unusable_advertisement_still_switches_the_implied_one_off() {
    let mut snapshot = cluster("master");
    snapshot.advertisements = Advertisements { any_object: true, ..Advertisements::default() };
    assert_eq!(withheld(&snapshot), Withheld::NoMatchingAdvertisement);
}

#[test]
fn both_addresses_of_a_service_follow_the_first() {
    assert_eq!(owners(dual), ["master"]);
    let mut snapshot = cluster("master");
    dual(&mut snapshot);
    assert_eq!(plan(&snapshot).announcements().len(), 2);
}

#[test]
fn a_shared_address_is_announced_for_all_its_services() {
    let mut snapshot = cluster("master");
    let mut other = service(&mut snapshot).clone();
    other.traffic_policy = TrafficPolicy::Cluster;
    snapshot.services.insert(ServiceKey::new("default", "other"), other.into());
    assert_eq!(plan(&snapshot).announcements().len(), 1);
    snapshot.services.remove(&key());
    assert_eq!(plan(&snapshot).announcements().len(), 1, "the other Service still needs it");
}

#[test]
fn a_difference_becomes_withdrawals_then_announcements() {
    let announced = |entries: &[(&str, &str)]| -> Announcements {
        entries.iter().map(|(address, interface)| (ip(address), names([*interface]))).collect()
    };
    let mut actual = announced(&[("10.0.0.1", "eth0"), ("10.0.0.2", "eth0"), ("10.0.0.3", "eth0")]);
    let desired = announced(&[("10.0.0.2", "eth0"), ("10.0.0.3", "eth1"), ("10.0.0.4", "eth0")]);
    let actions = diff(&desired, &actual);
    assert_eq!(
        actions,
        [
            Action::Withdraw(ip("10.0.0.1")),
            Action::Announce { address: ip("10.0.0.3"), interfaces: names(["eth1"]) },
            Action::Announce { address: ip("10.0.0.4"), interfaces: names(["eth0"]) },
        ]
    );
    for action in &actions {
        diff::apply(&mut actual, action);
    }
    assert_eq!(actual, desired);
    assert!(diff(&desired, &actual).is_empty());
}

#[test]
fn a_pool_that_nothing_announces_is_told_why() {
    let snapshot = cluster("master");
    let name = PoolName::from("lb-pool");
    let near = &snapshot.pools[&name];
    let far = pool("203.0.113.0/24");
    let of =
        |pool: &Pool, advertisements: &Advertisements| coverage(&name, pool, advertisements, &snapshot.nodes);
    assert_eq!(of(near, &snapshot.advertisements), Coverage::Advertised);
    assert_eq!(of(&far, &snapshot.advertisements), Coverage::Advertised);
    assert_eq!(of(near, &Advertisements::default()), Coverage::Implied);
    assert_eq!(of(&far, &Advertisements::default()), Coverage::OutsideSubnets { range: far.ranges[0] });
    let other = L2Advertisement { pools: [PoolName::from("other")].into(), ..L2Advertisement::default() };
    assert_eq!(of(near, &explicit(other)), Coverage::NotSelected);
}

#[test]
fn a_bad_exclusion_pattern_is_named() {
    let error = Exclusions::new(["^veth.*", "eth("]).unwrap_err();
    assert!(error.to_string().starts_with("\"eth(\" is not a regular expression: "), "{error}");
}

mod overruled;
mod ownership;
mod standby;
mod watchers;
