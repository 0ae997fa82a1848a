//! RFC 5880 §6.8.16, RFC 5882 §3.2, §4.2.

use super::*;

#[test]
fn a_disabled_session_says_so_and_stays_down_until_it_is_enabled() {
    let mut session = up_session(Config::default());
    session.disable(at(100));
    let diagnostic = Diagnostic::ADMINISTRATIVELY_DOWN;
    let why = DownReason::AdminDown;
    assert_eq!(session.poll_event(), Some(Event::Down { at: at(100), why, diagnostic }));
    assert!(!why.is_failure());
    let told = drain(&mut session);
    assert_eq!((told.len(), told[0].state, told[0].diagnostic), (1, State::AdminDown, diagnostic));
    // The peer is told for longer than it needs to notice, and is not listened to.
    for (time, state) in [(200, State::Up), (300, State::Down), (400, State::Init)] {
        assert_eq!(session.handle_packet(&packet(state), at(time)), Err(Discarded::AdminDown));
        assert_eq!(session.state(), State::AdminDown);
    }
    assert_eq!(session.peer_detection_time(), Duration::from_secs(3));
    let sent = run(&mut session, at(100_000));
    assert!(sent.len() >= 99 && sent.iter().all(|(_, packet)| packet.state == State::AdminDown));
    assert_eq!(session.poll_event(), None);

    session.enable(at(100_000));
    assert_eq!(drain(&mut session)[0].state, State::Down);
    tell(&mut session, packet(State::Down), at(100_010));
    tell(&mut session, packet(State::Init), at(100_020));
    assert_eq!(session.poll_event(), Some(Event::Up { at: at(100_020) }));
}

#[test]
fn a_disabled_session_still_names_the_peers() {
    let mut session = Session::new(discr(7), passive(), 42, at(0));
    session.disable(at(0));
    assert_eq!(session.poll_transmit(), None, "it is passive, and has heard nothing");
    for (mine, time) in [(9, 10), (10, 20)] {
        let says = Control { is_poll: true, my_discriminator: discr(mine), ..packet(State::Down) };
        assert_eq!(session.handle_packet(&says, at(time)), Err(Discarded::AdminDown));
        let told = drain(&mut session);
        assert_eq!((told.len(), told[0].state, told[0].is_final), (1, State::AdminDown, false));
        assert_eq!(told[0].your_discriminator, Some(discr(mine)));
    }
}

#[test]
fn to_disable_or_enable_twice_changes_nothing() {
    let mut session = up_session(Config::default());
    session.enable(at(100));
    assert_eq!((session.state(), drain(&mut session).len()), (State::Up, 0));
    session.disable(at(100));
    assert!(session.poll_event().is_some());
    drain(&mut session);
    session.disable(at(200));
    assert_eq!((session.poll_event(), drain(&mut session).len()), (None, 0));
}

#[test]
fn a_peer_that_is_taken_down_by_its_operator_has_not_failed() {
    let mut session = up_session(Config::default());
    let says = Control { diagnostic: Diagnostic::ADMINISTRATIVELY_DOWN, ..packet(State::AdminDown) };
    tell(&mut session, says, at(100));
    let why = DownReason::NeighborAdminDown;
    let diagnostic = Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN;
    assert_eq!(session.poll_event(), Some(Event::Down { at: at(100), why, diagnostic }));
    assert!(!why.is_failure());
    assert_eq!(session.remote_state(), State::AdminDown);
    // Its silence after that is none either.
    run(&mut session, at(60_000));
    assert_eq!(session.poll_event(), None);
    assert_eq!(session.state(), State::Down);
}

#[test]
fn a_peer_that_goes_down_gives_its_reason() {
    let mut session = up_session(Config::default());
    let theirs = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
    tell(&mut session, Control { diagnostic: theirs, ..packet(State::Down) }, at(100));
    let why = DownReason::NeighborDown { diagnostic: theirs };
    let diagnostic = Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN;
    assert_eq!(session.poll_event(), Some(Event::Down { at: at(100), why, diagnostic }));
    assert!(why.is_failure());
}

#[test]
fn a_peer_that_begins_anew_has_not_failed_and_one_that_was_told_so_is_another_matter() {
    let anew = Control { diagnostic: Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN, ..packet(State::Down) };
    let mut session = up_session(Config::default());
    tell(&mut session, anew, at(100));
    let Some(Event::Down { why, .. }) = session.poll_event() else { panic!("it is down") };
    assert_eq!((why, why.is_failure()), (DownReason::NeighborReset, false));
    // This side did say it: what took the session down was this side's to tell before.
    let mut session = up_session(Config::default());
    let due = session.detection_due().unwrap();
    run(&mut session, due);
    let Some(Event::Down { why, .. }) = session.poll_event() else { panic!("it is down") };
    assert!(why.is_failure());
    tell(&mut session, anew, due + TICK);
    assert_eq!(session.poll_event(), None);
}

#[test]
fn each_reason_has_a_name_of_its_own() {
    let names = [
        DownReason::DetectionTimeExpired,
        DownReason::EchoFailed,
        DownReason::NeighborDown { diagnostic: Diagnostic::NONE },
        DownReason::NeighborReset,
        DownReason::NeighborAdminDown,
        DownReason::AdminDown,
    ]
    .map(DownReason::reason);
    let distinct: alloc::collections::BTreeSet<_> = names.into();
    assert_eq!(distinct.len(), names.len());
}
