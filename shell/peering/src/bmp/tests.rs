use super::*;
use collector::Collector;
use prometheus_client::registry::Registry;
use std::time::Instant;
use tokio::time::timeout;

const ROOM: u32 = 65_536;
const INITIATION: u8 = 4;
const TERMINATION: u8 = 5;

fn encoded(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

#[tokio::test]
async fn a_station_is_greeted_first_and_told_when_there_is_nobody_left_to_tell_of() {
    let collector = Collector::listen(ROOM);
    let (peers, receiver) = watch::channel(MonitoredPeers::default());
    let mut registry = Registry::default();
    let metrics = BmpMetrics::register(&mut registry);
    spawn(collector::config([&collector]), receiver, &metrics).unwrap();
    let mut session = collector.accept().await;
    assert_eq!(session.expect(INITIATION).await, b"\x00\x01\x00\x09ferrolb 1\x00\x02\x00\x06node-1");
    let up = format!("ferrolb_bmp_station_up{{station=\"{}\"}} 1", collector.address());
    assert!(encoded(&registry).contains(&up), "{up} in\n{}", encoded(&registry));
    drop(peers);
    assert_eq!(session.expect(TERMINATION).await, [0, 1, 0, 2, 0, 0]);
    assert_eq!(session.next().await, None);
}

#[tokio::test]
async fn a_station_that_is_lost_is_connected_to_ever_more_seldom() {
    let collector = Collector::listen(ROOM);
    let (_peers, receiver) = watch::channel(MonitoredPeers::default());
    let retry_min = Duration::from_millis(100);
    let mut registry = Registry::default();
    let metrics = BmpMetrics::register(&mut registry);
    spawn(BmpConfig { retry_min, ..collector::config([&collector]) }, receiver, &metrics).unwrap();
    let mut last: Option<Instant> = None;
    for (lost, delay) in [0, 100, 200, 400].into_iter().enumerate() {
        let mut session = collector.accept().await;
        // When the one before was closed at the latest.
        let pause = last.map_or(Duration::ZERO, |last| last.elapsed());
        assert!(pause >= Duration::from_millis(delay), "{pause:?}, expected at least {delay} ms");
        let counted = format!("station=\"{}\",reason=\"closed\"}} {lost}\n", collector.address());
        assert_eq!(encoded(&registry).contains(&counted), lost > 0, "{counted} in\n{}", encoded(&registry));
        session.expect(INITIATION).await;
        last = Some(Instant::now());
    }
}

#[tokio::test]
async fn a_station_that_is_not_there_is_counted_and_tried_again() {
    let collector = Collector::listen(ROOM);
    let address = collector.address();
    let config = BmpConfig { retry_min: Duration::from_millis(1), ..collector::config([&collector]) };
    drop(collector);
    let (_peers, receiver) = watch::channel(MonitoredPeers::default());
    let mut registry = Registry::default();
    spawn(config, receiver, &BmpMetrics::register(&mut registry)).unwrap();
    let first = format!("station=\"{address}\",reason=\"not_connected\"}} 1\n");
    let is_counted = |more: bool| {
        let metrics = encoded(&registry);
        metrics.contains("not_connected") && (!more || !metrics.contains(&first))
    };
    for more in [false, true] {
        let counted = async {
            while !is_counted(more) {
                tokio::task::yield_now().await
            }
        };
        timeout(Duration::from_secs(30), counted).await.unwrap_or_else(|_| panic!("{}", encoded(&registry)));
    }
}
