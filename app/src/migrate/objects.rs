//! MetalLB's objects of today, from a manifest or a cluster: what is kept of them is what a person
//! wrote, as the version that is stored.

use std::collections::BTreeMap;

use ferrolb_api::{
    BfdProfile, BgpAdvertisement, BgpPeer, Community, IpAddressPool, L2Advertisement, METALLB_NAMESPACE,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::convert::READABLE_PASSWORD;
use super::kinds::{GROUP, Kind, ObjectKey};
use super::report::{Item, Problems, Report};
use super::resources::Resources;
use crate::controller::convert_bgp_peer;

/// An object of one of MetalLB's configuration kinds.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Where it is.
    pub(super) key: ObjectKey,
    version: String,
    value: Value,
}

impl Written {
    /// The object, unless it is of another kind.
    pub(super) fn new(value: Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let (group, version) = text("/apiVersion")?.split_once('/')?;
        let kind = text("/kind")?;
        let kind = Kind::ALL.into_iter().find(|known| group == GROUP && known.as_str() == kind)?;
        let namespace = text("/metadata/namespace").unwrap_or(METALLB_NAMESPACE).to_owned();
        let name = text("/metadata/name").unwrap_or_default().to_owned();
        let (key, version) = (ObjectKey { kind, namespace, name }, version.to_owned());
        Some(Self { key, version, value })
    }

    /// What a person wrote of it: name, labels, annotations and specification.
    fn clean(&self) -> Value {
        let metadata = |field: &str| self.value.pointer(&format!("/metadata/{field}")).cloned();
        let mut kept = Map::new();
        kept.insert("name".into(), json!(self.key.name));
        kept.insert("namespace".into(), json!(self.key.namespace));
        kept.extend(metadata("labels").map(|labels| ("labels".into(), labels)));
        let annotations = metadata("annotations").map(|mut annotations| {
            annotations.as_object_mut().map(|map| map.remove(LAST_APPLIED));
            annotations
        });
        let annotations = annotations.filter(|annotations| !is_empty(annotations));
        kept.extend(annotations.map(|annotations| ("annotations".into(), annotations)));
        let mut clean = json!({
            "apiVersion": format!("{GROUP}/{}", self.version),
            "kind": self.key.kind.as_str(),
            "metadata": kept,
        });
        if let (Some(spec), Some(object)) = (self.value.get("spec"), clean.as_object_mut()) {
            object.insert("spec".into(), spec.clone());
        }
        clean
    }

    /// Whether it, a peer, was written as the deprecated version, whatever version it is read as:
    /// without a webhook, the API server converts nothing but the name of the version.
    fn was_written_as_v1beta1(&self) -> bool {
        let managers = self.value.pointer("/metadata/managedFields").and_then(Value::as_array);
        let mut writers = managers
            .into_iter()
            .flatten()
            .filter(|entry| entry.get("subresource").is_none())
            .filter_map(|entry| entry.get("apiVersion").and_then(Value::as_str))
            .peekable();
        let old = format!("{GROUP}/{OLD_PEER}");
        let only_old_writers = writers.peek().is_some() && writers.all(|version| version == old);
        self.version == OLD_PEER || only_old_writers
    }
}

/// Adds `objects` to `resources`, each in `namespace` if that is given.
pub(super) fn convert(
    objects: &[Written],
    namespace: Option<&str>,
    (resources, report): (&mut Resources, &mut Report),
    problems: &mut Problems,
) {
    let mut seen: BTreeMap<ObjectKey, String> = BTreeMap::new();
    let mut sorted: Vec<&Written> = objects.iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    for object in sorted {
        let moved = Written { key: object.key.moved(namespace), ..object.clone() };
        if let Some(first) = seen.insert(moved.key.clone(), object.key.to_string()) {
            problems.at(&object.key, format_args!("{first} becomes the same object; rename one of them"));
        }
        let mut item = Item::new(&moved.key.to_string(), None);
        item.is(if moved.key == object.key {
            "kept".into()
        } else {
            format!("copied from {}, which is then to be deleted", object.key)
        });
        add(&moved, resources, &mut item, problems);
        report.items.push(item);
    }
}

fn add(object: &Written, resources: &mut Resources, item: &mut Item, problems: &mut Problems) {
    let kind = object.key.kind;
    let is_old = kind == Kind::BgpPeer && object.version == OLD_PEER;
    if object.version != kind.version() && !is_old {
        let version = &object.version;
        problems
            .at(&object.key, format_args!("version {version} is not known; write it as {}", kind.version()));
        return;
    }
    match kind {
        Kind::BgpPeer => resources.peers.extend(read_peer(object, item, problems)),
        Kind::IpAddressPool => resources.pools.extend(read::<IpAddressPool>(object, item, problems)),
        Kind::BgpAdvertisement => {
            resources.bgp_advertisements.extend(read::<BgpAdvertisement>(object, item, problems));
        }
        Kind::L2Advertisement => {
            let advertisement = read::<L2Advertisement>(object, item, problems);
            if advertisement.as_ref().is_some_and(|object| !object.spec.interfaces.is_empty()) {
                item.note("a node that has none of its interfaces does not announce, and another does; with MetalLB nobody did");
            }
            resources.l2_advertisements.extend(advertisement);
        }
        Kind::BfdProfile => resources.bfd_profiles.extend(read::<BfdProfile>(object, item, problems)),
        Kind::Community => resources.communities.extend(read::<Community>(object, item, problems)),
    }
}

/// A peer of the deprecated version becomes what the webhook makes of it.
fn read_peer(object: &Written, item: &mut Item, problems: &mut Problems) -> Option<BgpPeer> {
    let is_old = object.was_written_as_v1beta1();
    let mut current = object.clone();
    if is_old {
        item.is("converted from v1beta1".into());
        let mut old = object.value.clone();
        old.as_object_mut()?.insert("apiVersion".into(), format!("{GROUP}/{OLD_PEER}").into());
        let version = object.key.kind.version();
        let value = problems.take(&object.key, convert_bgp_peer(old, &format!("{GROUP}/{version}")))?;
        current = Written { version: version.into(), value, ..current };
    }
    let peer: BgpPeer = read(&current, item, problems)?;
    if is_old && peer.spec.hold_time.is_none() {
        item.note(
            "holdTime is not written and stays so, which means the usual hold time; MetalLB makes 0s of it, which \
             means no keepalives",
        );
    }
    if peer.spec.password.is_some() {
        item.note(READABLE_PASSWORD);
    }
    Some(peer)
}

/// The object, typed. Fields that FerroLB does not know are told.
fn read<K: DeserializeOwned + Serialize>(
    object: &Written,
    item: &mut Item,
    problems: &mut Problems,
) -> Option<K> {
    let clean = object.clean();
    let typed: K = problems.take(&object.key, serde_json::from_value(clean.clone()))?;
    let kept = problems.take(&object.key, serde_json::to_value(&typed))?;
    let mut lost = Vec::new();
    fields_lost("", &clean, &kept, &mut lost);
    if !lost.is_empty() {
        item.note(format!("FerroLB does not know {}, which is left out", lost.join(", ")));
    }
    Some(typed)
}

/// A specification with every default written, to compare with another.
pub(super) fn normal_spec(kind: Kind, spec: Option<&Value>) -> Option<Value> {
    fn normal<K: DeserializeOwned + Serialize>(value: &Value) -> Option<Value> {
        serde_json::to_value(serde_json::from_value::<K>(value.clone()).ok()?).ok()
    }
    let mut object = json!({ "metadata": {} });
    if let (Some(spec), Some(fields)) = (spec, object.as_object_mut()) {
        fields.insert("spec".into(), spec.clone());
    }
    let value = &object;
    let value = match kind {
        Kind::BgpPeer => normal::<BgpPeer>(value),
        Kind::IpAddressPool => normal::<IpAddressPool>(value),
        Kind::BgpAdvertisement => normal::<BgpAdvertisement>(value),
        Kind::L2Advertisement => normal::<L2Advertisement>(value),
        Kind::BfdProfile => normal::<BfdProfile>(value),
        Kind::Community => normal::<Community>(value),
    };
    value?.get("spec").cloned()
}

/// The fields of `original` that `kept` lacks, by their paths. What is empty says nothing.
fn fields_lost(path: &str, original: &Value, kept: &Value, lost: &mut Vec<String>) {
    match (original, kept) {
        (Value::Object(original), Value::Object(kept)) => {
            for (field, value) in original.iter().filter(|(_, value)| !is_empty(value)) {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                match kept.get(field) {
                    Some(kept) => fields_lost(&path, value, kept, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(original), Value::Array(kept)) => {
            for (index, (value, kept)) in original.iter().zip(kept).enumerate() {
                fields_lost(&format!("{path}[{index}]"), value, kept, lost);
            }
        }
        (_, _) => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The deprecated version of `BGPPeer`.
const OLD_PEER: &str = "v1beta1";
/// What `kubectl apply` keeps in the object: the whole of it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
