//! What MetalLB does not have: under policy Local a node asks routers for as much traffic as it has Pods, by
//! the link bandwidth community (RFC 10005), so that each Pod has about as much as any other.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ferrolb_e2e::bgp::{ROUTER_V4, bgp_advertisement_yaml, peer_yaml, url};
use ferrolb_e2e::bgp_more::{DUAL_STACK, addresses, numbered_service, prefixes};
use ferrolb_e2e::{Cluster, Router, eventually, pool_yaml, say};
use serde_json::Value;

/// Requests to each address, of a connection each.
const REQUESTS: usize = 400;
/// What each of the four Pods may have of them: a hundred, and four and a half standard deviations of a fair
/// draw (8.7) to either side. Without weights one Pod would have two hundred.
const FAIR: RangeInclusive<usize> = 61..=139;

/// A Pod of the Service under test on this node.
fn pod_yaml(name: &str, node: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: weighed}}}}\nspec:\n  \
         nodeName: {node}\n  containers:\n  - name: web\n    image: whatwant/node-web:1.0\n    \
         ports: [{{containerPort: 8080}}]\n"
    )
}

/// Waits until the router gives worker2 so many times the share of worker1, and no other node any.
fn wait_ratio(cluster: &Cluster, router: &Router, prefix: &str, times: u64) {
    let [one, other] = ["worker1", "worker2"].map(|node| cluster.node_address(node, prefix));
    eventually(&format!("{prefix}: worker2 has {times} times the share of worker1"), || {
        let hops = router.installed(prefix);
        let share = |hop: &Value| Some((hop["ip"].as_str()?.to_owned(), hop["weight"].as_u64()?));
        let shares: BTreeMap<String, u64> = hops.iter().filter_map(share).collect();
        let both = shares.get(&one).zip(shares.get(&other)).filter(|_| shares.len() == 2);
        let is_so = both.is_some_and(|(one, other)| *one > 0 && *other == times * one);
        if is_so { Ok(()) } else { Err(format!("{hops:?}")) }
    });
    say(&format!("{prefix}: {:?}", router.installed(prefix)));
}

/// How many of so many requests to `address` from the client each Pod answers.
fn answers(cluster: &Cluster, address: &str, requests: usize) -> BTreeMap<String, usize> {
    let urls = format!("{}/[1-{requests}]", url(address));
    let argv = ["curl", "-sS", "--max-time", "5", "-H", "Connection: close", &urls];
    let output = cluster.lab.exec("client", &argv).expect("the client is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut counts = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

/// Two nodes with one and three Pods get traffic one to three, and the load is even for each Pod.
#[test]
fn the_load_is_even_for_each_pod_whichever_node_it_is_on() {
    let cluster = Cluster::fresh();
    let router = cluster.router(&cluster.frr_config_of_all(&[]));
    let service = numbered_service(1, "weighed", "").replace("app: node-web-v1", "app: weighed");
    let objects = [
        pod_yaml("one", "worker1"),
        pod_yaml("three-a", "worker2"),
        pod_yaml("three-b", "worker2"),
        pod_yaml("three-c", "worker2"),
        pool_yaml("bgp", &["172.30.0.0/24", "fd00:200::/112"]),
        bgp_advertisement_yaml("bgp", ""),
        peer_yaml("tor", ROUTER_V4, DUAL_STACK),
        service.replace("  selector:", "  externalTrafficPolicy: Local\n  selector:"),
    ];
    cluster.apply(&objects.join("---\n"));
    cluster.wait_via(&router, &prefixes(1), &["worker1", "worker2"]);
    for (prefix, address) in prefixes(1).iter().zip(addresses(1)) {
        wait_ratio(&cluster, &router, prefix, 3);
        cluster.wait_answers(&url(&address), 4);
        let counts = answers(&cluster, &address, REQUESTS);
        say(&format!("{address}: {counts:?}"));
        assert_eq!((counts.len(), counts.values().sum::<usize>()), (4, REQUESTS), "{counts:?}");
        assert!(counts.values().all(|count| FAIR.contains(count)), "{counts:?}");
    }
    cluster.kubectl(&["delete", "pod", "three-b", "--wait=false"]);
    for prefix in prefixes(1) {
        wait_ratio(&cluster, &router, &prefix, 2);
    }
}
