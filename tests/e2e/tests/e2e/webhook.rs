//! The optional webhook: MetalLB's acceptance list, 115, 116, 119 to 125, and what an operator must
//! be able to rely on: nothing is refused because of something else, and nothing depends on it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ferrolb_e2e::{Cluster, eventually, on_nodes, pool_yaml, say, service_yaml};
use serde_json::Value;

const IN_FERROLB: [&str; 2] = ["-n", "ferrolb-system"];
const CONTROLLER: &str = "deployment/controller";
/// An object that the webhook alone refuses.
const STRAY: &str =
    "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: stray, namespace: default}\n";

/// Answers in a row after which each of the two replicas has most likely given one.
const REPLICAS_ASKED: usize = 8;

/// A cluster with the webhook installed; removed again at the end, as the guide says.
struct Webhook {
    cluster: Cluster,
}

impl Webhook {
    fn install() -> Self {
        let cluster = Cluster::fresh();
        let webhook = Self { cluster };
        let cluster = &webhook.cluster;
        cluster.kubectl(&["apply", "-f", &manifest("ferrolb-webhook.yaml")]);
        cluster.kubectl(&["apply", "-f", &manifest("ferrolb-webhook-crds.yaml")]);
        restart_controller(cluster);
        webhook.wait_until_it_judges();
        webhook
    }

    fn wait_until_it_judges(&self) {
        // Every replica must, and none that is gone be asked any more.
        let mut denied_in_a_row = 0;
        eventually("API servers ask the webhook", || {
            let answer = self.try_apply(&["--dry-run=server"], STRAY);
            let denied = answer.contains("resource must be created in metallb-system namespace");
            denied_in_a_row = if denied { denied_in_a_row + 1 } else { 0 };
            if denied_in_a_row < REPLICAS_ASKED { Err(answer) } else { Ok(()) }
        });
    }

    /// What kubectl says about `yaml`, refused or not.
    fn try_apply(&self, more: &[&str], yaml: &str) -> String {
        let file = std::env::temp_dir().join(format!("ferrolb-e2e-webhook-{}.yaml", std::process::id()));
        std::fs::write(&file, yaml).expect("the file can be written");
        let path = file.to_string_lossy();
        let output =
            self.cluster.lab.kubectl(&[&["apply", "-f", &path], more].concat()).expect("kubectl runs");
        std::fs::remove_file(&file).expect("the file is there");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Applies `yaml`, which the webhook must deny with `expected`.
    fn denied(&self, yaml: &str, expected: &str) {
        let said = self.cluster.apply_refused(yaml);
        assert!(said.contains("admission webhook \"configuration.ferrolb.io\" denied the request"), "{said}");
        assert!(said.contains(expected), "{said}");
    }

    /// Applies `yaml`, which the webhook must deny with `expected` once it has seen what is wrong with it.
    fn wait_denied(&self, yaml: &str, expected: &str) {
        eventually(&format!("the webhook says {expected:?}"), || {
            let said = self.try_apply(&["--dry-run=server"], yaml);
            if said.contains(expected) { Ok(()) } else { Err(said) }
        });
        self.denied(yaml, expected);
    }

    /// The authority that API servers trust: the one of the Secret, at both places.
    fn trusted(&self) -> Result<String, String> {
        let get = |what: &[&str], path: &str| {
            self.cluster.get(what).pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let secret = get(&["secret", "ferrolb-webhook-cert", IN_FERROLB[0], IN_FERROLB[1]], "/data/ca.crt");
        let validating =
            get(&["validatingwebhookconfiguration", "ferrolb-webhook"], "/webhooks/0/clientConfig/caBundle");
        let converting =
            get(&["crd", "bgppeers.metallb.io"], "/spec/conversion/webhook/clientConfig/caBundle");
        let is_everywhere = !secret.is_empty() && secret == validating && secret == converting;
        if is_everywhere { Ok(secret) } else { Err(format!("{secret}\n{validating}\n{converting}")) }
    }

    fn wait_trusted(&self) -> String {
        eventually("the Secret's authority is trusted", || self.trusted())
    }

    /// The steps of docs/guide/webhook.md; errors are for the caller, who may be unwinding.
    fn remove(&self) -> Result<(), String> {
        let steps: [&[&str]; 5] = [
            &["apply", "-f", &manifest("ferrolb.yaml")],
            &["delete", "--ignore-not-found", "-f", &manifest("ferrolb-webhook.yaml")],
            &["rollout", "restart", "-n", "ferrolb-system", CONTROLLER],
            &["rollout", "status", "-n", "ferrolb-system", CONTROLLER, "--timeout=60s"],
            &["delete", "--ignore-not-found", "-n", "ferrolb-system", "secret", "ferrolb-webhook-cert"],
        ];
        for step in steps {
            let output = self.cluster.lab.kubectl(step).map_err(|error| format!("{error:#}"))?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        Ok(())
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            say(&format!("the webhook was not removed: {error}"));
        }
    }
}

fn manifest(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file);
    path.to_string_lossy().into_owned()
}

fn restart_controller(cluster: &Cluster) {
    cluster.kubectl(&["rollout", "restart", IN_FERROLB[0], IN_FERROLB[1], CONTROLLER]);
    cluster.kubectl(&["rollout", "status", IN_FERROLB[0], IN_FERROLB[1], CONTROLLER, "--timeout=60s"]);
}

/// An object of MetalLB's group; `place` is `namespace/name`, `spec` in flow style.
fn object(kind: &str, place: &str, spec: &str) -> String {
    let (namespace, name) = place.split_once('/').expect("namespace/name");
    let version = if kind == "BGPPeer" { "v1beta2" } else { "v1beta1" };
    format!(
        "apiVersion: metallb.io/{version}\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

/// A Community with one alias.
fn community(name: &str, alias: &str, value: &str) -> String {
    let spec = format!("{{communities: [{{name: {alias}, value: '{value}'}}]}}");
    object("Community", &format!("metallb-system/{name}"), &spec)
}

/// Its name, and what shows it.
type Behaviour = (&'static str, fn(&Webhook));

/// Each behaviour on its own objects and on one installation, which takes longer than all of them. None is left out
/// because another failed.
#[test]
fn a_write_that_makes_no_sense_with_what_is_there_is_denied_and_nothing_else_is() {
    let webhook = Webhook::install();
    let behaviours: [Behaviour; 7] = [
        ("115: overlapping pools", overlapping_pools_are_denied),
        ("116: aggregation", an_aggregation_length_shorter_than_the_pool_is_denied),
        ("119, 120: peers", a_second_peer_of_the_same_address_is_denied_unless_no_node_has_both),
        ("121, 122: communities", an_invalid_community_is_denied_on_create_and_on_update),
        ("123: aliases", an_alias_that_is_defined_already_is_denied),
        ("124: profiles", a_profile_in_use_cannot_be_deleted),
        ("125: namespaces", each_kind_in_another_namespace_is_denied),
    ];
    let fails = |behaviour: fn(&Webhook)| catch_unwind(AssertUnwindSafe(|| behaviour(&webhook))).is_err();
    let failed = behaviours.into_iter().filter(|(_, behaviour)| fails(*behaviour)).map(|(name, _)| name);
    let failed: Vec<&str> = failed.collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// Number 115, whichever of the two sorts first.
fn overlapping_pools_are_denied(webhook: &Webhook) {
    webhook.cluster.apply(&pool_yaml("m", &["192.168.100.224/28"]));
    for name in ["a", "z"] {
        let overlapping = pool_yaml(name, &["192.168.100.239/32"]);
        webhook.wait_denied(&overlapping, "overlaps with already defined CIDR");
    }
    webhook.cluster.apply(&pool_yaml("other", &["192.168.100.210-192.168.100.219"]));
}

/// Number 116.
fn an_aggregation_length_shorter_than_the_pool_is_denied(webhook: &Webhook) {
    webhook.cluster.apply(&pool_yaml("narrow", &["10.9.1.0/28"]));
    let advertisement = |length: u8| {
        let spec = format!("{{ipAddressPools: [narrow], aggregationLength: {length}}}");
        object("BGPAdvertisement", "metallb-system/a", &spec)
    };
    webhook.wait_denied(&advertisement(26), "invalid aggregation length 26: prefix 28 in this pool");
    webhook.cluster.apply(&advertisement(28));
}

/// Numbers 119 and 120; 118 is the definition's.
fn a_second_peer_of_the_same_address_is_denied_unless_no_node_has_both(webhook: &Webhook) {
    let peer = |name: &str, nodes: &[&str]| {
        let nodes = on_nodes(nodes);
        let spec = format!("{{myASN: 64500, peerASN: 64501, peerAddress: 10.200.200.1, {nodes}}}");
        object("BGPPeer", &format!("metallb-system/{name}"), &spec)
    };
    webhook.cluster.apply(&peer("one", &["master", "worker1"]));
    let overlapping = peer("two", &["worker1", "worker2"]);
    webhook.wait_denied(&overlapping, "peer 10.200.200.1 already exists");
    webhook.cluster.apply(&peer("two", &["worker2"]));
}

/// Numbers 121 and 122: the definition's rules are asked before the webhook is.
fn an_invalid_community_is_denied_on_create_and_on_update(webhook: &Webhook) {
    let cluster = &webhook.cluster;
    for (value, expected) in [
        ("99999:1", "invalid community value: invalid section"),
        ("1:2:3:4", "expected community to be of format large"),
    ] {
        let invalid = community("changed", "changed", value);
        assert!(cluster.apply_refused(&invalid).contains(expected), "create {value}");
        cluster.apply(&community("changed", "changed", "1:1"));
        assert!(cluster.apply_refused(&invalid).contains(expected), "update {value}");
        cluster.kubectl(&["delete", "community", "-n", "metallb-system", "changed"]);
    }
}

/// Number 123.
fn an_alias_that_is_defined_already_is_denied(webhook: &Webhook) {
    webhook.cluster.apply(&community("c", "vpn", "1:1"));
    webhook.wait_denied(&community("b", "vpn", "large:1:2:3"), "duplicate definition of community");
}

/// Number 124.
fn a_profile_in_use_cannot_be_deleted(webhook: &Webhook) {
    let cluster = &webhook.cluster;
    cluster.apply(&object("BFDProfile", "metallb-system/fast", "{receiveInterval: 100}"));
    let peer = "{myASN: 64500, peerASN: 64501, peerAddress: 10.200.200.9, bfdProfile: fast}";
    cluster.apply(&object("BGPPeer", "metallb-system/tor", peer));
    let delete = ["delete", "bfdprofile", "-n", "metallb-system", "fast"];
    eventually("the peer is known to the webhook", || {
        let said = cluster.lab.kubectl(&[&delete[..], &["--dry-run=server"]].concat()).expect("kubectl runs");
        if said.status.success() { Err("the profile may be deleted".into()) } else { Ok(()) }
    });
    let said = cluster.kubectl_refused(&delete);
    assert!(said.contains("failed to delete BFDProfile fast, used by BGPPeer tor"), "{said}");
}

/// Number 125.
fn each_kind_in_another_namespace_is_denied(webhook: &Webhook) {
    for (kind, spec) in [
        ("IPAddressPool", "{addresses: [10.9.0.0/24]}"),
        ("L2Advertisement", "{}"),
        ("BGPAdvertisement", "{}"),
        ("BGPPeer", "{myASN: 1, peerASN: 2, peerAddress: 10.0.0.9}"),
        ("Community", "{}"),
        ("BFDProfile", "{}"),
    ] {
        webhook.denied(
            &object(kind, "default/stray", spec),
            "resource must be created in metallb-system namespace",
        );
    }
}

#[test]
fn what_is_wrong_already_blocks_nothing_and_a_dead_controller_neither() {
    let webhook = Webhook::install();
    let cluster = &webhook.cluster;
    cluster.apply(&pool_yaml("m", &["192.168.100.240-192.168.100.245"]));
    let overlapping = pool_yaml("z", &["192.168.100.245-192.168.100.250"]);
    eventually("the pool is known to the webhook", || {
        let said = webhook.try_apply(&["--dry-run=server"], &overlapping);
        if said.contains("overlaps with already defined CIDR") { Ok(()) } else { Err(said) }
    });

    cluster.kubectl(&["scale", IN_FERROLB[0], IN_FERROLB[1], CONTROLLER, "--replicas=0"]);
    eventually("no controller runs", || {
        let component = "app.kubernetes.io/component=controller";
        let pods = cluster.get(&["pods", IN_FERROLB[0], IN_FERROLB[1], "-l", component]);
        if pods["items"].as_array().is_none_or(Vec::is_empty) { Ok(()) } else { Err("some do".into()) }
    });
    let began = Instant::now();
    cluster.apply(&overlapping);
    say(&format!("a write without a controller took {:.1} s", began.elapsed().as_secs_f64()));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    cluster.kubectl(&["scale", IN_FERROLB[0], IN_FERROLB[1], CONTROLLER, "--replicas=2"]);
    let pool = ["ipaddresspool", "z", "-n", "metallb-system"];
    cluster.wait_condition(&pool, "Accepted", "False PoolOverlap");
    cluster.kubectl(&["rollout", "status", IN_FERROLB[0], IN_FERROLB[1], CONTROLLER, "--timeout=60s"]);
    webhook.wait_until_it_judges();

    cluster.apply(&pool_yaml("other", &["192.168.100.210-192.168.100.219"]));
    cluster.kubectl(&["label", "ipaddresspool", "-n", "metallb-system", "z", "m", "x=y"]);
    cluster.apply(&service_yaml("web", "web", &[]));
    cluster.wait_addresses("web", &["192.168.100.240"]);
    cluster.apply(&pool_yaml("z", &["192.168.100.246-192.168.100.250"]));
    cluster.wait_condition(&pool, "Accepted", "True");
}

#[test]
fn a_peer_is_written_and_read_in_both_versions() {
    let webhook = Webhook::install();
    let cluster = &webhook.cluster;
    webhook.wait_trusted();
    let old = "apiVersion: metallb.io/v1beta1\nkind: BGPPeer\nmetadata: {name: tor, namespace: metallb-system}\n\
               spec: {myASN: 64500, peerASN: 64501, peerAddress: 10.0.0.1, nodeSelectors: \
               [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}\n";
    let said = eventually("the API server reaches the webhook to convert", || {
        let said = webhook.try_apply(&[], old);
        if said.contains("created") || said.contains("unchanged") { Ok(said) } else { Err(said) }
    });
    assert!(said.contains("v1beta1 is deprecated, please use v1beta2"), "{said}");
    let get = |version: &str| {
        cluster.get(&[&format!("bgppeers.{version}.metallb.io"), "-n", "metallb-system", "tor"])
    };
    let new = get("v1beta2");
    assert_eq!(new["apiVersion"], "metallb.io/v1beta2");
    for field in ["myASN", "peerASN", "peerAddress", "nodeSelectors"] {
        assert_eq!(new["spec"][field], get("v1beta1")["spec"][field], "{field}");
    }
    assert_eq!(new["spec"]["peerPort"], 179);
    assert!(new["spec"]["holdTime"].is_null(), "nothing is added: {}", new["spec"]);

    let patch = |version: &str, spec: &str| {
        let resource = format!("bgppeers.{version}.metallb.io");
        let patch = format!("{{\"spec\": {spec}}}");
        cluster.kubectl(&["patch", &resource, "-n", "metallb-system", "tor", "--type=merge", "-p", &patch]);
    };
    patch("v1beta2", "{\"vrf\": \"red\", \"connectTime\": \"5s\"}");
    patch("v1beta1", "{\"peerAddress\": \"10.0.0.2\"}");
    let spec = &get("v1beta2")["spec"];
    assert_eq!((&spec["vrf"], &spec["connectTime"]), (&"red".into(), &"5s".into()), "{spec}");
    assert_eq!(spec["peerAddress"], "10.0.0.2");

    // Without the webhook there is the new version again, and the peer as it was.
    webhook.remove().expect("the webhook is removed");
    assert_eq!(&get("v1beta2")["spec"], spec);
    let said = cluster.kubectl_refused(&[
        "get",
        "--raw",
        "/apis/metallb.io/v1beta1/namespaces/metallb-system/bgppeers",
    ]);
    assert!(said.contains("the server could not find the requested resource"), "{said}");
    cluster.apply(&pool_yaml("m", &["192.168.100.224/28"]));
    cluster.apply(&pool_yaml("z", &["192.168.100.239/32"]));
    cluster.wait_condition(&["ipaddresspool", "z", "-n", "metallb-system"], "Accepted", "False PoolOverlap");
    let left = cluster.kubectl(&[
        "get",
        "all,configmaps,secrets,roles,rolebindings,clusterroles,clusterrolebindings,validatingwebhookconfigurations",
        "-A",
        "-l",
        "app.kubernetes.io/component=webhook",
        "-o",
        "name",
    ]);
    assert_eq!(left, "");
}

#[test]
fn a_certificate_that_is_lost_is_made_anew_and_trusted() {
    let webhook = Webhook::install();
    let cluster = &webhook.cluster;
    let first = webhook.wait_trusted();
    cluster.kubectl(&["delete", "secret", IN_FERROLB[0], IN_FERROLB[1], "ferrolb-webhook-cert"]);
    let began = Instant::now();
    let second = eventually("another authority is trusted", || {
        let trusted = webhook.trusted()?;
        if trusted == first { Err("the same is".into()) } else { Ok(trusted) }
    });
    webhook.wait_until_it_judges();
    say(&format!("a lost certificate was replaced within {:.1} s", began.elapsed().as_secs_f64()));

    // Another's hand in the bundle is corrected; the Secret, being good, is left alone.
    let foreign = "[{\"op\": \"remove\", \"path\": \"/webhooks/0/clientConfig/caBundle\"}]";
    cluster.kubectl(&[
        "patch",
        "validatingwebhookconfiguration",
        "ferrolb-webhook",
        "--type=json",
        "-p",
        foreign,
    ]);
    assert_eq!(webhook.wait_trusted(), second);
    let secret = cluster.get(&["secret", IN_FERROLB[0], IN_FERROLB[1], "ferrolb-webhook-cert"]);
    let keys: Vec<&String> = secret["data"].as_object().expect("it has data").keys().collect();
    assert_eq!(keys, ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
    let logs = cluster.kubectl(&[
        "logs",
        IN_FERROLB[0],
        IN_FERROLB[1],
        "-l",
        "app.kubernetes.io/component=controller",
        "--tail=-1",
    ]);
    assert!(logs.contains("the webhook serves a new certificate"), "{logs}");
    assert!(!logs.contains("PRIVATE KEY") && !logs.contains("BEGIN CERTIFICATE"), "a key was logged");
}
