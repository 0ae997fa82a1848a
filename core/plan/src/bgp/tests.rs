//! Three nodes, two routers, one Service on 198.51.100.10, changed one thing at a time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::net::IpAddr;

use ferrolb_vocab::{
    Asn, Instant, IpFamily, Labels, NodeName, ObjectName, Operator, Requirement, Selector, ServiceKey,
};

use super::*;
use crate::{Advertisements, Exclusions, Ownership, Pool, ServingEndpoints, TrafficPolicy};

mod attributes;
mod going;
mod ranges;
mod selection;
mod together;
mod weights;

const NAMESPACE: &str = "metallb-system";

fn named(name: &str) -> ObjectName {
    ObjectName::new(NAMESPACE, name)
}

fn service_key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn selects(key: &str, value: &str) -> Vec<Selector> {
    let operator = Operator::In([value.into()].into());
    vec![Selector { requirements: vec![Requirement { key: key.into(), operator }] }]
}

fn peer(address: &str) -> BgpPeer {
    BgpPeer {
        my_asn: Asn(64_512),
        remote: RemoteAsn::External,
        local_asn: None,
        endpoint: Endpoint::Address(address.parse().unwrap()),
        source_address: None,
        port: 179,
        passive: false,
        timers: Timers::default(),
        router_id: None,
        node_selectors: Vec::new(),
        password: None,
        bfd: None,
        graceful_restart: false,
        ebgp_multihop: false,
        vrf: None,
        dual_stack: false,
    }
}

fn service(addresses: &[&str]) -> Service {
    Service {
        addresses: addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect(),
        endpoints: ServingEndpoints { any: true, nodes: [("b".into(), 1), ("c".into(), 3)].into() },
        ..Service::default()
    }
}

fn pool(ranges: &[&str]) -> Pool {
    Pool {
        namespace: NAMESPACE.into(),
        labels: Labels::default(),
        ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
    }
}

/// Seen from node `me` of a, b and c, each labelled `node`; one advertisement, of everything.
fn cluster(me: &str) -> Snapshot {
    let node = |name: &str| {
        let labels = [("node", name)].into();
        (NodeName::from(name), Node { labels, ..Node::default() })
    };
    let bgp = [(named("all"), BgpAdvertisement::default())].into();
    Snapshot {
        me: me.into(),
        now: Instant::ORIGIN,
        nodes: ["a", "b", "c"].map(node).into(),
        alive: ["a", "b", "c"].map(NodeName::from).into(),
        ownership: Ownership::default(),
        services: [(service_key("web"), service(&["198.51.100.10"]).into())].into(),
        pools: [("lb-pool".into(), pool(&["198.51.100.0/24", "2001:db8:1::/64"]))].into(),
        advertisements: Advertisements { bgp, any_object: true, ..Advertisements::default() },
        links: Vec::new(),
        exclusions: Exclusions::default(),
        peering: Peering {
            peers: [(named("tor-a"), peer("192.0.2.1")), (named("tor-b"), peer("192.0.2.2"))].into(),
            shutdown_since: None,
            weights: BTreeMap::new(),
        },
    }
}

fn web(snapshot: &mut Snapshot) -> &mut Service {
    Arc::make_mut(snapshot.services.get_mut(&service_key("web")).unwrap())
}

fn node<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut Node {
    snapshot.nodes.get_mut(&NodeName::from(name)).unwrap()
}

fn advertise(snapshot: &mut Snapshot, advertisements: &[(&str, &BgpAdvertisement)]) {
    let parse = |(name, one): &(&str, &BgpAdvertisement)| (named(name), BgpAdvertisement::clone(one));
    snapshot.advertisements.bgp = advertisements.iter().map(parse).collect();
}

/// Everything, with what `change` says.
fn advertisement(change: impl FnOnce(&mut BgpAdvertisement)) -> BgpAdvertisement {
    let mut advertisement = BgpAdvertisement::default();
    change(&mut advertisement);
    advertisement
}

fn withheld(snapshot: &Snapshot, service: &str) -> Option<Withheld> {
    match plan(snapshot).verdicts.remove(&service_key(service)).unwrap() {
        Verdict::Withhold(why) => Some(why),
        Verdict::Advertise { .. } => None,
    }
}

/// The peers that a Service is told to, as its status lists them.
fn peers_of_service(snapshot: &Snapshot, service: &str) -> Vec<String> {
    match plan(snapshot).verdicts.remove(&service_key(service)).unwrap() {
        Verdict::Withhold(_) => Vec::new(),
        Verdict::Advertise { peers } => peers.iter().map(|peer| peer.name.clone()).collect(),
    }
}

/// What a peer is told, one line for each prefix.
fn told(snapshot: &Snapshot, peer: &str) -> Vec<String> {
    let plan = plan(snapshot);
    let Some(session) = plan.sessions.get(&named(peer)) else { return vec!["no session".into()] };
    session.routes.iter().map(|(prefix, route)| line(*prefix, route)).collect()
}

fn line(prefix: ferrolb_vocab::IpPrefix, route: &Route) -> String {
    let mut line = prefix.to_string();
    line.extend(route.local_pref.map(|preference| format!(" preferred {preference}")));
    line.extend(route.communities.iter().map(|community| format!(" {community}")));
    line.extend(route.large_communities.iter().map(|community| format!(" {community}")));
    line.extend(route.local_endpoints.map(|endpoints| format!(" weighs {endpoints}")));
    line
}

/// The nodes that advertise a Service.
fn nodes_advertising(service: &str, change: impl Fn(&mut Snapshot)) -> Vec<&'static str> {
    let advertises = |me: &&str| {
        let mut snapshot = cluster(me);
        change(&mut snapshot);
        withheld(&snapshot, service).is_none()
    };
    ["a", "b", "c"].into_iter().filter(advertises).collect()
}

#[test]
fn every_node_tells_every_peer_of_a_service_under_policy_cluster() {
    // acceptance 54
    assert_eq!(nodes_advertising("web", |_| ()), ["a", "b", "c"]);
    let snapshot = cluster("a");
    for peer in ["tor-a", "tor-b"] {
        assert_eq!(told(&snapshot, peer), ["198.51.100.10/32"]);
    }
    assert_eq!(peers_of_service(&snapshot, "web"), ["tor-a", "tor-b"]);
    assert!(!plan(&snapshot).sessions[&named("tor-a")].peer.dual_stack);
}

#[test]
fn policy_local_leaves_nodes_with_an_endpoint_each_with_its_weight() {
    // acceptance 58
    let local = |snapshot: &mut Snapshot| web(snapshot).traffic_policy = TrafficPolicy::Local;
    assert_eq!(nodes_advertising("web", local), ["b", "c"]);
    for (me, expected) in [("b", "198.51.100.10/32 weighs 1"), ("c", "198.51.100.10/32 weighs 3")] {
        let mut snapshot = cluster(me);
        local(&mut snapshot);
        assert_eq!(told(&snapshot, "tor-a"), [expected]);
    }
    let mut snapshot = cluster("b");
    local(&mut snapshot);
    web(&mut snapshot).endpoints.nodes = [("b".into(), 0)].into();
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 weighs 1"], "one that terminates still serves");
}

#[test]
fn the_weights_of_services_behind_a_prefix_add_up_unless_one_is_for_all_nodes() {
    let mut snapshot = cluster("c");
    web(&mut snapshot).traffic_policy = TrafficPolicy::Local;
    let mut other = web(&mut snapshot).clone();
    other.endpoints.nodes = [("c".into(), 2)].into();
    snapshot.services.insert(service_key("other"), other.into());
    // Two advertisements of the same Service make it no heavier.
    advertise(
        &mut snapshot,
        &[("all", &BgpAdvertisement::default()), ("again", &BgpAdvertisement::default())],
    );
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 weighs 5"]);
    // Of this one only endpoints that terminate are left.
    let mut going = web(&mut snapshot).clone();
    going.endpoints.nodes = [("c".into(), 0)].into();
    snapshot.services.insert(service_key("going"), going.into());
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 weighs 5"]);
    snapshot.services.insert(service_key("everywhere"), service(&["198.51.100.10"]).into());
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32"]);
}

#[test]
fn a_service_is_withheld_for_the_first_reason_in_the_order_of_metallb() {
    let mut snapshot = cluster("a");
    // Everything is wrong; one thing after the other is put right.
    snapshot.services.insert(service_key("web"), Service::default().into());
    web(&mut snapshot).traffic_policy = TrafficPolicy::Local;
    snapshot.pools.clear();
    snapshot.advertisements.bgp.clear();
    node(&mut snapshot, "a").network_unavailable = true;
    node(&mut snapshot, "a").excluded = true;
    snapshot.peering.peers.clear();
    let elsewhere = advertisement(|one| {
        one.node_selectors = selects("node", "b");
        one.service_selectors = selects("app", "shop");
    });
    let here = BgpAdvertisement { node_selectors: selects("node", "a"), ..elsewhere.clone() };
    let app = |value| advertisement(|one| one.service_selectors = selects("app", value));
    let dear = BgpAdvertisement { local_pref: Some(200), ..app("web") };
    let address: IpAddr = "198.51.100.10".parse().unwrap();
    let conflict = || Withheld::ConflictingAdvertisements { between: [named("a"), named("b")].into() };

    type Step<'a> = (&'static str, Withheld, &'a dyn Fn(&mut Snapshot));
    let steps: &[Step<'_>] = &[
        ("NoAddress", Withheld::NoAddress, &|s| web(s).addresses = vec![address]),
        ("AddressOutsidePools", Withheld::AddressOutsidePools { address }, &|s| {
            s.pools.insert("lb-pool".into(), pool(&["198.51.100.0/24"]));
        }),
        ("NoMatchingAdvertisement", Withheld::NoMatchingAdvertisement, &|s| {
            advertise(s, &[("a", &elsewhere)]);
        }),
        ("NodeNotSelected", Withheld::NodeNotSelected, &|s| advertise(s, &[("a", &here)])),
        ("NoMatchingAdvertisement", Withheld::NoMatchingAdvertisement, &|s| {
            web(s).labels = [("app", "web")].into();
            advertise(s, &[("a", &app("web")), ("b", &dear)]);
        }),
        ("ConflictingAdvertisements", conflict(), &|s| advertise(s, &[("a", &app("web"))])),
        ("NodeNetworkUnavailable", Withheld::NodeNetworkUnavailable, &|s| {
            node(s, "a").network_unavailable = false;
        }),
        ("NodeExcluded", Withheld::NodeExcluded, &|s| node(s, "a").excluded = false),
        ("NoLocalEndpoint", Withheld::NoLocalEndpoint, &|s| web(s).traffic_policy = TrafficPolicy::Cluster),
        ("NoServingEndpoint", Withheld::NoServingEndpoint, &|s| web(s).endpoints.any = true),
        ("NoPeer", Withheld::NoPeer, &|s| {
            s.peering.peers.insert(named("tor-a"), peer("192.0.2.1"));
        }),
    ];
    for (reason, expected, correct) in steps {
        let why = withheld(&snapshot, "web").unwrap_or_else(|| panic!("advertised before {reason}"));
        assert_eq!((why.reason(), &why), (*reason, expected));
        assert!(!why.to_string().is_empty());
        correct(&mut snapshot);
    }
    assert_eq!(withheld(&snapshot, "web"), None);
}

#[test]
fn a_node_that_the_api_server_does_not_know_tells_nobody_anything() {
    let snapshot = cluster("unheard-of");
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NodeNotSelected));
    assert!(plan(&snapshot).sessions.is_empty());
}

#[test]
fn a_prefix_is_told_as_long_as_one_service_has_an_address_in_it() {
    // acceptance 60, 72
    let mut snapshot = cluster("a");
    snapshot.services.insert(service_key("other"), service(&["198.51.100.10"]).into());
    snapshot.services.insert(service_key("near"), service(&["198.51.100.200"]).into());
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32", "198.51.100.200/32"]);
    let aggregate = advertisement(|one| one.aggregation_length = 24);
    advertise(&mut snapshot, &[("all", &aggregate)]);
    for gone in ["web", "other"] {
        assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.0/24"]);
        snapshot.services.remove(&service_key(gone));
    }
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.0/24"], "near is left");
    Arc::make_mut(snapshot.services.get_mut(&service_key("near")).unwrap()).endpoints =
        ServingEndpoints::default();
    assert_eq!(told(&snapshot, "tor-a"), [""; 0]);
    assert_eq!(plan(&snapshot).sessions.len(), 2, "the sessions stay");
}

#[test]
fn lengths_of_aggregates_are_of_their_family() {
    // acceptance 72
    let mut snapshot = cluster("a");
    web(&mut snapshot).addresses.push("2001:db8:1::10".parse().unwrap());
    snapshot.peering.peers.get_mut(&named("tor-a")).unwrap().dual_stack = true;
    let lengths = advertisement(|one| (one.aggregation_length, one.aggregation_length_v6) = (26, 124));
    advertise(&mut snapshot, &[("all", &lengths)]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.0/26", "2001:db8:1::10/124"]);
}

#[test]
fn an_aggregate_that_no_entry_of_the_pool_holds_is_not_told() {
    let mut snapshot = cluster("a");
    snapshot.pools.insert("lb-pool".into(), pool(&["198.51.100.0/28", "198.51.100.64/26"]));
    for (length, is_told) in [(28, true), (27, false)] {
        let aggregate = advertisement(|one| one.aggregation_length = length);
        advertise(&mut snapshot, &[("all", &aggregate)]);
        assert_eq!(withheld(&snapshot, "web").is_none(), is_told, "{length}");
    }
}
