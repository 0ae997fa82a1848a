//! MetalLB's acceptance list, IP assignment 13 to 19: addresses of both families.

use std::time::Duration;

use ferrolb_e2e::{Cluster, pool_yaml, service_yaml, stays};

const CONDITION: &str = "ferrolb.io/AddressAllocated";
const PREFER: &str = "ipFamilyPolicy: PreferDualStack";
const V4: &str = "192.168.100.220";
const V6: &str = "fd00:100::240";
const OTHER_V4: &str = "192.168.100.230";
const OTHER_V6: &str = "fd00:100::250";

/// A pool of exactly these addresses.
fn pool(cluster: &Cluster, name: &str, addresses: &[&str]) {
    let single = |address: &&str| format!("{address}/{}", if address.contains(':') { 128 } else { 32 });
    let entries: Vec<String> = addresses.iter().map(single).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    cluster.apply(&pool_yaml(name, &entries));
}

fn pool_of(cluster: &Cluster, service: &str) -> String {
    let object = cluster.get(&["service", service]);
    let pool = object["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"].as_str();
    pool.unwrap_or_default().to_owned()
}

fn set_policy(cluster: &Cluster, policy: &str) {
    let patch = format!(r#"{{"spec":{{"ipFamilyPolicy":"{policy}"}}}}"#);
    cluster.kubectl(&["patch", "service", "web", "-p", &patch]);
}

/// Number 13.
#[test]
fn prefer_dual_stack_takes_both_addresses_from_a_pool_of_both() {
    let cluster = Cluster::fresh();
    pool(&cluster, "a-four", &[OTHER_V4]);
    pool(&cluster, "b-six", &[OTHER_V6]);
    pool(&cluster, "c-dual", &[V4, V6]);
    cluster.apply(&service_yaml("web", "web", &[PREFER]));
    cluster.wait_addresses("web", &[V4, V6]);
    assert_eq!(pool_of(&cluster, "web"), "c-dual");
}

/// Number 14.
#[test]
fn prefer_dual_stack_takes_ipv4_among_pools_of_one_family() {
    let cluster = Cluster::fresh();
    pool(&cluster, "a-six", &[V6]);
    pool(&cluster, "b-four", &[V4]);
    cluster.apply(&service_yaml("web", "web", &[PREFER]));
    cluster.wait_addresses("web", &[V4]);
    let told = cluster.wait_condition(&["service", "web"], CONDITION, "False FamilyNotInPool");
    assert!(told.contains("pool b-four has no IPv6 addresses"), "{told}");
    cluster.wait_event("web", "cannot assign additional IP in PreferDualStack: ");
}

/// Number 15.
#[test]
fn prefer_dual_stack_takes_ipv6_where_that_is_the_first_family() {
    let cluster = Cluster::fresh();
    pool(&cluster, "a-four", &[V4]);
    pool(&cluster, "b-six", &[V6]);
    cluster.apply(&service_yaml("web", "web", &[PREFER, "ipFamilies: [IPv6, IPv4]"]));
    cluster.wait_addresses("web", &[V6]);
}

/// Number 16.
#[test]
fn a_pool_that_becomes_dual_adds_a_second_address() {
    let cluster = Cluster::fresh();
    pool(&cluster, "b-grows", &[V4]);
    cluster.apply(&service_yaml("web", "web", &[PREFER]));
    cluster.wait_addresses("web", &[V4]);
    // The second address comes from the same pool, although another has one.
    pool(&cluster, "a-six", &[OTHER_V6]);
    pool(&cluster, "b-grows", &[V4, V6]);
    cluster.wait_addresses("web", &[V4, V6]);
    assert_eq!(pool_of(&cluster, "web"), "b-grows");
    cluster
        .wait_event("web", &format!("Normal IPAllocated ferrolb-controller Assigned additional IP \"{V6}\""));
    cluster.wait_condition(&["service", "web"], CONDITION, "True Allocated");
}

/// Number 17.
#[test]
fn requiring_dual_stack_of_a_pool_of_one_family_takes_the_address_and_preferring_it_gives_it_back() {
    let cluster = Cluster::fresh();
    pool(&cluster, "four", &[V4]);
    cluster.apply(&service_yaml("web", "web", &[PREFER]));
    cluster.wait_addresses("web", &[V4]);
    set_policy(&cluster, "RequireDualStack");
    cluster.wait_addresses("web", &[]);
    cluster.wait_condition(&["service", "web"], CONDITION, "False FamilyNotInPool");
    set_policy(&cluster, "PreferDualStack");
    cluster.wait_addresses("web", &[V4]);
}

/// Number 18.
#[test]
fn a_service_does_not_jump_to_a_dual_pool_that_appears() {
    let cluster = Cluster::fresh();
    pool(&cluster, "b-four", &[V4]);
    cluster.apply(&service_yaml("web", "web", &[PREFER]));
    cluster.wait_addresses("web", &[V4]);
    pool(&cluster, "a-dual", &[OTHER_V4, OTHER_V6]);
    // Once a newcomer has addresses of the new pool, the first Service was looked at with it.
    cluster.apply(&service_yaml("newcomer", "web", &[PREFER]));
    cluster.wait_addresses("newcomer", &[OTHER_V4, OTHER_V6]);
    stays("the first Service keeps its address", Duration::from_secs(3), || {
        let found = cluster.addresses("web");
        if found == [V4] { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Number 19.
#[test]
fn a_service_of_a_dual_pool_that_becomes_single_gets_both_addresses_of_another() {
    let cluster = Cluster::fresh();
    pool(&cluster, "a-shrinks", &[V4, V6]);
    cluster.apply(&service_yaml("web", "web", &[PREFER]));
    cluster.wait_addresses("web", &[V4, V6]);
    pool(&cluster, "b-dual", &[OTHER_V4, OTHER_V6]);
    pool(&cluster, "a-shrinks", &[V4]);
    cluster.wait_addresses("web", &[OTHER_V4, OTHER_V6]);
    assert_eq!(pool_of(&cluster, "web"), "b-dual");
}
