//! Sessions come up, notice what happens, and come back.

use std::time::Duration;

use ferrolb_bfd::{Config, DownReason, Event, Role};
use ferrolb_wire::bfd::{Diagnostic, State};

use crate::link::{BOTH, End, Link, SECOND, config};

/// When `end` went down, and why.
fn only_down(link: &Link, end: End, seed: u64) -> (ferrolb_vocab::Instant, DownReason) {
    let downs = link.downs(end);
    match downs[..] {
        [Event::Down { at, why, .. }] => (at, why),
        ref other => panic!("seed {seed}: {end:?} went down {} times: {other:?}", other.len()),
    }
}

#[test]
fn sessions_come_up_in_a_few_round_trips() {
    for seed in 0..300 {
        let mut link = Link::with_session(seed, [config(300, 300, 3), config(50, 50, 5)]);
        let took = link.run_until(SECOND, Link::is_up);
        assert!(took.is_some_and(|took| took <= 10 * link.delay_max()), "seed {seed}: {took:?}");
    }
}

#[test]
fn sessions_come_up_whoever_starts_first_and_in_spite_of_loss() {
    for seed in 0..300 {
        let mut link = Link::new(seed);
        link.loss_per_mille = 300;
        link.delay_us = 100..100_000;
        let (first, later) = if seed % 2 == 0 { (End::A, End::B) } else { (End::B, End::A) };
        let role = if seed % 3 == 0 { Role::Passive } else { Role::Active };
        link.begin(first, 1, Config { role, ..config(300, 300, 8) });
        let wait = Duration::from_millis(link.random.within(0..5_000));
        link.run(wait);
        link.begin(later, 1, config(300, 300, 8));
        assert!(link.run_until(30 * SECOND, Link::is_up).is_some(), "seed {seed}");
    }
}

#[test]
fn two_passive_ends_stay_silent() {
    let passive = Config { role: Role::Passive, ..Config::default() };
    let mut link = Link::with_session(1, [passive, passive]);
    link.run(100 * SECOND);
    assert!(link.sent.is_empty());
}

#[test]
fn both_ends_agree_on_the_slower_interval_and_the_detection_time_follows() {
    for seed in 0..200 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(1..6), link.random.timing(1..6)];
        let mut link = Link::up(seed, configs);
        link.run(5 * SECOND);
        for (end, own, peer) in [(End::A, configs[0], configs[1]), (End::B, configs[1], configs[0])] {
            let session = link.session(end);
            let interval = own.timing.desired_min_tx().max(peer.timing.required_min_rx());
            assert_eq!(session.tx_interval(), Some(interval), "seed {seed}");
            assert_eq!(session.peer_detection_time(), link.session(end.other()).detection_time().unwrap());
        }
    }
}

#[test]
fn a_cut_is_noticed_within_the_detection_time() {
    for seed in 0..300 {
        let mut link = Link::new(seed);
        let configs = [link.random.timing(2..6), link.random.timing(2..6)];
        let mut link = Link::up(seed, configs);
        let before = Duration::from_millis(link.random.within(0..2_000));
        link.run(before);
        link.cut = BOTH.into();
        let cut = link.now;
        let detection = BOTH.map(|end| link.session(end).detection_time().unwrap());
        link.run(20 * SECOND);
        for (end, detection) in BOTH.into_iter().zip(detection) {
            let (at, why) = only_down(&link, end, seed);
            assert_eq!(why, DownReason::DetectionTimeExpired, "seed {seed}");
            let (bound, took) = (detection + link.delay_max(), at.saturating_since(cut));
            assert!(took <= bound, "seed {seed}: {end:?} took {took:?}, at most {bound:?}");
        }
        link.cut.clear();
        assert!(link.run_until(5 * SECOND, Link::is_up).is_some(), "seed {seed}");
    }
}

#[test]
fn the_end_that_still_hears_is_told_of_a_cut_in_the_other_direction() {
    for seed in 0..300 {
        let mut link = Link::up(seed, [Config::default(); 2]);
        let before = Duration::from_millis(link.random.within(0..2_000));
        link.run(before);
        link.cut = [End::A].into();
        link.run(5 * SECOND);
        let (noticed, why) = only_down(&link, End::B, seed);
        assert_eq!(why, DownReason::DetectionTimeExpired, "seed {seed}");
        let (told, why) = only_down(&link, End::A, seed);
        let diagnostic = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
        assert_eq!(why, DownReason::NeighborDown { diagnostic }, "seed {seed}");
        assert!(told > noticed && told <= noticed + link.delay_max(), "seed {seed}");
        assert_ne!(link.session(End::B).state(), State::Up);
    }
}

#[test]
fn nobody_is_down_who_was_heard_within_the_detection_time() {
    let mut downs = 0;
    for seed in 0..100 {
        let mut link = Link::with_session(seed, [config(300, 100, 3), config(50, 200, 2)]);
        link.loss_per_mille = 250;
        link.delay_us = 100..60_000;
        for _second in 0..120 {
            link.run(Duration::from_millis(500));
            let told = std::mem::take(&mut link.told);
            for told in told {
                if let Event::Down { at, why: DownReason::DetectionTimeExpired, .. } = told.event {
                    downs += 1;
                    let (heard, detection) = link.heard[&(told.end, told.session)];
                    // A packet that came after it is newer than what took the session down.
                    if heard < at {
                        assert_eq!(Some(at.saturating_since(heard)), detection, "seed {seed}");
                    }
                }
            }
        }
    }
    assert!(downs > 100, "the loss is heavy enough to show something: {downs}");
}

#[test]
fn packets_go_as_often_as_agreed_and_no_oftener() {
    for seed in 0..50 {
        let mut link = Link::up(seed, [config(300, 300, 3), config(100, 10, 1)]);
        link.sent.clear();
        link.run(60 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
        for (end, least_ms, most_ms) in [(End::A, 225, 300), (End::B, 225, 270)] {
            let sent = &link.sent[&end];
            for pair in sent.windows(2) {
                let gap = pair[1].0.saturating_since(pair[0].0);
                let range = Duration::from_millis(least_ms)..=Duration::from_millis(most_ms);
                assert!(range.contains(&gap), "seed {seed}: {end:?} {gap:?}");
            }
        }
    }
}

#[test]
fn a_restarted_peer_has_a_new_discriminator_and_comes_up_again() {
    for seed in 0..300 {
        let mut link = Link::up(seed, [Config::default(); 2]);
        link.crash(End::B);
        let wait = Duration::from_millis(link.random.within(0..3_000));
        link.run(wait);
        link.begin(End::B, 1, Config::default());
        assert!(link.run_until(3 * SECOND, Link::is_up).is_some(), "seed {seed}");
        let (_, why) = only_down(&link, End::A, seed);
        assert!(why.is_failure(), "seed {seed}");
        let discards: Vec<_> = link.engines[&End::B].discards().keys().copied().collect();
        let is_expected = |reason: &&str| ["unknown_discriminator", "unknown_peer"].contains(reason);
        assert!(discards.iter().all(is_expected), "seed {seed}: {discards:?}");
        link.told.clear();
        link.run(10 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
    }
}

#[test]
fn a_short_pause_of_a_process_is_no_failure_and_a_long_one_only_to_its_peer() {
    for seed in 0..200 {
        let mut link = Link::up(seed, [Config::default(); 2]);
        let pause = link.random.within(0..2_000);
        link.stop(End::A);
        link.run(Duration::from_millis(pause));
        link.resume(End::A);
        if pause < 500 {
            link.run(5 * SECOND);
            assert_eq!(link.told, [], "seed {seed}: {pause} ms");
        } else {
            let own = link.told.iter().filter(|told| told.end == End::A);
            for told in own {
                let is_told = matches!(told.event, Event::Down { why: DownReason::NeighborDown { .. }, .. });
                assert!(is_told, "seed {seed}: {told:?}");
            }
            assert!(link.run_until(3 * SECOND, Link::is_up).is_some(), "seed {seed}");
        }
    }
}

#[test]
fn sessions_over_several_hops_and_one_run_side_by_side() {
    for seed in 0..50 {
        let mut link = Link::new(seed);
        for end in BOTH {
            link.begin_multihop(end, Config::default());
            for interface in 1..4 {
                link.begin(end, interface, Config::default());
            }
        }
        assert!(link.run_until(SECOND, Link::is_up).is_some(), "seed {seed}");
        assert_eq!(link.engines[&End::A].sessions().count(), 4);
        link.run(SECOND);
        link.told.clear();
        link.run(60 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
        assert!(BOTH.iter().all(|end| link.engines[end].discards().is_empty()), "seed {seed}");
    }
}

#[test]
fn hundreds_of_sessions_run_in_one_engine() {
    let mut link = Link::new(1);
    for interface in 0..500 {
        for end in BOTH {
            link.begin(end, interface, Config::default());
        }
    }
    assert!(link.run_until(SECOND, Link::is_up).is_some());
    link.told.clear();
    link.sent.clear();
    link.run(10 * SECOND);
    assert_eq!(link.told, []);
    for end in BOTH {
        let a_second = link.sent[&end].len() / 10;
        assert!((1_667..=2_223).contains(&a_second), "{a_second} packets a second");
    }
}
