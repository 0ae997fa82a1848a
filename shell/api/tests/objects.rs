//! The objects under `tests/objects`: what the API server accepts must deserialize and survive a
//! round trip, and what it must reject has its message in the definitions. That a real API server
//! agrees is for the end-to-end tests, which apply the same files.

use ferrolb_api::{
    AddressClaim, BfdProfile, BgpAdvertisement, BgpPeer, BgpSession, Community, ConfigurationState,
    IpAddressPool, L2Advertisement, NodeState, ServiceBgpStatus, ServiceL2Status, crds,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ACCEPTED: &str = include_str!("objects/accepted.yaml");
const REJECTED: &str = include_str!("objects/rejected.yaml");

fn documents(file: &str) -> impl Iterator<Item = &str> {
    file.split("---\n").skip(1)
}

/// The object as it is after Rust has read and written it.
fn round_trip(object: &Value) -> Value {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let typed: T =
            serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
        serde_json::to_value(typed).expect("objects are plain data")
    }
    match object["kind"].as_str().expect("every object has a kind") {
        "IPAddressPool" => through::<IpAddressPool>(object),
        "L2Advertisement" => through::<L2Advertisement>(object),
        "BGPAdvertisement" => through::<BgpAdvertisement>(object),
        "Community" => through::<Community>(object),
        "BFDProfile" => through::<BfdProfile>(object),
        "BGPPeer" => through::<BgpPeer>(object),
        "ServiceL2Status" => through::<ServiceL2Status>(object),
        "ServiceBGPStatus" => through::<ServiceBgpStatus>(object),
        "ConfigurationState" => through::<ConfigurationState>(object),
        "AddressClaim" => through::<AddressClaim>(object),
        "NodeState" => through::<NodeState>(object),
        "BGPSession" => through::<BgpSession>(object),
        other => panic!("{other} is not a kind of ours"),
    }
}

/// Panics unless everything in `part` is in `whole` too.
#[track_caller]
fn assert_contains(whole: &Value, part: &Value, path: &str) {
    let Value::Object(fields) = part else {
        assert_eq!(whole, part, "{path}");
        return;
    };
    for (name, value) in fields {
        assert_contains(&whole[name], value, &format!("{path}.{name}"));
    }
}

#[test]
fn accepted_objects_survive_a_round_trip() {
    for document in documents(ACCEPTED) {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        assert_contains(&round_trip(&object), &object, object["metadata"]["name"].as_str().unwrap());
    }
}

#[test]
fn the_accepted_objects_are_of_every_served_kind() {
    let kinds: Vec<Value> = documents(ACCEPTED)
        .map(|document| serde_saphyr::from_str::<Value>(document).unwrap()["kind"].clone())
        .collect();
    for crd in crds() {
        assert!(kinds.contains(&json!(crd.spec.names.kind)), "{} has no example", crd.spec.names.kind);
    }
}

#[test]
fn the_walkthrough_pool_has_the_defaults_of_the_contract() {
    let object: Value = serde_saphyr::from_str(documents(ACCEPTED).next().unwrap()).unwrap();
    assert_eq!(
        round_trip(&object)["spec"],
        json!({
            "addresses": ["192.168.100.240-192.168.100.250"],
            "autoAssign": true,
            "avoidBuggyIPs": false,
        })
    );
}

#[test]
fn an_advertisement_without_spec_selects_everything() {
    let l2: L2Advertisement = serde_json::from_value(json!({"metadata": {"name": "all"}})).unwrap();
    assert_eq!(l2.spec, Default::default());
    let bgp: BgpAdvertisement = serde_json::from_value(json!({"metadata": {"name": "all"}})).unwrap();
    assert_eq!((bgp.spec.aggregation_length, bgp.spec.aggregation_length_v6), (32, 128));
    let empty: BgpAdvertisement = serde_json::from_value(json!({"metadata": {}, "spec": {}})).unwrap();
    assert_eq!(empty.spec, bgp.spec);
}

#[test]
fn every_rejection_has_its_message_in_the_definitions() {
    let definitions = serde_json::to_value(crds()).unwrap();
    let mut messages = Vec::new();
    collect_messages(&definitions, &mut messages);
    // What the API server itself says about schemas.
    let built_in =
        ["Duplicate value", "Required value", "Unsupported value", "should be ", "no matches for kind"];
    for document in documents(REJECTED) {
        let expected = document.lines().next().and_then(|line| line.strip_prefix("# expect: ")).unwrap();
        assert!(
            built_in.iter().any(|message| expected.contains(message))
                || messages.iter().any(|message| message.contains(expected)),
            "no rule says {expected:?}"
        );
    }
}

#[test]
fn every_rule_has_an_object_that_it_rejects() {
    let definitions = serde_json::to_value(crds()).unwrap();
    let mut messages = Vec::new();
    collect_messages(&definitions, &mut messages);
    let transitions = ["Value is immutable", "EnableGracefulRestart cannot be changed after creation"];
    for message in messages.iter().filter(|message| !transitions.contains(message)) {
        let is_shown = documents(REJECTED).any(|document| {
            let expected = document.lines().next().and_then(|line| line.strip_prefix("# expect: "));
            expected.is_some_and(|expected| message.contains(expected))
        });
        assert!(is_shown, "no object in rejected.yaml shows {message:?}");
    }
}

fn collect_messages<'a>(value: &'a Value, messages: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
            messages.extend(rules.into_iter().flatten().filter_map(|rule| rule["message"].as_str()));
            fields.values().for_each(|field| collect_messages(field, messages));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_messages(item, messages)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
