//! The controller's `ConfigurationState`: MetalLB's acceptance list, 112 and 114 for the controller.

use std::time::{Duration, Instant};

use ferrolb_e2e::{Cluster, eventually, pool_yaml, say};
use serde_json::Value;

const STATE: [&str; 4] = ["configurationstate", "controller", "-n", "ferrolb-system"];
/// From the write of an object to the word about what is wrong with it.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Waits until the controller's verdict is `result`; returns the object.
fn wait_result(cluster: &Cluster, result: &str) -> Value {
    eventually(&format!("the configuration is {result}"), || {
        let object = cluster.get(&STATE);
        if object["status"]["result"] == result { Ok(object) } else { Err(object["status"].to_string()) }
    })
}

fn make_invalid(cluster: &Cluster) {
    wait_result(cluster, "Valid");
    cluster.apply(&pool_yaml("a", &["192.168.100.220-192.168.100.229"]));
    cluster.apply(&pool_yaml("b", &["192.168.100.229-192.168.100.230"]));
}

fn fix(cluster: &Cluster) {
    cluster.apply(&pool_yaml("b", &["192.168.100.230/32"]));
}

#[test]
fn an_overlap_makes_the_configuration_invalid_until_it_is_fixed() {
    let cluster = Cluster::fresh();
    make_invalid(&cluster);
    let invalid = wait_result(&cluster, "Invalid");
    assert_eq!(invalid["metadata"]["labels"]["metallb.io/component-type"], "controller");
    let summary = invalid["status"]["errorSummary"].as_str().expect("it says why");
    assert!(summary.starts_with("configuration error: IPAddressPool metallb-system/b: "), "{summary}");
    assert!(summary.contains("overlaps with already defined CIDR"), "{summary}");
    let told = cluster.wait_condition(&STATE, "poolReconcilerValid", "False ConfigurationError: ");
    assert!(told.contains(summary), "{told}");

    fix(&cluster);
    let valid = wait_result(&cluster, "Valid");
    assert!(valid["status"]["errorSummary"].is_null(), "{}", valid["status"]);
    cluster.wait_condition(&STATE, "poolReconcilerValid", "True Reconciled");
    let columns = cluster.kubectl(&["get", "configurationstates", "-n", "ferrolb-system"]);
    let is_valid = |line: &str| line.split_whitespace().take(2).eq(["controller", "Valid"]);
    assert!(columns.lines().any(is_valid), "{columns}");
}

/// The best of three, as the machine has other work: the verdict and the condition, as a person sees them.
#[test]
fn an_error_is_told_within_a_second() {
    let cluster = Cluster::fresh();
    cluster.apply(&pool_yaml("a", &["192.168.100.220-192.168.100.229"]));
    let told_after = ["b", "c", "d"].map(|name| {
        let object = ["ipaddresspool", name, "-n", "metallb-system"];
        wait_result(&cluster, "Valid");
        cluster.apply(&pool_yaml(name, &["192.168.100.229-192.168.100.230"]));
        let written = Instant::now();
        wait_result(&cluster, "Invalid");
        cluster.wait_condition(&object, "Accepted", "False PoolOverlap");
        let told_after = written.elapsed();
        cluster.kubectl(&[&["delete"], &object[..]].concat());
        told_after
    });
    say(&format!("an error was told {told_after:.1?} after the pool was written"));
    assert!(told_after.into_iter().min() < Some(TOLD_WITHIN), "{told_after:?}");
}

#[test]
fn an_alias_that_two_communities_define_makes_the_configuration_invalid() {
    let cluster = Cluster::fresh();
    wait_result(&cluster, "Valid");
    let community = |name: &str, alias: &str| {
        format!(
            "apiVersion: metallb.io/v1beta1\nkind: Community\nmetadata: {{name: {name}, namespace: metallb-system}}\n\
             spec: {{communities: [{{name: {alias}, value: '64500:1'}}]}}\n"
        )
    };
    cluster.apply(&community("a", "no-export"));
    cluster.apply(&community("b", "no-export"));
    let invalid = wait_result(&cluster, "Invalid");
    let summary = invalid["status"]["errorSummary"].as_str().expect("it says why");
    assert!(summary.contains("duplicate definition of community \"no-export\""), "{summary}");
    let object = ["community", "b", "-n", "metallb-system"];
    cluster.wait_condition(&object, "Accepted", "False DuplicateAlias");
    cluster.apply(&community("b", "internal"));
    wait_result(&cluster, "Valid");
    cluster.wait_condition(&object, "Accepted", "True Valid");
}

/// Deletes the object, whose result is `result`, and waits until there is another: the former and the new one.
fn replaced(cluster: &Cluster, result: &str) -> (Value, Value) {
    let before = wait_result(cluster, result);
    cluster.kubectl(&["delete", STATE[0], STATE[1], STATE[2], STATE[3]]);
    let again = wait_result(cluster, result);
    assert_ne!(again["metadata"]["uid"], before["metadata"]["uid"], "it is another object");
    assert_eq!(again["metadata"]["labels"], before["metadata"]["labels"]);
    (before, again)
}

/// Number 114.
#[test]
fn a_deleted_valid_state_comes_back_valid() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    let (_, again) = replaced(&cluster, "Valid");
    assert!(again["status"]["errorSummary"].is_null(), "{}", again["status"]);
    cluster.wait_condition(&STATE, "poolReconcilerValid", "True Reconciled");
}

/// Number 112.
#[test]
fn a_deleted_state_comes_back_invalid_and_becomes_valid_once_fixed() {
    let cluster = Cluster::fresh();
    make_invalid(&cluster);
    let (before, again) = replaced(&cluster, "Invalid");
    assert_eq!(again["status"], before["status"], "with the same verdict, since the same time");
    fix(&cluster);
    wait_result(&cluster, "Valid");
}

#[test]
fn the_controller_may_write_its_own_state_and_no_other() {
    let cluster = Cluster::fresh();
    let may = |verb: &str, name: &str| {
        let account = "--as=system:serviceaccount:ferrolb-system:controller";
        let object = format!("configurationstates.metallb.io/{name}");
        let output = cluster.lab.kubectl(&["auth", "can-i", verb, &object, "-n", "ferrolb-system", account]);
        String::from_utf8_lossy(&output.expect("kubectl runs").stdout).trim() == "yes"
    };
    assert!(may("create", "controller") && may("patch", "controller"));
    for (verb, name) in [("patch", "speaker-master"), ("create", "speaker-master"), ("delete", "controller")]
    {
        assert!(!may(verb, name), "{verb} {name}");
    }
}
