use super::*;
use proptest::prelude::*;
use std::vec;

const HOST: MacAddr = MacAddr([0x5e, 0x1f, 0x58, 0xda, 0x64, 0xac]);
const OWNER: MacAddr = MacAddr([0x3e, 0x70, 0x29, 0x0d, 0x9c, 0x11]);

/// Frames between two Linux 6.18 kernels as tcpdump showed them, without the Ethernet header.
mod captured {
    /// `ndisc6 2001:db8::50`: multicast, with a Source Link-Layer Address.
    pub(super) const SOLICITATION: &str = "600157da00203afffe800000000000005c1f58fffeda64ac\
        ff0200000000000000000001ff000050870018790000000020010db800000000000000000000005001015e1f58da64ac";
    /// The kernel that has 2001:db8::50 answers it.
    pub(super) const ADVERTISEMENT: &str = "6000000000203aff20010db8000000000000000000000050\
        fe800000000000005c1f58fffeda64ac88009edb6000000020010db800000000000000000000005002013e70290d9c11";
    /// The kernel answers a unicast solicitation without a Target Link-Layer Address.
    pub(super) const UNICAST_ADVERTISEMENT: &str = "6000000000183aff20010db8000000000000000000000050\
        fe800000000000005c1f58fffeda64ac8800c4734000000020010db8000000000000000000000050";
    /// Duplicate Address Detection of 2001:db8::51, with a nonce (RFC 7527).
    pub(super) const DUPLICATE_ADDRESS_DETECTION: &str = "6000000000203aff00000000000000000000000000000000\
        ff0200000000000000000001ff00005187008d180000000020010db80000000000000000000000510e013240fc0e82dc";
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn solicitation(source_link_layer: Option<MacAddr>) -> Packet {
    Packet {
        source: ip("fe80::5c1f:58ff:feda:64ac"),
        destination: ip("ff02::1:ff00:50"),
        message: Message::Solicitation(Solicitation { target: ip("2001:db8::50"), source_link_layer }),
    }
}

fn advertisement(override_flag: bool, target_link_layer: Option<MacAddr>) -> Packet {
    Packet {
        source: ip("2001:db8::50"),
        destination: ip("fe80::5c1f:58ff:feda:64ac"),
        message: Message::Advertisement(Advertisement {
            router: false,
            solicited: true,
            override_flag,
            target: ip("2001:db8::50"),
            target_link_layer,
        }),
    }
}

#[test]
fn a_kernels_solicitation_parses() {
    let packet = Packet::parse(&octets(captured::SOLICITATION)).unwrap();
    assert_eq!(packet, solicitation(Some(HOST)));
    // All but the flow label, which is not kept.
    assert_eq!(packet.emit()[4..], octets(captured::SOLICITATION)[4..]);
}

#[test]
fn a_kernels_advertisements_parse_and_are_emitted_octet_for_octet() {
    for (hex, expected) in [
        (captured::ADVERTISEMENT, advertisement(true, Some(OWNER))),
        (captured::UNICAST_ADVERTISEMENT, advertisement(false, None)),
    ] {
        assert_eq!(Packet::parse(&octets(hex)), Ok(expected));
        assert_eq!(expected.emit(), octets(hex));
    }
}

#[test]
fn duplicate_address_detection_parses_and_its_nonce_is_skipped() {
    let packet = Packet::parse(&octets(captured::DUPLICATE_ADDRESS_DETECTION)).unwrap();
    assert_eq!(packet.source, Ipv6Addr::UNSPECIFIED);
    assert_eq!(
        packet.message,
        Message::Solicitation(Solicitation { target: ip("2001:db8::51"), source_link_layer: None })
    );
    // rfc4862 5.4.2: ours is the same without the nonce.
    assert_eq!(Packet::duplicate_address_detection(ip("2001:db8::51")), packet);
}

/// `packet` with octets from `offset` on replaced and the checksum put right again.
fn altered(mut packet: Vec<u8>, offset: usize, replacement: &[u8]) -> Vec<u8> {
    packet[offset..offset + replacement.len()].copy_from_slice(replacement);
    resealed(packet)
}

/// `packet` with payload length and checksum put right.
fn resealed(mut packet: Vec<u8>) -> Vec<u8> {
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

const NEXT_HEADER: usize = 6;
const HOP_LIMIT_OFFSET: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;
const ICMP_TYPE: usize = 40;
const ICMP_CODE: usize = 41;
const CHECKSUM: usize = 42;
const FLAGS: usize = 44;
const TARGET: usize = 48;
const OPTION: usize = 64;

#[test]
fn every_rule_of_rfc4861_7_1_1_and_7_1_2_drops_with_its_reason() {
    let valid = || solicitation(Some(HOST)).emit();
    let dad = || octets(captured::DUPLICATE_ADDRESS_DETECTION);
    let answer = || advertisement(true, Some(OWNER)).emit();
    let mut wrong_checksum = valid();
    wrong_checksum[CHECKSUM] ^= 1;
    let mut without_length = valid();
    without_length.truncate(TARGET + 15);
    let group = ip("ff02::1");
    let cases = [
        (altered(valid(), NEXT_HEADER, &[0]), "NdpNextHeader"),
        (altered(valid(), HOP_LIMIT_OFFSET, &[254]), "NdpHopLimit"),
        (wrong_checksum, "NdpChecksum"),
        (altered(valid(), ICMP_TYPE, &[133]), "NdpType"),
        (altered(valid(), ICMP_CODE, &[1]), "NdpCode"),
        (resealed(without_length), "NdpTruncated"),
        (altered(valid(), TARGET, &group.octets()), "NdpMulticastTarget"),
        (altered(answer(), TARGET, &group.octets()), "NdpMulticastTarget"),
        (altered(valid(), OPTION, &[1, 0]), "NdpZeroLengthOption"),
        (altered(valid(), OPTION, &[200, 0]), "NdpZeroLengthOption"),
        (altered(valid(), OPTION, &[1, 2]), "NdpTruncated"),
        (altered(valid(), OPTION + 2, &[0x33]), "NdpGroupLinkLayer"),
        (altered(valid(), SOURCE, &[0; 16]), "NdpUnspecifiedSourceLinkLayer"),
        (altered(dad(), DESTINATION, &ip("2001:db8::51").octets()), "NdpUnspecifiedSource"),
        (altered(dad(), DESTINATION, &group.octets()), "NdpUnspecifiedSource"),
        (altered(answer(), DESTINATION, &group.octets()), "NdpSolicitedToGroup"),
        (altered(valid(), SOURCE, &group.octets()), "Ipv6MulticastSource"),
    ];
    for (packet, reason) in cases {
        assert_eq!(Packet::parse(&packet).unwrap_err().reason(), reason, "{packet:02x?}");
    }
}

#[test]
fn a_link_layer_option_of_another_size_is_refused() {
    let mut packet = solicitation(None).emit();
    packet.extend([1, 2]);
    packet.extend([0; 14]);
    assert_eq!(Packet::parse(&resealed(packet)), Err(ParseError::LinkLayerLength(14)));
}

#[test]
fn unknown_options_are_skipped_and_the_first_link_layer_address_counts() {
    // rfc4861 7.1.1: "The contents of any defined options that are not specified to be used
    // with Neighbor Solicitation messages MUST be ignored".
    let mut packet = solicitation(None).emit();
    packet.extend(vec![14, 2]);
    packet.extend([0xee; 14]);
    packet.extend([2, 1, 0, 0, 0, 0, 0, 9]);
    packet.extend([1, 1]);
    packet.extend(HOST.0);
    packet.extend([1, 1, 0, 0, 0, 0, 0, 7]);
    assert_eq!(Packet::parse(&resealed(packet)), Ok(solicitation(Some(HOST))));
}

#[test]
fn reserved_bits_are_ignored() {
    // rfc4861 4.4: "This field is unused. … It MUST be ignored by the receiver."
    let answer = advertisement(true, Some(OWNER));
    let packet = altered(answer.emit(), FLAGS, &[0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(Packet::parse(&packet), Ok(answer));
}

prop_compose! {
    fn mac()(octets: [u8; 6]) -> MacAddr {
        let [first, rest @ ..] = octets;
        let [a, b, c, d, e] = rest;
        MacAddr([first & !1, a, b, c, d, e])
    }
}

prop_compose! {
    fn unicast()(bits in 1..0xff_u128 << 120) -> Ipv6Addr {
        Ipv6Addr::from_bits(bits)
    }
}

fn packet() -> impl Strategy<Value = Packet> {
    let link_layer = || proptest::option::of(mac());
    let solicitation = (unicast(), unicast(), unicast(), link_layer(), any::<bool>()).prop_map(
        |(source, destination, target, source_link_layer, dad)| Packet {
            source: if dad { Ipv6Addr::UNSPECIFIED } else { source },
            destination: if dad { solicited_node(target) } else { destination },
            message: Message::Solicitation(Solicitation {
                target,
                source_link_layer: source_link_layer.filter(|_| !dad),
            }),
        },
    );
    let advertisement = (unicast(), unicast(), unicast(), link_layer(), any::<[bool; 4]>()).prop_map(
        |(source, destination, target, target_link_layer, [router, solicited, override_flag, to_all])| {
            Packet {
                source,
                destination: if to_all { ipv6::ALL_NODES } else { destination },
                message: Message::Advertisement(Advertisement {
                    router,
                    solicited: solicited && !to_all,
                    override_flag,
                    target,
                    target_link_layer,
                }),
            }
        },
    );
    prop_oneof![solicitation, advertisement]
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(packet in packet(), padding in 0_usize..20) {
        let mut octets = packet.emit();
        octets.resize(octets.len() + padding, 0);
        prop_assert_eq!(Packet::parse(&octets), Ok(packet));
    }

    #[test]
    fn arbitrary_octets_never_panic(octets: Vec<u8>) {
        prop_assert!(Packet::parse(&octets).is_err(), "a checksum that matches by chance");
    }

    #[test]
    fn arbitrary_options_behind_a_good_checksum_never_panic(options: Vec<u8>, advertise: bool) {
        let mut octets = if advertise { advertisement(true, None) } else { solicitation(None) }.emit();
        octets.extend(options);
        if let Ok(packet) = Packet::parse(&resealed(octets)) {
            prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
        }
    }
}
