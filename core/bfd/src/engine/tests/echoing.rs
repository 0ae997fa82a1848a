//! RFC 5880 §6.8.8, RFC 5881 §4.

use super::*;

const HERE: &str = "192.0.2.9";

/// Session 1, Up since 10 ms, whose Echo packets go every 50 ms, on a driver that can send them.
fn echoing() -> Engine {
    let mut engine = Engine::default();
    let timing = Timing::default().with_echo(Interval::from_millis(50)).unwrap();
    let session = session(1, Config { timing, ..Config::default() });
    engine.add(single(2, "192.0.2.1"), session).unwrap();
    assert!(engine.allow_echo(discr(1), at(0)));
    for state in [State::Down, State::Init] {
        let says = Control { required_min_echo_rx: Interval::from_millis(50), ..packet(state, Some(1)) };
        engine.handle_packet(arrival(single(2, "192.0.2.1")), &says.emit(), at(10)).unwrap();
    }
    drain(&mut engine);
    engine
}

/// An Echo packet that came for `destination`.
fn came(destination: &str, ttl: u8) -> Arrival {
    Arrival { path: single(2, destination), ttl }
}

#[test]
fn an_echo_packet_that_comes_back_is_its_sessions() {
    let mut engine = echoing();
    engine.handle_timeout(at(10));
    let sent = engine.poll_echo().unwrap();
    assert_eq!((sent.session, sent.path, engine.poll_echo()), (discr(1), single(2, "192.0.2.1"), None));
    let payload = sent.payload();
    let returned = engine.handle_echo(came(HERE, ECHO_TTL), &payload);
    assert_eq!(returned, Ok(EchoArrived::Returned(discr(1))));
    assert_eq!(engine.handle_echo(came(HERE, ECHO_TTL), &payload), Err(Discarded::Echo));
    assert_eq!(engine.discards().get("echo"), Some(&1));
}

#[test]
fn an_echo_packet_is_discarded_that_is_nobodys_or_was_forwarded() {
    let mut engine = echoing();
    engine.handle_timeout(at(10));
    let sent = engine.poll_echo().unwrap();
    let payload = sent.payload();
    let strange = EchoTransmit { session: discr(9), ..sent }.payload();
    let early = EchoTransmit { sequence: sent.sequence.wrapping_add(1), ..sent }.payload();
    for (ttl, payload, expected) in [
        (253, &payload[..], Discarded::Ttl { ttl: 253, minimum: 254 }),
        (254, &payload[..7], Discarded::Echo),
        (254, &early[..], Discarded::Echo),
        (254, &strange[..], Discarded::UnknownDiscriminator(discr(9))),
    ] {
        assert_eq!(engine.handle_echo(came(HERE, ttl), payload), Err(expected));
    }
    assert_eq!(engine.discards().values().sum::<u64>(), 4);
    assert_eq!(engine.handle_echo(came(HERE, 254), &payload), Ok(EchoArrived::Returned(discr(1))));
}

#[test]
fn a_peers_echo_packets_are_looped_back_whatever_they_say() {
    let mut engine = echoing();
    for payload in [&b""[..], b"anything"] {
        let arrived = engine.handle_echo(came("192.0.2.1", TTL), payload);
        assert_eq!(arrived, Ok(EchoArrived::LoopBack(discr(1))));
    }
    // A stranger's, and the peer's over another interface.
    assert_eq!(engine.handle_echo(came("192.0.2.2", TTL), b""), Err(Discarded::UnknownPeer));
    let elsewhere = Arrival { path: single(3, "192.0.2.1"), ttl: TTL };
    assert_eq!(engine.handle_echo(elsewhere, b""), Err(Discarded::UnknownPeer));
    // Nothing is looped back that is not offered.
    engine.set_config(discr(1), Config::default(), at(20));
    assert_eq!(engine.handle_echo(came("192.0.2.1", TTL), b""), Err(Discarded::UnknownPeer));
}

#[test]
fn a_session_that_is_removed_sends_no_echo_packet() {
    let mut engine = echoing();
    engine.handle_timeout(at(10));
    assert!(engine.remove(discr(1)));
    assert_eq!(engine.poll_echo(), None);
    assert!(!engine.allow_echo(discr(1), at(20)) && !engine.deny_echo(discr(1), at(20)));
}

#[test]
fn a_driver_that_can_no_more_ends_the_function() {
    let mut engine = echoing();
    engine.handle_timeout(at(10));
    assert!(engine.poll_echo().is_some());
    assert!(engine.deny_echo(discr(1), at(20)));
    let until = at(800);
    while let Some((due, _)) = engine.poll_timeout().filter(|(due, _)| *due < until) {
        engine.handle_timeout(due);
        drain(&mut engine);
        assert_eq!(engine.poll_echo(), None);
    }
    let session = engine.session_of(&single(2, "192.0.2.1")).unwrap();
    assert_eq!((session.state(), session.echo_interval()), (State::Up, None));
}
