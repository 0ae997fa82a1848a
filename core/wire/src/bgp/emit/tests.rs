use super::*;
use crate::bgp::{Attributes, Frame, Origin};
use core::net::{Ipv4Addr, Ipv6Addr};
use ferrolb_vocab::{Asn, Community};

mod property;

const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

fn encoded(next_hop: NextHop) -> EncodedAttributes {
    let attributes = Attributes {
        origin: Origin::Igp,
        as_path: [Asn(64_512)].into(),
        next_hop,
        multi_exit_disc: None,
        local_pref: None,
        communities: Vec::new(),
        large_communities: Vec::new(),
        extended_communities: Vec::new(),
    };
    EncodedAttributes::new(&attributes, true).unwrap()
}

fn over_ipv4() -> EncodedAttributes {
    encoded(NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 1)))
}

fn over_ipv6(link_local: Option<Ipv6Addr>) -> EncodedAttributes {
    encoded(NextHop::Ipv6 { global: GLOBAL, link_local })
}

/// ORIGIN and AS_PATH of [`encoded`].
const ORIGIN_AND_PATH: [u8; 13] = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00];

fn prefixes(texts: &[&str]) -> Vec<IpPrefix> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// `count` different host routes.
fn hosts(family: Family, count: usize) -> Vec<IpPrefix> {
    let family = family.ip_family();
    let host = |value| IpPrefix::containing(family.address(value), family.bits()).unwrap();
    (0..count).map(|value| host(u128::try_from(value).unwrap())).collect()
}

/// The bodies of the messages in `octets`.
fn bodies(octets: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut bodies) = (octets, Vec::new());
    while let Some((frame, consumed)) = Frame::next(rest).unwrap() {
        assert_eq!(frame.message_type, MessageType::Update);
        bodies.push(frame.body);
        rest = &rest[consumed..];
    }
    assert_eq!(rest, []);
    bodies
}

/// The body of one message that tells all of `prefixes`.
fn reachable(attributes: &EncodedAttributes, family: Family, prefixes: &[IpPrefix]) -> Vec<u8> {
    let mut out = Vec::new();
    let count = emit_reachable(attributes, family, &mut prefixes.iter().copied().peekable(), &mut out);
    assert_eq!(count, prefixes.len());
    bodies(&out).concat()
}

#[test]
fn ipv4_routes_with_an_ipv4_next_hop_are_the_bodys_own() {
    let body = reachable(&over_ipv4(), Family::Ipv4Unicast, &prefixes(&["198.51.100.7/32", "10.0.0.0/8"]));
    let expected =
        [&[0, 0][..], &[0, 20], &ORIGIN_AND_PATH, &[0x40, 3, 4, 192, 0, 2, 1], &[32, 198, 51, 100, 7, 8, 10]];
    assert_eq!(body, expected.concat());
}

#[test]
fn ipv6_routes_are_in_the_first_attribute() {
    let body = reachable(&over_ipv6(None), Family::Ipv6Unicast, &prefixes(&["2001:db8:5::/48"]));
    let expected = [
        &[0, 0][..],
        &[0, 3 + 28 + 13],
        &[0x80, 14, 28, 0, 2, 1, 16],
        &GLOBAL.octets(),
        &[0, 48, 0x20, 0x01, 0x0d, 0xb8, 0, 5],
        &ORIGIN_AND_PATH,
    ];
    assert_eq!(body, expected.concat());
}

#[test]
fn a_link_local_next_hop_stands_behind_the_global_one() {
    let body = reachable(&over_ipv6(Some(LINK_LOCAL)), Family::Ipv6Unicast, &prefixes(&["::/0"]));
    let expected = [&[0x80, 14, 38, 0, 2, 1, 32][..], &GLOBAL.octets(), &LINK_LOCAL.octets(), &[0, 0]];
    assert!(body[4..].starts_with(&expected.concat()));
}

#[test]
fn ipv4_routes_with_an_ipv6_next_hop_are_in_the_attribute_too() {
    let body = reachable(&over_ipv6(None), Family::Ipv4Unicast, &prefixes(&["198.51.100.7/32"]));
    let expected =
        [&[0x80, 14, 26, 0, 1, 1, 16][..], &GLOBAL.octets(), &[0, 32, 198, 51, 100, 7], &ORIGIN_AND_PATH];
    assert_eq!(body[4..], expected.concat());
}

#[test]
fn ipv6_routes_with_an_ipv4_next_hop_have_it_mapped() {
    let body = reachable(&over_ipv4(), Family::Ipv6Unicast, &prefixes(&["::/0"]));
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
    assert!(body[4..].starts_with(&[&[0x80, 14, 22, 0, 2, 1, 16][..], &mapped].concat()));
}

#[test]
fn an_attribute_of_routes_has_a_length_of_two_octets_where_it_needs_them() {
    // 21 octets in front of the routes, 17 each: 14 routes are 259 octets, 13 are 242.
    let with = |count| reachable(&over_ipv6(None), Family::Ipv6Unicast, &hosts(Family::Ipv6Unicast, count));
    assert_eq!(with(13)[4..7], [0x80, 14, 242]);
    assert_eq!(with(14)[4..8], [0x90, 14, 1, 3]);
}

#[test]
fn ipv4_routes_are_withdrawn_in_the_body() {
    let mut out = Vec::new();
    let withdrawn = prefixes(&["198.51.100.7/32", "10.0.0.0/8"]);
    let count = emit_withdrawn(Family::Ipv4Unicast, &mut withdrawn.into_iter().peekable(), &mut out);
    assert_eq!(count, 2);
    assert_eq!(bodies(&out), [[0, 7, 32, 198, 51, 100, 7, 8, 10, 0, 0]]);
}

#[test]
fn ipv6_routes_are_withdrawn_in_an_attribute_alone() {
    let mut out = Vec::new();
    let withdrawn = prefixes(&["2001:db8:5::/48"]);
    let count = emit_withdrawn(Family::Ipv6Unicast, &mut withdrawn.into_iter().peekable(), &mut out);
    assert_eq!(count, 1);
    assert_eq!(bodies(&out), [[0, 0, 0, 13, 0x80, 15, 10, 0, 2, 1, 48, 0x20, 0x01, 0x0d, 0xb8, 0, 5]]);
}

#[test]
fn end_of_rib_has_23_octets_for_ipv4_and_29_for_ipv6() {
    let end = |family| {
        let mut out = Vec::new();
        emit_end_of_rib(family, &mut out);
        out
    };
    assert_eq!(end(Family::Ipv4Unicast)[16..], [0, 23, 2, 0, 0, 0, 0]);
    assert_eq!(end(Family::Ipv6Unicast)[16..], [0, 29, 2, 0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]);
}

#[test]
fn a_message_holds_as_many_routes_as_fit_4096_octets() {
    // Five octets each behind 23 and 20; 17 behind 23, 4, 21 and 13; withdrawn behind 23, and 23 and 7.
    let cases = [
        (Family::Ipv4Unicast, (4_096 - 43) / 5, (4_096 - 23) / 5),
        (Family::Ipv6Unicast, (4_096 - 61) / 17, (4_096 - 30) / 17),
    ];
    for (family, told, withdrawn) in cases {
        let attributes = if family == Family::Ipv4Unicast { over_ipv4() } else { over_ipv6(None) };
        let routes = hosts(family, 10_000);
        let mut out = Vec::new();
        let mut rest = routes.iter().copied().peekable();
        assert_eq!(emit_reachable(&attributes, family, &mut rest, &mut out), told);
        assert_eq!(rest.next(), Some(routes[told]), "the next one is left");
        assert!(out.len() <= MESSAGE_MAX && out.len() + 17 > MESSAGE_MAX);
        out.clear();
        let mut rest = routes.iter().copied().peekable();
        assert_eq!(emit_withdrawn(family, &mut rest, &mut out), withdrawn);
        assert!(out.len() <= MESSAGE_MAX && out.len() + 17 > MESSAGE_MAX);
    }
}

#[test]
fn messages_behind_each_other_hold_as_many_routes_each() {
    let routes = hosts(Family::Ipv4Unicast, 3_000);
    let mut out = Vec::new();
    let mut rest = routes.iter().copied().peekable();
    let mut emit = |out: &mut Vec<u8>| emit_reachable(&over_ipv4(), Family::Ipv4Unicast, &mut rest, out);
    assert_eq!([emit(&mut out), emit(&mut out)], [810, 810]);
    let mut rest = routes.iter().copied().peekable();
    let mut emit = |out: &mut Vec<u8>| emit_withdrawn(Family::Ipv4Unicast, &mut rest, out);
    assert_eq!([emit(&mut out), emit(&mut out)], [814, 814]);
    assert_eq!(bodies(&out).len(), 4);
}

#[test]
fn the_longest_attributes_leave_room_for_the_longest_prefix() {
    let attributes = Attributes {
        origin: Origin::Igp,
        as_path: Vec::new(),
        next_hop: NextHop::Ipv6 { global: GLOBAL, link_local: Some(LINK_LOCAL) },
        multi_exit_disc: None,
        local_pref: None,
        // 7 octets of ORIGIN and AS_PATH, 4 and 4004 of communities: 4015 in all.
        communities: (0..1_001).map(Community).collect(),
        large_communities: Vec::new(),
        extended_communities: Vec::new(),
    };
    let attributes = EncodedAttributes::new(&attributes, true).unwrap();
    let mut out = Vec::new();
    let routes = hosts(Family::Ipv6Unicast, 2);
    let count =
        emit_reachable(&attributes, Family::Ipv6Unicast, &mut routes.into_iter().peekable(), &mut out);
    // One octet is left of the length of MP_REACH_NLRI, for which two are reserved.
    assert_eq!((count, out.len()), (1, MESSAGE_MAX - 1));
}

#[test]
fn a_message_ends_before_a_prefix_of_another_family_and_is_none_without_one_of_its_own() {
    let mixed = prefixes(&["10.0.0.0/8", "2001:db8::/32", "10.1.0.0/16"]);
    let mut out = Vec::new();
    let mut rest = mixed.iter().copied().peekable();
    assert_eq!(emit_reachable(&over_ipv4(), Family::Ipv4Unicast, &mut rest, &mut out), 1);
    let length = out.len();
    assert_eq!(emit_reachable(&over_ipv4(), Family::Ipv4Unicast, &mut rest, &mut out), 0);
    assert_eq!(emit_withdrawn(Family::Ipv4Unicast, &mut rest, &mut out), 0);
    assert_eq!(out.len(), length);
    assert_eq!(emit_withdrawn(Family::Ipv6Unicast, &mut rest, &mut out), 1);
    assert_eq!(rest.next(), Some(mixed[2]));
    assert_eq!(emit_withdrawn(Family::Ipv4Unicast, &mut rest, &mut out), 0);
    assert_eq!(bodies(&out).len(), 2, "messages follow each other");
}
