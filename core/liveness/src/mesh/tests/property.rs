//! Any order of inputs.

use super::*;
use ferrolb_wire::mesh::ClaimsPage;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    Message { body: Body, incarnation: u64, sequence: u64, echo: u64 },
    Refusal(u64),
    SetPeers(bool),
    SetClaims(u8),
    SetLeaving(bool),
    Start,
    Leave,
    Noise(Vec<u8>),
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        6 => (0..3_u64, prop::bool::weighted(0.2))
            .prop_map(|(claims_version, is_leaving)| Body::Heartbeat(beat_of(claims_version, is_leaving))),
        1 => Just(Body::Leave),
        3 => (0..3_u64, 0..2_u16, 1..3_u64).prop_map(|(version, page, epoch)| Body::Claims(ClaimsPage {
            version, page, pages: 2, entries: vec![([192, 0, 2, 240].into(), Epoch(epoch))],
        })),
        1 => (0..3_u64).prop_map(|version| Body::Ask { version }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..200_u64).prop_map(Op::Wait),
        1 => (10_000..11_000_u64).prop_map(Op::Wait),
        8 => (body(), 0..3_u64, 0..20_u64, 0..3_u64)
            .prop_map(|(body, incarnation, sequence, echo)| Op::Message { body, incarnation, sequence, echo: echo.min(1) }),
        1 => (0..20_u64).prop_map(Op::Refusal),
        1 => any::<bool>().prop_map(Op::SetPeers),
        1 => (0..3_u8).prop_map(Op::SetClaims),
        1 => any::<bool>().prop_map(Op::SetLeaving),
        1 => Just(Op::Start),
        1 => prop::bool::weighted(0.2).prop_map(|leave| if leave { Op::Leave } else { Op::Start }),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Op::Noise),
    ]
}

/// What the events have told of node2.
struct Told {
    state: PeerState,
    is_leaving: bool,
}

impl Told {
    fn hear(&mut self, event: Event) -> Result<(), TestCaseError> {
        let state = match event {
            Event::Alive(_) => PeerState::Alive,
            Event::Dead { why, .. } => PeerState::Dead(why),
            Event::Leaving(_) | Event::Staying(_) => {
                let is_leaving = matches!(event, Event::Leaving(_));
                prop_assert!(self.state == PeerState::Alive && self.is_leaving != is_leaving);
                self.is_leaving = is_leaving;
                return Ok(());
            }
            Event::ClaimsChanged(_) => return Ok(()),
        };
        let both_dead = matches!((self.state, state), (PeerState::Dead(_), PeerState::Dead(_)));
        prop_assert!(state != self.state && !both_dead, "{:?} was told again after {:?}", state, self.state);
        *self = Self { state, is_leaving: false };
        Ok(())
    }
}

fn apply(mesh: &mut Mesh, op: Op, now: Instant) {
    match op {
        Op::Wait(_) => {}
        Op::Message { body, incarnation, sequence, echo } => {
            deliver(mesh, &Datagram { echo, ..datagram(body, incarnation, sequence) }, now).ok();
        }
        Op::Refusal(sequence) => {
            let me = NodeName::from("node1").try_into().unwrap();
            let own = Datagram { sender: me, ..datagram(beat(0), 1, sequence) };
            mesh.handle_refusal(address("node2"), &keys().seal(&own), now).ok();
        }
        Op::SetPeers(with_node2) => {
            if !with_node2 {
                mesh.set_peers(nodes(&["node1"]), now);
            }
            mesh.set_peers(nodes(&["node1", "node2"]), now);
        }
        Op::SetClaims(count) => {
            let claim = |last| (IpAddr::from([192, 0, 2, last]), Epoch(1));
            mesh.set_claims((0..count).map(claim).collect(), now).unwrap();
        }
        Op::SetLeaving(is_leaving) => mesh.set_leaving(is_leaving, now),
        Op::Start => mesh.start(now),
        Op::Leave => mesh.leave(now),
        Op::Noise(octets) => assert!(mesh.handle_packet(address("node2"), &octets, now).is_err()),
    }
}

proptest! {
    #[test]
    fn events_tell_every_change_and_time_always_advances(ops in prop::collection::vec(op(), 1..200)) {
        let mut mesh = watching_node2();
        let mut now = at(0);
        let mut told = Told { state: PeerState::Unknown, is_leaving: false };
        let mut last_sequence = 0;
        for op in ops {
            if let Op::Wait(ms) = op {
                now = now + Duration::from_millis(ms);
            }
            // One that is alive is not forgotten in between.
            if matches!(op, Op::SetPeers(false)) && told.state != PeerState::Alive {
                told = Told { state: PeerState::Unknown, is_leaving: false };
            }
            let before = (mesh.revision(), mesh.alive(), mesh.leaving(), mesh.claims(), mesh.is_settled());
            apply(&mut mesh, op, now);
            mesh.handle_timeout(now);
            let after = (mesh.revision(), mesh.alive(), mesh.leaving(), mesh.claims(), mesh.is_settled());
            prop_assert!(after.0 > before.0 || after == before, "a change without a revision");
            for event in events(&mut mesh) {
                told.hear(event)?;
            }
            prop_assert_eq!(mesh.peers().next().map(|(_, state)| state), Some(told.state));
            let may_own = !matches!(told.state, PeerState::Dead(_));
            prop_assert_eq!(mesh.alive().contains(&"node2".into()), may_own && !told.is_leaving);
            prop_assert_eq!(mesh.leaving().contains(&"node2".into()), may_own && told.is_leaving);
            for (_, datagram) in sent(&mut mesh) {
                if let Kind::Heartbeat | Kind::Leave = datagram.body.kind() {
                    prop_assert!(datagram.sequence > last_sequence);
                    last_sequence = datagram.sequence;
                }
            }
            if let Some((deadline, timer)) = mesh.poll_timeout() {
                prop_assert!(deadline > now, "{timer:?} is due at {deadline}, now {now}");
                prop_assert!(deadline <= now + DETECTION);
            }
        }
    }
}
