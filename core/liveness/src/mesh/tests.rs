use super::*;
use crate::key::Key;
use crate::peer::outbox::ADDRESSES_MAX;
use crate::peer::{FORGET_AFTER, REVIVAL_HEARTBEATS};
use alloc::format;
use alloc::vec;
use ferrolb_wire::mesh::{Body, Datagram, DecodeError, Heartbeat, Kind};

mod claims;
mod presence;
mod property;
mod trust;
mod watching;

const INTERVAL: Duration = Duration::from_millis(50);
const DETECTION: Duration = Duration::from_millis(400);

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn address(node: &str) -> SocketAddr {
    let last = node.trim_start_matches("node");
    format!("192.0.2.{last}:7000").parse().unwrap()
}

fn nodes(names: &[&str]) -> BTreeMap<NodeName, Vec<SocketAddr>> {
    names.iter().map(|name| ((*name).into(), vec![address(name)])).collect()
}

fn names(set: &BTreeSet<NodeName>) -> Vec<&str> {
    set.iter().map(NodeName::as_str).collect()
}

fn key(octet: u8) -> Key {
    Key::new(&[octet; 32]).unwrap()
}

fn keys() -> KeyRing {
    KeyRing::new(key(7), vec![]).unwrap()
}

/// node1 in incarnation 1.
fn new_mesh() -> Mesh {
    let timing = Timing::new(INTERVAL, DETECTION).unwrap();
    Mesh::new("node1".into(), 1, timing, keys()).unwrap()
}

/// node1, which has known node2 as its peer since the origin.
fn watching_node2() -> Mesh {
    let mut mesh = new_mesh();
    mesh.set_peers(nodes(&["node1", "node2"]), at(0));
    mesh
}

/// What node2 says to node1, whose incarnation it knows.
fn datagram(body: Body, incarnation: u64, sequence: u64) -> Datagram {
    let sender = NodeName::from("node2").try_into().unwrap();
    Datagram { key: keys().send_id(), sender, incarnation, sequence, echo: 1, body }
}

fn beat(claims_version: u64) -> Body {
    Body::Heartbeat(beat_of(claims_version, false))
}

fn beat_of(claims_version: u64, is_leaving: bool) -> Heartbeat {
    Heartbeat {
        claims_version,
        interval: INTERVAL,
        detection: DETECTION,
        is_herald: false,
        is_leaving,
        is_followed: false,
    }
}

fn deliver(mesh: &mut Mesh, datagram: &Datagram, now: Instant) -> Result<Kind, Rejected> {
    mesh.handle_packet(address("node2"), &keys().seal(datagram), now)
}

fn heartbeat(mesh: &mut Mesh, incarnation: u64, sequence: u64, now: Instant) -> Result<Kind, Rejected> {
    deliver(mesh, &datagram(beat(0), incarnation, sequence), now)
}

fn leave(mesh: &mut Mesh, incarnation: u64, sequence: u64, now: Instant) -> Result<Kind, Rejected> {
    deliver(mesh, &datagram(Body::Leave, incarnation, sequence), now)
}

fn events(mesh: &mut Mesh) -> Vec<Event> {
    core::iter::from_fn(|| mesh.poll_event()).collect()
}

/// The datagrams to send, each found authentic.
fn sent(mesh: &mut Mesh) -> Vec<(SocketAddr, Datagram)> {
    let all = core::iter::from_fn(|| mesh.poll_transmit());
    all.map(|Transmit { kind, dst, payload }| {
        let received = Datagram::parse(&payload).unwrap();
        assert!(keys().is_authentic(&received));
        assert_eq!(received.datagram.body.kind(), kind);
        (dst, received.datagram)
    })
    .collect()
}

fn transmits(mesh: &mut Mesh) -> Vec<(SocketAddr, Kind, u64)> {
    sent(mesh).into_iter().map(|(dst, datagram)| (dst, datagram.body.kind(), datagram.sequence)).collect()
}

/// A driver that is never late: does what is due until `to`, and sends it nowhere.
fn advance(mesh: &mut Mesh, to: Instant) {
    while let Some((due, _)) = mesh.poll_timeout()
        && due <= to
    {
        mesh.handle_timeout(due);
        while mesh.poll_transmit().is_some() {}
    }
    mesh.handle_timeout(to);
}

/// When node2 is dead unless it is heard before.
fn deadline(mesh: &Mesh) -> Option<Instant> {
    mesh.peers.as_ref().unwrap()[&"node2".into()].deadline()
}

fn node2_is_alive() -> Event {
    Event::Alive("node2".into())
}

fn node2_is_dead(why: DeadReason) -> Event {
    Event::Dead { node: "node2".into(), why }
}
