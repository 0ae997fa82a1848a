//! What comes: RFC 4271 §6.1 to §6.4, RFC 7606, RFC 2918, RFC 7313, RFC 4724 §2.

use super::*;
use ferrolb_wire::bgp::Family;

#[test]
fn errors_of_a_header_are_told_with_their_data_and_end_the_session() {
    let whole = [0xff; 16];
    let mut marker = raw(19, 4, &[]);
    marker[3] = 0;
    for (octets, told) in [
        (marker, &[1, 1][..]),
        (raw(20, 4, &[0]), &[1, 2, 0, 20]),
        (raw(18, 4, &[]), &[1, 2, 0, 18]),
        (raw(4_097, 2, &[]), &[1, 2, 16, 1]),
        (raw(22, 2, &[0, 0, 0]), &[1, 2, 0, 22]),
        (raw(22, 5, &[0, 1, 0]), &[1, 2, 0, 22]),
        (raw(19, 9, &[]), &[1, 3, 9]),
    ] {
        let (mut peer, id) = established(config(), &open());
        peer.handle_octets(id, &octets, at(40));
        let Some(Transmit::Send { octets: sent, .. }) = peer.poll_transmit() else { panic!() };
        assert_eq!((&sent[..16], &sent[19..]), (&whole[..], told));
        assert_eq!(did(&mut peer), [Did::Close]);
        assert!(matches!(why(&mut peer), Some(Reason::MessageRefused(_))));
    }
}

#[test]
fn a_malformed_notification_ends_the_connection_and_is_not_answered() {
    for octets in [raw(19, 3, &[]), raw(20, 3, &[6]), raw(4_097, 3, &[])] {
        let (mut peer, id) = established(config(), &open());
        assert_eq!(tell(&mut peer, id, &octets, at(40)), [(id, Did::Close)]);
        assert!(matches!(why(&mut peer), Some(Reason::MessageRefused(_))));
        assert_eq!(peer.status(at(40)).last_sent, None);
    }
}

#[test]
fn a_notification_is_kept_with_its_time_and_its_text() {
    let (mut peer, id) = established(config(), &open());
    let notification = Notification::cease(Cease::AdministrativeShutdown, Some("maintenance"));
    tell(&mut peer, id, &notification.emit(), at(40));
    assert_eq!(why(&mut peer), Some(Reason::NotificationReceived(notification.clone())));
    let status = peer.status(at(50));
    assert_eq!(status.last_received, Some(Told { at: at(40), notification: notification.clone() }));
    let reason = Reason::NotificationReceived(notification);
    assert!(std::format!("{reason}").contains("maintenance"));
    assert_eq!(status.last_lost, Some(Lost { at: at(40), reason }));
}

#[test]
fn a_stream_means_the_same_however_it_is_split() {
    let mut stream = open().emit();
    stream.extend(keepalive());
    for last in 0..20 {
        stream.extend(update(&std::format!("198.51.100.{last}/32"), &[64_513]));
    }
    for size in [1, 2, 18, 19, 20, 100, 4_096] {
        let (mut peer, id) = open_sent(config());
        for part in stream.chunks(size) {
            tell(&mut peer, id, part, at(20));
        }
        assert_eq!(peer.state(), State::Established, "{size}");
        let status = peer.status(at(20));
        assert_eq!((status.received.update, status.routes.reachable), (20, 20), "{size}");
        assert_eq!((status.received.open, status.received.keepalive), (1, 1), "{size}");
    }
}

#[test]
fn what_the_peer_knows_is_counted_and_its_own_routes_that_come_back_upset_nothing() {
    let (mut peer, id) = established(config(), &open());
    for (text, as_path) in [
        ("198.51.100.1/32", &[64_513][..]),
        ("198.51.100.1/32", &[64_513, 65_000]),
        ("192.0.2.50/32", &[64_513, 64_512]),
    ] {
        assert_eq!(tell(&mut peer, id, &update(text, as_path), at(40)), []);
    }
    let withdrawn = [0, 5, 32, 198, 51, 100, 1, 0, 0];
    assert_eq!(tell(&mut peer, id, &raw(28, 2, &withdrawn), at(50)), []);
    let routes = peer.status(at(50)).routes;
    assert_eq!((routes.reachable, routes.withdrawn, routes.looped), (3, 1, 1));
    assert_eq!((peer.state(), routes.treated_as_withdraw), (State::Established, 0));
}

#[test]
fn an_update_that_only_its_routes_suffer_from_ends_nothing() {
    let (mut peer, id) = established(config(), &open());
    let mut octets = update("198.51.100.1/32", &[64_513]);
    // ORIGIN, the first attribute: flags, type, length, value.
    assert_eq!(octets[23..27], [0x40, 1, 1, 0]);
    octets[26] = 7;
    assert_eq!(tell(&mut peer, id, &octets, at(40)), []);
    let routes = peer.status(at(40)).routes;
    assert_eq!((routes.treated_as_withdraw, routes.withdrawn, routes.reachable), (1, 1, 0));
    // AGGREGATOR of five octets: it is discarded, and the route stands.
    let mut octets = update("198.51.100.1/32", &[64_513]);
    let nlri = octets.split_off(octets.len() - 5);
    octets.extend([0xc0, 7, 5, 0, 0, 0, 0, 0]);
    octets.extend(nlri);
    let (length, attributes) = (octets.len(), u16::from_be_bytes([octets[21], octets[22]]) + 8);
    octets[16..18].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    octets[21..23].copy_from_slice(&attributes.to_be_bytes());
    assert_eq!(tell(&mut peer, id, &octets, at(50)), []);
    let routes = peer.status(at(50)).routes;
    assert_eq!((routes.attributes_discarded, routes.treated_as_withdraw, routes.reachable), (1, 1, 1));
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn an_update_whose_routes_cannot_be_found_ends_the_session() {
    let (mut peer, id) = established(config(), &open());
    let did = tell(&mut peer, id, &raw(23, 2, &[0, 9, 0, 0]), at(40));
    assert_eq!(did, [(id, Did::Notification(3, 1)), (id, Did::Close)]);
}

#[test]
fn end_of_rib_is_told_once_for_each_family_and_session_in_whichever_form() {
    let ipv4 = raw(23, 2, &[0, 0, 0, 0]);
    let ipv6 = raw(29, 2, &[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]);
    let ipv6_extended = raw(30, 2, &[0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1]);
    for ipv6 in [ipv6, ipv6_extended] {
        let (mut peer, id) = established(config(), &open());
        for octets in [&ipv4, &ipv6, &ipv4, &ipv6] {
            assert_eq!(tell(&mut peer, id, octets, at(40)), []);
        }
        let expected =
            [Family::Ipv4Unicast, Family::Ipv6Unicast].map(|family| Event::EndOfRib { at: at(40), family });
        assert_eq!(events(&mut peer), expected);
        assert_eq!(peer.status(at(40)).routes.end_of_rib, Families::ALL);
        peer.handle_closed(id, at(50));
        let when = first(&mut peer, Did::Connect, at(5_000)).unwrap();
        let id = peer.attempt.unwrap().id;
        connect(&mut peer, id, when);
        tell(&mut peer, id, &open().emit(), when);
        tell(&mut peer, id, &keepalive(), when);
        assert_eq!(peer.status(when).routes.end_of_rib, Families::EMPTY);
    }
}

#[test]
fn a_route_refresh_is_answered_for_what_was_agreed_on_and_ignored_otherwise() {
    let capabilities =
        Capabilities { families: Some(Families::IPV4), enhanced_route_refresh: false, ..open().capabilities };
    let (mut peer, id) = established(config(), &Open { capabilities, ..open() });
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.flush(at(40));
    assert_eq!(did(&mut peer), [Did::Update]);
    peer.handle_writable(id, at(40));
    let of = |family, subtype| RouteRefresh { family: Some(family), subtype }.emit();
    let mut now = at(40);
    let mut answers = |peer: &mut Peer, octets: &[u8]| {
        now = now + Duration::from_millis(10);
        tell(peer, id, octets, now).len()
    };
    assert_eq!(answers(&mut peer, &of(Family::Ipv4Unicast, Subtype::Request)), 1);
    assert_eq!(answers(&mut peer, &of(Family::Ipv6Unicast, Subtype::Request)), 0, "not agreed on");
    // RFC 2918 §3: without the enhanced one, the third octet says nothing.
    for body in [&[0, 1, 9, 1][..], &[0, 1, 1, 1], &[0, 1, 1, 1, 0]] {
        assert_eq!(answers(&mut peer, &raw(19 + u16::try_from(body.len()).unwrap(), 5, body)), 1, "{body:?}");
    }
    assert_eq!(answers(&mut peer, &raw(23, 5, &[0, 25, 0, 70])), 0, "a family that nobody here knows");
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn an_enhanced_route_refresh_has_marks_around_the_routes() {
    let (mut peer, id) = established(config(), &open());
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.flush(at(40));
    did(&mut peer);
    peer.handle_writable(id, at(40));
    let request = RouteRefresh { family: Some(Family::Ipv4Unicast), subtype: Subtype::Request };
    let did: Vec<_> = tell(&mut peer, id, &request.emit(), at(50)).into_iter().map(|(_, did)| did).collect();
    assert_eq!(did, [Did::RouteRefresh, Did::Update, Did::RouteRefresh]);
    for subtype in [Subtype::Unknown(9), Subtype::BeginningOfRefresh] {
        let octets = RouteRefresh { family: Some(Family::Ipv4Unicast), subtype }.emit();
        assert_eq!(tell(&mut peer, id, &octets, at(55)), []);
    }
    // RFC 7313 §5.
    let octets = raw(24, 5, &[0, 1, 1, 1, 0]);
    assert_eq!(tell(&mut peer, id, &octets, at(60)), [(id, Did::Notification(7, 1)), (id, Did::Close)]);
}
