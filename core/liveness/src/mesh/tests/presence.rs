//! Who is alive, who leaves, and what this speaker says about itself.

use super::*;
use crate::mesh::incoming::STRANGERS_MAX;

#[test]
fn a_speaker_that_has_not_started_only_asks_and_is_not_alive() {
    let mut mesh = watching_node2();
    mesh.handle_timeout(at(0));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Ask, 0)]);
    mesh.handle_timeout(at(50));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Ask, 0)]);
    heartbeat(&mut mesh, 7, 1, at(60)).unwrap();
    transmits(&mut mesh);
    mesh.handle_timeout(at(100));
    assert_eq!(transmits(&mut mesh), [], "it is known by now");
    assert_eq!(names(&mesh.alive()), ["node2"]);
}

#[test]
fn a_started_speaker_sends_to_every_address_each_interval() {
    let mut mesh = new_mesh();
    let second: SocketAddr = "[2001:db8::2]:7000".parse().unwrap();
    mesh.set_peers([("node2".into(), vec![address("node2"), second])].into(), at(0));
    mesh.start(at(10));
    let round =
        |sequence| vec![(address("node2"), Kind::Heartbeat, sequence), (second, Kind::Heartbeat, sequence)];
    assert_eq!(transmits(&mut mesh), round(1));
    assert_eq!(mesh.poll_timeout(), Some((at(60), Timer::Heartbeat)));
    mesh.handle_timeout(at(59));
    assert_eq!(transmits(&mut mesh), []);
    mesh.handle_timeout(at(60));
    assert_eq!(transmits(&mut mesh), round(2));
    assert_eq!(names(&mesh.alive()), ["node1", "node2"]);
}

#[test]
fn a_driver_that_was_held_up_sends_one_round_not_all_it_missed() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    transmits(&mut mesh);
    mesh.handle_timeout(at(300));
    assert_eq!(transmits(&mut mesh).len(), 1);
    assert_eq!(mesh.poll_timeout(), Some((at(325), Timer::Heartbeat)));
}

#[test]
fn a_driver_that_was_held_up_buries_nobody_before_it_has_handed_in_what_came() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(0)).unwrap();
    mesh.handle_timeout(at(0));
    events(&mut mesh);
    mesh.start(at(9_000));
    mesh.set_leaving(true, at(9_000));
    assert_eq!(events(&mut mesh), []);
    mesh.handle_timeout(at(9_000));
    assert_eq!((events(&mut mesh), deadline(&mesh)), (vec![], Some(at(9_100))), "two intervals of grace");
    mesh.handle_timeout(at(9_500));
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)], "and no more");
}

#[test]
fn a_round_that_was_not_sent_is_replaced_by_the_next() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    mesh.handle_timeout(at(50));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Heartbeat, 2)]);
}

#[test]
fn an_unheard_peer_is_presumed_alive_for_the_detection_time() {
    let mut mesh = watching_node2();
    assert!(!mesh.is_settled());
    assert_eq!(names(&mesh.alive()), ["node2"]);
    assert_eq!(deadline(&mesh), Some(at(400)));
    advance(&mut mesh, at(399));
    assert_eq!(events(&mut mesh), []);
    advance(&mut mesh, at(400));
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)]);
    assert!(mesh.is_settled() && mesh.alive().is_empty());
    assert_eq!(deadline(&mesh), None);
}

#[test]
fn nothing_is_settled_before_the_peers_are_known_and_all_is_without_any() {
    let mut mesh = new_mesh();
    assert!(!mesh.is_settled());
    mesh.set_peers(nodes(&["node1"]), at(0));
    assert!(mesh.is_settled(), "the only node of its cluster has nobody to wait for");
}

#[test]
fn the_first_contact_counts_at_once_also_after_the_presumption_ran_out() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()]);

    let mut mesh = watching_node2();
    advance(&mut mesh, at(400));
    heartbeat(&mut mesh, 7, 90, at(5_000)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent), node2_is_alive()]);
}

#[test]
fn a_peer_is_dead_one_detection_time_after_its_last_heartbeat() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    heartbeat(&mut mesh, 7, 2, at(150)).unwrap();
    events(&mut mesh);
    assert_eq!(deadline(&mesh), Some(at(550)));
    advance(&mut mesh, at(549));
    assert_eq!(events(&mut mesh), []);
    advance(&mut mesh, at(550));
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)]);
    advance(&mut mesh, at(9_000));
    assert_eq!(events(&mut mesh), [], "a death is told once");
}

/// node2 was alive and is dead since 500 ms, its last message being (7, 1).
fn dead_node2() -> Mesh {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    advance(&mut mesh, at(500));
    assert_eq!(events(&mut mesh), [node2_is_alive(), node2_is_dead(DeadReason::Silent)]);
    mesh
}

#[test]
fn a_dead_peer_returns_with_three_heartbeats_in_a_row() {
    assert_eq!(REVIVAL_HEARTBEATS, 3);
    let mut mesh = dead_node2();
    for (sequence, ms) in [(10, 550), (11, 600)] {
        heartbeat(&mut mesh, 7, sequence, at(ms)).unwrap();
        assert_eq!(events(&mut mesh), []);
    }
    heartbeat(&mut mesh, 7, 12, at(650)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn a_gap_in_the_row_starts_it_again() {
    let mut mesh = dead_node2();
    for sequence in [10, 11, 13, 14] {
        heartbeat(&mut mesh, 7, sequence, at(600)).unwrap();
    }
    assert_eq!(events(&mut mesh), []);
    heartbeat(&mut mesh, 7, 15, at(600)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn copies_between_do_not_break_the_row() {
    let mut mesh = dead_node2();
    for sequence in [10, 11, 12] {
        heartbeat(&mut mesh, 7, sequence, at(600)).unwrap();
        assert_eq!(heartbeat(&mut mesh, 7, sequence, at(600)), Err(Rejected::Duplicate));
    }
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn a_restarted_peer_returns_with_one_heartbeat() {
    let mut mesh = dead_node2();
    heartbeat(&mut mesh, 8, 1, at(600)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn replayed_and_older_messages_neither_count_nor_prolong() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 5, at(100)).unwrap();
    assert_eq!(heartbeat(&mut mesh, 7, 5, at(300)), Err(Rejected::Duplicate));
    assert_eq!(heartbeat(&mut mesh, 7, 4, at(300)), Err(Rejected::Stale));
    assert_eq!(heartbeat(&mut mesh, 6, 99, at(300)), Err(Rejected::Stale));
    assert_eq!(leave(&mut mesh, 6, 99, at(300)), Err(Rejected::Stale));
    assert_eq!(deadline(&mesh), Some(at(500)));
}

#[test]
fn a_new_incarnation_within_the_detection_time_is_no_death() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 900, at(100)).unwrap();
    heartbeat(&mut mesh, 8, 1, at(450)).unwrap();
    advance(&mut mesh, at(849));
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
    assert_eq!(deadline(&mesh), Some(at(850)));
}

#[test]
fn a_peer_whose_clock_went_back_in_a_reboot_returns_once_it_is_forgotten() {
    let mut mesh = dead_node2();
    let forgotten = at(500) + FORGET_AFTER;
    assert_eq!(heartbeat(&mut mesh, 3, 1, forgotten - Duration::from_millis(1)), Err(Rejected::Stale));
    heartbeat(&mut mesh, 3, 2, forgotten).unwrap();
    assert_eq!(heartbeat(&mut mesh, 3, 2, forgotten), Err(Rejected::Duplicate));
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn a_leave_is_noticed_at_once_and_ends_the_incarnation() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    leave(&mut mesh, 7, 2, at(110)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive(), node2_is_dead(DeadReason::Left)]);
    assert_eq!(heartbeat(&mut mesh, 7, 3, at(120)), Err(Rejected::Departed));
    assert_eq!(leave(&mut mesh, 7, 3, at(120)), Err(Rejected::Departed));
    heartbeat(&mut mesh, 8, 1, at(130)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn a_leave_of_an_unheard_peer_ends_the_presumption() {
    let mut mesh = watching_node2();
    leave(&mut mesh, 7, 1, at(10)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Left)]);
    assert!(mesh.is_settled());
}

#[test]
fn a_late_leave_of_a_peer_that_fell_silent_is_no_second_death() {
    let mut mesh = dead_node2();
    leave(&mut mesh, 7, 2, at(600)).unwrap();
    assert_eq!(events(&mut mesh), []);
}

#[test]
fn an_ipv4_source_seen_through_an_ipv6_socket_is_the_same_address() {
    let mut mesh = watching_node2();
    let mapped: SocketAddr = "[::ffff:192.0.2.2]:7000".parse().unwrap();
    assert_eq!(
        mesh.handle_packet(mapped, &keys().seal(&datagram(beat(0), 7, 1)), at(0)),
        Ok(Kind::Heartbeat)
    );
}

#[test]
fn a_changed_set_keeps_who_stays_and_who_goes_is_no_candidate() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    events(&mut mesh);
    mesh.set_peers(nodes(&["node1", "node2", "node3"]), at(200));
    let states: Vec<_> = mesh.peers().map(|(node, state)| (node.as_str(), state)).collect();
    assert_eq!(states, [("node2", PeerState::Alive), ("node3", PeerState::Unknown)]);
    assert_eq!(deadline(&mesh), Some(at(500)));
    mesh.set_peers(nodes(&["node1", "node3"]), at(300));
    assert_eq!(names(&mesh.alive()), ["node3"]);
    assert_eq!(events(&mut mesh), []);
}

/// A node was deleted, and its speaker has not seen that.
#[test]
fn a_peer_that_is_no_node_any_more_is_told_and_heard_while_it_is_alive() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    mesh.set_peers(nodes(&["node1"]), at(200));
    assert_eq!(names(&mesh.alive()), ["node1"]);
    assert!(mesh.claims().contains_key(&"node2".into()), "what it owns is heard");
    sent(&mut mesh);
    mesh.set_claims([("192.0.2.240".parse().unwrap(), Epoch(2))].into(), at(210)).unwrap();
    mesh.handle_timeout(at(250));
    let kinds: Vec<Kind> = transmits(&mut mesh).into_iter().map(|(_, kind, _)| kind).collect();
    assert!(kinds.contains(&Kind::Claims) && kinds.contains(&Kind::Heartbeat), "{kinds:?}");
    heartbeat(&mut mesh, 7, 2, at(300)).unwrap();
    mesh.set_peers(nodes(&["node1"]), at(310));
    advance(&mut mesh, at(699));
    assert_eq!(mesh.peers().count(), 1);
    events(&mut mesh);
    advance(&mut mesh, at(700));
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)]);
    assert_eq!((mesh.peers().count(), mesh.is_settled()), (0, true));
}

/// A new node that this speaker has not seen yet, or a deleted one that comes back from a partition.
#[test]
fn a_speaker_on_a_node_that_is_none_is_answered_and_heard_and_no_candidate() {
    let mut mesh = new_mesh();
    mesh.set_peers(nodes(&["node1"]), at(0));
    mesh.set_claims([("192.0.2.240".parse().unwrap(), Epoch(2))].into(), at(0)).unwrap();
    mesh.start(at(0));
    let timing = Timing::new(INTERVAL, DETECTION).unwrap();
    let mut two = Mesh::new("node2".into(), 5, timing, keys()).unwrap();
    two.set_peers(nodes(&["node1", "node2"]), at(10));
    two.start(at(10));
    for ms in (10..1_000).step_by(5) {
        mesh.handle_timeout(at(ms));
        two.handle_timeout(at(ms));
        exchange(&mut mesh, ("node2", &mut two), at(ms));
        assert!(mesh.is_settled(), "nobody waits for it, at {ms} ms");
    }
    assert_eq!(events(&mut two), [Event::Alive("node1".into()), Event::ClaimsChanged("node1".into())]);
    assert_eq!(two.claims()[&"node1".into()].values().collect::<Vec<_>>(), [&Epoch(2)]);
    assert_eq!((names(&mesh.alive()), mesh.claims().len()), (vec!["node1"], 1));
    mesh.set_peers(nodes(&["node1", "node2"]), at(1_000));
    assert_eq!(names(&mesh.alive()), ["node1", "node2"], "at once, for it is heard");
    assert_eq!(events(&mut mesh), [node2_is_alive()]);
}

#[test]
fn a_recording_of_a_speaker_on_no_node_is_not_told_what_this_one_owns_and_is_forgotten() {
    let mut mesh = new_mesh();
    mesh.set_peers(nodes(&["node1"]), at(0));
    mesh.start(at(0));
    let recorded = Datagram { echo: 0, ..datagram(beat(0), 7, 1) };
    assert_eq!(deliver(&mut mesh, &recorded, at(10)), Err(Rejected::Unconfirmed));
    mesh.set_claims([("192.0.2.240".parse().unwrap(), Epoch(2))].into(), at(20)).unwrap();
    assert!(transmits(&mut mesh).iter().all(|(_, kind, _)| *kind == Kind::Heartbeat));
    assert!(mesh.is_settled() && mesh.claims().is_empty());
    advance(&mut mesh, at(410));
    assert_eq!(mesh.peers().count(), 0);
}

#[test]
fn a_speaker_that_leaves_after_its_node_was_deleted_dies_once() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    mesh.set_peers(nodes(&["node1"]), at(110));
    events(&mut mesh);
    leave(&mut mesh, 7, 2, at(120)).unwrap();
    assert_eq!(leave(&mut mesh, 7, 2, at(120)), Err(Rejected::Duplicate), "to its other address");
    for sequence in [3, 4] {
        assert_eq!(leave(&mut mesh, 7, sequence, at(130)), Err(Rejected::Departed));
    }
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Left)]);
    heartbeat(&mut mesh, 8, 1, at(140)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()], "its successor");
}

#[test]
fn a_recording_of_a_speaker_that_was_forgotten_does_not_bring_it_back() {
    let mut mesh = watching_node2();
    for sequence in 1..=3 {
        heartbeat(&mut mesh, 7, sequence, at(100)).unwrap();
    }
    mesh.set_peers(nodes(&["node1"]), at(110));
    advance(&mut mesh, at(510));
    assert_eq!(mesh.peers().count(), 0);
    events(&mut mesh);
    let elsewhere = address("node9");
    for sequence in 1..=2 {
        let octets = keys().seal(&datagram(beat(9), 7, sequence));
        assert_eq!(mesh.handle_packet(elsewhere, &octets, at(60_000)), Err(Rejected::Stale));
    }
    assert_eq!((mesh.is_settled(), events(&mut mesh)), (true, vec![]));
    heartbeat(&mut mesh, 7, 4, at(60_000)).unwrap();
    assert_eq!(events(&mut mesh), [node2_is_alive()], "it was cut off, and is not any more");
}

#[test]
fn of_so_many_forgotten_speakers_the_last_words_are_known_and_no_more() {
    let mut mesh = new_mesh();
    mesh.set_peers(nodes(&["node1"]), at(0));
    let says = |mesh: &mut Mesh, number: u64, body: Body, sequence| {
        let sender = NodeName::from(format!("gone{number}")).try_into().unwrap();
        let octets = keys().seal(&Datagram { sender, ..datagram(body, 1_000 + number, sequence) });
        mesh.handle_packet(address("node9"), &octets, at(0))
    };
    let max = u64::try_from(STRANGERS_MAX).unwrap();
    for number in 0..=max {
        says(&mut mesh, number, Body::Leave, 2).unwrap();
    }
    assert_eq!(mesh.past_strangers.len(), STRANGERS_MAX);
    assert_eq!(says(&mut mesh, 1, beat(0), 1), Err(Rejected::Stale));
    assert_eq!(says(&mut mesh, 0, beat(0), 1), Ok(Kind::Heartbeat), "the oldest process makes room");
}

#[test]
fn a_peer_that_is_a_node_again_before_it_was_forgotten_is_a_candidate_again() {
    let mut mesh = watching_node2();
    heartbeat(&mut mesh, 7, 1, at(100)).unwrap();
    mesh.set_peers(nodes(&["node1"]), at(200));
    mesh.set_peers(nodes(&["node1", "node2"]), at(300));
    assert_eq!(names(&mesh.alive()), ["node2"]);
    leave(&mut mesh, 7, 2, at(310)).unwrap();
    assert_eq!(mesh.peers().count(), 1);
    mesh.set_peers(nodes(&["node1"]), at(320));
    assert_eq!(mesh.peers().count(), 0, "the dead are forgotten at once");
}

/// Hands `one` what `other`, which is `name`, has to send, and the other way round, until both are silent.
fn exchange(one: &mut Mesh, other: (&str, &mut Mesh), now: Instant) {
    loop {
        let (there, back) = (one.poll_transmit(), other.1.poll_transmit());
        if there.is_none() && back.is_none() {
            return;
        }
        if let Some(there) = there {
            other.1.handle_packet(address("node1"), &there.payload, now).ok();
        }
        if let Some(back) = back {
            one.handle_packet(address(other.0), &back.payload, now).ok();
        }
    }
}

#[test]
fn a_process_that_starts_after_the_clock_was_set_back_is_heard_at_once() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    let node2 = |incarnation, now| {
        let mut two =
            Mesh::new("node2".into(), incarnation, Timing::new(INTERVAL, DETECTION).unwrap(), keys())
                .unwrap();
        two.set_peers(nodes(&["node1", "node2"]), now);
        two.start(now);
        two
    };
    let mut before = node2(1_000, at(0));
    before.set_claims([("192.0.2.240".parse().unwrap(), Epoch(3))].into(), at(0)).unwrap();
    exchange(&mut mesh, ("node2", &mut before), at(0));
    before.hand_over(at(40));
    exchange(&mut mesh, ("node2", &mut before), at(40));

    let mut after = node2(10, at(45));
    after.set_claims([("192.0.2.240".parse().unwrap(), Epoch(3))].into(), at(45)).unwrap();
    for ms in (50..=2_000).step_by(25) {
        mesh.handle_timeout(at(ms));
        after.handle_timeout(at(ms));
        exchange(&mut mesh, ("node2", &mut after), at(ms));
        let owned = mesh.claims().into_values().next().unwrap();
        assert_eq!(owned.into_values().collect::<Vec<_>>(), [Epoch(3)], "at {ms} ms");
    }
    assert_eq!(events(&mut mesh).last(), Some(&Event::ClaimsChanged("node2".into())), "it never died");
    let alive = [Event::Alive("node1".into())];
    assert_eq!(events(&mut after), alive);
}

#[test]
fn what_a_peer_echoes_makes_the_incarnation_larger_and_never_smaller() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    for (echo, incarnation) in [(0, 1), (5, 6), (3, 6), (u64::MAX, 6)] {
        let echoed = Datagram { echo, ..datagram(beat(0), 7, 1) };
        assert_eq!(deliver(&mut mesh, &echoed, at(10)), Err(Rejected::Unconfirmed), "{echo}");
        assert_eq!(mesh.incarnation, incarnation);
    }
}

#[test]
fn the_return_of_a_process_that_was_taken_for_dead_is_counted_and_a_new_one_is_not() {
    let mut mesh = dead_node2();
    assert_eq!(mesh.returns(), 0);
    heartbeat(&mut mesh, 8, 1, at(600)).unwrap();
    assert_eq!(mesh.returns(), 0);
    advance(&mut mesh, at(1_500));
    for sequence in 2..10 {
        heartbeat(&mut mesh, 8, sequence, at(1_510)).unwrap();
    }
    assert_eq!(mesh.returns(), 1);
}

#[test]
fn leaving_is_said_three_times_and_then_nothing_more() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    mesh.leave(at(5));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Leave, 2)], "no heartbeat after a leave");
    assert!(mesh.alive().iter().all(|node| node.as_str() != "node1"));
    assert_eq!(mesh.poll_timeout(), Some((at(15), Timer::Leave)));
    mesh.handle_timeout(at(15));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Leave, 3)]);
    assert!(!mesh.is_gone());
    mesh.handle_timeout(at(25));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Leave, 4)]);
    assert!(mesh.is_gone());
    mesh.start(at(30));
    mesh.leave(at(30));
    mesh.handle_timeout(at(100));
    assert_eq!(transmits(&mut mesh), []);
}

#[test]
fn a_peer_with_too_many_addresses_is_cut_to_the_bound() {
    let mut mesh = new_mesh();
    mesh.set_peers([("node2".into(), vec![address("node2"); ADDRESSES_MAX + 5])].into(), at(0));
    mesh.start(at(0));
    assert_eq!(transmits(&mut mesh).len(), ADDRESSES_MAX);
}

#[test]
fn the_fastest_flapping_peer_dies_once_per_detection_time_and_two_intervals() {
    let mut mesh = watching_node2();
    let mut deaths = Vec::new();
    let mut silent_until = at(0);
    // The worst sender: heard in every interval, except that it stops whenever it is alive.
    for beat in 0..10_000 {
        let now = at(beat * 50);
        mesh.handle_timeout(now);
        if now >= silent_until {
            heartbeat(&mut mesh, 7, beat + 1, now).unwrap();
        }
        for event in events(&mut mesh) {
            match event {
                Event::Alive(_) => silent_until = now + DETECTION,
                Event::Dead { .. } => deaths.push(now),
                Event::Leaving(_) | Event::Staying(_) | Event::ClaimsChanged(_) => {}
            }
        }
    }
    assert!(deaths.len() > 100, "it flaps: {}", deaths.len());
    for pair in deaths.windows(2) {
        assert!(pair[1].saturating_since(pair[0]) >= DETECTION + 2 * INTERVAL, "{pair:?}");
    }
}
