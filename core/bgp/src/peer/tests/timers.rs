//! HoldTimer, KeepaliveTimer, SendHoldTimer: RFC 4271 §4.4, §6.5, §8.2.2, §10, RFC 9687.

use super::*;

#[test]
fn the_peer_has_four_minutes_for_its_open() {
    let (mut peer, id) = open_sent(config());
    assert_eq!(peer.poll_timeout(), Some((at(10) + OPEN_HOLD_TIME, Timer::Hold)));
    let done = run(&mut peer, at(10) + OPEN_HOLD_TIME);
    let expired = [(at(240_010), id, Did::Notification(4, 0)), (at(240_010), id, Did::Close)];
    assert_eq!(done, expired);
    assert_eq!(why(&mut peer), Some(Reason::HoldTimerExpired));
}

#[test]
fn silence_for_the_hold_time_ends_the_session() {
    let theirs = Open { hold_time: 9, ..open() };
    for confirm in [true, false] {
        let (mut peer, id, since) = if confirm {
            let (peer, id) = open_confirm(config(), &theirs);
            (peer, id, at(20))
        } else {
            let (peer, id) = established(config(), &theirs);
            (peer, id, at(30))
        };
        let done = run(&mut peer, since + 9 * SECOND);
        let ends: Vec<_> = done.into_iter().filter(|(_, _, did)| *did != Did::Keepalive).collect();
        let due = since + 9 * SECOND;
        assert_eq!(ends, [(due, id, Did::Notification(4, 0)), (due, id, Did::Close)]);
        assert_eq!(why(&mut peer), Some(Reason::HoldTimerExpired));
    }
}

#[test]
fn keepalives_and_updates_are_signs_of_life_and_route_refreshes_are_none() {
    let theirs = Open { hold_time: 9, ..open() };
    let refresh =
        RouteRefresh { family: Some(ferrolb_wire::bgp::Family::Ipv4Unicast), subtype: Subtype::Request };
    for (octets, is_sign) in [
        (Vec::from(keepalive()), true),
        (update("198.51.100.1/32", &[64_513]), true),
        (refresh.emit(), false),
    ] {
        let (mut peer, id) = established(config(), &theirs);
        tell(&mut peer, id, &octets, at(5_000));
        let due = if is_sign { at(14_000) } else { at(9_030) };
        assert_eq!(first(&mut peer, Did::Notification(4, 0), at(60_000)), Some(due));
    }
}

#[test]
fn a_driver_that_was_held_up_loses_no_peer_whose_octets_it_hands_in_first() {
    let (mut peer, id) = established(config(), &Open { hold_time: 9, ..open() });
    tell(&mut peer, id, &keepalive(), at(20_000));
    peer.handle_timeout(at(20_000));
    assert_eq!((did(&mut peer), peer.state()), (alloc::vec![Did::Keepalive], State::Established));
}

#[test]
fn keepalives_go_every_third_of_the_hold_time_less_jitter() {
    let (mut peer, id) = established(config(), &Open { hold_time: 30, ..open() });
    let mut sent = Vec::new();
    for second in 1..3_000 {
        sent.extend(run(&mut peer, at(second * 1_000)));
        tell(&mut peer, id, &keepalive(), at(second * 1_000));
    }
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].0.saturating_since(pair[0].0)).collect();
    assert!(gaps.iter().all(|gap| (7_500 * SECOND / 1_000..=10 * SECOND).contains(gap)), "{gaps:?}");
    let [least, most] = [gaps.iter().min().unwrap(), gaps.iter().max().unwrap()];
    assert!(*most - *least > 2 * SECOND, "each is drawn anew: {least:?} to {most:?}");
}

#[test]
fn no_two_keepalives_go_in_one_second() {
    let (mut peer, id) = established(Config { hold_time: hold(3), ..config() }, &open());
    let mut sent = Vec::new();
    for half in 1..200 {
        sent.extend(run(&mut peer, at(half * 500)));
        tell(&mut peer, id, &keepalive(), at(half * 500));
    }
    assert!(sent.windows(2).all(|pair| pair[1].0.saturating_since(pair[0].0) == SECOND));
    assert!(sent.len() > 90);
}

#[test]
fn a_hold_time_of_zero_means_no_keepalives_and_silence_for_ever() {
    let (mut peer, id) = open_confirm(Config { hold_time: HoldTime::ZERO, ..config() }, &open());
    let open_hold = Some((at(10) + OPEN_HOLD_TIME, Timer::Hold));
    assert_eq!(peer.poll_timeout(), open_hold, "the KEEPALIVE that is owed must come");
    peer.rib_out_mut().complete();
    tell(&mut peer, id, &keepalive(), at(30));
    assert_eq!((peer.state(), peer.poll_timeout()), (State::Established, None));
    tell(&mut peer, id, &keepalive(), at(40));
    assert_eq!(peer.poll_timeout(), None);
}

#[test]
fn a_peer_that_reads_nothing_is_given_up_without_a_word() {
    for (hold_time, send_hold_time) in [(9, 480), (600, 1_200)] {
        let (mut peer, id) =
            established(Config { hold_time: hold(hold_time), ..config() }, &Open { hold_time, ..open() });
        peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
        peer.flush(at(1_000));
        assert_eq!(did(&mut peer), [Did::Update]);
        let end = at(1_000) + send_hold_time * SECOND;
        let mut now = at(1_000);
        while now < end {
            assert_eq!(peer.state(), State::Established);
            peer.handle_octets(id, &keepalive(), now);
            now = (now + SECOND).min(end);
            peer.handle_timeout(now);
        }
        let last = drain(&mut peer);
        assert_eq!(last.last(), Some(&(id, Did::Abort)), "{hold_time}");
        assert!(!last.iter().any(|(_, did)| matches!(did, Did::Notification(..))));
        assert_eq!(why(&mut peer), Some(Reason::SendHoldTimerExpired));
    }
    // With a hold time of zero it may take its time.
    let (mut peer, _) = established(Config { hold_time: HoldTime::ZERO, ..config() }, &open());
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.flush(at(1_000));
    assert_eq!((did(&mut peer), peer.poll_timeout()), (alloc::vec![Did::Update], None));
}

#[test]
fn a_connection_that_takes_what_is_sent_is_not_given_up() {
    let (mut peer, id) = established(config(), &open());
    for second in 1..1_000 {
        run(&mut peer, at(second * 1_000));
        tell(&mut peer, id, &keepalive(), at(second * 1_000));
    }
    assert_eq!(peer.state(), State::Established);
}
