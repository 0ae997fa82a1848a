//! What the session adds to a route.

use super::peer::Told;
use super::*;
use alloc::string::String;
use core::net::IpAddr;

/// What the peer sees of a route for 10.0.0.1 and of the same for 2001:db8:1::1.
fn told(encoding: Encoding, route: &Route) -> [Option<Told>; 2] {
    let mut line = Line::established(encoding);
    let prefixes = ["10.0.0.1/32", "2001:db8:1::1/128"].map(prefix);
    for prefix in prefixes {
        line.rib.announce(prefix, &Arc::new(route.clone()));
    }
    line.drain();
    prefixes.map(|prefix| line.table.get(&prefix).cloned())
}

fn both(encoding: Encoding, route: &Route) -> Told {
    let [ipv4, ipv6] = told(encoding, route).map(Option::unwrap);
    assert_eq!(Told { next_hop: ipv6.next_hop, ..ipv4 }, ipv6);
    ipv6
}

/// RFC 4271 §5.1.2 and §5.1.5.
#[test]
fn an_external_peer_is_told_the_as_number_and_no_local_preference() {
    let told = both(external(), &Route { local_pref: Some(200), ..Route::default() });
    assert_eq!((told.as_path.as_str(), told.local_pref), ("64512", None));
}

/// RFC 4271 §5.1.2 and §5.1.5.
#[test]
fn an_internal_peer_is_told_an_empty_path_and_a_local_preference() {
    let internal = Encoding { is_internal: true, ..external() };
    let told = both(internal, &Route { local_pref: Some(200), ..Route::default() });
    assert_eq!((told.as_path.as_str(), told.local_pref), ("", Some(200)));
    assert_eq!(both(internal, &Route::default()).local_pref, Some(100));
}

/// RFC 7705 §3.
#[test]
fn with_a_local_as_the_peer_sees_the_alias_alone() {
    let told = both(Encoding { local_asn: Asn(65_001), ..external() }, &Route::default());
    assert_eq!(told.as_path, "65001");
}

/// RFC 6793 §4.2.2.
#[test]
fn a_peer_of_two_octets_is_told_the_whole_as_number_beside_as_trans() {
    let encoding = Encoding { four_octet_as: false, local_asn: Asn(4_200_000_000), ..external() };
    let mut line = Line::established(encoding);
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    let mut octets = Vec::new();
    assert!(line.rib.next_message(&mut octets));
    let has = |octets_of: &[u8]| octets.windows(octets_of.len()).any(|window| window == octets_of);
    assert!(has(&[0x40, 2, 4, 2, 1, 0x5b, 0xa0]), "AS_PATH: AS_TRANS in two octets");
    assert!(has(&[0xc0, 17, 6, 2, 1, 0xfa, 0x56, 0xea, 0x00]), "AS4_PATH");
}

#[test]
fn communities_of_all_kinds_pass_unchanged() {
    let large = |local_data_2| LargeCommunity { global_administrator: 64_512, local_data_1: 1, local_data_2 };
    let wanted = Route {
        communities: [Community(7), Community::NO_EXPORT, Community(3)].into(),
        large_communities: [large(2), large(1)].into(),
        ..Route::default()
    };
    let told = both(external(), &wanted);
    assert_eq!(told.communities, [Community(3), Community(7), Community::NO_EXPORT]);
    assert_eq!(told.large_communities, [large(1), large(2)]);
}

/// RFC 10005.
#[test]
fn a_weight_is_told_as_a_bandwidth_in_octets_per_second() {
    let weighted = |weight, transitivity| Route {
        link_bandwidth: Some(LinkBandwidth { weight: NonZeroU32::new(weight).unwrap(), transitivity }),
        ..Route::default()
    };
    let alias = Encoding { local_asn: Asn(4_200_000_000), ..external() };
    for (encoding, weight, transitivity, octets) in [
        // 1 Mbit/s are 125,000 octets: 0x47f42400.
        (external(), 1, Transitivity::Transitive, [0x00, 4, 0xfc, 0, 0x47, 0xf4, 0x24, 0]),
        (external(), 3, Transitivity::NonTransitive, [0x40, 4, 0xfc, 0, 0x48, 0xb7, 0x1b, 0]),
        (alias, 1, Transitivity::Transitive, [0x00, 4, 0x5b, 0xa0, 0x47, 0xf4, 0x24, 0]),
    ] {
        let told = both(encoding, &weighted(weight, transitivity));
        assert_eq!(told.extended_communities, [ExtendedCommunity(octets)]);
    }
    assert_eq!(both(external(), &Route::default()).extended_communities, []);
}

/// The next hops of both families: of a connection from `local`, with the addresses that are
/// configured, and with or without extended next hops.
fn next_hops(local: &str, configured: [&str; 2], extended_next_hop: bool) -> [String; 2] {
    let [ipv4, ipv6] = configured.map(|text| text.parse::<IpAddr>().ok());
    let encoding = Encoding {
        local_address: local.parse().unwrap(),
        next_hop_ipv4: ipv4.and_then(|address| if let IpAddr::V4(v4) = address { Some(v4) } else { None }),
        next_hop_ipv6: ipv6.and_then(|address| if let IpAddr::V6(v6) = address { Some(v6) } else { None }),
        extended_next_hop,
        ..external()
    };
    told(encoding, &Route::default())
        .map(|told| told.map_or("none".to_string(), |told| told.next_hop.to_string()))
}

/// RFC 4271 §5.1.3, RFC 2545 §3, RFC 8950 §3.
#[test]
fn the_next_hop_is_this_end_of_the_connection_or_what_is_configured() {
    for (local, configured, extended, expected) in [
        ("192.0.2.1", ["", ""], false, ["192.0.2.1", "none"]),
        ("192.0.2.1", ["192.0.2.9", "2001:db8::9"], false, ["192.0.2.1", "2001:db8::9"]),
        ("2001:db8::1", ["", ""], false, ["none", "2001:db8::1"]),
        ("2001:db8::1", ["192.0.2.9", "2001:db8::9"], false, ["192.0.2.9", "2001:db8::1"]),
        ("2001:db8::1", ["192.0.2.9", ""], true, ["2001:db8::1", "2001:db8::1"]),
        ("fe80::1", ["", ""], true, ["fe80::1", "fe80::1"]),
        ("fe80::1", ["", "2001:db8::9"], true, ["2001:db8::9 (fe80::1)", "2001:db8::9 (fe80::1)"]),
        ("fe80::1", ["", ""], false, ["none", "fe80::1"]),
        ("127.0.0.1", ["", ""], false, ["none", "none"]),
        ("127.0.0.1", ["192.0.2.9", "2001:db8::9"], false, ["192.0.2.9", "2001:db8::9"]),
        ("::1", ["192.0.2.9", "2001:db8::9"], false, ["192.0.2.9", "2001:db8::9"]),
        ("::1", ["", ""], true, ["none", "none"]),
    ] {
        assert_eq!(next_hops(local, configured, extended), expected, "{local} {configured:?} {extended}");
    }
}

#[test]
fn a_next_hop_that_changes_in_a_session_is_told_anew_to_the_family_that_has_it() {
    let mut line = busy_line();
    line.rib.announce(prefix("2001:db8:1::/64"), &route(1));
    line.drain();
    line.set_encoding(Encoding { next_hop_ipv6: Some("2001:db8::2".parse().unwrap()), ..external() });
    assert_eq!(line.drain(), ["announce 2001:db8:1::/64"]);
    assert_eq!(line.table[&prefix("2001:db8:1::/64")].next_hop.to_string(), "2001:db8::2");
    line.set_encoding(Encoding { next_hop_ipv6: None, ..external() });
    assert_eq!(line.rib.statistics(Family::Ipv6Unicast).withheld, Some(Withheld::NoNextHop));
    assert_eq!(line.drain(), ["withdraw 2001:db8:1::/64"]);
    line.set_encoding(external());
    assert_eq!(line.drain(), ["announce 2001:db8:1::/64"]);
    line.lose();
    line.rib.set_encoding(&external());
    assert!(!line.rib.has_pending(), "it begins no session");
}
