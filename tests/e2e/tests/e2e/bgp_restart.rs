//! MetalLB's acceptance list, BGP, numbers 55 and 56: traffic from behind the router while speakers restart.
//! 56 is the other way round: a planned restart does without an agreement with the router.

use ferrolb_e2e::bgp::{OUTSIDE_V4, OUTSIDE_V6, bgp_advertisement_yaml, host_route, url};
use ferrolb_e2e::{Cluster, Disturbance, Router, eventually, say};

/// A Service of both families that the router forwards to all nodes, over sessions with `more` in the
/// BGPPeers' spec.
fn with_web(more: &str) -> (Cluster, Router) {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    cluster.apply(&bgp_advertisement_yaml("bgp", ""));
    let router = cluster.peer_with_router(&[], more);
    cluster.create_dual_service("web", "");
    wait_all(&cluster, &router);
    (cluster, router)
}

fn wait_all(cluster: &Cluster, router: &Router) {
    for address in [OUTSIDE_V4, OUTSIDE_V6] {
        router.wait_next_hops(&host_route(address), &cluster.node_addresses(address));
        cluster.curl(&url(address));
    }
}

/// Restarts every speaker, as an upgrade does.
pub(crate) fn roll(cluster: &Cluster) {
    let daemonset = ["daemonset/speaker", "-n", "ferrolb-system"];
    cluster.kubectl(&[&["rollout", "restart"], &daemonset[..]].concat());
    cluster.kubectl(&[&["rollout", "status"], &daemonset[..], &["--timeout=120s"]].concat());
}

/// Asserts that who requests something over either family all the time misses no answer during `disturb`.
fn nobody_notices(cluster: &Cluster, disturb: impl FnOnce()) {
    let mut over_v6 = Disturbance::default();
    let over_v4 = cluster.disturbed(&url(OUTSIDE_V4), || {
        over_v6 = cluster.disturbed(&url(OUTSIDE_V6), disturb);
    });
    for (family, seen) in [("IPv4", over_v4), ("IPv6", over_v6)] {
        say(&format!("{family}: {seen:?}"));
        assert!(seen.failures.is_empty() && seen.interrupted == 0, "{family}: {seen:?}");
    }
}

/// Number 55.
#[test]
fn with_graceful_restart_nobody_notices_that_every_speaker_is_replaced() {
    let (cluster, router) = with_web("enableGracefulRestart: true");
    nobody_notices(&cluster, || roll(&cluster));
    wait_all(&cluster, &router);
}

/// Number 55, with a restart that nobody has planned.
#[test]
fn with_graceful_restart_nobody_notices_that_every_speaker_is_killed() {
    let (cluster, router) = with_web("enableGracefulRestart: true");
    let neighbors = cluster.all_node_addresses();
    nobody_notices(&cluster, || {
        for node in cluster.lab.node_names() {
            cluster.kill_speaker(&node);
        }
        for address in &neighbors {
            eventually(&format!("the session with {address} is lost"), || {
                let neighbor = router.neighbor(address);
                let is_lost = neighbor["connectionsDropped"].as_u64() > Some(0);
                if is_lost { Ok(()) } else { Err(format!("{neighbor:#}")) }
            });
        }
        router.wait_established(&neighbors);
    });
    wait_all(&cluster, &router);
}

/// Number 56, the other way round.
#[test]
fn nobody_notices_that_every_speaker_is_replaced() {
    let (cluster, router) = with_web("");
    nobody_notices(&cluster, || roll(&cluster));
    wait_all(&cluster, &router);
    router.assert_never_dropped(&cluster.all_node_addresses());
}
