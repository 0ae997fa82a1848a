//! `ferrolb plan` says what a change would do, and the change then does it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ferrolb_e2e::{Cluster, eventually, pool_yaml, service_yaml};

const LB_POOL: [&str; 4] = ["ipaddresspool", "lb-pool", "-n", "metallb-system"];

/// What `ferrolb plan` said.
struct Answer {
    code: Option<i32>,
    out: String,
    error: String,
}

/// Runs `ferrolb plan` with `input` as its standard input.
fn plan(cluster: &Cluster, args: &[&str], input: &str) -> Answer {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/ferrolb");
    let mut command = Command::new(program);
    command.arg("plan").args(args).env("KUBECONFIG", cluster.lab.kubeconfig());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("ferrolb is built beside the lab");
    // A command that does not read its input may have ended by now.
    drop(child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("ferrolb ends");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Answer { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
}

/// What applying `yaml` would do, with the exit code that says so.
fn plan_apply(cluster: &Cluster, yaml: &str, code: i32) -> String {
    let Answer { code: ended, out, error } = plan(cluster, &["-f", "-"], yaml);
    assert_eq!(ended, Some(code), "{out}{error}");
    out
}

/// Waits until the controller has nothing more to write about `assigned` addresses.
fn wait_settled(cluster: &Cluster, assigned: u64) {
    eventually("the pool counts its addresses", || {
        let status = cluster.get(&LB_POOL)["status"].clone();
        if status["assignedIPv4"] == assigned { Ok(()) } else { Err(status.to_string()) }
    });
    cluster.wait_condition(&LB_POOL, "Ready", "True");
}

/// The resourceVersion of everything that a plan is about.
fn versions(cluster: &Cluster) -> String {
    let kinds = "services,namespaces,ipaddresspools,l2advertisements,bgpadvertisements,endpointslices";
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    cluster.kubectl(&["get", kinds, "-A", "-o", columns])
}

/// The cluster with its pool, and the Service `svc-lb` with 192.168.100.240.
fn with_web() -> Cluster {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    wait_settled(&cluster, 1);
    cluster
}

#[test]
fn a_plan_writes_nothing_and_a_change_of_nothing_keeps_everything() {
    let cluster = with_web();
    let before = versions(&cluster);
    let same = cluster.kubectl(&["get", LB_POOL[0], LB_POOL[1], "-n", "metallb-system", "-o", "yaml"]);
    assert_eq!(plan_apply(&cluster, &same, 0), "1 Service keeps, 0 gain, 0 lose, 0 move\n");
    plan_apply(&cluster, &pool_yaml("lb-pool", &["10.9.0.0/24"]), 0);
    let delete = plan(&cluster, &["--delete", "namespace/metallb-system"], "");
    assert_eq!(delete.code, Some(2), "{}{}", delete.out, delete.error);
    assert_eq!(versions(&cluster), before);
}

#[test]
fn a_pool_without_the_address_moves_it() {
    let cluster = with_web();
    let change = pool_yaml("lb-pool", &["192.168.100.245-192.168.100.250"]);
    let told = plan_apply(&cluster, &change, 0);
    assert!(told.starts_with("default/svc-lb  moves  192.168.100.240 -> 192.168.100.245  "), "{told}");
    assert!(told.ends_with("\n0 Services keep, 0 gain, 0 lose, 1 moves\n"), "{told}");
    cluster.apply(&change);
    cluster.wait_addresses("svc-lb", &["192.168.100.245"]);
}

#[test]
fn a_pool_that_is_too_small_takes_an_address_away() {
    let cluster = with_web();
    cluster.apply(&service_yaml("later", "web", &[]));
    cluster.wait_addresses("later", &["192.168.100.241"]);
    wait_settled(&cluster, 2);
    let change = pool_yaml("lb-pool", &["192.168.100.240/32"]);
    let told = plan_apply(&cluster, &change, 2);
    assert!(told.starts_with("default/later  loses  192.168.100.241 -> -  "), "{told}");
    assert!(told.ends_with("\n1 Service keeps, 0 gain, 1 loses, 0 move\n"), "{told}");
    cluster.apply(&change);
    cluster.wait_addresses("later", &[]);
    cluster.wait_addresses("svc-lb", &["192.168.100.240"]);
}

#[test]
fn a_new_pool_gives_addresses_to_those_that_wait_and_to_the_change_s_own() {
    let cluster = Cluster::fresh();
    cluster.apply(&service_yaml("waits", "web", &[]));
    cluster.wait_condition(&["service", "waits"], "ferrolb.io/AddressAllocated", "False NoPools");
    let (pool, service) =
        (pool_yaml("lb-pool", &["192.168.100.240-192.168.100.250"]), service_yaml("new", "web", &[]));
    let change = format!("{pool}---\n{service}");
    let told = plan_apply(&cluster, &change, 0);
    assert!(told.contains("default/new    gains  - -> 192.168.100.241  from pool lb-pool"), "{told}");
    assert!(told.contains("default/waits  gains  - -> 192.168.100.240  from pool lb-pool"), "{told}");
    assert!(told.ends_with("\n0 Services keep, 2 gain, 0 lose, 0 move\n"), "{told}");
    cluster.apply(&pool);
    cluster.wait_addresses("waits", &["192.168.100.240"]);
    cluster.apply(&service);
    cluster.wait_addresses("new", &["192.168.100.241"]);
}

#[test]
fn a_deleted_pool_takes_its_addresses_along() {
    let cluster = with_web();
    let answer = plan(&cluster, &["--delete", "ipaddresspool/metallb-system/lb-pool", "-o", "json"], "");
    assert_eq!(answer.code, Some(2), "{}{}", answer.out, answer.error);
    let said: serde_json::Value = serde_json::from_str(&answer.out).expect("-o json prints JSON");
    assert_eq!(said["summary"]["lose"], 1, "{said}");
    assert_eq!(said["services"][0]["effect"], "loses", "{said}");
    assert_eq!(said["objects"][0]["reason"], "UnknownPool", "the advertisement names it: {said}");
    cluster.kubectl(&["delete", "ipaddresspool", "lb-pool", "-n", "metallb-system"]);
    cluster.wait_addresses("svc-lb", &[]);
}

/// An `L2Advertisement` of everything, from these nodes.
fn advertisement(node: &str) -> String {
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\n\
         metadata: {{name: lb, namespace: metallb-system}}\nspec:\n  ipAddressPools: [lb-pool]\n  \
         nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: {node}}}}}]\n"
    )
}

#[test]
fn an_advertisement_that_excludes_the_announcer_moves_the_announcement_or_ends_it() {
    let cluster = with_web();
    let announcer = || {
        let list = cluster.get(&["servicel2statuses", "-n", "ferrolb-system"]);
        let nodes = list["items"].as_array().cloned().unwrap_or_default();
        let nodes: Vec<String> =
            nodes.iter().filter_map(|status| Some(status["status"]["node"].as_str()?.to_owned())).collect();
        if let [node] = &nodes[..] { Ok(node.clone()) } else { Err(format!("{nodes:?}")) }
    };
    let today = eventually("one node announces", announcer);
    let other = if today == "master" { "worker1" } else { "master" };
    let told = plan_apply(&cluster, &advertisement(other), 0);
    let expected = format!("default/svc-lb  keeps  192.168.100.240  announced by {today} -> {other}\n");
    assert!(told.starts_with(&expected), "{told}");
    let told = plan_apply(&cluster, &advertisement("none"), 2);
    assert!(told.contains("announced by nobody: no advertisement of the Service covers a node"), "{told}");
    assert!(told.ends_with("; 1 is announced no more\n"), "{told}");

    cluster.apply(&advertisement(other));
    eventually("the other node announces", || {
        let node = announcer()?;
        if node == other { Ok(()) } else { Err(node) }
    });
}

#[test]
fn a_change_that_cannot_be_planned_names_the_document() {
    let cluster = Cluster::fresh();
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    let input = format!("{}---\n{deployment}", pool_yaml("lb-pool", &["192.168.100.240/32"]));
    let answer = plan(&cluster, &["-f", "-"], &input);
    assert_eq!((answer.code, answer.out.as_str()), (Some(1), ""), "{}", answer.error);
    let expected = "error: standard input, document 2: Deployment web (apps/v1) decides on no address";
    assert!(answer.error.starts_with(expected), "{}", answer.error);
    let answer = plan(&cluster, &["--delete", "deployment/web"], "");
    assert_eq!(answer.code, Some(64), "{}", answer.error);
}
