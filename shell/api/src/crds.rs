//! The CustomResourceDefinitions of every kind, as objects and as a manifest.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool, ServiceReference, WebhookClientConfig, WebhookConversion,
};
use kube::CustomResourceExt;
use kube::core::crd::merge_crds;

use crate::bgp_peer::v1beta1;
use crate::{
    AddressClaim, BfdProfile, BgpAdvertisement, BgpPeer, BgpSession, Community, ConfigurationState,
    IpAddressPool, L2Advertisement, NodeState, ServiceBgpStatus, ServiceL2Status,
};

/// The definitions of all kinds, sorted by name.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        AddressClaim::crd(),
        BfdProfile::crd(),
        BgpAdvertisement::crd(),
        bgp_peer(),
        BgpSession::crd(),
        Community::crd(),
        ConfigurationState::crd(),
        IpAddressPool::crd(),
        L2Advertisement::crd(),
        node_state(),
        ServiceBgpStatus::crd(),
        ServiceL2Status::crd(),
    ];
    crds.iter_mut().for_each(complete);
    crds.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    crds
}

/// The definition of BGPPeer where the optional webhook runs: both versions are served, and
/// `service` converts between them.
#[must_use]
pub fn converted_bgp_peer(service: ServiceReference) -> CustomResourceDefinition {
    let mut crd = bgp_peer();
    complete(&mut crd);
    crd.spec.versions.iter_mut().for_each(|version| version.served = true);
    let client_config = WebhookClientConfig { service: Some(service), ..WebhookClientConfig::default() };
    crd.spec.conversion = Some(CustomResourceConversion {
        strategy: "Webhook".into(),
        webhook: Some(WebhookConversion {
            client_config: Some(client_config),
            conversion_review_versions: vec!["v1".into()],
        }),
    });
    crd
}

/// Definitions as a multi-document YAML manifest.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the definitions are constants, and a test serializes them")]
pub fn crds_yaml(crds: &[CustomResourceDefinition]) -> String {
    crds.iter()
        .map(|crd| {
            let mut value = serde_json::to_value(crd).expect("a definition is plain data");
            integers(&mut value);
            let text = serde_saphyr::to_string(&value).expect("JSON is YAML");
            format!("---\n{text}")
        })
        .collect()
}

/// Both versions of BGPPeer, the deprecated one not served. Conversion is named so that applying
/// this over MetalLB's definition switches its conversion webhook off.
fn bgp_peer() -> CustomResourceDefinition {
    let mut crd = merge_crds(vec![BgpPeer::crd(), v1beta1::BgpPeer::crd()], "v1beta2")
        .expect("both are versions of one kind");
    crd.spec.conversion = Some(CustomResourceConversion { strategy: "None".into(), webhook: None });
    crd
}

/// One apply writes the whole object, see [`crate::node_state`].
fn node_state() -> CustomResourceDefinition {
    let mut crd = NodeState::crd();
    for version in &mut crd.spec.versions {
        version.subresources = None;
    }
    crd
}

/// Makes every version's schema one that the API server takes.
fn complete(crd: &mut CustomResourceDefinition) {
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        root.into_iter().for_each(make_structural);
    }
}

/// Turns what `schemars` says about Rust types into what the API server should say about objects.
fn make_structural(root: &mut JSONSchemaProps) {
    // An object without `spec` stays one; the default that makes it deserialize is ours alone.
    if let Some(spec) = root.properties.as_mut().and_then(|properties| properties.get_mut("spec")) {
        spec.default = None;
    }
    // The name of the Rust type.
    root.title = None;
    normalize(root);
}

fn normalize(schema: &mut JSONSchemaProps) {
    // A null is pruned and defaulted, as Go's omitempty has it, instead of being kept.
    schema.nullable = None;
    // The API server knows the signed formats only.
    schema.format = schema.format.take().map(|format| match format.as_str() {
        "uint8" | "uint16" => "int32".into(),
        "uint32" | "uint64" => "int64".into(),
        _ => format,
    });
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(normalize);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => normalize(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(normalize),
        None => {}
    }
    match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(value)) => normalize(value),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => {}
    }
}

/// Writes bounds as the integers they are: the client library holds them as floats.
fn integers(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0);
            if let Some(integer) = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *value = integer.into();
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(integers),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(integers),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
