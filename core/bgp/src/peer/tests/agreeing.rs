//! RFC 4271 §6.2: OPENs.

use super::*;
use crate::negotiation::OpenRefused;
use std::string::ToString;

/// What becomes of an OPEN, and why.
fn refused(config: Config, open: &[u8]) -> (Vec<Did>, Option<Reason>) {
    let (mut peer, id) = open_sent(config);
    let did = tell(&mut peer, id, open, at(20)).into_iter().map(|(_, did)| did).collect();
    (did, why(&mut peer))
}

fn of_asn(asn: u32) -> Open {
    let capabilities = Capabilities { four_octet_asn: Some(Asn(asn)), ..open().capabilities };
    Open { asn: Asn(asn), capabilities, ..open() }
}

#[test]
fn a_peer_of_another_as_is_refused_by_all_four_octets() {
    // Both are AS_TRANS in two.
    let expected = RemoteAsn::Exactly(Asn(4_200_000_001));
    let wanted = Config { remote_asn: expected, ..config() };
    let (did, why) = refused(wanted.clone(), &of_asn(4_200_000_000).emit());
    assert_eq!(did, [Did::Notification(2, 2), Did::Close]);
    let found = Asn(4_200_000_000);
    assert_eq!(why, Some(Reason::OpenRefused(OpenRefused::BadPeerAs { expected, found })));
    assert_eq!(why.unwrap().to_string(), "the peer is in AS 4200000000, expected 4200000001");
    open_confirm(wanted, &of_asn(4_200_000_001));
}

#[test]
fn a_dynamic_peer_is_internal_or_external_by_its_open() {
    let of = |remote_asn| Config { remote_asn, ..config() };
    for (wanted, asn, is_internal) in
        [(RemoteAsn::Internal, 64_512, true), (RemoteAsn::External, 64_513, false)]
    {
        let (peer, _) = established(of(wanted), &of_asn(asn));
        assert_eq!(peer.status(at(40)).negotiated.unwrap().is_internal(), is_internal);
        let other = if is_internal { 64_513 } else { 64_512 };
        assert_eq!(refused(of(wanted), &of_asn(other).emit()).0, [Did::Notification(2, 2), Did::Close]);
    }
}

#[test]
fn a_local_as_is_all_that_the_peer_sees_of_this_side() {
    let alias = Config { local_as: Some(Asn(65_000)), ..config() };
    let mut peer = Peer::new(alias.clone(), 42);
    peer.start(at(0));
    let Some(Transmit::Connect { id }) = peer.poll_transmit() else { panic!() };
    peer.handle_connected(id, Direction::Outgoing, local(), remote(), at(10));
    let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
    let (frame, _) = Frame::next(&octets).unwrap().unwrap();
    assert_eq!(Open::parse(frame.body).unwrap().asn, Asn(65_000));
    // A router of AS 65000 has an internal session with it.
    let internal = Config { remote_asn: RemoteAsn::Internal, ..alias };
    let (peer, _) = established(internal, &of_asn(65_000));
    let negotiated = peer.status(at(40)).negotiated.unwrap();
    assert_eq!((negotiated.local_asn, negotiated.is_internal()), (Asn(65_000), true));
}

#[test]
fn this_sides_identifier_is_refused_within_its_as_and_taken_from_another() {
    let same = |asn| Open { bgp_id: id([10, 0, 0, 1]), ..of_asn(asn) };
    let internal = Config { remote_asn: RemoteAsn::Internal, ..config() };
    let (did, why) = refused(internal, &same(64_512).emit());
    assert_eq!(did, [Did::Notification(2, 3), Did::Close]);
    assert_eq!(why, Some(Reason::OpenRefused(OpenRefused::BadBgpId(id([10, 0, 0, 1])))));
    open_confirm(config(), &same(64_513));
}

#[test]
fn a_peer_without_a_common_family_is_told_which_it_should_have() {
    let capabilities = Capabilities { families: Some(Families::IPV4), ..open().capabilities };
    let theirs = Open { capabilities, ..open() };
    let (mut peer, id) = open_sent(Config { families: Families::IPV6, ..config() });
    peer.handle_octets(id, &theirs.emit(), at(20));
    let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
    assert_eq!(octets[HEADER..], [2, 7, 1, 4, 0, 2, 0, 1], "RFC 5492 §5: the capability that is missing");
    assert_eq!(why(&mut peer).map(|why| why.reason()), Some("no_common_family"));
    // Without any capability for families a peer means IPv4 unicast.
    let capabilities = Capabilities { families: None, ..open().capabilities };
    let (peer, _) = established(config(), &Open { capabilities, ..open() });
    assert_eq!(peer.status(at(40)).negotiated.unwrap().families, Families::IPV4);
}

const HEADER: usize = ferrolb_wire::bgp::HEADER_LENGTH;

#[test]
fn an_open_that_cannot_be_taken_is_refused_with_the_subcode_and_data_of_rfc4271_6_2() {
    let whole = open().emit();
    let with = |offset: usize, octets: &[u8]| {
        let mut changed = whole.clone();
        changed[HEADER + offset..HEADER + offset + octets.len()].copy_from_slice(octets);
        changed
    };
    for (octets, notification) in [
        (with(0, &[3]), &[2, 1, 0, 4][..]),
        (with(1, &[0, 0]), &[2, 2]),
        (with(5, &[0, 0, 0, 0]), &[2, 3]),
        (with(3, &[0, 1]), &[2, 6]),
        (with(3, &[0, 2]), &[2, 6]),
    ] {
        let (mut peer, id) = open_sent(config());
        peer.handle_octets(id, &octets, at(20));
        let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
        assert_eq!(octets[HEADER..], *notification);
        assert_eq!(did(&mut peer), [Did::Close]);
        assert!(matches!(why(&mut peer), Some(Reason::MessageRefused(_))));
    }
}

#[test]
fn both_sides_go_by_the_lesser_hold_time_and_a_third_of_it() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (ours, theirs, keepalive, agreed) in [
        (90, 180, None, (seconds(90), seconds(30))),
        (90, 9, None, (seconds(9), seconds(3))),
        (3, 180, None, (seconds(3), seconds(1))),
        (4, 180, None, (seconds(4), seconds(1))),
        (90, 180, Some(13), (seconds(90), seconds(13))),
        (90, 9, Some(13), (seconds(9), seconds(3))),
        (0, 180, None, (None, None)),
        (90, 0, Some(13), (None, None)),
    ] {
        let keepalive_time = keepalive.and_then(core::num::NonZeroU16::new);
        let ours = Config { hold_time: hold(ours), keepalive_time, ..config() };
        let (peer, _) = established(ours, &Open { hold_time: theirs, ..open() });
        let negotiated = peer.status(at(40)).negotiated.unwrap();
        assert_eq!((negotiated.hold_time, negotiated.keepalive_time), agreed);
    }
}

#[test]
fn what_the_peer_can_beyond_this_side_changes_nothing() {
    // FRR says R=1 at every start, and offers long messages.
    let capabilities = Capabilities {
        graceful_restart: Some(GracefulRestart {
            restarted: true,
            notification: true,
            restart_time: 120,
            families: Vec::new(),
        }),
        extended_message: true,
        extended_next_hop: true,
        fqdn: Some("tor-1".into()),
        ..open().capabilities
    };
    let (peer, _) = established(config(), &Open { capabilities, ..open() });
    let negotiated = peer.status(at(40)).negotiated.unwrap();
    assert_eq!((&negotiated.graceful_restart, negotiated.notification), (&None, false));
    assert_eq!((negotiated.extended_next_hop, negotiated.hostname.as_deref()), (false, Some("tor-1")));
}

#[test]
fn a_peer_that_cannot_read_capabilities_is_greeted_without_them_until_there_is_a_session() {
    let (mut peer, id) = open_sent(config());
    let cannot = Notification { code: 2, subcode: 4, data: Vec::new() };
    tell(&mut peer, id, &cannot.emit(), at(20));
    let when = first(&mut peer, Did::Connect, at(5_000)).unwrap();
    let id = peer.attempt.unwrap().id;
    peer.handle_connected(id, Direction::Outgoing, local(), remote(), when);
    let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
    assert_eq!(octets.len(), HEADER + 10, "no optional parameters");
    peer.handle_writable(id, when);
    let plain = Open { capabilities: Capabilities::default(), ..open() };
    tell(&mut peer, id, &plain.emit(), when);
    tell(&mut peer, id, &keepalive(), when);
    let negotiated = peer.status(when).negotiated.unwrap();
    assert_eq!((negotiated.families, negotiated.four_octet_as), (Families::IPV4, false));
    peer.handle_closed(id, when + SECOND);
    let when = first(&mut peer, Did::Connect, when + 10 * SECOND).unwrap();
    let id = peer.attempt.unwrap().id;
    peer.handle_connected(id, Direction::Outgoing, local(), remote(), when);
    let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
    assert!(octets.len() > HEADER + 10, "the next router may be able to");
}

#[test]
fn a_peer_that_has_another_objection_is_greeted_with_capabilities_again() {
    // To a peer that can read none, this side is AS_TRANS, which it may not expect.
    let (mut peer, mut id) = open_sent(Config { local_asn: Asn(4_200_000_000), ..config() });
    let mut now = at(20);
    for (subcode, is_plain) in [(4, true), (2, false), (4, true)] {
        tell(&mut peer, id, &Notification { code: 2, subcode, data: Vec::new() }.emit(), now);
        now = first(&mut peer, Did::Connect, now + 10 * SECOND).unwrap();
        id = peer.attempt.unwrap().id;
        peer.handle_connected(id, Direction::Outgoing, local(), remote(), now);
        let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
        assert_eq!(octets.len() == HEADER + 10, is_plain);
    }
}
