//! BGPPeer from one version to the other.
//!
//! The two versions spell what they have in common alike, so a conversion moves fields and reads
//! none. What `v1beta1` has no field for goes through it in an annotation: whoever reads, changes
//! and writes a peer in the old version loses nothing of it.

use serde_json::{Map, Value, json};

const V1BETA1: &str = "metallb.io/v1beta1";
const V1BETA2: &str = "metallb.io/v1beta2";
const KIND: &str = "BGPPeer";

/// On a `v1beta1` object only: the fields of `spec` that this version lacks, as JSON.
pub(super) const V1BETA2_FIELDS: &str = "ferrolb.io/v1beta2-fields";

/// The fields of `spec` that `v1beta1` has.
const V1BETA1_SPEC: [&str; 12] = [
    "myASN",
    "peerASN",
    "peerAddress",
    "sourceAddress",
    "peerPort",
    "holdTime",
    "keepaliveTime",
    "routerID",
    "nodeSelectors",
    "password",
    "bfdProfile",
    "ebgpMultiHop",
];

/// Of those, the required ones that `v1beta2` may leave out, with the value that means so.
fn absent_in_v1beta2() -> [(&'static str, Value); 2] {
    [("peerASN", json!(0)), ("peerAddress", json!(""))]
}

/// Whether a field only says what the definition's default says: the API server adds it again.
fn is_default(field: &str, value: &Value) -> bool {
    matches!(field, "disableMP" | "dualStackAddressFamily") && *value == json!(false)
}

/// `object` in the version `wanted`; one that has it already comes back as it is.
///
/// # Errors
/// It is no BGPPeer, or a version is not one of the two.
pub(crate) fn convert(mut object: Value, wanted: &str) -> Result<Value, String> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (found, kind) = (text("apiVersion"), text("kind"));
    let fields = object.as_object_mut().filter(|_| kind == KIND);
    let Some(fields) = fields else { return Err(format!("only {KIND} can be converted, found {kind:?}")) };
    match (found.as_str(), wanted) {
        (V1BETA1, V1BETA2) => upgrade(fields),
        (V1BETA2, V1BETA1) => downgrade(fields),
        (V1BETA1, V1BETA1) | (V1BETA2, V1BETA2) => {}
        (found, wanted) => {
            return Err(format!(
                "{KIND} is converted between {V1BETA1} and {V1BETA2}, not {found} to {wanted}"
            ));
        }
    }
    fields.insert("apiVersion".into(), wanted.into());
    Ok(object)
}

fn upgrade(object: &mut Map<String, Value>) {
    let carried = take_annotation(object).and_then(|text| serde_json::from_str(&text).ok());
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for (field, absent) in absent_in_v1beta2() {
        if spec.get(field) == Some(&absent) {
            spec.remove(field);
        }
    }
    // 0 is a port in v1beta1 only, and means none was given.
    if spec.get("peerPort") == Some(&json!(0)) {
        spec.remove("peerPort");
    }
    let carried: Map<String, Value> = carried.unwrap_or_default();
    let lacking = carried.into_iter().filter(|(field, _)| !V1BETA1_SPEC.contains(&field.as_str()));
    spec.extend(lacking);
}

fn downgrade(object: &mut Map<String, Value>) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let (kept, carried): (Map<_, _>, Map<_, _>) =
        std::mem::take(spec).into_iter().partition(|(field, _)| V1BETA1_SPEC.contains(&field.as_str()));
    let carried: Map<_, _> = carried.into_iter().filter(|(field, value)| !is_default(field, value)).collect();
    *spec = kept;
    for (field, absent) in absent_in_v1beta2() {
        spec.entry(field).or_insert(absent);
    }
    if !carried.is_empty() {
        let annotations = metadata(object).entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(V1BETA2_FIELDS.into(), Value::Object(carried).to_string().into());
        }
    }
}

/// Takes the annotation away, and an empty map of annotations with it.
fn take_annotation(object: &mut Map<String, Value>) -> Option<String> {
    let metadata = metadata(object);
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let taken = annotations.remove(V1BETA2_FIELDS)?;
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    taken.as_str().map(str::to_owned)
}

fn metadata(object: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata.as_object_mut().expect("it was made one above")
}

#[cfg(test)]
mod tests;
