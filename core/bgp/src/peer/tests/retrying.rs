//! When this side connects: RFC 4271 §8.1.1, §8.2.2, §10.

use super::*;
use crate::peer::dialling::{ATTEMPT_TIME, FIRST_RETRY};

/// The times between `count` attempts that TCP refuses at once.
fn gaps(config: Config, seed: u64, count: usize) -> Vec<Duration> {
    let mut peer = Peer::new(config, seed);
    peer.start(at(0));
    let mut now = at(0);
    let mut gaps = Vec::new();
    while gaps.len() < count {
        let [(id, Did::Connect)] = drain(&mut peer)[..] else { panic!("no attempt") };
        peer.handle_connect_failed(id, now);
        let (due, timer) = peer.poll_timeout().unwrap();
        assert_eq!(timer, Timer::ConnectRetry);
        gaps.push(due.saturating_since(now));
        now = due;
        peer.handle_timeout(now);
    }
    gaps
}

fn is_jittered(gap: Duration, nominal: Duration) -> bool {
    (nominal * 3 / 4..=nominal).contains(&gap)
}

#[test]
fn attempts_are_fast_at_first_and_then_as_slow_as_configured() {
    for (seed, longest) in [(1, 120), (2, 5), (3, 1)] {
        let connect_retry_time = Duration::from_secs(longest);
        let gaps = gaps(Config { connect_retry_time, ..config() }, seed, 12);
        for (gap, exponent) in gaps.iter().zip(0_u32..) {
            let nominal = (FIRST_RETRY * 2_u32.pow(exponent)).min(connect_retry_time);
            assert!(is_jittered(*gap, nominal), "{exponent}: {gap:?}, {nominal:?}");
        }
    }
    assert_ne!(gaps(config(), 1, 3), gaps(config(), 2, 3), "neighbours do not fall into step");
}

#[test]
fn an_attempt_without_an_answer_is_given_up_and_made_anew() {
    let (mut peer, first) = started(config());
    assert_eq!(peer.poll_timeout(), Some((at(0) + ATTEMPT_TIME, Timer::Connect)));
    let done = run(&mut peer, at(15_000));
    assert_eq!(done[0], (at(10_000), first, Did::Abort));
    let (when, second, Did::Connect) = done[1] else { panic!("{done:?}") };
    assert!(is_jittered(when.saturating_since(at(10_000)), FIRST_RETRY) && second != first);
    assert_eq!(why(&mut peer), Some(Reason::ConnectTimedOut));
    // What comes of the first is too late.
    peer.handle_connect_failed(first, when);
    assert_eq!((did(&mut peer), peer.state()), (Vec::new(), State::Connect));
}

#[test]
fn a_peer_that_refuses_every_open_is_tried_ever_more_slowly() {
    let (mut peer, mut id) = started(config());
    let mut now = at(0);
    let mut attempts = 0;
    let refusal = Notification { code: 2, subcode: 2, data: Vec::new() };
    while now < at(600_000) {
        attempts += 1;
        connect(&mut peer, id, now);
        // It takes the OPEN of this side for good first, and even agrees.
        tell(&mut peer, id, &open().emit(), now);
        tell(&mut peer, id, &keepalive(), now);
        tell(&mut peer, id, &refusal.emit(), now);
        let (due, _) = peer.poll_timeout().unwrap();
        now = due;
        peer.handle_timeout(now);
        let [(next, Did::Connect)] = drain(&mut peer)[..] else { panic!() };
        id = next;
    }
    assert!((10..=16).contains(&attempts), "{attempts} in ten minutes");
}

/// A peer whose connection has been opened at `began`, after seven attempts that have failed.
fn after_failures(began: Instant) -> (Peer, ConnectionId) {
    let (mut peer, mut id) = started(config());
    for _failed in 0..7 {
        peer.handle_connect_failed(id, at(0));
        let (due, _) = peer.poll_timeout().unwrap();
        peer.handle_timeout(due);
        id = peer.attempt.unwrap().id;
    }
    did(&mut peer);
    connect(&mut peer, id, began);
    (peer, id)
}

#[test]
fn back_off_ends_only_with_a_session_that_lasted_longer_than_the_hold_time() {
    let began = at(1_000_000);
    let retry = |lasted| {
        let (mut peer, id) = after_failures(began);
        tell(&mut peer, id, &open().emit(), began);
        tell(&mut peer, id, &keepalive(), began);
        peer.handle_closed(id, began + lasted);
        peer.status(began + lasted).next_attempt.unwrap()
    };
    let [short, long] = [90_000, 90_001].map(|ms| retry(Duration::from_millis(ms)));
    assert!(short > 89 * SECOND, "{short:?}");
    assert!(long <= FIRST_RETRY, "{long:?}");
}

#[test]
fn who_changes_the_configuration_or_resets_waits_for_nothing_that_failed_before() {
    let began = at(1_000_000);
    let ends: [fn(&mut Peer, Instant); 2] = [
        |peer, now| {
            peer.set_config(Config { hold_time: hold(30), ..config() }, now);
        },
        |peer, now| peer.stop(Stop::Reset, now),
    ];
    for end in ends {
        for messages in 0..=2 {
            let (mut peer, id) = after_failures(began);
            for octets in [open().emit(), keepalive().into()].iter().take(messages) {
                tell(&mut peer, id, octets, began);
            }
            let now = began + SECOND;
            end(&mut peer, now);
            let next = peer.status(now).next_attempt.unwrap();
            assert!(is_jittered(next, FIRST_RETRY), "{messages}: {next:?}");
        }
    }
}

#[test]
fn a_passive_peer_waits_and_takes_who_connects() {
    let mut peer = Peer::new(Config { role: Role::Passive, ..config() }, 42);
    peer.start(at(0));
    assert_eq!((did(&mut peer), peer.poll_timeout()), (Vec::new(), None));
    assert_eq!(peer.state(), State::Active);
    let (id, did_) = accept(&mut peer, at(10));
    assert_eq!(did_, [(id, Did::Open)]);
    tell(&mut peer, id, &open().emit(), at(20));
    tell(&mut peer, id, &keepalive(), at(30));
    assert_eq!(peer.state(), State::Established);
    peer.handle_closed(id, at(40));
    assert_eq!((did(&mut peer), peer.poll_timeout()), (Vec::new(), None));
}

#[test]
fn whoever_waits_to_connect_takes_who_connects_instead() {
    let (mut peer, first) = started(config());
    peer.handle_connect_failed(first, at(5));
    assert!(matches!(peer.poll_timeout(), Some((_, Timer::ConnectRetry))));
    let (theirs, did_) = accept(&mut peer, at(10));
    assert_eq!(did_, [(theirs, Did::Open)]);
    tell(&mut peer, theirs, &open().emit(), at(20));
    assert_eq!(peer.status(at(20)).next_attempt, None, "nothing is left to do but to wait");
    peer.handle_closed(theirs, at(30));
    assert!(matches!(peer.poll_timeout(), Some((_, Timer::ConnectRetry))), "its turn again");
}

#[test]
fn who_connects_and_says_nothing_holds_up_no_attempt() {
    let (mut peer, first_attempt) = started(config());
    peer.handle_connect_failed(first_attempt, at(5));
    let waits = peer.poll_timeout();
    for ms in [10, 20, 30] {
        accept(&mut peer, at(ms));
        assert_eq!(peer.poll_timeout(), waits);
    }
    assert_eq!(first(&mut peer, Did::Connect, at(1_005)), waits.map(|(due, _)| due));
    // Nor does it make this side connect any oftener.
    let id = peer.attempt.unwrap().id;
    peer.handle_connect_failed(id, at(1_010));
    let waits = peer.poll_timeout();
    let (theirs, _) = accept(&mut peer, at(1_020));
    peer.handle_closed(theirs, at(1_030));
    assert_eq!(peer.poll_timeout(), waits);
    // Nor any more seldom: two attempts have failed.
    let gap = peer.status(at(1_010)).next_attempt.unwrap();
    assert!(is_jittered(gap, 2 * FIRST_RETRY), "{gap:?}");
    assert_eq!(why(&mut peer), Some(Reason::ConnectionClosed), "but it is told");
    // Who waits for what was wrong does so no longer, whoever is connected.
    accept(&mut peer, at(1_040));
    peer.set_config(Config { hold_time: hold(30), ..config() }, at(1_050));
    let next = peer.status(at(1_050)).next_attempt.unwrap();
    assert!(next <= FIRST_RETRY, "{next:?}");
}

#[test]
fn without_a_time_to_wait_this_side_still_waits_a_second_less_jitter() {
    let gaps = gaps(Config { connect_retry_time: Duration::ZERO, ..config() }, 1, 10);
    assert!(gaps.iter().all(|gap| is_jittered(*gap, FIRST_RETRY)), "{gaps:?}");
}

#[test]
fn each_attempt_has_a_name_of_its_own_and_goes_from_where_the_configuration_says_then() {
    let (mut peer, first) = started(config());
    peer.handle_connect_failed(first, at(5));
    let moved = Transport { source: Some("192.0.2.7".parse().unwrap()), ..config().transport };
    peer.set_config(Config { transport: moved.clone(), ..config() }, at(6));
    let [(second, Did::Connect)] = drain(&mut peer)[..] else { panic!("no attempt") };
    assert_ne!(first, second);
    assert_eq!(peer.config().transport, moved);
    let incoming = peer.next_connection();
    assert!(incoming != first && incoming != second);
}
