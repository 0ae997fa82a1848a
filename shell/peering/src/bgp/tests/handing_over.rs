//! One driver ends, and another goes on with its sessions.

use super::*;
use crate::handover::{Handover, Legacy, Predecessor};
use ferrolb_wire::bgp::keepalive;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

impl Speaker {
    /// With the sessions of another.
    fn resume(sessions: Vec<HandedOver>) -> Self {
        let mut registry = Registry::default();
        let metrics = BgpMetrics::register(&mut registry);
        Self { bgp: resume(metrics, sessions).unwrap(), registry }
    }

    /// What it leaves to the next.
    async fn hand_over(self) -> Vec<HandedOver> {
        self.bgp.handle.hand_over().await
    }
}

/// What goes on with the sessions of a speaker.
pub(super) async fn resumed(speaker: Speaker) -> Speaker {
    Speaker::resume(speaker.hand_over().await)
}

#[tokio::test]
async fn a_router_has_one_connection_and_hears_nothing_of_the_change() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&telling(&peer, [("198.51.100.1/32", 7), ("198.51.100.2/32", 7)]));
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await.reachable.len(), 2);
    assert_eq!(session.next_update().await, end_of_rib());
    let before = speaker.comes_up("tor").await;
    // A message that comes in two processes.
    let message = keepalive();
    session.send(&message[..7]).await;
    let mut next = Speaker::resume(speaker.hand_over().await);
    session.send(&message[7..]).await;
    next.want([("tor", &telling(&peer, [("198.51.100.2/32", 7), ("198.51.100.3/32", 8)]))]);
    let told = session.next_update().await;
    assert_eq!((told.withdrawn, told.reachable), (vec![prefix("198.51.100.1/32")], vec![]));
    assert_eq!(session.next_update().await, announces("198.51.100.2/32", 7));
    assert_eq!(session.next_update().await, announces("198.51.100.3/32", 8));
    assert_eq!(session.next_update().await, end_of_rib());
    let peer = "peer=\"metallb-system/tor\"";
    let whole = format!("ferrolb_bgp_messages_total{{{peer},direction=\"received\",kind=\"keepalive\"}} 2\n");
    next.shows(|metrics| metrics.contains(&whole)).await;
    let after = next.comes_up("tor").await;
    assert_eq!((after.session.state, after.error), (State::Established, None));
    assert_eq!((after.session.established, after.session.attempts), (1, 1));
    assert_eq!(after.session.addresses, before.session.addresses);
    assert_eq!(after.session.negotiated, before.session.negotiated);

    let Bgp { handle, .. } = next.bgp;
    let last = async {
        assert_eq!(session.last_word().await.as_cease(), Some(Cease::AdministrativeShutdown));
        drop(session);
    };
    tokio::join!(handle.leave(None), last);
}

/// The sessions as another process gets them.
async fn passed_on(bgp: Vec<HandedOver>) -> Vec<HandedOver> {
    let name = format!("ferrolb/test/{}/signed", std::process::id());
    let mut handover = Handover::listen(&name).unwrap();
    let taken = tokio::spawn(Predecessor::meet(&name).unwrap().expect("it is there").take());
    handover.asked().await.give(Legacy { bgp, ..Legacy::default() }).await.unwrap();
    taken.await.unwrap().unwrap().bgp
}

#[tokio::test]
async fn a_signed_session_goes_on_signed_and_with_another_key() {
    let keyed = |peer: &WantedPeer, key: &[u8]| {
        let options = TransportOptions { password: Some(Password::new(key)), ..peer.options.clone() };
        WantedPeer { options, ..peer.clone() }
    };
    let router = Router::listen().await;
    router.sign(IpAddr::V4(Ipv4Addr::LOCALHOST), &Password::new(b"one"));
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&keyed(&peer, b"one"));
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, end_of_rib());
    speaker.comes_up("tor").await;
    let sessions = passed_on(speaker.hand_over().await).await;
    // The system signs what goes on, before anybody knows the key.
    (&sessions[0].stream).write_all(&keepalive()).unwrap();
    assert_eq!(session.next().await, Some(Message::Keepalive));

    let mut next = Speaker::resume(sessions);
    next.want([("tor", &telling(&keyed(&peer, b"one"), [("198.51.100.1/32", 1)]))]);
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 1));
    assert_eq!(session.next_update().await, end_of_rib());
    session.sign(Some(&Password::new(b"other")));
    next.want([("tor", &telling(&keyed(&peer, b"other"), [("198.51.100.1/32", 2)]))]);
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 2));
    assert_eq!(next.comes_up("tor").await.session.established, 1);
}

#[tokio::test]
async fn who_is_no_peer_of_the_next_is_told_so() {
    let router = Router::listen().await;
    let mut speaker = Speaker::start(&wanted(router.address()));
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    let next = Speaker::resume(speaker.hand_over().await);
    next.want([]);
    assert_eq!(session.last_word().await.as_cease(), Some(Cease::PeerDeconfigured));
}

#[tokio::test]
async fn who_is_followed_before_it_has_begun_hands_on_what_it_was_given() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, end_of_rib());
    speaker.comes_up("tor").await;
    let between = Speaker::resume(speaker.hand_over().await);
    let mut last = Speaker::resume(between.hand_over().await);
    last.want([("tor", &peer)]);
    assert_eq!(session.next_update().await, end_of_rib());
    assert_eq!(last.comes_up("tor").await.session.established, 1);
}

#[tokio::test]
async fn a_session_that_does_not_fit_the_next_is_begun_anew() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    let mut next = Speaker::resume(speaker.hand_over().await);
    let config = Config { local_asn: ferrolb_vocab::Asn(64_999), ..peer.config.clone() };
    next.want([("tor", &WantedPeer { config, ..peer })]);
    assert_eq!(session.last_word().await.as_cease(), Some(Cease::OtherConfigurationChange));
    drop(session);
    assert_eq!(next.next_end().await.reason(), "config_changed");
    let _session = router.establish().await;
    assert_eq!(next.comes_up("tor").await.session.established, 2);
}

#[tokio::test]
async fn a_session_that_the_router_has_closed_meanwhile_is_begun_anew() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let session = router.establish().await;
    speaker.comes_up("tor").await;
    let sessions = speaker.hand_over().await;
    drop(session);
    let mut next = Speaker::resume(sessions);
    next.want([("tor", &peer)]);
    let _session = router.establish().await;
    next.comes_up("tor").await;
}

#[tokio::test]
async fn a_session_that_nobody_goes_on_with_ends_without_a_word() {
    let router = Router::listen().await;
    let mut speaker = Speaker::start(&wanted(router.address()));
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, end_of_rib());
    speaker.comes_up("tor").await;
    let sessions = speaker.hand_over().await;
    assert_eq!(sessions.len(), 1);
    drop(sessions);
    assert_eq!(session.next_word().await, None);
}
