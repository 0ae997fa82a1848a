//! One process has a session, and another goes on with it.

use super::*;
use crate::resumption::Resumption;
use ferrolb_wire::bgp::{Decoding, Family, Update};
use std::string::ToString;

/// What a session is to the next process, after its way there.
fn left_by(former: &Peer, now: Instant) -> Resumption {
    let (_, resumption) = former.hand_over(now).expect("there is a session");
    resumption.to_string().parse().unwrap()
}

/// A process that goes on with that.
fn next(config: Config, resumption: Resumption, wanted: &[&str], now: Instant) -> (Peer, ConnectionId) {
    let mut peer = Peer::new(config, 7);
    for text in wanted {
        peer.rib_out_mut().announce(prefix(text), &route());
    }
    peer.rib_out_mut().complete();
    let id = peer.resume(resumption, [local(), remote()], now);
    peer.start_restarted(now);
    (peer, id)
}

/// What the peer sends: of each UPDATE what it withdraws and what it announces.
fn told(peer: &mut Peer) -> Vec<(Vec<IpPrefix>, Vec<IpPrefix>)> {
    let decoding =
        Decoding { four_octet_as: true, is_internal: false, local_asn: Asn(64_513), families: Families::ALL };
    let mut told = Vec::new();
    while let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() {
        let mut rest = octets.as_slice();
        while let Some((frame, length)) = Frame::next(rest).unwrap() {
            let update = Update::parse(frame.body, &decoding).unwrap();
            told.push((update.withdrawn().collect(), update.reachable().collect()));
            rest = &rest[length..];
        }
    }
    told
}

#[test]
fn a_session_goes_on_as_it_was_and_its_timers_too() {
    let (mut former, id) = established(restarting_config(true), &restarting_open(true));
    tell(&mut former, id, &update("198.51.100.1/32", &[64_513]), at(2_000));
    run(&mut former, at(40_000));
    let before = former.status(at(40_000));
    let (mut peer, _) = next(restarting_config(true), left_by(&former, at(40_000)), &[], at(40_000));
    assert_eq!(did(&mut peer), [Did::Update; 2], "End-of-RIB, for each family");
    // The new process says that.
    let sent = MessageCounts { update: before.sent.update + 2, ..before.sent };
    assert_eq!(peer.status(at(40_000)), Status { sent, bfd: BfdState::Up, ..before });
    assert_eq!(events(&mut peer), [], "nothing has happened");
    // 90 s after the last UPDATE.
    let silence = Did::Notification(4, 0);
    assert_eq!(first(&mut peer, silence, at(200_000)), Some(at(92_000)));
    assert_eq!(why(&mut peer), Some(Reason::HoldTimerExpired));
}

#[test]
fn a_path_that_has_failed_meanwhile_ends_the_session_and_one_that_nobody_watches_does_not() {
    for (bfd, expected) in
        [(BfdState::Down, Some(Reason::BfdDown)), (BfdState::AdminDown, None), (BfdState::Up, None)]
    {
        let config = Config { bfd: BfdPolicy::Follow, ..config() };
        let (mut former, _) = established(config.clone(), &open());
        former.set_bfd(BfdState::Up, at(40));
        let (mut peer, _) = next(config, left_by(&former, at(50)), &[], at(50));
        peer.set_bfd(bfd, at(60));
        assert_eq!(why(&mut peer), expected, "{bfd:?}");
    }
}

#[test]
fn keepalives_go_on_in_time() {
    let (former, _) = established(config(), &open());
    let (due, timer) = former.poll_timeout().unwrap();
    assert_eq!(timer, Timer::Keepalive);
    let mut resumption = left_by(&former, at(20_000));
    // Otherwise the session is told something, which is as good as a KEEPALIVE.
    resumption.unwritten = Vec::from([0xff; 19]);
    let (peer, _) = next(config(), resumption, &[], at(20_000));
    let (next_due, timer) = peer.poll_timeout().unwrap();
    assert_eq!(timer, Timer::Keepalive);
    assert!(next_due <= due && due.saturating_since(next_due) < Duration::from_millis(1), "{due} {next_due}");
}

#[test]
fn what_is_wanted_is_told_once_more_and_what_is_not_any_more_is_withdrawn() {
    let (mut former, _) = established(config(), &open());
    for text in ["192.0.2.50/32", "192.0.2.51/32", "2001:db8::50/128"] {
        former.rib_out_mut().announce(prefix(text), &route());
    }
    former.flush(at(40));
    did(&mut former);
    let wanted = ["192.0.2.51/32", "192.0.2.52/32"];
    let (mut peer, _) = next(config(), left_by(&former, at(50)), &wanted, at(50));
    let nothing = || (Vec::new(), Vec::new());
    let withdrawn = ["192.0.2.50/32", "2001:db8::50/128"].map(|text| (Vec::from([prefix(text)]), Vec::new()));
    let announced = (Vec::new(), wanted.map(prefix).to_vec());
    let [first, second] = withdrawn;
    assert_eq!(told(&mut peer), [first, second, announced, nothing(), nothing()]);
    let status = peer.status(at(50));
    assert_eq!((status.ipv4.advertised, status.ipv6.advertised), (2, 0));
}

#[test]
fn a_message_goes_on_where_the_former_process_stopped_to_read() {
    let message = update("198.51.100.1/32", &[64_513]);
    for split in 0..message.len() {
        let (mut former, id) = established(config(), &open());
        former.handle_octets(id, &message[..split], at(40));
        let (mut peer, id) = next(config(), left_by(&former, at(50)), &[], at(50));
        peer.handle_octets(id, &message[split..], at(60));
        assert_eq!(peer.status(at(60)).routes.reachable, 1, "{split}");
        assert_eq!(peer.state(), State::Established);
    }
}

#[test]
fn what_was_not_written_goes_before_all_else() {
    let (former, _) = established(config(), &open());
    let mut resumption = left_by(&former, at(40));
    resumption.unwritten = Vec::from([0xff; 4]);
    let (mut peer, id) = next(config(), resumption, &["192.0.2.50/32"], at(40));
    assert_eq!(did(&mut peer), []);
    peer.handle_writable(id, at(50));
    assert_eq!(did(&mut peer), [Did::Update; 3], "the route, and End-of-RIB for each family");
}

/// What a process with another configuration makes of a session.
fn follow(former: Config, open: &Open, config: Config) -> Option<ResetCause> {
    let (former, _) = established(former, open);
    let (mut peer, id) = next(config, left_by(&former, at(40)), &[], at(40));
    let did = drain(&mut peer);
    let Some(Reason::ConfigChanged(cause)) = why(&mut peer) else {
        assert_eq!(peer.state(), State::Established);
        return None;
    };
    let subcode = if cause == ResetCause::Transport { 3 } else { 6 };
    assert_eq!(did, [(id, Did::Notification(6, subcode)), (id, Did::Close)], "{cause:?}");
    assert_eq!(peer.status(at(40)).is_restarting, peer.config().graceful_restart.is_some());
    assert!(first(&mut peer, Did::Connect, at(1_040)).is_some(), "{cause:?}: it comes again soon");
    Some(cause)
}

#[test]
fn a_session_that_would_have_been_another_is_reset() {
    let elsewhere = Transport { source: Some([192, 0, 2, 7].into()), ..config().transport };
    for (changed, cause) in [
        (config(), None),
        (Config { transport: elsewhere, ..config() }, Some(ResetCause::Transport)),
        (Config { local_asn: Asn(64_999), ..config() }, Some(ResetCause::LocalAsn)),
        (Config { bgp_id: id([10, 0, 0, 9]), ..config() }, Some(ResetCause::BgpId)),
        (Config { remote_asn: RemoteAsn::Internal, ..config() }, Some(ResetCause::RemoteAsn)),
        (Config { remote_asn: RemoteAsn::External, ..config() }, None),
        (Config { families: Families::IPV4, ..config() }, Some(ResetCause::Families)),
        (Config { hold_time: hold(30), ..config() }, Some(ResetCause::HoldTime)),
        (restarting_config(true), None),
        (Config { hostname: None, role: Role::Passive, ..config() }, None),
    ] {
        assert_eq!(follow(config(), &open(), changed.clone()), cause, "{changed:?}");
    }
    let fewer = Config { families: Families::IPV4, ..config() };
    assert_eq!(follow(fewer, &open(), config()), Some(ResetCause::Families));
    let restarting = restarting_open(true);
    assert_eq!(follow(config(), &restarting, restarting_config(true)), Some(ResetCause::GracefulRestart));
    assert_eq!(follow(restarting_config(true), &restarting, restarting_config(true)), None);
}

#[test]
fn only_a_session_is_handed_over() {
    assert!(Peer::new(config(), 42).hand_over(at(0)).is_none());
    assert!(open_sent(config()).0.hand_over(at(10)).is_none());
    assert!(open_confirm(config(), &open()).0.hand_over(at(20)).is_none());
}

#[test]
fn a_router_that_is_no_peer_any_more_keeps_no_routes() {
    for (is_kept, octets) in [(true, &[6, 9, 6, 3][..]), (false, &[6, 3])] {
        let (former, _) = established(restarting_config(true), &restarting_open(is_kept));
        let last = left_by(&former, at(40)).deconfigured().emit();
        assert_eq!(last[ferrolb_wire::bgp::HEADER_LENGTH..], *octets);
    }
}

#[test]
fn the_next_session_is_one_like_any_other() {
    let (former, _) = established(config(), &open());
    let (mut peer, id) = next(config(), left_by(&former, at(40)), &["192.0.2.50/32"], at(40));
    did(&mut peer);
    peer.handle_closed(id, at(50_000));
    let [Event::Down { lasted, .. }] = events(&mut peer)[..] else { panic!("the session is over") };
    assert_eq!(lasted, Duration::from_millis(50_000 - 30), "both processes' part of it");
    let when = first(&mut peer, Did::Connect, at(52_000)).unwrap();
    let id = peer.attempt.unwrap().id;
    connect(&mut peer, id, when);
    tell(&mut peer, id, &open().emit(), when);
    tell(&mut peer, id, &keepalive(), when);
    let status = peer.status(when);
    assert_eq!((status.established, status.attempts, status.ipv4.advertised), (2, 2, 1));
    assert_eq!(peer.rib_out().advertised(Family::Ipv4Unicast).count(), 1);
}
