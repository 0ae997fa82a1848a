//! Whatever is done to a peer.

use super::*;
use alloc::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Octets(bool, Vec<u8>),
    Message(bool, u8),
    Connected,
    ConnectFailed,
    Accept,
    Closed(bool),
    Writable(bool),
    Timeout(u64),
    Announce(u8),
    Bfd(u8),
    Configure(u16, u8),
    Stop(u8),
    Start(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (any::<bool>(), any::<Vec<u8>>()).prop_map(|(of, octets)| Op::Octets(of, octets)),
        12 => (any::<bool>(), any::<u8>()).prop_map(|(of, message)| Op::Message(of, message)),
        6 => Just(Op::Connected),
        1 => Just(Op::ConnectFailed),
        2 => Just(Op::Accept),
        1 => any::<bool>().prop_map(Op::Closed),
        3 => any::<bool>().prop_map(Op::Writable),
        4 => (0_u64..200_000).prop_map(Op::Timeout),
        3 => any::<u8>().prop_map(Op::Announce),
        1 => (0_u8..3).prop_map(Op::Bfd),
        1 => (0_u16..20, any::<u8>()).prop_map(|(hold_time, choice)| Op::Configure(hold_time, choice)),
        1 => (0_u8..4).prop_map(Op::Stop),
        3 => any::<bool>().prop_map(Op::Start),
    ]
}

fn message(choice: u8) -> Vec<u8> {
    match choice % 8 {
        0 | 1 => restarting_open(choice > 100).emit(),
        2 | 3 => keepalive().into(),
        4 => update("198.51.100.1/32", &[64_513]),
        5 => RouteRefresh { family: Some(ferrolb_wire::bgp::Family::Ipv4Unicast), subtype: Subtype::Request }
            .emit(),
        6 => Notification { code: choice / 8 % 9, subcode: choice / 16, data: Vec::new() }.emit(),
        _seven => Open { hold_time: 3, ..open() }.emit(),
    }
}

/// The connection that is meant, or one that is gone.
fn of(peer: &Peer, is_ours: bool) -> ConnectionId {
    let direction = if is_ours { Direction::Outgoing } else { Direction::Incoming };
    peer.connections.get(&direction).map_or(ConnectionId(1), |connection| connection.id)
}

fn apply(peer: &mut Peer, op: Op, now: &mut Instant) {
    match op {
        Op::Octets(is_ours, octets) => peer.handle_octets(of(peer, is_ours), &octets, *now),
        Op::Message(is_ours, choice) => peer.handle_octets(of(peer, is_ours), &message(choice), *now),
        Op::Connected => {
            let id = peer.attempt.map_or(ConnectionId(1), |attempt| attempt.id);
            peer.handle_connected(id, Direction::Outgoing, local(), remote(), *now);
        }
        Op::ConnectFailed => {
            let id = peer.attempt.map_or(ConnectionId(1), |attempt| attempt.id);
            peer.handle_connect_failed(id, *now);
        }
        Op::Accept => {
            let id = peer.next_connection();
            peer.handle_connected(id, Direction::Incoming, local(), remote(), *now);
        }
        Op::Closed(is_ours) => peer.handle_closed(of(peer, is_ours), *now),
        Op::Writable(is_ours) => peer.handle_writable(of(peer, is_ours), *now),
        Op::Timeout(later) => {
            *now = *now + Duration::from_millis(later);
            peer.handle_timeout(*now);
        }
        Op::Announce(last) => {
            let prefix = IpPrefix::containing([192, 0, 2, last % 8].into(), 32).unwrap();
            match last {
                0..100 => peer.rib_out_mut().announce(prefix, &route()),
                100..200 => peer.rib_out_mut().withdraw(prefix),
                200.. => peer.rib_out_mut().complete(),
            }
            peer.flush(*now);
        }
        Op::Bfd(bfd) => {
            let bfd = [BfdState::Down, BfdState::Up, BfdState::AdminDown][usize::from(bfd)];
            peer.set_bfd(bfd, *now);
        }
        Op::Configure(hold_time, choice) => {
            let base = if choice % 2 == 0 { config() } else { restarting_config(choice % 4 == 1) };
            let bfd = [BfdPolicy::Ignore, BfdPolicy::Follow, BfdPolicy::Strict][usize::from(choice % 3)];
            let role = if choice > 220 { Role::Passive } else { Role::Active };
            let hold_time = HoldTime::new(hold_time).unwrap_or(HoldTime::SUGGESTED);
            peer.set_config(Config { hold_time, bfd, role, ..base }, *now);
        }
        Op::Stop(stop) => {
            let stops = [Stop::Restart, Stop::Shutdown(Some("text".into())), Stop::PeerRemoved, Stop::Reset];
            peer.stop(stops[usize::from(stop)].clone(), *now);
        }
        Op::Start(has_restarted) => {
            if has_restarted {
                peer.start_restarted(*now);
            } else {
                peer.start(*now);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn whatever_comes_a_peer_keeps_its_promises(ops in prop::collection::vec(op(), 0..120), seed: u64) {
        let mut peer = Peer::new(config(), seed);
        let mut now = at(0);
        peer.start(now);
        drain(&mut peer);
        for op in ops {
            let before = peer.established().map(|(_, connection)| connection.id);
            apply(&mut peer, op, &mut now);
            let established: Vec<_> =
                peer.connections.values().filter(|connection| connection.established().is_some()).collect();
            prop_assert!(established.len() <= 1, "one session at most");
            prop_assert!(established.is_empty() || peer.connections.len() == 1, "and nothing beside it");
            let session = established.first().map(|connection| connection.id);
            for (id, did) in drain(&mut peer) {
                if matches!(did, Did::Update | Did::RouteRefresh) {
                    prop_assert!(Some(id) == session || Some(id) == before, "no UPDATE without a session");
                }
                prop_assert!(did != Did::Connect || peer.attempt.is_some_and(|attempt| attempt.id == id));
            }
            while peer.poll_event().is_some() {}
            prop_assert!(peer.connections.values().all(|connection| connection.received.len() < 4_096));
            if let Some((due, timer)) = peer.poll_timeout() {
                prop_assert!(due > now || timer != Timer::ConnectRetry, "nothing is left undone");
            } else {
                let waits = peer.config.role == Role::Passive || peer.waits_for_bfd();
                let is_silent = peer.established().is_some_and(|(_, connection)| connection.hold.is_none());
                prop_assert!(!peer.is_started || waits || is_silent, "a deadline in {}", peer.state());
            }
        }
    }
}
