//! MetalLB's acceptance list, IP assignment 3 to 6 and 20: who has an address keeps it, and what a
//! pool counts is true. Numbers 1 and 2 are in `service_life`, 7 to 12 in `service_allocation`,
//! 13 to 19 in `dual_stack`.

use std::time::Duration;

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml, stays};

const CONDITION: &str = "ferrolb.io/AddressAllocated";
/// A wrong turn would show in the next pass, which comes at once.
const A_FEW_PASSES: Duration = Duration::from_secs(3);

/// Restarts the controllers and waits until the new leader has decided about a Service, `probe`,
/// which asks for an address that no pool has.
fn restart_controllers(cluster: &Cluster, probe: &str) {
    let leader = || {
        let lease = cluster.get(&["lease", "ferrolb-controller", "-n", "ferrolb-system"]);
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    };
    let former = leader();
    let deployment = ["deployment/controller", "-n", "ferrolb-system"];
    cluster.kubectl(&["rollout", "restart", deployment[0], deployment[1], deployment[2]]);
    cluster.kubectl(&["rollout", "status", deployment[0], deployment[1], deployment[2], "--timeout=90s"]);
    eventually("another controller leads", || {
        let now = leader();
        if now != former && !now.is_empty() { Ok(()) } else { Err(now) }
    });
    cluster.apply(&service_yaml(probe, "web", &["loadBalancerIP: 10.1.2.3"]));
    cluster.wait_condition(&["service", probe], CONDITION, "False AddressNotInPool");
}

fn patch(cluster: &Cluster, object: &[&str], patch: &str) {
    let mut args = vec!["patch"];
    args.extend(object);
    args.extend(["--type=merge", "-p", patch]);
    cluster.kubectl(&args);
}

fn have(cluster: &Cluster, expected: &[(&str, &[&str])]) -> Result<(), String> {
    for (service, addresses) in expected {
        let found = cluster.addresses(service);
        if found != *addresses {
            return Err(format!("{service} has {found:?}"));
        }
    }
    Ok(())
}

/// Number 3; the controllers are restarted twice instead of five times, to save time: a third restart would begin
/// with the same record as the second, and the property test of the allocator has one after every round.
#[test]
fn holders_keep_their_addresses_over_restarts_and_those_who_wait_never_steal_them() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("two", &["192.168.100.220-192.168.100.221"]));
    // Names and order of creation disagree, so that neither can stand in for memory.
    for (name, address) in [("d", "192.168.100.220"), ("c", "192.168.100.221")] {
        cluster.apply(&service_yaml(name, "web", &[]));
        cluster.wait_addresses(name, &[address]);
    }
    for name in ["a", "b"] {
        cluster.apply(&service_yaml(name, "web", &[]));
        cluster.wait_condition(&["service", name], CONDITION, "False PoolExhausted");
    }
    for probe in ["probe-1", "probe-2"] {
        restart_controllers(&cluster, probe);
        stays("holders keep their addresses", A_FEW_PASSES, || {
            let holders: [(&str, &[&str]); 2] = [("d", &["192.168.100.220"]), ("c", &["192.168.100.221"])];
            have(&cluster, &holders)?;
            have(&cluster, &[("a", &[]), ("b", &[])])
        });
    }
}

/// Number 4; that the other keeps its address is watched for three seconds, many passes, instead of two minutes.
#[test]
fn services_are_reconsidered_when_the_conditions_of_sharing_change() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("one", &["192.168.100.230/32"]));
    for (name, port) in [("first", "80"), ("second", "81")] {
        let shared = service_yaml(name, "web", &[])
            .replace(
                &format!("{{name: {name}}}"),
                &format!("{{name: {name}, annotations: {{metallb.io/allow-shared-ip: key}}}}"),
            )
            .replace("port: 80,", &format!("port: {port},"));
        cluster.apply(&shared);
    }
    let address: &[&str] = &["192.168.100.230"];
    let both = || {
        cluster.wait_addresses("first", address);
        cluster.wait_addresses("second", address);
    };
    let only = |holder: &str, other: &str| {
        cluster.wait_addresses(other, &[]);
        cluster.wait_condition(&["service", other], CONDITION, "False PoolExhausted");
        cluster.wait_event(other, "ClearAssignment ferrolb-controller SharingMismatch: ");
        let holds = || have(&cluster, &[(holder, address), (other, &[])]);
        stays("one keeps the address and the other has none", A_FEW_PASSES, holds);
    };
    let change =
        |service: &str, spec: &str| patch(&cluster, &["service", service], &format!(r#"{{"spec":{spec}}}"#));
    both();
    change("second", r#"{"externalTrafficPolicy":"Local"}"#);
    only("first", "second");
    change("first", r#"{"externalTrafficPolicy":"Local"}"#);
    both();
    change("first", r#"{"selector":{"app":"other"}}"#);
    only("second", "first");
    change("second", r#"{"selector":{"app":"other"}}"#);
    both();
}

/// Number 5.
#[test]
fn removing_all_pools_clears_the_address() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("one", &["192.168.100.220/32"]));
    cluster.apply(&pool_yaml("two", &["192.168.100.230/32"]));
    cluster.apply(&service_yaml("web", "web", &[]));
    cluster.wait_addresses("web", &["192.168.100.220"]);
    cluster.kubectl(&["delete", "ipaddresspool", "--all", "-n", "metallb-system"]);
    cluster.wait_addresses("web", &[]);
    cluster.wait_condition(&["service", "web"], CONDITION, "False NoPools");
    cluster.wait_event("web", "Normal ClearAssignment ferrolb-controller");
    let annotations = cluster.get(&["service", "web"])["metadata"]["annotations"].to_string();
    assert!(!annotations.contains("allocated"), "{annotations}");
}

/// Number 6.
#[test]
fn deleting_the_pool_in_use_allocates_from_the_other() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("one", &["192.168.100.220/32"]));
    cluster.apply(&pool_yaml("two", &["192.168.100.230/32"]));
    cluster.apply(&service_yaml("web", "web", &[]));
    cluster.wait_addresses("web", &["192.168.100.220"]);
    cluster.kubectl(&["delete", "ipaddresspool", "one", "-n", "metallb-system"]);
    cluster.wait_addresses("web", &["192.168.100.230"]);
    let service = cluster.get(&["service", "web"]);
    assert_eq!(service["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"], "two");
}

/// Number 20.
#[test]
fn the_status_of_a_pool_follows_its_use_and_an_edit_is_reverted() {
    let cluster = Cluster::fresh();
    let pool = ["ipaddresspool", "counted", "-n", "metallb-system"];
    let counts = |assigned: [i64; 2], available: [i64; 2]| {
        eventually(&format!("assigned {assigned:?}, available {available:?}"), || {
            let status = &cluster.get(&pool)["status"];
            let found = ["assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"]
                .map(|key| status[key].as_i64());
            let expected = [assigned, available].concat().into_iter().map(Some);
            if expected.eq(found) { Ok(()) } else { Err(format!("{found:?}")) }
        });
    };
    cluster.apply(&pool_yaml("counted", &["192.168.100.220-192.168.100.223", "fd00:100::240/126"]));
    counts([0, 0], [4, 4]);
    cluster.apply(&service_yaml("dual", "web", &["ipFamilyPolicy: RequireDualStack"]));
    counts([1, 1], [3, 3]);
    cluster.apply(&service_yaml("single", "web", &[]));
    counts([2, 1], [2, 3]);
    cluster.apply(&pool_yaml("counted", &["192.168.100.220-192.168.100.227", "fd00:100::240/126"]));
    counts([2, 1], [6, 3]);
    cluster.kubectl(&["delete", "service", "dual"]);
    counts([1, 0], [7, 4]);
    let edit = r#"{"status":{"assignedIPv4":40,"availableIPv6":0}}"#;
    let mut edited = pool.to_vec();
    edited.push("--subresource=status");
    patch(&cluster, &edited, edit);
    counts([1, 0], [7, 4]);
}

#[test]
fn a_restart_without_a_change_writes_nothing() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("two", &["192.168.100.220/32", "fd00:100::240/128"]));
    cluster.apply(&service_yaml("dual", "web", &["ipFamilyPolicy: RequireDualStack"]));
    cluster.wait_addresses("dual", &["192.168.100.220", "fd00:100::240"]);
    cluster.apply(&service_yaml("waiting", "web", &[]));
    cluster.wait_condition(&["service", "waiting"], CONDITION, "False PoolExhausted");
    let objects: [&[&str]; 4] = [
        &["service", "dual"],
        &["service", "waiting"],
        &["ipaddresspool", "two", "-n", "metallb-system"],
        &["configurationstate", "controller", "-n", "ferrolb-system"],
    ];
    let versions = || objects.map(|object| cluster.get(object)["metadata"]["resourceVersion"].to_string());
    eventually("the pool counts both addresses", || {
        let status = &cluster.get(objects[2])["status"];
        if status["assignedIPv6"] == 1 { Ok(()) } else { Err(status.to_string()) }
    });
    let before = versions();
    restart_controllers(&cluster, "probe");
    stays("no object is written", A_FEW_PASSES, || {
        let now = versions();
        if now == before { Ok(()) } else { Err(format!("{before:?} became {now:?}")) }
    });
}

#[test]
fn entries_of_others_in_the_status_stay_and_ours_is_announced_beside_them() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let ingress = |service: &str| {
        let object = cluster.get(&["service", service]);
        let entries = object["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
        let text = |entry: &serde_json::Value| {
            let with_mode = |ip: &str| format!("{ip} {}", entry["ipMode"].as_str().unwrap_or_default());
            entry["ip"].as_str().map(with_mode).or_else(|| entry["hostname"].as_str().map(str::to_owned))
        };
        entries.iter().filter_map(text).collect::<Vec<_>>()
    };
    let wait_ingress = |expected: &[&str]| {
        eventually(&format!("the status lists {expected:?}"), || {
            let found = ingress("svc-lb");
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    };
    wait_ingress(&["192.168.100.240 VIP"]);
    let add = r#"{"status":{"loadBalancer":{"ingress":[
        {"ip":"203.0.113.9"},{"ip":"192.168.100.240","ipMode":"VIP"},{"hostname":"lb.example"}]}}}"#;
    patch(&cluster, &["service", "svc-lb", "--subresource=status"], add);
    let all = ["203.0.113.9 VIP", "192.168.100.240 VIP", "lb.example"];
    stays("the entries are kept and ours is reached", A_FEW_PASSES, || {
        let found = ingress("svc-lb");
        if found != all {
            return Err(format!("{found:?}"));
        }
        cluster.curl_once("http://192.168.100.240").map(|_| ())
    });
    restart_controllers(&cluster, "probe");
    wait_ingress(&all);
    cluster.kubectl(&["delete", "ipaddresspool", "lb-pool", "-n", "metallb-system"]);
    wait_ingress(&["203.0.113.9 VIP", "lb.example"]);
    cluster.apply(&pool_yaml("lb-pool", &["192.168.100.230/32"]));
    wait_ingress(&["203.0.113.9 VIP", "lb.example", "192.168.100.230 VIP"]);
    cluster.curl("http://192.168.100.230");
}

#[test]
fn a_deprecated_annotation_works_and_is_told_once() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("a", &["192.168.100.220/32"]));
    cluster.apply(&pool_yaml("b", &["192.168.100.230/32"]));
    let yaml = service_yaml("old", "web", &[]);
    cluster.apply(
        &yaml.replace("{name: old}", "{name: old, annotations: {metallb.universe.tf/address-pool: b}}"),
    );
    cluster.wait_addresses("old", &["192.168.100.230"]);
    let text = "Warning deprecatedAnnotation ferrolb-controller Service uses deprecated annotation \
                metallb.universe.tf/address-pool";
    cluster.wait_event("old", text);
    restart_controllers(&cluster, "probe");
    let told = cluster.events("old").into_iter().filter(|event| event == text).count();
    assert_eq!(told, 1);
}
