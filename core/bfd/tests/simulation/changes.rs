//! Operators change their minds.

use std::time::Duration;

use ferrolb_bfd::{Config, DownReason, Engine, Event};
use ferrolb_wire::bfd::State;

use crate::link::{BOTH, End, Link, SECOND};

#[test]
fn changing_intervals_flaps_nothing() {
    for seed in 0..300 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(3..6), link.random.timing(3..6)];
        let mut link = Link::up(seed, configs);
        link.delay_us = 50..5_000;
        for _change in 0..40 {
            let end = BOTH[usize::from(link.random.chance(500))];
            let changed = link.random.timing(3..6);
            link.configure(end, changed);
            let wait = Duration::from_millis(link.random.within(1..1_500));
            link.run(wait);
            assert_eq!(link.told, [], "seed {seed}");
        }
        link.run(10 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
        for end in BOTH {
            let (own, peer) = (link.session(end), link.session(end.other()));
            let (own_timing, peer_timing) = (own.config().timing, peer.config().timing);
            let interval = own_timing.desired_min_tx().max(peer_timing.required_min_rx());
            assert_eq!(own.tx_interval(), Some(interval), "seed {seed}");
            let detection = interval.duration() * u32::from(own_timing.detect_mult().get());
            assert_eq!(peer.detection_time(), Some(detection), "seed {seed}");
        }
    }
}

#[test]
fn changing_intervals_flaps_nothing_where_polls_and_finals_are_lost() {
    for seed in 0..100 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(10..15), link.random.timing(10..15)];
        let mut link = Link::up(seed, configs);
        link.loss_per_mille = 100;
        link.delay_us = 50..5_000;
        for _change in 0..20 {
            let end = BOTH[usize::from(link.random.chance(500))];
            let changed = link.random.timing(10..15);
            link.configure(end, changed);
            let wait = Duration::from_millis(link.random.within(1..3_000));
            link.run(wait);
            assert_eq!(link.told, [], "seed {seed}");
        }
    }
}

#[test]
fn an_operators_word_is_told_as_such_and_is_no_failure() {
    for seed in 0..300 {
        let mut link = Link::up(seed, [Config::default(); 2]);
        let end = if seed % 2 == 0 { End::A } else { End::B };
        let wait = Duration::from_millis(link.random.within(0..1_000));
        link.run(wait);
        let disabled = link.now;
        link.change_each(end, Engine::disable);
        link.run(30 * SECOND);
        for (of, expected) in [(end, DownReason::AdminDown), (end.other(), DownReason::NeighborAdminDown)] {
            match link.downs(of)[..] {
                [Event::Down { at, why, .. }] => {
                    assert_eq!(why, expected, "seed {seed}");
                    assert!(at <= disabled + link.delay_max() && !why.is_failure(), "seed {seed}");
                }
                ref other => panic!("seed {seed}: {other:?}"),
            }
        }
        assert_eq!(link.session(end.other()).remote_state(), State::AdminDown);
        link.told.clear();
        link.change_each(end, Engine::enable);
        assert!(link.run_until(SECOND, Link::is_up).is_some(), "seed {seed}");
        assert!(BOTH.iter().all(|end| link.downs(*end).is_empty()), "seed {seed}");
    }
}

#[test]
fn a_session_that_is_disabled_before_it_is_removed_alarms_nobody() {
    for seed in 0..100 {
        let mut link = Link::up(seed, [Config::default(); 2]);
        link.change_each(End::A, Engine::disable);
        let enough = link.session(End::A).peer_detection_time();
        link.run(enough);
        link.change_each(End::A, |engine, session, _| engine.remove(session));
        link.run(60 * SECOND);
        assert!(link.sent[&End::A].len() > 3);
        let alarms = link
            .downs(End::B)
            .into_iter()
            .filter(|event| matches!(event, Event::Down { why, .. } if why.is_failure()));
        assert_eq!(alarms.collect::<Vec<_>>(), [], "seed {seed}");
    }
}
