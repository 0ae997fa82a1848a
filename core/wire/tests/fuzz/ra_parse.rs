//! Packets that say to be Router Discovery: who is behind an interface is known by them alone.

use std::net::Ipv6Addr;

use ferrolb_wire::ipv6::{Header, icmpv6_checksum};
use ferrolb_wire::ndp::router::{Message, Packet};

use crate::driver::Target;
use crate::inputs::{ROUTER_DISCOVERY, bodies};

/// Octets of the longest input: more than an Ethernet frame carries.
const OCTETS_MAX: usize = 2_000;
/// Where ICMPv6 has its checksum, and where that ends.
const CHECKSUM: [usize; 2] = [Header::LENGTH + 2, Header::LENGTH + 4];

#[test]
fn any_router_discovery_is_discarded_or_read_and_said_again() {
    let corpus = bodies(ROUTER_DISCOVERY);
    let target = Target { name: "ra_parse", corpus, octets_max: OCTETS_MAX, executions: 1_000_000 };
    // As it comes, and as it were if whoever changed it had put length and checksum right.
    target.run(|input| format!("{} {}", read(input), read(&sealed(input.to_vec()))));
}

/// What came of octets that are a packet, or none.
fn read(octets: &[u8]) -> String {
    let packet = match Packet::parse(octets) {
        Ok(packet) => packet,
        Err(error) => return error.reason().to_owned(),
    };
    let said = packet.emit();
    // What is not said again is only left out: the options of others.
    assert!(said.len() <= octets.len(), "{packet:?}");
    assert_eq!(Packet::parse(&said), Ok(packet));
    let (length, what, source_link_layer) = match packet.message {
        Message::Solicitation(solicitation) => (8, "solicits", solicitation.source_link_layer),
        Message::Advertisement(advertisement) => {
            assert!(packet.source.is_unicast_link_local(), "{packet:?}");
            let what = if advertisement.router_lifetime == 0 { "is none" } else { "is a router" };
            (16, what, advertisement.source_link_layer)
        }
    };
    let (header, payload) = Header::parse(octets).unwrap();
    assert_eq!(
        (header.hop_limit, packet.source, packet.destination),
        (255, header.source, header.destination)
    );
    let options = options(&payload[length..]);
    let first = options.iter().find(|option| option[0] == 1);
    assert_eq!(source_link_layer.map(|mac| mac.0.to_vec()), first.map(|option| option[2..].to_vec()));
    format!("{what} {} {}", first.is_some(), options.len().min(3))
}

/// The options one after the other: RFC 4861 §4.6.
fn options(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut options = Vec::new();
    while !octets.is_empty() {
        let length = usize::from(octets[1]) * 8;
        assert_ne!(length, 0, "an option that never ends was taken");
        let (option, rest) = octets.split_at(length);
        options.push(option);
        octets = rest;
    }
    options
}

/// `packet` with its length and its checksum put right, where it has them.
fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
    let [from, to] = CHECKSUM;
    if packet.len() >= to {
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
        let (source, destination) = (address(8), address(24));
        let length = u16::try_from(packet.len() - Header::LENGTH).unwrap();
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet[from..to].fill(0);
        let checksum = icmpv6_checksum(source, destination, &packet[Header::LENGTH..]);
        packet[from..to].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}
