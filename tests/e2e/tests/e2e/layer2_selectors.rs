//! MetalLB's acceptance list, layer 2, numbers 32 to 34 and 49 to 52: which nodes announce, and which
//! Services. Who answers the client is seen in its own packets.

use std::time::Duration;

use ferrolb_e2e::{Cluster, Kind, V4, V6, advertisement_yaml, on_nodes, pool_yaml, stays};

/// How long an announcement that must not be is looked for: one that probes first takes 0.8 s.
const NOBODY: Duration = Duration::from_secs(2);
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// `serviceSelectors` for Services with any of these labels, each as `a: b`.
fn of_services(labels: &[&str]) -> String {
    let selectors: Vec<String> = labels.iter().map(|label| format!("{{matchLabels: {{{label}}}}}")).collect();
    format!("serviceSelectors: [{}]", selectors.join(", "))
}

/// The pool `lb`, three Pods, and the Service `web` with the first addresses and these labels.
fn with_web(labels: &str) -> Cluster {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.create_dual_service("web", labels);
    cluster.wait_addresses("web", &[V4, V6]);
    cluster
}

/// Waits until nobody answers for the addresses, and sees that nobody announces or probes for them.
fn wait_nobody(cluster: &Cluster) {
    for address in [V4, V6] {
        cluster.wait_answering("eth0", address, &[]);
    }
    let capture = cluster.capture("client", "eth0");
    stays("silence about the addresses", NOBODY, || {
        let of_nodes = |address: &str| {
            let heard = [Kind::Announcement, Kind::Probe, Kind::Answer].map(|kind| capture.of(kind, address));
            heard.concat()
        };
        let heard = [of_nodes(V4), of_nodes(V6)].concat();
        if heard.is_empty() { Ok(()) } else { Err(format!("{heard:?}")) }
    });
    assert_eq!(cluster.announcer_now("web"), Err("[]".into()));
}

/// Number 32.
#[test]
fn the_selected_node_announces_whichever_it_is() {
    let cluster = with_web("");
    for node in ["worker1", "master", "worker2"] {
        cluster.apply(&advertisement_yaml("lb", &on_nodes(&[node])));
        cluster.wait_node(node);
    }
}

/// Number 33.
#[test]
fn the_nodes_of_two_advertisements_are_united() {
    let cluster = with_web("");
    cluster.apply(&advertisement_yaml("one", &on_nodes(&["worker1"])));
    cluster.apply(&advertisement_yaml("two", &on_nodes(&["worker2"])));
    cluster.wait_node("worker1");
    // With both advertisements there, the other's node may as well.
    cluster.kubectl(&["label", "node", "worker1", &format!("{EXCLUDED}=")]);
    cluster.wait_node("worker2");
    cluster.kubectl(&["label", "node", "worker1", &format!("{EXCLUDED}-")]);
    // The owner's advertisement goes.
    cluster.kubectl(&["delete", "l2advertisement", "two", "-n", "metallb-system"]);
    cluster.wait_node("worker1");
}

/// Number 34.
#[test]
fn nobody_announces_until_a_node_has_the_label_that_is_selected() {
    let cluster = with_web("");
    cluster.apply(&advertisement_yaml("lb", "nodeSelectors: [{matchLabels: {edge: 'yes'}}]"));
    wait_nobody(&cluster);
    cluster.kubectl(&["label", "node", "worker1", "edge=yes"]);
    cluster.wait_node("worker1");
}

/// Number 49.
#[test]
fn the_pool_and_the_service_must_both_be_selected() {
    let cluster = with_web("tier: front");
    let spec = format!("ipAddressPools: [other], {}", of_services(&["tier: front"]));
    cluster.apply(&pool_yaml("other", &["192.168.100.230/32"]));
    cluster.apply(&advertisement_yaml("lb", &spec));
    wait_nobody(&cluster);
    let spec = format!("ipAddressPools: [lb], {}", of_services(&["tier: front"]));
    cluster.apply(&advertisement_yaml("lb", &spec));
    cluster.wait_node("master");
    cluster.kubectl(&["label", "service", "web", "tier=back", "--overwrite"]);
    wait_nobody(&cluster);
    cluster.kubectl(&["label", "service", "web", "tier=front", "--overwrite"]);
    cluster.wait_node("master");
}

/// Number 50.
#[test]
fn of_two_advertisements_on_different_nodes_exactly_one_node_announces() {
    let cluster = with_web("tier: front");
    let of_front = of_services(&["tier: front"]);
    for (name, node) in [("one", "worker1"), ("two", "worker2")] {
        cluster.apply(&advertisement_yaml(name, &format!("{}, {of_front}", on_nodes(&[node]))));
    }
    let announcer = cluster.announcer("web");
    assert!(announcer.starts_with("worker"), "{announcer}");
    cluster.wait_node(&announcer);
    stays("one owner", NOBODY, || {
        let found = cluster.answering("eth0", V4);
        let is_one = found == [format!("{announcer}/eth0")].into();
        if is_one { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Number 51.
#[test]
fn nobody_announces_what_no_advertisement_selects_on_any_node() {
    let cluster = with_web("tier: front");
    let front_nowhere = format!("{}, {}", on_nodes(&["elsewhere"]), of_services(&["tier: front"]));
    let back_everywhere = of_services(&["tier: back"]);
    cluster.apply(&advertisement_yaml("front-nowhere", &front_nowhere));
    cluster.apply(&advertisement_yaml("back-everywhere", &back_everywhere));
    wait_nobody(&cluster);
}

/// Number 52.
#[test]
fn any_of_several_service_selectors_suffices() {
    let cluster = with_web("tier: front");
    cluster.create_dual_service("second", "app: shop");
    cluster.wait_addresses("second", &["192.168.100.241", "fd00:100::241"]);
    cluster.create_dual_service("third", "tier: back");
    cluster.wait_addresses("third", &["192.168.100.242", "fd00:100::242"]);
    cluster.apply(&advertisement_yaml("lb", &of_services(&["tier: front", "app: shop"])));
    cluster.wait_node("master");
    cluster.curl("http://192.168.100.241");
    cluster.wait_answering("eth0", "192.168.100.242", &[]);
}
