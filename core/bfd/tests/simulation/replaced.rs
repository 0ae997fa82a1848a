//! A process ends as planned, and another goes on with its sessions.

use std::time::Duration;

use ferrolb_bfd::{Config, DownReason, Event};
use ferrolb_wire::bfd::State;

use crate::authenticated::authentic;
use crate::link::{BOTH, End, Link, SECOND, config};

/// What `end` waits at most between two packets.
fn interval(link: &Link, end: End) -> Duration {
    link.session(end).tx_interval().unwrap().duration()
}

/// Another process takes the place of that at `end`, after a gap of at most `longest`.
fn replace(link: &mut Link, end: End, longest: Duration) {
    let gap = link.random.within(0..u64::try_from(longest.as_micros()).unwrap() + 1);
    let sessions = link.hand_over(end);
    assert_eq!(sessions.len(), 1);
    link.run(Duration::from_micros(gap));
    link.take_over(end, sessions);
}

/// Replaces either end again and again: neither leaves Up.
fn replace_often(link: &mut Link, seed: u64) {
    for _time in 0..20 {
        let wait = Duration::from_micros(link.random.within(0..2_000_000));
        link.run(wait);
        let end = BOTH[usize::from(link.random.chance(500))];
        let interval = interval(link, end);
        replace(link, end, interval);
        assert!(link.is_up(), "seed {seed}");
    }
    link.run(10 * SECOND);
    assert_eq!(link.told, [], "seed {seed}");
    assert!(link.is_up(), "seed {seed}");
}

#[test]
fn nobody_notices_a_process_that_is_replaced_within_a_transmit_interval() {
    for seed in 0..200 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(3..6), link.random.timing(3..6)];
        replace_often(&mut Link::up(seed, configs), seed);
    }
}

#[test]
fn nobody_notices_it_where_packets_are_lost_and_authenticated() {
    for seed in 0..100 {
        let configs = [[config(300, 300, 12); 2], [authentic(seed, 12); 2]];
        for configs in configs {
            let mut link = Link::up(seed, configs);
            link.loss_per_mille = 200;
            link.delay_us = 100..60_000;
            replace_often(&mut link, seed);
        }
    }
}

#[test]
fn a_change_of_intervals_goes_on_through_a_restart() {
    for seed in 0..200 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(3..6), link.random.timing(3..6)];
        let mut link = Link::up(seed, configs);
        for _change in 0..20 {
            let end = BOTH[usize::from(link.random.chance(500))];
            let changed = link.random.timing(3..6);
            link.configure(end, changed);
            let wait = Duration::from_micros(link.random.within(0..1_000_000));
            link.run(wait);
            let interval = interval(&link, end);
            replace(&mut link, end, interval);
            assert_eq!(link.told, [], "seed {seed}");
        }
        link.run(10 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
        for end in BOTH {
            let (own, peer) = (link.session(end), link.session(end.other()));
            let timing = own.config().timing;
            let interval = timing.desired_min_tx().max(peer.config().timing.required_min_rx());
            assert_eq!(own.tx_interval(), Some(interval), "seed {seed}");
            let detection = interval.duration() * u32::from(timing.detect_mult().get());
            assert_eq!(peer.detection_time(), Some(detection), "seed {seed}");
        }
    }
}

#[test]
fn the_peer_of_a_process_that_is_replaced_too_late_goes_down_and_comes_up_again() {
    for seed in 0..200 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(2..6), link.random.timing(2..6)];
        let mut link = Link::up(seed, configs);
        let wait = Duration::from_micros(link.random.within(0..2_000_000));
        link.run(wait);
        let (end, peer) = if seed % 2 == 0 { (End::A, End::B) } else { (End::B, End::A) };
        let detection = link.session(peer).detection_time().unwrap();
        let sessions = link.hand_over(end);
        let late = Duration::from_millis(link.random.within(0..2_000));
        link.run(detection + link.delay_max() + late);
        assert!(matches!(link.downs(peer)[..], [Event::Down { why: DownReason::DetectionTimeExpired, .. }]));
        link.take_over(end, sessions);
        link.told.clear();
        assert!(link.run_until(5 * SECOND, Link::is_up).is_some(), "seed {seed}");
        // Who goes on learns from the peer that it has come too late, and nobody goes down twice.
        assert_eq!((link.downs(end).len(), link.downs(peer)), (1, Vec::new()), "seed {seed}");
        let is_told = matches!(link.downs(end)[0], Event::Down { why: DownReason::NeighborDown { .. }, .. });
        assert!(is_told, "seed {seed}");
        link.told.clear();
        link.run(30 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
    }
}

#[test]
fn who_goes_on_notices_within_a_detection_time_that_the_peer_is_dead() {
    for seed in 0..100 {
        let mut link = Link::up(seed, [Config::default(); 2]);
        link.cut = [End::B].into();
        replace(&mut link, End::A, Duration::from_millis(300));
        let detection = link.session(End::A).detection_time().unwrap();
        assert_eq!(link.session(End::A).state(), State::Up);
        link.run(detection + link.delay_max());
        assert_ne!(link.session(End::A).state(), State::Up, "seed {seed}");
    }
}
