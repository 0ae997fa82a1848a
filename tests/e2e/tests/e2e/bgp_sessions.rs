//! MetalLB's acceptance list, BGP, numbers 59, 62 to 65, 69, 76 to 79, 81 and 82: sessions, as a router and
//! as `kubectl` show them.

use std::time::{Duration, Instant};

use ferrolb_e2e::bgp::{NODES_ASN, ROUTER_ASN, ROUTER_V4, ROUTER_V6, frr_config, peer_yaml};
use ferrolb_e2e::{Cluster, counted, eventually, say, stays};
use serde_json::{Value, json};

const NAMESPACE: [&str; 2] = ["-n", "metallb-system"];
const PEERS: [&str; 2] = ["v4", "v6"];

/// Waits until on every node the session with each of these BGPPeers is up, and its status has `expected`
/// at `field`.
fn wait_negotiated(cluster: &Cluster, peers: &[&str], field: &str, expected: &Value) {
    for peer in peers {
        eventually(&format!("{field} of the sessions with {peer} is {expected}"), || {
            let sessions = cluster.sessions(peer);
            let is_so = |session: &Value| {
                session["state"] == "Established" && session["negotiated"].get(field) == Some(expected)
            };
            let all = sessions.len() == cluster.lab.node_names().len() && sessions.values().all(is_so);
            if all { Ok(()) } else { Err(format!("{sessions:?}")) }
        });
    }
}

/// Numbers 59 and 62 to 65.
#[test]
fn the_router_sees_the_identifier_the_as_and_the_restart_of_peers_with_a_password() {
    let cluster = Cluster::fresh();
    let secret = ["secret", "routers-password", NAMESPACE[0], NAMESPACE[1]];
    cluster.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: routers-password, namespace: metallb-system}\n\
         type: kubernetes.io/basic-auth\nstringData: {password: only-the-router-knows}\n",
    );
    let config = frr_config(&cluster.all_node_addresses(), &["password only-the-router-knows"]);
    let router = cluster.router(&config.replace(&format!("remote-as {NODES_ASN}"), "remote-as 64999"));
    let fields = "routerID: 10.9.8.7, localASN: 64999, enableGracefulRestart: true, \
                  passwordSecret: {name: routers-password}";
    let peers = [("v4", ROUTER_V4), ("v6", ROUTER_V6)];
    cluster.apply(&peers.map(|(name, address)| peer_yaml(name, address, fields)).join("---\n"));
    // By the nodes' words, and by the router's.
    cluster.wait_all_sessions(&PEERS);
    let neighbors = cluster.all_node_addresses();
    router.wait_established(&neighbors);
    wait_negotiated(&cluster, &PEERS, "localASN", &json!(64_999));
    for address in neighbors {
        let neighbor = router.neighbor(&address);
        assert_eq!(neighbor["remoteRouterId"], "10.9.8.7", "{neighbor:#}");
        assert_eq!(neighbor["remoteAs"], 64_999, "{neighbor:#}");
        let restart = &neighbor["neighborCapabilities"]["gracefulRestart"];
        assert_eq!(restart, "advertisedAndReceived", "{neighbor:#}");
    }
    cluster.kubectl(&[&["delete"], &secret[..]].concat());
}

/// Number 69.
#[test]
fn peers_that_are_added_one_by_one_are_paired_and_earlier_sessions_go_on() {
    let cluster = Cluster::fresh();
    let neighbors = cluster.all_node_addresses();
    let config = frr_config(&neighbors, &[]);
    let routers = [cluster.router(&config), cluster.router_at(2, &config)];
    let peers = [
        ("first-v4", ROUTER_V4),
        ("second-v4", "192.168.100.2"),
        ("first-v6", ROUTER_V6),
        ("second-v6", "fd00:100::2"),
    ];
    for (count, (name, address)) in (1..).zip(peers) {
        cluster.apply(&peer_yaml(name, address, ""));
        for (earlier, _) in peers.into_iter().take(count) {
            cluster.wait_all_sessions(&[earlier]);
        }
    }
    for router in &routers {
        router.assert_never_dropped(&neighbors);
    }
}

/// Numbers 76, 77 and 78.
#[test]
fn times_and_families_are_agreed_on_as_configured_and_follow_a_change() {
    let cluster = Cluster::fresh();
    let router = cluster.peer_with_router(&[], "holdTime: 57s, keepaliveTime: 13s, connectTime: 5s");
    for (peer, family) in [("v4", "ipv4_unicast"), ("v6", "ipv6_unicast")] {
        let object = cluster.get(&["bgppeer", peer, NAMESPACE[0], NAMESPACE[1]]);
        assert_eq!(object["spec"]["peerPort"], 179);
        wait_negotiated(&cluster, &[peer], "families", &json!([family]));
    }
    let wait_times = |hold_time: u32, keepalive_time: u32| {
        wait_negotiated(&cluster, &PEERS, "holdTimeSeconds", &json!(hold_time));
        wait_negotiated(&cluster, &PEERS, "keepaliveTimeSeconds", &json!(keepalive_time));
        for address in cluster.all_node_addresses() {
            let neighbor = router.neighbor(&address);
            assert_eq!(neighbor["bgpTimerHoldTimeMsecs"], hold_time * 1000, "{neighbor:#}");
        }
    };
    wait_times(57, 13);
    for peer in PEERS {
        let patch = r#"{"spec":{"holdTime":"33s","keepaliveTime":"7s"}}"#;
        cluster.kubectl(&["patch", "bgppeer", peer, NAMESPACE[0], NAMESPACE[1], "--type=merge", "-p", patch]);
    }
    wait_times(33, 7);
}

/// Number 79.
#[test]
fn the_connect_time_bounds_how_long_a_refused_peer_waits() {
    let cluster = Cluster::fresh();
    let router = cluster.peer_with_router(&[], "connectTime: 1s");
    let neighbors = cluster.all_node_addresses();
    let tell_each = |what: &str, words: &str| {
        let lines = neighbors.iter().map(|address| format!("{what} {address} {words}"));
        let lines: Vec<String> = [format!("router bgp {ROUTER_ASN}")].into_iter().chain(lines).collect();
        router.configure(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let attempts = || {
        let metrics = cluster.speaker_metrics("master").expect("it answers");
        counted(&metrics, "ferrolb_bgp_connect_attempts_total{peer=\"metallb-system/v4\"}")
    };
    tell_each("neighbor", "shutdown");
    let (before, begun) = (attempts(), Instant::now());
    // By exponential back-off alone the fifth attempt would be eleven seconds after the first, or more.
    eventually("the first node connects again and again", || match attempts() - before {
        count @ 0..5 => Err(format!("{count} attempts")),
        _ => Ok(()),
    });
    let took = begun.elapsed();
    say(&format!("five attempts within {:.1} s", took.as_secs_f64()));
    assert!(took < Duration::from_secs(8), "{took:?}");
    tell_each("no neighbor", "shutdown");
    let begun = Instant::now();
    router.wait_established(&neighbors);
    let took = begun.elapsed();
    say(&format!("sessions again after {:.1} s", took.as_secs_f64()));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Numbers 81 and 82.
#[test]
fn a_dynamic_as_number_accepts_peers_of_its_kind_only() {
    let cluster = Cluster::fresh();
    let neighbors = cluster.all_node_addresses();
    let outside = cluster.router(&frr_config(&neighbors, &[]));
    let inside = cluster.router_at(2, &cluster.internal_frr_config());
    let peers = [
        ("v4", ROUTER_V4, "external"),
        ("v6", ROUTER_V6, "external"),
        ("inside-v4", "192.168.100.2", "internal"),
        ("inside-v6", "fd00:100::2", "internal"),
    ];
    let names = peers.map(|(name, ..)| name);
    let apply_peers = |kind: fn(&'static str) -> &'static str| {
        let yaml = |(name, address, right)| {
            let kind = format!("dynamicASN: {}", kind(right));
            peer_yaml(name, address, "").replace(&format!("peerASN: {ROUTER_ASN}"), &kind)
        };
        cluster.apply(&peers.map(yaml).join("---\n"));
    };
    apply_peers(|right| right);
    cluster.wait_all_sessions(&names);
    apply_peers(|right| if right == "external" { "internal" } else { "external" });
    for node in cluster.lab.node_names() {
        eventually(&format!("{node} refuses the routers"), || {
            let metrics = cluster.speaker_metrics(&node)?;
            let refused = |peer: &str| {
                let labels = format!("peer=\"metallb-system/{peer}\",what=\"attempt\"");
                counted(&metrics, &format!("ferrolb_bgp_failures_total{{{labels},reason=\"bad_peer_as\"}}"))
            };
            if names.into_iter().all(|peer| refused(peer) > 0) { Ok(()) } else { Err(metrics) }
        });
    }
    stays("no session", Duration::from_secs(2), || {
        let up = [&outside, &inside].into_iter().find_map(|router| {
            neighbors.iter().find(|address| router.neighbor(address)["bgpState"] == "Established")
        });
        up.map_or(Ok(()), |address| Err(address.clone()))
    });
    for peer in names {
        let sessions = cluster.sessions(peer);
        assert!(sessions.values().all(|session| session["state"] != "Established"), "{sessions:?}");
    }
    apply_peers(|right| right);
    cluster.wait_all_sessions(&names);
}
