//! The walkthroughs of `examples/walkthrough`, step by step, as a reader would follow them.

use ferrolb_e2e::{Cluster, eventually, pool_yaml, stays};
use std::time::Duration;

const LB: &str = "http://192.168.100.240";
const LB_SA: &str = "http://192.168.100.241";

/// The columns of a line of `kubectl get`.
fn columns(table: &str, name: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{table}")).split_whitespace().map(Into::into).collect()
}

#[test]
fn walkthrough_004_from_replica_sets_to_a_sticky_load_balancer() {
    let cluster = Cluster::fresh();

    // Ready: ReplicaSets and NodePort Services.
    assert_eq!(cluster.create_example("rs-web-v1.yaml"), "replicaset.apps/rs-web-v1 created\n");
    assert_eq!(cluster.create_example("rs-web-v2.yaml"), "replicaset.apps/rs-web-v2 created\n");
    cluster.create_example("svc-node-web-nodeport-v1.yaml");
    cluster.create_example("svc-node-web-nodeport-v2.yaml");
    eventually("both ReplicaSets have three ready Pods", || {
        let table = cluster.kubectl(&["get", "replicasets", "-o", "wide"]);
        let ready = |name: &str| columns(&table, name)[1..4] == ["3", "3", "3"];
        if ready("rs-web-v1") && ready("rs-web-v2") { Ok(()) } else { Err(table) }
    });
    let pods = cluster.kubectl(&["get", "pods", "-o", "wide", "-l", "app=node-web-v1"]);
    assert_eq!(pods.matches("worker").count(), 3, "the control plane takes no Pods\n{pods}");
    for node in ["192.168.100.200", "192.168.100.201", "192.168.100.202"] {
        assert!(cluster.curl(&format!("http://{node}:30001")).starts_with("You've hit rs-web-v1-"));
        let second = cluster.curl(&format!("http://{node}:30002"));
        assert!(second.starts_with("You've hit rs-web-v2-") && second.ends_with("(Ver2.0)"), "{second}");
    }
    let services = cluster.kubectl(&["get", "services", "-o", "wide"]);
    let node_port = columns(&services, "svc-node-web-v1");
    assert_eq!(node_port[1], "NodePort");
    assert_eq!(node_port[3..5], ["<none>", "80:30001/TCP"]);
    assert_eq!(node_port[6], "app=node-web-v1");

    // Configuration.
    assert_eq!(cluster.create_example("metallb-ip.yaml"), "ipaddresspool.metallb.io/lb-pool created\n");
    assert_eq!(cluster.create_example("metallb-l2.yaml"), "l2advertisement.metallb.io/lb created\n");

    // Create LoadBalancer.
    assert_eq!(cluster.create_example("svc-node-web-lb.yaml"), "service/svc-lb created\n");
    cluster.wait_addresses("svc-lb", &["192.168.100.240"]);
    assert!(cluster.curl(LB).starts_with("You've hit rs-web-v1-"));
    let services = cluster.kubectl(&["get", "services", "-o", "wide"]);
    let balancer = columns(&services, "svc-lb");
    assert_eq!((balancer[1].as_str(), balancer[3].as_str()), ("LoadBalancer", "192.168.100.240"));
    assert!(balancer[4].starts_with("80:") && balancer[4].ends_with("/TCP"), "{balancer:?}");
    assert_eq!(cluster.wait_answers(LB, 3).len(), 3, "all Pods take part");

    // Describe LoadBalancer.
    cluster.wait_event("svc-lb", "nodeAssigned");
    let described = cluster.kubectl(&["describe", "service", "svc-lb"]);
    let has = |expected: &[&str]| {
        let found = described.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.windows(expected.len()).any(|window| window == expected)
        });
        assert!(found, "{expected:?} is not in\n{described}");
    };
    has(&["Type:", "LoadBalancer"]);
    has(&["LoadBalancer", "Ingress:", "192.168.100.240"]);
    has(&["Port:", "http", "80/TCP"]);
    has(&["TargetPort:", "8080/TCP"]);
    has(&["Session", "Affinity:", "None"]);
    has(&["External", "Traffic", "Policy:", "Cluster"]);
    has(&["ferrolb-controller", "Assigned", "IP", "[\"192.168.100.240\"]"]);
    has(&["ferrolb-speaker", "announcing", "from", "node", "\"master\"", "with", "protocol", "\"layer2\""]);
    assert_eq!(cluster.announcer("svc-lb"), "master", "as in the walkthrough");

    // sessionAffinity.
    assert_eq!(cluster.create_example("svc-node-web-lb-sa.yaml"), "service/svc-lb-sa created\n");
    cluster.wait_addresses("svc-lb-sa", &["192.168.100.241"]);
    cluster.curl(LB_SA);
    assert_eq!(cluster.answers(LB_SA, 20).len(), 1, "the session sticks to one Pod");
}

#[test]
fn walkthrough_002_without_any_advertisement_a_node_port_service_becomes_a_load_balancer() {
    let cluster = Cluster::fresh();
    let created = cluster.create_example("ip-pool.metallb.yml");
    assert_eq!(created, "ipaddresspool.metallb.io/my-ip-pool created\n");
    let table = cluster.kubectl(&["get", "ipaddresspools.metallb.io", "-n", "metallb-system"]);
    let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(header.join(" "), "NAME AUTO ASSIGN AVOID BUGGY IPS ADDRESSES");
    assert_eq!(columns(&table, "my-ip-pool")[1..], ["true", "false", "[\"192.168.100.97-192.168.100.99\"]"]);

    cluster.create_example("ingress-nginx-controller.yaml");
    let ingress = |args: &[&str]| cluster.kubectl(&[&["-n", "ingress-nginx"], args].concat());
    let services = ingress(&["get", "services"]);
    let before = columns(&services, "ingress-nginx-controller");
    assert_eq!((before[1].as_str(), before[4].as_str()), ("NodePort", "80:30982/TCP,443:30859/TCP"));

    let patch = r#"{"spec":{"type":"LoadBalancer"}}"#;
    ingress(&["patch", "service", "ingress-nginx-controller", "-p", patch]);
    eventually("the Service has the pool's first address and keeps its node ports", || {
        let services = ingress(&["get", "services"]);
        let found = columns(&services, "ingress-nginx-controller");
        let expected = ["LoadBalancer", &before[2], "192.168.100.97", "80:30982/TCP,443:30859/TCP"];
        if found[1..5] == expected { Ok(()) } else { Err(services) }
    });
    assert!(cluster.curl("http://192.168.100.97").starts_with("ingress-nginx-controller-"));
    assert!(cluster.curl("http://192.168.100.97:443").starts_with("ingress-nginx-controller-"));
    let pool = ["ipaddresspool", "my-ip-pool", "-n", "metallb-system"];
    cluster.wait_condition(&pool, "Ready", "True InNodeSubnet");
}

#[test]
fn walkthrough_003_node_ports_spread_over_the_pods_of_a_deployment() {
    let cluster = Cluster::fresh();
    cluster.kubectl(&["create", "deployment", "np-pods", "--image=sysnet4admin/echo-hname"]);
    cluster.create_example("nodeport.yaml");
    for node in ["192.168.100.200", "192.168.100.201", "192.168.100.202"] {
        assert!(cluster.curl(&format!("http://{node}:30000")).starts_with("np-pods-"));
    }
    cluster.kubectl(&["scale", "deployment", "np-pods", "--replicas=3"]);
    assert_eq!(cluster.wait_answers("http://192.168.100.201:30000", 3).len(), 3);
    cluster.kubectl(&["expose", "deployment", "np-pods", "--type=NodePort", "--name=np-svc-v2", "--port=80"]);
    let service = cluster.get(&["service", "np-svc-v2"]);
    let port = &service["spec"]["ports"][0]["nodePort"];
    assert!(cluster.curl(&format!("http://192.168.100.202:{port}")).starts_with("np-pods-"));
}

#[test]
fn walkthroughs_001_and_003_an_exposed_deployment_is_scaled_out() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.kubectl(&["create", "deployment", "lb-hname-pods", "--image=sysnet4admin/echo-hname"]);
    cluster.kubectl(&[
        "expose",
        "deployment",
        "lb-hname-pods",
        "--type=LoadBalancer",
        "--name=lb-hname-svc",
        "--port=80",
    ]);
    cluster.wait_addresses("lb-hname-svc", &["192.168.100.240"]);
    assert!(cluster.curl(LB).starts_with("lb-hname-pods-"));
    assert_eq!(cluster.answers(LB, 10).len(), 1);
    for replicas in [3, 6] {
        cluster.kubectl(&["scale", "deployment", "lb-hname-pods", &format!("--replicas={replicas}")]);
        assert_eq!(cluster.wait_answers(LB, replicas).len(), replicas);
    }
}

#[test]
fn walkthrough_004_the_client_address_survives_under_policy_local() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let client = cluster.lab.address("client").expect("the lab has a client").to_string();
    let seen = cluster.curl(&format!("{LB}/ip"));
    assert_ne!(seen, client, "under Cluster the announcing node, which has no Pod, takes the client's place");

    let patch = r#"{"spec":{"externalTrafficPolicy":"Local"}}"#;
    cluster.kubectl(&["patch", "service", "svc-lb", "-p", patch]);
    eventually("the Pods see the client", || match cluster.curl_once(&format!("{LB}/ip"))? {
        seen if seen == client => Ok(()),
        seen => Err(seen),
    });
    let announcer =
        eventually("a node with a Pod of the Service", || match cluster.announcer_now("svc-lb")? {
            master if master == "master" => Err(master),
            announcer => Ok(announcer),
        });
    let pods = cluster.get(&[
        "pods",
        "-l",
        "app=node-web-v1",
        "--field-selector",
        &format!("spec.nodeName={announcer}"),
    ]);
    let local = pods["items"].as_array().map_or(0, Vec::len);
    assert!(local > 0);
    assert_eq!(cluster.wait_answers(LB, local).len(), local, "only Pods of the announcing node answer");
    stays("the client's address", Duration::from_secs(1), || {
        match cluster.curl_once(&format!("{LB}/ip"))? {
            seen if seen == client => Ok(()),
            seen => Err(seen),
        }
    });
}

#[test]
fn walkthrough_004_a_node_port_under_policy_local_answers_only_where_a_pod_is() {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web.yaml");
    cluster.create_example("svc-web-node.yaml");
    cluster.create_example("svc-web-node-et.yaml");
    for node in ["192.168.100.200", "192.168.100.201", "192.168.100.202"] {
        assert!(cluster.curl(&format!("http://{node}:30123")).starts_with("You've hit rs-web-"));
    }
    let client = cluster.lab.address("client").expect("the lab has a client").to_string();
    let pods = cluster.get(&["pods", "-l", "app=node-web"]);
    let node_of = |pod: &serde_json::Value| pod["status"]["hostIP"].as_str().map(str::to_owned);
    let with_pod =
        pods["items"].as_array().and_then(|pods| pods.iter().find_map(node_of)).expect("a Pod runs");
    assert_eq!(cluster.curl(&format!("http://{with_pod}:30125/ip")), client, "nobody took its place");
    let refused = cluster.curl_once("http://192.168.100.200:30125");
    assert!(refused.is_err(), "the master has no Pod, yet it answers: {refused:?}");
}

#[test]
fn both_families_of_a_service_are_given_and_reached() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("dual", &["192.168.100.240-192.168.100.250", "fd00:100::240-fd00:100::250"]));
    cluster.create_example("metallb-l2.yaml");
    let patch = r#"{"spec":{"ipAddressPools":["dual"]}}"#;
    cluster.kubectl(&["patch", "l2advertisement", "lb", "-n", "metallb-system", "--type=merge", "-p", patch]);
    cluster.create_example("rs-web-v1.yaml");
    cluster.apply(&ferrolb_e2e::service_yaml("dual", "node-web-v1", &["ipFamilyPolicy: RequireDualStack"]));
    cluster.wait_addresses("dual", &["192.168.100.240", "fd00:100::240"]);
    assert!(cluster.curl(LB).starts_with("You've hit"));
    assert!(cluster.curl("http://[fd00:100::240]").starts_with("You've hit"));
}
