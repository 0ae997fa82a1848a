use super::*;
use ferrolb_api::bgp_peer::{DynamicAsn, SecretReference, v1beta1};
use ferrolb_api::{BgpPeer, bgp_peer::BgpPeerSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::option::of;
use proptest::prelude::*;

fn peer(version: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": version, "kind": "BGPPeer", "spec": spec,
        "metadata": {"name": "tor", "namespace": "metallb-system", "uid": "u", "annotations": {"a": "b"}},
        "status": {"conditions": [{"type": "Accepted", "status": "True", "reason": "Valid", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    })
}

#[test]
fn an_old_peer_keeps_what_it_says_and_gets_nothing_it_did_not_say() {
    let spec = json!({
        "myASN": 64500, "peerASN": 64501, "peerAddress": "10.0.0.1", "peerPort": 0, "password": "p",
        "nodeSelectors": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}],
    });
    let converted = convert(peer(V1BETA1, &spec), V1BETA2).unwrap();
    let mut expected = spec;
    expected.as_object_mut().unwrap().remove("peerPort");
    // MetalLB would add holdTime 0s: no hold timer at all.
    assert_eq!(converted, peer(V1BETA2, &expected));
    serde_json::from_value::<BgpPeer>(converted).expect("it is a peer of v1beta2");
}

#[test]
fn a_new_peer_seen_through_the_old_version_carries_what_that_lacks() {
    let spec = json!({"myASN": 64500, "dynamicASN": "external", "interface": "eth1", "vrf": "red"});
    let old = convert(peer(V1BETA2, &spec), V1BETA1).unwrap();
    assert_eq!(old["spec"], json!({"myASN": 64500, "peerASN": 0, "peerAddress": ""}));
    let carried: Value =
        serde_json::from_str(old["metadata"]["annotations"][V1BETA2_FIELDS].as_str().unwrap()).unwrap();
    assert_eq!(carried, json!({"dynamicASN": "external", "interface": "eth1", "vrf": "red"}));
    assert_eq!(convert(old, V1BETA2).unwrap(), peer(V1BETA2, &spec));
}

#[test]
fn a_change_through_the_old_version_wins_over_what_was_carried() {
    let spec = json!({"myASN": 64500, "peerASN": 64501, "peerAddress": "10.0.0.1", "vrf": "red"});
    let mut old = convert(peer(V1BETA2, &spec), V1BETA1).unwrap();
    old["spec"]["peerAddress"] = json!("10.0.0.2");
    old["metadata"]["annotations"][V1BETA2_FIELDS] = json!("{\"peerAddress\":\"10.9.9.9\",\"vrf\":\"red\"}");
    let new = convert(old, V1BETA2).unwrap();
    assert_eq!(new["spec"]["peerAddress"], "10.0.0.2");
    assert_eq!(new["spec"]["vrf"], "red");
}

#[test]
fn what_cannot_be_converted_is_named() {
    let error = |object: Value, wanted: &str| convert(object, wanted).unwrap_err();
    let spec = json!({"myASN": 1});
    assert!(error(peer("metallb.io/v1", &spec), V1BETA2).contains("not metallb.io/v1 to metallb.io/v1beta2"));
    assert!(error(peer(V1BETA1, &spec), "metallb.io/v3").contains("to metallb.io/v3"));
    let mut pool = peer(V1BETA1, &spec);
    pool["kind"] = json!("IPAddressPool");
    assert!(error(pool, V1BETA2).contains("found \"IPAddressPool\""));
    assert!(error(json!(7), V1BETA2).contains("only BGPPeer"));
    for broken in [json!({"metadata": 7}), json!({"spec": 7}), json!({"metadata": {"annotations": []}})] {
        let mut object = broken;
        object["apiVersion"] = json!(V1BETA1);
        object["kind"] = json!(KIND);
        convert(object, V1BETA2).expect("the API server judges shapes");
    }
}

#[test]
fn the_fields_of_the_old_version_are_those_of_its_definition() {
    let crd = super::super::converted_bgp_peer();
    let version = crd.spec.versions.iter().find(|version| version.name == "v1beta1").unwrap();
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).unwrap();
    let spec = &schema.properties.as_ref().unwrap()["spec"];
    let mut expected = V1BETA1_SPEC.to_vec();
    expected.sort_unstable();
    assert_eq!(spec.properties.as_ref().unwrap().keys().collect::<Vec<_>>(), expected);
    let required: Vec<&str> = spec.required.iter().flatten().map(String::as_str).collect();
    assert_eq!(required, ["myASN", "peerASN", "peerAddress"]);
}

/// Text as it stands in a field; empty text is what `v1beta1` says for an absent address.
fn text() -> impl Strategy<Value = Option<String>> {
    of("[a-z0-9.:]{1,9}")
}

prop_compose! {
    fn selectors()(values in proptest::collection::vec(("[a-z]{1,4}", "[a-z]{1,4}"), 0..3)) -> Vec<LabelSelector> {
        let requirement = |(key, value): (String, String)| LabelSelector {
            match_labels: Some([(key.clone(), value.clone())].into()),
            match_expressions: Some(vec![LabelSelectorRequirement {
                key, operator: "In".into(), values: Some(vec![value]),
            }]),
        };
        values.into_iter().map(requirement).collect()
    }
}

prop_compose! {
    fn common()(my_asn: u32, peer_asn in of(1..u32::MAX), texts in proptest::array::uniform7(text()),
        peer_port in 1..16384_u16, node_selectors in selectors(), ebgp_multi_hop: Option<bool>) -> BgpPeerSpec
    {
        let [peer_address, source_address, hold_time, keepalive_time, router_id, password, bfd_profile] = texts;
        BgpPeerSpec {
            my_asn, peer_asn, peer_address, source_address, peer_port, hold_time, keepalive_time, router_id,
            node_selectors, password, bfd_profile, ebgp_multi_hop, ..BgpPeerSpec::default()
        }
    }
}

prop_compose! {
    fn spec()(common in common(), dynamic in of(any::<bool>()), local_asn: Option<u32>,
        texts in proptest::array::uniform4(text()), restart: Option<bool>, disable_mp: bool, dual: bool)
        -> BgpPeerSpec
    {
        let [interface, connect_time, vrf, secret] = texts;
        BgpPeerSpec {
            dynamic_asn: dynamic.map(|internal| if internal { DynamicAsn::Internal } else { DynamicAsn::External }),
            local_asn, interface, connect_time, vrf, enable_graceful_restart: restart, disable_mp,
            dual_stack_address_family: dual,
            password_secret: secret.map(|name| SecretReference { name: Some(name), namespace: None }),
            ..common
        }
    }
}

proptest! {
    #[test]
    fn a_peer_survives_the_way_through_the_old_version(spec in spec()) {
        let mut fields = serde_json::to_value(&spec).unwrap();
        fields.as_object_mut().unwrap().retain(|field, value| !is_default(field, value));
        let new = peer(V1BETA2, &fields);
        let old = convert(new.clone(), V1BETA1).unwrap();
        let parsed: v1beta1::BgpPeer = serde_json::from_value(old.clone()).unwrap();
        prop_assert_eq!(parsed.spec.my_asn, spec.my_asn);
        prop_assert_eq!(parsed.spec.peer_address, spec.peer_address.unwrap_or_default());
        prop_assert_eq!(convert(old, V1BETA2).unwrap(), new);
    }

    #[test]
    fn an_old_peer_survives_the_way_through_the_new_version(spec in common()) {
        let fields = serde_json::to_value(&spec).unwrap();
        let mut fields = fields.as_object().unwrap().clone();
        fields.retain(|field, _| V1BETA1_SPEC.contains(&field.as_str()));
        fields.entry("peerASN").or_insert(json!(0));
        fields.entry("peerAddress").or_insert(json!(""));
        let old = peer(V1BETA1, &Value::Object(fields));
        let new = convert(old.clone(), V1BETA2).unwrap();
        prop_assert!(serde_json::from_value::<BgpPeer>(new.clone()).is_ok());
        prop_assert_eq!(convert(new, V1BETA1).unwrap(), old);
    }
}
