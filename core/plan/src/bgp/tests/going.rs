//! A node that is drained, or whose speaker ends.

use super::*;
use core::time::Duration;

fn at(millis: u64) -> Instant {
    Instant::ORIGIN + Duration::from_millis(millis)
}

fn drained(millis: u64, since: Option<u64>) -> Snapshot {
    let mut snapshot = cluster("a");
    node(&mut snapshot, "a").draining = true;
    snapshot.now = at(millis);
    snapshot.peering.shutdown_since = since.map(at);
    snapshot
}

#[test]
fn a_node_that_goes_is_marked_first_and_withdraws_later() {
    let first = plan(&drained(1_000, None));
    assert_eq!((first.shutdown_since, first.expires), (Some(at(1_000)), Some(at(6_000))));
    assert_eq!(told(&drained(1_000, None), "tor-a"), ["198.51.100.10/32"]);

    let waiting = plan(&drained(5_999, Some(1_000)));
    assert_eq!((waiting.shutdown_since, waiting.expires), (Some(at(1_000)), Some(at(6_000))));
    assert_eq!(withheld(&drained(5_999, Some(1_000)), "web"), None);

    let over = drained(6_000, Some(1_000));
    assert_eq!(withheld(&over, "web"), Some(Withheld::NodeDraining));
    assert_eq!((plan(&over).shutdown_since, plan(&over).expires), (Some(at(1_000)), None));
    assert_eq!(told(&over, "tor-a"), [""; 0], "the session stays, with nothing to tell");

    let mut back = over;
    node(&mut back, "a").draining = false;
    assert_eq!((plan(&back).shutdown_since, withheld(&back, "web")), (None, None));
}

#[test]
fn a_speaker_that_ends_goes_like_a_node_that_is_drained() {
    let mut snapshot = cluster("a");
    snapshot.ownership.leaving = ["a".into()].into();
    snapshot.now = at(9_000);
    assert_eq!(plan(&snapshot).shutdown_since, Some(at(9_000)));
    snapshot.peering.shutdown_since = Some(at(4_000));
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NodeDraining));
}

#[test]
fn what_no_other_node_would_advertise_stays() {
    type Change<'a> = &'a dyn Fn(&mut Snapshot);
    let changes: [(&str, Change<'_>); 8] = [
        ("the others are dead", &|s| s.alive.clear()),
        ("the others go too", &|s| s.ownership.leaving = ["b".into(), "c".into()].into()),
        ("the others are drained too", &|s| ["b", "c"].iter().for_each(|name| node(s, name).draining = true)),
        ("the others are excluded", &|s| ["b", "c"].iter().for_each(|name| node(s, name).excluded = true)),
        ("its only endpoint is here", &|s| {
            web(s).traffic_policy = TrafficPolicy::Local;
            web(s).endpoints.nodes = [("a".into(), 1)].into();
        }),
        ("its advertisement is for this node", &|s| {
            let here = advertisement(|one| one.node_selectors = selects("node", "a"));
            advertise(s, &[("all", &here)]);
        }),
        ("the others have a peer of the other family only", &|s| {
            s.peering.peers.values_mut().for_each(|peer| peer.node_selectors = selects("node", "a"));
            s.peering.peers.insert(named("v6"), peer("2001:db8::1"));
        }),
        ("the others have no peer", &|s| {
            s.peering.peers.values_mut().for_each(|peer| peer.node_selectors = selects("node", "a"));
        }),
    ];
    for (name, change) in changes {
        let mut snapshot = drained(60_000, Some(0));
        change(&mut snapshot);
        assert_eq!(withheld(&snapshot, "web"), None, "{name}");
        assert!(plan(&snapshot).shutdown_since.is_some(), "{name}: it stays marked");
    }
}

#[test]
fn another_service_can_still_go_when_one_stays() {
    let mut snapshot = drained(60_000, Some(0));
    let mut pinned = service(&["198.51.100.11"]);
    pinned.traffic_policy = TrafficPolicy::Local;
    pinned.endpoints.nodes = [("a".into(), 2)].into();
    snapshot.services.insert(service_key("pinned"), pinned.into());
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.11/32 weighs 2"]);
    assert_eq!(withheld(&snapshot, "web"), Some(Withheld::NodeDraining));
}
