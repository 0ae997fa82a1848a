//! What `kubectl apply` makes of a document: a merge of three, the document, the object as it is,
//! and the document that was applied before it.

use anyhow::Context;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Where `kubectl apply` keeps the last document.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object after `document` is applied to it, or a new one of the time `created`.
///
/// # Errors
/// The result does not have the shape of its kind.
pub(super) fn applied<K>(live: Option<&K>, document: &Value, created: Timestamp) -> anyhow::Result<K>
where
    K: Resource + Serialize + DeserializeOwned,
{
    let (mut object, before) = match live {
        Some(live) => {
            let before = live.meta().annotations.as_ref().and_then(|all| all.get(LAST_APPLIED));
            let before = before.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
            (serde_json::to_value(live)?, before)
        }
        None => {
            let metadata = document.get("metadata");
            let field = |field| metadata.and_then(|metadata| metadata.get(field));
            (json!({"metadata": {"name": field("name"), "namespace": field("namespace")}}), Value::Null)
        }
    };
    merge(&mut object, &said(document), &said(&before));
    let mut object: K =
        serde_json::from_value(object).context("the object does not have the shape of its kind")?;
    object.meta_mut().creation_timestamp.get_or_insert(Time(created));
    Ok(object)
}

/// The part of a document that its author decides: the rest is the API server's.
fn said(document: &Value) -> Value {
    let part = |from: Option<&Value>, fields: &[&str]| -> Map<String, Value> {
        let value = |field: &&str| Some(((*field).to_owned(), from?.get(*field)?.clone()));
        fields.iter().filter_map(value).collect()
    };
    let mut said = part(Some(document), &["spec"]);
    let mut metadata = part(document.get("metadata"), &["labels", "annotations"]);
    // kubectl adds its own annotation to every document, so none ever drops the whole map.
    metadata.entry("annotations").or_insert(json!({}));
    said.insert("metadata".into(), metadata.into());
    said.into()
}

/// Makes `object` say what `document` says, and no more what only `before` said.
fn merge(object: &mut Value, document: &Value, before: &Value) {
    let Value::Object(fields) = document else {
        object.clone_from(document);
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let Value::Object(object) = object else { return };
    for dropped in before.as_object().into_iter().flat_map(Map::keys) {
        if !fields.contains_key(dropped) {
            object.remove(dropped);
        }
    }
    for (field, value) in fields {
        if value.is_null() {
            object.remove(field);
        } else {
            let before = before.get(field).unwrap_or(&Value::Null);
            merge(object.entry(field).or_insert(Value::Null), value, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_api::IpAddressPool;
    use kube::ResourceExt;

    fn pool(metadata: Value, spec: Value) -> IpAddressPool {
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn what_the_document_says_is_replaced_and_the_rest_stays() {
        let live = pool(
            json!({"name": "p", "uid": "u", "labels": {"a": "1", "b": "2"}}),
            json!({"addresses": ["10.0.0.0/24", "10.0.1.0/24"], "autoAssign": false}),
        );
        let document = json!({
            "metadata": {"name": "p", "uid": "other", "labels": {"a": "9"}},
            "spec": {"addresses": ["10.0.2.0/24"]},
            "status": {"assignedIPv4": 7},
        });
        let merged = applied(Some(&live), &document, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(merged.spec.addresses, ["10.0.2.0/24"]);
        assert!(!merged.spec.auto_assign);
        assert_eq!(merged.labels()["a"], "9");
        assert_eq!(merged.labels()["b"], "2");
        assert_eq!((merged.uid().as_deref(), merged.status), (Some("u"), None));
    }

    #[test]
    fn what_was_applied_before_and_is_not_said_any_more_goes() {
        let last = json!({
            "metadata": {"annotations": {"applied": "1"}},
            "spec": {"addresses": ["10.0.0.0/24"], "autoAssign": false},
        });
        let live = pool(
            json!({"name": "p", "annotations": {LAST_APPLIED: last.to_string(), "applied": "1", "mine": "2"}}),
            json!({"addresses": ["10.0.0.0/24"], "autoAssign": false, "avoidBuggyIPs": true}),
        );
        let document = json!({"metadata": {"name": "p"}, "spec": {"addresses": ["10.0.0.0/24"]}});
        let merged = applied(Some(&live), &document, Timestamp::UNIX_EPOCH).unwrap();
        assert!(merged.spec.auto_assign, "the default again");
        assert!(merged.spec.avoid_buggy_ips, "set by somebody else");
        assert!(!merged.annotations().contains_key("applied"));
        assert!(merged.annotations().contains_key("mine"), "set by somebody else");
    }

    #[test]
    fn a_new_object_is_created_now_and_a_shapeless_one_is_told() {
        let now = Timestamp::from_second(7).unwrap();
        let document = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"addresses": []}});
        let made: IpAddressPool = applied(None, &document, now).unwrap();
        assert_eq!((made.name_any(), made.namespace()), ("p".into(), Some("n".into())));
        assert_eq!(made.creation_timestamp(), Some(Time(now)));
        let shapeless = json!({"metadata": {"name": "p"}, "spec": {"addresses": "all"}});
        let error = applied::<IpAddressPool>(None, &shapeless, now).unwrap_err();
        assert!(format!("{error:#}").contains("shape of its kind: invalid type"), "{error:#}");
    }
}
