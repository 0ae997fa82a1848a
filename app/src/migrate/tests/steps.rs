//! What would be written, and in which order.

use std::collections::BTreeMap;

use ferrolb_cluster::controller::ControllerObjects;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::super::combine::Input;
use super::super::kinds::{Kind, ObjectKey};
use super::super::source::{Manifest, Source};
use super::super::steps::{Definition, Stored, steps};
use super::combined;

fn stored(kind: Kind, name: &str, spec: &Value, writer: &str) -> (ObjectKey, DynamicObject) {
    let managers = json!([{"manager": "kubectl", "apiVersion": format!("metallb.io/{writer}")}]);
    let object = json!({
        "metadata": {"namespace": "metallb-system", "name": name, "resourceVersion": "7", "managedFields": managers},
        "spec": spec,
        "status": {"conditions": []},
    });
    let key = ObjectKey { kind, namespace: "metallb-system".into(), name: name.into() };
    (key, serde_json::from_value(object).unwrap())
}

fn definition(storage: &str, stored: &[&str]) -> Definition {
    let stored_versions = stored.iter().map(|version| (*version).to_owned()).collect();
    Definition { version: storage.into(), storage: storage.into(), stored_versions }
}

fn peer(port: u16) -> Value {
    json!({"myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "peerPort": port})
}

/// A cluster where peers may be stored at two versions.
fn cluster() -> Stored {
    let pool = json!({"addresses": ["10.0.0.0/24"]});
    Stored {
        definitions: BTreeMap::from([
            (Kind::BgpPeer, definition("v1beta2", &["v1beta1", "v1beta2"])),
            (Kind::IpAddressPool, definition("v1beta1", &["v1beta1"])),
        ]),
        objects: BTreeMap::from([
            stored(Kind::BgpPeer, "new", &peer(179), "v1beta2"),
            stored(Kind::BgpPeer, "portless", &peer(0), "v1beta1"),
            stored(Kind::BgpPeer, "old", &peer(179), "v1beta1"),
            stored(Kind::IpAddressPool, "pool", &pool, "v1beta1"),
        ]),
    }
}

fn planned(stored: &Stored, legacy: Option<&str>, namespace: Option<&str>) -> Vec<String> {
    let legacy = legacy.map(|data| Source::in_cluster(data.into()));
    let written = Manifest { legacy, objects: stored.written().unwrap(), ..Manifest::default() };
    let input = Input { written, cluster: Some(ControllerObjects::default()) };
    let combined = combined(&input, namespace).unwrap();
    steps(&combined, stored).unwrap().iter().map(|step| step.told(false)).collect()
}

#[test]
fn what_is_stored_at_a_former_version_is_rewritten_and_then_the_definition_says_so() {
    let expected = [
        "bgppeers.metallb.io metallb-system/new would be rewritten",
        "bgppeers.metallb.io metallb-system/old would be rewritten",
        "bgppeers.metallb.io metallb-system/portless would be converted",
        "ipaddresspools.metallb.io metallb-system/pool stays as it is",
        "customresourcedefinitions.apiextensions.k8s.io bgppeers.metallb.io storedVersions v1beta1,v1beta2 \
         would be cut to v1beta2",
    ];
    assert_eq!(planned(&cluster(), None, None), expected);
}

#[test]
fn nothing_is_written_when_nothing_is_old() {
    let mut current = cluster();
    current.definitions.insert(Kind::BgpPeer, definition("v1beta2", &["v1beta2"]));
    current.objects.retain(|key, _| key.name != "portless");
    let planned = planned(&current, None, None);
    assert_eq!(planned.len(), 3);
    assert!(planned.iter().all(|step| step.ends_with(" stays as it is")), "{planned:?}");
}

#[test]
fn objects_that_go_to_another_namespace_stay_where_they_were_as_well() {
    let planned = planned(&cluster(), None, Some("ferrolb-system"));
    for expected in [
        "bgppeers.metallb.io ferrolb-system/old would be applied",
        "bgppeers.metallb.io metallb-system/old would be rewritten",
        "ipaddresspools.metallb.io metallb-system/pool stays as it is",
    ] {
        assert!(planned.iter().any(|step| step == expected), "{expected} is not in {planned:?}");
    }
}

#[test]
fn what_the_configmap_makes_is_applied_whether_it_is_there_or_not() {
    let legacy = "address-pools: [{name: pool, protocol: layer2, addresses: [10.0.0.0/24]}]";
    let mut stored = cluster();
    stored.objects.retain(|key, _| key.kind == Kind::IpAddressPool);
    let expected = [
        "ipaddresspools.metallb.io metallb-system/pool would be applied",
        "l2advertisements.metallb.io metallb-system/l2advertisement1 would be applied",
        "customresourcedefinitions.apiextensions.k8s.io bgppeers.metallb.io storedVersions v1beta1,v1beta2 \
         would be cut to v1beta2",
    ];
    assert_eq!(planned(&stored, Some(legacy), None), expected);
}
