//! MetalLB's acceptance list, layer 2, numbers 41 to 48: which of the nodes that may announce an address
//! does. Without a preference the order by hash for 192.168.100.240 is master, worker2, worker1, so
//! worker1 announces only where it is preferred.

use std::time::Duration;

use ferrolb_e2e::{Cluster, V4, V6, advertisement_yaml, on_nodes, stays};

const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// A wrong turn would show in the next pass, which comes at once.
const A_FEW_PASSES: Duration = Duration::from_secs(1);

/// `preferredNodeSelectors` of these labels, each as `a: b`, and weights.
fn preferring(preferences: &[(&str, u8)]) -> String {
    let one = |(label, weight): &(&str, u8)| {
        format!("{{weight: {weight}, preference: {{matchLabels: {{{label}}}}}}}")
    };
    format!("preferredNodeSelectors: [{}]", preferences.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn label(cluster: &Cluster, node: &str, label: &str) {
    cluster.kubectl(&["label", "node", node, label, "--overwrite"]);
}

/// The pool `lb`, three Pods, the Service `web` with the first addresses, and the advertisement
/// `lb`; nodes are labelled as given.
fn with_web(labels: &[(&str, &str)], spec: &str) -> Cluster {
    let cluster = Cluster::fresh();
    for (node, text) in labels {
        label(&cluster, node, text);
    }
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", spec));
    cluster.create_dual_service("web", "");
    cluster.wait_addresses("web", &[V4, V6]);
    cluster
}

/// Waits until `node` announces and answers for both addresses, alone, and sees that it lasts.
fn wait_node(cluster: &Cluster, node: &str) {
    cluster.wait_node(node);
    stays(&format!("{node} announces"), A_FEW_PASSES, || match cluster.announcer_now("web")? {
        found if found == node => cluster.curl_once(&format!("http://{V4}")).map(|_| ()),
        found => Err(found),
    });
}

/// Number 41. Without `failback` the former node would keep what nobody prefers any more.
#[test]
fn the_preferred_node_announces_and_without_its_label_the_first_by_hash() {
    let cluster = with_web(&[("worker1", "edge=yes")], &preferring(&[("edge: 'yes'", 10)]));
    cluster.fail_back();
    wait_node(&cluster, "worker1");
    label(&cluster, "worker1", "edge-");
    wait_node(&cluster, "master");
}

/// Number 42.
#[test]
fn a_preference_for_no_node_or_for_every_node_changes_nothing() {
    let cluster = with_web(&[], &preferring(&[("edge: nowhere", 100), ("kubernetes.io/os: linux", 1)]));
    wait_node(&cluster, "master");
}

/// Number 43.
#[test]
fn an_excluded_preferred_node_loses_to_the_first_by_hash_and_reclaims() {
    let cluster = with_web(&[("worker1", "edge=yes")], &preferring(&[("edge: 'yes'", 10)]));
    wait_node(&cluster, "worker1");
    label(&cluster, "worker1", &format!("{EXCLUDED}="));
    wait_node(&cluster, "master");
    label(&cluster, "worker1", &format!("{EXCLUDED}-"));
    wait_node(&cluster, "worker1");
}

/// Number 44.
#[test]
fn a_change_of_the_preference_moves_the_address() {
    let labels = [("worker1", "edge=one"), ("worker2", "edge=two")];
    let cluster = with_web(&labels, &preferring(&[("edge: one", 10)]));
    wait_node(&cluster, "worker1");
    cluster.apply(&advertisement_yaml("lb", &preferring(&[("edge: two", 10)])));
    wait_node(&cluster, "worker2");
    cluster.apply(&advertisement_yaml("lb", &preferring(&[("edge: two", 10), ("edge: one", 11)])));
    wait_node(&cluster, "worker1");
}

/// Number 45.
#[test]
fn node_selectors_stay_a_filter_and_the_preference_orders_the_rest() {
    let labels = [("worker1", "edge=some"), ("master", "edge=most")];
    let spec = format!(
        "{}, {}",
        on_nodes(&["worker1", "worker2"]),
        preferring(&[("edge: most", 100), ("edge: some", 1)])
    );
    let cluster = with_web(&labels, &spec);
    wait_node(&cluster, "worker1");
}

/// Number 46.
#[test]
fn a_preference_outside_the_selected_nodes_has_no_effect() {
    let spec = format!("{}, {}", on_nodes(&["worker1", "worker2"]), preferring(&[("edge: 'yes'", 100)]));
    let cluster = with_web(&[("master", "edge=yes")], &spec);
    wait_node(&cluster, "worker2");
}

/// Number 47.
#[test]
fn weights_of_several_advertisements_add_up() {
    let labels = [("worker1", "edge=one"), ("worker2", "edge=two")];
    let cluster = with_web(&labels, &preferring(&[("edge: one", 6), ("edge: two", 10)]));
    wait_node(&cluster, "worker2");
    cluster.apply(&advertisement_yaml("more", &preferring(&[("edge: one", 5)])));
    wait_node(&cluster, "worker1");
    cluster.kubectl(&["delete", "l2advertisement", "more", "-n", "metallb-system"]);
    wait_node(&cluster, "worker2");
}

/// Number 48.
#[test]
fn a_preference_is_for_the_services_that_its_advertisement_selects() {
    let of_front = "serviceSelectors: [{matchLabels: {tier: front}}]";
    let preferred = format!("{of_front}, {}", preferring(&[("edge: 'yes'", 10)]));
    let cluster = with_web(&[("worker1", "edge=yes")], "");
    cluster.apply(&advertisement_yaml("front", &preferred));
    cluster.create_dual_service("front", "tier: front");
    cluster.wait_addresses("front", &["192.168.100.241", "fd00:100::241"]);
    cluster.wait_announcer("front", "worker1");
    cluster.wait_answering("eth0", "192.168.100.241", &["worker1/eth0"]);
    wait_node(&cluster, "master");
}
