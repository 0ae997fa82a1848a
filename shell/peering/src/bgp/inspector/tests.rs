use super::*;
use crate::bgp::tests::router::{Router, wanted};
use crate::bgp::{self, Bgp, BgpMetrics, WantedPeer};
use ferrolb_vocab::Community;
use std::net::Ipv4Addr;

/// Beyond any time that a session may take on a busy machine, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

fn name(name: &str) -> ObjectName {
    ObjectName::new("metallb-system", name)
}

/// A driver that is to tell a router this many routes of some 3.6 kB each.
fn telling(router: &Router, count: u8) -> Bgp {
    let route = |index: u8| {
        let communities = (0..900).map(|community| Community(u32::from(index) << 16 | community)).collect();
        let prefix = format!("198.51.100.{index}/32").parse().unwrap();
        (prefix, Arc::new(Route { communities, ..Route::default() }))
    };
    let routes = Arc::new((0..count).map(route).collect());
    let bgp = bgp::spawn(BgpMetrics::default()).unwrap();
    let peer = WantedPeer { routes, ..wanted(router.address()) };
    bgp.handle.set_peers([(name("tor"), peer)].into());
    bgp
}

#[tokio::test]
async fn what_was_told_is_said_for_the_peers_that_are_asked_about() {
    let router = Router::listen().await;
    let bgp = telling(&router, 2);
    let mut session = router.establish().await;
    while session.next_update().await.end_of_rib.is_none() {}
    let inspector = bgp.handle.inspector();
    let told = inspector.advertised([name("tor"), name("spine")].into()).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), [&name("tor")]);
    let AdjRibOut { routes, pending } = &told[&name("tor")];
    assert_eq!(*pending, 0);
    let prefixes: Vec<String> = routes.iter().map(|(prefix, _)| prefix.to_string()).collect();
    assert_eq!(prefixes, ["198.51.100.0/32", "198.51.100.1/32"]);
    let (_, attributes) = &routes[1];
    assert_eq!((attributes.communities.len(), attributes.communities[0]), (900, Community(1 << 16)));
    assert_eq!(attributes.next_hop.to_string(), Ipv4Addr::new(192, 0, 2, 1).to_string());
    assert!(inspector.advertised(BTreeSet::new()).await.is_empty());
}

#[tokio::test]
async fn of_a_router_that_reads_nothing_only_what_went_to_the_connection_is_said() {
    let router = Router::listen_narrowly().await;
    let bgp = telling(&router, 250);
    let _session = router.establish().await;
    let stuck = async {
        loop {
            let told = bgp.handle.inspector().advertised([name("tor")].into()).await;
            match told.get(&name("tor")) {
                Some(told) if !told.routes.is_empty() => break told.clone(),
                Some(_) | None => tokio::task::yield_now().await,
            }
        }
    };
    let told = timeout(DEADLINE, stuck).await.expect("some are told");
    assert!(told.pending > 0, "the sockets have no room for all");
    assert_eq!(told.routes.len() + told.pending, 250);
}

#[tokio::test]
async fn a_driver_that_has_ended_answers_nothing_at_once() {
    let bgp = bgp::spawn(BgpMetrics::default()).unwrap();
    let inspector = bgp.handle.inspector().clone();
    bgp.handle.leave(None).await;
    assert!(inspector.advertised([name("tor")].into()).await.is_empty());
}
