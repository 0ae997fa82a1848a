use super::*;
use crate::speaker::metallb_metrics::MetalLbMetrics;
use ferrolb_bfd::DownReason;
use ferrolb_link::Routers;
use ferrolb_peering::bfd::Counts;
use ferrolb_plan::bgp::{BfdProfile, BgpPeer, Endpoint, RemoteAsn, Session, Timers};
use ferrolb_telemetry::Registry;
use ferrolb_vocab::{Asn, BgpId, IpPrefix, NodeName};
use ferrolb_wire::bfd::Diagnostic;
use ferrolb_wire::bgp::{
    Capabilities, Cease, Decoding, Families, Frame, MessageType, Notification, Open, Update, keepalive,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

mod calling;
mod field_changes;
mod resuming;

/// Beyond any time that the drivers may take on a busy machine, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

fn name(peer: &str) -> ObjectName {
    ObjectName::new("metallb-system", peer)
}

/// A peer in another AS than this side, AS 64512, with what holds where an object says no more.
pub(in crate::speaker) fn external_peer(endpoint: Endpoint) -> BgpPeer {
    BgpPeer {
        my_asn: Asn(64_512),
        remote: RemoteAsn::External,
        local_asn: None,
        endpoint,
        source_address: None,
        port: 179,
        passive: false,
        timers: Timers::default(),
        router_id: None,
        node_selectors: Vec::new(),
        password: None,
        bfd: None,
        graceful_restart: false,
        ebgp_multihop: false,
        vrf: None,
        dual_stack: false,
    }
}

/// A peer to which nobody can connect, and whose path BFD watches.
fn peer(endpoint: Endpoint) -> BgpPeer {
    BgpPeer { port: 1, bfd: Some(BfdProfile::default()), ..external_peer(endpoint) }
}

fn sessions<const N: usize>(peers: [(&str, Endpoint); N]) -> Sessions {
    let session =
        |(peer_name, endpoint)| (name(peer_name), Session { peer: peer(endpoint), routes: Arc::default() });
    Sessions { peers: peers.map(session).into(), is_shutting_down: false }
}

fn localhost() -> Endpoint {
    Endpoint::Address("127.0.0.1".parse().unwrap())
}

/// A router, AS 64513, that agrees to one session and reads what it is told. The prefixes of each UPDATE go to
/// `told`; what it is told last is returned.
async fn route(listener: TcpListener, told: mpsc::Sender<Vec<IpPrefix>>) -> Notification {
    let (mut stream, _) = listener.accept().await.unwrap();
    let capabilities = Capabilities {
        four_octet_asn: Some(Asn(64_513)),
        families: Some(Families::IPV4),
        ..Default::default()
    };
    let bgp_id = BgpId::from_ipv4([192, 0, 2, 1].into()).unwrap();
    let open = Open { asn: Asn(64_513), hold_time: 90, bgp_id, capabilities };
    stream.write_all(&[open.emit(), keepalive().into()].concat()).await.unwrap();
    let decoding = Decoding {
        four_octet_as: true,
        is_internal: false,
        local_asn: Asn(64_513),
        families: Families::IPV4,
    };
    let mut received = Vec::new();
    loop {
        while let Some((frame, length)) = Frame::next(&received).unwrap() {
            match frame.message_type {
                MessageType::Notification => return Notification::parse(frame.body).unwrap(),
                MessageType::Update => {
                    let update = Update::parse(frame.body, &decoding).unwrap();
                    told.send(update.reachable().collect()).await.unwrap();
                }
                MessageType::Open | MessageType::Keepalive | MessageType::RouteRefresh => {}
            }
            received.drain(..length);
        }
        assert_ne!(
            stream.read_buf(&mut received).await.unwrap(),
            0,
            "there is a NOTIFICATION before the end"
        );
    }
}

struct Running {
    peering: Peering,
    node: NodeName,
    _events: PeeringEvents,
}

impl Running {
    fn start() -> Self {
        Self::resume(Vec::new(), &[])
    }

    /// After another, which has left these sessions.
    fn resume(bgp_sessions: Vec<HandedOver>, bfd_sessions: &[String]) -> Self {
        let mut registry = Registry::default();
        let (bgp, bfd) = (BgpMetrics::register(&mut registry), BfdMetrics::register(&mut registry));
        let (peering, events) = Peering::start(bgp, bfd, bgp_sessions, bfd_sessions).unwrap();
        Self { peering, node: "a".into(), _events: events }
    }

    fn follow(&mut self, sessions: &Sessions) {
        let host = Host { node: &self.node, internal_ips: &[], links: &[], routers: &Routers::new() };
        self.peering.follow(sessions, &host);
    }

    /// What BGP was asked to believe of the path to a peer.
    fn told(&self, peer: &str) -> BfdState {
        self.wanted()[&name(peer)].bfd
    }

    fn wanted(&self) -> &BTreeMap<ObjectName, WantedPeer> {
        let (peers, _ranges) = self.peering.wanted.as_ref().expect("there was a plan");
        peers
    }

    /// Waits, as the speaker does, until it is so.
    async fn comes_to(&mut self, is_so: impl Fn(&Self) -> bool) {
        let comes = async {
            while !is_so(self) {
                self.peering.changed().await.unwrap();
                self.peering.reconcile();
            }
        };
        tokio::time::timeout(DEADLINE, comes).await.expect("it comes to that");
    }
}

#[test]
fn only_a_path_that_was_up_and_failed_is_down() {
    let status = |state, remote_state, down| SessionStatus {
        echo_interval: None,
        state,
        remote_state,
        local_diag: Diagnostic::NONE,
        remote_diag: Diagnostic::NONE,
        local_discr: None,
        tx_interval: None,
        rx_interval: None,
        detection_time: None,
        up_since: None,
        down,
        counts: Counts::default(),
        error: None,
    };
    let silence = Some(DownReason::DetectionTimeExpired);
    let operator = Some(DownReason::NeighborAdminDown);
    assert_eq!(bfd_state(None), BfdState::AdminDown, "it does not run yet");
    for (state, remote, down, expected) in [
        (PathState::Up, PathState::Up, None, BfdState::Up),
        (PathState::Up, PathState::Up, silence, BfdState::Up),
        (PathState::Down, PathState::Down, None, BfdState::AdminDown),
        (PathState::Down, PathState::Down, silence, BfdState::Down),
        (PathState::Init, PathState::Down, silence, BfdState::Down),
        (PathState::Down, PathState::AdminDown, silence, BfdState::AdminDown),
        (PathState::Down, PathState::AdminDown, operator, BfdState::AdminDown),
        (PathState::Down, PathState::Down, operator, BfdState::AdminDown),
        (PathState::AdminDown, PathState::Down, silence, BfdState::AdminDown),
    ] {
        let case = (state, remote, down);
        assert_eq!(bfd_state(Some(&status(state, remote, down))), expected, "{case:?}");
    }
}

#[tokio::test]
async fn a_path_that_is_lost_is_down_until_bgp_has_heard_it_whatever_bfd_says_meanwhile() {
    let mut running = Running::start();
    running.follow(&sessions([("tor", localhost())]));
    let shown = |running: &Running| {
        let view = running.peering.bgp_view.borrow();
        view.peers.get(&name("tor")).map(|peer| peer.session.bfd)
    };
    running.comes_to(|running| shown(running) == Some(BfdState::AdminDown)).await;
    let path = running.peering.peers[&name("tor")].as_ref().unwrap().sought.bfd.clone().unwrap().0;
    running.peering.lose(path);
    assert_eq!(running.told("tor"), BfdState::Down, "BFD never said so in its view");
    running.comes_to(|running| running.told("tor") != BfdState::Down).await;
    assert!(running.peering.lost.is_empty());
}

#[tokio::test]
async fn what_is_not_planned_any_more_is_not_wanted_and_what_cannot_be_is_said() {
    let mut running = Running::start();
    running.follow(&sessions([("tor", localhost()), ("behind", Endpoint::Interface("eth1".into()))]));
    assert_eq!(running.wanted().keys().collect::<Vec<_>>(), [&name("tor")]);
    assert!(running.wanted()[&name("tor")].has_restarted, "it may know this node's former speaker");
    running.comes_to(|running| running.peering.bgp_view.borrow().peers.len() == 1).await;
    let statuses = running.peering.statuses(clock::now());
    let reasons = |peer| statuses[&name(peer)].reason.as_deref();
    assert_eq!((statuses.len(), reasons("behind")), (2, Some("InterfaceMissing")));
    assert!(!running.peering.advertises());

    running.follow(&sessions([("other", localhost())]));
    assert!(!running.wanted()[&name("other")].has_restarted, "it is new");
    assert_eq!(running.peering.statuses(clock::now()).len(), 1);
    running.comes_to(|running| running.peering.bgp_view.borrow().peers.contains_key(&name("other"))).await;
    running.peering.leave("bye".into()).await;
}

#[tokio::test]
async fn what_is_planned_reaches_the_router_the_session_says_so_and_who_leaves_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut heard) = mpsc::channel(8);
    let router = tokio::spawn(route(listener, told));

    let mut running = Running::start();
    let prefix: IpPrefix = "198.51.100.10/32".parse().unwrap();
    let routes = Arc::new([(prefix, Arc::default())].into());
    let peer = BgpPeer { port, bfd: None, ..peer(localhost()) };
    let peers = [(name("tor"), Session { peer, routes })].into();
    // The session's own end is of no use to anybody else: the node's address is the next hop.
    let internal_ips = ["192.0.2.7".parse().unwrap()];
    let host = Host { node: &"a".into(), internal_ips: &internal_ips, links: &[], routers: &Routers::new() };
    running.peering.follow(&Sessions { peers, is_shutting_down: false }, &host);
    let first = tokio::time::timeout(DEADLINE, heard.recv()).await.expect("an UPDATE comes");
    assert_eq!(first, Some(vec![prefix]));
    running.comes_to(|running| running.peering.advertises()).await;
    let status = &running.peering.statuses(clock::now())[&name("tor")];
    assert_eq!((status.state.as_deref(), &status.reason), (Some("Established"), &None));
    let negotiated = status.negotiated.as_ref().unwrap();
    assert_eq!((negotiated.remote_asn, negotiated.remote_id.as_str()), (64_513, "192.0.2.1"));
    let [prefixes] = &status.prefixes[..] else { panic!("{status:?}") };
    assert_eq!((prefixes.wanted, prefixes.advertised), (1, 1));

    let mut registry = Registry::default();
    MetalLbMetrics::register(&mut registry).show(&running.peering);
    let text = ferrolb_telemetry::metrics::encode(&registry).unwrap();
    let labels = format!("{{peer=\"127.0.0.1:{port}\",vrf=\"default\"}}");
    for expected in ["session_up", "announced_prefixes_total", "opens_received", "updates_total"] {
        let prefix = format!("metallb_bgp_{expected}{labels} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
        assert!(value.is_some_and(|value| value != "0"), "{prefix}\n{text}");
    }

    running.peering.leave("the node leaves".into()).await;
    let last = tokio::time::timeout(DEADLINE, router).await.expect("the router is told").unwrap();
    assert_eq!(last.to_string(), "Cease/Administrative Shutdown: the node leaves");
}

#[tokio::test]
async fn a_router_has_one_session_with_one_speaker_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut heard) = mpsc::channel(8);
    // It takes one connection.
    let router = tokio::spawn(route(listener, told));
    let prefixes = ["198.51.100.10/32", "198.51.100.11/32"].map(|text| text.parse::<IpPrefix>().unwrap());
    let planned = |prefix: IpPrefix| {
        let peer = BgpPeer { port, bfd: None, ..peer(localhost()) };
        let routes = Arc::new([(prefix, Arc::default())].into());
        Sessions { peers: [(name("tor"), Session { peer, routes })].into(), is_shutting_down: false }
    };
    let internal_ips = ["192.0.2.7".parse().unwrap()];
    let host = Host { node: &"a".into(), internal_ips: &internal_ips, links: &[], routers: &Routers::new() };

    let mut running = Running::start();
    running.peering.follow(&planned(prefixes[0]), &host);
    running.comes_to(|running| running.peering.advertises()).await;
    let (bgp, bfd) = running.peering.hand_over().await;
    assert_eq!((bgp.len(), bfd.len()), (1, 0));
    let mut next = Running::resume(bgp, &bfd);
    next.peering.follow(&planned(prefixes[1]), &host);
    let announced = async { while heard.recv().await != Some(vec![prefixes[1]]) {} };
    tokio::time::timeout(DEADLINE, announced).await.expect("the next speaker's route comes");
    next.comes_to(|next| next.peering.advertises()).await;
    next.peering.leave("the node leaves".into()).await;
    let last = tokio::time::timeout(DEADLINE, router).await.expect("the router is told").unwrap();
    assert_eq!(last.to_string(), "Cease/Administrative Shutdown: the node leaves");
}

/// A router that takes a session, and it as the only peer, which is told nothing.
async fn only_router() -> (JoinHandle<Notification>, BTreeMap<ObjectName, Session>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut heard) = mpsc::channel(8);
    let router = tokio::spawn(route(listener, told));
    tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let peer = BgpPeer { port, bfd: None, ..peer(localhost()) };
    let peers = [(name("tor"), Session { peer, routes: Arc::default() })].into();
    (router, peers)
}

#[tokio::test]
async fn a_router_that_was_the_last_peer_is_told_so_by_the_next_speaker() {
    let (router, peers) = only_router().await;

    let mut running = Running::start();
    running.follow(&Sessions { peers, is_shutting_down: false });
    let is_up = |running: &Running| {
        let view = running.peering.bgp_view.borrow();
        view.peers.get(&name("tor")).is_some_and(|peer| peer.session.state == State::Established)
    };
    running.comes_to(is_up).await;
    let (bgp, bfd) = running.peering.hand_over().await;
    let mut next = Running::resume(bgp, &bfd);
    next.follow(&sessions([]));
    let last = tokio::time::timeout(DEADLINE, router).await.expect("the router is told").unwrap();
    assert_eq!(last.as_cease(), Some(Cease::PeerDeconfigured));
}
