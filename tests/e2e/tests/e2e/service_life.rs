//! What happens to addresses when Services come, change and go, and when the controller does: MetalLB's
//! acceptance list, IP assignment 1 and 2, layer 2 number 31, and what goes with them.

use std::time::Duration;

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml, stays};

const CONDITION: &str = "ferrolb.io/AddressAllocated";

/// Number 2.
#[test]
fn a_deleted_service_frees_its_address_for_one_that_waits() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("one", &["192.168.100.240/32"]));
    cluster.apply(&service_yaml("first", "web", &[]));
    cluster.wait_addresses("first", &["192.168.100.240"]);
    cluster.apply(&service_yaml("second", "web", &[]));
    let told = cluster.wait_condition(&["service", "second"], CONDITION, "False PoolExhausted");
    assert!(told.contains("the one IPv4 address of pool one is in use"), "{told}");
    cluster.wait_event("second", "Warning AllocationFailed ferrolb-controller PoolExhausted: ");
    cluster.kubectl(&["delete", "service", "first"]);
    cluster.wait_addresses("second", &["192.168.100.240"]);
}

/// Number 1.
#[test]
fn a_service_that_is_no_load_balancer_any_more_frees_its_address() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("one", &["192.168.100.240/32"]));
    cluster.apply(&service_yaml("first", "web", &[]));
    cluster.wait_addresses("first", &["192.168.100.240"]);
    cluster.apply(&service_yaml("second", "web", &[]));
    cluster.wait_condition(&["service", "second"], CONDITION, "False PoolExhausted");
    cluster.kubectl(&["patch", "service", "first", "-p", r#"{"spec":{"type":"ClusterIP"}}"#]);
    cluster.wait_addresses("second", &["192.168.100.240"]);
    eventually("the first Service says nothing of its address any more", || {
        let service = cluster.get(&["service", "first"]);
        let annotations = service["metadata"]["annotations"].to_string();
        let status = service["status"].to_string();
        let clean = !annotations.contains("ip-allocated-from-pool") && !status.contains("192.168.100.240");
        if clean { Ok(()) } else { Err(format!("{annotations} {status}")) }
    });
}

#[test]
fn the_pool_is_given_lowest_first_and_counts_what_it_gave() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    for (name, address) in [("a", "192.168.100.240"), ("b", "192.168.100.241"), ("c", "192.168.100.242")] {
        cluster.apply(&service_yaml(name, "web", &[]));
        cluster.wait_addresses(name, &[address]);
    }
    cluster.kubectl(&["delete", "service", "b"]);
    eventually("the pool counts two addresses in use", || {
        let pool = cluster.get(&["ipaddresspool", "lb-pool", "-n", "metallb-system"]);
        match (pool["status"]["assignedIPv4"].as_i64(), pool["status"]["availableIPv4"].as_i64()) {
            (Some(2), Some(9)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    cluster.apply(&service_yaml("d", "web", &[]));
    cluster.wait_addresses("d", &["192.168.100.241"]);
}

#[test]
fn restarting_the_controllers_changes_no_address_and_one_leads_again() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    // Created out of order, so that a controller that forgot would give other addresses.
    for (name, address) in [("c", "192.168.100.240"), ("a", "192.168.100.241"), ("b", "192.168.100.242")] {
        cluster.apply(&service_yaml(name, "web", &[]));
        cluster.wait_addresses(name, &[address]);
    }
    cluster.kubectl(&["delete", "service", "c"]);
    cluster.kubectl(&["rollout", "restart", "deployment/controller", "-n", "ferrolb-system"]);
    cluster.kubectl(&["rollout", "status", "deployment/controller", "-n", "ferrolb-system", "--timeout=90s"]);
    cluster.apply(&service_yaml("d", "web", &[]));
    cluster.wait_addresses("d", &["192.168.100.240"]);
    cluster.wait_addresses("a", &["192.168.100.241"]);
    cluster.wait_addresses("b", &["192.168.100.242"]);
}

/// Number 31.
#[test]
fn a_service_of_another_class_is_left_untouched() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.apply(&service_yaml("foreign", "web", &["loadBalancerClass: example.com/other"]));
    // A Service created later is served; by then the first one has been seen as well.
    cluster.apply(&service_yaml("ours", "web", &[]));
    cluster.wait_addresses("ours", &["192.168.100.240"]);
    stays("nothing is written to the Service", Duration::from_secs(2), || {
        let service = cluster.get(&["service", "foreign"]);
        let events = cluster.events("foreign");
        let touched = service["status"]["conditions"].is_array()
            || service["status"]["loadBalancer"]["ingress"].is_array()
            || service["metadata"]["annotations"].to_string().contains("metallb.io/")
            || !events.is_empty();
        if touched { Err(format!("{} {events:?}", service["status"])) } else { Ok(()) }
    });
}
