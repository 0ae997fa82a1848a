//! Who is heard: TCP-MD5, RFC 2385, and the least Time to Live, RFC 5082.

use super::*;
use ferrolb_bgp::HoldTime;
use std::net::{IpAddr, Ipv4Addr};

/// Where a speaker connects from, on loopback.
const SPEAKER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn with_password(peer: &WantedPeer, password: &[u8]) -> WantedPeer {
    let options = TransportOptions { password: Some(Password::new(password)), ..peer.options.clone() };
    WantedPeer { options, ..peer.clone() }
}

/// A peer that is waited for no longer than a second.
fn impatiently(peer: &WantedPeer) -> WantedPeer {
    let config = Config { connect_retry_time: Duration::from_secs(1), ..peer.config.clone() };
    WantedPeer { config, ..peer.clone() }
}

/// Waits for an attempt at the peer without an answer. What is told of it.
async fn next_silence(speaker: &mut Speaker, peer: &str) -> &'static str {
    let status = speaker.comes_to(peer, |status| status.error.is_some()).await;
    assert_eq!(status.session.last_lost.map(|lost| lost.reason), Some(Reason::ConnectTimedOut));
    assert_eq!(status.session.established, 0);
    status.error.unwrap().reason()
}

#[tokio::test]
async fn only_who_has_the_routers_key_gets_a_session() {
    let router = Router::listen().await;
    router.sign(SPEAKER, &Password::new(b"right"));
    let peer = impatiently(&wanted(router.address()));
    let (right, wrong) = (with_password(&peer, b"right"), with_password(&peer, b"wrong"));
    let mut speaker = Speaker::spawn();
    speaker.want([("none", &peer), ("right", &right), ("wrong", &wrong)]);
    let _session = router.establish().await;
    speaker.comes_up("right").await;
    assert_eq!(next_silence(&mut speaker, "none").await, "NoAnswer");
    assert_eq!(next_silence(&mut speaker, "wrong").await, "NoSignedAnswer");
}

#[tokio::test]
async fn a_router_without_a_key_has_no_session_with_who_has_one() {
    let router = Router::listen().await;
    let peer = impatiently(&wanted(router.address()));
    let mut speaker = Speaker::start(&with_password(&peer, b"hunter2"));
    assert_eq!(next_silence(&mut speaker, "tor").await, "NoSignedAnswer");
}

#[tokio::test]
async fn a_session_goes_on_with_a_key_with_another_and_with_none() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, end_of_rib());
    let changes = [with_password(&peer, b"one"), with_password(&peer, b"other"), peer];
    for (community, changed) in (1..).zip(&changes) {
        session.sign(changed.options.password.as_ref());
        speaker.want([("tor", &telling(changed, [("198.51.100.1/32", community)]))]);
        assert_eq!(session.next_update().await, announces("198.51.100.1/32", community));
    }
    assert_eq!(speaker.comes_up("tor").await.session.established, 1);
}

#[tokio::test]
async fn a_router_that_keeps_its_key_is_not_heard_after_a_change() {
    let router = Router::listen().await;
    router.sign(SPEAKER, &Password::new(b"old"));
    let mut peer = wanted(router.address());
    peer.config.hold_time = HoldTime::new(3).unwrap();
    let mut speaker = Speaker::start(&with_password(&peer, b"old"));
    let flood = tokio::spawn(router.establish().await.flood());
    speaker.comes_up("tor").await;
    speaker.want([("tor", &with_password(&peer, b"new"))]);
    assert_eq!(speaker.next_end().await, Reason::HoldTimerExpired);
    flood.abort();
}

#[tokio::test]
async fn a_session_does_not_go_on_with_a_password_that_is_no_key() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    speaker.want([("tor", &with_password(&peer, &[b'x'; 81]))]);
    assert_eq!(session.last_word().await.as_cease(), Some(Cease::AdministrativeReset));
    let is_refused = |status: &PeerStatus| status.error == Some(PeerError::Password(Errno::EINVAL));
    let status = speaker.comes_to("tor", is_refused).await;
    assert_eq!(status.error.unwrap().reason(), "PasswordUnusable");
}

#[tokio::test]
async fn what_comes_from_further_away_than_a_neighbour_is_not_taken() {
    let (near, far) = (Router::listen().await, Router::listen().await);
    near.set_ttl(NonZeroU8::MAX);
    far.set_ttl(NonZeroU8::new(254).unwrap());
    let peers = [&near, &far].map(|router| {
        let peer = impatiently(&wanted(router.address()));
        let options = TransportOptions { min_ttl: Some(NonZeroU8::MAX), ..peer.options.clone() };
        WantedPeer { options, ..peer }
    });
    let mut speaker = Speaker::spawn();
    speaker.want([("near", &peers[0]), ("far", &peers[1])]);
    let _session = near.establish().await;
    speaker.comes_up("near").await;
    assert_eq!(next_silence(&mut speaker, "far").await, "NoAnswer");
}
