use super::*;
use crate::ipv6::{ALL_NODES, ALL_ROUTERS, icmpv6_checksum};
use proptest::prelude::*;

const ROUTER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xfe]);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn advertisement(router_lifetime: u16, source_link_layer: Option<MacAddr>) -> Packet {
    let message = Message::Advertisement(Advertisement { router_lifetime, source_link_layer });
    Packet { source: ip("fe80::fe"), destination: ALL_NODES, message }
}

fn solicitation(source: &str, source_link_layer: Option<MacAddr>) -> Packet {
    let message = Message::Solicitation(Solicitation { source_link_layer });
    Packet { source: ip(source), destination: ALL_ROUTERS, message }
}

/// `packet` with octets from `offset` on replaced, and length and checksum put right.
fn altered(mut packet: Vec<u8>, offset: usize, replacement: &[u8]) -> Vec<u8> {
    packet[offset..offset + replacement.len()].copy_from_slice(replacement);
    sealed(packet)
}

/// `packet` with payload length and checksum put right.
fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(packet.len() - 40).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    if packet.len() >= 44 {
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
        let (source, destination) = (address(8), address(24));
        packet[42..44].fill(0);
        let checksum = icmpv6_checksum(source, destination, &packet[40..]);
        packet[42..44].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

const HOP_LIMIT_OFFSET: usize = 7;
const SOURCE: usize = 8;
const ICMP_TYPE: usize = 40;
const ICMP_CODE: usize = 41;
const CHECKSUM: usize = 42;
const BODY: usize = 44;

#[test]
fn what_hosts_configure_themselves_by_is_ignored() {
    // Hop limit 64, both flags and a preference, reachable time and retransmission timer; an MTU (RFC 4861
    // §4.6.4), a prefix (§4.6.2) and an option that nobody knows around the link-layer address.
    let mut packet = altered(
        advertisement(1_800, None).emit(),
        BODY,
        &[64, 0xc8, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8],
    );
    packet.extend([5, 1, 0, 0, 0, 0, 0x05, 0xdc]);
    packet.extend([3, 4, 64, 0xc0]);
    packet.extend([0xee; 28]);
    packet.extend([1, 1]);
    packet.extend(ROUTER.0);
    packet.extend([200, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Packet::parse(&sealed(packet)), Ok(advertisement(1_800, Some(ROUTER))));
}

#[test]
fn what_is_sent_asks_hosts_for_nothing() {
    let packet = advertisement(0, Some(ROUTER)).emit();
    assert_eq!((packet[HOP_LIMIT_OFFSET], packet[ICMP_TYPE], packet[ICMP_CODE]), (255, 134, 0));
    let mut expected = [0; 20];
    expected[12..14].copy_from_slice(&[1, 1]);
    expected[14..].copy_from_slice(&ROUTER.0);
    assert_eq!(packet[BODY..], expected);
    assert_eq!(solicitation("fe80::1", None).emit()[ICMP_TYPE..][..2], [133, 0]);
}

#[test]
fn every_rule_of_rfc4861_6_1_drops_with_its_reason() {
    let valid = || advertisement(0, Some(ROUTER)).emit();
    let mut wrong_checksum = valid();
    wrong_checksum[CHECKSUM] ^= 1;
    let mut short = valid();
    short.truncate(BODY + 11);
    let mut short_solicitation = solicitation("fe80::1", None).emit();
    short_solicitation.truncate(BODY + 3);
    let unspecified = solicitation("::", Some(ROUTER)).emit();
    let cases = [
        (altered(valid(), SOURCE, &ip("2001:db8::fe").octets()), "NdpNotLinkLocal"),
        (altered(valid(), SOURCE, &[0; 16]), "NdpNotLinkLocal"),
        (altered(valid(), HOP_LIMIT_OFFSET, &[254]), "NdpHopLimit"),
        (wrong_checksum, "NdpChecksum"),
        (altered(valid(), ICMP_CODE, &[1]), "NdpCode"),
        (altered(valid(), ICMP_TYPE, &[135]), "NdpType"),
        (sealed(short), "NdpTruncated"),
        (altered(valid(), BODY + 13, &[0]), "NdpZeroLengthOption"),
        (altered(valid(), BODY + 13, &[2]), "NdpTruncated"),
        (sealed(short_solicitation), "NdpTruncated"),
        (unspecified, "NdpUnspecifiedSourceLinkLayer"),
        (altered(solicitation("fe80::1", None).emit(), HOP_LIMIT_OFFSET, &[1]), "NdpHopLimit"),
    ];
    for (packet, reason) in cases {
        assert_eq!(Packet::parse(&packet).unwrap_err().reason(), reason, "{packet:02x?}");
    }
}

fn packet() -> impl Strategy<Value = Packet> {
    let mac = any::<[u8; 6]>().prop_map(|[first, rest @ ..]| {
        let [a, b, c, d, e] = rest;
        MacAddr([first & !1, a, b, c, d, e])
    });
    let ends = (any::<u64>(), any::<u128>(), proptest::option::of(mac));
    (ends, any::<Option<u16>>()).prop_map(|((interface_id, destination, source_link_layer), lifetime)| {
        let message = match lifetime {
            Some(router_lifetime) => {
                Message::Advertisement(Advertisement { router_lifetime, source_link_layer })
            }
            None => Message::Solicitation(Solicitation { source_link_layer }),
        };
        let source = Ipv6Addr::from_bits(0xfe80_u128 << 112 | u128::from(interface_id));
        Packet { source, destination: Ipv6Addr::from_bits(destination), message }
    })
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(packet in packet(), padding in 0_usize..20) {
        let mut octets = packet.emit();
        octets.resize(octets.len() + padding, 0);
        prop_assert_eq!(Packet::parse(&octets), Ok(packet));
    }

    #[test]
    fn arbitrary_octets_behind_a_good_checksum_never_panic(body: Vec<u8>, advertises: bool) {
        let start = if advertises { advertisement(0, None) } else { solicitation("fe80::1", None) };
        let mut octets = start.emit();
        octets.truncate(BODY);
        octets.extend(body);
        if let Ok(packet) = Packet::parse(&sealed(octets)) {
            prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
        }
    }
}
