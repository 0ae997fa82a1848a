//! BFD and the session: RFC 5882 §4.2, RFC 9384.

use super::*;
use crate::peer::dialling::FIRST_RETRY;

fn with(bfd: BfdPolicy) -> Config {
    Config { bfd, ..config() }
}

#[test]
fn a_path_that_bfd_loses_ends_the_session_with_its_own_cease() {
    for (policy, is_lost) in [(BfdPolicy::Ignore, false), (BfdPolicy::Follow, true)] {
        let (mut peer, id) = established(with(policy), &open());
        peer.set_bfd(BfdState::Up, at(40));
        assert_eq!(did(&mut peer), []);
        peer.set_bfd(BfdState::Down, at(50));
        if is_lost {
            assert_eq!(drain(&mut peer), [(id, cease(Cease::BfdDown)), (id, Did::Close)]);
            assert_eq!(why(&mut peer), Some(Reason::BfdDown));
        } else {
            assert_eq!((did(&mut peer), peer.state()), (Vec::new(), State::Established));
        }
    }
}

#[test]
fn routes_over_a_path_that_bfd_has_lost_are_not_kept() {
    let restarting = Config { bfd: BfdPolicy::Follow, ..restarting_config(true) };
    let (mut peer, _) = established(restarting, &restarting_open(true));
    peer.set_bfd(BfdState::Up, at(40));
    peer.set_bfd(BfdState::Down, at(50));
    assert_eq!(did(&mut peer), [cease(Cease::HardReset), Did::Close]);
    assert_eq!(peer.status(at(50)).last_sent.unwrap().notification.data[..2], [6, 10]);
}

#[test]
fn an_operators_word_about_bfd_and_a_path_that_never_worked_end_nothing() {
    let (mut peer, _) = established(with(BfdPolicy::Follow), &open());
    for (ms, bfd) in [
        (40, BfdState::Down),
        (50, BfdState::Up),
        (60, BfdState::AdminDown),
        (70, BfdState::Down),
        (80, BfdState::Up),
    ] {
        peer.set_bfd(bfd, at(ms));
        assert_eq!((did(&mut peer), peer.state()), (Vec::new(), State::Established), "{bfd:?}");
    }
}

#[test]
fn a_session_comes_back_soon_after_the_path_and_ever_later_if_it_comes_and_goes() {
    let (mut peer, id) = established(with(BfdPolicy::Follow), &open());
    let mut now = at(200_000);
    let mut id = id;
    for nominal in [1, 2, 4, 8] {
        peer.set_bfd(BfdState::Up, now);
        peer.set_bfd(BfdState::Down, now);
        did(&mut peer);
        let without = peer.status(now).next_attempt.unwrap();
        assert!(without >= CONNECT_RETRY_TIME * 3 / 4, "it waits for the path: {without:?}");
        peer.set_bfd(BfdState::Up, now + SECOND);
        let soon = peer.status(now + SECOND).next_attempt.unwrap();
        let nominal = FIRST_RETRY * nominal;
        assert!((nominal * 3 / 4..=nominal).contains(&soon), "{soon:?}, {nominal:?}");
        now = first(&mut peer, Did::Connect, now + 20 * SECOND).unwrap();
        assert!(peer.direction_of(id).is_none());
        id = peer.attempt.unwrap().id;
        connect(&mut peer, id, now);
        tell(&mut peer, id, &open().emit(), now);
        tell(&mut peer, id, &keepalive(), now);
        assert_eq!(peer.state(), State::Established);
    }
}

#[test]
fn a_peer_whose_bfd_never_comes_back_is_tried_again_in_the_end() {
    let (mut peer, _) = established(with(BfdPolicy::Follow), &open());
    peer.set_bfd(BfdState::Up, at(40));
    peer.set_bfd(BfdState::Down, at(50));
    did(&mut peer);
    assert!(first(&mut peer, Did::Connect, at(50) + CONNECT_RETRY_TIME).is_some());
}

#[test]
fn with_strict_bfd_there_is_no_session_before_the_path_works() {
    let mut peer = Peer::new(with(BfdPolicy::Strict), 42);
    peer.start(at(0));
    assert_eq!((did(&mut peer), peer.poll_timeout(), peer.state()), (Vec::new(), None, State::Active));
    let (id, did_) = accept(&mut peer, at(10));
    assert_eq!(did_, [(id, cease(Cease::BfdDown)), (id, Did::Close)]);
    peer.set_bfd(BfdState::Up, at(20));
    assert_eq!(did(&mut peer), [Did::Connect]);
    peer.set_bfd(BfdState::Down, at(30));
    assert_eq!((did(&mut peer), peer.poll_timeout()), (alloc::vec![Did::Abort], None));
    // A peer whose operator has taken BFD away need not be waited for.
    peer.set_bfd(BfdState::AdminDown, at(40));
    assert!(first(&mut peer, Did::Connect, at(2_000)).is_some());
    // Once BFD is back, and down, not even an attempt goes on.
    peer.set_bfd(BfdState::Down, at(2_000));
    assert_eq!((did(&mut peer), peer.poll_timeout()), (alloc::vec![Did::Abort], None));
}
