//! Moving from MetalLB's ConfigMap, as walkthroughs 000 and 001 configure it, with `ferrolb migrate`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ferrolb_e2e::{Cluster, eventually};

const LB: &str = "http://192.168.100.240";
const WEBHOOKS: &str = "validatingwebhookconfiguration/metallb-webhook-configuration";
/// A reset keeps ConfigMaps of this namespace.
const CONFIG_MAP_DELETED: [&str; 6] =
    ["delete", "configmap", "config", "-n", "metallb-system", "--ignore-not-found"];
const BGP_PEERS: &str = "customresourcedefinition/bgppeers.metallb.io";

/// The ConfigMap of the walkthroughs.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/legacy/metallb-l2config.yaml")
}

fn walkthrough(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/walkthrough").join(file)
}

/// Runs `ferrolb migrate`, the program that the lab runs too, against the lab.
fn migrate(cluster: &Cluster, args: &[&str]) -> Output {
    let this = std::env::current_exe().expect("a test has a path");
    let program = this.ancestors().nth(2).expect("a test lies two levels below the programs").join("ferrolb");
    let mut command = Command::new(&program);
    command.arg("migrate").args(args).env("KUBECONFIG", cluster.lab.kubeconfig());
    command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// What it printed, if it succeeded.
fn migrated(cluster: &Cluster, args: &[&str]) -> (String, String) {
    let output = migrate(cluster, args);
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("it prints text");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{stderr}");
    (stdout, stderr)
}

/// A Deployment and its Service, as walkthrough 001 makes them, and the client's request.
fn expose_and_reach(cluster: &Cluster) {
    cluster.kubectl(&["create", "deployment", "lb-hname-pods", "--image=sysnet4admin/echo-hname"]);
    let expose =
        ["expose", "deployment", "lb-hname-pods", "--type=LoadBalancer", "--name=lb-hname-svc", "--port=80"];
    cluster.kubectl(&expose);
    cluster.wait_addresses("lb-hname-svc", &["192.168.100.240"]);
    assert!(cluster.curl(LB).starts_with("lb-hname-pods-"));
}

#[test]
fn walkthroughs_000_and_001_the_configmap_becomes_objects_that_serve() {
    let cluster = Cluster::fresh();
    let (objects, report) = migrated(&cluster, &[&example().to_string_lossy()]);
    assert!(
        report.contains("\"nginx-ip-range\": IPAddressPool nginx-ip-range, L2Advertisement l2advertisement1")
    );
    let applied = cluster.apply(&objects);
    assert!(applied.contains("ipaddresspool.metallb.io/nginx-ip-range created"), "{applied}");
    assert!(applied.contains("l2advertisement.metallb.io/l2advertisement1 created"), "{applied}");
    expose_and_reach(&cluster);
    let pool = ["ipaddresspool", "nginx-ip-range", "-n", "metallb-system"];
    cluster.wait_condition(&pool, "Accepted", "True");
}

#[test]
fn the_configmap_of_the_cluster_is_applied_and_stays() {
    let cluster = Cluster::fresh();
    cluster.kubectl(&CONFIG_MAP_DELETED);
    let absent = migrate(&cluster, &["--from-cluster"]);
    assert_eq!(absent.status.code(), Some(1));
    let message = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(message.contains("there is no ConfigMap metallb-system/config"), "{message}");

    cluster.kubectl(&["apply", "-f", &example().to_string_lossy()]);
    let expected = "ipaddresspools.metallb.io metallb-system/nginx-ip-range applied\n\
                    l2advertisements.metallb.io metallb-system/l2advertisement1 applied\n";
    for time in ["the first", "the second"] {
        let (applied, _) = migrated(&cluster, &["--from-cluster", "--apply"]);
        assert_eq!(applied, expected, "{time} time");
    }
    assert!(!cluster.get(&["configmap", "config", "-n", "metallb-system"]).is_null());
    let managers = cluster.kubectl(&[
        "get",
        "ipaddresspool",
        "nginx-ip-range",
        "-n",
        "metallb-system",
        "--show-managed-fields",
        "-o",
        "jsonpath={.metadata.managedFields[*].manager}",
    ]);
    assert!(managers.split_whitespace().any(|manager| manager == "ferrolb-migrate"), "{managers}");
    expose_and_reach(&cluster);
    cluster.kubectl(&CONFIG_MAP_DELETED);
}

/// A cluster without controller, until this goes out of scope.
struct ControllerStopped<'a>(&'a Cluster);

impl<'a> ControllerStopped<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let stopped = Self(cluster);
        cluster.kubectl(&["scale", "deployment", "controller", "-n", "ferrolb-system", "--replicas=0"]);
        eventually("the controller is gone", || {
            let pods = cluster.kubectl(&["get", "pods", "-n", "ferrolb-system", "-o", "name"]);
            if pods.contains("controller") { Err(pods) } else { Ok(()) }
        });
        stopped
    }
}

impl Drop for ControllerStopped<'_> {
    fn drop(&mut self) {
        self.0.kubectl(&["scale", "deployment", "controller", "-n", "ferrolb-system", "--replicas=2"]);
        self.0.kubectl(&["rollout", "status", "deployment", "controller", "-n", "ferrolb-system"]);
    }
}

#[test]
fn an_address_that_metallb_gave_stays_if_the_objects_come_before_the_controller() {
    let cluster = Cluster::fresh();
    let stopped = ControllerStopped::new(&cluster);
    cluster.kubectl(&["create", "deployment", "web", "--image=sysnet4admin/echo-hname"]);
    cluster.kubectl(&["expose", "deployment", "web", "--type=LoadBalancer", "--port=80"]);
    let given = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.168.100.245"}]}}}"#;
    cluster.kubectl(&["patch", "service", "web", "--subresource=status", "--type=merge", "-p", given]);
    cluster.kubectl(&[
        "annotate",
        "service",
        "web",
        "metallb.universe.tf/ip-allocated-from-pool=nginx-ip-range",
    ]);
    migrated(&cluster, &[&example().to_string_lossy(), "--apply"]);
    drop(stopped);
    // Once the condition is there, the controller has looked at the Service.
    cluster.wait_condition(&["service", "web"], "ferrolb.io/AddressAllocated", "True");
    assert_eq!(cluster.addresses("web"), ["192.168.100.245"]);
    assert!(cluster.curl("http://192.168.100.245").starts_with("web-"));
}

/// MetalLB's webhooks as they are left behind when its Pods are gone; removed again at the end,
/// whatever happens, for the sake of the tests that follow.
struct LeftWebhooks<'a>(&'a Cluster);

impl<'a> LeftWebhooks<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let left = Self(cluster);
        cluster.apply(
            "apiVersion: admissionregistration.k8s.io/v1\n\
             kind: ValidatingWebhookConfiguration\n\
             metadata: {name: metallb-webhook-configuration}\n\
             webhooks:\n\
             - name: ipaddresspoolvalidationwebhook.metallb.io\n  \
               admissionReviewVersions: [v1]\n  \
               sideEffects: None\n  \
               failurePolicy: Fail\n  \
               clientConfig: {service: {name: metallb-webhook-service, namespace: metallb-system, path: /validate}}\n  \
               rules:\n  \
               - {apiGroups: [metallb.io], apiVersions: [v1beta1], operations: [CREATE, UPDATE], resources: [ipaddresspools]}\n",
        );
        let conversion = r#"{"spec":{"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],
            "clientConfig":{"service":{"name":"metallb-webhook-service","namespace":"metallb-system","path":"/convert"}}}}}}"#;
        cluster.kubectl(&["patch", BGP_PEERS, "--type=merge", "-p", conversion]);
        left
    }
}

impl Drop for LeftWebhooks<'_> {
    fn drop(&mut self) {
        let none = r#"{"spec":{"conversion":{"strategy":"None","webhook":null}}}"#;
        self.0.kubectl(&["delete", WEBHOOKS, "--ignore-not-found"]);
        self.0.kubectl(&["patch", BGP_PEERS, "--type=merge", "-p", none]);
    }
}

#[test]
fn webhooks_that_nobody_answers_any_more_are_removed_on_request() {
    let cluster = Cluster::fresh();
    let left = LeftWebhooks::new(&cluster);
    let file = example();
    let file = file.to_string_lossy();
    // The API server needs a moment to learn of a webhook.
    let pool = walkthrough("metallb-ip.yaml");
    eventually("the webhook refuses every pool", || {
        let try_it = ["create", "--dry-run=server", "-f", &pool.to_string_lossy()];
        let output = cluster.lab.kubectl(&try_it).map_err(|error| format!("{error:#}"))?;
        if output.status.success() { Err("it was accepted".into()) } else { Ok(()) }
    });
    let output = migrate(&cluster, &[&file, "--apply"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("failed calling webhook"), "{message}");
    assert!(message.contains("give --remove-metallb-webhooks"), "{message}");

    let (done, _) = migrated(&cluster, &[&file, "--apply", "--remove-metallb-webhooks"]);
    let expected = "validatingwebhookconfigurations.admissionregistration.k8s.io metallb-webhook-configuration deleted\n\
                    customresourcedefinitions.apiextensions.k8s.io bgppeers.metallb.io conversion webhook removed\n";
    assert!(done.starts_with(expected), "{done}");
    assert!(done.contains("metallb-system/nginx-ip-range applied\n"), "{done}");
    let strategy = cluster.kubectl(&["get", BGP_PEERS, "-o", "jsonpath={.spec.conversion.strategy}"]);
    assert_eq!(strategy, "None");
    drop(left);
    let (again, _) = migrated(&cluster, &[&file, "--apply", "--remove-metallb-webhooks"]);
    assert!(again.starts_with("validatingwebhookconfigurations.admissionregistration.k8s.io metallb-webhook-configuration is not there\n"), "{again}");
    assert!(again.contains("bgppeers.metallb.io has no conversion webhook\n"), "{again}");
}
