//! What an operator looks at: metrics, health, logs, node states, rights.

use ferrolb_e2e::{Cluster, eventually, service_yaml};

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

#[test]
fn metrics_count_what_was_given_and_announced() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    assert_eq!(cluster.announcer("svc-lb"), "master");
    // The announcement told the client before it asked; make it ask.
    cluster.lab.exec("client", &["ip", "neigh", "flush", "all"]).expect("runs");
    cluster.curl("http://192.168.100.240");
    let metric = |host: &str, address: &str, line: &str| {
        eventually(&format!("{line} on {host}"), || {
            let metrics = admin(&cluster, host, address, "/metrics")?;
            if metrics.lines().any(|found| found == line) { Ok(()) } else { Err(metrics) }
        });
    };
    metric("master", "127.0.0.1:9481", "ferrolb_plan_announced 1");
    metric("worker1", "127.0.0.1:9481", "ferrolb_plan_announced 0");
    metric("worker1", "127.0.0.1:9481", "ferrolb_plan_withheld{reason=\"ElectionLost\"} 1");
    let metrics = admin(&cluster, "master", "127.0.0.1:9481", "/metrics").expect("metrics are served");
    for name in
        ["ferrolb_l2_requests_total", "ferrolb_l2_announcements_total", "ferrolb_liveness_messages_total"]
    {
        assert!(metrics.contains(name), "{name} is missing\n{metrics}");
    }

    let lease = cluster.get(&["lease", "ferrolb-controller", "-n", "ferrolb-system"]);
    let leader = lease["spec"]["holderIdentity"].as_str().expect("a controller leads").to_owned();
    let pod = cluster.get(&["pod", &leader, "-n", "ferrolb-system"]);
    let address = format!("{}:9480", pod["status"]["podIP"].as_str().expect("it has an address"));
    metric(
        "master",
        &address,
        "ferrolb_ipam_addresses{pool=\"lb-pool\",family=\"ipv4\",status=\"assigned\"} 1",
    );
    cluster.apply(&service_yaml("foreign", "web", &["loadBalancerClass: example.com/other"]));
    metric("master", &address, "ferrolb_ipam_services{state=\"foreign\",reason=\"\"} 1");
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
    let line = eventually("a controller logs the allocation", || {
        let selector = "app.kubernetes.io/component=controller";
        let logs = cluster.kubectl(&["logs", "-n", "ferrolb-system", "-l", selector, "--tail=200"]);
        let found = logs.lines().find(|line| line.contains("address allocated") && line.contains("logged"));
        found.map(str::to_owned).ok_or(logs)
    });
    let line: serde_json::Value = serde_json::from_str(&line).expect("the line is JSON");
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
