use super::*;
use ferrolb_bgp::{BfdPolicy, Event, GracefulRestartConfig, Reason, State, Stop};
use ferrolb_vocab::Community;
use ferrolb_wire::bgp::{Cease, Families, Family, Notification};
use nix::errno::Errno;
use prometheus_client::registry::Registry;
use router::{Message, Router, Told, wanted};
use std::num::NonZeroU8;
use tokio::task::yield_now;

mod calling;
mod fairness;
mod handing_over;
mod keys;
mod listening;
mod monitoring;
pub(super) mod router;

/// Beyond any time that sessions may take on a busy machine, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running driver with its metrics.
struct Speaker {
    bgp: Bgp,
    registry: Registry,
}

impl Speaker {
    fn spawn() -> Self {
        let mut registry = Registry::default();
        let metrics = BgpMetrics::register(&mut registry);
        Self { bgp: spawn(metrics).unwrap(), registry }
    }

    /// With one peer.
    fn start(peer: &WantedPeer) -> Self {
        let speaker = Self::spawn();
        speaker.want([("tor", peer)]);
        speaker
    }

    fn want<const N: usize>(&self, peers: [(&str, &WantedPeer); N]) {
        let peers = peers.map(|(peer, wanted)| (name(peer), wanted.clone()));
        self.bgp.handle.set_peers(peers.into());
    }

    /// Waits until the peer is as expected.
    async fn comes_to(&mut self, peer: &str, is_expected: impl Fn(&PeerStatus) -> bool) -> PeerStatus {
        let is_so = |view: &BgpView| view.peers.get(&name(peer)).is_some_and(&is_expected);
        let seen = timeout(DEADLINE, self.bgp.view.wait_for(is_so)).await;
        let view = seen.expect("the peer becomes as expected").expect("the driver runs");
        view.peers[&name(peer)].clone()
    }

    async fn comes_up(&mut self, peer: &str) -> PeerStatus {
        self.comes_to(peer, |status| status.session.state == State::Established).await
    }

    async fn next_event(&mut self) -> BgpEvent {
        timeout(DEADLINE, self.bgp.events.recv()).await.expect("an event is told").expect("the driver runs")
    }

    /// Why the next session or attempt came to its end.
    async fn next_end(&mut self) -> Reason {
        loop {
            match self.next_event().await.event {
                Event::Down { reason, .. } | Event::Failed { reason, .. } => return reason,
                Event::Established { .. } | Event::Refused { .. } | Event::EndOfRib { .. } => {}
            }
        }
    }

    /// Waits until the metrics are as expected.
    async fn shows(&self, is_expected: impl Fn(&str) -> bool) {
        let shown = async {
            while !is_expected(&encoded(&self.registry)) {
                yield_now().await;
            }
        };
        timeout(DEADLINE, shown).await.unwrap_or_else(|_| panic!("{}", encoded(&self.registry)));
    }
}

fn name(name: &str) -> ObjectName {
    ObjectName::new("metallb-system", name)
}

fn prefix(text: &str) -> IpPrefix {
    text.parse().unwrap()
}

/// A route with one community.
fn route(community: u32) -> Arc<Route> {
    Arc::new(Route { communities: [Community(community)].into(), ..Route::default() })
}

/// The peer with these routes, each with one community.
fn telling<const N: usize>(peer: &WantedPeer, routes: [(&str, u32); N]) -> WantedPeer {
    let routes = routes.map(|(text, community)| (prefix(text), route(community)));
    WantedPeer { routes: Arc::new(routes.into()), ..peer.clone() }
}

/// An UPDATE that announces a prefix with one community.
fn announces(text: &str, community: u32) -> Told {
    let communities = vec![Community(community)];
    Told { reachable: vec![prefix(text)], withdrawn: vec![], communities, end_of_rib: None }
}

fn end_of_rib() -> Told {
    Told { reachable: vec![], withdrawn: vec![], communities: vec![], end_of_rib: Some(Family::Ipv4Unicast) }
}

fn encoded(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

#[tokio::test]
async fn a_session_comes_up_and_the_router_is_told_the_routes() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&telling(&peer, [("198.51.100.1/32", 7), ("198.51.100.2/32", 7)]));
    let mut session = router.establish().await;
    let told = session.next_update().await;
    assert_eq!(told.reachable, [prefix("198.51.100.1/32"), prefix("198.51.100.2/32")]);
    assert_eq!(session.next_update().await, end_of_rib());

    let event = speaker.next_event().await;
    assert!(matches!(event.event, Event::Established { .. }), "{event:?}");
    assert_eq!(event.peer, name("tor"));
    let is_told = |status: &PeerStatus| status.session.ipv4.advertised == 2;
    let status = speaker.comes_to("tor", is_told).await;
    assert_eq!((status.session.state, status.error), (State::Established, None));
    let addresses = status.session.addresses.expect("there is a connection");
    assert_eq!(addresses[1], router.address());
    // Shown before the view.
    let metrics = encoded(&speaker.registry);
    let peer = "peer=\"metallb-system/tor\"";
    for line in [
        format!("ferrolb_bgp_session_up{{{peer}}} 1"),
        format!("ferrolb_bgp_prefixes{{{peer},family=\"ipv4_unicast\",state=\"advertised\"}} 2"),
        format!("ferrolb_bgp_messages_total{{{peer},direction=\"sent\",kind=\"update\"}} 2"),
        format!("ferrolb_bgp_messages_total{{{peer},direction=\"received\",kind=\"open\"}} 1"),
    ] {
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn a_changed_route_is_one_update() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let speaker = Speaker::start(&telling(&peer, [("198.51.100.1/32", 7), ("198.51.100.2/32", 7)]));
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await.reachable.len(), 2);
    assert_eq!(session.next_update().await, end_of_rib());

    speaker.want([("tor", &telling(&peer, [("198.51.100.1/32", 8), ("198.51.100.2/32", 7)]))]);
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 8));
    // What comes next shows that there was no second one.
    let rest = telling(&peer, [("198.51.100.1/32", 8)]);
    speaker.want([("tor", &rest)]);
    let told = session.next_update().await;
    assert_eq!((told.withdrawn, told.reachable), (vec![prefix("198.51.100.2/32")], vec![]));
    speaker.want([("tor", &WantedPeer { is_shutting_down: true, ..rest })]);
    let told = session.next_update().await;
    assert!(told.communities.contains(&Community::GRACEFUL_SHUTDOWN), "{told:?}");
}

#[tokio::test]
async fn the_end_of_the_routes_is_told_once_they_are_complete() {
    let router = Router::listen().await;
    let incomplete = WantedPeer { is_complete: false, ..wanted(router.address()) };
    let incomplete = telling(&incomplete, [("198.51.100.1/32", 7)]);
    let speaker = Speaker::start(&incomplete);
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 7));
    let incomplete = telling(&incomplete, [("198.51.100.1/32", 8)]);
    speaker.want([("tor", &incomplete)]);
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 8));
    speaker.want([("tor", &WantedPeer { is_complete: true, ..incomplete })]);
    assert_eq!(session.next_update().await, end_of_rib());
}

#[tokio::test]
async fn a_connection_that_is_refused_is_tried_again() {
    let router = Router::listen().await;
    let address = router.address();
    drop(router);
    let mut speaker = Speaker::start(&wanted(address));
    assert_eq!(speaker.next_end().await, Reason::ConnectFailed);
    let error = speaker.bgp.view.borrow().peers[&name("tor")].error.clone();
    assert_eq!(error, Some(PeerError::Connect { remote: address, source: Errno::ECONNREFUSED }));
    let router = Router::listen_at(address).await;
    let _session = router.establish().await;
    assert_eq!(speaker.comes_up("tor").await.error, None);
}

#[tokio::test]
async fn the_last_word_of_a_router_is_told() {
    let router = Router::listen().await;
    let mut speaker = Speaker::start(&wanted(router.address()));
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, end_of_rib());
    let notification = Notification::cease(Cease::AdministrativeShutdown, Some("maintenance"));
    session.send(&notification.emit()).await;
    assert_eq!(speaker.next_end().await, Reason::NotificationReceived(notification.clone()));
    let status = speaker.bgp.view.borrow().peers[&name("tor")].clone();
    assert_eq!(status.session.last_received.map(|told| told.notification), Some(notification));
    assert_ne!(status.session.state, State::Established);
    let metrics = encoded(&speaker.registry);
    let peer = "peer=\"metallb-system/tor\"";
    for line in [
        format!("ferrolb_bgp_failures_total{{{peer},what=\"session\",reason=\"notification_received\"}} 1"),
        format!("ferrolb_bgp_session_up{{{peer}}} 0"),
    ] {
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    assert_eq!(session.next_word().await, None, "the connection is closed without another word");
}

#[tokio::test]
async fn a_router_that_is_gone_is_told_and_tried_again() {
    let router = Router::listen().await;
    let mut speaker = Speaker::start(&wanted(router.address()));
    drop(router.establish().await);
    assert_eq!(speaker.next_end().await, Reason::ConnectionClosed);
    let _session = router.establish().await;
    let status = speaker.comes_up("tor").await;
    assert_eq!(status.session.established, 2);
}

#[tokio::test]
async fn a_peer_that_is_not_wanted_any_more_is_told_so_and_may_come_back() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    speaker.want([]);
    let notification = session.last_word().await;
    assert_eq!(notification.as_cease(), Some(Cease::PeerDeconfigured));
    assert_eq!(speaker.next_end().await, Reason::Stopped(Stop::PeerRemoved));
    assert!(speaker.bgp.view.borrow().peers.is_empty());
    drop(session);
    speaker.shows(|metrics| !metrics.contains("metallb-system/tor")).await;

    speaker.want([("tor", &peer)]);
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    speaker.want([]);
    session.last_word().await;
    // Even while it waits for the router to close its side.
    speaker.want([("tor", &peer)]);
    let _session = router.establish().await;
    speaker.comes_up("tor").await;
}

#[tokio::test]
async fn leaving_tells_every_router_why() {
    let routers = [Router::listen().await, Router::listen().await];
    let mut speaker = Speaker::spawn();
    let peers = routers.each_ref().map(|router| wanted(router.address()));
    speaker.want([("one", &peers[0]), ("two", &peers[1])]);
    let mut sessions = [routers[0].establish().await, routers[1].establish().await];
    speaker.comes_up("one").await;
    speaker.comes_up("two").await;
    let Bgp { handle, view, .. } = speaker.bgp;
    let read = async {
        for session in &mut sessions {
            let notification = session.last_word().await;
            assert_eq!(notification.as_cease(), Some(Cease::AdministrativeShutdown));
            assert_eq!(notification.text().as_deref(), Some("node-1 is drained"));
        }
        drop(sessions);
    };
    tokio::join!(handle.leave(Some("node-1 is drained".into())), read);
    assert!(view.has_changed().is_err(), "the view is closed");
}

#[tokio::test]
async fn who_drops_the_handle_says_nothing() {
    let router = Router::listen().await;
    let mut speaker = Speaker::start(&wanted(router.address()));
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, end_of_rib());
    speaker.comes_up("tor").await;
    drop(speaker.bgp.handle);
    assert_eq!(session.next_word().await, None);
}

#[tokio::test]
async fn when_bfd_loses_the_path_the_session_ends_at_once() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let config = Config { bfd: BfdPolicy::Strict, ..peer.config.clone() };
    let peer = WantedPeer { config, bfd: BfdState::Up, ..peer };
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    speaker.want([("tor", &WantedPeer { bfd: BfdState::Down, ..peer })]);
    assert_eq!(session.last_word().await.as_cease(), Some(Cease::BfdDown));
    assert_eq!(speaker.next_end().await, Reason::BfdDown);
}

#[tokio::test]
async fn a_configuration_that_the_router_must_hear_of_begins_a_new_session() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut speaker = Speaker::start(&peer);
    let mut session = router.establish().await;
    speaker.comes_up("tor").await;
    let config = Config { local_asn: ferrolb_vocab::Asn(64_999), ..peer.config.clone() };
    speaker.want([("tor", &WantedPeer { config, ..peer })]);
    assert_eq!(session.last_word().await.as_cease(), Some(Cease::OtherConfigurationChange));
    let mut session = router.accept().await;
    let open = session.next().await;
    assert!(matches!(&open, Some(Message::Open(open)) if open.asn.0 == 64_999), "{open:?}");
}

#[tokio::test]
async fn what_cannot_be_connected_hinders_no_other() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let mut nowhere = peer.clone();
    nowhere.config.transport.interface = Some("no-such-link".into());
    let mut speaker = Speaker::spawn();
    speaker.want([("nowhere", &nowhere), ("tor", &peer)]);
    let _session = router.establish().await;
    speaker.comes_up("tor").await;
    let error = speaker.comes_to("nowhere", |status| status.error.is_some()).await.error.unwrap();
    assert_eq!((error.reason(), error.to_string().contains("no-such-link")), ("InterfaceUnusable", true));
}

#[tokio::test]
async fn who_waits_to_connect_with_what_was_wrong_does_so_no_longer() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    drop(router);
    let mut speaker = Speaker::start(&peer);
    for _ in 0..2 {
        assert_eq!(speaker.next_end().await, Reason::ConnectFailed);
    }
    let options = TransportOptions { ttl: NonZeroU8::MAX, ..peer.options.clone() };
    speaker.want([("tor", &WantedPeer { options, ..peer })]);
    assert_eq!(speaker.next_end().await, Reason::ConnectFailed);
    assert_eq!(speaker.bgp.view.borrow().peers[&name("tor")].session.failures, 1, "not the third in a row");
}

#[tokio::test]
async fn a_speaker_that_has_restarted_says_so_until_there_is_a_session() {
    let router = Router::listen().await;
    let peer = wanted(router.address());
    let restart =
        GracefulRestartConfig { restart_time: 120, forwarding: Families::IPV4, notification: false };
    let config = Config { graceful_restart: Some(restart), ..peer.config.clone() };
    let mut speaker = Speaker::start(&WantedPeer { config, has_restarted: true, ..peer });
    for is_restarted in [true, false] {
        let mut session = router.accept().await;
        let Some(Message::Open(open)) = session.next().await else { panic!("an OPEN comes") };
        let told = open.capabilities.graceful_restart.map(|restart| restart.restarted);
        assert_eq!(told, Some(is_restarted));
        session.agree().await;
        speaker.comes_up("tor").await;
        drop(session);
        assert_eq!(speaker.next_end().await, Reason::ConnectionClosed);
    }
}
