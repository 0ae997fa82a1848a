//! AddressClaims: addresses reserved in a namespace, and the Services bound to them
//! (docs/guide/claims.md).

use std::time::Duration;

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml, stays};

const ALLOCATED: &str = "ferrolb.io/AddressAllocated";
const CLAIM: [&str; 2] = ["addressclaim", "front"];
/// A wrong turn would show in the next pass, which comes at once.
const A_FEW_PASSES: Duration = Duration::from_secs(3);

/// A cluster with a pool of four addresses, 192.168.100.240 to 243.
fn cluster() -> Cluster {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("lb-pool", &["192.168.100.240-192.168.100.243"]));
    cluster
}

/// The claim `front` with this spec, as YAML in one line.
fn claim(cluster: &Cluster, spec: &str) {
    cluster.apply(&format!(
        "apiVersion: ferrolb.io/v1alpha1\nkind: AddressClaim\nmetadata: {{name: front}}\nspec: {{{spec}}}\n"
    ));
}

/// A Service with annotations and labels, as YAML in one line each.
fn service(cluster: &Cluster, name: &str, annotations: &str, labels: &str) {
    let metadata = format!("{{name: {name}, annotations: {{{annotations}}}, labels: {{{labels}}}}}");
    cluster.apply(&service_yaml(name, "node-web-v1", &[]).replace(&format!("{{name: {name}}}"), &metadata));
}

const NAMES_CLAIM: &str = "ferrolb.io/address-claim: front";

fn wait_reserved(cluster: &Cluster, address: &str, services: &[&str]) {
    eventually(&format!("{address} is reserved and {services:?} have it"), || {
        let status = &cluster.get(&CLAIM)["status"];
        let listed = status["services"].as_array().cloned().unwrap_or_default();
        let is_reserved = cluster.condition(&CLAIM, "Reserved").starts_with("True Reserved");
        if is_reserved && status["address"] == address && listed == services {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

#[test]
fn an_address_is_reserved_and_listed_before_there_is_a_service_and_goes_to_the_one_that_names_it() {
    let cluster = cluster();
    claim(&cluster, "address: 192.168.100.240");
    wait_reserved(&cluster, "192.168.100.240", &[]);
    cluster.wait_event("front", "Normal AddressReserved ferrolb-controller Reserved IP \"192.168.100.240\"");
    cluster.wait_condition(&CLAIM, "Bound", "False NoService");
    service(&cluster, "other", "", "");
    cluster.wait_addresses("other", &["192.168.100.241"]);
    cluster.create_example("rs-web-v1.yaml");
    service(&cluster, "web", NAMES_CLAIM, "");
    cluster.wait_addresses("web", &["192.168.100.240"]);
    wait_reserved(&cluster, "192.168.100.240", &["web"]);
    cluster.wait_condition(&CLAIM, "Bound", "True InUse");
    cluster.curl("http://192.168.100.240");
    let listed = cluster.kubectl(&["get", "addressclaims"]);
    let words: Vec<&str> = listed.lines().flat_map(str::split_whitespace).collect();
    let expected = ["front", "192.168.100.240", "lb-pool", r#"["web"]"#, "True"];
    assert!(expected.iter().all(|word| words.contains(word)), "{listed}");
    eventually("the pool counts a reserved address once", || {
        let status = &cluster.get(&["ipaddresspool", "lb-pool", "-n", "metallb-system"])["status"];
        let counted = status["assignedIPv4"] == 2 && status["availableIPv4"] == 2;
        if counted { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn the_address_outlives_its_service_and_nobody_else_gets_it_not_even_by_a_shared_key() {
    let cluster = cluster();
    claim(&cluster, "pool: lb-pool, serviceSelector: {matchLabels: {role: front}}");
    let shares = "metallb.io/allow-shared-ip: key";
    service(&cluster, "web", shares, "role: front");
    cluster.wait_addresses("web", &["192.168.100.240"]);
    wait_reserved(&cluster, "192.168.100.240", &["web"]);
    let on_another_port = service_yaml("guest", "node-web-v1", &[])
        .replace("{name: guest}", &format!("{{name: guest, annotations: {{{shares}}}}}"))
        .replace("port: 80,", "port: 81,");
    cluster.apply(&on_another_port);
    cluster.wait_addresses("guest", &["192.168.100.241"]);
    let wants = "metallb.io/loadBalancerIPs: 192.168.100.240";
    service(&cluster, "thief", wants, "");
    let told = cluster.wait_condition(&["service", "thief"], ALLOCATED, "False AddressClaimed");
    assert!(told.contains("annotation ferrolb.io/address-claim: front in namespace default"), "{told}");

    cluster.kubectl(&["delete", "service", "web"]);
    wait_reserved(&cluster, "192.168.100.240", &[]);
    service(&cluster, "another", "", "");
    cluster.wait_addresses("another", &["192.168.100.242"]);
    stays("nobody has the address", A_FEW_PASSES, || {
        let thief = cluster.addresses("thief");
        if thief.is_empty() { Ok(()) } else { Err(format!("{thief:?}")) }
    });
    service(&cluster, "web-v2", "", "role: front");
    cluster.wait_addresses("web-v2", &["192.168.100.240"]);
}

#[test]
fn the_address_moves_with_the_annotation_and_with_the_label() {
    let cluster = cluster();
    claim(&cluster, "address: 192.168.100.243, serviceSelector: {matchLabels: {live: 'yes'}}");
    service(&cluster, "blue", NAMES_CLAIM, "");
    cluster.wait_addresses("blue", &["192.168.100.243"]);
    service(&cluster, "green", "", "");
    cluster.wait_addresses("green", &["192.168.100.240"]);

    cluster.kubectl(&["annotate", "service", "blue", "ferrolb.io/address-claim-"]);
    cluster.wait_addresses("blue", &["192.168.100.241"]);
    cluster.wait_event("blue", "ClearAssignment ferrolb-controller AddressClaimed: ");
    cluster.kubectl(&["annotate", "service", "green", "ferrolb.io/address-claim=front"]);
    cluster.wait_addresses("green", &["192.168.100.243"]);
    wait_reserved(&cluster, "192.168.100.243", &["green"]);

    cluster.kubectl(&["annotate", "service", "green", "ferrolb.io/address-claim-"]);
    cluster.kubectl(&["label", "service", "blue", "live=yes"]);
    cluster.wait_addresses("blue", &["192.168.100.243"]);
    wait_reserved(&cluster, "192.168.100.243", &["blue"]);
}

#[test]
fn what_a_running_service_has_is_adopted_without_a_change() {
    let cluster = cluster();
    service(&cluster, "first", "", "");
    cluster.wait_addresses("first", &["192.168.100.240"]);
    service(&cluster, "web", "", "role: front");
    cluster.wait_addresses("web", &["192.168.100.241"]);
    claim(&cluster, "pool: lb-pool, serviceSelector: {matchLabels: {role: front}}");
    wait_reserved(&cluster, "192.168.100.241", &["web"]);
    cluster.wait_addresses("web", &["192.168.100.241"]);
    let events = cluster.events("web");
    assert!(!events.iter().any(|event| event.contains("ClearAssignment")), "{events:?}");
    cluster.kubectl(&["delete", "addressclaim", "front"]);
    stays("the Service keeps the address without the claim", A_FEW_PASSES, || {
        let found = cluster.addresses("web");
        if found == ["192.168.100.241"] { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn a_reservation_without_a_service_is_honoured_after_a_restart_of_the_controllers() {
    let cluster = cluster();
    claim(&cluster, "pool: lb-pool");
    wait_reserved(&cluster, "192.168.100.240", &[]);
    let version = || cluster.get(&CLAIM)["metadata"]["resourceVersion"].to_string();
    let before = version();
    let scale = |replicas: &str| {
        cluster.kubectl(&["scale", "deployment/controller", "-n", "ferrolb-system", replicas]);
    };
    let replicas =
        cluster.get(&["deployment", "controller", "-n", "ferrolb-system"])["spec"]["replicas"].to_string();
    scale("--replicas=0");
    eventually("no controller runs", || {
        let status = cluster.get(&["deployment", "controller", "-n", "ferrolb-system"])["status"].clone();
        if status["replicas"].is_null() { Ok(()) } else { Err(status.to_string()) }
    });
    // It would get the lowest address from a controller that knows nothing of the claim.
    service(&cluster, "newcomer", "", "");
    service(&cluster, "web", NAMES_CLAIM, "");
    scale(&format!("--replicas={replicas}"));
    cluster.wait_addresses("web", &["192.168.100.240"]);
    cluster.wait_addresses("newcomer", &["192.168.100.241"]);
    wait_reserved(&cluster, "192.168.100.240", &["web"]);
    let told = cluster.events("front").into_iter().filter(|event| event.contains("AddressReserved")).count();
    assert_eq!(told, 1, "it was reserved once");
    assert_ne!(version(), before, "its Service is listed");
}

#[test]
fn a_claim_that_waits_says_why_and_gets_the_address_as_soon_as_it_is_released() {
    let cluster = cluster();
    service(&cluster, "holder", "", "");
    cluster.wait_addresses("holder", &["192.168.100.240"]);
    service(&cluster, "web", "", "");
    cluster.wait_addresses("web", &["192.168.100.241"]);
    claim(&cluster, "address: 192.168.100.240");
    let told = cluster.wait_condition(&CLAIM, "Reserved", "False AddressInUse");
    assert!(
        told.contains("192.168.100.240 is in use by default/holder; it is reserved as soon as"),
        "{told}"
    );
    cluster.wait_event("front", "Warning AddressNotReserved ferrolb-controller AddressInUse: ");

    cluster.kubectl(&["annotate", "service", "web", "ferrolb.io/address-claim=front"]);
    let told = cluster.wait_condition(&["service", "web"], ALLOCATED, "False ClaimNotReserved");
    assert!(told.contains("The Service keeps [\"192.168.100.241\"] from pool lb-pool"), "{told}");
    assert_eq!(cluster.addresses("holder"), ["192.168.100.240"]);
    assert_eq!(cluster.addresses("web"), ["192.168.100.241"]);

    // Released by a Service that lives on, so in a round of its own.
    cluster.kubectl(&["annotate", "service", "holder", "metallb.io/loadBalancerIPs=192.168.100.243"]);
    cluster.wait_addresses("holder", &["192.168.100.243"]);
    cluster.wait_addresses("web", &["192.168.100.240"]);
    wait_reserved(&cluster, "192.168.100.240", &["web"]);
}

#[test]
fn who_administers_a_namespace_may_claim_in_it_and_who_views_it_may_look() {
    let cluster = cluster();
    for role in ["admin", "view"] {
        let user = format!("--user={role}-person");
        cluster.kubectl(&["create", "rolebinding", role, &format!("--clusterrole={role}"), &user]);
    }
    let may = |person: &str, verb: &str| {
        let person = format!("--as={person}-person");
        let list = ["auth", "can-i", verb, "addressclaims.ferrolb.io", "-n", "default", &person];
        // kubectl says no with an exit code too.
        let output = cluster.lab.kubectl(&list).expect("kubectl runs");
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    eventually("the roles are aggregated", || {
        let all =
            [may("admin", "create"), may("admin", "delete"), may("view", "list"), may("view", "create")];
        if all == [true, true, true, false] { Ok(()) } else { Err(format!("{all:?}")) }
    });
}
