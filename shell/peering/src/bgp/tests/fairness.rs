//! A router that takes or sends without end keeps no other waiting.

use super::*;
use ferrolb_wire::bgp::{RouteRefresh, Subtype};
use std::net::Ipv4Addr;

#[tokio::test]
async fn a_router_that_reads_nothing_or_never_falls_silent_keeps_no_other_waiting() {
    let (stuck, loud, well) =
        (Router::listen_narrowly().await, Router::listen().await, Router::listen().await);
    let mut speaker = Speaker::spawn();
    // Too much for the sockets: UPDATEs of some 3.6 kB.
    let large = |index: u32| {
        let communities = (0..900).map(|community| Community(index << 16 | community)).collect();
        let prefix = prefix(&format!("198.51.100.{index}/32"));
        (prefix, Arc::new(Route { communities, ..Route::default() }))
    };
    let too_much = Arc::new((0..250).map(large).collect());
    let stuck_peer = WantedPeer { routes: too_much, ..wanted(stuck.address()) };
    let [loud_peer, well_peer] = [&loud, &well].map(|router| wanted(router.address()));
    speaker.want([("stuck", &stuck_peer), ("loud", &loud_peer), ("well", &well_peer)]);
    let (_deaf, loud, mut session) =
        (stuck.establish().await, loud.establish().await, well.establish().await);
    let flood = tokio::spawn(loud.flood());
    for peer in ["stuck", "loud", "well"] {
        speaker.comes_up(peer).await;
    }
    assert_eq!(session.next_update().await, end_of_rib());
    for community in 0..20 {
        let well_peer = telling(&well_peer, [("203.0.113.1/32", community)]);
        speaker.want([("stuck", &stuck_peer), ("loud", &loud_peer), ("well", &well_peer)]);
        assert_eq!(session.next_update().await, announces("203.0.113.1/32", community));
    }
    let pending = speaker.bgp.view.borrow().peers[&name("stuck")].session.ipv4.pending;
    assert!(pending > 0, "what the router does not read is kept, where it can still change");

    let Bgp { handle, view, .. } = speaker.bgp;
    let read = async {
        assert_eq!(session.last_word().await.as_cease(), Some(Cease::AdministrativeShutdown));
        drop(session);
    };
    tokio::join!(handle.leave(None), read);
    assert!(view.has_changed().is_err(), "nobody is waited for longer than a farewell takes");
    timeout(DEADLINE, flood).await.expect("the connection has ended").unwrap();
}

#[tokio::test]
async fn a_router_that_asks_for_everything_again_and_again_keeps_no_other_waiting() {
    let (greedy, well) = (Router::listen().await, Router::listen().await);
    let speaker = Speaker::spawn();
    let told = |number: u32| {
        let address = Ipv4Addr::from_bits(0xc633_0000 | number);
        (IpPrefix::containing(address.into(), 32).unwrap(), route(7))
    };
    let greedy_peer =
        WantedPeer { routes: Arc::new((0..10_000).map(told).collect()), ..wanted(greedy.address()) };
    let well_peer = wanted(well.address());
    speaker.want([("greedy", &greedy_peer), ("well", &well_peer)]);
    let (greedy, mut session) = (greedy.establish().await, well.establish().await);
    let request = RouteRefresh { family: Some(Family::Ipv4Unicast), subtype: Subtype::Request };
    let insisting = tokio::spawn(greedy.insist(request.emit()));
    assert_eq!(session.next_update().await, end_of_rib());
    let requests = "ferrolb_bgp_messages_total{peer=\"metallb-system/greedy\",direction=\"received\",\
                    kind=\"route_refresh\"} ";
    let count = |metrics: &str| metrics.lines().find_map(|line| line.strip_prefix(requests)?.parse().ok());
    speaker.shows(|metrics| count(metrics).is_some_and(|count: u64| count > 10_000)).await;
    for community in 0..20 {
        let well_peer = telling(&well_peer, [("203.0.113.1/32", community)]);
        speaker.want([("greedy", &greedy_peer), ("well", &well_peer)]);
        assert_eq!(session.next_update().await, announces("203.0.113.1/32", community));
    }
    drop((speaker, session));
    timeout(DEADLINE, insisting).await.expect("the connection has ended").unwrap();
}
