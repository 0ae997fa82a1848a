//! Moving from MetalLB with `ferrolb migrate`: from its ConfigMap, as walkthroughs 000 and 001 configure it, and
//! from its objects, also those stored at a version that nobody serves any more.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ferrolb_e2e::{Cluster, eventually};

const LB: &str = "http://192.168.100.240";
const WEBHOOKS: &str = "validatingwebhookconfiguration/metallb-webhook-configuration";
/// A reset keeps ConfigMaps of this namespace.
const CONFIG_MAP_DELETED: [&str; 6] =
    ["delete", "configmap", "config", "-n", "metallb-system", "--ignore-not-found"];
const BGP_PEERS: &str = "customresourcedefinition/bgppeers.metallb.io";
/// As many as `deploy/base` has.
const CONTROLLERS: u8 = 2;

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
    assert!(
        message.contains(
            "there is no ConfigMap metallb-system/config with a key \"config\", and no object of MetalLB"
        ),
        "{message}"
    );

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

/// MetalLB's acceptance list, BGP, number 74, as far as it goes: what is FRR's own words is not carried out.
#[test]
fn raw_configuration_of_frr_is_told_and_everything_else_is_migrated() {
    let cluster = Cluster::fresh();
    cluster.kubectl(&["apply", "-f", &example().to_string_lossy()]);
    cluster.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras, namespace: metallb-system}\n\
         data: {extras: ip prefix-list all permit any}\n",
    );
    let (objects, report) = migrated(&cluster, &["--from-cluster"]);
    // A reset keeps both.
    cluster.kubectl(&CONFIG_MAP_DELETED);
    cluster.kubectl(&["delete", "configmap", "bgpextras", "-n", "metallb-system"]);
    assert!(objects.contains("name: nginx-ip-range"), "{objects}");
    let note = "ConfigMap metallb-system/bgpextras has raw FRR configuration, which FerroLB cannot carry out";
    assert!(report.contains(note), "{report}");
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

    let (nothing, would) = migrated(&cluster, &["--remove-metallb-webhooks"]);
    assert_eq!(nothing, "");
    assert!(would.contains("metallb-webhook-configuration would be deleted\n"), "{would}");
    assert!(would.contains("bgppeers.metallb.io conversion webhook would be removed\n"), "{would}");
    assert!(!cluster.get(&[WEBHOOKS]).is_null(), "nothing is removed without --apply");

    let (done, _) = migrated(&cluster, &[&file, "--apply", "--remove-metallb-webhooks"]);
    let expected = "validatingwebhookconfigurations.admissionregistration.k8s.io metallb-webhook-configuration deleted\n\
                    customresourcedefinitions.apiextensions.k8s.io bgppeers.metallb.io conversion webhook removed\n";
    assert!(done.starts_with(expected), "{done}");
    assert!(done.contains("metallb-system/nginx-ip-range applied\n"), "{done}");
    let strategy = cluster.kubectl(&["get", BGP_PEERS, "-o", "jsonpath={.spec.conversion.strategy}"]);
    assert_eq!(strategy, "None");
    drop(left);
    let (again, _) = migrated(&cluster, &["--apply", "--remove-metallb-webhooks"]);
    assert!(again.starts_with("validatingwebhookconfigurations.admissionregistration.k8s.io metallb-webhook-configuration is not there\n"), "{again}");
    assert!(again.contains("bgppeers.metallb.io has no conversion webhook\n"), "{again}");
}

/// No controller runs for as long as this lives: what it tells a peer at its object would be stored anew.
struct NoController<'a>(&'a Cluster);

impl<'a> NoController<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let stopped = Self(cluster);
        stopped.scale(0);
        let pods = [
            "get",
            "pods",
            "-n",
            "ferrolb-system",
            "-l",
            "app.kubernetes.io/component=controller",
            "-o",
            "name",
        ];
        eventually("no controller is left", || match cluster.kubectl(&pods) {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        });
        stopped
    }

    fn scale(&self, replicas: u8) {
        let replicas = format!("--replicas={replicas}");
        self.0.kubectl(&["scale", "deployment/controller", "-n", "ferrolb-system", &replicas]);
    }
}

impl Drop for NoController<'_> {
    fn drop(&mut self) {
        self.scale(CONTROLLERS);
    }
}

/// The definition of `BGPPeer` as MetalLB's first versions of it were, for as long as this lives: `v1beta1` is
/// served and stored.
struct FormerPeers<'a>(&'a Cluster);

impl<'a> FormerPeers<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let former = Self(cluster);
        former.store("v1beta1");
        former
    }

    /// Makes `version` the stored one, and serves `v1beta1` only if it is that.
    fn store(&self, version: &str) {
        let definition = self.0.get(&[BGP_PEERS]);
        let mut versions = definition["spec"]["versions"].clone();
        for entry in versions.as_array_mut().expect("a definition has versions") {
            let name = entry["name"].as_str().unwrap_or_default().to_owned();
            entry["storage"] = (name == version).into();
            entry["served"] = (name == "v1beta2" || version == "v1beta1").into();
        }
        let patch = serde_json::json!({"spec": {"versions": versions}}).to_string();
        self.0.kubectl(&["patch", BGP_PEERS, "--type=merge", "-p", &patch]);
    }

    fn stored_versions(&self) -> String {
        self.0.kubectl(&["get", BGP_PEERS, "-o", "jsonpath={.status.storedVersions}"])
    }
}

impl Drop for FormerPeers<'_> {
    fn drop(&mut self) {
        self.store("v1beta2");
        self.0.kubectl(&["delete", "bgppeers.metallb.io", "--all", "-n", "metallb-system"]);
        let current = r#"{"status":{"storedVersions":["v1beta2"]}}"#;
        self.0.kubectl(&["patch", BGP_PEERS, "--subresource=status", "--type=merge", "-p", current]);
    }
}

#[test]
fn without_a_configmap_the_objects_are_kept_and_what_is_stored_at_a_former_version_is_rewritten() {
    let cluster = Cluster::fresh();
    cluster.kubectl(&CONFIG_MAP_DELETED);
    cluster.create_pool();
    let _no_controller = NoController::new(&cluster);
    let former = FormerPeers::new(&cluster);
    let peer = "apiVersion: metallb.io/v1beta1\nkind: BGPPeer\n\
                metadata: {name: router, namespace: metallb-system}\n\
                spec: {myASN: 64500, peerASN: 64501, peerAddress: 192.168.100.1, peerPort: 0}\n";
    eventually("the API server stores v1beta1", || {
        match cluster.lab.kubectl(&["get", "bgppeers.v1beta1.metallb.io", "-A"]) {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    });
    cluster.apply(peer);
    former.store("v1beta2");
    assert_eq!(former.stored_versions(), r#"["v1beta2","v1beta1"]"#);

    let left = LeftWebhooks::new(&cluster);
    eventually("the dead conversion webhook hides the peer", || {
        let output = migrate(&cluster, &["--from-cluster"]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        if message.contains("give --apply and --remove-metallb-webhooks") { Ok(()) } else { Err(message) }
    });
    migrated(&cluster, &["--apply", "--remove-metallb-webhooks"]);
    drop(left);

    let dry = || {
        eventually("the API server converts by itself", || {
            let output = migrate(&cluster, &["--from-cluster"]);
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            if output.status.success() {
                Ok((text(&output.stdout), text(&output.stderr)))
            } else {
                Err(text(&output.stderr))
            }
        })
    };
    let (objects, told) = dry();
    assert!(objects.contains("apiVersion: metallb.io/v1beta2\nkind: BGPPeer\n"), "{objects}");
    assert!(objects.contains("  peerPort: 179\n"), "0 is a port in v1beta1 only: {objects}");
    for server_set in ["uid:", "resourceVersion:", "managedFields:", "status:", "creationTimestamp:"] {
        assert!(!objects.contains(server_set), "{objects}");
    }
    assert!(told.contains("BGPPeer metallb-system/router: kept, converted from v1beta1\n"), "{told}");
    assert!(told.contains("bgppeers.metallb.io metallb-system/router would be converted\n"), "{told}");
    assert!(told.contains("ipaddresspools.metallb.io metallb-system/lb-pool stays as it is\n"), "{told}");
    let would_be_cut = "bgppeers.metallb.io storedVersions v1beta2,v1beta1 would be cut to v1beta2\n";
    assert!(told.contains(would_be_cut), "{told}");
    assert_eq!(former.stored_versions(), r#"["v1beta2","v1beta1"]"#, "nothing is written without --apply");

    let (done, _) = migrated(&cluster, &["--from-cluster", "--apply"]);
    assert!(done.contains("bgppeers.metallb.io metallb-system/router converted\n"), "{done}");
    assert!(done.ends_with("bgppeers.metallb.io storedVersions v1beta2,v1beta1 cut to v1beta2\n"), "{done}");
    assert_eq!(former.stored_versions(), r#"["v1beta2"]"#);
    let stored = cluster.get(&["bgppeers.metallb.io", "router", "-n", "metallb-system"]);
    assert_eq!(stored["spec"]["peerPort"], 179);
    let (objects_then, told) = dry();
    assert_eq!(objects_then, objects, "what was printed is what was written");
    assert!(told.contains("bgppeers.metallb.io metallb-system/router stays as it is\n"), "{told}");
    // What it prints, the API server takes as it is.
    let applied = cluster.apply(&objects);
    assert!(!applied.contains("created"), "{applied}");
}
