//! RFC 4271 §8.2.2, state by state.

use super::*;

/// Every message, as the other side may send it.
fn messages() -> [(MessageType, Vec<u8>); 5] {
    let refresh =
        RouteRefresh { family: Some(ferrolb_wire::bgp::Family::Ipv4Unicast), subtype: Subtype::Request };
    [
        (MessageType::Open, open().emit()),
        (MessageType::Update, update("198.51.100.1/32", &[64_513])),
        (MessageType::Notification, Notification::cease(Cease::AdministrativeReset, None).emit()),
        (MessageType::Keepalive, keepalive().into()),
        (MessageType::RouteRefresh, refresh.emit()),
    ]
}

fn in_state(state: State) -> (Peer, ConnectionId) {
    match state {
        State::OpenSent => open_sent(config()),
        State::OpenConfirm => open_confirm(config(), &open()),
        State::Established => established(config(), &open()),
        State::Idle | State::Active | State::Connect => panic!("nothing comes in {state}"),
    }
}

#[test]
fn every_message_leads_where_rfc4271_8_2_2_says_and_fsm_errors_have_the_subcodes_of_rfc6608() {
    use {Did::Keepalive, Did::Notification, State::*};
    let expected = [
        (OpenSent, [Ok(OpenConfirm), Err(1), Ok(Active), Err(1), Err(1)]),
        (OpenConfirm, [Err(2), Err(2), Ok(Active), Ok(Established), Err(2)]),
        (Established, [Err(3), Ok(Established), Ok(Active), Ok(Established), Ok(Established)]),
    ];
    for (state, row) in expected {
        for ((message_type, octets), expected) in messages().into_iter().zip(row) {
            let (mut peer, id) = in_state(state);
            let did: Vec<_> = tell(&mut peer, id, &octets, at(40)).into_iter().map(|(_, did)| did).collect();
            let place = std::format!("{message_type:?} in {state}");
            match expected {
                Err(subcode) => {
                    assert_eq!(did, [Notification(5, subcode), Did::Close], "{place}");
                    assert_eq!(
                        why(&mut peer),
                        Some(Reason::UnexpectedMessage { message_type, state }),
                        "{place}"
                    );
                    assert_eq!(peer.state(), Active, "{place}");
                }
                Ok(Active) => {
                    assert_eq!(did, [Did::Close], "{place}: a NOTIFICATION is not answered");
                    assert_eq!(peer.state(), Active, "{place}");
                }
                Ok(next) => {
                    assert!(!did.iter().any(|did| matches!(did, Notification(..) | Did::Close)), "{place}");
                    assert_eq!(did.contains(&Keepalive), next == OpenConfirm, "{place}");
                    assert_eq!(peer.state(), next, "{place}");
                }
            }
        }
    }
}

#[test]
fn a_peer_is_idle_until_it_is_started_and_refuses_who_connects() {
    let mut peer = Peer::new(config(), 42);
    assert_eq!((peer.state(), peer.poll_timeout(), peer.poll_transmit()), (State::Idle, None, None));
    let (id, refused) = accept(&mut peer, at(5));
    assert_eq!(refused, [(id, cease(Cease::ConnectionRejected)), (id, Did::Close)]);
    assert_eq!(events(&mut peer), [Event::Refused { at: at(5), cease: Cease::ConnectionRejected }]);
    peer.start(at(10));
    assert_eq!((did_once(&mut peer), peer.state()), (Did::Connect, State::Connect));
    peer.start(at(20));
    assert_eq!(did(&mut peer), [], "once is enough");
}

fn did_once(peer: &mut Peer) -> Did {
    let [did] = did(peer)[..] else { panic!("expected one thing") };
    did
}

#[test]
fn there_is_no_session_before_the_peers_keepalive() {
    let (mut peer, id) = open_sent(config());
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.flush(at(12));
    assert_eq!(did(&mut peer), [], "no UPDATE in OpenSent");
    assert_eq!(tell(&mut peer, id, &open().emit(), at(20)), [(id, Did::Keepalive)]);
    peer.flush(at(22));
    assert_eq!((did(&mut peer), events(&mut peer)), (Vec::new(), Vec::new()), "nor in OpenConfirm");
    assert_eq!(peer.status(at(22)).negotiated, None);
    let done = tell(&mut peer, id, &keepalive(), at(30));
    assert_eq!(done, [(id, Did::Update)]);
    let [Event::Established { at: since, connection, negotiated }] = &events(&mut peer)[..] else {
        panic!("not established")
    };
    assert_eq!((*since, *connection, negotiated.remote_asn), (at(30), id, Asn(64_513)));
    assert_eq!(peer.status(at(40)).since, Some(at(30)));
}

#[test]
fn a_peer_that_closes_is_back_in_active_from_every_state() {
    for state in [State::OpenSent, State::OpenConfirm, State::Established] {
        let (mut peer, id) = in_state(state);
        peer.handle_closed(id, at(40));
        assert_eq!((did(&mut peer), peer.state()), (Vec::new(), State::Active), "{state}");
        assert_eq!(why(&mut peer), Some(Reason::ConnectionClosed), "{state}");
        assert!(matches!(peer.poll_timeout(), Some((_, Timer::ConnectRetry))), "{state}");
    }
}

#[test]
fn nothing_is_left_of_the_timers_of_a_state_that_is_left() {
    let (mut peer, id) = established(config(), &open());
    let timers = |peer: &Peer| peer.poll_timeout().map(|(_, timer)| timer);
    assert_eq!(timers(&peer), Some(Timer::Keepalive));
    peer.handle_closed(id, at(40));
    let (due, timer) = peer.poll_timeout().unwrap();
    assert_eq!(timer, Timer::ConnectRetry);
    peer.handle_timeout(at(39));
    assert_eq!(did(&mut peer), [], "too early");
    peer.handle_timeout(due);
    assert_eq!((did(&mut peer), timers(&peer)), (alloc::vec![Did::Connect], Some(Timer::Connect)));
    peer.stop(Stop::PeerRemoved, due);
    assert_eq!((did(&mut peer), peer.poll_timeout()), (alloc::vec![Did::Abort], None));
    peer.handle_timeout(due + 1_000 * SECOND);
    assert_eq!((did(&mut peer), peer.state()), (Vec::new(), State::Idle));
}

#[test]
fn what_is_said_of_a_connection_that_has_ended_means_nothing() {
    let (mut peer, id) = established(config(), &open());
    peer.stop(Stop::Reset, at(40));
    did(&mut peer);
    events(&mut peer);
    let status = peer.status(at(50));
    peer.handle_octets(id, &open().emit(), at(50));
    peer.handle_closed(id, at(50));
    peer.handle_writable(id, at(50));
    peer.handle_connect_failed(id, at(50));
    assert_eq!((did(&mut peer), events(&mut peer)), (Vec::new(), Vec::new()));
    assert_eq!(peer.status(at(50)), status);
    assert_eq!(connect(&mut peer, id, at(50)), [Did::Abort], "TCP was faster than the word to give it up");
}
