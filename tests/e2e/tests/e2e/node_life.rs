//! Who announces an address when nodes are excluded, die and come back.

use std::time::{Duration, Instant};

use ferrolb_e2e::{Cluster, Disturbance, advertisement_yaml, eventually, on_nodes, say, service_yaml, stays};

const LB: &str = "http://192.168.100.240";
const LB_SA: &str = "http://192.168.100.241";

/// Nothing moves without need: every move breaks connections.
fn keeps(cluster: &Cluster, service: &str, node: &str) {
    stays(&format!("{node} announces {service}"), Duration::from_secs(3), || {
        match cluster.announcer_now(service)? {
            found if found == node => Ok(()),
            found => Err(found),
        }
    });
}

/// No connection failed in one planned move, but for one at most of the very instant.
fn moved_well(seen: &Disturbance) {
    assert!(seen.failures.is_empty() && seen.interrupted <= 1, "{seen:?}");
}

#[test]
fn the_death_of_the_control_plane_node_moves_its_address_without_an_api_server() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    assert_eq!(cluster.announcer("svc-lb"), "master");
    let seen = cluster.disturbed(LB, || cluster.lab.kill_node("master").expect("the node dies"));
    let gap = seen.longest_gap.as_secs_f64();
    say(&format!("the address was back {gap:.2} s after its node and the API server died"));
    stays("traffic without an API server", Duration::from_secs(3), || cluster.curl_once(LB).map(|_| ()));

    cluster.lab.start_node("master").expect("the node comes back");
    eventually("the API server is back", || {
        let ready = cluster.lab.kubectl(&["get", "--raw", "/readyz"]);
        let ready = ready.map_err(|error| error.to_string())?;
        if ready.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ready.stderr).into()) }
    });
    cluster.wait_announcer("svc-lb", "worker2");
    keeps(&cluster, "svc-lb", "worker2");
    cluster.wait_addresses("svc-lb", &["192.168.100.240"]);
    assert!(cluster.curl(LB).starts_with("You've hit rs-web-v1-"));
}

#[test]
fn a_dead_worker_is_replaced_and_takes_nothing_when_it_returns() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    cluster.create_example("svc-node-web-lb-sa.yaml");
    cluster.wait_addresses("svc-lb-sa", &["192.168.100.241"]);
    cluster.curl(LB_SA);
    let dead = cluster.announcer("svc-lb-sa");
    assert_eq!(dead, "worker2", "by its hash");
    let killed = Instant::now();
    cluster.lab.kill_node(&dead).expect("the node dies");
    let heir = eventually("another node announces", || match cluster.announcer_now("svc-lb-sa")? {
        node if node == dead => Err(node),
        node => Ok(node),
    });
    say(&format!("its ServiceL2Status named the new node after {:.2} s", killed.elapsed().as_secs_f64()));
    cluster.curl(LB_SA);
    eventually("the dead node's Pods take no traffic any more", || {
        for _ in 0..20 {
            cluster.curl_once(LB)?;
        }
        Ok(())
    });
    cluster.lab.start_node(&dead).expect("the node comes back");
    cluster.kubectl(&["rollout", "status", "daemonset/speaker", "-n", "ferrolb-system", "--timeout=60s"]);
    keeps(&cluster, "svc-lb-sa", &heir);
    cluster.curl(LB_SA);
    cluster.fail_back();
    cluster.wait_announcer("svc-lb-sa", &dead);
    cluster.curl(LB_SA);
}

#[test]
fn the_exclusion_label_moves_an_address_and_its_removal_moves_it_back_where_asked_for() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    cluster.kubectl(&["label", "node", "master", &format!("{label}=")]);
    cluster.wait_announcer("svc-lb", "worker2");
    cluster.curl(LB);
    cluster.kubectl(&["label", "node", "master", &format!("{label}-")]);
    keeps(&cluster, "svc-lb", "worker2");
    cluster.fail_back();
    cluster.wait_announcer("svc-lb", "master");
    cluster.curl(LB);
}

#[test]
fn an_unavailable_network_moves_an_address() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.fail_back();
    cluster.create_web();
    let set = |status: &str| {
        let condition = format!(
            r#"{{"status":{{"conditions":[{{"type":"NetworkUnavailable","status":"{status}","reason":"Test","message":""}}]}}}}"#
        );
        cluster.kubectl(&[
            "patch",
            "node",
            "master",
            "--subresource=status",
            "--type=strategic",
            "-p",
            &condition,
        ]);
    };
    set("True");
    cluster.wait_announcer("svc-lb", "worker2");
    set("False");
    cluster.wait_announcer("svc-lb", "master");
    cluster.curl(LB);
}

#[test]
fn restarting_the_speakers_leaves_the_address_where_it_belongs() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let seen = cluster.disturbed(LB, || {
        cluster.kubectl(&["rollout", "restart", "daemonset/speaker", "-n", "ferrolb-system"]);
        cluster.kubectl(&[
            "rollout",
            "status",
            "daemonset/speaker",
            "-n",
            "ferrolb-system",
            "--timeout=120s",
        ]);
    });
    say(&format!("longest gap while all speakers restarted: {:.2} s", seen.longest_gap.as_secs_f64()));
    assert!(seen.failures.is_empty() && seen.interrupted == 0, "{seen:?}");
    keeps(&cluster, "svc-lb", "master");
    cluster.curl(LB);
    let events = cluster.events("svc-lb").join("\n");
    assert!(!events.contains("worker"), "each speaker is followed by one on its own node\n{events}");
}

#[test]
fn a_drained_node_gives_its_address_up_without_a_failed_request() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let taint = "ferrolb.io/drain=now:NoSchedule";
    let seen = cluster.disturbed(LB, || {
        cluster.kubectl(&["taint", "node", "master", taint]);
        cluster.wait_announcer("svc-lb", "worker2");
    });
    say(&format!("longest gap between two answers in a drain: {:.3} s", seen.longest_gap.as_secs_f64()));
    moved_well(&seen);
    cluster.kubectl(&["taint", "node", "master", &format!("{taint}-")]);
    keeps(&cluster, "svc-lb", "worker2");

    cluster.kubectl(&["cordon", "worker2"]);
    keeps(&cluster, "svc-lb", "worker2");
    cluster.kubectl(&["uncordon", "worker2"]);
    cluster.kubectl(&["annotate", "node", "worker2", "ferrolb.io/drain=true"]);
    cluster.wait_announcer("svc-lb", "master");
    cluster.curl(LB);
    cluster.kubectl(&["annotate", "node", "worker2", "ferrolb.io/drain-"]);
}

#[test]
fn a_change_of_the_nodes_that_are_selected_fails_no_request() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let object = ["l2advertisements.metallb.io", "--all", "-n", "metallb-system"];
    cluster.kubectl(&[&["delete"], &object[..]].concat());
    cluster.apply(&advertisement_yaml("selected", &on_nodes(&["worker1"])));
    cluster.wait_announcer("svc-lb", "worker1");
    cluster.curl(LB);
    let seen = cluster.disturbed(LB, || {
        cluster.apply(&advertisement_yaml("selected", &on_nodes(&["worker2"])));
        cluster.wait_announcer("svc-lb", "worker2");
    });
    say(&format!("longest gap while other nodes were selected: {:.3} s", seen.longest_gap.as_secs_f64()));
    moved_well(&seen);
}

/// Its speaker goes on until it has seen it, or another has the address.
#[test]
fn a_deleted_node_gives_its_address_up_without_a_failed_request() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let object = ["l2advertisements.metallb.io", "--all", "-n", "metallb-system"];
    cluster.kubectl(&[&["delete"], &object[..]].concat());
    cluster.apply(&advertisement_yaml("workers", &on_nodes(&["worker1", "worker2"])));
    cluster.wait_announcer("svc-lb", "worker2");
    cluster.curl(LB);
    let seen = cluster.disturbed(LB, || {
        cluster.kubectl(&["delete", "node", "worker2"]);
        cluster.wait_announcer("svc-lb", "worker1");
    });
    say(&format!("longest gap while its Node was deleted: {:.3} s", seen.longest_gap.as_secs_f64()));
    moved_well(&seen);
    // kube-proxy ends with its Node; a node that starts registers itself.
    cluster.lab.kill_node("worker2").expect("the node dies");
    cluster.lab.start_node("worker2").expect("the node comes back");
    cluster.kubectl(&["wait", "node/worker2", "--for=condition=Ready", "--timeout=60s"]);
    keeps(&cluster, "svc-lb", "worker1");
}

#[test]
fn the_announcing_nodes_hardware_address_answers() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let mac = |host: &str| {
        let link = cluster.lab.exec(host, &["cat", "/sys/class/net/eth0/address"]).expect("runs");
        String::from_utf8_lossy(&link.stdout).trim().to_owned()
    };
    let neighbours = cluster.lab.exec("client", &["ip", "neigh", "show", "192.168.100.240"]).expect("runs");
    let neighbours = String::from_utf8_lossy(&neighbours.stdout).into_owned();
    assert!(neighbours.contains(&mac("master")), "{neighbours}");
    for node in ["worker1", "worker2"] {
        assert!(!neighbours.contains(&mac(node)), "{neighbours}");
    }
}

#[test]
fn a_controller_on_another_node_leads_when_the_leaders_node_dies() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    let controllers = ["deployment/controller", "-n", "ferrolb-system"];
    // The API server has to live on to see it.
    cluster.kubectl(&["cordon", "master"]);
    cluster.kubectl(&["rollout", "restart", controllers[0], controllers[1], controllers[2]]);
    cluster.kubectl(&["rollout", "status", controllers[0], controllers[1], controllers[2], "--timeout=90s"]);
    let (leader, node) = eventually("a controller on a worker leads", || {
        let lease = cluster.get(&["lease", "ferrolb-controller", "-n", "ferrolb-system"]);
        let leader = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        if leader.is_empty() {
            return Err("nobody".into());
        }
        let pod = cluster.get(&["pod", &leader, "-n", "ferrolb-system"]);
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
        let alive = pod["metadata"]["deletionTimestamp"].is_null();
        if alive && node.starts_with("worker") {
            Ok((leader, node))
        } else {
            Err(format!("{leader} on {node}"))
        }
    });
    let killed = Instant::now();
    cluster.lab.kill_node(&node).expect("the node dies");
    cluster.apply(&service_yaml("late", "web", &[]));
    cluster.wait_addresses("late", &["192.168.100.240"]);
    say(&format!(
        "a new Service had its address {:.1} s after the leader's node died",
        killed.elapsed().as_secs_f64()
    ));
    let lease = cluster.get(&["lease", "ferrolb-controller", "-n", "ferrolb-system"]);
    assert_ne!(lease["spec"]["holderIdentity"].as_str(), Some(leader.as_str()));
    cluster.lab.start_node(&node).expect("the node comes back");
}
