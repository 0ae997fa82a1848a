use super::*;
use proptest::prelude::*;

const HOST: MacAddr = MacAddr([0x5e, 0x1f, 0x58, 0xda, 0x64, 0xac]);
const SPEAKER: MacAddr = MacAddr([0x3e, 0x70, 0x29, 0x0d, 0x9c, 0x11]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);

/// `arping -c1 -i v1 192.0.2.50` from 192.0.2.2, payload of the frame as tcpdump shows it.
const ARPING: [u8; 28] = [
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // Ethernet, IPv4, 6, 4, request
    0x5e, 0x1f, 0x58, 0xda, 0x64, 0xac, 0xc0, 0x00, 0x02, 0x02, // sender
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x32, // target
];

/// The kernel's answer to it when 192.0.2.50 is its own.
const KERNEL_REPLY: [u8; 28] = [
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, // reply
    0x3e, 0x70, 0x29, 0x0d, 0x9c, 0x11, 0xc0, 0x00, 0x02, 0x32, //
    0x5e, 0x1f, 0x58, 0xda, 0x64, 0xac, 0xc0, 0x00, 0x02, 0x02,
];

#[test]
fn a_request_of_arping_parses_and_the_reply_is_the_kernels() {
    let request = Packet::parse(&ARPING).unwrap();
    assert_eq!(request, Packet::request(HOST, Ipv4Addr::new(192, 0, 2, 2), ADDRESS));
    assert_eq!(request.emit(), ARPING);
    assert_eq!(request.reply(SPEAKER).emit(), KERNEL_REPLY);
}

#[test]
fn padding_to_the_minimum_frame_is_ignored() {
    let mut padded = ARPING.to_vec();
    padded.resize(46, 0);
    assert_eq!(Packet::parse(&padded), Packet::parse(&ARPING));
}

#[test]
fn a_probe_has_no_sender_ip_and_an_announcement_both_alike() {
    // rfc5227 2.1.1
    let probe = Packet::probe(HOST, ADDRESS);
    assert_eq!((probe.sender_ip, probe.target_ip), (Ipv4Addr::UNSPECIFIED, ADDRESS));
    assert_eq!(probe.target_hardware, MacAddr::ZERO);
    // rfc5227 2.3: identical to the probe, "except that now the sender and target IP addresses
    // are both set"
    let announcement = Packet::announcement(HOST, ADDRESS);
    assert_eq!(announcement, Packet { sender_ip: ADDRESS, ..probe });
    // rfc5944 4.6
    let reply = Packet::announcement_reply(HOST, ADDRESS);
    assert_eq!((reply.operation, reply.target_hardware), (Operation::Reply, HOST));
    assert_eq!((reply.sender_ip, reply.target_ip), (ADDRESS, ADDRESS));
    let question = Packet::request(HOST, Ipv4Addr::new(192, 0, 2, 2), ADDRESS);
    for (packet, is_probe, is_announcement) in
        [(probe, true, false), (announcement, false, true), (reply, false, false), (question, false, false)]
    {
        assert_eq!((packet.is_probe(), packet.is_announcement()), (is_probe, is_announcement), "{packet:?}");
    }
}

#[test]
fn every_reason_to_drop_is_named() {
    let with = |offset: usize, octet: u8| {
        let mut packet = ARPING;
        packet[offset] = octet;
        Packet::parse(&packet)
    };
    let cases = [
        (with(1, 6), ParseError::HardwareType(6), "ArpHardwareType"),
        (with(2, 0x86), ParseError::ProtocolType(0x8600), "ArpProtocolType"),
        (with(4, 8), ParseError::AddressLength { hardware: 8, protocol: 4 }, "ArpAddressLength"),
        (with(5, 16), ParseError::AddressLength { hardware: 6, protocol: 16 }, "ArpAddressLength"),
        (with(7, 3), ParseError::Operation(3), "ArpOperation"),
        (
            with(8, 0x5f),
            ParseError::GroupSender(MacAddr([0x5f, 0x1f, 0x58, 0xda, 0x64, 0xac])),
            "ArpGroupSender",
        ),
        (
            Packet::parse(&ARPING[..27]),
            ParseError::Truncated(Truncated { wanted: 4, left: 3 }),
            "ArpTruncated",
        ),
    ];
    for (parsed, error, reason) in cases {
        assert_eq!(parsed, Err(error));
        assert_eq!(error.reason(), reason);
    }
}

prop_compose! {
    fn packet()(
        request: bool, sender: [u8; 6], sender_ip: [u8; 4], target: [u8; 6], target_ip: [u8; 4],
    ) -> Packet {
        let [first, rest @ ..] = sender;
        let [a, b, c, d, e] = rest;
        Packet {
            operation: if request { Operation::Request } else { Operation::Reply },
            sender_hardware: MacAddr([first & !1, a, b, c, d, e]),
            sender_ip: sender_ip.into(),
            target_hardware: MacAddr(target),
            target_ip: target_ip.into(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(packet in packet()) {
        prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
    }

    #[test]
    fn arbitrary_octets_never_panic_and_what_parses_emits_the_same(octets: Vec<u8>) {
        if let Ok(packet) = Packet::parse(&octets) {
            prop_assert!(octets.starts_with(&packet.emit()));
        }
    }

    #[test]
    fn a_damaged_packet_never_panics(offset in 0_usize..28, octet: u8, length in 0_usize..=28) {
        let mut packet = ARPING;
        packet[offset] = octet;
        if let Ok(parsed) = Packet::parse(&packet[..length]) {
            prop_assert_eq!(parsed.emit(), packet.to_vec());
        }
    }
}
