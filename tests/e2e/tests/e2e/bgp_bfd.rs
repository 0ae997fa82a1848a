//! MetalLB's acceptance list, BGP, number 67: BFD with the parameters of a profile, and sessions that go on.

use ferrolb_e2e::bgp::{
    OUTSIDE_V4, OUTSIDE_V6, bfd_profile_yaml, bgp_advertisement_yaml, host_route, peer_yaml, url,
};
use ferrolb_e2e::{Cluster, Router, counted, eventually, pool_yaml};
use serde_json::{Value, json};

/// Waits until the BFD sessions of all nodes with this peer are up, by the router's words and the nodes',
/// and the router has been told these `parameters`. Intervals are in milliseconds.
fn wait_up(cluster: &Cluster, router: &Router, peer: &str, parameters: &Value) {
    let address = if peer == "v6" { OUTSIDE_V6 } else { OUTSIDE_V4 };
    for node in cluster.node_addresses(address) {
        eventually(&format!("BFD with {node} is up and has {parameters}"), || {
            let seen = router.bfd_peer(&node);
            let has = |(name, value): (&String, &Value)| seen[&format!("remote-{name}")] == *value;
            let has_all = parameters.as_object().is_some_and(|parameters| parameters.iter().all(has));
            if seen["status"] == "up" && has_all { Ok(()) } else { Err(format!("{seen:#}")) }
        });
    }
    eventually(&format!("every node says that BFD with {peer} is up"), || {
        let sessions = cluster.sessions(peer);
        let is_up = sessions.values().all(|session| session["bfd"]["state"] == "Up");
        if is_up && sessions.len() == 3 { Ok(()) } else { Err(format!("{sessions:?}")) }
    });
}

/// How often the router has lost each session with a node, of BGP and then of BFD.
fn losses(cluster: &Cluster, router: &Router) -> Vec<Value> {
    let neighbors = cluster.all_node_addresses();
    let of_bgp = neighbors.iter().map(|address| router.neighbor(address)["connectionsDropped"].clone());
    let of_bfd = router.json("show bfd peers counters json");
    let of_bfd = of_bfd.as_array().into_iter().flatten().map(|peer| peer["session-down"].clone());
    let all: Vec<Value> = of_bgp.chain(of_bfd).collect();
    assert!(all.len() == 12 && all.iter().all(Value::is_u64), "{all:?}");
    all
}

/// Number 67.
#[test]
fn bfd_runs_with_the_profiles_parameters_and_nothing_else_that_changes_takes_it_down() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    let full = "receiveInterval: 60, transmitInterval: 61, detectMultiplier: 5, echoInterval: 64, \
                echoMode: false, passiveMode: false, minimumTtl: 254";
    let profiles = [("default", ""), ("full", full), ("echo", "echoMode: true, echoInterval: 70")];
    let profiles = profiles.map(|(name, spec)| bfd_profile_yaml(name, spec));
    cluster.apply(&format!("{}---\n{}", profiles.join("---\n"), bgp_advertisement_yaml("bgp", "")));
    let router = cluster.peer_with_router(&["bfd"], "bfdProfile: default, connectTime: 1s");
    let parameters = json!({"receive-interval": 300, "transmit-interval": 300, "detect-multiplier": 3});
    for peer in ["v4", "v6"] {
        wait_up(&cluster, &router, peer, &parameters);
    }
    cluster.create_dual_service("web", "");
    for address in [OUTSIDE_V4, OUTSIDE_V6] {
        router.wait_next_hops(&host_route(address), &cluster.node_addresses(address));
        cluster.curl(&url(address));
    }
    // FRR 8.4 begins BFD anew when BGP has told it from which address, and takes that for a failure. From now
    // on there is none.
    let before = losses(&cluster, &router);

    let use_profile = |peer: &str, profile: &str| {
        let patch = format!(r#"{{"spec":{{"bfdProfile":"{profile}"}}}}"#);
        cluster.kubectl(&["patch", "bgppeer", peer, "-n", "metallb-system", "--type=merge", "-p", &patch]);
    };
    let parameters = json!({"receive-interval": 60, "transmit-interval": 61, "detect-multiplier": 5});
    for peer in ["v4", "v6"] {
        use_profile(peer, "full");
        wait_up(&cluster, &router, peer, &parameters);
    }
    use_profile("v4", "echo");
    wait_up(&cluster, &router, "v4", &json!({"echo-receive-interval": 70}));
    eventually("the router sends the first node's echoes back", || {
        let metrics = cluster.speaker_metrics("master")?;
        let session = "peer=\"192.168.100.1\",local=\"\",interface=\"\",hops=\"one\"";
        let series = format!("ferrolb_bfd_echo_packets_total{{{session},direction=\"returned\"}}");
        if counted(&metrics, &series) > 0 { Ok(()) } else { Err(metrics) }
    });

    // What has nothing to do with it, and a second Service.
    cluster.apply(&pool_yaml("more", &["172.30.1.0/24"]));
    cluster.apply(&peer_yaml("away", "192.168.100.99", "bfdProfile: full"));
    cluster.create_dual_service("second", "");
    for address in ["172.30.0.2", "fd00:200::2"] {
        router.wait_next_hops(&host_route(address), &cluster.node_addresses(address));
        cluster.curl(&url(address));
    }
    assert_eq!(losses(&cluster, &router), before);
}
