//! Whom a speaker believes: keys, freshness, and refusals by a kernel.

use super::*;
use crate::mesh::incoming::STRANGERS_MAX;
use alloc::string::ToString;

#[test]
fn strangers_are_refused_with_the_reason() {
    let mut mesh = watching_node2();
    let octets = keys().seal(&datagram(beat(0), 7, 1));
    let elsewhere = address("node9");
    assert_eq!(mesh.handle_packet(elsewhere, &octets, at(0)), Err(Rejected::ForeignSource("node2".into())));
    mesh.set_peers(nodes(&["node1", "node3"]), at(0));
    let early = new_mesh().handle_packet(address("node2"), &octets, at(0));
    assert_eq!(early, Err(Rejected::UnknownNode("node2".into())), "it knows no node yet");
    let mut namesake = Mesh::new("node2".into(), 1, Timing::default(), keys()).unwrap();
    namesake.set_peers(nodes(&["node1", "node2"]), at(0));
    assert_eq!(namesake.handle_packet(address("node2"), &octets, at(0)), Err(Rejected::OwnName));

    let mut newer = octets.clone();
    newer[4] = 9;
    let rejected = mesh.handle_packet(address("node3"), &newer, at(0)).unwrap_err();
    assert_eq!(rejected, Rejected::Malformed(DecodeError::Version(9)));
    assert_eq!(rejected.reason(), "version");
    assert!(rejected.to_string().contains("another version of ferrolb"), "{rejected}");
    assert_eq!(events(&mut mesh), []);
}

#[test]
fn of_speakers_on_nodes_that_are_none_so_many_are_answered_and_no_more() {
    let mut mesh = new_mesh();
    mesh.set_peers(nodes(&["node1"]), at(0));
    let hear = |mesh: &mut Mesh, number: usize| {
        let sender = NodeName::from(std::format!("gone{number}")).try_into().unwrap();
        let octets = keys().seal(&Datagram { sender, ..datagram(beat(0), 7, 1) });
        mesh.handle_packet(address("node9"), &octets, at(0))
    };
    for number in 0..STRANGERS_MAX {
        assert_eq!(hear(&mut mesh, number), Ok(Kind::Heartbeat));
    }
    assert_eq!(hear(&mut mesh, 0), Err(Rejected::Duplicate), "it is known");
    assert!(matches!(hear(&mut mesh, STRANGERS_MAX), Err(Rejected::UnknownNode(_))));
}

#[test]
fn no_octet_of_a_datagram_can_be_changed() {
    let bodies = [beat(3), Body::Leave, Body::Ask { version: 9 }];
    for body in bodies {
        let octets = keys().seal(&datagram(body, 7, 1));
        for index in 0..octets.len() {
            let mut mesh = watching_node2();
            let mut tampered = octets.clone();
            tampered[index] ^= 1;
            let rejected = mesh.handle_packet(address("node2"), &tampered, at(0)).unwrap_err();
            assert!(
                matches!(rejected, Rejected::Malformed(_) | Rejected::Unauthenticated),
                "{index}: {rejected}"
            );
            assert_eq!((events(&mut mesh), transmits(&mut mesh)), (vec![], vec![]), "{index}");
        }
    }
}

#[test]
fn a_datagram_of_another_key_is_not_even_asked_who_sent_it() {
    let mut mesh = watching_node2();
    let others = KeyRing::new(key(8), vec![]).unwrap();
    let unknown = Datagram { key: others.send_id(), ..datagram(beat(0), 7, 1) };
    let octets = others.seal(&unknown);
    assert_eq!(mesh.handle_packet(address("node9"), &octets, at(0)), Err(Rejected::Unauthenticated));
    // It names our key and bears the tag of another.
    let octets = others.seal(&datagram(beat(0), 7, 1));
    assert_eq!(mesh.handle_packet(address("node2"), &octets, at(0)), Err(Rejected::Unauthenticated));
    assert!(Rejected::Unauthenticated.to_string().contains("same keys"));
}

#[test]
fn a_rotation_in_three_steps_leaves_no_gap() {
    let ring = |send, accept: &[u8]| {
        KeyRing::new(key(send), accept.iter().map(|octet| key(*octet)).collect()).unwrap()
    };
    let steps = [ring(7, &[]), ring(7, &[8]), ring(8, &[7]), ring(8, &[])];
    let mut mesh = watching_node2();
    let mut sequence = 0;
    let mut hear = |mesh: &mut Mesh, sender: &KeyRing| {
        sequence += 1;
        let octets = sender.seal(&Datagram { key: sender.send_id(), ..datagram(beat(0), 7, sequence) });
        mesh.handle_packet(address("node2"), &octets, at(0))
    };
    // Each node is at this step or at the one before it.
    for pair in steps.windows(2) {
        for receiver in pair {
            mesh.set_keys(receiver.clone());
            for sender in pair {
                assert_eq!(hear(&mut mesh, sender), Ok(Kind::Heartbeat));
            }
        }
    }
    assert_eq!(hear(&mut mesh, &steps[0]), Err(Rejected::Unauthenticated), "the old key is worth nothing");
}

/// A recording of node2 from before node1 started, when that ran in incarnation 0x0dd.
fn recorded(sequence: u64) -> Datagram {
    Datagram { echo: 0x0dd, ..datagram(beat(0), 7, sequence) }
}

#[test]
fn a_recording_keeps_nobody_alive() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    for beat in 1..=8 {
        advance(&mut mesh, at(beat * 50 - 1));
        assert_eq!(deliver(&mut mesh, &recorded(beat), at(beat * 50 - 1)), Err(Rejected::Unconfirmed));
    }
    advance(&mut mesh, at(400));
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)]);
    let octets = keys().seal(&Datagram { body: Body::Leave, ..recorded(99) });
    let mut mesh = watching_node2();
    assert_eq!(mesh.handle_packet(address("node2"), &octets, at(0)), Err(Rejected::Unconfirmed));
    assert_eq!(events(&mut mesh), [], "nor does it end anyone");
}

#[test]
fn who_does_not_know_us_is_told_at_once_and_once_per_interval() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    transmits(&mut mesh);
    assert_eq!(deliver(&mut mesh, &recorded(1), at(5)), Err(Rejected::Unconfirmed));
    let greeting = sent(&mut mesh);
    assert_eq!(greeting.len(), 1);
    assert_eq!(
        (greeting[0].1.body.kind(), greeting[0].1.echo, greeting[0].1.sequence),
        (Kind::Heartbeat, 7, 2)
    );
    for ms in 6..55 {
        deliver(&mut mesh, &recorded(ms), at(ms)).unwrap_err();
    }
    assert_eq!(sent(&mut mesh), [], "it was told");
    deliver(&mut mesh, &recorded(99), at(55)).unwrap_err();
    assert_eq!(sent(&mut mesh).len(), 1);
}

#[test]
fn two_speakers_know_each_other_after_one_round_trip() {
    let mut one = watching_node2();
    let mut two = Mesh::new("node2".into(), 2, Timing::default(), keys()).unwrap();
    two.set_peers(nodes(&["node1", "node2"]), at(0));
    one.start(at(0));
    let first = one.poll_transmit().unwrap();
    two.start(at(0));
    while two.poll_transmit().is_some() {}
    assert_eq!(two.handle_packet(address("node1"), &first.payload, at(10)), Err(Rejected::Unconfirmed));
    let answer = two.poll_transmit().unwrap();
    assert_eq!(one.handle_packet(address("node2"), &answer.payload, at(20)), Ok(Kind::Heartbeat));
    assert_eq!(events(&mut one), [node2_is_alive()]);
    let third = one.poll_transmit().unwrap();
    assert_eq!(two.handle_packet(address("node1"), &third.payload, at(30)), Ok(Kind::Heartbeat));
    assert_eq!(events(&mut two), [Event::Alive("node1".into())]);
    assert_eq!((one.poll_transmit(), two.poll_transmit()), (None, None), "and then each waits its turn");
}

/// node1, started, which heard node2 at 60 ms; and its next round, which node2 did not hear.
fn with_unheard_round() -> (Mesh, Vec<u8>) {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    heartbeat(&mut mesh, 7, 1, at(60)).unwrap();
    events(&mut mesh);
    while mesh.poll_transmit().is_some() {}
    mesh.handle_timeout(at(110));
    let round = mesh.poll_transmit().unwrap().payload;
    (mesh, round)
}

#[test]
fn a_process_that_is_gone_is_dead_after_two_refusals() {
    let (mut mesh, round) = with_unheard_round();
    mesh.handle_refusal(address("node2"), &round, at(111)).unwrap();
    assert_eq!(events(&mut mesh), []);
    let probe = mesh.poll_transmit().expect("one more datagram goes at once");
    mesh.handle_refusal(address("node2"), &round, at(112)).unwrap();
    assert_eq!(events(&mut mesh), [], "the same datagram says nothing new");
    mesh.handle_refusal(address("node2"), &probe.payload, at(112)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::ProcessGone)]);
    heartbeat(&mut mesh, 8, 1, at(500)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()], "its successor");
}

#[test]
fn a_refusal_of_what_was_sent_before_the_peer_was_heard_is_late() {
    let (mut mesh, round) = with_unheard_round();
    heartbeat(&mut mesh, 7, 2, at(111)).unwrap();
    mesh.handle_refusal(address("node2"), &round, at(112)).unwrap();
    assert_eq!(mesh.poll_transmit(), None);
    assert_eq!(mesh.peers().next().unwrap().1, PeerState::Alive);
}

#[test]
fn refusals_that_were_wrong_once_are_not_believed_again() {
    let (mut mesh, mut round) = with_unheard_round();
    for (sequence, ms) in [(2, 120), (6, 720)] {
        mesh.handle_refusal(address("node2"), &round, at(ms)).unwrap();
        if let Some(probe) = mesh.poll_transmit() {
            mesh.handle_refusal(address("node2"), &probe.payload, at(ms + 1)).unwrap();
        }
        for beat in 0..3 {
            heartbeat(&mut mesh, 7, sequence + beat, at(ms + 40 * (beat + 1))).unwrap();
        }
        while mesh.poll_transmit().is_some() {}
        mesh.handle_timeout(at(ms + 200));
        round = mesh.poll_transmit().unwrap().payload;
    }
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::ProcessGone), node2_is_alive()]);
}

#[test]
fn refusals_of_what_was_never_sent_are_refused() {
    let (mut mesh, round) = with_unheard_round();
    let refuse =
        |mesh: &mut Mesh, dst: &str, octets: &[u8]| mesh.handle_refusal(address(dst), octets, at(111));
    assert_eq!(refuse(&mut mesh, "node9", &round), Err(Rejected::NotSent));
    let of_node2 = keys().seal(&datagram(beat(0), 7, 1));
    assert_eq!(refuse(&mut mesh, "node2", &of_node2), Err(Rejected::NotSent));
    let mut forged = round.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refuse(&mut mesh, "node2", &forged), Err(Rejected::Unauthenticated));
    let cut = refuse(&mut mesh, "node2", &round[..8]).unwrap_err();
    assert!(matches!(cut, Rejected::Malformed(DecodeError::Truncated(_))), "a router that quotes 8 octets");
}

#[test]
fn a_process_that_another_follows_is_given_time_and_its_closed_port_means_nothing() {
    let (mut mesh, _) = with_unheard_round();
    let last = Heartbeat { detection: FOLLOWED_DETECTION, is_followed: true, ..beat_of(0, false) };
    deliver(&mut mesh, &datagram(Body::Heartbeat(last), 7, 2), at(120)).unwrap();
    for ms in [160, 200, 240] {
        while mesh.poll_transmit().is_some() {}
        mesh.handle_timeout(at(ms));
        let refused = mesh.poll_transmit().unwrap().payload;
        mesh.handle_refusal(address("node2"), &refused, at(ms)).unwrap();
    }
    advance(&mut mesh, at(1_100));
    assert_eq!(events(&mut mesh), [], "longer than the detection time");
    heartbeat(&mut mesh, 8, 1, at(1_110)).unwrap();
    assert_eq!(events(&mut mesh), [], "its successor is no news");
    advance(&mut mesh, at(1_110) + DETECTION + INTERVAL);
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)], "and has the usual time");
}

#[test]
fn who_is_followed_says_so_three_times_and_falls_silent() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    heartbeat(&mut mesh, 7, 1, at(1)).unwrap();
    sent(&mut mesh);
    mesh.hand_over(at(10));
    let mut said = sent(&mut mesh);
    while let Some((due, _)) = mesh.poll_timeout().filter(|_| !mesh.is_gone()) {
        mesh.handle_timeout(due);
        said.extend(sent(&mut mesh));
    }
    let followed = |(_, datagram): &(_, Datagram)| matches!(&datagram.body, Body::Heartbeat(beat) if beat.is_followed && !beat.is_leaving);
    assert_eq!((said.len(), said.iter().all(followed)), (3, true), "{said:?}");
}
