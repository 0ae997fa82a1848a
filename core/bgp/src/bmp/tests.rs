use super::*;
use crate::config::{
    BfdPolicy, CONNECT_RETRY_TIME, Config, GracefulRestartConfig, HoldTime, RemoteAsn, Role, Transport,
};
use crate::connection::{ConnectionId, Direction};
use crate::peer::{BfdState, Event, Peer, State, Stop, Transmit};
use crate::route::Route;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use collector::Collector;
use core::time::Duration;
use ferrolb_vocab::{Asn, BgpId, Community, Instant, IpPrefix, ObjectName};
use ferrolb_wire::bgp::{
    Capabilities, Cease, Families, Family, GracefulRestart, Notification, Open, keepalive,
};

mod collector;
mod property;

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn id(octets: [u8; 4]) -> BgpId {
    BgpId::from_ipv4(octets.into()).unwrap()
}

/// AS 64512, 10.0.0.1, towards AS 64513, which may restart.
fn config() -> Config {
    let restart = GracefulRestartConfig { restart_time: 120, forwarding: Families::ALL, notification: false };
    Config {
        local_asn: Asn(64_512),
        local_as: None,
        remote_asn: RemoteAsn::External,
        bgp_id: id([10, 0, 0, 1]),
        transport: Transport { remote: "192.0.2.2:179".parse().unwrap(), source: None, interface: None },
        role: Role::Active,
        families: Families::ALL,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: Some("2001:db8::1".parse().unwrap()),
        hold_time: HoldTime::SUGGESTED,
        keepalive_time: None,
        connect_retry_time: CONNECT_RETRY_TIME,
        graceful_restart: Some(restart),
        hostname: None,
        bfd: BfdPolicy::Follow,
    }
}

/// What the router says: AS 64513, 10.0.0.2, both families, restarts.
fn open() -> Open {
    let families = Vec::from([(Family::Ipv4Unicast, true), (Family::Ipv6Unicast, true)]);
    let restart = GracefulRestart { restarted: false, notification: false, restart_time: 90, families };
    let capabilities = Capabilities {
        families: Some(Families::ALL),
        four_octet_asn: Some(Asn(64_513)),
        route_refresh: true,
        graceful_restart: Some(restart),
        ..Capabilities::default()
    };
    Open { asn: Asn(64_513), hold_time: 90, bgp_id: id([10, 0, 0, 2]), capabilities }
}

/// A driver with one peer, and a station.
struct Bench {
    peer: Peer,
    connection: Option<ConnectionId>,
    /// As the driver saw the peer last.
    seen: Option<Arc<Monitored>>,
    station: Station,
    collector: Collector,
}

fn name() -> ObjectName {
    ObjectName::new("metallb-system", "tor")
}

fn prefix(text: &str) -> IpPrefix {
    text.parse().unwrap()
}

/// A route that is known by its community.
fn route(community: u32) -> Arc<Route> {
    Arc::new(Route { communities: [Community(community)].into(), ..Route::default() })
}

fn station() -> Station {
    let identity = Identity {
        system_description: "ferrolb 1".into(),
        system_name: "node-1".into(),
        origin: Duration::from_secs(1_000_000),
    };
    Station::new(identity, at(0))
}

impl Bench {
    fn new(config: Config) -> Self {
        let mut peer = Peer::new(config, 42);
        peer.rib_out_mut().complete();
        peer.start(at(0));
        let mut bench =
            Self { peer, connection: None, seen: None, station: station(), collector: Collector::default() };
        bench.look(at(0));
        bench
    }

    /// With a session since `at(10)` with a router that says `open`.
    fn established(config: Config, open: &Open) -> Self {
        let mut bench = Self::new(config);
        bench.establish(&open.emit(), at(10));
        bench
    }

    fn establish(&mut self, open: &[u8], now: Instant) {
        let id = self.connection.expect("the peer connects");
        let ends = ["192.0.2.1:40000", "192.0.2.2:179"].map(|text| text.parse().unwrap());
        self.peer.handle_connected(id, Direction::Outgoing, ends[0], ends[1], now);
        for octets in [open, &keepalive()[..]] {
            self.drive(now);
            self.peer.handle_octets(id, octets, now);
        }
        self.drive(now);
        assert_eq!(self.peer.state(), State::Established);
        self.look(now);
    }

    /// Writes all that the peer has to say.
    fn drive(&mut self, now: Instant) {
        while let Some(transmit) = self.peer.poll_transmit() {
            match transmit {
                Transmit::Connect { id } => self.connection = Some(id),
                Transmit::Send { id, .. } => self.peer.handle_writable(id, now),
                Transmit::Close { .. } | Transmit::Abort { .. } => {}
            }
        }
    }

    /// Shows the peer to the station once all is written.
    fn look(&mut self, now: Instant) {
        self.drive(now);
        self.observe(now);
    }

    /// The same before that.
    fn observe(&mut self, now: Instant) {
        let events: Vec<Event> = core::iter::from_fn(|| self.peer.poll_event()).collect();
        let status = self.peer.status(now);
        let seen = Monitored::observe(self.seen.as_deref(), &self.peer, &status, &events);
        self.seen = Some(Arc::new(seen));
        self.show();
    }

    fn show(&mut self) {
        let peers = self.seen.iter().map(|seen| (name(), Arc::clone(seen)));
        self.station.set_peers(Arc::new(peers.collect()));
    }

    fn want<const N: usize>(&mut self, routes: [(&str, u32); N], now: Instant) {
        let wanted = routes.map(|(text, community)| (prefix(text), route(community)));
        self.peer.rib_out_mut().set_wanted(&BTreeMap::from(wanted));
        self.peer.flush(now);
        self.look(now);
    }

    /// What the station is told until there is nothing more, message by message.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(octets) = self.station.poll_transmit() {
            told.extend(self.collector.take(&octets));
        }
        told
    }
}

const UP: &str = "1000000.010 192.0.2.2 AS64513 10.0.0.2: up";

#[test]
fn a_station_is_told_of_the_speaker_then_of_sessions_and_then_of_their_routes() {
    let mut bench = Bench::new(config());
    assert_eq!(bench.told(), ["initiation: ferrolb 1, node-1"]);
    bench.establish(&open().emit(), at(10));
    let ends = ["end of ipv4_unicast", "end of ipv6_unicast"];
    assert_eq!(bench.told(), [UP, ends[0], ends[1]]);
    bench.want([("10.0.0.1/32", 7), ("10.0.0.2/32", 7), ("2001:db8:1::1/128", 7)], at(20));
    assert_eq!(bench.told(), ["announce 10.0.0.1/32 10.0.0.2/32", "announce 2001:db8:1::1/128"]);
    bench.want([("10.0.0.2/32", 8)], at(30));
    assert_eq!(bench.told(), ["withdraw 10.0.0.1/32", "withdraw 2001:db8:1::1/128", "announce 10.0.0.2/32"]);
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn a_station_that_connects_later_is_told_all_of_it() {
    let mut bench = Bench::established(config(), &open());
    bench.want([("10.0.0.1/32", 7)], at(20));
    bench.told();
    bench.station = station();
    bench.show();
    let ends = ["end of ipv4_unicast", "end of ipv6_unicast"];
    assert_eq!(bench.told(), ["initiation: ferrolb 1, node-1", UP, "announce 10.0.0.1/32", ends[0], ends[1]]);
}

#[test]
fn both_opens_are_told_as_they_travelled() {
    // With a capability that nobody knows: 200, of two octets.
    let mut open = open().emit();
    open.extend([2, 4, 200, 2, 0xab, 0xcd]);
    open[17] += 6;
    open[28] += 6;
    let mut bench = Bench::new(config());
    bench.establish(&open, at(10));
    bench.told();
    let [sent, received] = bench.collector.opens.clone();
    assert_eq!(received, open);
    let sent = Open::parse(&sent[19..]).unwrap();
    assert_eq!((sent.asn, sent.bgp_id), (Asn(64_512), id([10, 0, 0, 1])));
    assert!(sent.capabilities.graceful_restart.is_some());
    assert_eq!(bench.collector.ends, "192.0.2.1 40000 179");
    assert_eq!(bench.collector.label, "metallb-system/tor");
}

#[test]
fn what_changes_back_before_it_is_told_is_not_told() {
    let mut bench = Bench::established(config(), &open());
    bench.want([("10.0.0.1/32", 7)], at(20));
    bench.told();
    bench.want([("10.0.0.1/32", 8), ("10.0.0.2/32", 8)], at(30));
    bench.want([("10.0.0.1/32", 7)], at(40));
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn routes_are_told_when_the_peer_was_sent_all_of_them() {
    let mut bench = Bench::established(config(), &open());
    bench.told();
    let route = Arc::new(Route::default());
    for network in 0..40_000_u32 {
        let address = core::net::Ipv4Addr::from_bits(0x0a00_0000 | network);
        bench.peer.rib_out_mut().announce(IpPrefix::containing(address.into(), 32).unwrap(), &route);
    }
    bench.peer.flush(at(20));
    assert!(bench.peer.status(at(20)).ipv4.pending > 0, "a batch does not hold them all");
    bench.observe(at(20));
    assert_eq!(bench.told(), [""; 0]);
    bench.look(at(30));
    bench.told();
    assert_eq!(bench.collector.routes.len(), 40_000);
}

/// What the station is told when a session ends, without when and which.
fn ending(cause: fn(&mut Peer, ConnectionId)) -> String {
    let mut bench = Bench::established(config(), &open());
    bench.peer.set_bfd(BfdState::Up, at(20));
    bench.told();
    cause(&mut bench.peer, bench.connection.unwrap());
    bench.look(END);
    let told = bench.told();
    let [down] = &told[..] else { panic!("{told:?}") };
    down.strip_prefix("1000020.000 192.0.2.2 AS64513 10.0.0.2: ").unwrap().into()
}

const END: Instant = Instant::from_origin(Duration::from_secs(20));

#[test]
fn the_end_of_a_session_is_told_with_its_reason() {
    type Cause = fn(&mut Peer, ConnectionId);
    let causes: [(&str, Cause); 8] = [
        ("down 3 Cease/Administrative Reset", |peer, id| {
            peer.handle_octets(id, &Notification::cease(Cease::AdministrativeReset, None).emit(), END);
        }),
        ("down 4", |peer, id| peer.handle_closed(id, END)),
        // TcpConnectionFails.
        ("down 2 event 18", |peer, id| peer.handle_timed_out(id, END)),
        ("down 1 Cease/BFD Down", |peer, _| peer.set_bfd(BfdState::Down, END)),
        ("down 1 Cease/Peer De-configured", |peer, _| peer.stop(Stop::PeerRemoved, END)),
        ("down 1 Finite State Machine Error/Receive Unexpected Message in Established State", |peer, id| {
            peer.handle_octets(id, &open().emit(), END);
        }),
        // ManualStop: a restart through which the peer keeps the routes.
        ("down 2 event 2", |peer, _| peer.stop(Stop::Restart, END)),
        // TcpConnectionConfirmed: the peer has restarted, and connects again.
        ("down 2 event 17", |peer, _| {
            let id = peer.next_connection();
            let ends = ["192.0.2.1:179", "192.0.2.2:50000"].map(|text| text.parse().unwrap());
            peer.handle_connected(id, Direction::Incoming, ends[0], ends[1], END);
        }),
    ];
    for (down, cause) in causes {
        assert_eq!(ending(cause), down);
    }
}

#[test]
fn silence_is_told_as_what_was_sent_for_it() {
    let mut bench = Bench::established(config(), &open());
    bench.told();
    bench.peer.handle_timeout(at(95_000));
    bench.look(at(95_000));
    assert_eq!(bench.told(), ["1000095.000 192.0.2.2 AS64513 10.0.0.2: down 1 Hold Timer Expired"]);
}

#[test]
fn a_peer_that_is_not_configured_any_more_is_told_so() {
    let mut bench = Bench::established(config(), &open());
    bench.told();
    bench.seen = None;
    bench.show();
    assert_eq!(bench.told(), ["0.000 192.0.2.2 AS64513 10.0.0.2: down 5"]);
}

#[test]
fn a_session_that_took_the_place_of_another_is_told_after_its_end() {
    let mut bench = Bench::established(config(), &open());
    bench.want([("10.0.0.1/32", 7)], at(20));
    bench.told();
    bench.peer.handle_closed(bench.connection.unwrap(), at(5_000));
    bench.look(at(5_000));
    bench.peer.handle_timeout(at(7_000));
    bench.drive(at(7_000));
    bench.establish(&open().emit(), at(7_000));
    assert_eq!(
        bench.told(),
        [
            "1000005.000 192.0.2.2 AS64513 10.0.0.2: down 4",
            "1000007.000 192.0.2.2 AS64513 10.0.0.2: up",
            "announce 10.0.0.1/32",
            "end of ipv4_unicast",
            "end of ipv6_unicast",
        ]
    );
}

#[test]
fn what_was_sent_in_a_session_is_not_told_of_the_next() {
    let mut bench = Bench::established(config(), &open());
    bench.want([("10.0.0.1/32", 7)], at(20));
    bench.told();
    bench.peer.handle_closed(bench.connection.unwrap(), at(5_000));
    bench.peer.handle_timeout(at(7_000));
    bench.drive(at(7_000));
    let id = bench.connection.unwrap();
    let ends = ["192.0.2.1:40001", "192.0.2.2:179"].map(|text| text.parse().unwrap());
    bench.peer.handle_connected(id, Direction::Outgoing, ends[0], ends[1], at(7_000));
    // What the peer is sent waits until the OPEN is written.
    bench.peer.handle_octets(id, &open().emit(), at(7_000));
    bench.peer.handle_octets(id, &keepalive(), at(7_000));
    bench.observe(at(7_000));
    let down_and_up =
        ["1000005.000", "1000007.000"].map(|time| format!("{time} 192.0.2.2 AS64513 10.0.0.2:"));
    assert_eq!(bench.told(), [format!("{} down 4", down_and_up[0]), format!("{} up", down_and_up[1])]);
    bench.look(at(7_000));
    assert_eq!(bench.told(), ["announce 10.0.0.1/32", "end of ipv4_unicast", "end of ipv6_unicast"]);
}

#[test]
fn paths_of_two_octet_as_numbers_are_told_as_such() {
    let capabilities = Capabilities { four_octet_asn: None, ..open().capabilities };
    let old = Open { capabilities, ..open() };
    for (open, flags) in [(open(), 0b0101_0000), (old, 0b0111_0000)] {
        let mut bench = Bench::established(config(), &open);
        bench.want([("10.0.0.1/32", 7)], at(20));
        bench.told();
        assert_eq!(bench.collector.flags, flags);
        assert_eq!(bench.collector.routes[&prefix("10.0.0.1/32")], [Community(7)]);
    }
}

#[test]
fn peers_in_different_vrfs_are_told_apart() {
    let instances = [None, Some("red"), Some("blue"), Some("red")].map(|vrf| {
        let transport = Transport { interface: vrf.map(Into::into), ..config().transport };
        let mut bench = Bench::established(Config { transport, ..config() }, &open());
        bench.told();
        bench.collector.instance
    });
    assert_eq!(instances[0], (0, 0), "a Global Instance Peer has no distinguisher");
    assert!(instances[1..].iter().all(|(peer_type, distinguisher)| *peer_type == 2 && *distinguisher != 0));
    assert_ne!(instances[1], instances[2]);
    assert_eq!(instances[1], instances[3]);
}

#[test]
fn numbers_are_told_every_minute() {
    let mut bench = Bench::established(config(), &open());
    bench.want([("10.0.0.1/32", 7), ("10.0.0.2/32", 7), ("2001:db8:1::1/128", 7)], at(20));
    bench.told();
    assert_eq!(bench.station.poll_timeout(), at(60_000));
    bench.station.handle_timeout(at(59_999));
    assert_eq!(bench.told(), [""; 0]);
    bench.station.handle_timeout(at(60_000));
    let loops_errors_all_ipv4_ipv6 = "statistics 4:0 11:0 15:3 17:1/1:2 17:2/1:1";
    assert_eq!(bench.told(), [loops_errors_all_ipv4_ipv6]);
    assert_eq!(bench.told(), [""; 0]);
    assert_eq!(bench.station.poll_timeout(), at(120_000));
}
