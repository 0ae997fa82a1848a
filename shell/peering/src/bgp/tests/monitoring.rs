//! What a monitoring station is told of sessions of the driver.

use super::*;
use crate::bmp::collector::{self, Collector, PER_PEER_HEADER, Session};
use crate::bmp::{self, BmpMetrics};
use ferrolb_wire::bgp::Frame;

const ROUTE_MONITORING: u8 = 0;
const PEER_DOWN: u8 = 2;
const PEER_UP: u8 = 3;
const INITIATION: u8 = 4;
const TERMINATION: u8 = 5;

/// A speaker that tells these stations, and has no peer yet.
fn monitored<const N: usize>(stations: [&Collector; N]) -> Speaker {
    let speaker = Speaker::spawn();
    let peers = speaker.bgp.handle.monitor();
    bmp::spawn(collector::config(stations), peers, &BmpMetrics::default()).unwrap();
    speaker
}

/// The next UPDATE that a station hears of.
async fn next_update(session: &mut Session) -> Told {
    let body = session.expect(ROUTE_MONITORING).await;
    let (frame, _length) = Frame::next(&body[PER_PEER_HEADER..]).unwrap().unwrap();
    Told::parse(frame.body)
}

#[tokio::test]
async fn a_station_is_told_of_a_session_from_its_beginning_to_its_end() {
    let (collector, router) = (Collector::listen(65_536), Router::listen().await);
    let speaker = monitored([&collector]);
    let mut station = collector.accept().await;
    station.expect(INITIATION).await;
    let peer = telling(&wanted(router.address()), [("198.51.100.1/32", 7)]);
    speaker.want([("tor", &peer)]);
    let mut session = router.establish().await;
    assert_eq!(session.next_update().await, announces("198.51.100.1/32", 7));

    let up = station.expect(PEER_UP).await;
    // Behind this end of the connection.
    let ports_and_opens = &up[PER_PEER_HEADER + 16..];
    assert_eq!(ports_and_opens[2..4], router.address().port().to_be_bytes());
    let (sent, length) = Frame::next(&ports_and_opens[4..]).unwrap().unwrap();
    assert_eq!(ferrolb_wire::bgp::Open::parse(sent.body).unwrap().asn.0, 64_512);
    let (received, _length) = Frame::next(&ports_and_opens[4 + length..]).unwrap().unwrap();
    assert_eq!(ferrolb_wire::bgp::Open::parse(received.body).unwrap().asn.0, 64_513);
    assert_eq!(next_update(&mut station).await, announces("198.51.100.1/32", 7));
    assert_eq!(next_update(&mut station).await, end_of_rib());

    speaker.want([("tor", &telling(&peer, [("198.51.100.1/32", 8)]))]);
    assert_eq!(next_update(&mut station).await, announces("198.51.100.1/32", 8));

    let leave = speaker.bgp.handle.leave(Some("node-1 is drained".into()));
    let read = async {
        let down = station.expect(PEER_DOWN).await;
        assert_eq!(down[PER_PEER_HEADER], 1, "with the NOTIFICATION that was sent");
        let (frame, _length) = Frame::next(&down[PER_PEER_HEADER + 1..]).unwrap().unwrap();
        let notification = Notification::parse(frame.body).unwrap();
        assert_eq!(notification.text().as_deref(), Some("node-1 is drained"));
        drop(session);
    };
    tokio::join!(leave, read);
    station.expect(TERMINATION).await;
    assert_eq!(station.next().await, None);
}

#[tokio::test]
async fn a_station_that_reads_nothing_keeps_neither_routers_nor_other_stations_waiting() {
    let (stuck, well) = (Collector::listen(4_096), Collector::listen(65_536));
    let router = Router::listen().await;
    let speaker = monitored([&stuck, &well]);
    let (_deaf, mut station) = (stuck.accept().await, well.accept().await);
    station.expect(INITIATION).await;
    // Too much for the sockets: UPDATEs of some 3.6 kB.
    let large = |index: u32| {
        let communities = (0..900).map(|community| Community(index << 16 | community)).collect();
        let prefix = prefix(&format!("198.51.100.{index}/32"));
        (prefix, Arc::new(Route { communities, ..Route::default() }))
    };
    let peer = wanted(router.address());
    let many: BTreeMap<_, _> = (0..250).map(large).collect();
    speaker.want([("tor", &WantedPeer { routes: Arc::new(many.clone()), ..peer.clone() })]);
    let mut session = router.establish().await;
    while session.next_update().await != end_of_rib() {}
    station.expect(PEER_UP).await;
    while next_update(&mut station).await != end_of_rib() {}
    for community in 0..20 {
        let mut routes = many.clone();
        routes.insert(prefix("203.0.113.1/32"), route(community));
        speaker.want([("tor", &WantedPeer { routes: Arc::new(routes), ..peer.clone() })]);
        assert_eq!(session.next_update().await, announces("203.0.113.1/32", community));
        assert_eq!(next_update(&mut station).await, announces("203.0.113.1/32", community));
    }
}
