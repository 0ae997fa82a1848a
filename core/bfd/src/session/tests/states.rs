//! RFC 5880 §6.8.1, §6.8.4, §6.8.6, §6.8.18.

use super::*;

fn in_state(state: State) -> Session {
    match state {
        State::AdminDown => {
            let mut session = new_session(Config::default());
            session.disable(at(0));
            drain(&mut session);
            session
        }
        State::Down => new_session(Config::default()),
        State::Init => {
            let mut session = new_session(Config::default());
            tell(&mut session, packet(State::Down), at(10));
            session
        }
        State::Up => up_session(Config::default()),
    }
}

#[test]
fn a_session_begins_down_and_knows_nothing() {
    let mut session = Session::new(discr(7), Config::default(), 42, at(0));
    assert_eq!((session.state(), session.remote_state()), (State::Down, State::Down));
    assert_eq!((session.local_diag(), session.remote_diag()), (Diagnostic::NONE, Diagnostic::NONE));
    assert_eq!(session.detection_time(), None);
    let first = session.poll_transmit().unwrap();
    let expected = Control {
        my_discriminator: discr(7),
        your_discriminator: None,
        desired_min_tx: ms(1_000),
        ..packet(State::Down)
    };
    assert_eq!(first, expected);
    assert_eq!(session.poll_transmit(), None);
}

#[test]
fn every_state_and_received_state_leads_where_rfc5880_6_8_6_says() {
    use State::{AdminDown, Down, Init, Up};
    let rows = [
        // received: AdminDown, Down, Init, Up
        (AdminDown, [AdminDown, AdminDown, AdminDown, AdminDown]),
        (Down, [Down, Init, Up, Down]),
        (Init, [Down, Init, Up, Up]),
        (Up, [Down, Down, Up, Up]),
    ];
    for (before, row) in rows {
        for (received, after) in [AdminDown, Down, Init, Up].into_iter().zip(row) {
            let mut session = in_state(before);
            assert_eq!(session.state(), before);
            let taken = session.handle_packet(&packet(received), at(20));
            assert_eq!(session.state(), after, "{before:?}, told {received:?}");
            assert_eq!(session.remote_state(), received);
            assert_eq!(taken.is_err(), before == AdminDown);
            let event = match (before == Up, after == Up) {
                (false, true) => Some(Event::Up { at: at(20) }),
                (true, false) => Some(Event::Down {
                    at: at(20),
                    why: DownReason::of_neighbor(&packet(received)),
                    diagnostic: Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN,
                }),
                (false, false) | (true, true) => None,
            };
            assert_eq!(session.poll_event(), event, "{before:?}, told {received:?}");
            let has_fallen = after == Down && before != Down;
            if has_fallen {
                assert_eq!(session.local_diag(), Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN);
            }
            let told: Vec<_> = drain(&mut session).iter().map(|packet| packet.state).collect();
            if before != after {
                assert_eq!(told, [after], "{before:?}, told {received:?}");
            }
        }
    }
}

#[test]
fn what_the_peer_says_replaces_what_it_said() {
    let mut session = up_session(Config::default());
    let diagnostic = Diagnostic::FORWARDING_PLANE_RESET;
    let other = Control { my_discriminator: discr(10), diagnostic, ..packet(State::Up) };
    let told = tell(&mut session, Control { required_min_rx: ms(700), ..other }, at(20));
    assert_eq!(told.first().and_then(|packet| packet.your_discriminator), Some(discr(10)));
    assert_eq!(session.tx_interval(), Some(ms(700)));
    assert_eq!(session.remote_diag(), diagnostic);
}

#[test]
fn the_detection_time_is_the_peers_mult_times_the_interval_it_agreed_to() {
    for (own_rx, peer_tx, peer_mult, expected_ms) in [
        (50, 300, 3, 900),
        (300, 50, 3, 900),
        (300, 300, 5, 1_500),
        (60_000, 10, 255, 15_300_000),
        (10, 10, 1, 10),
    ] {
        let mut session = up_session(config(300, own_rx, 7));
        let says = Control {
            desired_min_tx: ms(peer_tx),
            detect_mult: NonZeroU8::new(peer_mult).unwrap(),
            ..packet(State::Up)
        };
        tell(&mut session, says, at(100));
        assert_eq!(session.detection_time(), Some(Duration::from_millis(expected_ms)));
        assert_eq!(session.rx_interval(), Some(ms(own_rx.max(peer_tx))));
        let due = at(100 + expected_ms);
        session.handle_timeout(due - TICK);
        assert_eq!(session.state(), State::Up, "{own_rx} {peer_tx} {peer_mult}");
        session.handle_timeout(due);
        assert_eq!(session.state(), State::Down, "{own_rx} {peer_tx} {peer_mult}");
    }
}

#[test]
fn silence_for_the_detection_time_takes_init_and_up_down() {
    for before in [State::Init, State::Up] {
        let mut session = in_state(before);
        let due = session.detection_due().unwrap();
        run(&mut session, due);
        assert_eq!(session.state(), State::Down);
        assert_eq!(session.local_diag(), Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
        let why = DownReason::DetectionTimeExpired;
        let diagnostic = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
        let event = (before == State::Up).then_some(Event::Down { at: due, why, diagnostic });
        assert_eq!(session.poll_event(), event);
        assert!(why.is_failure());
    }
}

#[test]
fn the_timeout_says_what_it_is_for() {
    let mut session = up_session(Config::default());
    assert_eq!(session.poll_timeout().map(|(_, timer)| timer), Some(Timer::Transmit));
    tell(&mut session, Control { required_min_rx: ms(60_000), ..packet(State::Up) }, at(100));
    assert_eq!(session.poll_timeout(), Some((at(1_000), Timer::Detection)));
}

#[test]
fn a_session_that_is_down_is_kept_for_a_detection_time_and_then_forgotten() {
    let mut session = up_session(Config::default());
    let says = Control { required_min_rx: ms(5_000), ..packet(State::Down) };
    let told = tell(&mut session, says, at(100));
    assert_eq!(told.first().and_then(|packet| packet.your_discriminator), Some(discr(9)));
    assert_eq!(session.tx_interval(), Some(ms(5_000)), "a peer may ask for peace while it is down");
    assert_eq!(session.detection_time(), Some(Duration::from_millis(900)));
    let told = run(&mut session, at(1_000));
    assert_eq!(told.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [at(1_000)]);
    assert_eq!(told[0].1.your_discriminator, None, "bfd.RemoteDiscr is zero");
    assert_eq!((session.tx_interval(), session.detection_time()), (Some(ms(1_000)), None));
    assert_eq!(session.local_diag(), Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN, "nothing new has failed");
    assert!(matches!(session.poll_event(), Some(Event::Down { why: DownReason::NeighborDown { .. }, .. })));
    run(&mut session, at(60_000));
    assert_eq!(session.poll_event(), None);
}

#[test]
fn a_driver_that_was_held_up_loses_no_session_whose_packets_it_hands_in_first() {
    let mut session = up_session(Config::default());
    assert!(session.poll_timeout().is_some_and(|(due, _)| due < at(5_000)));
    tell(&mut session, packet(State::Up), at(5_000));
    session.handle_timeout(at(5_000));
    assert_eq!((session.state(), session.poll_event()), (State::Up, None));
}

#[test]
fn the_diagnostic_lasts_until_the_session_is_up_again() {
    let mut session = up_session(Config::default());
    let told = run(&mut session, at(910));
    assert!(told.iter().any(|(_, packet)| packet.diagnostic == Diagnostic::CONTROL_DETECTION_TIME_EXPIRED));
    let init = tell(&mut session, packet(State::Down), at(2_000));
    assert_eq!(init[0].diagnostic, Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
    let up = tell(&mut session, packet(State::Init), at(2_010));
    assert_eq!((up[0].state, up[0].diagnostic), (State::Up, Diagnostic::NONE));
}
