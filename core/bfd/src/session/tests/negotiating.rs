//! RFC 5880 §6.5, §6.8.3, §6.8.12.

use super::*;

fn is_final(state: State) -> Control {
    Control { is_final: true, ..packet(state) }
}

fn polls(told: &[Control]) -> Vec<bool> {
    told.iter().map(|packet| packet.is_poll).collect()
}

/// The next packet that the session sends of itself, and when.
fn next(session: &mut Session) -> (Instant, Control) {
    let (due, timer) = session.poll_timeout().unwrap();
    assert_eq!(timer, Timer::Transmit);
    session.handle_timeout(due);
    let told = drain(session);
    assert_eq!(told.len(), 1);
    (due, told[0])
}

fn detection_ms(session: &Session) -> Option<u128> {
    session.detection_time().map(|time| time.as_millis())
}

#[test]
fn going_up_polls_until_final() {
    let mut session = new_session(Config::default());
    tell(&mut session, packet(State::Down), at(10));
    let told = tell(&mut session, packet(State::Init), at(20));
    assert_eq!((polls(&told), told[0].desired_min_tx), (Vec::from([true]), ms(300)));
    let sent = run_with(&mut session, packet(State::Up), 50, 3_000);
    assert!(sent.iter().all(|(_, packet)| packet.is_poll));
    assert!(gaps(&sent).iter().all(|gap| *gap >= Duration::from_millis(225)), "on scheduled packets alone");
    tell(&mut session, is_final(State::Up), at(3_000));
    let sent = run_with(&mut session, packet(State::Up), 3_000, 6_000);
    assert!(sent.len() > 5 && sent.iter().all(|(_, packet)| !packet.is_poll));
}

#[test]
fn an_interval_that_does_not_change_is_not_polled_for() {
    let mut session = new_session(config(2_000, 300, 3));
    tell(&mut session, packet(State::Down), at(10));
    assert_eq!(polls(&tell(&mut session, packet(State::Init), at(20))), [false]);
    assert_eq!(configure(&mut session, config(2_000, 300, 3), at(30)), []);
}

#[test]
fn new_intervals_wait_for_the_next_periodic_packet() {
    // §6.5: a Poll Sequence sends no packets of its own.
    let mut session = up_session(Config::default());
    assert_eq!(configure(&mut session, config(400, 400, 3), at(100)), []);
    let (due, told) = next(&mut session);
    assert!((at(235)..=at(310)).contains(&due), "{due}");
    assert_eq!((told.is_poll, told.desired_min_tx, told.required_min_rx), (true, ms(400), ms(400)));
}

#[test]
fn a_longer_transmit_interval_waits_for_final() {
    let mut session = up_session(Config::default());
    configure(&mut session, config(1_000, 300, 3), at(100));
    assert_eq!(session.tx_interval(), Some(ms(300)), "the peer does not know yet");
    let sent = run_with(&mut session, packet(State::Up), 100, 2_000);
    assert!(sent.len() >= 6);
    assert!(sent.iter().all(|(_, packet)| packet.is_poll && packet.desired_min_tx == ms(1_000)));
    tell(&mut session, is_final(State::Up), at(2_000));
    assert_eq!(session.tx_interval(), Some(ms(1_000)));
    assert_eq!((session.state(), session.poll_event()), (State::Up, None));
}

#[test]
fn a_shorter_transmit_interval_counts_at_once() {
    let mut session = up_session(Config::default());
    tell(&mut session, Control { required_min_rx: ms(10), ..packet(State::Up) }, at(90));
    configure(&mut session, config(50, 300, 3), at(100));
    assert_eq!(session.tx_interval(), Some(ms(50)));
    session.handle_timeout(at(100));
    assert_eq!(polls(&drain(&mut session)), [true], "50 ms have passed since the last packet");
}

#[test]
fn a_shorter_detection_time_waits_for_final_and_a_longer_one_counts_at_once() {
    let fast = Control { desired_min_tx: ms(10), ..packet(State::Up) };
    let mut session = up_session(Config::default());
    tell(&mut session, fast, at(90));
    assert_eq!(detection_ms(&session), Some(900));
    configure(&mut session, config(300, 50, 3), at(100));
    assert!(next(&mut session).1.is_poll);
    assert_eq!(detection_ms(&session), Some(900), "the peer may not send that fast yet");
    tell(&mut session, Control { is_final: true, ..fast }, at(320));
    assert_eq!(detection_ms(&session), Some(150));
    configure(&mut session, config(300, 400, 3), at(330));
    assert_eq!(
        detection_ms(&session),
        Some(150),
        "one change waits for the Poll Sequence of another to settle"
    );
    tell(&mut session, fast, at(340));
    assert_eq!(detection_ms(&session), Some(1_200), "the peer may send more slowly from now on");
}

#[test]
fn a_second_change_waits_for_a_packet_without_final_after_the_first() {
    let mut session = up_session(Config::default());
    configure(&mut session, config(1_000, 300, 3), at(100));
    assert!(next(&mut session).1.is_poll);
    // §6.8.3: a Final could not be told from that of the first change.
    configure(&mut session, config(2_000, 300, 3), at(320));
    assert_eq!(session.contents().desired_min_tx, ms(1_000));
    tell(&mut session, is_final(State::Up), at(330));
    assert_eq!(session.tx_interval(), Some(ms(1_000)));
    tell(&mut session, is_final(State::Up), at(340));
    assert!(!session.negotiation.is_polling(), "a second Final of the same Poll Sequence");
    tell(&mut session, packet(State::Up), at(350));
    assert_eq!(session.tx_interval(), Some(ms(1_000)));
    let (_, told) = next(&mut session);
    assert_eq!((told.is_poll, told.desired_min_tx), (true, ms(2_000)));
    tell(&mut session, is_final(State::Up), at(1_500));
    assert_eq!(session.tx_interval(), Some(ms(2_000)));
}

#[test]
fn a_final_that_nobody_asked_for_ends_nothing() {
    let mut session = up_session(Config::default());
    assert_eq!(tell(&mut session, is_final(State::Up), at(100)), []);
    configure(&mut session, config(1_000, 300, 3), at(110));
    tell(&mut session, is_final(State::Up), at(120));
    assert_eq!(session.tx_interval(), Some(ms(300)), "no Poll has gone out yet");
    assert!(next(&mut session).1.is_poll);
}

#[test]
fn a_new_detect_mult_goes_with_the_next_packet_without_a_poll() {
    let mut session = up_session(Config::default());
    assert_eq!(configure(&mut session, config(300, 300, 5), at(100)), []);
    let (_, told) = next(&mut session);
    assert_eq!((told.is_poll, told.detect_mult.get()), (false, 5));
    assert_eq!(session.peer_detection_time(), Duration::from_millis(1_500));
}

#[test]
fn what_waits_for_final_counts_at_once_when_the_session_goes_down() {
    let mut session = up_session(Config::default());
    configure(&mut session, config(2_000, 50, 3), at(100));
    tell(&mut session, Control { desired_min_tx: ms(10), ..packet(State::Down) }, at(110));
    assert_eq!((session.tx_interval(), detection_ms(&session)), (Some(ms(2_000)), Some(150)));
}

#[test]
fn an_answer_to_a_poll_carries_this_sides_news_and_its_own_poll_follows() {
    let mut session = new_session(Config::default());
    tell(&mut session, packet(State::Down), at(10));
    let told = tell(&mut session, Control { is_poll: true, ..packet(State::Up) }, at(20));
    let said: Vec<_> = told.iter().map(|packet| (packet.state, packet.is_final, packet.is_poll)).collect();
    assert_eq!(said, [(State::Up, true, false)]);
    assert_eq!(told[0].desired_min_tx, ms(300));
    let sent = run_with(&mut session, packet(State::Up), 50, 1_000);
    assert!(!sent.is_empty() && sent.iter().all(|(_, packet)| packet.is_poll));
}

#[test]
fn intervals_that_change_while_the_session_is_down_count_at_once() {
    let mut session = new_session(config(2_000, 300, 3));
    assert_eq!(configure(&mut session, config(3_000, 50, 3), at(100)), []);
    assert_eq!(session.tx_interval(), Some(ms(3_000)));
    let (due, told) = next(&mut session);
    assert!((at(2_250)..=at(3_000)).contains(&due), "{due}");
    assert_eq!((told.desired_min_tx, told.required_min_rx), (ms(3_000), ms(50)));
    assert!(!told.is_poll, "there is nobody to ask");
    let slow = Control { desired_min_tx: ms(60_000), ..packet(State::Down) };
    tell(&mut session, slow, at(3_000));
    configure(&mut session, config(4_000, 50, 3), at(3_100));
    assert_eq!(session.tx_interval(), Some(ms(4_000)));
    assert!(next(&mut session).1.is_poll);
}
