use super::*;
use crate::bgp::{ExtendedCommunity, Origin};
use core::net::Ipv4Addr;
use ferrolb_vocab::{Community, LargeCommunity};
use std::string::ToString;

fn attributes() -> Attributes {
    Attributes {
        origin: Origin::Igp,
        as_path: [Asn(64_512)].into(),
        next_hop: NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 1)),
        multi_exit_disc: None,
        local_pref: None,
        communities: Vec::new(),
        large_communities: Vec::new(),
        extended_communities: Vec::new(),
    }
}

/// All of them, without a next hop.
fn octets(attributes: &Attributes, four_octet_as: bool) -> Vec<u8> {
    let encoded = EncodedAttributes::new(attributes, four_octet_as).unwrap();
    let mut octets = Vec::new();
    encoded.append(&[], &mut octets);
    assert_eq!(octets.len(), encoded.len());
    octets
}

#[test]
fn the_mandatory_ones_have_the_octets_of_rfc4271_4_3() {
    let mut octets = Vec::new();
    let encoded = EncodedAttributes::new(&attributes(), true).unwrap();
    encoded.append(b"next hop", &mut octets);
    let expected = [
        &[0x40, 1, 1, 0][..],                  // ORIGIN IGP
        &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00], // AS_PATH 64512
        b"next hop",
    ];
    assert_eq!(octets, expected.concat());
    assert_eq!(encoded.next_hop(), attributes().next_hop);
}

#[test]
fn a_path_of_no_systems_is_empty() {
    let internal = Attributes { as_path: Vec::new(), ..attributes() };
    assert_eq!(octets(&internal, true), [0x40, 1, 1, 0, 0x40, 2, 0]);
}

#[test]
fn all_of_them_come_in_the_order_of_their_types() {
    let all = Attributes {
        origin: Origin::Incomplete,
        multi_exit_disc: Some(10),
        local_pref: Some(200),
        communities: [Community::GRACEFUL_SHUTDOWN].into(),
        large_communities: [LargeCommunity { global_administrator: 1, local_data_1: 2, local_data_2: 3 }]
            .into(),
        extended_communities: [ExtendedCommunity([0, 4, 0, 1, 0, 0, 0, 0])].into(),
        ..attributes()
    };
    let expected = [
        &[0x40, 1, 1, 2][..],
        &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00],
        &[0x80, 4, 4, 0, 0, 0, 10],
        &[0x40, 5, 4, 0, 0, 0, 200],
        &[0xc0, 8, 4, 0xff, 0xff, 0, 0],
        &[0xc0, 16, 8, 0, 4, 0, 1, 0, 0, 0, 0],
        &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
    ];
    assert_eq!(octets(&all, true), expected.concat());
}

#[test]
fn a_peer_of_two_octets_gets_as_trans_and_the_path_in_four_beside_it() {
    let long = Attributes {
        as_path: [Asn(4_200_000_000), Asn(7)].into(),
        communities: [Community(1)].into(),
        large_communities: [LargeCommunity { global_administrator: 0, local_data_1: 0, local_data_2: 0 }]
            .into(),
        ..attributes()
    };
    let expected = [
        &[0x40, 1, 1, 0][..],
        &[0x40, 2, 6, 2, 2, 0x5b, 0xa0, 0, 7],
        &[0xc0, 8, 4, 0, 0, 0, 1],
        &[0xc0, 17, 10, 2, 2, 0xfa, 0x56, 0xea, 0x00, 0, 0, 0, 7],
        &[0xc0, 32, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(octets(&long, false), expected.concat());
    let short = octets(&attributes(), false);
    assert_eq!(short, [0x40, 1, 1, 0, 0x40, 2, 4, 2, 1, 0xfc, 0x00], "none is needed for short numbers");
}

#[test]
fn communities_are_sent_sorted_and_each_once() {
    let unordered = Attributes {
        communities: [Community(3), Community(1), Community(3), Community(2)].into(),
        ..attributes()
    };
    let sent = octets(&unordered, true);
    assert!(sent.ends_with(&[0xc0, 8, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]));
    let ordered =
        Attributes { communities: [Community(1), Community(2), Community(3)].into(), ..attributes() };
    assert_eq!(octets(&ordered, true), sent);
}

#[test]
fn more_than_255_octets_have_a_length_of_two() {
    let count = |communities: u32| Attributes {
        communities: (0..communities).map(Community).collect(),
        ..attributes()
    };
    let after = |attributes: &Attributes| octets(attributes, true).split_off(4 + 9);
    assert_eq!(after(&count(63))[..3], [0xc0, 8, 252]);
    assert_eq!(after(&count(64))[..4], [0xd0, 8, 1, 0]);
    assert_eq!(after(&count(64)).len(), 4 + 256);
}

#[test]
fn a_path_of_more_than_255_systems_has_several_sequences() {
    let long = Attributes { as_path: (1..=300).map(Asn).collect(), ..attributes() };
    let sent = octets(&long, true);
    assert_eq!(sent[4..8], [0x50, 2, 0x04, 0xb4], "1204 octets");
    assert_eq!(sent[8..10], [2, 255]);
    assert_eq!(sent[8 + 2 + 4 * 255..][..2], [2, 45]);
}

#[test]
fn attributes_that_leave_no_room_for_a_prefix_are_refused() {
    // 13 octets of ORIGIN and AS_PATH, 4 in front of the communities.
    let count = |communities: u32| {
        let communities = (0..communities).map(Community).collect();
        EncodedAttributes::new(&Attributes { communities, ..attributes() }, true)
    };
    let most = u32::try_from((ATTRIBUTES_MAX - 17) / 4).unwrap();
    assert!(count(most).is_ok());
    let error = count(most + 1).unwrap_err();
    assert_eq!(error.octets, 17 + 4 * (usize::try_from(most).unwrap() + 1));
    assert!(error.to_string().contains("fewer communities"));
}
