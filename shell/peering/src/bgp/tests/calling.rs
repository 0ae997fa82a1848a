//! Peers that connect from a range, which nobody has named one by one.

use super::handing_over::resumed;
use super::router::{Session, own_address};
use super::*;
use crate::bgp::{CALLERS_MAX, Caller, RangeStatus, WantedRange};
use ferrolb_bgp::Role;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use tokio::net::TcpListener;

/// Not that of BGP, which not everybody may listen on.
const PORT: u16 = 10_179;

/// A speaker that listens for a range, as an operator wants it.
struct Host {
    speaker: Speaker,
    address: Ipv4Addr,
    range: WantedRange,
}

impl Host {
    /// For a range of all addresses that tests have.
    async fn listen(password: Option<&Password>) -> Self {
        let address = own_address();
        let range = WantedRange {
            prefixes: vec![prefix("127.0.0.0/8")],
            source: Some(address.into()),
            interface: None,
            port: NonZeroU16::new(PORT).unwrap(),
            password: password.cloned(),
        };
        let mut host = Self { speaker: Speaker::spawn(), address, range };
        host.want(&[]);
        host.comes_to(|_| true).await;
        host
    }

    /// Wants these peers of the range.
    fn want(&self, peers: &[&WantedPeer]) {
        self.want_named(peers, []);
    }

    /// The same, with some that somebody has named.
    fn want_named<const N: usize>(&self, peers: &[&WantedPeer], named: [(&str, &WantedPeer); N]) {
        let of_range = peers.iter().map(|peer| (name_of(peer), (*peer).clone()));
        let named = named.map(|(peer, wanted)| (name(peer), wanted.clone()));
        let ranges = [(name("leaves"), self.range.clone())].into();
        self.speaker.bgp.handle.set_peers_and_ranges(of_range.chain(named).collect(), ranges);
    }

    /// What is wanted of who connects from there.
    fn caller(&self, address: Ipv4Addr) -> WantedPeer {
        let mut peer = wanted((address, PORT).into());
        peer.config.role = Role::Passive;
        peer.config.transport.source = Some(self.address.into());
        peer.options.listen_port = Some(self.range.port);
        peer.options.password.clone_from(&self.range.password);
        peer
    }

    fn listening(&self) -> SocketAddr {
        (self.address, PORT).into()
    }

    async fn connect(&self, from: Ipv4Addr) -> io::Result<Session> {
        Session::open(from, self.listening(), self.range.password.as_ref()).await
    }

    /// Somebody connects, and becomes a peer like this once it has.
    async fn called_by(&mut self, peer: &WantedPeer) -> Session {
        let IpAddr::V4(from) = peer.config.transport.remote.ip() else { panic!("{peer:?}") };
        let mut session = self.connect(from).await.unwrap();
        self.comes_to(|range| range.callers.contains(&from.into())).await;
        self.want(&[peer]);
        session.establish().await;
        session
    }

    /// Waits until it is so with the range.
    async fn comes_to(&mut self, is_so: impl Fn(&RangeStatus) -> bool) {
        let is_so = |view: &BgpView| view.ranges.get(&name("leaves")).is_some_and(&is_so);
        let seen = timeout(DEADLINE, self.speaker.bgp.view.wait_for(is_so)).await;
        seen.expect("the range becomes as expected").expect("the driver runs");
    }

    async fn is_rejected(&self, from: Ipv4Addr) {
        let mut stranger = self.connect(from).await.unwrap();
        assert_eq!(stranger.last_word().await.as_cease(), Some(Cease::ConnectionRejected));
    }
}

fn name_of(peer: &WantedPeer) -> ObjectName {
    Caller { range: name("leaves"), address: peer.config.transport.remote.ip() }.name()
}

#[tokio::test]
async fn who_connects_from_a_range_is_a_peer_as_long_as_its_connection_is() {
    let mut host = Host::listen(None).await;
    let peer = telling(&host.caller(own_address()), [("198.51.100.1/32", 7)]);
    let peer_name = name_of(&peer).name;
    for _ in 0..2 {
        let mut session = host.called_by(&peer).await;
        assert_eq!(session.next_update().await, announces("198.51.100.1/32", 7));
        let status = host.speaker.comes_up(&peer_name).await;
        assert_eq!(status.session.established, 1, "it is another one each time");
        drop(session);
        assert_eq!(host.speaker.next_end().await, Reason::ConnectionClosed);
        host.comes_to(|range| range.callers.is_empty()).await;
        assert!(host.speaker.bgp.view.borrow().peers.is_empty());
        host.speaker.shows(|metrics| !metrics.contains(&peer_name)).await;
    }
}

#[tokio::test]
async fn who_is_in_no_range_or_named_as_another_peer_is_refused() {
    let mut host = Host::listen(None).await;
    let fixed = own_address();
    // This side is to connect to it, and nobody is there.
    let mut active = wanted((fixed, PORT).into());
    active.config.transport.source = Some(host.address.into());
    host.want_named(&[], [("fixed", &active)]);
    host.speaker.comes_to("fixed", |_| true).await;
    host.is_rejected(fixed).await;
    // It waits, and is named then.
    let late = own_address();
    let mut waiting = host.connect(late).await.unwrap();
    host.comes_to(|range| range.callers.contains(&late.into())).await;
    let mut named = active.clone();
    named.config.transport.remote = (late, PORT).into();
    host.want_named(&[], [("late", &named)]);
    assert_eq!(waiting.last_word().await.as_cease(), Some(Cease::ConnectionRejected));
    host.range.prefixes = vec![prefix("192.0.2.0/24")];
    host.want(&[]);
    let gone = |view: &BgpView| view.peers.is_empty();
    timeout(DEADLINE, host.speaker.bgp.view.wait_for(gone)).await.unwrap().unwrap();
    host.is_rejected(own_address()).await;
    host.speaker.shows(|metrics| metrics.contains("drops_total{reason=\"unknown_peer\"} 2")).await;
}

#[tokio::test]
async fn a_range_that_there_is_no_more_ends_its_sessions_and_refuses_who_waits() {
    let mut host = Host::listen(None).await;
    let peer = host.caller(own_address());
    let mut session = host.called_by(&peer).await;
    host.speaker.comes_up(&name_of(&peer).name).await;
    let from = own_address();
    let mut waiting = host.connect(from).await.unwrap();
    host.comes_to(|range| range.callers.contains(&from.into())).await;
    host.speaker.want([]);
    assert_eq!(session.last_word().await.as_cease(), Some(Cease::PeerDeconfigured));
    assert_eq!(waiting.last_word().await.as_cease(), Some(Cease::ConnectionRejected));
    let is_gone = |view: &BgpView| view.ranges.is_empty();
    timeout(DEADLINE, host.speaker.bgp.view.wait_for(is_gone)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_range_has_so_many_peers_and_no_more() {
    let mut host = Host::listen(None).await;
    let mut waiting = Vec::new();
    for _ in 0..CALLERS_MAX {
        waiting.push(host.connect(own_address()).await.unwrap());
    }
    host.comes_to(|range| range.callers.len() == CALLERS_MAX && range.refused == 0).await;
    host.is_rejected(own_address()).await;
    host.comes_to(|range| range.refused == 1).await;
    host.speaker.shows(|metrics| metrics.contains("drops_total{reason=\"listen_range_full\"} 1")).await;
}

#[tokio::test]
async fn who_connects_from_a_range_has_its_key_to_the_end() {
    let password = Password::new(b"hunter2");
    let mut host = Host::listen(Some(&password)).await;
    let (from, to) = (own_address(), host.listening());
    let unheard = tokio::spawn(async move { Session::open(from, to, None).await });
    let peer = host.caller(own_address());
    let mut session = host.called_by(&peer).await;
    host.speaker.comes_up(&name_of(&peer).name).await;
    assert!(!unheard.is_finished(), "who has no key has no answer");
    unheard.abort();
    let changed = telling(&peer, [("198.51.100.1/32", 7)]);
    host.want(&[&changed]);
    assert_eq!(session.next_update().await, end_of_rib());
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 7));
}

#[tokio::test]
async fn a_session_of_a_range_goes_on_in_another_process() {
    let mut host = Host::listen(None).await;
    let peer = host.caller(own_address());
    let mut session = host.called_by(&peer).await;
    assert_eq!(session.next_update().await, end_of_rib());
    host.speaker.comes_up(&name_of(&peer).name).await;
    let Host { speaker, address, range } = host;
    let mut next = Host { speaker: resumed(speaker).await, address, range };
    let known = next.speaker.bgp.view.borrow().ranges[&name("leaves")].callers.clone();
    assert_eq!(known, [peer.config.transport.remote.ip()].into(), "before anything is wanted");
    next.want(&[&telling(&peer, [("198.51.100.1/32", 7)])]);
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 7));
    next.speaker.comes_up(&name_of(&peer).name).await;
    drop(session);
    next.comes_to(|range| range.callers.is_empty()).await;
}

#[tokio::test]
async fn where_nobody_can_listen_for_a_range_is_told() {
    let mut host = Host::listen(None).await;
    host.address = own_address();
    host.range.source = Some(host.address.into());
    let another_speaker = TcpListener::bind(host.listening()).await.unwrap();
    host.want(&[]);
    let error = PeerError::Listen { address: host.listening(), source: Errno::EADDRINUSE };
    host.comes_to(|range| range.error.as_ref() == Some(&error)).await;
    drop(another_speaker);
    host.comes_to(|range| range.error.is_none()).await;
    let peer = host.caller(own_address());
    host.called_by(&peer).await;
}
