//! MetalLB's acceptance list, layer 2, numbers 35 to 40: on which interfaces an address is answered. Every
//! node and the client have a second one here, on a segment of its own.

use ferrolb_e2e::{Cluster, V4, V6, advertisement_yaml, eventually, on_nodes};

/// The pool `lb`, three Pods, and the Service `web` with the first addresses.
fn with_web() -> Cluster {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.create_dual_service("web", "");
    cluster.wait_addresses("web", &[V4, V6]);
    cluster
}

/// Waits until `first` answers on the first segment and `second` on the second, for both addresses.
fn wait_answering(cluster: &Cluster, first: &[&str], second: &[&str]) {
    for address in [V4, V6] {
        cluster.wait_answering("eth0", address, first);
        cluster.wait_answering("eth1", address, second);
    }
}

fn wait_listed(cluster: &Cluster, expected: &[&str]) {
    eventually(&format!("the ServiceL2Status lists {expected:?}"), || {
        let selector = "metallb.io/service-name=web";
        let list = cluster.get(&["servicel2statuses.metallb.io", "-n", "ferrolb-system", "-l", selector]);
        let interfaces = list["items"][0]["status"]["interfaces"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = interfaces.iter().filter_map(|interface| interface["name"].as_str()).collect();
        if names == expected { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

/// Numbers 35, 36 and 37.
#[test]
fn the_interfaces_listed_answer_and_follow_the_list() {
    let cluster = with_web();
    let _second = cluster.second_lan();
    cluster.apply(&advertisement_yaml("lb", "interfaces: [eth1]"));
    wait_listed(&cluster, &["eth1"]);
    let node = cluster.announcer("web");
    wait_answering(&cluster, &[], &[&format!("{node}/eth1")]);
    let reached =
        cluster.lab.exec("client", &["curl", "-sS", "--interface", "eth1", &format!("http://{V4}")]);
    let reached = reached.expect("runs");
    assert!(String::from_utf8_lossy(&reached.stdout).starts_with("You've hit"), "{reached:?}");

    cluster.apply(&advertisement_yaml("lb", "interfaces: [eth0]"));
    wait_listed(&cluster, &["eth0"]);
    assert_eq!(cluster.announcer("web"), node, "a change of interfaces moves nothing to another node");
    wait_answering(&cluster, &[&format!("{node}/eth0")], &[]);
}

/// Number 38.
#[test]
fn an_interface_that_no_node_has_is_told_and_nobody_answers() {
    let cluster = with_web();
    let _second = cluster.second_lan();
    cluster.apply(&advertisement_yaml("lb", "interfaces: [eth7]"));
    let told = "announceFailed ferrolb-speaker";
    cluster.wait_event("web", told);
    cluster.wait_event("web", &format!("the interfaces specified by LB IP \"{V4}\" doesn't exist"));
    wait_answering(&cluster, &[], &[]);
    assert_eq!(cluster.announcer_now("web"), Err("[]".into()));
}

/// Number 39.
#[test]
fn the_interfaces_of_two_advertisements_are_united() {
    let cluster = with_web();
    let _second = cluster.second_lan();
    cluster.apply(&advertisement_yaml("one", "interfaces: [eth0]"));
    cluster.apply(&advertisement_yaml("two", "interfaces: [eth1]"));
    wait_listed(&cluster, &["eth0", "eth1"]);
    let node = cluster.announcer("web");
    wait_answering(&cluster, &[&format!("{node}/eth0")], &[&format!("{node}/eth1")]);
}

/// Number 40.
#[test]
fn the_selected_node_answers_on_the_selected_interface() {
    let cluster = with_web();
    let _second = cluster.second_lan();
    cluster.apply(&advertisement_yaml("lb", &format!("interfaces: [eth1], {}", on_nodes(&["master"]))));
    wait_answering(&cluster, &[], &["master/eth1"]);
    cluster.apply(&advertisement_yaml("lb", &format!("interfaces: [eth0], {}", on_nodes(&["worker1"]))));
    wait_answering(&cluster, &["worker1/eth0"], &[]);
}

/// Interfaces are followed as they come and go: not on the list, but the reason that lists work.
#[test]
fn an_address_is_answered_on_an_interface_that_comes_later() {
    let cluster = with_web();
    cluster.apply(&advertisement_yaml("lb", ""));
    let node = cluster.announcer("web");
    cluster.wait_answering("eth0", V4, &[&format!("{node}/eth0")]);
    let _second = cluster.second_lan();
    wait_answering(&cluster, &[&format!("{node}/eth0")], &[&format!("{node}/eth1")]);
}
