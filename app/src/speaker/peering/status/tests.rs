use super::*;
use ferrolb_bfd::DownReason;
use ferrolb_bgp::{BfdState, Lost, MessageCounts, Reason, Received, Status, Withheld};
use ferrolb_peering::bfd::{Counts, SessionError, SessionPath};
use ferrolb_peering::bgp::PeerError;
use ferrolb_vocab::{Asn, BgpId};
use ferrolb_wire::bgp::{Cease, Families};
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::Arc;

/// 2026-11-20T20:00:00Z is ten seconds after the origin of the process's clock.
fn clock() -> WallClock {
    WallClock::new(at(10), "2026-11-20T20:00:00Z".parse().unwrap())
}

fn at(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}

fn statistics(wanted: usize, withheld: Option<Withheld>) -> Statistics {
    let advertised = if withheld.is_none() { wanted } else { 0 };
    Statistics { wanted, advertised, pending: 0, too_large: 0, withheld }
}

/// A peer that is not connected, and is to know one IPv4 prefix.
fn down() -> PeerStatus {
    let session = Status {
        state: State::Active,
        since: Some(at(70)),
        negotiated: None,
        addresses: None,
        bfd: BfdState::Down,
        is_restarting: false,
        next_attempt: None,
        failures: 1,
        attempts: 1,
        established: 0,
        last_lost: None,
        last_sent: None,
        last_received: None,
        sent: MessageCounts::default(),
        received: MessageCounts::default(),
        routes: Received::default(),
        ipv4: statistics(1, Some(Withheld::NotEstablished)),
        ipv6: statistics(0, Some(Withheld::NotEstablished)),
    };
    PeerStatus { at: at(80), session, error: None }
}

/// The same with a session of both families, of which IPv6 has no next hop.
fn up() -> PeerStatus {
    let agreed = bgp::Negotiated {
        local_asn: Asn(64_512),
        remote_asn: Asn(4_200_000_000),
        remote_id: BgpId::new(NonZeroU32::new(0xc000_0201).unwrap()),
        hold_time: Some(Duration::from_secs(90)),
        keepalive_time: None,
        families: Families::ALL,
        four_octet_as: true,
        route_refresh: true,
        enhanced_route_refresh: false,
        extended_next_hop: false,
        graceful_restart: None,
        notification: false,
        hostname: Some("tor".into()),
    };
    let refused = ferrolb_wire::bgp::Notification::cease(Cease::AdministrativeShutdown, Some("maintenance"));
    let mut peer = down();
    peer.session = Status {
        state: State::Established,
        negotiated: Some(Box::new(agreed)),
        addresses: Some(["192.0.2.7:40000", "192.0.2.1:179"].map(|text| text.parse().unwrap())),
        last_lost: Some(Lost { at: at(60), reason: Reason::HoldTimerExpired }),
        last_received: Some(Told { at: at(50), notification: refused }),
        ipv4: statistics(1, None),
        ipv6: statistics(2, Some(Withheld::NoNextHop)),
        ..peer.session
    };
    peer
}

fn path(state: bfd::State) -> SessionStatus {
    SessionStatus {
        echo_interval: None,
        state,
        remote_state: bfd::State::Down,
        local_diag: bfd::Diagnostic::NONE,
        remote_diag: bfd::Diagnostic::NONE,
        local_discr: None,
        tx_interval: None,
        rx_interval: None,
        detection_time: None,
        up_since: None,
        down: None,
        counts: Counts::default(),
        error: None,
    }
}

#[test]
fn a_session_tells_all_that_was_agreed_on_and_told() {
    let status = session(Some(&up()), None, &clock());
    let expected = json!({
        "state": "Established",
        "since": "2026-11-20T20:01:00Z",
        "localAddress": "192.0.2.7:40000",
        "remoteAddress": "192.0.2.1:179",
        "negotiated": {
            "localASN": 64_512,
            "remoteASN": 4_200_000_000_u32,
            "remoteID": "192.0.2.1",
            "holdTimeSeconds": 90,
            "keepaliveTimeSeconds": 0,
            "families": ["ipv4_unicast", "ipv6_unicast"],
            "capabilities": ["FourOctetAS", "RouteRefresh"],
            "hostname": "tor",
        },
        "prefixes": [
            {"family": "ipv4_unicast", "wanted": 1, "advertised": 1},
            {"family": "ipv6_unicast", "wanted": 2, "advertised": 0, "withheld": "no_next_hop"},
        ],
        "lastReceived": {
            "at": "2026-11-20T20:00:40Z",
            "code": 6,
            "subcode": 2,
            "text": "Cease/Administrative Shutdown: maintenance",
        },
    });
    assert_eq!(serde_json::to_value(status).unwrap(), expected);
}

#[test]
fn what_began_before_the_process_is_told_as_that() {
    let mut peer = up();
    peer.session.since = Some(at(3));
    let path = SessionStatus { up_since: Some(at(4)), ..path(bfd::State::Up) };
    let status = session(Some(&peer), Some(&path), &clock());
    let told = [status.since, status.bfd.unwrap().since].map(|since| since.unwrap().0.to_string());
    assert_eq!(told, ["2026-11-20T19:59:53Z", "2026-11-20T19:59:54Z"]);
}

#[test]
fn why_there_is_no_session_is_what_the_system_says_and_else_what_ended_the_last() {
    let reason = |peer: &PeerStatus| session(Some(peer), None, &clock()).reason;
    assert_eq!(reason(&down()), None, "it was never tried");
    let mut lost = down();
    lost.session.last_lost = Some(Lost { at: at(60), reason: Reason::HoldTimerExpired });
    assert_eq!(reason(&lost).as_deref(), Some("hold_timer_expired"));
    let refused = PeerStatus { error: Some(PeerError::LinkLocal("fe80::1".parse().unwrap())), ..lost };
    let status = session(Some(&refused), None, &clock());
    assert_eq!(status.reason.as_deref(), Some("InterfaceMissing"));
    assert!(status.message.is_some_and(|message| message.contains("fe80::1")));
    assert_eq!(status.prefixes[0].withheld, None, "that there is no session is said already");
    assert_eq!(session(None, None, &clock()).state.as_deref(), Some("Idle"), "the driver has yet to begin");
    assert_eq!(impossible(CannotPeer::NoRouter).reason.as_deref(), Some("NoRouterHeard"));
}

#[test]
fn bfd_tells_its_state_and_why_it_is_not_up() {
    let told = |path: &SessionStatus| {
        let status = session(Some(&up()), Some(path), &clock()).bfd.unwrap();
        (status.state, status.reason, status.message)
    };
    let text = |text: &str| text.to_owned();
    let is_up = SessionStatus { up_since: Some(at(20)), ..path(bfd::State::Up) };
    assert_eq!(told(&is_up), (text("Up"), None, None));
    let silent = SessionStatus { down: Some(DownReason::DetectionTimeExpired), ..path(bfd::State::Down) };
    assert_eq!(told(&silent), (text("Down"), Some(text("detection_time_expired")), None));
    let held = SessionStatus { remote_state: bfd::State::AdminDown, ..path(bfd::State::Down) };
    assert_eq!(told(&held), (text("AdminDown"), None, None));
    let error = Some(SessionError::LinkLocal("fe80::1".parse().unwrap()));
    let (state, reason, message) = told(&SessionStatus { error, ..path(bfd::State::Down) });
    assert_eq!((state, reason), (text("Down"), Some(text("InterfaceMissing"))));
    assert!(message.is_some());
}

#[test]
fn only_what_somebody_waits_for_is_news() {
    let of = |peer: &PeerStatus, path: &SessionStatus| session(Some(peer), Some(path), &clock());
    let (heard, silent) = (path(bfd::State::Up), path(bfd::State::Down));
    let mut counted = up();
    counted.session.ipv4 = statistics(7, None);
    assert!(is_like(&of(&up(), &heard), &of(&counted, &heard)), "a count");
    let mut trying = down();
    trying.session.state = State::Connect;
    trying.session.since = Some(at(75));
    assert!(is_like(&of(&down(), &silent), &of(&trying, &silent)), "an attempt");
    assert!(!is_like(&of(&up(), &heard), &of(&down(), &heard)), "the session is lost");
    assert!(!is_like(&of(&up(), &heard), &of(&up(), &silent)), "the path is lost");
    let mut again = up();
    again.session.since = Some(at(90));
    assert!(!is_like(&of(&up(), &heard), &of(&again, &heard)), "another session");
}

#[test]
fn whether_bfd_runs_first_is_said_where_it_is_used() {
    let mut view = BfdView::default();
    assert_eq!(realtime(&view, &clock()), None);
    let watched =
        SessionPath { peer: "192.0.2.1".parse().unwrap(), local: None, interface: None, is_multihop: false };
    view.sessions = Arc::new([(watched, path(bfd::State::Down))].into());
    let condition = realtime(&view, &clock()).unwrap();
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("RealtimeBFD", "True"));
    assert_eq!(Some(condition), realtime(&view, &clock()), "it is not written again and again");
}
