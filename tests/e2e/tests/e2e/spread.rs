//! The annotation `ferrolb.io/spread`: the addresses of a Service on different nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use ferrolb_e2e::{Cluster, V4, V6, advertisement_yaml, eventually, on_nodes, stays};

/// The `ServiceL2Status`es of the Service `web`: by node, the object's UID and version.
fn statuses(cluster: &Cluster) -> BTreeMap<String, [String; 2]> {
    let selector = "metallb.io/service-name=web";
    let list = cluster.get(&["servicel2statuses.metallb.io", "-n", "ferrolb-system", "-l", selector]);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let one = |item: &serde_json::Value| {
        let metadata = &item["metadata"];
        (text(&item["status"]["node"]), [text(&metadata["uid"]), text(&metadata["resourceVersion"])])
    };
    items.iter().map(one).collect()
}

/// Waits until these nodes, and no others, say that they announce the Service.
fn wait_told(cluster: &Cluster, nodes: &[&str]) {
    eventually(&format!("{nodes:?} say that they announce web"), || {
        let found: Vec<String> = statuses(cluster).into_keys().collect();
        if found == nodes { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn spread_addresses_are_announced_and_told_by_a_node_each_without_a_write_at_rest() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    let on_both = advertisement_yaml("lb", &on_nodes(&["master", "worker1"]));
    let annotated = "annotations: {ferrolb.io/spread: \"true\"}, namespace: metallb-system}";
    cluster.apply(&on_both.replace("namespace: metallb-system}", annotated));
    cluster.create_dual_service("web", "");
    cluster.wait_addresses("web", &[V4, V6]);
    // Master is the first in the order for the one address, worker1 for the other.
    cluster.wait_answering("eth0", V4, &["master/eth0"]);
    cluster.wait_answering("eth0", V6, &["worker1/eth0"]);
    for url in [format!("http://{V4}"), format!("http://[{V6}]")] {
        cluster.curl(&url);
    }
    wait_told(&cluster, &["master", "worker1"]);
    // Speakers compare what is written with what is so every five seconds.
    let written = statuses(&cluster);
    stays("both statuses are as they were written", Duration::from_secs(12), || {
        let found = statuses(&cluster);
        if found == written { Ok(()) } else { Err(format!("{found:?} in place of {written:?}")) }
    });

    // The one that is left has all of it, and says so alone.
    cluster.kubectl(&["taint", "node", "worker1", "ferrolb.io/drain=now:NoSchedule"]);
    for address in [V4, V6] {
        cluster.wait_answering("eth0", address, &["master/eth0"]);
    }
    wait_told(&cluster, &["master"]);
}
