//! [`Peer::set_config`]: a test for each row of its table.

use super::*;
use core::num::NonZeroU16;
use ferrolb_vocab::InterfaceName;

/// What a change does to a session with a peer that says `open`.
fn change(config: Config, open: &Open, changed: Config) -> (Option<ResetCause>, Peer) {
    let (mut peer, id) = established(config, open);
    let cause = peer.set_config(changed.clone(), at(40));
    assert_eq!(peer.config(), &changed);
    let did = drain(&mut peer);
    match cause {
        Some(cause) => {
            let subcode = if cause == ResetCause::Transport { 3 } else { 6 };
            assert_eq!(did, [(id, Did::Notification(6, subcode)), (id, Did::Close)], "{cause:?}");
            assert_eq!(why(&mut peer), Some(Reason::ConfigChanged(cause)));
            assert!(first(&mut peer, Did::Connect, at(1_040)).is_some(), "{cause:?}: it comes again soon");
        }
        None => assert_eq!((did, peer.state()), (Vec::new(), State::Established)),
    }
    (cause, peer)
}

/// The same for the usual peer.
fn resets(changed: Config) -> Option<ResetCause> {
    change(config(), &open(), changed).0
}

#[test]
fn another_transport_resets() {
    let transport = |change: fn(&mut Transport)| {
        let mut changed = config();
        change(&mut changed.transport);
        resets(changed)
    };
    let cause = Some(ResetCause::Transport);
    assert_eq!(transport(|transport| transport.remote.set_port(1_790)), cause);
    assert_eq!(transport(|transport| transport.remote.set_ip([192, 0, 2, 3].into())), cause);
    assert_eq!(transport(|transport| transport.source = Some([192, 0, 2, 7].into())), cause);
    assert_eq!(transport(|transport| transport.interface = Some(InterfaceName::from("eth1"))), cause);
}

#[test]
fn a_source_that_the_session_has_anyway_resets_nothing_and_neither_does_none() {
    let from = |source: Option<[u8; 4]>| {
        let source = source.map(Into::into);
        Config { transport: Transport { source, ..config().transport }, ..config() }
    };
    // The session's own end is 192.0.2.1.
    assert_eq!(resets(from(Some([192, 0, 2, 1]))), None);
    assert_eq!(change(from(Some([192, 0, 2, 1])), &open(), from(None)).0, None);
    let moved = change(from(Some([192, 0, 2, 1])), &open(), from(Some([192, 0, 2, 7]))).0;
    assert_eq!(moved, Some(ResetCause::Transport));
}

#[test]
fn a_router_that_another_transport_leaves_behind_keeps_no_routes() {
    for (is_kept, octets) in [(true, &[6, 9, 6, 3][..]), (false, &[6, 3])] {
        let (mut peer, _) = established(restarting_config(true), &restarting_open(is_kept));
        let mut moved = restarting_config(true);
        moved.transport.remote.set_ip([192, 0, 2, 3].into());
        peer.set_config(moved, at(40));
        let Some(Transmit::Send { octets: told, .. }) = peer.poll_transmit() else { panic!() };
        assert_eq!(told[ferrolb_wire::bgp::HEADER_LENGTH..], *octets);
    }
}

#[test]
fn another_as_number_of_this_side_resets_if_the_peer_sees_it() {
    assert_eq!(resets(Config { local_asn: Asn(64_999), ..config() }), Some(ResetCause::LocalAsn));
    assert_eq!(resets(Config { local_as: Some(Asn(64_999)), ..config() }), Some(ResetCause::LocalAsn));
    assert_eq!(resets(Config { local_as: Some(Asn(64_512)), ..config() }), None);
    let alias = Config { local_as: Some(Asn(65_000)), ..config() };
    assert_eq!(change(alias.clone(), &open(), Config { local_asn: Asn(64_999), ..alias }).0, None);
}

#[test]
fn another_identifier_resets() {
    assert_eq!(resets(Config { bgp_id: id([10, 0, 0, 9]), ..config() }), Some(ResetCause::BgpId));
}

#[test]
fn another_remote_as_resets_unless_the_peer_is_in_it() {
    let of = |remote_asn| resets(Config { remote_asn, ..config() });
    assert_eq!(of(RemoteAsn::External), None);
    assert_eq!(of(RemoteAsn::Internal), Some(ResetCause::RemoteAsn));
    assert_eq!(of(RemoteAsn::Exactly(Asn(64_514))), Some(ResetCause::RemoteAsn));
}

#[test]
fn other_families_reset_if_the_peer_has_them() {
    let fewer = Config { families: Families::IPV4, ..config() };
    assert_eq!(resets(fewer.clone()), Some(ResetCause::Families));
    assert_eq!(change(fewer.clone(), &open(), config()).0, Some(ResetCause::Families));
    let capabilities = Capabilities { families: Some(Families::IPV4), ..open().capabilities };
    let only_ipv4 = Open { capabilities, ..open() };
    assert_eq!(change(fewer, &only_ipv4, config()).0, None);
    assert_eq!(
        change(config(), &only_ipv4, Config { families: Families::IPV6, ..config() }).0,
        Some(ResetCause::Families)
    );
}

#[test]
fn ipv6_next_hops_for_ipv4_reset_if_the_peer_has_offered_them() {
    let changed = Config { extended_next_hop: true, ..config() };
    assert_eq!(resets(changed.clone()), None);
    let capabilities = Capabilities { extended_next_hop: true, ..open().capabilities };
    let theirs = Open { capabilities, ..open() };
    assert_eq!(change(config(), &theirs, changed).0, Some(ResetCause::ExtendedNextHop));
}

#[test]
fn another_hold_time_resets_if_it_is_the_lesser_one() {
    // The peer's is 180 s.
    assert_eq!(resets(Config { hold_time: hold(30), ..config() }), Some(ResetCause::HoldTime));
    let longer = Config { hold_time: hold(600), ..config() };
    assert_eq!(resets(longer.clone()), Some(ResetCause::HoldTime));
    assert_eq!(change(longer, &open(), Config { hold_time: hold(300), ..config() }).0, None);
    assert_eq!(resets(Config { hold_time: HoldTime::ZERO, ..config() }), Some(ResetCause::HoldTime));
}

#[test]
fn graceful_restart_resets_if_the_peer_has_offered_it() {
    let changed = restarting_config(false);
    assert_eq!(resets(changed.clone()), None);
    let reset = Some(ResetCause::GracefulRestart);
    assert_eq!(change(config(), &restarting_open(false), changed.clone()).0, reset);
    assert_eq!(change(changed.clone(), &restarting_open(false), config()).0, reset);
    assert_eq!(change(changed.clone(), &restarting_open(true), restarting_config(true)).0, reset);
    assert_eq!(change(changed, &restarting_open(false), restarting_config(true)).0, None);
}

#[test]
fn another_restart_time_and_other_forwarding_bits_count_from_the_next_session() {
    let of = |restart| Config { graceful_restart: Some(restart), ..config() };
    for changed in [
        GracefulRestartConfig { restart_time: 300, ..restarts() },
        GracefulRestartConfig { forwarding: Families::EMPTY, ..restarts() },
    ] {
        assert_eq!(change(of(restarts()), &restarting_open(false), of(changed)).0, None);
    }
}

#[test]
fn another_next_hop_counts_at_once_for_the_routes_that_have_it() {
    let (mut peer, id) = established(config(), &open());
    for text in ["192.0.2.50/32", "2001:db8::50/128"] {
        peer.rib_out_mut().announce(prefix(text), &route());
    }
    peer.flush(at(35));
    assert_eq!(did(&mut peer), [Did::Update, Did::Update]);
    peer.handle_writable(id, at(35));
    // The session is over IPv4: IPv4 routes have its address.
    let ipv4 = Config { next_hop_ipv4: Some([192, 0, 2, 9].into()), ..config() };
    assert_eq!((peer.set_config(ipv4, at(40)), did(&mut peer)), (None, Vec::new()));
    let ipv6 = Config { next_hop_ipv6: Some("2001:db8::9".parse().unwrap()), ..config() };
    assert_eq!((peer.set_config(ipv6, at(50)), did(&mut peer)), (None, alloc::vec![Did::Update]));
}

#[test]
fn another_keepalive_time_counts_at_once() {
    let changed = Config { keepalive_time: NonZeroU16::new(5), ..config() };
    let (cause, peer) = change(config(), &open(), changed);
    assert_eq!(cause, None);
    assert_eq!(peer.status(at(40)).negotiated.unwrap().keepalive_time, Some(5 * SECOND));
    let (due, timer) = peer.poll_timeout().unwrap();
    assert!(timer == Timer::Keepalive && due <= at(40) + 5 * SECOND);
}

#[test]
fn another_bfd_policy_counts_at_once_and_ends_nothing() {
    let (cause, mut peer) = change(config(), &open(), Config { bfd: BfdPolicy::Strict, ..config() });
    assert_eq!(cause, None);
    peer.set_bfd(BfdState::Up, at(50));
    peer.set_bfd(BfdState::Down, at(60));
    assert_eq!(did(&mut peer)[0], cease(Cease::BfdDown));
}

#[test]
fn another_connect_retry_time_or_role_or_hostname_ends_nothing() {
    for changed in [
        Config { connect_retry_time: SECOND, ..config() },
        Config { role: Role::Passive, ..config() },
        Config { hostname: None, ..config() },
    ] {
        assert_eq!(resets(changed), None);
    }
    let (_, mut peer) = change(config(), &open(), Config { role: Role::Passive, ..config() });
    let id = peer.connections.values().next().unwrap().id;
    peer.handle_closed(id, at(50));
    assert_eq!((did(&mut peer), peer.poll_timeout()), (Vec::new(), None), "now the peer has to come");
}

#[test]
fn routes_are_changed_without_any_of_this() {
    let (mut peer, _) = established(config(), &open());
    let preferred = Arc::new(Route { local_pref: Some(300), ..Route::default() });
    for (when, route) in [(40, route()), (50, preferred)] {
        peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route);
        peer.flush(at(when));
        let id = peer.connections.values().next().unwrap().id;
        assert_eq!(did(&mut peer), [Did::Update]);
        peer.handle_writable(id, at(when));
    }
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn the_same_configuration_is_no_change() {
    let (mut peer, id) = started(config());
    peer.handle_connect_failed(id, at(5));
    let waits = peer.poll_timeout();
    assert_eq!((peer.set_config(config(), at(10)), peer.poll_timeout()), (None, waits));
}

#[test]
fn an_open_that_would_say_something_else_is_said_anew() {
    let (mut peer, id) = open_sent(config());
    let changed = Config { hold_time: hold(30), ..config() };
    assert_eq!(peer.set_config(changed, at(20)), Some(ResetCause::HoldTime));
    assert_eq!(drain(&mut peer), [(id, Did::Notification(6, 6)), (id, Did::Close)]);
    let (mut peer, _) = open_sent(config());
    assert_eq!(peer.set_config(Config { hostname: None, ..config() }, at(20)), None);
    assert_eq!(did(&mut peer), []);
}

#[test]
fn whoever_waits_to_connect_with_what_was_wrong_does_so_no_longer() {
    let (mut peer, mut id) = started(config());
    for _failed in 0..6 {
        peer.handle_connect_failed(id, at(0));
        let (due, _) = peer.poll_timeout().unwrap();
        peer.handle_timeout(due);
        id = peer.attempt.unwrap().id;
    }
    did(&mut peer);
    peer.handle_connect_failed(id, at(100_000));
    assert_eq!(peer.set_config(Config { remote_asn: RemoteAsn::External, ..config() }, at(100_001)), None);
    assert_eq!(did(&mut peer), [Did::Connect]);
    // An attempt to connect to where the peer is no more is given up.
    let mut moved = config();
    moved.transport.remote.set_port(1_790);
    peer.set_config(moved, at(100_002));
    assert_eq!(did(&mut peer), [Did::Abort, Did::Connect]);
}
