use super::*;
use crate::config::{Role, Timing};
use crate::session::DownReason;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU8;
use core::time::Duration;
use ferrolb_wire::bfd::{Diagnostic, Interval, State};
use proptest::prelude::*;

mod authenticated;
mod echoing;

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn discr(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn single(interface: u32, peer: &str) -> Path {
    Path::SingleHop { interface, peer: address(peer) }
}

fn multi(local: &str, peer: &str) -> Path {
    Path::Multihop { local: address(local), peer: address(peer) }
}

fn arrival(path: Path) -> Arrival {
    Arrival { path, ttl: TTL }
}

fn session(local_discr: u32, config: Config) -> Session {
    Session::new(discr(local_discr), config, local_discr.into(), at(0))
}

/// Sessions 1 to 5, which have sent their first packets.
fn engine() -> Engine {
    let mut engine = Engine::default();
    let routers = Config { minimum_ttl: 250, ..Config::default() };
    let sessions = [
        (1, single(2, "192.0.2.1"), Config::default()),
        (2, single(3, "192.0.2.1"), Config::default()),
        (3, single(2, "fe80::1"), Config::default()),
        (4, multi("192.0.2.9", "192.0.2.1"), Config::default()),
        (5, multi("192.0.2.9", "198.51.100.1"), routers),
    ];
    for (local_discr, path, config) in sessions {
        engine.add(path, session(local_discr, config)).unwrap();
    }
    drain(&mut engine);
    engine
}

fn drain(engine: &mut Engine) -> Vec<Transmit> {
    core::iter::from_fn(|| engine.poll_transmit()).collect()
}

/// What a peer says that knows the session `your`.
fn packet(state: State, your: Option<u32>) -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: discr(77),
        your_discriminator: your.map(discr),
        desired_min_tx: Interval::from_millis(300),
        required_min_rx: Interval::from_millis(300),
        required_min_echo_rx: Interval::ZERO,
    }
}

#[test]
fn a_packet_that_names_no_session_is_told_by_where_it_came_from() {
    for (path, whose) in [
        (single(2, "192.0.2.1"), Some(1)),
        (single(3, "192.0.2.1"), Some(2)),
        (single(4, "192.0.2.1"), None),
        (single(2, "192.0.2.2"), None),
        (single(2, "fe80::1"), Some(3)),
        (single(3, "fe80::1"), None),
        (multi("192.0.2.9", "192.0.2.1"), Some(4)),
        (multi("192.0.2.8", "192.0.2.1"), None),
        (multi("192.0.2.1", "192.0.2.9"), None),
    ] {
        let mut engine = engine();
        let taken = engine.handle_packet(arrival(path), &packet(State::Down, None).emit(), at(10));
        assert_eq!(taken, whose.map(discr).ok_or(Discarded::UnknownPeer), "{path:?}");
        let answered: Vec<_> = drain(&mut engine).iter().map(|transmit| transmit.session).collect();
        assert_eq!(answered, whose.map(discr).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_packet_that_names_its_session_is_that_sessions_wherever_it_came_from() {
    let mut engine = engine();
    let elsewhere = arrival(single(9, "203.0.113.5"));
    let taken = engine.handle_packet(elsewhere, &packet(State::Down, Some(2)).emit(), at(10));
    assert_eq!(taken, Ok(discr(2)));
    let told = drain(&mut engine);
    assert_eq!(told.iter().map(|transmit| transmit.path).collect::<Vec<_>>(), [single(3, "192.0.2.1")]);
    let taken =
        engine.handle_packet(arrival(single(2, "192.0.2.1")), &packet(State::Down, Some(6)).emit(), at(10));
    assert_eq!(taken, Err(Discarded::UnknownDiscriminator(discr(6))));
}

#[test]
fn a_packet_of_one_hop_must_not_have_been_forwarded() {
    for (path, your, ttl, expected) in [
        (single(2, "192.0.2.1"), None, 255, Ok(discr(1))),
        (single(2, "192.0.2.1"), None, 254, Err(Discarded::Ttl { ttl: 254, minimum: 255 })),
        (single(2, "192.0.2.1"), Some(1), 254, Err(Discarded::Ttl { ttl: 254, minimum: 255 })),
        (single(2, "fe80::1"), None, 64, Err(Discarded::Ttl { ttl: 64, minimum: 255 })),
        (multi("192.0.2.9", "192.0.2.1"), None, 1, Ok(discr(4))),
        (multi("192.0.2.9", "198.51.100.1"), None, 250, Ok(discr(5))),
        (multi("192.0.2.9", "198.51.100.1"), Some(5), 249, Err(Discarded::Ttl { ttl: 249, minimum: 250 })),
        // Nor is there a way around that through the port that allows it.
        (multi("192.0.2.9", "192.0.2.1"), Some(1), 64, Err(Discarded::Port(4784))),
        (single(2, "192.0.2.1"), Some(4), 255, Err(Discarded::Port(3784))),
    ] {
        let mut engine = engine();
        let payload = packet(State::Down, your).emit();
        assert_eq!(engine.handle_packet(Arrival { path, ttl }, &payload, at(10)), expected);
        let is_told = !drain(&mut engine).is_empty();
        assert_eq!(is_told, expected.is_ok());
    }
}

#[test]
fn discarded_packets_are_counted_by_reason() {
    let mut engine = engine();
    let from = arrival(single(2, "192.0.2.1"));
    let good = packet(State::Down, Some(1)).emit();
    let mut authenticated = [&good[..], &[1, 4, 1, 0]].concat();
    authenticated[1] |= 0x04;
    authenticated[3] = 28;
    let mut other_version = good;
    other_version[0] = 0x40;
    engine.disable(discr(2), at(10));
    let refused = [
        (from, good[..20].to_vec(), "length_beyond_payload"),
        (from, other_version.to_vec(), "version"),
        (from, authenticated, "authentication_unexpected"),
        (from, packet(State::Down, Some(6)).emit().to_vec(), "unknown_discriminator"),
        (arrival(single(9, "192.0.2.1")), packet(State::Down, None).emit().to_vec(), "unknown_peer"),
        (arrival(multi("192.0.2.9", "192.0.2.1")), good.to_vec(), "port"),
        (Arrival { ttl: 1, ..from }, good.to_vec(), "ttl"),
        (from, packet(State::Down, Some(2)).emit().to_vec(), "admin_down"),
    ];
    for (arrival, payload, reason) in refused {
        for count in 1..=2 {
            let error = engine.handle_packet(arrival, &payload, at(20)).unwrap_err();
            assert_eq!(error.reason(), reason);
            assert_eq!(engine.discards().get(reason), Some(&count));
        }
    }
    assert_eq!(engine.discards().values().sum::<u64>(), 16);
    engine.handle_packet(from, &good, at(30)).unwrap();
    assert_eq!(engine.discards().values().sum::<u64>(), 16);
}

#[test]
fn packets_go_with_what_their_driver_needs() {
    let mut engine = Engine::default();
    engine.add(single(2, "192.0.2.1"), session(1, Config::default())).unwrap();
    engine.add(multi("192.0.2.9", "192.0.2.1"), session(4, Config::default())).unwrap();
    let sent = drain(&mut engine);
    let of: Vec<_> = sent.iter().map(|sent| (sent.session, sent.path.port(), sent.path.peer())).collect();
    assert_eq!(of, [(discr(1), 3784, address("192.0.2.1")), (discr(4), 4784, address("192.0.2.1"))]);
    for transmit in sent {
        let said = Control::parse(&transmit.payload).unwrap().control;
        assert_eq!((said.my_discriminator, said.state), (transmit.session, State::Down));
    }
    assert_eq!(TTL, 255);
}

#[test]
fn discriminators_and_paths_are_unique_and_sessions_bounded() {
    let mut engine = engine();
    let elsewhere = single(9, "192.0.2.1");
    assert_eq!(engine.add(elsewhere, session(1, Config::default())), Err(AddError::DiscriminatorTaken));
    let taken = single(2, "192.0.2.1");
    assert_eq!(engine.add(taken, session(9, Config::default())), Err(AddError::PathTaken));
    for more in 6..=u32::try_from(SESSIONS_MAX).unwrap() {
        engine.add(single(more, "192.0.2.1"), session(more, Config::default())).unwrap();
    }
    let one_more = single(u32::MAX, "192.0.2.1");
    assert_eq!(engine.add(one_more, session(u32::MAX, Config::default())), Err(AddError::Full));
    assert_eq!(engine.sessions().count(), SESSIONS_MAX);
    assert!(engine.remove(discr(1)));
    assert_eq!(engine.add(one_more, session(u32::MAX, Config::default())), Ok(()));
}

#[test]
fn a_session_that_is_removed_is_silent_and_unknown() {
    let mut engine = engine();
    let from = arrival(single(2, "192.0.2.1"));
    engine.handle_packet(from, &packet(State::Down, None).emit(), at(10)).unwrap();
    engine.handle_packet(from, &packet(State::Init, Some(1)).emit(), at(10)).unwrap();
    assert!(engine.remove(discr(1)));
    assert!(!engine.remove(discr(1)));
    assert_eq!((drain(&mut engine).len(), engine.poll_event()), (0, None));
    assert!(engine.session(discr(1)).is_none());
    let taken = engine.handle_packet(from, &packet(State::Down, None).emit(), at(20));
    assert_eq!(taken, Err(Discarded::UnknownPeer));
    assert!(!engine.disable(discr(1), at(20)) && !engine.enable(discr(1), at(20)));
    assert!(!engine.set_config(discr(1), Config::default(), at(20)));
    while let Some((due, _)) = engine.poll_timeout().filter(|(due, _)| *due < at(5_000)) {
        engine.handle_timeout(due);
        assert!(drain(&mut engine).iter().all(|sent| sent.session != discr(1)));
    }
}

#[test]
fn events_name_their_session_and_come_in_order() {
    let mut engine = engine();
    for local_discr in [2, 1] {
        for state in [State::Down, State::Init] {
            let path = engine.sessions.get(&discr(local_discr)).unwrap().path;
            let payload = packet(state, Some(local_discr)).emit();
            engine.handle_packet(arrival(path), &payload, at(10)).unwrap();
        }
    }
    engine.handle_timeout(at(910));
    let events: Vec<_> = core::iter::from_fn(|| engine.poll_event()).collect();
    let why = DownReason::DetectionTimeExpired;
    let diagnostic = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
    let down = Event::Down { at: at(910), why, diagnostic };
    let up = Event::Up { at: at(10) };
    assert_eq!(events[..2], [(discr(2), up), (discr(1), up)]);
    let downs: BTreeMap<_, _> = events[2..].iter().copied().collect();
    assert_eq!((events.len(), downs), (4, BTreeMap::from([(discr(1), down), (discr(2), down)])));
}

#[test]
fn the_timeout_is_that_of_the_session_that_is_due_first() {
    let mut engine = engine();
    let mut now = at(0);
    while now < at(20_000) {
        let (due, timer) = engine.poll_timeout().unwrap();
        let each = engine.sessions().filter_map(|(_, session)| session.poll_timeout());
        assert_eq!(Some((due, timer)), each.min());
        assert!(due > now);
        now = due;
        engine.handle_timeout(now);
        assert_eq!(drain(&mut engine).len(), 1);
    }
    assert_eq!(engine.timers.len(), 5);
}

#[test]
fn every_reason_to_refuse_a_session_says_what_to_do() {
    use std::string::ToString;
    assert!(AddError::DiscriminatorTaken.to_string().contains("draw one again"));
    assert!(AddError::PathTaken.to_string().contains("change or remove it"));
    assert!(AddError::Full.to_string().contains("1024"));
}

#[derive(Clone, Debug)]
enum Op {
    Octets(u8, Vec<u8>),
    Packet(u8, u8, u8, [u32; 5]),
    Echo(u8, u8, Vec<u8>),
    AllowEcho(u32),
    Timeout(u64),
    Configure(u32, u32, u8, bool),
    Disable(u32),
    Enable(u32),
    Remove(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let word =
        || prop_oneof![4 => 0_u32..7, 2 => (0_u32..2_000).prop_map(|ms| ms * 1_000), 1 => any::<u32>()];
    let words = [word(), word(), word(), word(), word()];
    let local_discr = || 1_u32..6;
    prop_oneof![
        2 => (any::<u8>(), any::<Vec<u8>>()).prop_map(|(from, octets)| Op::Octets(from, octets)),
        8 => (any::<u8>(), any::<u8>(), 0_u8..6, words)
            .prop_map(|(from, flags, mult, words)| Op::Packet(from, flags, mult, words)),
        2 => (any::<u8>(), 252_u8.., any::<Vec<u8>>())
            .prop_map(|(from, ttl, octets)| Op::Echo(from, ttl, octets)),
        1 => local_discr().prop_map(Op::AllowEcho),
        5 => (0_u64..2_000).prop_map(Op::Timeout),
        1 => (local_discr(), 10_u32..2_000, 1_u8..4, any::<bool>())
            .prop_map(|(of, tx, mult, passive)| Op::Configure(of, tx, mult, passive)),
        1 => local_discr().prop_map(Op::Disable),
        1 => local_discr().prop_map(Op::Enable),
        1 => local_discr().prop_map(Op::Remove),
    ]
}

fn come(from: u8) -> Arrival {
    let path = match from % 6 {
        0 => single(2, "192.0.2.1"),
        1 => single(3, "192.0.2.1"),
        2 => single(2, "fe80::1"),
        3 => multi("192.0.2.9", "192.0.2.1"),
        4 => multi("192.0.2.9", "198.51.100.1"),
        _five => single(4, "192.0.2.7"),
    };
    Arrival { path, ttl: if from > 200 { from } else { TTL } }
}

fn apply(engine: &mut Engine, op: Op, now: &mut Instant) {
    match op {
        Op::Octets(from, octets) => {
            engine.handle_packet(come(from), &octets, *now).ok();
        }
        Op::Packet(from, flags, mult, words) => {
            let mut octets = Vec::from([0x20 | (flags & 0x1f), flags & !0x05, mult, 24]);
            octets.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            engine.handle_packet(come(from), &octets, *now).ok();
        }
        Op::Echo(from, ttl, octets) => {
            engine.handle_echo(Arrival { ttl, ..come(from) }, &octets).ok();
        }
        Op::AllowEcho(of) => {
            engine.allow_echo(discr(of), *now);
        }
        Op::Timeout(later) => {
            *now = *now + Duration::from_millis(later);
            engine.handle_timeout(*now);
        }
        Op::Configure(of, tx, mult, is_passive) => {
            let interval = Interval::from_millis(tx);
            let mut timing = Timing::new(interval, interval, NonZeroU8::new(mult).unwrap()).unwrap();
            if mult > 1 {
                timing = timing.with_echo(interval).unwrap();
            }
            let role = if is_passive { Role::Passive } else { Role::Active };
            let config = Config { timing, role, minimum_ttl: 200, authentication: None };
            engine.set_config(discr(of), config, *now);
        }
        Op::Disable(of) => {
            engine.disable(discr(of), *now);
        }
        Op::Enable(of) => {
            engine.enable(discr(of), *now);
        }
        Op::Remove(of) => {
            engine.remove(discr(of));
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_the_engine_keeps_its_books(ops in prop::collection::vec(op(), 0..100)) {
        let mut engine = engine();
        let mut now = at(0);
        for op in ops {
            apply(&mut engine, op, &mut now);
            for sent in drain(&mut engine) {
                prop_assert!(Control::parse(&sent.payload).is_ok());
                prop_assert!(engine.session(sent.session).is_some());
            }
            while let Some((of, _)) = engine.poll_event() {
                prop_assert!(engine.session(of).is_some());
            }
            while let Some(echo) = engine.poll_echo() {
                prop_assert_eq!(engine.session(echo.session).map(Session::state), Some(State::Up));
                // One of three comes back.
                if echo.sequence % 3 == 0 {
                    let back = Arrival { path: echo.path, ttl: ECHO_TTL };
                    let arrived = engine.handle_echo(back, &echo.payload());
                    prop_assert_eq!(arrived, Ok(EchoArrived::Returned(echo.session)));
                }
            }
            let due = engine.sessions().filter_map(|(_, session)| session.poll_timeout());
            prop_assert_eq!(engine.poll_timeout().map(|(due, _)| due), due.map(|(due, _)| due).min());
            prop_assert_eq!(engine.paths.len(), engine.sessions.len());
            prop_assert!(engine.timers.len() <= engine.sessions.len() && engine.ready.is_empty());
        }
    }
}
