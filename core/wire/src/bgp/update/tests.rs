use super::*;
use crate::bgp::Notification;
use crate::bgp::path_attribute::Defect;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use std::string::{String, ToString};

mod malformed;
mod multiprotocol;
mod property;

/// A peer of another system, numbers in four octets.
const EXTERNAL: Decoding =
    Decoding { four_octet_as: true, is_internal: false, local_asn: Asn(64_512), families: Families::ALL };

/// A peer of this speaker's own.
const INTERNAL: Decoding = Decoding { is_internal: true, ..EXTERNAL };

/// A peer of another system, numbers in two octets.
const TWO_OCTETS: Decoding = Decoding { four_octet_as: false, ..EXTERNAL };

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
/// 64513 and 64514.
const AS_PATH: &[u8] = &[0x40, 2, 10, 2, 2, 0, 0, 0xfc, 0x01, 0, 0, 0xfc, 0x02];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// 198.51.100.0/24.
const ROUTE: &[u8] = &[24, 198, 51, 100];

/// An attribute with a length of one octet.
fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, u8::try_from(value.len()).unwrap()], value].concat()
}

/// A body of these withdrawn routes, attributes and reachable routes.
fn body(withdrawn: &[u8], attributes: &[&[u8]], reachable: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap().to_be_bytes();
    [&length(withdrawn), withdrawn, &length(&attributes), &attributes, reachable].concat()
}

fn texts(prefixes: impl Iterator<Item = IpPrefix>) -> Vec<String> {
    prefixes.map(|prefix| prefix.to_string()).collect()
}

/// The code and subcode that the peer is told, and the data.
fn told(error: &Error) -> (u8, u8, Vec<u8>) {
    let Notification { code, subcode, data } = error.notification();
    (code, subcode, data)
}

#[test]
fn routes_and_what_is_said_of_them_are_read_in_place() {
    let octets = body(
        &[8, 10],
        &[
            &[0x40, 1, 1, 2],
            AS_PATH,
            NEXT_HOP,
            &attribute(0x80, 4, &[0, 0, 0, 7]),
            LOCAL_PREF,
            &attribute(0x40, 6, &[]),
            &attribute(0xc0, 7, &[0, 0, 0xfc, 1, 192, 0, 2, 9]),
            &attribute(0xc0, 8, &[0xff, 0xff, 0xff, 0x01, 0xfc, 0x00, 0, 100]),
            &attribute(0x80, 9, &[192, 0, 2, 8]),
            &attribute(0x80, 10, &[192, 0, 2, 7, 192, 0, 2, 6]),
            &attribute(0xc0, 16, &[0, 4, 0xfc, 0, 0x47, 0xf4, 0x24, 0]),
            &attribute(0xc0, 32, &[0, 0, 0xfc, 0, 0, 0, 0, 1, 0, 0, 0, 2]),
            &attribute(0xc0, 200, &[1, 2, 3]),
        ],
        &[24, 198, 51, 100, 25, 203, 0, 113, 0x80],
    );
    let update = Update::parse(&octets, &INTERNAL).unwrap();
    assert_eq!(update.disposition(), Disposition::Accept);
    assert!(update.discarded().is_empty());
    assert_eq!(texts(update.withdrawn()), ["10.0.0.0/8"]);
    assert_eq!(texts(update.reachable()), ["198.51.100.0/24", "203.0.113.128/25"]);
    assert_eq!(update.origin(), Some(Origin::Incomplete));
    assert_eq!((update.as_path().to_string(), update.as_path().length()), ("64513 64514".into(), 2));
    assert_eq!(update.next_hop(Family::Ipv4Unicast).unwrap().to_string(), "192.0.2.1");
    assert_eq!(update.next_hop(Family::Ipv6Unicast), None);
    assert_eq!((update.multi_exit_disc(), update.local_pref()), (Some(7), Some(100)));
    let communities: Vec<_> = update.communities().map(|community| community.to_string()).collect();
    assert_eq!(communities, ["65535:65281", "64512:100"]);
    let large: Vec<_> = update.large_communities().map(|community| community.to_string()).collect();
    assert_eq!(large, ["64512:1:2"]);
    let extended: Vec<_> = update.extended_communities().map(|community| community.to_string()).collect();
    assert_eq!(extended, ["link-bandwidth:64512:125000"]);
    assert_eq!(update.end_of_rib(), None);
}

#[test]
fn attributes_come_in_any_order_and_a_length_may_have_two_octets() {
    let origin = [0x50, 1, 0, 1, 0];
    let octets = body(&[], &[NEXT_HOP, AS_PATH, &origin], ROUTE);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    assert_eq!(update.disposition(), Disposition::Accept);
    assert_eq!(update.origin(), Some(Origin::Igp));
}

#[test]
fn withdrawing_needs_no_attributes() {
    let octets = body(&[8, 10, 16, 172, 16], &[], &[]);
    let update = Update::parse(&octets, &INTERNAL).unwrap();
    assert_eq!(update.disposition(), Disposition::Accept);
    assert_eq!(texts(update.withdrawn()), ["10.0.0.0/8", "172.16.0.0/16"]);
    assert_eq!(update.reachable().next(), None);
}

#[test]
fn a_path_through_this_system_is_a_loop() {
    let octets = body(&[], &[ORIGIN, AS_PATH, NEXT_HOP], ROUTE);
    let has_loop =
        |local_asn| Update::parse(&octets, &Decoding { local_asn, ..EXTERNAL }).unwrap().has_loop();
    assert!(has_loop(Asn(64_514)));
    assert!(!has_loop(Asn(64_512)));
}

#[test]
fn a_path_in_two_octets_is_completed_by_the_one_in_four() {
    let as_path = attribute(0x40, 2, &[2, 2, 0xfc, 0x01, 0x5b, 0xa0]);
    let as4_path = attribute(0xc0, 17, &[2, 1, 0xfa, 0x56, 0xea, 0x00]);
    let path = |others: &[&[u8]]| {
        let octets = body(&[], &[&[ORIGIN, &as_path, NEXT_HOP], others].concat(), ROUTE);
        Update::parse(&octets, &TWO_OCTETS).unwrap().as_path().to_string()
    };
    assert_eq!(path(&[]), "64513 23456");
    assert_eq!(path(&[&as4_path]), "64513 4200000000");
    // RFC 6793 §4.2.3: of two aggregators, one that is not AS_TRANS did not know of AS4_PATH. One that is
    // alone has an AS number of two octets, and says nothing of the path.
    let aggregator = attribute(0xc0, 7, &[0xfc, 0x01, 192, 0, 2, 9]);
    let as4_aggregator = attribute(0xc0, 18, &[0xfa, 0x56, 0xea, 0x00, 192, 0, 2, 9]);
    assert_eq!(path(&[&aggregator, &as4_path, &as4_aggregator]), "64513 23456");
    assert_eq!(path(&[&aggregator, &as4_path]), "64513 4200000000");
    let trans = attribute(0xc0, 7, &[0x5b, 0xa0, 192, 0, 2, 9]);
    assert_eq!(path(&[&as4_path, &trans, &as4_aggregator]), "64513 4200000000");
}

#[test]
fn end_of_rib_of_ipv4_is_a_message_of_nothing() {
    let octets = body(&[], &[], &[]);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    assert_eq!(update.end_of_rib(), Some(Family::Ipv4Unicast));
    let ipv6_only = Decoding { families: Families::IPV6, ..EXTERNAL };
    assert_eq!(Update::parse(&octets, &ipv6_only).unwrap().end_of_rib(), None);
}

#[test]
fn a_message_that_says_anything_is_no_end_of_rib() {
    let unreach = attribute(0x80, 15, &[0, 2, 1]);
    for octets in [
        body(&[8, 10], &[], &[]),
        body(&[], &[ORIGIN], &[]),
        body(&[8, 10], &[&unreach], &[]),
        body(&[], &[&unreach, ORIGIN], &[]),
        body(&[], &[&attribute(0x80, 15, &[0, 2, 1, 0])], &[]),
        body(&[], &[&unreach, ORIGIN, AS_PATH, NEXT_HOP], ROUTE),
    ] {
        assert_eq!(Update::parse(&octets, &EXTERNAL).unwrap().end_of_rib(), None, "{octets:?}");
    }
}

#[test]
fn lengths_beyond_the_message_reset_the_session() {
    let whole = body(&[8, 10], &[ORIGIN, AS_PATH, NEXT_HOP], &[]);
    for length in 0..whole.len() {
        let error = Update::parse(&whole[..length], &EXTERNAL).unwrap_err();
        assert_eq!(error, Error::MalformedAttributeList, "{length} octets");
        assert_eq!(told(&error), (3, 1, Vec::new()));
    }
}

#[test]
fn a_prefix_that_is_too_long_or_cut_short_resets_the_session() {
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP];
    for prefix in [&[33, 1, 2, 3, 4, 5][..], &[24, 198, 51], &[8, 10, 32, 1]] {
        for octets in
            [body(prefix, &[], &[]), body(prefix, &attributes, ROUTE), body(&[], &attributes, prefix)]
        {
            let error = Update::parse(&octets, &EXTERNAL).unwrap_err();
            assert_eq!(error, Error::NetworkField, "{prefix:?}");
            assert_eq!(told(&error), (3, 10, Vec::new()));
        }
    }
}

#[test]
fn routes_of_a_family_that_is_not_in_use_are_ignored() {
    let octets = body(&[8, 10], &[ORIGIN, AS_PATH, NEXT_HOP], ROUTE);
    let update = Update::parse(&octets, &Decoding { families: Families::IPV6, ..EXTERNAL }).unwrap();
    assert_eq!((update.withdrawn().next(), update.reachable().next()), (None, None));
    assert_eq!(update.disposition(), Disposition::Accept);
}

#[test]
fn what_is_treated_as_withdrawn_is_withdrawn_and_not_reachable() {
    let octets = body(&[8, 10], &[ORIGIN, AS_PATH], ROUTE);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    let Disposition::TreatAsWithdraw(malformed) = update.disposition() else { panic!("accepted") };
    assert_eq!(malformed.to_string(), "path attribute NEXT_HOP (3): it is missing");
    assert_eq!((malformed.defect, malformed.defect.reason()), (Defect::Missing, "missing"));
    assert_eq!(texts(update.withdrawn()), ["10.0.0.0/8", "198.51.100.0/24"]);
    assert_eq!(update.reachable().next(), None);
}
