//! What `--apply` does, decided before anything is written, so that a run without it says the same.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{DynamicObject, TypeMeta};
use serde_json::Value;

use super::combine::Combined;
use super::kinds::{GROUP, Kind, ObjectKey};
use super::objects::{Written, normal_spec};

/// What the cluster stores of MetalLB's configuration kinds.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The definition of each kind that the cluster knows.
    pub(super) definitions: BTreeMap<Kind, Definition>,
    /// Every object, in whatever namespace, as it was read.
    pub(super) objects: BTreeMap<ObjectKey, DynamicObject>,
}

/// What matters of a `CustomResourceDefinition`.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    /// The version at which objects are read and written.
    pub(super) version: String,
    /// The version that is stored.
    pub(super) storage: String,
    /// The versions of which objects may be stored (`status.storedVersions`).
    pub(super) stored_versions: Vec<String>,
}

impl Definition {
    /// Whether objects of an older version may be stored.
    fn is_stale(&self) -> bool {
        self.stored_versions.iter().any(|version| *version != self.storage)
    }
}

impl Stored {
    /// The objects as a manifest would have them.
    pub(super) fn written(&self) -> anyhow::Result<Vec<Written>> {
        let values = self.objects.iter().map(|(key, object)| {
            let mut object = object.clone();
            let version = self.definitions.get(&key.kind).map_or(key.kind.version(), |found| &found.version);
            // In a list, objects need not repeat what they are.
            object.types =
                Some(TypeMeta { api_version: format!("{GROUP}/{version}"), kind: key.kind.as_str().into() });
            Ok(serde_json::to_value(object)?)
        });
        let values: Vec<Value> = values.collect::<anyhow::Result<_>>()?;
        Ok(values.into_iter().filter_map(Written::new).collect())
    }
}

/// One write, or the lack of one.
#[derive(Debug)]
pub(super) enum Step {
    /// Server-side apply of the object.
    Apply(ObjectKey, Value),
    /// The object is replaced by what its former version means.
    Convert(ObjectKey, Box<DynamicObject>),
    /// The object is written as it is, so that it is stored at the version of today.
    Rewrite(ObjectKey, Box<DynamicObject>),
    /// Nothing to do.
    Keep(ObjectKey),
    /// All objects of the kind are stored at one version, and the definition may say so.
    Prune(Kind, Definition),
}

impl Step {
    /// What it is about, and what is done (`true`) or would be.
    pub(super) fn told(&self, done: bool) -> String {
        let told = |key: &ObjectKey, did: &str, would: &str| {
            format!("{} {}", key.resource(), if done { did } else { would })
        };
        match self {
            Self::Apply(key, _) => told(key, "applied", "would be applied"),
            Self::Convert(key, _) => told(key, "converted", "would be converted"),
            Self::Rewrite(key, _) => told(key, "rewritten", "would be rewritten"),
            Self::Keep(key) => told(key, "stays as it is", "stays as it is"),
            Self::Prune(kind, definition) => format!(
                "customresourcedefinitions.apiextensions.k8s.io {} storedVersions {} {} {}",
                kind.definition(),
                definition.stored_versions.join(","),
                if done { "cut to" } else { "would be cut to" },
                definition.storage
            ),
        }
    }
}

/// All steps, in their order; `stored` is what the cluster holds, when it was read.
pub(super) fn steps(combined: &Combined, stored: &Stored) -> anyhow::Result<Vec<Step>> {
    let keys = combined.resources.keys();
    let wanted = keys.iter().cloned().zip(combined.resources.values()?);
    let mut steps: Vec<Step> = wanted.map(|(key, value)| step(key, value, combined, stored)).collect();
    let planned: BTreeSet<&ObjectKey> = keys.iter().collect();
    // Objects that were copied to another namespace are still stored where they were.
    let others = stored.objects.iter().filter(|(key, _)| !planned.contains(key));
    steps.extend(others.map(|(key, object)| keep(key.clone(), object, stored)));
    for (kind, definition) in stored.definitions.iter().filter(|(_, definition)| definition.is_stale()) {
        steps.push(Step::Prune(*kind, definition.clone()));
    }
    Ok(steps)
}

fn step(key: ObjectKey, value: Value, combined: &Combined, stored: &Stored) -> Step {
    let object = stored.objects.get(&key).filter(|_| !combined.from_config_map.contains(&key));
    let Some(object) = object else { return Step::Apply(key, value) };
    let spec = value.get("spec").cloned();
    let current = normal_spec(key.kind, object.data.get("spec"));
    if current == spec {
        return keep(key, object, stored);
    }
    let mut converted = object.clone();
    converted.data.as_object_mut().map(|fields| fields.insert("spec".into(), spec.unwrap_or_default()));
    Step::Convert(key, Box::new(converted))
}

fn keep(key: ObjectKey, object: &DynamicObject, stored: &Stored) -> Step {
    let is_stale = stored.definitions.get(&key.kind).is_some_and(Definition::is_stale);
    if is_stale { Step::Rewrite(key, Box::new(object.clone())) } else { Step::Keep(key) }
}
