use super::*;
use crate::config::{CONNECT_RETRY_TIME, GracefulRestartConfig, HoldTime, RemoteAsn, Role, Transport};
use crate::route::Route;
use alloc::sync::Arc;
use ferrolb_vocab::{Asn, BgpId, IpPrefix};
use ferrolb_wire::bgp::{
    Capabilities, Families, Frame, GracefulRestart, Open, RouteRefresh, Subtype, keepalive,
};

mod agreeing;
mod bfd;
mod collisions;
mod configuring;
mod ending;
mod property;
mod receiving;
mod restarting;
mod resuming;
mod retrying;
mod sending;
mod states;
mod timers;

const SECOND: Duration = Duration::from_secs(1);

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn id(octets: [u8; 4]) -> BgpId {
    BgpId::from_ipv4(octets.into()).unwrap()
}

fn hold(seconds: u16) -> HoldTime {
    HoldTime::new(seconds).unwrap()
}

/// AS 64512, 10.0.0.1, towards AS 64513.
fn config() -> Config {
    Config {
        local_asn: Asn(64_512),
        local_as: None,
        remote_asn: RemoteAsn::Exactly(Asn(64_513)),
        bgp_id: id([10, 0, 0, 1]),
        transport: Transport { remote: remote(), source: None, interface: None },
        role: Role::Active,
        families: Families::ALL,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: Some("2001:db8::1".parse().unwrap()),
        hold_time: HoldTime::SUGGESTED,
        keepalive_time: None,
        connect_retry_time: CONNECT_RETRY_TIME,
        graceful_restart: None,
        hostname: Some("node-1".into()),
        bfd: BfdPolicy::Ignore,
    }
}

fn restarts() -> GracefulRestartConfig {
    GracefulRestartConfig { restart_time: 120, forwarding: Families::ALL, notification: false }
}

/// With graceful restart, after a NOTIFICATION too if `notification`.
fn restarting_config(notification: bool) -> Config {
    Config { graceful_restart: Some(GracefulRestartConfig { notification, ..restarts() }), ..config() }
}

fn local() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

fn remote() -> SocketAddr {
    "192.0.2.2:179".parse().unwrap()
}

/// What the peer says: AS 64513, 10.0.0.2, both families.
fn open() -> Open {
    let capabilities = Capabilities {
        families: Some(Families::ALL),
        four_octet_asn: Some(Asn(64_513)),
        route_refresh: true,
        enhanced_route_refresh: true,
        ..Capabilities::default()
    };
    Open { asn: Asn(64_513), hold_time: 180, bgp_id: id([10, 0, 0, 2]), capabilities }
}

/// The same of a peer that restarts gracefully, after a NOTIFICATION too if `notification`.
fn restarting_open(notification: bool) -> Open {
    let families = alloc::vec![(ferrolb_wire::bgp::Family::Ipv4Unicast, true)];
    let restart = GracefulRestart { restarted: false, notification, restart_time: 90, families };
    let capabilities = Capabilities { graceful_restart: Some(restart), ..open().capabilities };
    Open { capabilities, ..open() }
}

/// One thing that a peer does, messages one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Connect,
    Open,
    Keepalive,
    Update,
    RouteRefresh,
    /// With code and subcode.
    Notification(u8, u8),
    Close,
    Abort,
}

/// What the peer does, with the connections.
fn drain(peer: &mut Peer) -> Vec<(ConnectionId, Did)> {
    let mut did = Vec::new();
    while let Some(transmit) = peer.poll_transmit() {
        match transmit {
            Transmit::Connect { id } => did.push((id, Did::Connect)),
            Transmit::Close { id } => did.push((id, Did::Close)),
            Transmit::Abort { id } => did.push((id, Did::Abort)),
            Transmit::Send { id, octets } => {
                did.extend(frames(&octets).into_iter().map(|did| (id, did)));
            }
        }
    }
    did
}

fn frames(octets: &[u8]) -> Vec<Did> {
    let mut rest = octets;
    let mut did = Vec::new();
    while let Some((frame, length)) = Frame::next(rest).unwrap() {
        did.push(match frame.message_type {
            MessageType::Open => Did::Open,
            MessageType::Update => Did::Update,
            MessageType::Keepalive => Did::Keepalive,
            MessageType::RouteRefresh => Did::RouteRefresh,
            MessageType::Notification => Did::Notification(frame.body[0], frame.body[1]),
        });
        rest = &rest[length..];
    }
    assert!(rest.is_empty(), "only whole messages are sent");
    did
}

/// What the peer does, without the connections.
fn did(peer: &mut Peer) -> Vec<Did> {
    drain(peer).into_iter().map(|(_, did)| did).collect()
}

fn events(peer: &mut Peer) -> Vec<Event> {
    core::iter::from_fn(|| peer.poll_event()).collect()
}

/// Why the last session or attempt ended, if one did since the last call.
fn why(peer: &mut Peer) -> Option<Reason> {
    events(peer).into_iter().rev().find_map(|event| match event {
        Event::Down { reason, .. } | Event::Failed { reason, .. } => Some(reason),
        Event::Established { .. } | Event::Refused { .. } | Event::EndOfRib { .. } => None,
    })
}

/// A peer that was started at the origin, with the name of its first attempt to connect.
fn started(config: Config) -> (Peer, ConnectionId) {
    let mut peer = Peer::new(config, 42);
    peer.start(at(0));
    let [(id, Did::Connect)] = drain(&mut peer)[..] else { panic!("no attempt to connect") };
    (peer, id)
}

/// TCP opens the connection of an attempt, or the peer's. What the peer does.
fn connect(peer: &mut Peer, id: ConnectionId, now: Instant) -> Vec<Did> {
    peer.handle_connected(id, Direction::Outgoing, local(), remote(), now);
    let did = did(peer);
    peer.handle_writable(id, now);
    did
}

fn accept(peer: &mut Peer, now: Instant) -> (ConnectionId, Vec<(ConnectionId, Did)>) {
    let id = peer.next_connection();
    peer.handle_connected(id, Direction::Incoming, local(), remote(), now);
    let did = drain(peer);
    peer.handle_writable(id, now);
    (id, did)
}

/// The other side sends octets. What the peer does; all of it is written at once.
fn tell(peer: &mut Peer, id: ConnectionId, octets: &[u8], now: Instant) -> Vec<(ConnectionId, Did)> {
    peer.handle_octets(id, octets, now);
    let mut all = Vec::new();
    loop {
        let did = drain(peer);
        if did.is_empty() {
            return all;
        }
        all.extend(did);
        peer.handle_writable(id, now);
    }
}

/// A peer in OpenSent since `at(10)`, on a connection of its own.
fn open_sent(config: Config) -> (Peer, ConnectionId) {
    let (mut peer, id) = started(config);
    assert_eq!(connect(&mut peer, id, at(10)), [Did::Open]);
    assert_eq!(peer.state(), State::OpenSent);
    (peer, id)
}

/// A peer in OpenConfirm since `at(20)`, which the other side told `open`.
fn open_confirm(config: Config, open: &Open) -> (Peer, ConnectionId) {
    let (mut peer, id) = open_sent(config);
    assert_eq!(tell(&mut peer, id, &open.emit(), at(20)), [(id, Did::Keepalive)]);
    assert_eq!(peer.state(), State::OpenConfirm);
    (peer, id)
}

/// A peer in Established since `at(30)`, with nothing to announce and its End-of-RIBs sent.
fn established(config: Config, open: &Open) -> (Peer, ConnectionId) {
    let (mut peer, id) = open_confirm(config, open);
    peer.rib_out_mut().complete();
    let did = tell(&mut peer, id, &keepalive(), at(30));
    assert!(did.iter().all(|(of, did)| *of == id && *did == Did::Update), "{did:?}");
    assert_eq!(peer.state(), State::Established);
    assert!(matches!(events(&mut peer)[..], [Event::Established { .. }]));
    (peer, id)
}

/// Does all that is due until `end`, keeping what comes out, with the times.
fn run(peer: &mut Peer, end: Instant) -> Vec<(Instant, ConnectionId, Did)> {
    let mut done = Vec::new();
    while let Some((due, _)) = peer.poll_timeout()
        && due <= end
    {
        peer.handle_timeout(due);
        let did = drain(peer);
        for (id, did) in did {
            peer.handle_writable(id, due);
            done.push((due, id, did));
        }
    }
    done
}

/// When the first thing of a kind is done, if it is until `end`.
fn first(peer: &mut Peer, wanted: Did, end: Instant) -> Option<Instant> {
    while let Some((due, _)) = peer.poll_timeout()
        && due <= end
    {
        if run(peer, due).iter().any(|(_, _, did)| *did == wanted) {
            return Some(due);
        }
    }
    None
}

fn prefix(text: &str) -> IpPrefix {
    text.parse().unwrap()
}

fn route() -> Arc<Route> {
    Arc::new(Route::default())
}

fn cease(cease: Cease) -> Did {
    Did::Notification(6, cease.subcode())
}

/// An UPDATE of the other side's with one IPv4 prefix, through these AS numbers.
fn update(text: &str, as_path: &[u32]) -> Vec<u8> {
    use ferrolb_wire::bgp::{Attributes, EncodedAttributes, Family, NextHop, Origin, emit_reachable};
    let attributes = Attributes {
        origin: Origin::Igp,
        as_path: as_path.iter().copied().map(Asn).collect(),
        next_hop: NextHop::Ipv4([192, 0, 2, 2].into()),
        multi_exit_disc: None,
        local_pref: None,
        communities: Vec::new(),
        large_communities: Vec::new(),
        extended_communities: Vec::new(),
    };
    let encoded = EncodedAttributes::new(&attributes, true).unwrap();
    let mut octets = Vec::new();
    let mut prefixes = [prefix(text)].into_iter().peekable();
    assert_eq!(emit_reachable(&encoded, Family::Ipv4Unicast, &mut prefixes, &mut octets), 1);
    octets
}

/// A message whose header may say anything.
fn raw(length: u16, message_type: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = alloc::vec![0xff; 16];
    octets.extend(length.to_be_bytes());
    octets.push(message_type);
    octets.extend(body);
    octets
}
