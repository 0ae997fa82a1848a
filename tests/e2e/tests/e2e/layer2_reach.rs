//! MetalLB's acceptance list, layer 2, numbers 21, 23, 24, 27 and 28: addresses are reached, and one node
//! answers for each. Number 31 is in `service_life`.

use std::collections::BTreeSet;

use ferrolb_e2e::{Cluster, V4, V6, advertisement_yaml, eventually, pool_yaml, service_yaml};

/// Asserts that the announcer of `service` answers for `addresses`, and nobody else does.
fn only_the_announcer_answers(cluster: &Cluster, service: &str, addresses: &[&str]) {
    let station = format!("{}/eth0", cluster.announcer(service));
    for address in addresses {
        cluster.wait_answering("eth0", address, &[&station]);
    }
}

/// Numbers 21 and 27.
#[test]
fn addresses_of_a_range_and_of_a_prefix_are_reached_through_the_node_that_announces_them() {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    let pools: [(&str, [&str; 2], [&str; 2]); 2] = [
        ("range", ["192.168.100.240-192.168.100.243", "fd00:100::240-fd00:100::243"], [V4, V6]),
        ("prefix", ["192.168.100.232/30", "fd00:100::250/124"], ["192.168.100.232", "fd00:100::250"]),
    ];
    cluster.apply(&advertisement_yaml("all", ""));
    for (name, entries, addresses) in pools {
        cluster.apply(&pool_yaml(name, &entries));
        cluster.create_dual_service(name, "");
        cluster.kubectl(&["annotate", "service", name, &format!("metallb.io/address-pool={name}")]);
        cluster.wait_addresses(name, &addresses);
        let [v4, v6] = addresses;
        for url in [format!("http://{v4}"), format!("http://[{v6}]")] {
            assert_eq!(cluster.wait_answers(&url, 3).len(), 3, "under policy Cluster all Pods answer");
        }
        only_the_announcer_answers(&cluster, name, &addresses);
    }
}

/// Number 23.
#[test]
fn under_policy_local_only_pods_of_the_announcing_node_answer() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", ""));
    let more = ["ipFamilyPolicy: RequireDualStack", "externalTrafficPolicy: Local"];
    cluster.apply(&service_yaml("local", "node-web-v1", &more));
    cluster.wait_addresses("local", &[V4, V6]);
    let announcer = cluster.announcer("local");
    let on_announcer = ["pods", "--field-selector", &format!("spec.nodeName={announcer}")];
    for url in [format!("http://{V4}"), format!("http://[{V6}]")] {
        cluster.curl(&url);
        let local = cluster.get(&on_announcer)["items"].as_array().cloned().unwrap_or_default();
        let names = local.iter().filter_map(|pod| pod["metadata"]["name"].as_str());
        let expected: BTreeSet<String> = names.map(|name| format!("You've hit {name}")).collect();
        assert_eq!(cluster.answers(&url, 12), expected, "on {announcer}");
        let all = cluster.get(&["pods"])["items"].as_array().map_or(0, Vec::len);
        assert!(expected.len() < all, "some of the {all} Pods run elsewhere");
    }
    only_the_announcer_answers(&cluster, "local", &[V4, V6]);
}

/// Number 24.
#[test]
fn a_service_of_tcp_and_udp_works_on_both_protocols() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("lb", &["192.168.100.240/32"]));
    cluster.apply(&advertisement_yaml("lb", ""));
    cluster.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: mixed, labels: {app: mixed}}\nspec:\n  containers:\n  \
         - name: mixed\n    image: whatwant/node-web:1.0\n    \
         ports: [{containerPort: 8080}, {containerPort: 5353, protocol: UDP}]\n",
    );
    let udp = "{name: udp, port: 80, targetPort: 5353, protocol: UDP}";
    let service = service_yaml("mixed", "mixed", &[]);
    cluster.apply(&service.replace("targetPort: 8080}]", &format!("targetPort: 8080}}, {udp}]")));
    cluster.wait_addresses("mixed", &[V4]);
    assert_eq!(cluster.curl(&format!("http://{V4}")), "You've hit mixed");
    eventually("a datagram is answered", || {
        let ask = format!("exec 3<>/dev/udp/{V4}/80; echo hello >&3; head -n 1 <&3");
        let output = cluster.lab.exec("client", &["timeout", "2", "bash", "-c", &ask]);
        let output = output.map_err(|error| format!("{error:#}"))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if said == "mixed" { Ok(()) } else { Err(format!("{said:?}")) }
    });
    only_the_announcer_answers(&cluster, "mixed", &[V4]);
}

/// Number 28.
#[test]
fn services_that_share_an_address_are_announced_from_one_node() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", ""));
    for (family, address, url) in [("IPv4", V4, V4.to_owned()), ("IPv6", V6, format!("[{V6}]"))] {
        let names = ["80", "81", "82"].map(|port| (port, format!("{}-{port}", family.to_lowercase())));
        for (port, name) in &names {
            let yaml = service_yaml(name, "node-web-v1", &[&format!("ipFamilies: [{family}]")]);
            let annotations = format!(
                "annotations: {{metallb.io/allow-shared-ip: k, metallb.io/loadBalancerIPs: \"{address}\"}}"
            );
            let metadata = format!("{{name: {name}, {annotations}}}");
            let yaml = yaml.replace(&format!("{{name: {name}}}"), &metadata);
            cluster.apply(&yaml.replace("port: 80,", &format!("port: {port},")));
            cluster.wait_addresses(name, &[address]);
            cluster.curl(&format!("http://{url}:{port}"));
        }
        let announcer = cluster.announcer(&names[0].1);
        for (_, name) in &names {
            cluster.wait_announcer(name, &announcer);
            only_the_announcer_answers(&cluster, name, &[address]);
        }
    }
}

/// Not on the list, but what "nobody else answers" stands on.
#[test]
fn a_second_host_that_answers_is_seen() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", ""));
    cluster.create_dual_service("web", "");
    let node = format!("{}/eth0", cluster.announcer("web"));
    for address in [V4, V6] {
        cluster.wait_answering("eth0", address, &[&node]);
        let on_router = |verb| cluster.lab.exec("router", &["ip", "address", verb, address, "dev", "eth0"]);
        on_router("add").expect("the router is there");
        let found = std::panic::catch_unwind(|| {
            cluster.wait_answering("eth0", address, &[&node, &cluster.mac("router", "eth0")]);
        });
        on_router("del").expect("the router is there");
        assert!(found.is_ok(), "only one of two that answer was seen");
        cluster.wait_answering("eth0", address, &[&node]);
    }
}
