//! Not on MetalLB's acceptance list: MetalLB listens for nobody. Routers that connect from a range of
//! addresses, which no object names one by one.

use std::collections::BTreeMap;

use ferrolb_e2e::bgp::{
    NODES_ASN, OUTSIDE_V4, OUTSIDE_V6, ROUTER_ASN, ROUTER_V4, ROUTER_V6, bgp_advertisement_yaml, frr_config,
    host_route, url,
};
use ferrolb_e2e::{Cluster, Router, eventually};
use serde_json::Value;

/// Where nodes listen without a further capability.
const PORT: u16 = 1_790;
/// The lab's LAN over both families.
const LAN: &str = "192.168.100.0/24,fd00:100::/64";

/// As FRR writes code and subcode of Cease/Peer De-configured: RFC 4486 §3.
const PEER_DECONFIGURED: &str = "0603";

/// A BGPPeer that is a range, for which its first address stands; `more` is further fields of its spec, as `ebgpMultiHop: true`.
fn range_yaml(range: &str, more: &str) -> String {
    let address = range.split('/').next().expect("it has a prefix");
    format!(
        "apiVersion: metallb.io/v1beta2\nkind: BGPPeer\n\
         metadata: {{name: leaves, namespace: metallb-system, annotations: {{ferrolb.io/listen-range: \"{range}\"}}}}\n\
         spec: {{myASN: {NODES_ASN}, peerASN: {ROUTER_ASN}, peerAddress: \"{address}\", peerPort: {PORT}{more}}}\n"
    )
}

/// FRR on the lab's router, which connects to all addresses of all nodes; `each` as [`frr_config`] takes it.
fn connecting_router(cluster: &Cluster, each: &[&str]) -> Router {
    let port = format!("port {PORT}");
    let each = [&[port.as_str(), "timers connect 1"], each].concat();
    let config = frr_config(&cluster.all_node_addresses(), &each);
    let lines: Vec<&str> = config.lines().filter(|line| !line.ends_with(" passive")).collect();
    cluster.router(&(lines.join("\n") + "\n"))
}

/// The states of the sessions of the range, by node and address; of the range itself without an address.
fn states(cluster: &Cluster) -> BTreeMap<(String, String), String> {
    let list = cluster.get(&["bgpsessions.ferrolb.io", "-n", "ferrolb-system"]);
    let statuses = list["items"].as_array().into_iter().flatten().map(|item| &item["status"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_range = statuses.filter(|status| status["peer"] == "leaves");
    of_range.map(|one| ((text(&one["node"]), text(&one["caller"])), text(&one["state"]))).collect()
}

/// Waits until every node listens, and has sessions with these addresses and nobody else.
fn wait_callers(cluster: &Cluster, addresses: &[&str]) {
    let state = |address: &str| if address.is_empty() { "Listening" } else { "Established" }.to_owned();
    let of_node = |node: String| {
        let all = [""].into_iter().chain(addresses.iter().copied());
        all.map(|address| ((node.clone(), address.to_owned()), state(address))).collect::<Vec<_>>()
    };
    let expected: BTreeMap<_, _> = cluster.lab.node_names().into_iter().flat_map(of_node).collect();
    eventually(&format!("sessions with {addresses:?}"), || {
        let states = states(cluster);
        if states == expected { Ok(()) } else { Err(format!("{states:?}")) }
    });
}

/// Waits until the router's sessions with these addresses were ended as with who is no peer any more.
fn wait_deconfigured(router: &Router, neighbors: &[String]) {
    for address in neighbors {
        eventually(&format!("{address} has ended its session"), || {
            let neighbor = router.neighbor(address);
            let is_down = neighbor["bgpState"] != "Established";
            if is_down && neighbor["lastErrorCodeSubcode"] == PEER_DECONFIGURED {
                Ok(())
            } else {
                Err(format!("{neighbor:#}"))
            }
        });
    }
}

#[test]
fn routers_of_a_range_connect_themselves_and_forward_what_is_advertised() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    cluster.apply(&bgp_advertisement_yaml("bgp", "peers: [leaves]"));
    cluster.create_dual_service("web", "");
    cluster.apply(&range_yaml(LAN, ", password: hunter2"));
    wait_callers(&cluster, &[]);
    cluster.wait_condition(&["bgppeers.metallb.io", "leaves", "-n", "metallb-system"], "Ready", "True");

    let router = connecting_router(&cluster, &["password hunter2"]);
    wait_callers(&cluster, &[ROUTER_V4, ROUTER_V6]);
    for address in [OUTSIDE_V4, OUTSIDE_V6] {
        router.wait_next_hops(&host_route(address), &cluster.node_addresses(address));
        cluster.curl(&url(address));
    }

    // They go on with the next speaker.
    let daemonset = ["daemonset/speaker", "-n", "ferrolb-system"];
    cluster.kubectl(&[&["rollout", "restart"], &daemonset[..]].concat());
    cluster.kubectl(&[&["rollout", "status"], &daemonset[..], &["--timeout=120s"]].concat());
    wait_callers(&cluster, &[ROUTER_V4, ROUTER_V6]);
    router.assert_never_dropped(&cluster.all_node_addresses());
}

#[test]
fn a_range_that_is_narrowed_or_removed_ends_the_sessions_of_those_outside() {
    let cluster = Cluster::fresh();
    cluster.apply(&range_yaml(LAN, ""));
    wait_callers(&cluster, &[]);
    let router = connecting_router(&cluster, &[]);
    wait_callers(&cluster, &[ROUTER_V4, ROUTER_V6]);
    cluster.apply(&range_yaml("fd00:100::/64", ""));
    wait_callers(&cluster, &[ROUTER_V6]);
    wait_deconfigured(&router, &cluster.node_addresses(ROUTER_V4));
    router.assert_never_dropped(&cluster.node_addresses(ROUTER_V6));
    cluster.kubectl(&["delete", "bgppeers.metallb.io", "leaves", "-n", "metallb-system"]);
    wait_deconfigured(&router, &cluster.node_addresses(ROUTER_V6));
    eventually("no session is left", || {
        let states = states(&cluster);
        if states.is_empty() { Ok(()) } else { Err(format!("{states:?}")) }
    });
}
