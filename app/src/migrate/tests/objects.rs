//! MetalLB's objects of today, from a manifest and from a cluster.

use std::sync::Arc;

use ferrolb_cluster::controller::ControllerObjects;
use serde_json::{Value, json};

use super::super::objects::Written;
use super::super::source::{Manifest, Source};
use super::{Input, combined, manifest, printed};

/// As `kubectl get -o yaml` prints a pool.
const LISTED: &str = "apiVersion: v1
kind: List
items:
- apiVersion: metallb.io/v1beta1
  kind: IPAddressPool
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {\"apiVersion\":\"metallb.io/v1beta1\"}
      team: web
    creationTimestamp: \"2024-01-01T00:00:00Z\"
    generation: 2
    labels: {zone: lan}
    managedFields: [{manager: kubectl, apiVersion: metallb.io/v1beta1}]
    name: lb-pool
    namespace: metallb-system
    resourceVersion: \"7\"
    uid: 1-2-3
  spec:
    addresses: [192.168.1.240-192.168.1.250]
    autoAssign: true
    avoidBuggyIPs: false
  status: {assignedIPv4: 1, assignedIPv6: 0, availableIPv4: 10, availableIPv6: 0}
metadata: {resourceVersion: \"\"}
";

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let version = if kind == "BGPPeer" { "v1beta2" } else { "v1beta1" };
    json!({
        "apiVersion": format!("metallb.io/{version}"),
        "kind": kind,
        "metadata": {"name": name, "namespace": "metallb-system"},
        "spec": spec,
    })
}

fn pool(name: &str, addresses: &[&str]) -> Value {
    object("IPAddressPool", name, &json!({ "addresses": addresses }))
}

fn input(objects: impl IntoIterator<Item = Value>, cluster: Option<ControllerObjects>) -> Input {
    let objects = objects.into_iter().filter_map(Written::new).collect();
    Input { written: Manifest { objects, ..Manifest::default() }, cluster }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

#[test]
fn what_a_server_wrote_is_stripped() {
    let (objects, report) = printed(&manifest(LISTED), None);
    let expected = "# Made by `ferrolb migrate` from the objects of the manifest.\n---\n\
                    apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  annotations:\n    team: web\n  \
                    labels:\n    zone: lan\n  name: lb-pool\n  namespace: metallb-system\nspec:\n  addresses:\n  \
                    - 192.168.1.240-192.168.1.250\n  autoAssign: true\n  avoidBuggyIPs: false\n";
    assert_eq!(objects, expected);
    let (again, _) = printed(&manifest(&objects), None);
    assert_eq!(again, objects, "what it prints, it reads");
    assert!(report.starts_with("IPAddressPool metallb-system/lb-pool: kept\n"), "{report}");
    assert!(report.contains("note: there is no advertisement, so FerroLB announces by layer 2"), "{report}");
}

#[test]
fn every_kind_is_read_and_others_are_passed_over() {
    let objects = [
        object("Community", "c", &json!({"communities": [{"name": "a", "value": "1:2"}]})),
        object("L2Advertisement", "l2", &json!({"interfaces": ["eth0"]})),
        object("BFDProfile", "bfd", &json!({"receiveInterval": 100})),
        pool("p", &["10.0.0.0/24"]),
        object("BGPAdvertisement", "bgp", &json!({"peers": ["peer"]})),
        object(
            "BGPPeer",
            "peer",
            &json!({"myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "password": "x"}),
        ),
        object("ServiceL2Status", "s", &json!({})),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}),
        json!({"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": {"name": "bare"}}),
    ];
    let (yaml, report) = printed(&input(objects, None), None);
    let kinds: Vec<&str> = yaml.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    let expected =
        "BGPPeer IPAddressPool BGPAdvertisement L2Advertisement L2Advertisement BFDProfile Community";
    assert_eq!(kinds.join(" "), expected);
    let expected = "BGPPeer metallb-system/peer: kept
  the password is readable in the object: move it to a Secret, and name that in passwordSecret
IPAddressPool metallb-system/p: kept
BGPAdvertisement metallb-system/bgp: kept
L2Advertisement metallb-system/bare: kept
L2Advertisement metallb-system/l2: kept
  a node that has none of its interfaces does not announce, and another does; with MetalLB nobody did
BFDProfile metallb-system/bfd: kept
Community metallb-system/c: kept
";
    assert_eq!(report, expected, "\n{report}");
}

#[test]
fn a_peer_of_v1beta1_becomes_one_of_v1beta2() {
    let peer = |spec: Value| {
        let mut peer = object("BGPPeer", "old", &spec);
        peer["apiVersion"] = json!("metallb.io/v1beta1");
        printed(&input([peer], None), None)
    };
    let selectors = json!([{"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}]);
    let (yaml, report) = peer(json!({
        "myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "peerPort": 0, "nodeSelectors": selectors,
    }));
    let expected = "---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata:\n  name: old\n  \
                    namespace: metallb-system\nspec:\n  myASN: 1\n  peerASN: 2\n  peerAddress: \"10.0.0.1\"\n  \
                    peerPort: 179\n  nodeSelectors:\n  - matchExpressions:\n    - key: k\n      \
                    operator: In\n      values:\n      - v\n    matchLabels:\n      a: b\n  disableMP: false\n  \
                    dualStackAddressFamily: false\n";
    assert!(yaml.ends_with(expected), "{yaml}");
    assert!(report.starts_with(
        "BGPPeer metallb-system/old: kept, converted from v1beta1\n  holdTime is not written and stays so"
    ));
    let required = json!({"myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "holdTime": "90s"});
    let (yaml, report) = peer(required);
    assert!(yaml.contains("  holdTime: 90s\n") && !report.contains("holdTime"), "{yaml}{report}");
}

#[test]
fn a_peer_that_only_v1beta1_has_written_is_one_whatever_it_is_read_as() {
    let report = |versions: &[&str]| {
        let spec =
            json!({"myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "peerPort": 0, "disableMP": false});
        let mut peer = object("BGPPeer", "old", &spec);
        let entry = |version: &&str| json!({"manager": "x", "apiVersion": format!("metallb.io/{version}")});
        peer["metadata"]["managedFields"] = versions.iter().map(entry).collect();
        printed(&input([peer], None), None)
    };
    let (yaml, told) = report(&["v1beta1", "v1beta1"]);
    assert!(
        told.contains("kept, converted from v1beta1\n") && yaml.contains("  peerPort: 179\n"),
        "{told}{yaml}"
    );
    assert!(!told.contains("does not know"), "{told}");
    for versions in [&["v1beta1", "v1beta2"][..], &["v1beta2"], &[]] {
        assert!(!report(versions).1.contains("converted"), "{versions:?}");
    }
}

#[test]
fn what_cannot_be_kept_is_told_at_once() {
    let mut newer = pool("newer", &["10.0.0.0/24"]);
    newer["apiVersion"] = json!("metallb.io/v1");
    let mut unknown = pool("unknown", &["10.0.1.0/24"]);
    unknown["spec"]["rainbow"] = json!({"colour": "red"});
    let (_, report) = printed(&input([unknown.clone()], None), None);
    assert!(report.contains("  FerroLB does not know spec.rainbow, which is left out\n"), "{report}");
    let bad = object("IPAddressPool", "bad", &json!({"addresses": "10.0.0.0/24"}));
    let all = input([newer, bad, pool("twice", &[]), pool("twice", &[])], None);
    let error = combined(&all, None).unwrap_err().to_string();
    for expected in [
        "IPAddressPool metallb-system/newer: version v1 is not known; write it as v1beta1",
        "IPAddressPool metallb-system/bad: invalid type: string",
        "IPAddressPool metallb-system/twice: IPAddressPool metallb-system/twice becomes the same object; rename one",
    ] {
        assert!(error.lines().any(|line| line.starts_with(expected)), "{expected}\nis not in\n{error}");
    }
}

#[test]
fn what_the_controller_would_not_accept_is_told() {
    let advertisement = object("L2Advertisement", "l2", &json!({"ipAddressPools": ["a", "none"]}));
    let objects = [
        pool("a", &["10.0.0.0/24", "10.1.0.1-fd00::1"]),
        pool("b", &["10.2.0.0/24"]),
        pool("c", &["10.2.0.7/32"]),
        advertisement,
    ];
    let (_, report) = printed(&input(objects, None), None);
    for expected in [
        "IPAddressPool metallb-system/a: kept\n  is not accepted: spec.addresses[1]: 10.1.0.1-fd00::1 mixes IPv4",
        "IPAddressPool metallb-system/c: kept\n  is not accepted: CIDR \"10.2.0.7/32\" in pool \"c\" overlaps",
        "L2Advertisement metallb-system/l2: kept\n  names pool none, which its namespace does not have",
        "note: Services that ask for no pool get addresses of the first by name that has one, a before the others",
    ] {
        assert!(report.contains(expected), "{expected}\nis not in\n{report}");
    }
}

#[test]
fn the_same_name_in_two_namespaces_is_refused_at_the_second() {
    let mut second = pool("a", &["10.1.0.0/24"]);
    second["metadata"]["namespace"] = json!("ferrolb-system");
    let objects = [pool("a", &["10.0.0.0/24"]), second];
    let (_, report) = printed(&input(objects.clone(), None), None);
    let expected =
        "IPAddressPool metallb-system/a: kept\n  is not accepted: pool \"a\" is already defined in another";
    assert!(report.contains(expected), "{report}");
    let error = combined(&input(objects, None), Some("metallb-system")).unwrap_err().to_string();
    assert!(error.contains("becomes the same object; rename one of them"), "{error}");
}

#[test]
fn in_a_cluster_it_is_told_what_changes_for_whom() {
    let service = json!({
        "metadata": {"namespace": "default", "name": "web", "annotations": {
            "metallb.universe.tf/ip-allocated-from-pool": "gone", "metallb.universe.tf/address-pool": "a",
        }},
        "spec": {"type": "LoadBalancer", "clusterIPs": ["10.233.0.9"]},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.9.9.9"}]}},
    });
    let node = json!({"metadata": {"name": "n1"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.5"}]}});
    let cluster = ControllerObjects {
        services: vec![parsed(service)],
        nodes: vec![parsed(node)],
        namespaces: vec![parsed(json!({"metadata": {"name": "default"}}))],
        ..ControllerObjects::default()
    };
    let mut pinned = pool("pinned", &["10.1.0.0/24"]);
    pinned["spec"]["serviceAllocation"] = json!({"namespaceSelectors": [{"matchLabels": {"team": "none"}}]});
    let objects = [pool("a", &["10.0.0.0/24"]), pinned, object("L2Advertisement", "l2", &json!({}))];
    let (_, report) = printed(&input(objects.clone(), Some(cluster)), None);
    for expected in [
        "IPAddressPool metallb-system/a: kept\n  not all of its addresses are given: 10.0.0.5 is the address of node n1\n",
        "IPAddressPool metallb-system/pinned: kept\n  its serviceAllocation selects no namespace that exists",
        "Service default/web:\n  loses 10.9.9.9: ",
        "note: 1 Services have annotations metallb.universe.tf/…, which are read and told once in an Event; write \
         metallb.io/… instead (default/web)\n",
    ] {
        assert!(report.contains(expected), "{expected}\nis not in\n{report}");
    }
    let (_, report) = printed(&input(objects, None), None);
    assert!(!report.contains("no namespace"), "a file does not tell which there are: {report}");
}

#[test]
fn a_pool_of_the_kind_before_is_told() {
    let former =
        "apiVersion: metallb.io/v1beta1\nkind: AddressPool\nmetadata: {name: p, namespace: metallb-system}\n";
    let (_, report) = printed(&manifest(former), None);
    assert!(
        report.starts_with("AddressPool metallb-system/p:\n  is not migrated, and nobody reads it: "),
        "{report}"
    );
}

#[test]
fn a_configmap_beside_objects_that_it_does_not_make_is_a_leftover() {
    let legacy = "address-pools: [{name: one, protocol: layer2, addresses: [10.0.0.0/24]}]";
    let both = |objects: Vec<Value>, is_cluster: bool| {
        let mut input = input(objects, is_cluster.then(ControllerObjects::default));
        input.written.legacy = Some(Source::in_cluster(legacy.into()));
        input
    };
    let (yaml, report) = printed(&both(vec![pool("one", &["10.7.0.0/24"])], true), None);
    assert!(
        yaml.contains("10.0.0.0/24") && !yaml.contains("10.7.0.0/24"),
        "migrated before, and again: {yaml}"
    );
    assert!(report.starts_with("address-pools[0] \"one\": "), "{report}");
    let others = vec![pool("one", &["10.7.0.0/24"]), pool("two", &["10.8.0.0/24"])];
    let (yaml, report) = printed(&both(others, true), None);
    assert!(!yaml.contains("10.0.0.0/24") && yaml.contains("10.7.0.0/24"), "{yaml}");
    assert!(report.contains("note: ConfigMap metallb-system/config is left over"), "{report}");
    let (yaml, _) = printed(&both(vec![pool("two", &["10.8.0.0/24"])], false), None);
    assert!(
        yaml.contains("from ConfigMap metallb-system/config and the objects of the manifest.\n"),
        "{yaml}"
    );
    assert!(yaml.contains("10.0.0.0/24") && yaml.contains("10.8.0.0/24"), "a manifest means what it says");
    let error = combined(&both(vec![pool("one", &["10.8.0.0/24"])], false), None).unwrap_err().to_string();
    assert!(
        error.contains("IPAddressPool metallb-system/one: the ConfigMap makes the same object"),
        "{error}"
    );
}
