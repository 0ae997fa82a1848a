//! How a session is ended: RFC 4486, RFC 9003, RFC 8538, RFC 4724 §4.

use super::*;

fn stopped(config: Config, open: &Open, stop: Stop) -> (Peer, Vec<Did>) {
    let (mut peer, _) = established(config, open);
    peer.stop(stop.clone(), at(40));
    let did = did(&mut peer);
    assert_eq!(why(&mut peer), Some(Reason::Stopped(stop)));
    (peer, did)
}

#[test]
fn each_reason_to_stop_has_its_cease() {
    let shutdown = Stop::Shutdown(Some("node-1 drains".into()));
    for (stop, expected) in [
        (shutdown, Cease::AdministrativeShutdown),
        (Stop::PeerRemoved, Cease::PeerDeconfigured),
        (Stop::Reset, Cease::AdministrativeReset),
        (Stop::Restart, Cease::AdministrativeReset),
    ] {
        let (peer, did) = stopped(config(), &open(), stop.clone());
        assert_eq!(did, [cease(expected), Did::Close], "{stop:?}");
        let state = if stop == Stop::Reset { State::Active } else { State::Idle };
        assert_eq!((peer.state(), peer.poll_timeout().is_none()), (state, state == State::Idle), "{stop:?}");
    }
}

#[test]
fn a_shutdown_says_why_in_the_operators_words() {
    let (mut peer, _) = established(config(), &open());
    peer.stop(Stop::Shutdown(Some("node-1 drains".into())), at(40));
    let told = peer.status(at(40)).last_sent.unwrap();
    assert_eq!((told.at, told.notification.text().as_deref()), (at(40), Some("node-1 drains")));
}

#[test]
fn a_restart_has_a_peer_that_can_keep_the_routes() {
    // Nothing is said, unless both sides keep routes after a NOTIFICATION.
    for (ours, theirs, expected) in [
        (false, false, &[Did::Close][..]),
        (true, false, &[Did::Close]),
        (false, true, &[Did::Close]),
        (true, true, &[Did::Notification(6, 4), Did::Close]),
    ] {
        let (_, did) = stopped(restarting_config(ours), &restarting_open(theirs), Stop::Restart);
        assert_eq!(did, expected, "{ours}, {theirs}");
    }
    // Either side alone keeps nothing.
    for (config, open) in [(restarting_config(true), open()), (config(), restarting_open(true))] {
        assert_eq!(stopped(config, &open, Stop::Restart).1, [Did::Notification(6, 4), Did::Close]);
    }
}

#[test]
fn who_leaves_for_good_has_no_routes_kept() {
    for stop in [Stop::Shutdown(None), Stop::PeerRemoved] {
        let inner = if stop == Stop::PeerRemoved { 3 } else { 2 };
        let (peer, did) = stopped(restarting_config(true), &restarting_open(true), stop.clone());
        assert_eq!(did, [cease(Cease::HardReset), Did::Close], "{stop:?}");
        let told = peer.status(at(40)).last_sent.unwrap().notification;
        assert_eq!(told.data[..2], [6, inner], "what it would be without graceful restart");
        // A peer that does not know Hard Resets keeps nothing after any NOTIFICATION.
        let (_, did) = stopped(restarting_config(true), &restarting_open(false), stop);
        assert_eq!(did, [Did::Notification(6, inner), Did::Close]);
    }
}

#[test]
fn a_stop_ends_whatever_there_is() {
    let (mut peer, attempt) = started(config());
    peer.stop(Stop::PeerRemoved, at(5));
    assert_eq!((drain(&mut peer), peer.state()), (alloc::vec![(attempt, Did::Abort)], State::Idle));

    let (mut peer, ours) = open_sent(config());
    let (theirs, _) = accept(&mut peer, at(15));
    peer.stop(Stop::Shutdown(None), at(20));
    let told = cease(Cease::AdministrativeShutdown);
    let expected = [(ours, told), (ours, Did::Close), (theirs, told), (theirs, Did::Close)];
    assert_eq!((&drain(&mut peer)[..], peer.poll_timeout()), (&expected[..], None));
    peer.start(at(30));
    assert_eq!(did(&mut peer), [Did::Connect], "it can be started again");
}

#[test]
fn a_reset_waits_for_nothing() {
    let (mut peer, id) = started(config());
    peer.handle_connect_failed(id, at(5));
    assert_eq!(did(&mut peer), []);
    peer.stop(Stop::Reset, at(10));
    assert_eq!(did(&mut peer), [Did::Connect]);
    let (mut peer, _) = stopped(config(), &open(), Stop::Reset);
    assert!(first(&mut peer, Did::Connect, at(1_040)).is_some());
}

#[test]
fn the_words_for_reasons_are_distinct() {
    let reasons = [
        Reason::ConnectFailed,
        Reason::ConnectTimedOut,
        Reason::ConnectionClosed,
        Reason::NotificationReceived(Notification::hold_timer_expired()),
        Reason::HoldTimerExpired,
        Reason::SendHoldTimerExpired,
        Reason::MessageRefused(ferrolb_wire::bgp::Error::NotSynchronized),
        Reason::OpenRefused(crate::negotiation::OpenRefused::NoCommonFamily { wanted: Families::ALL }),
        Reason::UnexpectedMessage { message_type: MessageType::Open, state: State::Established },
        Reason::Collision,
        Reason::Replaced,
        Reason::BfdDown,
        Reason::ConfigChanged(ResetCause::HoldTime),
        Reason::Stopped(Stop::Restart),
        Reason::Stopped(Stop::Shutdown(None)),
        Reason::Stopped(Stop::PeerRemoved),
        Reason::Stopped(Stop::Reset),
    ];
    let names: alloc::collections::BTreeSet<_> = reasons.iter().map(Reason::reason).collect();
    let texts: alloc::collections::BTreeSet<_> =
        reasons.iter().map(|reason| std::format!("{reason}")).collect();
    assert_eq!((names.len(), texts.len()), (reasons.len(), reasons.len()));
}
