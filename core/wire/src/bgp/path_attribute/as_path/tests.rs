use super::*;
use alloc::vec::Vec;
use std::string::{String, ToString};

/// The octets of segments, numbers in four octets.
fn four(segments: &[(u8, &[u32])]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (code, asns) in segments {
        octets.extend([*code, u8::try_from(asns.len()).unwrap()]);
        octets.extend(asns.iter().flat_map(|asn| asn.to_be_bytes()));
    }
    octets
}

/// The same, in two octets.
fn two(segments: &[(u8, &[u16])]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (code, asns) in segments {
        octets.extend([*code, u8::try_from(asns.len()).unwrap()]);
        octets.extend(asns.iter().flat_map(|asn| asn.to_be_bytes()));
    }
    octets
}

/// The path of `AS_PATH` in two octets and `AS4_PATH`.
fn merged(as_path: &[u8], as4_path: &[u8]) -> String {
    let as4_path = AsPath::parse(as4_path, true).unwrap();
    AsPath::parse(as_path, false).unwrap().reconstructed(as4_path).to_string()
}

#[test]
fn numbers_have_two_octets_or_four() {
    let octets = [2, 2, 0xfc, 0x00, 0x00, 0x07];
    assert_eq!(AsPath::parse(&octets, false).unwrap().to_string(), "64512 7");
    assert_eq!(AsPath::parse(&octets, true), None);
    let octets = four(&[(2, &[4_200_000_000, 7])]);
    assert_eq!(AsPath::parse(&octets, true).unwrap().to_string(), "4200000000 7");
}

#[test]
fn a_set_counts_as_one_and_a_confederation_as_nothing() {
    let octets = four(&[(3, &[65_001, 65_002]), (2, &[1, 2]), (1, &[3, 4, 5]), (4, &[65_003])]);
    let path = AsPath::parse(&octets, true).unwrap();
    assert_eq!(path.length(), 3);
    assert_eq!(path.to_string(), "(65001 65002) 1 2 {3,4,5} [65003]");
    assert!(path.has_confederation());
    assert!(path.contains(Asn(5)) && path.contains(Asn(65_003)) && !path.contains(Asn(6)));
    let types: Vec<_> = path.segments().map(|segment| segment.segment_type).collect();
    assert_eq!(
        types,
        [
            SegmentType::ConfederationSequence,
            SegmentType::Sequence,
            SegmentType::Set,
            SegmentType::ConfederationSet
        ]
    );
}

#[test]
fn an_empty_path_is_one() {
    let path = AsPath::parse(&[], true).unwrap();
    assert_eq!((path.length(), path.to_string()), (0, String::new()));
}

#[test]
fn the_path_in_four_octets_stands_for_the_end_of_the_one_in_two() {
    let as_path = two(&[(2, &[1, 2, 23_456, 23_456])]);
    assert_eq!(merged(&as_path, &four(&[(2, &[70_000, 80_000])])), "1 2 70000 80000");
    assert_eq!(merged(&as_path, &four(&[(2, &[1, 2, 70_000, 80_000])])), "1 2 70000 80000");
    assert_eq!(merged(&as_path, &four(&[(2, &[70_000]), (1, &[80_000, 9])])), "1 2 70000 {80000,9}");
}

#[test]
fn a_path_in_four_octets_that_is_longer_says_nothing() {
    let as_path = two(&[(2, &[1, 23_456])]);
    assert_eq!(merged(&as_path, &four(&[(2, &[1, 2, 70_000])])), "1 23456");
}

#[test]
fn sets_and_confederations_keep_their_place_when_paths_are_put_together() {
    // A set counts as one: it comes before the two of AS4_PATH.
    let as_path = two(&[(1, &[5, 6]), (2, &[23_456, 23_456])]);
    assert_eq!(merged(&as_path, &four(&[(2, &[70_000, 80_000])])), "{5,6} 70000 80000");
    // A confederation in front is kept; one in AS4_PATH is discarded.
    let as_path = two(&[(3, &[65_001]), (2, &[1, 23_456])]);
    assert_eq!(merged(&as_path, &four(&[(3, &[65_009]), (2, &[70_000])])), "(65001) 1 70000");
    assert_eq!(merged(&as_path, &four(&[(2, &[1, 70_000])])), "(65001) 1 70000");
    assert_eq!(merged(&as_path, &four(&[(4, &[65_009])])), "(65001) 1 23456");
}
