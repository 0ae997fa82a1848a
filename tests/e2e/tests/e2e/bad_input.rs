//! Bad input is told at the object it is in, and everything else goes on.

use std::time::Duration;

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml, stays};

const CONDITION: &str = "ferrolb.io/AddressAllocated";

fn pool(name: &str) -> [&str; 4] {
    ["ipaddresspool", name, "-n", "metallb-system"]
}

/// Waits for an Event of a configuration object, which is in the object's namespace, that contains `text`.
fn wait_told(cluster: &Cluster, object: &[&str; 4], text: &str) {
    // By UID: an Event outlives its object, and an earlier test may have had one of the same name.
    let uid = cluster.kubectl(&[&["get", "-o", "jsonpath={.metadata.uid}"], &object[..]].concat());
    let selector = format!("--field-selector=involvedObject.uid={uid}");
    let lines = r#"jsonpath={range .items[*]}{.type} {.reason} {.reportingComponent} {.message}{"\n"}{end}"#;
    let [_, name, option, namespace] = *object;
    eventually(&format!("{name} has an Event with {text:?}"), || {
        let events = cluster.kubectl(&["get", "events", option, namespace, &selector, "-o", lines]);
        if events.contains(text) { Ok(()) } else { Err(events) }
    });
}

#[test]
fn a_range_that_means_nothing_is_refused_with_the_place() {
    let cluster = Cluster::fresh();
    for entry in ["192.168.100.250-192.168.100.240", "192.168.100.240", "192.168.100.0/33", "ten"] {
        let refused = cluster.apply_refused(&pool_yaml("bad", &["192.168.100.230/32", entry]));
        assert!(refused.contains("spec.addresses"), "{entry}: {refused}");
    }
}

#[test]
fn a_range_that_means_nothing_and_gets_in_is_told_with_the_place() {
    let cluster = Cluster::fresh();
    // The definition's rules compare the ends of IPv4 ranges only.
    cluster.apply(&pool_yaml("bad", &["192.168.100.230/32", "fd00:100::250-fd00:100::240"]));
    let place = "spec.addresses[1]: fd00:100::250-fd00:100::240: start is above end";
    let told = cluster.wait_condition(&pool("bad"), "Accepted", "False InvalidSpec");
    assert!(told.contains(place), "{told}");
    let event = format!("Warning ConfigurationError ferrolb-controller InvalidSpec: {place}");
    wait_told(&cluster, &pool("bad"), &event);
}

#[test]
fn overlapping_pools_are_told_and_the_first_goes_on() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.apply(&pool_yaml("overlap", &["192.168.100.245-192.168.100.254"]));
    let told = cluster.wait_condition(&pool("overlap"), "Accepted", "False PoolOverlap");
    assert!(told.contains("overlaps with already defined CIDR") && told.contains("lb-pool"), "{told}");
    let event = "Warning ConfigurationError ferrolb-controller PoolOverlap: CIDR ";
    wait_told(&cluster, &pool("overlap"), event);
    cluster.wait_condition(&pool("lb-pool"), "Accepted", "True Valid");
    cluster.apply(&service_yaml("web", "web", &[]));
    cluster.wait_addresses("web", &["192.168.100.240"]);
    cluster.kubectl(&["delete", "ipaddresspool", "lb-pool", "-n", "metallb-system"]);
    cluster.wait_condition(&pool("overlap"), "Accepted", "True Valid");
}

#[test]
fn a_pool_that_becomes_wrong_takes_no_address_away() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    cluster.apply(&pool_yaml("a-first", &["192.168.100.230-192.168.100.241"]));
    cluster.wait_condition(&pool("lb-pool"), "Accepted", "False PoolOverlap");
    stays("the address is kept and reached", Duration::from_secs(3), || {
        let addresses = cluster.addresses("svc-lb");
        if addresses != ["192.168.100.240"] {
            return Err(format!("{addresses:?}"));
        }
        cluster.curl_once("http://192.168.100.240").map(|_| ())
    });
    cluster.kubectl(&["delete", "ipaddresspool", "a-first", "-n", "metallb-system"]);
    cluster.wait_condition(&pool("lb-pool"), "Accepted", "True Valid");
}

#[test]
fn addresses_of_the_cluster_itself_are_not_given_and_named() {
    let cluster = Cluster::fresh();
    // Nodes, and the end of their subnet.
    let greedy = ["192.168.100.200-192.168.100.203", "192.168.100.254-192.168.100.255"];
    cluster.apply(&pool_yaml("greedy", &greedy));
    let told = cluster.wait_condition(&pool("greedy"), "Accepted", "True PartlyWithheld");
    assert!(told.contains("192.168.100.201 is the address of node worker1"), "{told}");
    let broadcast = "192.168.100.255 is the network or broadcast address of a node's subnet";
    assert!(told.contains(broadcast), "{told}");
    let event = "Warning ConfigurationError ferrolb-controller PartlyWithheld: ";
    wait_told(&cluster, &pool("greedy"), event);
    cluster.apply(&service_yaml("web", "web", &[]));
    cluster.wait_addresses("web", &["192.168.100.203"]);
    for (name, address) in [("node", "192.168.100.201"), ("end", "192.168.100.255")] {
        cluster.apply(&service_yaml(name, "web", &[&format!("loadBalancerIP: {address}")]));
        cluster.wait_condition(&["service", name], CONDITION, "False");
    }

    cluster.apply(&pool_yaml("pods", &["10.233.65.0/24"]));
    let told = cluster.wait_condition(&pool("pods"), "Accepted", "False AddressesWithheld");
    assert!(told.contains("for the Pods of node worker1"), "{told}");
    let event = "Warning ConfigurationError ferrolb-controller AddressesWithheld: ";
    wait_told(&cluster, &pool("pods"), event);

    cluster.apply(&pool_yaml("services", &["10.233.63.250-10.233.63.255"]));
    let told = cluster.wait_condition(&pool("services"), "Accepted", "False AddressesWithheld");
    assert!(told.contains("for the cluster addresses of Services"), "{told}");
}

#[test]
fn the_same_pool_name_in_both_namespaces_is_an_error_on_the_second() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    let other = pool_yaml("lb-pool", &["192.168.100.220/32"]).replace("metallb-system", "ferrolb-system");
    cluster.apply(&other);
    // ferrolb-system comes first by name.
    let told = cluster.wait_condition(&pool("lb-pool"), "Accepted", "False PoolNameTaken");
    assert!(told.contains("rename one of the two"), "{told}");
}

#[test]
fn without_a_pool_a_service_says_so_until_there_is_one() {
    let cluster = Cluster::fresh();
    cluster.apply(&service_yaml("web", "web", &[]));
    let told = cluster.wait_condition(&["service", "web"], CONDITION, "False NoPools");
    assert!(told.contains("create one"), "{told}");
    cluster.wait_event("web", "Warning AllocationFailed ferrolb-controller NoPools: Failed to allocate IP");
    cluster.create_pool();
    cluster.wait_addresses("web", &["192.168.100.240"]);
    cluster.wait_condition(&["service", "web"], CONDITION, "True Allocated");
}

#[test]
fn an_address_outside_every_pool_is_refused_by_name() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.apply(&service_yaml("web", "web", &["loadBalancerIP: 10.1.2.3"]));
    let told = cluster.wait_condition(&["service", "web"], CONDITION, "False AddressNotInPool");
    assert!(told.contains("10.1.2.3 is in no IPAddressPool"), "{told}");
    cluster.wait_event("web", "is not allowed in config");
    cluster.kubectl(&["patch", "service", "web", "-p", r#"{"spec":{"loadBalancerIP":"192.168.100.245"}}"#]);
    cluster.wait_addresses("web", &["192.168.100.245"]);
}

#[test]
fn a_wish_that_cannot_be_read_is_told() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    let yaml = service_yaml("web", "web", &[]);
    cluster
        .apply(&yaml.replace("{name: web}", "{name: web, annotations: {metallb.io/loadBalancerIPs: ten}}"));
    let told = cluster.wait_condition(&["service", "web"], CONDITION, "False RequestUnreadable");
    assert!(told.contains("\"ten\" is not an IP address"), "{told}");
    cluster.wait_event("web", "Warning LoadBalancerFailed");
    cluster.kubectl(&["annotate", "service", "web", "metallb.io/loadBalancerIPs-"]);
    cluster.wait_addresses("web", &["192.168.100.240"]);
    cluster.wait_condition(&["service", "web"], CONDITION, "True Allocated");
}

#[test]
fn a_pool_that_nothing_announces_says_so() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.apply(&pool_yaml("silent", &["203.0.113.0/28"]));
    let told = cluster.wait_condition(&pool("silent"), "Ready", "False NoAdvertisement");
    assert!(told.contains("spec.ipAddressPools"), "{told}");

    cluster.kubectl(&["delete", "l2advertisement", "lb", "-n", "metallb-system"]);
    let told = cluster.wait_condition(&pool("silent"), "Ready", "False OutsideNodeSubnets");
    assert!(told.contains("create an L2Advertisement"), "{told}");
    cluster.wait_condition(&pool("lb-pool"), "Ready", "True InNodeSubnet");
}

#[test]
fn an_advertisement_of_an_unknown_pool_says_so() {
    let cluster = Cluster::fresh();
    cluster.create_example("metallb-l2.yaml");
    let advertisement = ["l2advertisement", "lb", "-n", "metallb-system"];
    let told = cluster.wait_condition(&advertisement, "Ready", "False UnknownPool");
    assert!(told.contains("names lb-pool"), "{told}");
    cluster.create_example("metallb-ip.yaml");
    cluster.wait_condition(&advertisement, "Ready", "True");
}

#[test]
fn an_interface_that_no_node_has_is_told_at_the_service() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    let patch = r#"{"spec":{"interfaces":["eth9"]}}"#;
    cluster.kubectl(&["patch", "l2advertisement", "lb", "-n", "metallb-system", "--type=merge", "-p", patch]);
    cluster.create_example("rs-web-v1.yaml");
    cluster.create_example("svc-node-web-lb.yaml");
    cluster.wait_event(
        "svc-lb",
        "Warning announceFailed ferrolb-speaker NoUsableInterface: the interfaces specified",
    );
    assert!(cluster.curl_once("http://192.168.100.240").is_err());
}

/// Puts the CustomResourceDefinitions back as they are shipped.
struct ShippedCrds<'a>(&'a Cluster);

impl Drop for ShippedCrds<'_> {
    fn drop(&mut self) {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/ferrolb.yaml");
        let output = self.0.lab.kubectl(&["apply", "-f", manifest]);
        assert!(output.is_ok_and(|output| output.status.success()), "the CRDs are not as shipped any more");
    }
}

#[test]
fn an_unreadable_object_stops_nothing_else() {
    let cluster = Cluster::fresh();
    let broken = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n\
         metadata: {name: broken, namespace: metallb-system}\nspec: {addresses: not-a-list}\n";
    let refused = cluster.apply_refused(broken);
    assert!(refused.contains("spec.addresses"), "{refused}");

    // Under a CustomResourceDefinition that checks nothing, the object gets in.
    let _shipped = ShippedCrds(&cluster);
    let schema = r#"[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema",
        "value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]"#;
    cluster.kubectl(&["patch", "crd", "ipaddresspools.metallb.io", "--type=json", "-p", schema]);
    eventually("the API server takes it", || {
        let output =
            cluster.lab.kubectl(&["create", "--validate=false", "-f", &written("broken.yaml", broken)]);
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
    });
    let told = cluster.wait_condition(&pool("broken"), "Accepted", "False Unreadable");
    assert!(told.contains("does not have the shape of its kind"), "{told}");

    cluster.create_pool();
    cluster.create_web();
    cluster.kubectl(&["delete", "ipaddresspool", "broken", "-n", "metallb-system"]);
}

/// A file of this content, in the directory of the test's build.
fn written(name: &str, content: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the test may write into its build directory");
    path.to_string_lossy().into_owned()
}

#[test]
fn an_unknown_flag_is_named_and_changes_nothing() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let container = |args: &str| {
        format!(r#"[{{"op":"replace","path":"/spec/template/spec/containers/0/args","value":{args}}}]"#)
    };
    let deployment = cluster.get(&["deployment", "controller", "-n", "ferrolb-system"]);
    let before = deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    let patch = container(r#"["controller","--fast"]"#);
    let target = ["deployment", "controller", "-n", "ferrolb-system"];
    cluster.kubectl(&["patch", target[0], target[1], target[2], target[3], "--type=json", "-p", &patch]);
    let told = eventually("the new Pod says which flag is wrong", || {
        let pods = cluster.kubectl(&["get", "pods", "-n", "ferrolb-system", "-o", "name"]);
        let logs = |pod: &str| {
            let logs = cluster.lab.kubectl(&["logs", "-n", "ferrolb-system", pod, "--tail=20"]).ok();
            logs.map(|logs| String::from_utf8_lossy(&logs.stdout).into_owned()).unwrap_or_default()
        };
        let all: String = pods.lines().map(logs).collect();
        if all.contains("--fast") { Ok(all) } else { Err(pods) }
    });
    assert!(told.contains("unexpected argument '--fast'"), "{told}");
    assert!(
        cluster.curl_once("http://192.168.100.240").is_ok(),
        "the old controllers and the speakers go on"
    );
    let patch = container(&before);
    cluster.kubectl(&["patch", target[0], target[1], target[2], target[3], "--type=json", "-p", &patch]);
    cluster.kubectl(&["rollout", "status", "deployment/controller", "-n", "ferrolb-system", "--timeout=90s"]);
}
