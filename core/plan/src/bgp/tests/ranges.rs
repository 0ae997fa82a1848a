//! Peers that connect from a range.

use super::*;
use crate::bgp::{ListenRange, ListenRangeError, caller};
use proptest::prelude::*;

fn range(text: &str) -> BgpPeer {
    BgpPeer { endpoint: Endpoint::Range(text.parse().unwrap()), passive: true, ..peer("192.0.2.1") }
}

fn sessions<const N: usize>(peers: [(&str, BgpPeer); N]) -> BTreeMap<ObjectName, Session> {
    let routes = ["198.51.100.1/32", "2001:db8:1::1/128"]
        .map(|text| (text.parse().unwrap(), Arc::new(Route::default())));
    let routes: Arc<Routes> = Arc::new(routes.into());
    let session = |(name, peer)| (named(name), Session { peer, routes: Arc::clone(&routes) });
    peers.map(session).into()
}

#[test]
fn a_range_is_prefixes_that_do_not_overlap_and_are_not_everybody() {
    for (text, expected) in [
        ("192.0.2.0/24", Ok("192.0.2.0/24")),
        (" 2001:db8::/64 , 192.0.2.77/24", Ok("192.0.2.0/24,2001:db8::/64")),
        ("10.0.0.0/8", Ok("10.0.0.0/8")),
        ("2001::/16", Ok("2001::/16")),
        ("192.0.2.1/32", Ok("192.0.2.1/32")),
        ("", Err("\"\": expected an address, a slash and a prefix length")),
        ("192.0.2.0/24,", Err("\"\": expected an address, a slash and a prefix length")),
        ("192.0.2.1", Err("\"192.0.2.1\": expected an address, a slash")),
        ("192.0.2.0/33", Err("prefix length \"33\" of 192.0.2.0: expected a number from 0 to 32")),
        ("leaves/24", Err("\"leaves\" is not an IP address; write prefixes, separated by commas")),
        ("0.0.0.0/0", Err("0.0.0.0/0 is too wide: write prefixes of at least 8 bits")),
        ("2000::/3", Err("2000::/3 is too wide: write prefixes of at least 16 bits")),
        ("224.0.0.0/8", Err("nobody is told by an address of 224.0.0.0/8 alone")),
        ("ff02::/16", Err("nobody is told by")),
        ("fe80::/64", Err("nobody is told by")),
        ("::ffff:192.0.2.0/120", Err("nobody is told by")),
        ("192.0.2.0/24,192.0.2.128/25", Err("192.0.2.0/24 and 192.0.2.128/25 overlap")),
    ] {
        match (text.parse::<ListenRange>().map(|range| range.to_string()), expected) {
            (Ok(range), Ok(expected)) => assert_eq!(range, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().starts_with(expected), "{text}: {error}");
            }
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }
    assert!(matches!("x".parse::<ListenRange>(), Err(ListenRangeError::Prefix(_))));
}

#[test]
fn who_connects_is_of_the_range_that_has_the_address_unless_somebody_has_named_it() {
    let in_vrf = |peer: BgpPeer| BgpPeer { vrf: Some("red".into()), ..peer };
    let sessions = sessions([
        ("fixed", peer("192.0.2.9")),
        ("leaves", range("192.0.2.0/24")),
        ("red", in_vrf(range("192.0.2.0/24"))),
        ("red-fixed", in_vrf(peer("192.0.2.8"))),
        ("spines", range("198.51.100.0/25")),
    ]);
    for (name, address, expected) in [
        ("leaves", "192.0.2.7", true),
        ("leaves", "192.0.2.8", true),
        ("leaves", "192.0.2.9", false),
        ("red", "192.0.2.8", false),
        ("red", "192.0.2.9", true),
        ("leaves", "198.51.100.1", false),
        ("spines", "198.51.100.1", true),
        ("spines", "198.51.100.128", false),
        ("fixed", "192.0.2.9", false),
        ("gone", "192.0.2.7", false),
    ] {
        let address = address.parse().unwrap();
        let found = caller(&sessions, &named(name), address);
        assert_eq!(found.is_some(), expected, "{name} {address}");
        if let Some(Session { peer, .. }) = found {
            assert_eq!(peer.endpoint, Endpoint::Address(address));
            assert!(peer.passive && peer.vrf == sessions[&named(name)].peer.vrf);
        }
    }
}

#[test]
fn who_connects_is_told_the_prefixes_of_its_own_family_or_of_both_where_that_is_wanted() {
    let both = range("192.0.2.0/24,2001:db8::/64");
    let dual_stack = BgpPeer { dual_stack: true, ..both.clone() };
    let v4_alone = range("192.0.2.0/24");
    assert!([IpFamily::V4, IpFamily::V6].into_iter().all(|family| both.carries(family)));
    assert!(v4_alone.carries(IpFamily::V4) && !v4_alone.carries(IpFamily::V6));
    let sessions = sessions([("both", both), ("dual", dual_stack)]);
    let told = |name: &str, address: &str| {
        let session = caller(&sessions, &named(name), address.parse().unwrap()).unwrap();
        session.routes.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told("both", "192.0.2.7"), ["198.51.100.1/32"]);
    assert_eq!(told("both", "2001:db8::7"), ["2001:db8:1::1/128"]);
    assert_eq!(told("dual", "2001:db8::7"), ["198.51.100.1/32", "2001:db8:1::1/128"]);
}

#[test]
fn of_ranges_that_overlap_a_node_has_the_first() {
    let mut snapshot = cluster("a");
    let of_b = BgpPeer { node_selectors: selects("node", "b"), ..range("192.0.2.0/24") };
    snapshot.peering.peers = [
        (named("0-of-b"), of_b),
        (named("1-first"), range("192.0.2.0/24")),
        (named("2-within"), range("192.0.2.128/25")),
        (named("3-beside"), range("203.0.113.0/24")),
        (named("4-vrf"), BgpPeer { vrf: Some("red".into()), ..range("192.0.2.128/25") }),
        (named("5-around-both"), range("203.0.0.0/16,2001:db8::/64")),
        (named("6-fixed"), peer("192.0.2.9")),
    ]
    .into();
    let names = |snapshot: &Snapshot| -> Vec<String> {
        plan(snapshot).sessions.into_keys().map(|name| name.name).collect()
    };
    assert_eq!(names(&snapshot), ["1-first", "3-beside", "4-vrf", "6-fixed"]);
    snapshot.me = "b".into();
    assert_eq!(names(&snapshot), ["0-of-b", "3-beside", "4-vrf", "6-fixed"]);
}

proptest! {
    #[test]
    fn of_all_ranges_of_a_node_one_at_most_has_an_address(
        prefixes in prop::collection::vec((any::<u16>(), 8_u8..=32), 1..8),
        host in any::<u16>(),
    ) {
        let address = |low: u16| {
            let [third, fourth] = low.to_be_bytes();
            IpAddr::from([10, 0, third, fourth])
        };
        let peers = prefixes.iter().enumerate().map(|(index, (low, length))| {
            let text = format!("{}/{length}", address(*low));
            (named(&format!("range-{index}")), range(&text))
        });
        let peers: BTreeMap<_, _> = peers.collect();
        let kept = peers_of(&peers, &Labels::default());
        let session = |(name, peer): (&&ObjectName, &&BgpPeer)| {
            ((*name).clone(), Session { peer: (*peer).clone(), routes: Arc::default() })
        };
        let sessions: BTreeMap<_, _> = kept.iter().map(session).collect();
        let callers = |host: u16| {
            peers.keys().filter(|name| caller(&sessions, name, address(host)).is_some()).count()
        };
        prop_assert!(callers(host) <= 1);
        // Each address of a range that was refused is one that another has, but not each of its addresses.
        prop_assert_eq!(callers(prefixes[0].0), 1);
    }
}
