//! RFC 5880 §6.4, §6.8.3, §6.8.5, §6.8.9.

use super::*;

/// Echo packets every 50 ms.
fn echoing(mult: u8) -> Config {
    let Config { timing, .. } = config(300, 300, mult);
    Config { timing: timing.with_echo(ms(50)).unwrap(), ..Config::default() }
}

/// A peer that loops back Echo packets every 20 ms.
fn looping(state: State) -> Control {
    Control { required_min_echo_rx: ms(20), ..packet(state) }
}

/// A session that went Up at `at(10)` with a peer that loops back, on a driver that can.
fn up_with_echo(config: Config) -> Session {
    let mut session = new_session(config);
    session.set_echo_possible(true, at(0));
    for state in [State::Down, State::Init] {
        tell(&mut session, looping(state), at(10));
    }
    assert_eq!(session.poll_event(), Some(Event::Up { at: at(10) }));
    session
}

/// Calls the session when it asks to be, until `end`, while the peer says what it says every 50 ms.
/// The Echo packets that it sends, which come back at once if `is_returned` says so.
fn echo(
    session: &mut Session,
    (from, end): (u64, u64),
    says: Control,
    mut is_returned: impl FnMut(usize) -> bool,
) -> Vec<Instant> {
    let mut sent = Vec::new();
    for time in (from..end).step_by(50) {
        tell(session, says, at(time));
        while let Some((due, _)) = session.poll_timeout().filter(|(due, _)| *due < at(time + 50)) {
            session.handle_timeout(due.max(at(time)));
            drain(session);
            if let Some(sequence) = session.poll_echo() {
                if is_returned(sent.len()) {
                    assert!(session.handle_echo(sequence), "it is waited for");
                }
                sent.push(due.max(at(time)));
            }
        }
    }
    sent
}

fn spans(sent: &[Instant]) -> Vec<Duration> {
    sent.windows(2).map(|pair| pair[1].saturating_since(pair[0])).collect()
}

#[test]
fn echo_packets_go_at_the_slower_of_what_this_side_would_and_the_peer_can_loop_back() {
    for (theirs, mult, least, most) in
        [(20, 3, 37_500, 50_000), (80, 3, 60_000, 80_000), (20, 1, 37_500, 45_000)]
    {
        let mut session = up_with_echo(echoing(mult));
        let says = Control { required_min_echo_rx: ms(theirs), ..packet(State::Up) };
        let sent = echo(&mut session, (50, 10_050), says, |_| true);
        assert_eq!((session.state(), session.echo_interval()), (State::Up, Some(ms(theirs.max(50)))));
        let range = Duration::from_micros(least)..=Duration::from_micros(most);
        assert!(sent.len() > 100 && spans(&sent).iter().all(|gap| range.contains(gap)), "{:?}", spans(&sent));
    }
}

#[test]
fn no_echo_packets_go_unless_the_session_is_up_and_both_sides_can() {
    let silent = |session: &mut Session, says| {
        assert_eq!(echo(session, (50, 2_000), says, |_| true), []);
        assert_eq!(session.echo_interval(), None);
    };
    // The peer cannot, the operator does not want it, the driver cannot.
    silent(&mut up_with_echo(echoing(3)), packet(State::Up));
    silent(&mut up_with_echo(Config::default()), looping(State::Up));
    let mut session = up_with_echo(echoing(3));
    session.set_echo_possible(false, at(10));
    silent(&mut session, looping(State::Up));
    // In Init.
    let mut session = new_session(echoing(3));
    session.set_echo_possible(true, at(0));
    silent(&mut session, looping(State::Down));
    // And none goes that was due when the session left Up.
    let mut session = up_with_echo(echoing(3));
    session.handle_timeout(at(10));
    tell(&mut session, looping(State::AdminDown), at(10));
    assert_eq!(session.poll_echo(), None);
}

#[test]
fn the_peer_is_told_how_often_its_echo_packets_are_looped_back_and_zero_where_they_are_not() {
    let told = |session: &mut Session| run(session, at(5_000))[0].1.required_min_echo_rx;
    let mut session = new_session(echoing(3));
    assert_eq!(told(&mut session), Interval::ZERO, "the driver cannot yet");
    session.set_echo_possible(true, at(5_000));
    assert_eq!(drain(&mut session), [], "it waits for the next periodic packet");
    session.handle_timeout(at(6_000));
    assert_eq!(drain(&mut session)[0].required_min_echo_rx, ms(50));
    let mut session = new_session(Config::default());
    session.set_echo_possible(true, at(0));
    assert_eq!(told(&mut session), Interval::ZERO, "the operator wants none");
}

#[test]
fn detect_mult_echo_packets_in_a_row_that_do_not_come_back_take_the_session_down() {
    for mult in 1..=4_u8 {
        let mut session = up_with_echo(echoing(mult));
        let sent = echo(&mut session, (50, 4_000), looping(State::Up), |number| number < 20);
        assert_eq!(sent.len(), 20 + usize::from(mult));
        let Some(Event::Down { at: noticed, why, diagnostic }) = session.poll_event() else {
            panic!("{mult}")
        };
        assert_eq!((why, why.is_failure()), (DownReason::EchoFailed, true));
        assert_eq!(diagnostic, Diagnostic::ECHO_FUNCTION_FAILED);
        assert_eq!(diagnostic, session.local_diag());
        // The Detection Time of the Echo function: of the first that is missed, at most.
        let took = noticed.saturating_since(sent[20]);
        assert!(took <= Duration::from_millis(50) * u32::from(mult), "{took:?}");
        assert!(took >= Duration::from_millis(37) * u32::from(mult), "{took:?}");
    }
}

#[test]
fn fewer_lost_echo_packets_than_detect_mult_are_no_failure() {
    let mut session = up_with_echo(echoing(3));
    // Two of three are lost.
    let sent = echo(&mut session, (50, 10_000), looping(State::Up), |number| number % 3 == 0);
    assert!(sent.len() > 150);
    assert_eq!((session.state(), session.poll_event()), (State::Up, None));
}

#[test]
fn a_driver_that_was_held_up_misses_no_echo_packet_that_it_did_not_send() {
    let mut session = up_with_echo(echoing(3));
    session.handle_timeout(at(10));
    let sequence = session.poll_echo().unwrap();
    // The driver stands still, with the peer's packets and one that came back in its sockets.
    tell(&mut session, looping(State::Up), at(2_000));
    assert!(session.handle_echo(sequence));
    session.handle_timeout(at(2_000));
    assert_eq!((session.state(), session.poll_echo()), (State::Up, Some(sequence.wrapping_add(1))));
}

#[test]
fn silence_is_the_reason_where_both_have_failed() {
    let mut session = up_with_echo(echoing(3));
    for time in [10, 60, 110] {
        session.handle_timeout(at(time));
        assert!(session.poll_echo().is_some());
    }
    session.handle_timeout(at(10_000));
    let (why, diagnostic) = (DownReason::DetectionTimeExpired, Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
    assert_eq!(session.poll_event(), Some(Event::Down { at: at(10_000), why, diagnostic }));
    assert_eq!((session.local_diag(), session.poll_echo()), (diagnostic, None));
}

#[test]
fn an_echo_packet_counts_once_and_only_while_it_is_waited_for() {
    let mut session = up_with_echo(echoing(3));
    assert!(!session.handle_echo(0), "none was sent");
    session.handle_timeout(at(10));
    let first = session.poll_echo().unwrap();
    session.handle_timeout(at(60));
    let second = session.poll_echo().unwrap();
    assert_eq!(second, first.wrapping_add(1));
    assert!(!session.handle_echo(second.wrapping_add(1)), "not sent yet");
    assert!(session.handle_echo(second));
    assert!(!session.handle_echo(second) && !session.handle_echo(first), "the path is known to work");
}

#[test]
fn while_echo_packets_go_the_peers_packets_need_not_come_oftener_than_once_in_a_second() {
    let mut session = up_with_echo(echoing(3));
    assert_eq!(session.contents().required_min_rx, ms(1_000));
    assert_eq!(session.detection_time(), Some(Duration::from_secs(3)), "a longer one counts at once");
    // The peer's change of mind is polled for, and waits for Final.
    tell(&mut session, Control { is_final: true, ..packet(State::Up) }, at(20));
    tell(&mut session, packet(State::Up), at(30));
    assert_eq!((session.echo_interval(), session.contents().required_min_rx), (None, ms(300)));
    assert_eq!(session.detection_time(), Some(Duration::from_secs(3)));
    let sent = run(&mut session, at(1_000));
    assert!(sent.iter().all(|(_, packet)| packet.is_poll) && !sent.is_empty());
    tell(&mut session, Control { is_final: true, ..packet(State::Up) }, at(1_000));
    assert_eq!(session.detection_time(), Some(Duration::from_millis(900)));
}
