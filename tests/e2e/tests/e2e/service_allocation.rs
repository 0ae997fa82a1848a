//! MetalLB's acceptance list, IP assignment 7 to 12: `serviceAllocation` pins pools to Services.

use std::fmt::Write as _;

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml};

const FIRST: &str = "192.168.100.220";
const SECOND: &str = "192.168.100.221";
const DEFAULT: &str = "192.168.100.240";

/// A pool of one address, pinned by these lines of `serviceAllocation`.
fn pinned_yaml(name: &str, address: &str, allocation: &[&str]) -> String {
    let mut yaml = pool_yaml(name, &[&format!("{address}/32")]);
    yaml.push_str("  serviceAllocation:\n");
    for line in allocation {
        writeln!(yaml, "    {line}").expect("a String takes text");
    }
    yaml
}

fn create_namespace(cluster: &Cluster, name: &str, labels: &str) {
    cluster.apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"
    ));
}

/// Creates a Service and waits for its address.
fn served(cluster: &Cluster, namespace: &str, name: &str, labels: &str, address: &str) {
    let metadata = format!("{{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}");
    cluster.apply(&service_yaml(name, "web", &[]).replace(&format!("{{name: {name}}}"), &metadata));
    eventually(&format!("{namespace}/{name} has {address}"), || {
        let status = &cluster.get(&["service", name, "-n", namespace])["status"];
        let ingress = &status["loadBalancer"]["ingress"];
        if ingress[0]["ip"] == address && ingress[1].is_null() { Ok(()) } else { Err(status.to_string()) }
    });
}

/// Number 7.
#[test]
fn pools_of_a_namespace_are_used_by_priority_and_then_the_default_pool() {
    let cluster = Cluster::fresh();
    create_namespace(&cluster, "team", "");
    cluster.apply(&pool_yaml("a-default", &["192.168.100.240/32"]));
    // Neither names nor addresses are in the order of the priorities.
    cluster.apply(&pinned_yaml("b-second", SECOND, &["priority: 20", "namespaces: [team]"]));
    cluster.apply(&pinned_yaml("c-first", FIRST, &["priority: 10", "namespaces: [team]"]));
    served(&cluster, "team", "one", "", FIRST);
    served(&cluster, "team", "two", "", SECOND);
    served(&cluster, "team", "three", "", DEFAULT);
    // Another namespace gets none of the pinned pools, even when they are free.
    cluster.kubectl(&["delete", "service", "one", "two", "three", "-n", "team"]);
    served(&cluster, "default", "other", "", DEFAULT);
}

/// Number 8.
#[test]
fn pools_with_a_priority_only_are_used_by_priority() {
    let cluster = Cluster::fresh();
    cluster.apply(&pinned_yaml("b-second", SECOND, &["priority: 20"]));
    cluster.apply(&pinned_yaml("c-first", FIRST, &["priority: 10"]));
    served(&cluster, "default", "one", "", FIRST);
    served(&cluster, "default", "two", "", SECOND);
}

/// Number 9.
#[test]
fn namespaces_by_name_and_by_label_may_use_a_pool() {
    let cluster = Cluster::fresh();
    create_namespace(&cluster, "named", "");
    create_namespace(&cluster, "labelled", "team: web");
    cluster.apply(&pool_yaml("a-default", &["192.168.100.240/32"]));
    let pinned = ["priority: 10", "namespaces: [named]", "namespaceSelectors: [{matchLabels: {team: web}}]"];
    let two = pinned_yaml("pinned", FIRST, &pinned).replace("- 192.168.100.220/32", "- 192.168.100.220/31");
    cluster.apply(&two);
    served(&cluster, "named", "one", "", FIRST);
    served(&cluster, "labelled", "one", "", SECOND);
    served(&cluster, "default", "one", "", DEFAULT);
}

/// Number 10.
#[test]
fn services_by_label_may_use_a_pool() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("a-default", &["192.168.100.240/32"]));
    cluster.apply(&pinned_yaml("pinned", FIRST, &["serviceSelectors: [{matchLabels: {tier: gold}}]"]));
    served(&cluster, "default", "plain", "tier: iron", DEFAULT);
    served(&cluster, "default", "golden", "tier: gold", FIRST);
}

/// Number 11.
#[test]
fn a_pool_for_a_namespace_and_a_label_asks_for_both() {
    let cluster = Cluster::fresh();
    create_namespace(&cluster, "team", "");
    cluster.apply(&pool_yaml("a-default", &["192.168.100.240-192.168.100.241"]));
    let both = ["namespaces: [team]", "serviceSelectors: [{matchLabels: {tier: gold}}]"];
    cluster.apply(&pinned_yaml("pinned", FIRST, &both));
    served(&cluster, "team", "plain", "", "192.168.100.240");
    served(&cluster, "default", "golden", "tier: gold", "192.168.100.241");
    served(&cluster, "team", "golden", "tier: gold", FIRST);
}

/// Number 12.
#[test]
fn a_namespace_that_is_relabelled_uses_the_pool_of_its_new_label() {
    let cluster = Cluster::fresh();
    create_namespace(&cluster, "team", "team: web");
    cluster.apply(&pinned_yaml(
        "b-web",
        "192.168.100.230",
        &["priority: 20", "namespaceSelectors: [{matchLabels: {team: web}}]"],
    ));
    cluster.apply(&pinned_yaml(
        "c-gold",
        FIRST,
        &["priority: 10", "namespaceSelectors: [{matchLabels: {tier: gold}}]"],
    ));
    served(&cluster, "team", "before", "", "192.168.100.230");
    cluster.kubectl(&["label", "namespace", "team", "tier=gold"]);
    served(&cluster, "team", "after", "", FIRST);
    let before = cluster.get(&["service", "before", "-n", "team"]);
    assert_eq!(before["status"]["loadBalancer"]["ingress"][0]["ip"], "192.168.100.230", "it keeps its own");
}
