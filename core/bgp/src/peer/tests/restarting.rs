//! This side as the Restarting Speaker: RFC 4724 §3, §4.1, RFC 8538 §2.

use super::*;
use ferrolb_wire::bgp::Family;

/// What this side's OPENs say of restarts, at the times at which it connects.
fn said(peer: &mut Peer, now: Instant) -> Option<GracefulRestart> {
    let attempt = peer.attempt.unwrap().id;
    while peer.poll_transmit().is_some() {}
    peer.handle_connected(attempt, Direction::Outgoing, local(), remote(), now);
    let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
    let (frame, _) = Frame::next(&octets).unwrap().unwrap();
    peer.handle_writable(attempt, now);
    Open::parse(frame.body).unwrap().capabilities.graceful_restart
}

fn restarted(config: Config) -> Peer {
    let mut peer = Peer::new(config, 42);
    peer.start_restarted(at(0));
    peer
}

/// The session fails, and this side connects again.
fn again(peer: &mut Peer, now: Instant) -> Instant {
    let id = peer.connections.values().next().unwrap().id;
    peer.handle_closed(id, now);
    first(peer, Did::Connect, now + 10 * SECOND).unwrap()
}

#[test]
fn the_restart_bit_is_set_until_there_is_a_session_and_no_longer() {
    let mut peer = restarted(restarting_config(true));
    let restart = said(&mut peer, at(10)).unwrap();
    let families = alloc::vec![(Family::Ipv4Unicast, true), (Family::Ipv6Unicast, true)];
    let expected = GracefulRestart { restarted: true, notification: true, restart_time: 120, families };
    assert_eq!(restart, expected);
    let now = again(&mut peer, at(20));
    let id = peer.attempt.unwrap().id;
    assert_eq!(said(&mut peer, now), Some(expected.clone()), "the peer has not taken the first");
    tell(&mut peer, id, &restarting_open(true).emit(), now);
    tell(&mut peer, id, &keepalive(), now);
    let now = again(&mut peer, now + SECOND);
    assert_eq!(said(&mut peer, now), Some(GracefulRestart { restarted: false, ..expected }));
}

#[test]
fn after_a_session_the_forwarding_bits_say_whether_both_sides_keep_routes() {
    let said = |peer: &mut Peer, now| {
        let families = said(peer, now).unwrap().families;
        families.into_iter().map(|(_, is_forwarding)| is_forwarding).collect::<Vec<_>>()
    };
    let (mut peer, _) = started(restarting_config(true));
    assert_eq!(said(&mut peer, at(10)), [false, false], "there was no session");
    for is_kept in [true, false] {
        let (mut peer, id) = established(restarting_config(true), &restarting_open(is_kept));
        peer.stop(Stop::Reset, at(40));
        assert_eq!(peer.direction_of(id), None);
        let now = first(&mut peer, Did::Connect, at(1_040)).unwrap();
        assert_eq!(said(&mut peer, now), [is_kept, is_kept]);
    }
}

#[test]
fn the_restart_bit_is_not_set_beyond_the_restart_time_nor_at_a_first_start() {
    let mut peer = restarted(restarting_config(false));
    assert!(peer.status(at(119_999)).is_restarting && !peer.status(at(120_000)).is_restarting);
    peer.handle_timeout(at(5_000));
    assert!(!said(&mut peer, at(120_000)).unwrap().restarted);
    let (mut peer, _) = started(restarting_config(false));
    assert!(!said(&mut peer, at(10)).unwrap().restarted);
    let (mut peer, _) = started(config());
    assert_eq!(said(&mut peer, at(10)), None, "not configured");
}

#[test]
fn the_forwarding_bits_are_those_of_the_configuration() {
    let restart = GracefulRestartConfig { forwarding: Families::IPV6, ..restarts() };
    let mut peer = restarted(Config { graceful_restart: Some(restart), ..config() });
    let families = said(&mut peer, at(10)).unwrap().families;
    assert_eq!(families, [(Family::Ipv4Unicast, false), (Family::Ipv6Unicast, true)]);
    // Only families that are offered are listed: the peer would wait for the others.
    let only = Config { families: Families::IPV4, graceful_restart: Some(restarts()), ..config() };
    assert_eq!(said(&mut restarted(only), at(10)).unwrap().families, [(Family::Ipv4Unicast, true)]);
}

#[test]
fn a_restart_time_that_has_no_room_is_the_longest() {
    let restart = GracefulRestartConfig { restart_time: u16::MAX, ..restarts() };
    let mut peer = restarted(Config { graceful_restart: Some(restart), ..config() });
    assert_eq!(said(&mut peer, at(10)).unwrap().restart_time, 4_095);
}

#[test]
fn end_of_rib_waits_until_the_routes_are_complete() {
    let mut peer = restarted(restarting_config(false));
    let id = peer.attempt.unwrap().id;
    said(&mut peer, at(10));
    tell(&mut peer, id, &restarting_open(false).emit(), at(20));
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    assert_eq!(tell(&mut peer, id, &keepalive(), at(30)), [(id, Did::Update)], "what is known goes at once");
    peer.rib_out_mut().announce(prefix("192.0.2.51/32"), &route());
    peer.flush(at(40));
    assert_eq!(did(&mut peer), [Did::Update]);
    peer.handle_writable(id, at(40));
    peer.rib_out_mut().complete();
    peer.flush(at(50));
    assert_eq!(did(&mut peer), [Did::Update, Did::Update]);
}

#[test]
fn what_the_peer_says_of_its_restarts_is_recorded() {
    let theirs = restarting_open(true);
    let (peer, _) = established(restarting_config(false), &theirs);
    let negotiated = peer.status(at(40)).negotiated.unwrap();
    assert_eq!(negotiated.graceful_restart, theirs.capabilities.graceful_restart);
    assert!(!negotiated.notification, "only one side knows RFC 8538");
}
