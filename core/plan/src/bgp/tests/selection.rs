//! Which peers, which nodes, which Services.

use super::*;
use crate::snapshot::Advertisements;
use crate::{Coverage, L2Advertisement, coverage};

#[test]
fn a_peer_takes_its_own_family_unless_it_is_unnumbered_or_for_both() {
    // acceptance 77, 83, 84, 100
    let mut snapshot = cluster("a");
    web(&mut snapshot).addresses.push("2001:db8:1::10".parse().unwrap());
    let both = ["198.51.100.10/32", "2001:db8:1::10/128"];
    let unnumbered = BgpPeer { endpoint: Endpoint::Interface("eth1".into()), ..peer("192.0.2.9") };
    for (name, peer, expected) in [
        ("v4", peer("192.0.2.9"), &both[..1]),
        ("v6", peer("2001:db8::9"), &both[1..]),
        ("v4-dual", BgpPeer { dual_stack: true, ..peer("192.0.2.9") }, &both[..]),
        ("v6-dual", BgpPeer { dual_stack: true, ..peer("2001:db8::9") }, &both[..]),
        ("unnumbered", unnumbered, &both[..]),
    ] {
        snapshot.peering.peers = [(named(name), peer)].into();
        assert_eq!(told(&snapshot, name), expected, "{name}");
    }
    web(&mut snapshot).addresses.remove(0);
    assert_eq!(told(&snapshot, "unnumbered"), &both[1..]);
    snapshot.peering.peers = [(named("v4"), peer("192.0.2.9"))].into();
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoPeer));
}

#[test]
fn an_advertisement_is_for_the_peers_that_it_names() {
    // acceptance 85, 66
    let mut snapshot = cluster("a");
    snapshot.pools =
        [("one".into(), pool(&["198.51.100.0/25"])), ("two".into(), pool(&["198.51.100.128/25"]))].into();
    snapshot.services.insert(service_key("second"), service(&["198.51.100.200"]).into());
    let only = |pool: &str, peers: &[&str]| {
        advertisement(|one| {
            one.pools = [pool.into()].into();
            one.peers = peers.iter().map(|name| (*name).into()).collect();
        })
    };
    advertise(&mut snapshot, &[("1", &only("one", &["tor-a", "nobody"])), ("2", &only("two", &["tor-b"]))]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32"]);
    assert_eq!(told(&snapshot, "tor-b"), ["198.51.100.200/32"]);
    assert_eq!(peers_of_service(&snapshot, "web"), ["tor-a"]);
    assert_eq!(peers_of_service(&snapshot, "second"), ["tor-b"]);
    advertise(&mut snapshot, &[("1", &only("one", &[])), ("2", &only("two", &[]))]);
    for peer in ["tor-a", "tor-b"] {
        assert_eq!(told(&snapshot, peer), ["198.51.100.10/32", "198.51.100.200/32"]);
    }
    advertise(&mut snapshot, &[("1", &only("one", &["nobody"]))]);
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoPeer));
}

#[test]
fn each_peer_sees_the_communities_that_are_for_it() {
    // acceptance 86
    let mut snapshot = cluster("a");
    let only = |peer: &str, community: &str| {
        advertisement(|one| {
            one.peers = [peer.into()].into();
            one.communities = [community.parse().unwrap()].into();
        })
    };
    advertise(&mut snapshot, &[("1", &only("tor-a", "1:1")), ("2", &only("tor-b", "2:2"))]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 1:1"]);
    assert_eq!(told(&snapshot, "tor-b"), ["198.51.100.10/32 2:2"]);
}

#[test]
fn a_service_is_listed_with_every_peer_that_gets_a_prefix_it_has() {
    let mut snapshot = cluster("a");
    snapshot.pools = [
        ("one".into(), pool(&["198.51.100.0-198.51.100.63"])),
        ("two".into(), pool(&["198.51.100.64-198.51.100.127"])),
    ]
    .into();
    snapshot.services.insert(service_key("second"), service(&["198.51.100.70"]).into());
    let of = |pool: &str, peer: &str, length: u8| {
        advertisement(|one| {
            one.pools = [pool.into()].into();
            one.peers = [peer.into()].into();
            one.aggregation_length = length;
        })
    };
    // Each aggregate lies in its own pool: nothing is shared.
    advertise(&mut snapshot, &[("1", &of("one", "tor-a", 26)), ("2", &of("two", "tor-b", 26))]);
    assert_eq!(peers_of_service(&snapshot, "web"), ["tor-a"]);
    // Two Services of one address, each advertised to another peer: both are there.
    Arc::make_mut(snapshot.services.get_mut(&service_key("second")).unwrap()).addresses =
        vec!["198.51.100.10".parse().unwrap()];
    web(&mut snapshot).labels = [("app", "web")].into();
    let to = |app: &str, peer: &str| {
        advertisement(|one| {
            one.service_selectors = selects("app", app);
            one.peers = [peer.into()].into();
        })
    };
    let everything_else = advertisement(|one| one.peers = ["tor-b".into()].into());
    advertise(&mut snapshot, &[("1", &to("web", "tor-a")), ("2", &everything_else)]);
    Arc::make_mut(snapshot.services.get_mut(&service_key("second")).unwrap()).labels =
        [("app", "other")].into();
    assert_eq!(peers_of_service(&snapshot, "second"), ["tor-a", "tor-b"]);
}

#[test]
fn advertisements_are_for_peers_and_pools_of_their_namespace() {
    let mut snapshot = cluster("a");
    snapshot.peering.peers = [(ObjectName::new("ferrolb-system", "tor-a"), peer("192.0.2.1"))].into();
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoPeer));
    let all = BgpAdvertisement::default();
    snapshot.advertisements.bgp = [(ObjectName::new("ferrolb-system", "all"), all)].into();
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoMatchingAdvertisement));
}

#[test]
fn pools_are_covered_by_name_or_by_label() {
    // acceptance 70
    let mut snapshot = cluster("a");
    let other = advertisement(|one| one.pools = ["other".into()].into());
    advertise(&mut snapshot, &[("a", &other)]);
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoMatchingAdvertisement));
    let labelled = BgpAdvertisement { pool_selectors: selects("tier", "front"), ..other };
    advertise(&mut snapshot, &[("a", &labelled)]);
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoMatchingAdvertisement));
    snapshot.pools.get_mut(&"lb-pool".into()).unwrap().labels = [("tier", "front")].into();
    assert_eq!(withheld(&snapshot, "web"), None);
}

#[test]
fn node_selectors_of_advertisements_are_a_union_and_follow_labels() {
    // acceptance 57, 87, 88, 89, 90
    let on = |node: &str| advertisement(|one| one.node_selectors = selects("node", node));
    assert_eq!(nodes_advertising("web", |s| advertise(s, &[("1", &on("b"))])), ["b"]);
    assert_eq!(nodes_advertising("web", |s| advertise(s, &[("1", &on("b")), ("2", &on("c"))])), ["b", "c"]);
    assert_eq!(nodes_advertising("web", |s| advertise(s, &[("1", &on("nowhere"))])), [""; 0]);
    let relabelled = |s: &mut Snapshot| {
        advertise(s, &[("1", &on("nowhere"))]);
        node(s, "c").labels = [("node", "nowhere")].into();
    };
    assert_eq!(nodes_advertising("web", relabelled), ["c"]);
    assert_eq!(nodes_advertising("web", |s| node(s, "b").network_unavailable = true), ["a", "c"]);
    assert_eq!(nodes_advertising("web", |s| node(s, "b").excluded = true), ["a", "c"]);
}

#[test]
fn a_node_has_the_peers_that_select_it() {
    // acceptance 69, 91, 92
    let mut snapshot = cluster("a");
    let only = |node: &str, asn: u32| BgpPeer {
        my_asn: Asn(asn),
        node_selectors: selects("node", node),
        ..peer("192.0.2.1")
    };
    snapshot.peering.peers = [(named("of-a"), only("a", 1)), (named("of-b"), only("b", 2))].into();
    for (me, peer, asn) in [("a", "of-a", 1), ("b", "of-b", 2)] {
        snapshot.me = me.into();
        let sessions = plan(&snapshot).sessions;
        let sessions: Vec<_> =
            sessions.iter().map(|(name, one)| (name.name.as_str(), one.peer.my_asn)).collect();
        assert_eq!(sessions, [(peer, Asn(asn))], "{me}");
    }
    snapshot.me = "c".into();
    assert!(plan(&snapshot).sessions.is_empty());
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoPeer));
}

#[test]
fn of_peers_that_are_the_same_to_a_node_it_has_the_first() {
    // acceptance 111, 119, 120
    let mut snapshot = cluster("a");
    let in_vrf = BgpPeer { vrf: Some("red".into()), ..peer("192.0.2.1") };
    let other_port = BgpPeer { port: 1_179, ..peer("192.0.2.1") };
    let of_b = BgpPeer { node_selectors: selects("node", "b"), ..peer("192.0.2.1") };
    let behind = |interface: &str| BgpPeer { endpoint: Endpoint::Interface(interface.into()), ..peer("::1") };
    snapshot.peering.peers = [
        (named("0-of-b"), of_b),
        (named("1-first"), peer("192.0.2.1")),
        (named("2-port"), other_port),
        (named("3-vrf"), in_vrf.clone()),
        (named("4-vrf"), in_vrf),
        (named("5-eth0"), behind("eth0")),
        (named("6-eth1"), behind("eth1")),
        (named("7-eth0"), behind("eth0")),
    ]
    .into();
    let names = |snapshot: &Snapshot| -> Vec<String> {
        plan(snapshot).sessions.into_keys().map(|name| name.name).collect()
    };
    assert_eq!(names(&snapshot), ["1-first", "3-vrf", "5-eth0", "6-eth1"]);
    snapshot.me = "b".into();
    assert_eq!(names(&snapshot), ["0-of-b", "3-vrf", "5-eth0", "6-eth1"]);
    let identity = |name: &str| snapshot.peering.peers[&named(name)].identity().to_string();
    assert_eq!([identity("3-vrf"), identity("5-eth0")], ["192.0.2.1-red", "eth0"]);
}

#[test]
fn service_selectors_are_a_union_and_need_the_pool_too() {
    // acceptance 93, 94, 95, 96
    let mut snapshot = cluster("a");
    let mut selected = advertisement(|one| one.service_selectors = selects("app", "web"));
    advertise(&mut snapshot, &[("1", &selected)]);
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoMatchingAdvertisement));
    web(&mut snapshot).labels = [("app", "web")].into();
    assert_eq!(withheld(&snapshot, "web"), None);
    web(&mut snapshot).labels = [("app", "shop")].into();
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoMatchingAdvertisement));
    selected.service_selectors.extend(selects("app", "shop"));
    advertise(&mut snapshot, &[("1", &selected)]);
    assert_eq!(withheld(&snapshot, "web"), None);
    selected.pools = ["other".into()].into();
    advertise(&mut snapshot, &[("1", &selected)]);
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NoMatchingAdvertisement));
}

#[test]
fn an_address_and_its_aggregate_are_both_told() {
    // acceptance 97
    let mut snapshot = cluster("a");
    web(&mut snapshot).labels = [("app", "web")].into();
    let selected = advertisement(|one| one.service_selectors = selects("app", "web"));
    let aggregate = advertisement(|one| one.aggregation_length = 24);
    advertise(&mut snapshot, &[("1", &selected), ("2", &aggregate)]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.0/24", "198.51.100.10/32"]);
}

#[test]
fn disjoint_pools_and_selectors_keep_their_communities_apart() {
    // acceptance 99
    let mut snapshot = cluster("a");
    snapshot.services.insert(service_key("shop"), service(&["198.51.100.11"]).into());
    for app in ["web", "shop"] {
        Arc::make_mut(snapshot.services.get_mut(&service_key(app)).unwrap()).labels = [("app", app)].into();
    }
    let of = |app: &str, community: &str| {
        advertisement(|one| {
            one.service_selectors = selects("app", app);
            one.communities = [community.parse().unwrap()].into();
        })
    };
    advertise(&mut snapshot, &[("1", &of("web", "1:1")), ("2", &of("shop", "2:2"))]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 1:1", "198.51.100.11/32 2:2"]);
}

/// Two advertisements of one Service with different preferences, and what becomes of it.
#[test]
fn preferences_clash_on_equal_prefixes_for_a_common_peer() {
    let preferred = |preference| advertisement(|one| one.local_pref = preference);
    let hundred = preferred(Some(100));
    let with = |change: &dyn Fn(&mut BgpAdvertisement)| {
        advertisement(|one| {
            one.local_pref = Some(200);
            change(one);
        })
    };
    let v4 = BTreeSet::from([IpFamily::V4]);
    let v6 = BTreeSet::from([IpFamily::V6]);
    let dual = BTreeSet::from([IpFamily::V4, IpFamily::V6]);
    let length = |v4: u8, v6: u8| with(&|one| (one.aggregation_length, one.aggregation_length_v6) = (v4, v6));
    let for_peer = |peer: &str| with(&|one| one.peers = [peer.into()].into());
    for (name, one, other, families, clashes) in [
        ("the same", &hundred, &preferred(Some(100)), &v4, false),
        ("another", &hundred, &with(&|_| ()), &v4, true),
        ("none, which internal peers take as 100", &hundred, &preferred(None), &v4, true),
        ("other length", &hundred, &length(24, 128), &v4, false),
        ("other length of the other family", &hundred, &length(32, 64), &v4, true),
        ("other length of both families", &hundred, &length(24, 64), &dual, false),
        ("other length of one family of two", &hundred, &length(24, 128), &dual, true),
        ("other length of IPv6", &hundred, &length(32, 64), &v6, false),
        ("one peer, and all", &hundred, &for_peer("tor-a"), &v4, true),
        ("no family at all", &hundred, &with(&|_| ()), &BTreeSet::new(), false),
    ] {
        assert_eq!(one.clashes_with(other, families), clashes, "{name}");
        assert_eq!(other.clashes_with(one, families), clashes, "{name}");
    }
    let cheap = BgpAdvertisement { local_pref: Some(1), ..for_peer("tor-b") };
    assert!(!for_peer("tor-a").clashes_with(&cheap, &v4), "other peers");
}

#[test]
fn a_clash_without_service_selectors_leaves_the_later_advertisement_out() {
    let mut snapshot = cluster("a");
    let preferred = |preference, community: &str| {
        advertisement(|one| {
            one.local_pref = Some(preference);
            one.communities = [community.parse().unwrap()].into();
        })
    };
    let (first, second) = (preferred(100, "1:1"), preferred(200, "2:2"));
    advertise(&mut snapshot, &[("a", &first), ("b", &second)]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 preferred 100 1:1"]);
    let selecting = BgpAdvertisement { service_selectors: vec![Selector::default()], ..second };
    advertise(&mut snapshot, &[("a", &first), ("b", &selecting)]);
    let conflict = Withheld::ConflictingAdvertisements { between: [named("a"), named("b")].into() };
    assert_eq!(withheld(&snapshot, "web"), Some(conflict));
    let elsewhere = BgpAdvertisement { node_selectors: selects("node", "b"), ..selecting };
    advertise(&mut snapshot, &[("a", &first), ("b", &elsewhere)]);
    assert_eq!(withheld(&snapshot, "web"), None, "it is no matter of this node");
}

#[test]
fn a_pool_is_advertised_by_either_protocol() {
    let snapshot = cluster("a");
    let name = "lb-pool".into();
    let of = |advertisements: &Advertisements| {
        coverage(&name, &snapshot.pools[&name], advertisements, &snapshot.nodes)
    };
    assert_eq!(of(&snapshot.advertisements), Coverage::Advertised);
    let mut advertisements = snapshot.advertisements.clone();
    advertisements.bgp.get_mut(&named("all")).unwrap().aggregation_length = 8;
    assert_eq!(of(&advertisements), Coverage::NotSelected, "it aggregates more than the pool has");
    advertisements.l2.insert(named("all"), L2Advertisement::default());
    assert_eq!(of(&advertisements), Coverage::Advertised);
}
