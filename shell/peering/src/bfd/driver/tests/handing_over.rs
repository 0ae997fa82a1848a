//! One driver ends as planned, and another goes on with its session.

use super::*;
use ferrolb_bfd::{Authentication, Key};
use ferrolb_wire::bfd::AuthType;

/// Ends a driver. What it says to the next.
fn hand_over(hand: Hand, now: Instant) -> Vec<String> {
    let Hand { mut driver, mut bfd, .. } = hand;
    bfd.handle.want(|wanted| wanted.end = End::HandOver);
    assert!(!driver.turn(now));
    driver.finish(now);
    bfd.handle.handed_over.try_recv().unwrap()
}

/// The driver of the first host that goes on with what was said at that time, before its first turn.
fn follow(segment: Segment, lines: &[String], now: Instant) -> Hand {
    Hand::with(Inheritance::read(lines, now), segment, (0, 1), None)
}

/// The same after its first turn, in which it sends.
fn take_over(segment: Segment, lines: &[String], now: Instant, peer: &mut Hand) -> Hand {
    let mut hand = follow(segment, lines, now);
    assert!(hand.driver.turn(now));
    peer.wait_for_packet();
    peer.turn(now, &hand);
    hand
}

fn source_port(lines: &[String]) -> u16 {
    lines[0].split(' ').nth(5).unwrap().parse().unwrap()
}

/// How often a session came up and left that again.
fn changes(hand: &Hand) -> (u64, u64) {
    (hand.now().counts.ups, hand.now().counts.downs)
}

#[test]
fn the_peer_of_a_driver_that_is_followed_notices_nothing() {
    let (mut one, mut two, segment) = up();
    talk(&mut one, &mut two, 100, 2_000);
    let before = one.now();
    let lines = hand_over(one, at(2_000));
    assert_eq!(lines.len(), 1);
    UdpSocket::bind(segment.port(0, false)).expect("the port is free");
    let mut one = take_over(segment, &lines, at(2_400), &mut two);
    assert_eq!(one.told().state, State::Up, "before anybody says what is wanted");
    assert_eq!(one.told().local_discr, before.local_discr);
    assert_eq!((before.up_since, one.told().up_since), (Some(at(0)), Some(at(400))), "but for the gap");
    talk(&mut one, &mut two, 2_500, 4_000);
    one.want(config(300, 3));
    talk(&mut one, &mut two, 4_100, 10_000);
    assert_eq!((changes(&one), changes(&two)), ((0, 0), (1, 0)));
    assert!(one.bfd.events.try_recv().is_err() && two.bfd.events.try_recv().is_err());
    let again = hand_over(one, at(10_000));
    assert_eq!(source_port(&again), source_port(&lines));
}

#[test]
fn what_is_wanted_first_says_which_sessions_go_on_and_how() {
    let (one, mut two, segment) = up();
    let lines = hand_over(one, at(100));
    let mut one = take_over(segment, &lines, at(200), &mut two);
    one.want(config(400, 5));
    talk(&mut one, &mut two, 300, 3_000);
    assert_eq!((changes(&one), changes(&two)), ((0, 0), (1, 0)));
    assert_eq!(two.now().detection_time, Some(Duration::from_secs(2)));

    let lines = hand_over(one, at(3_000));
    let mut one = take_over(segment, &lines, at(3_100), &mut two);
    one.bfd.handle.set_sessions(BTreeMap::new());
    assert!(one.driver.turn(at(3_200)));
    two.wait_for_packet();
    assert!(two.driver.turn(at(3_200)));
    assert!(matches!(two.next_event(), Event::Down { why: DownReason::NeighborAdminDown, .. }));
    assert_eq!(hand_over(one, at(3_300)), Vec::<String>::new(), "a session that says farewell has no future");
}

#[test]
fn what_comes_too_late_begins_anew() {
    let (one, _two, segment) = up();
    let before = one.now();
    let lines = hand_over(one, at(100));
    let mut late = follow(segment, &lines, at(100));
    assert!(late.driver.turn(at(1_000)));
    let status = late.told();
    assert_eq!((status.state, status.up_since), (State::Down, None));
    assert_ne!(status.local_discr, before.local_discr);
}

#[test]
fn an_authenticated_session_goes_on_once_its_key_is_known() {
    let key = Key::new(1, b"secret").unwrap();
    let authentication = Authentication::new(AuthType::MeticulousKeyedSha1, key, None).unwrap();
    let secret = Config { authentication: Some(authentication), ..config(300, 3) };
    let (mut one, mut two, segment) = up_with(secret);
    talk(&mut one, &mut two, 100, 2_000);
    let before = one.now();
    let lines = hand_over(one, at(2_000));
    let mut one = follow(segment, &lines, at(2_000));
    assert!(one.driver.turn(at(2_100)));
    assert!(one.bfd.view.borrow().sessions.is_empty());
    one.want(secret);
    assert!(one.driver.turn(at(2_300)));
    two.wait_for_packet();
    two.turn(at(2_300), &one);
    assert_eq!((one.now().state, one.now().local_discr), (State::Up, before.local_discr));
    talk(&mut one, &mut two, 2_400, 6_000);
    assert_eq!((changes(&one), changes(&two)), ((0, 0), (1, 0)));
}

#[test]
fn a_source_port_that_another_has_taken_takes_no_session_down() {
    let (one, mut two, segment) = up();
    let lines = hand_over(one, at(100));
    let taken = UdpSocket::bind((segment.address(0), source_port(&lines))).unwrap();
    let mut one = take_over(segment, &lines, at(200), &mut two);
    talk(&mut one, &mut two, 300, 3_000);
    assert_eq!((changes(&one), changes(&two)), ((0, 0), (1, 0)));
    let again = hand_over(one, at(3_000));
    assert_ne!(source_port(&again), taken.local_addr().unwrap().port());
}

#[test]
fn a_driver_whose_handle_is_gone_hands_nothing_over() {
    let (one, _two, segment) = up();
    let Hand { mut driver, bfd, .. } = one;
    bfd.handle.want(|wanted| wanted.end = End::HandOver);
    drop(bfd);
    assert!(!driver.turn(at(100)));
    driver.finish(at(100));
    UdpSocket::bind(segment.port(0, false)).expect("the port is free");
}
