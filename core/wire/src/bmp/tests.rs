use super::*;
use crate::bgp::{Capabilities, Cease, Open, emit_end_of_rib};
use core::num::NonZeroU32;
use std::vec;

const COMMON_HEADER: usize = 6;
const PER_PEER_HEADER: usize = 42;

/// The router 192.0.2.2, AS 4200000000, 10.0.0.2, at 1.5 s of 1970.
fn header() -> PerPeerHeader {
    PerPeerHeader {
        distinguisher: None,
        address: "192.0.2.2".parse().unwrap(),
        asn: Asn(4_200_000_000),
        bgp_id: BgpId::from_ipv4([10, 0, 0, 2].into()).unwrap(),
        timestamp: Duration::from_millis(1_500),
    }
}

/// The octets of RFC 7854 §4.2 for [`header`].
fn header_octets(flags: u8) -> Vec<u8> {
    let mut octets = vec![0, flags];
    octets.extend([0; 8]);
    octets.extend([0; 12]);
    octets.extend([192, 0, 2, 2]);
    octets.extend([0xfa, 0x56, 0xea, 0x00]);
    octets.extend([10, 0, 0, 2]);
    octets.extend([0, 0, 0, 1]);
    octets.extend([0x00, 0x07, 0xa1, 0x20]);
    assert_eq!(octets.len(), PER_PEER_HEADER);
    octets
}

/// What a message holds behind its common header, which is checked.
fn body(message_type: u8, emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    // Messages are appended.
    let mut octets = vec![7; 3];
    emit(&mut octets);
    let message = octets.split_off(3);
    assert_eq!(octets, [7; 3]);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    assert_eq!(message[..COMMON_HEADER], [3, length[0], length[1], length[2], length[3], message_type]);
    message[COMMON_HEADER..].into()
}

/// What it holds behind the per-peer header, which has these flags.
fn about_peer(message_type: u8, flags: u8, emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let body = body(message_type, emit);
    let (header, rest) = body.split_at(PER_PEER_HEADER);
    assert_eq!(header, header_octets(flags));
    rest.into()
}

fn open() -> Open {
    let bgp_id = BgpId::new(NonZeroU32::MIN);
    Open { asn: Asn(64_512), hold_time: 90, bgp_id, capabilities: Capabilities::default() }
}

#[test]
fn an_initiation_says_what_the_speaker_is_and_its_name() {
    let told = body(4, |out| emit_initiation("ferrolb 1", "n1", out));
    assert_eq!(told, b"\x00\x01\x00\x09ferrolb 1\x00\x02\x00\x02n1");
}

#[test]
fn a_termination_has_its_reason() {
    assert_eq!(body(5, emit_termination), [0, 1, 0, 2, 0, 0]);
}

#[test]
fn what_a_length_cannot_tell_is_cut_off() {
    let long = "n".repeat(70_000);
    let told = body(4, |out| emit_initiation("", &long, out));
    assert_eq!(told.len(), 4 + 4 + 65_535);
    assert_eq!(told[..8], [0, 1, 0, 0, 0, 2, 0xff, 0xff]);
}

#[test]
fn a_peer_up_has_both_ends_both_opens_and_a_label() {
    let sent = open().emit();
    let received = Open { hold_time: 30, ..open() }.emit();
    let up = PeerUp {
        local: "192.0.2.1:40000".parse().unwrap(),
        remote: "192.0.2.2:179".parse().unwrap(),
        sent_open: &sent,
        received_open: &received[crate::bgp::HEADER_LENGTH..],
        admin_label: "tor",
    };
    let told = about_peer(3, 0, |out| emit_peer_up(&header(), &up, out));
    let mut expected = vec![0; 12];
    expected.extend([192, 0, 2, 1]);
    expected.extend([0x9c, 0x40, 0, 179]);
    expected.extend(sent.iter().chain(&received));
    expected.extend(b"\x00\x04\x00\x03tor");
    assert_eq!(told, expected);
}

#[test]
fn a_peer_down_has_its_reason_and_what_goes_with_that() {
    let notification = || Notification::cease(Cease::AdministrativeShutdown, Some("bye"));
    let followed = |reason: u8, by: &[u8]| [&[reason][..], by].concat();
    for (down, expected) in [
        (PeerDown::LocalNotification(notification()), followed(1, &notification().emit())),
        (PeerDown::LocalSilence { fsm_event: 0x0102 }, vec![2, 1, 2]),
        (PeerDown::RemoteNotification(notification()), followed(3, &notification().emit())),
        (PeerDown::RemoteSilence, vec![4]),
        (PeerDown::Deconfigured, vec![5]),
    ] {
        assert_eq!(about_peer(2, 0, |out| emit_peer_down(&header(), &down, out)), expected);
    }
}

#[test]
fn routes_are_of_the_adj_rib_out_after_policy() {
    let mut update = Vec::new();
    emit_end_of_rib(Family::Ipv4Unicast, &mut update);
    // L and O, and A where AS numbers have two octets.
    for (four_octet_as, flags) in [(true, 0b0101_0000), (false, 0b0111_0000)] {
        let told = about_peer(0, flags, |out| emit_route_monitoring(&header(), four_octet_as, &update, out));
        assert_eq!(told, update);
    }
}

#[test]
fn statistics_are_counted_and_of_no_direction() {
    let statistics = [
        Statistic::AsPathLoops(1),
        Statistic::TreatedAsWithdraw(2),
        Statistic::AdjRibOut(3),
        Statistic::AdjRibOutOf(Family::Ipv6Unicast, 4),
    ];
    let told = about_peer(1, 0, |out| emit_statistics(&header(), &statistics, out));
    let expected: [&[u8]; 5] = [
        &[0, 0, 0, 4],
        &[0, 4, 0, 4, 0, 0, 0, 1],
        &[0, 11, 0, 4, 0, 0, 0, 2],
        &[0, 15, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3],
        &[0, 17, 0, 11, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 4],
    ];
    assert_eq!(told, expected.concat());
    let mut out = Vec::new();
    emit_statistics(&header(), &[], &mut out);
    assert!(out.is_empty(), "a report of nothing must not be sent");
}

#[test]
fn an_ipv6_peer_has_the_v_flag_and_all_of_its_address() {
    let header = PerPeerHeader { address: "2001:db8::2".parse().unwrap(), ..header() };
    let told = body(2, |out| emit_peer_down(&header, &PeerDown::RemoteSilence, out));
    assert_eq!(told[..2], [0, 0b1000_0000]);
    assert_eq!(told[10..26], [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn a_peer_of_another_instance_is_told_apart() {
    let header = PerPeerHeader { distinguisher: NonZeroU64::new(0x0102_0304), ..header() };
    let told = body(2, |out| emit_peer_down(&header, &PeerDown::RemoteSilence, out));
    assert_eq!(told[..10], [2, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
}

#[test]
fn time_beyond_the_field_is_its_end() {
    let header = PerPeerHeader { timestamp: Duration::from_secs(1 << 40), ..header() };
    let told = body(2, |out| emit_peer_down(&header, &PeerDown::RemoteSilence, out));
    assert_eq!(told[34..42], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
}
