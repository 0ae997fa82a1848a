//! Echo packets over a link that loses, delays and reorders.

use std::time::Duration;

use ferrolb_bfd::{Config, DownReason, Event};
use ferrolb_wire::bfd::{Diagnostic, Interval};

use crate::link::{BOTH, End, Link, SECOND, config};

/// 300 ms in both directions, and Echo packets.
fn echoing(echo_ms: u32, mult: u8) -> Config {
    let config = config(300, 300, mult);
    let timing = config.timing.with_echo(Interval::from_millis(echo_ms)).unwrap();
    Config { timing, ..config }
}

/// Two sessions that are up and send Echo packets.
fn up(seed: u64, configs: [Config; 2]) -> Link {
    let mut link = Link::up(seed, configs);
    for end in BOTH {
        link.allow_echo(end);
    }
    let is_active = |link: &Link| BOTH.iter().all(|end| link.session(*end).echo_interval().is_some());
    assert!(link.run_until(5 * SECOND, is_active).is_some(), "seed {seed}");
    link.run(5 * SECOND);
    assert_eq!(link.told, [], "seed {seed}");
    link
}

#[test]
fn echo_packets_come_back_and_control_packets_become_slow() {
    for seed in 0..50 {
        let mut link = up(seed, [echoing(50, 3), echoing(80, 3)]);
        link.sent.clear();
        link.run(60 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
        for end in BOTH {
            assert_eq!(link.session(end).echo_interval(), Some(Interval::from_millis(80)));
            assert!((60..=81).contains(&link.sent[&end].len()), "seed {seed}: one in a second");
            assert!(link.engines[&end].discards().is_empty(), "seed {seed}");
        }
    }
}

#[test]
fn a_peer_that_loops_back_no_more_is_noticed_within_the_detection_time() {
    for seed in 0..200 {
        let mult = 1 + u8::try_from(seed % 4).unwrap();
        let mut link = up(seed, [echoing(50, mult), echoing(50, 3)]);
        let before = Duration::from_millis(link.random.within(0..1_000));
        link.run(before);
        link.swallowing = [End::B].into();
        let cut = link.now;
        // Detect Mult intervals from the first packet that is missed.
        let bound = Duration::from_millis(50) * (u32::from(mult) + 1);
        link.run(bound);
        // The first of several: nothing keeps the session from coming up again.
        let Some(&Event::Down { at, why, diagnostic }) = link.downs(End::A).first() else {
            panic!("seed {seed}: {:?}", link.told)
        };
        assert_eq!((why, diagnostic), (DownReason::EchoFailed, Diagnostic::ECHO_FUNCTION_FAILED));
        assert!(at <= cut + bound, "seed {seed}");
        link.run(link.delay_max());
        let Some(&Event::Down { why, .. }) = link.downs(End::B).first() else {
            panic!("seed {seed}: {:?}", link.told)
        };
        assert_eq!(why, DownReason::NeighborDown { diagnostic }, "seed {seed}");
    }
}

#[test]
fn a_cut_is_noticed_by_echo_packets_though_control_packets_are_slow() {
    for seed in 0..100 {
        let mut link = up(seed, [echoing(50, 3), echoing(50, 3)]);
        link.cut = BOTH.into();
        link.run(Duration::from_millis(200));
        for end in BOTH {
            let [Event::Down { why, .. }] = link.downs(end)[..] else {
                panic!("seed {seed}: {:?}", link.told)
            };
            assert_eq!(why, DownReason::EchoFailed, "seed {seed}");
        }
    }
}

#[test]
fn no_session_is_down_of_which_fewer_than_detect_mult_echo_packets_in_a_row_are_missed() {
    for seed in 0..50 {
        // Of 12 packets in a row, each lost one way or the other with 19 %.
        let mut link = up(seed, [echoing(50, 12), echoing(50, 12)]);
        link.loss_per_mille = 100;
        link.delay_us = 100..30_000;
        link.run(60 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
    }
}

#[test]
fn a_process_that_stood_still_misses_no_echo_packet_of_its_own() {
    let mut told = 0;
    for seed in 0..200 {
        let mut link = up(seed, [echoing(50, 3), echoing(50, 3)]);
        let pause = Duration::from_millis(link.random.within(0..2_000));
        link.stop(End::A);
        link.run(pause);
        link.resume(End::A);
        link.run(5 * SECOND);
        // To its peer, whose packets it did not loop back, it may have failed.
        told += link.downs(End::A).len();
        let is_echo = |event: &Event| matches!(event, Event::Down { why: DownReason::EchoFailed, .. });
        assert!(!link.downs(End::A).iter().any(is_echo), "seed {seed}: {pause:?}");
        assert!(link.is_up(), "seed {seed}: {pause:?}");
    }
    assert!(told > 50, "the pauses are long enough to show something: {told}");
}
