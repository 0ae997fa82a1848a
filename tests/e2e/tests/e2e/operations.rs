//! What an operator looks at: metrics, health, logs, node states, rights.

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml};
use serde_json::Value;

const IN_FERROLB: [&str; 2] = ["-n", "ferrolb-system"];

/// What a node's speaker, or a controller Pod, answers on its admin port.
fn admin(cluster: &Cluster, host: &str, address: &str, path: &str) -> Result<String, String> {
    let url = format!("http://{address}{path}");
    let output = cluster.lab.exec(host, &["curl", "-sS", "--max-time", "2", &url]);
    let output = output.map_err(|error| format!("{error:#}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn wait_metric(cluster: &Cluster, (host, address): (&str, &str), line: &str) {
    eventually(&format!("{line} on {host}"), || {
        let metrics = admin(cluster, host, address, "/metrics")?;
        if metrics.lines().any(|found| found == line) { Ok(()) } else { Err(metrics) }
    });
}

/// The admin address of the controller that leads.
fn leader(cluster: &Cluster) -> String {
    let text = |object: &[&str], field: &str| {
        let object = cluster.get(&[object, &IN_FERROLB].concat());
        object.pointer(field).and_then(Value::as_str).expect("a controller leads").to_owned()
    };
    let pod = text(&["lease", "ferrolb-controller"], "/spec/holderIdentity");
    format!("{}:9480", text(&["pod", &pod], "/status/podIP"))
}

/// Waits for a log line of a controller with all of `words`.
fn wait_logged(cluster: &Cluster, words: &[&str]) -> Value {
    let line = eventually(&format!("a controller logs {words:?}"), || {
        let selector = "app.kubernetes.io/component=controller";
        let logs = cluster.kubectl(&["logs", IN_FERROLB[0], IN_FERROLB[1], "-l", selector, "--tail=200"]);
        let found = logs.lines().find(|line| words.iter().all(|word| line.contains(word)));
        found.map(str::to_owned).ok_or(logs)
    });
    serde_json::from_str(&line).expect("the line is JSON")
}

#[test]
fn metrics_count_what_was_given_and_announced() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    assert_eq!(cluster.announcer("svc-lb"), "master");
    // The announcement told the client before it asked; make it ask.
    cluster.lab.exec("client", &["ip", "neigh", "flush", "all"]).expect("runs");
    cluster.curl("http://192.168.100.240");
    let metric = |host: &str, address: &str, line: &str| wait_metric(&cluster, (host, address), line);
    metric("master", "127.0.0.1:9481", "ferrolb_plan_announced 1");
    metric("worker1", "127.0.0.1:9481", "ferrolb_plan_announced 0");
    metric("worker1", "127.0.0.1:9481", "ferrolb_plan_withheld{reason=\"ElectionLost\"} 1");
    let metrics = admin(&cluster, "master", "127.0.0.1:9481", "/metrics").expect("metrics are served");
    for name in
        ["ferrolb_l2_requests_total", "ferrolb_l2_announcements_total", "ferrolb_liveness_messages_total"]
    {
        assert!(metrics.contains(name), "{name} is missing\n{metrics}");
    }

    let address = leader(&cluster);
    metric(
        "master",
        &address,
        "ferrolb_ipam_addresses{pool=\"lb-pool\",family=\"ipv4\",status=\"assigned\"} 1",
    );
    cluster.apply(&service_yaml("foreign", "web", &["loadBalancerClass: example.com/other"]));
    metric("master", &address, "ferrolb_ipam_services{state=\"foreign\",reason=\"\"} 1");
}

#[test]
fn a_service_without_an_address_has_one_reason_in_condition_event_log_and_metric() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("one", &["192.168.100.240/32"]));
    cluster.apply(&service_yaml("holder", "web", &[]));
    cluster.wait_addresses("holder", &["192.168.100.240"]);
    cluster.apply(&service_yaml("unserved", "web", &[]));
    let condition = "ferrolb.io/AddressAllocated";
    cluster.wait_condition(&["service", "unserved"], condition, "False PoolExhausted");
    cluster.wait_event("unserved", "Warning AllocationFailed ferrolb-controller PoolExhausted: ");
    let metric = "ferrolb_ipam_services{state=\"refused\",reason=\"PoolExhausted\"} 1";
    wait_metric(&cluster, ("master", &leader(&cluster)), metric);
    let line = wait_logged(&cluster, &["a Service does not get what it asks for", "default/unserved"]);
    assert_eq!(line["service"], "default/unserved");
    assert_eq!(line["reason"], "PoolExhausted");
}

#[test]
fn every_speaker_is_ready_and_reports_its_node() {
    let cluster = Cluster::fresh();
    for node in cluster.lab.node_names() {
        let ready = admin(&cluster, &node, "127.0.0.1:9481", "/readyz").expect("it answers");
        assert!(ready.contains("[+]synced ok") && ready.contains("[+]announcing ok"), "{ready}");
        let state = cluster.get(&["nodestate", &node]);
        let links = state["status"]["links"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = links.iter().filter_map(|link| link["name"].as_str()).collect();
        assert_eq!(names, ["eth0"], "bridges and veths of the Pod network are excluded");
        let subnets = links[0]["subnets"].to_string();
        assert!(subnets.contains("192.168.100.0/24") && subnets.contains("fd00:100::/64"), "{subnets}");
    }
}

#[test]
fn log_lines_are_json_with_the_service_in_a_field() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.apply(&service_yaml("logged", "web", &[]));
    cluster.wait_addresses("logged", &["192.168.100.240"]);
    let line = wait_logged(&cluster, &["address allocated", "logged"]);
    assert_eq!(line["service"], "default/logged");
    assert_eq!(line["pool"], "lb-pool");
    assert_eq!(line["level"], "INFO");
}

#[test]
fn the_service_accounts_may_do_no_more_than_they_need() {
    let cluster = Cluster::fresh();
    let may = |account: &str, verb: &str, resource: &str| {
        let as_account = format!("--as=system:serviceaccount:ferrolb-system:{account}");
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let output = cluster.lab.kubectl(&["auth", "can-i", verb, resource, &subresource, "-A", &as_account]);
        String::from_utf8_lossy(&output.expect("kubectl runs").stdout).trim() == "yes"
    };
    for account in ["controller", "speaker"] {
        for (verb, resource) in [
            ("get", "secrets"),
            ("create", "pods"),
            ("update", "services"),
            ("patch", "services"),
            ("delete", "services"),
            ("update", "nodes"),
            ("*", "*"),
        ] {
            assert!(!may(account, verb, resource), "{account} may {verb} {resource}");
        }
        assert!(may(account, "list", "services"), "{account} sees Services");
    }
    assert!(may("controller", "patch", "services/status"));
    assert!(!may("speaker", "patch", "services/status"));
}
