//! RFC 4271 §6.8, RFC 6286 §2.3: two connections to one peer.

use super::*;

/// A peer with a connection of its own and one of the other side's, both in OpenSent.
fn both(config: Config) -> (Peer, ConnectionId, ConnectionId) {
    let (mut peer, ours) = open_sent(config);
    let (theirs, did) = accept(&mut peer, at(15));
    assert_eq!(did, [(theirs, Did::Open)]);
    (peer, ours, theirs)
}

fn with_id(octets: [u8; 4]) -> Vec<u8> {
    Open { bgp_id: id(octets), ..open() }.emit()
}

const COLLISION: Did = Did::Notification(6, 7);

#[test]
fn of_two_connections_that_of_the_higher_identifier_is_kept() {
    // This side is 10.0.0.1; identifiers are unsigned.
    for (theirs_id, ours_is_kept) in [([10, 0, 0, 0], true), ([10, 0, 0, 2], false), ([200, 0, 0, 0], false)]
    {
        for ours_is_first in [true, false] {
            let (mut peer, ours, theirs) = both(config());
            let [first, second] = if ours_is_first { [ours, theirs] } else { [theirs, ours] };
            let mut did = tell(&mut peer, first, &with_id(theirs_id), at(20));
            did.extend(tell(&mut peer, second, &with_id(theirs_id), at(21)));
            let [kept, lost] = if ours_is_kept { [ours, theirs] } else { [theirs, ours] };
            let place = std::format!("{theirs_id:?}, {ours_is_first}");
            let of = |id| did.iter().filter(move |(of, _)| *of == id).map(|(_, did)| *did);
            assert_eq!(of(kept).collect::<Vec<_>>(), [Did::Keepalive], "{place}");
            let of_lost: Vec<_> = of(lost).filter(|did| *did != Did::Keepalive).collect();
            assert_eq!(of_lost, [COLLISION, Did::Close], "{place}");
            assert_eq!((peer.state(), peer.connections.len()), (State::OpenConfirm, 1), "{place}");
            assert_eq!(why(&mut peer), Some(Reason::Collision), "{place}");
            let status = peer.status(at(30));
            assert_eq!((status.failures, status.last_lost), (0, None), "{place}: that is no failure");
        }
    }
}

#[test]
fn with_equal_identifiers_the_connection_of_the_higher_as_is_kept() {
    for (local_asn, ours_is_kept) in [(64_512, false), (64_514, true)] {
        let (mut peer, ours, theirs) = both(Config { local_asn: Asn(local_asn), ..config() });
        let same = with_id([10, 0, 0, 1]);
        tell(&mut peer, ours, &same, at(20));
        tell(&mut peer, theirs, &same, at(21));
        let kept = peer.connections.values().map(|connection| connection.id).collect::<Vec<_>>();
        assert_eq!(kept, [if ours_is_kept { ours } else { theirs }]);
    }
}

#[test]
fn a_connection_whose_open_has_come_is_not_given_up_for_one_whose_has_not() {
    // The other side's connection would be kept, but nothing has come on it.
    let (mut peer, ours, theirs) = both(config());
    assert_eq!(tell(&mut peer, ours, &open().emit(), at(20)), [(ours, Did::Keepalive)]);
    assert_eq!(peer.connections.len(), 2);
    assert_eq!(
        tell(&mut peer, ours, &keepalive(), at(30))[..2],
        [(theirs, COLLISION), (theirs, Did::Close)],
        "the session ends the other connection"
    );
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn a_second_connection_is_refused_while_there_is_a_session() {
    for theirs in [open(), {
        // A helper that does not restart gracefully itself.
        let helper = GracefulRestart {
            restarted: false,
            notification: false,
            restart_time: 120,
            families: Vec::new(),
        };
        Open {
            capabilities: Capabilities { graceful_restart: Some(helper), ..open().capabilities },
            ..open()
        }
    }] {
        let (mut peer, id) = established(restarting_config(false), &theirs);
        let (second, did) = accept(&mut peer, at(40));
        assert_eq!(did, [(second, COLLISION), (second, Did::Close)]);
        assert_eq!(events(&mut peer), [Event::Refused { at: at(40), cease: Cease::CollisionResolution }]);
        assert_eq!((peer.state(), peer.direction_of(id)), (State::Established, Some(Direction::Outgoing)));
    }
}

#[test]
fn a_second_connection_of_a_peer_that_restarts_gracefully_takes_the_place_of_the_session() {
    // Whether this side restarts so too does not matter.
    for config in [restarting_config(false), config()] {
        let (mut peer, old) = established(config, &restarting_open(false));
        let (new, did) = accept(&mut peer, at(5_031));
        assert_eq!(did, [(old, Did::Close), (new, Did::Open)], "no NOTIFICATION on the old one");
        assert_eq!((why(&mut peer), peer.state()), (Some(Reason::Replaced), State::OpenSent));
        tell(&mut peer, new, &restarting_open(false).emit(), at(5_050));
        tell(&mut peer, new, &keepalive(), at(5_060));
        assert_eq!(peer.state(), State::Established);
    }
}

#[test]
fn a_session_that_has_just_begun_is_not_given_up_for_the_other_of_two_connections() {
    let (mut peer, old) = established(restarting_config(false), &restarting_open(false));
    for ms in [40, 5_030] {
        let (second, did) = accept(&mut peer, at(ms));
        assert_eq!(did, [(second, COLLISION), (second, Did::Close)]);
    }
    assert_eq!((peer.state(), peer.direction_of(old)), (State::Established, Some(Direction::Outgoing)));
}

#[test]
fn a_peer_that_connects_once_more_has_lost_its_first_connection() {
    let (mut peer, ours, first) = both(config());
    let (second, did) = accept(&mut peer, at(18));
    assert_eq!(did, [(first, COLLISION), (first, Did::Close), (second, Did::Open)]);
    assert_eq!(peer.connections.len(), 2);
    assert!(peer.direction_of(ours).is_some() && peer.direction_of(second).is_some());
}

#[test]
fn a_session_on_the_peers_connection_ends_the_attempt_to_open_another() {
    let (mut peer, attempt) = started(config());
    let (theirs, _) = accept(&mut peer, at(10));
    tell(&mut peer, theirs, &open().emit(), at(20));
    assert_eq!(tell(&mut peer, theirs, &keepalive(), at(30))[0], (attempt, Did::Abort));
    assert_eq!(peer.state(), State::Established);
    assert_eq!(connect(&mut peer, attempt, at(31)), [Did::Abort]);
}

#[test]
fn one_connection_of_two_that_fails_leaves_the_other() {
    let (mut peer, ours, theirs) = both(config());
    peer.handle_closed(ours, at(20));
    assert_eq!((peer.state(), peer.direction_of(theirs)), (State::OpenSent, Some(Direction::Incoming)));
    tell(&mut peer, theirs, &open().emit(), at(25));
    tell(&mut peer, theirs, &keepalive(), at(30));
    assert_eq!((peer.state(), peer.status(at(30)).next_attempt), (State::Established, None));
}
