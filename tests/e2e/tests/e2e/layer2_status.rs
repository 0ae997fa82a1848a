//! MetalLB's acceptance list, layer 2, numbers 22, 29 and 30: what is told about an announcement is what
//! the client sees.

use std::collections::BTreeMap;

use ferrolb_e2e::{Cluster, Kind, V4, V6, advertisement_yaml, counted, eventually, pool_yaml, service_yaml};

/// Number 22.
#[test]
fn the_service_l2_status_names_the_node_that_answers_and_goes_with_the_service() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", ""));
    cluster.create_dual_service("web", "");
    cluster.wait_addresses("web", &[V4, V6]);
    let node = cluster.announcer("web");
    for address in [V4, V6] {
        cluster.wait_answering("eth0", address, &[&format!("{node}/eth0")]);
    }
    let selector = "metallb.io/service-name=web,metallb.io/service-namespace=default";
    let of_web = ["servicel2statuses.metallb.io", "-n", "ferrolb-system", "-l", selector];
    let list = cluster.get(&of_web);
    let status = &list["items"][0];
    assert!(status["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("l2-")), "{status}");
    assert_eq!(status["metadata"]["labels"]["metallb.io/node"], node.as_str());
    assert_eq!(status["status"]["serviceName"], "web");
    assert_eq!(status["status"]["serviceNamespace"], "default");
    assert!(status["status"]["interfaces"].is_null(), "the advertisement names none: {status}");
    cluster.wait_event("web", &format!("announcing from node \"{node}\" with protocol \"layer2\""));

    cluster.kubectl(&["delete", "service", "web"]);
    eventually("the status is gone", || {
        let left = cluster.get(&of_web)["items"].as_array().map_or(0, Vec::len);
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    });
    for address in [V4, V6] {
        cluster.wait_answering("eth0", address, &[]);
    }
}

/// Waits until the leading controller counts these addresses of the pool `lb` as `assigned` and `available`.
fn wait_counted(cluster: &Cluster, family: &str, expected: (u64, u64)) {
    eventually(&format!("the controller counts {expected:?} of {family}"), || {
        let lease = cluster.get(&["lease", "ferrolb-controller", "-n", "ferrolb-system"]);
        let leader = lease["spec"]["holderIdentity"].as_str().ok_or("nobody leads")?.to_owned();
        let pod = cluster.get(&["pod", &leader, "-n", "ferrolb-system"]);
        let admin = format!("{}:9480", pod["status"]["podIP"].as_str().ok_or("it has no address")?);
        let metrics = cluster.metrics("master", &admin)?;
        let of_pool = |status: &str| {
            let labels = format!("pool=\"lb\",family=\"{family}\",status=\"{status}\"");
            counted(&metrics, &format!("ferrolb_ipam_addresses{{{labels}}}"))
        };
        let found = (of_pool("assigned"), of_pool("available"));
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Number 29, with FerroLB's own names: there are none of MetalLB's yet.
#[test]
fn metrics_count_what_the_client_sees_for_both_families() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", ""));
    for (family, label, address, all) in [("IPv4", "ipv4", V4, 11), ("IPv6", "ipv6", V6, 17)] {
        wait_counted(&cluster, label, (0, all));
        let before = answers(&cluster, label);
        let nodes = cluster.lab.node_names();
        let told_before: BTreeMap<_, _> =
            nodes.iter().map(|node| (node.clone(), told(&cluster, node, label))).collect();
        let capture = cluster.capture("client", "eth0");
        cluster.apply(&service_yaml("web", "node-web-v1", &[&format!("ipFamilies: [{family}]")]));
        cluster.wait_addresses("web", &[address]);
        wait_counted(&cluster, label, (1, all - 1));
        let announcer = cluster.announcer("web");
        cluster.wait_answering("eth0", address, &[&format!("{announcer}/eth0")]);
        eventually("each node counts the answers that the client saw", || {
            let seen = capture.of(Kind::Answer, address).len() as u64;
            let mut expected = before.clone();
            *expected.entry(announcer.clone()).or_default() += seen;
            let found = answers(&cluster, label);
            if found == expected { Ok(()) } else { Err(format!("{found:?} in place of {expected:?}")) }
        });
        wait_announced(&cluster, &[&announcer]);
        for node in nodes {
            let (before, after) = (told_before[&node], told(&cluster, &node, label));
            let has_grown = [before.0 < after.0, before.1 < after.1];
            assert_eq!(
                has_grown,
                [node == announcer; 2],
                "{node}: requests, announcements; {before:?}, {after:?}"
            );
        }
        cluster.kubectl(&["delete", "service", "web"]);
        wait_announced(&cluster, &[]);
        wait_counted(&cluster, label, (0, all));
    }
}

/// How many requests for its addresses of a family a node has heard, and how many announcements it has sent.
fn told(cluster: &Cluster, node: &str, family: &str) -> (u64, u64) {
    let (protocol, kind) =
        if family == "ipv6" { ("ndp", "unsolicited-advertisement") } else { ("arp", "arp-announcement") };
    let metrics = cluster.speaker_metrics(node).expect("it answers");
    let of = |thing: &str, label: &str| {
        counted(&metrics, &format!("ferrolb_l2_{thing}_total{{interface=\"eth0\",{label}}}"))
    };
    (of("requests", &format!("protocol=\"{protocol}\"")), of("announcements", &format!("kind=\"{kind}\"")))
}

/// How many questions of a family each node has answered.
fn answers(cluster: &Cluster, family: &str) -> BTreeMap<String, u64> {
    let protocol = if family == "ipv6" { "ndp" } else { "arp" };
    let series = format!("ferrolb_l2_responses_total{{interface=\"eth0\",protocol=\"{protocol}\"}}");
    let of = |node: &String| counted(&cluster.speaker_metrics(node).expect("it answers"), &series);
    cluster.lab.node_names().into_iter().map(|node| (node.clone(), of(&node))).collect()
}

/// Waits until just these nodes count a Service that they announce.
fn wait_announced(cluster: &Cluster, expected: &[&str]) {
    eventually(&format!("{expected:?} count a Service that they announce"), || {
        let mut found = Vec::new();
        for node in cluster.lab.node_names() {
            if counted(&cluster.speaker_metrics(&node)?, "ferrolb_plan_announced ") > 0 {
                found.push(node);
            }
        }
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Number 30.
#[test]
fn a_pool_asked_for_is_used_and_written_back_and_earlier_services_keep_their_addresses() {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    cluster.apply(&advertisement_yaml("lb", ""));
    cluster.apply(&pool_yaml("default", &["192.168.100.240/30", "fd00:100::240/126"]));
    cluster.apply(&pool_yaml("asked", &["192.168.100.230/31", "fd00:100::250/127"]));
    let closed = pool_yaml("closed", &["192.168.100.232/31", "fd00:100::252/127"]);
    cluster.apply(&format!("{closed}  autoAssign: false\n"));
    let cases = [
        ("default", "IPv4", V4),
        ("default", "IPv6", V6),
        ("asked", "IPv4", "192.168.100.230"),
        ("asked", "IPv6", "fd00:100::250"),
        ("closed", "IPv4", "192.168.100.232"),
        ("closed", "IPv6", "fd00:100::252"),
    ];
    let name = |pool: &str, family: &str| format!("{pool}-{}", family.to_lowercase());
    for (pool, family, address) in cases {
        let name = name(pool, family);
        let yaml = service_yaml(&name, "node-web-v1", &[&format!("ipFamilies: [{family}]")]);
        let metadata = format!("{{name: {name}, annotations: {{metallb.io/address-pool: {pool}}}}}");
        cluster.apply(&yaml.replace(&format!("{{name: {name}}}"), &metadata));
        cluster.wait_addresses(&name, &[address]);
    }
    for (pool, family, address) in cases {
        let name = name(pool, family);
        assert_eq!(cluster.addresses(&name), [address]);
        let service = cluster.get(&["service", &name]);
        assert_eq!(service["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"], pool);
        let host = if family == "IPv6" { format!("[{address}]") } else { address.to_owned() };
        cluster.curl(&format!("http://{host}"));
        let announcer = cluster.announcer(&name);
        cluster.wait_answering("eth0", address, &[&format!("{announcer}/eth0")]);
    }
}
