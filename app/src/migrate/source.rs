//! Where the configuration of before 0.13 is, and where objects of today are: in a manifest, or bare.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use ferrolb_api::METALLB_NAMESPACE;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::kinds::{FORMER_POOL, GROUP};
use super::legacy;
use super::objects::Written;

/// The name of the ConfigMap, and of the key in it.
pub(super) const CONFIG: &str = "config";

/// What a manifest holds.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The configuration of before 0.13.
    pub(super) legacy: Option<Source>,
    /// The objects of today.
    pub(super) objects: Vec<Written>,
    /// Objects of the kind [`FORMER_POOL`], by name.
    pub(super) former_pools: Vec<String>,
}

impl Manifest {
    /// The ConfigMap in `text`, the one named as MetalLB wants it, or the only one with the key; and
    /// all objects of MetalLB's kinds.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options())
            .context("the manifest does not parse")?;
        let items: Vec<Value> = documents.into_iter().flat_map(items).collect();
        let manifest = Self {
            legacy: Source::among(&items)?,
            former_pools: items.iter().filter_map(former_pool).collect(),
            objects: items.into_iter().filter_map(Written::new).collect(),
        };
        if manifest.is_empty() {
            bail!(
                "there is no object of MetalLB, and no ConfigMap with a key {CONFIG:?}; for the bare configuration, \
                 give --only-data"
            );
        }
        Ok(manifest)
    }

    /// Whether there is nothing of MetalLB in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.legacy.is_none() && self.objects.is_empty() && self.former_pools.is_empty()
    }
}

fn former_pool(item: &Value) -> Option<String> {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
    let is_metallbs = text("/apiVersion")?.starts_with(GROUP);
    let namespace = text("/metadata/namespace").unwrap_or(METALLB_NAMESPACE);
    let name = text("/metadata/name").unwrap_or_default();
    (is_metallbs && text("/kind")? == FORMER_POOL).then(|| format!("{FORMER_POOL} {namespace}/{name}"))
}

/// An object by itself, a `List` as what it lists.
fn items(mut document: Value) -> Vec<Value> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(listed)) if is_list => listed.into_iter().flat_map(items).collect(),
        Some(_) | None => vec![document],
    }
}

/// A configuration that was found.
#[derive(Debug)]
pub(super) struct Source {
    /// What to call it in messages.
    pub(super) place: String,
    namespace: Option<String>,
    data: String,
}

impl Source {
    /// Text that is nothing but the configuration.
    pub(super) fn bare(data: String) -> Self {
        Self { place: "the input".into(), namespace: None, data }
    }

    /// The text under the key of the ConfigMap that MetalLB reads.
    pub(super) fn in_cluster(data: String) -> Self {
        Self { place: place(METALLB_NAMESPACE, CONFIG), namespace: Some(METALLB_NAMESPACE.into()), data }
    }

    fn among(items: &[Value]) -> anyhow::Result<Option<Self>> {
        let mut found: Vec<Self> = items.iter().filter_map(ConfigMap::source).collect();
        let named = place(METALLB_NAMESPACE, CONFIG);
        if let Some(position) = found.iter().position(|source| source.place == named) {
            return Ok(Some(found.swap_remove(position)));
        }
        if found.len() > 1 {
            let places: Vec<&str> = found.iter().map(|source| source.place.as_str()).collect();
            bail!("several have a key {CONFIG:?}: {}; keep one of them", places.join(", "));
        }
        Ok(found.pop())
    }

    /// The namespace that its objects belong to, unless the operator `wants` another.
    pub(super) fn namespace<'a>(&'a self, wanted: Option<&'a str>) -> &'a str {
        wanted.or(self.namespace.as_deref()).unwrap_or(METALLB_NAMESPACE)
    }

    /// What is written there.
    pub(super) fn parse(&self) -> anyhow::Result<legacy::Config> {
        if self.data.trim().is_empty() {
            bail!("{} is empty; there is nothing to migrate", self.place);
        }
        serde_saphyr::from_str_with_options(&self.data, options())
            .with_context(|| format!("the configuration in {} does not parse", self.place))
    }
}

/// Reads a file, or standard input.
pub(super) fn read_text(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

/// How a ConfigMap is called in messages.
fn place(namespace: &str, name: &str) -> String {
    format!("ConfigMap {namespace}/{name}")
}

/// An object of any kind, so nothing in it is required.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    kind: String,
    metadata: Metadata,
    data: Option<Data>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

/// Other kinds have other things under `data`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Texts(BTreeMap<String, String>),
    Other(IgnoredAny),
}

impl ConfigMap {
    fn source(item: &Value) -> Option<Source> {
        let map = Self::deserialize(item).ok().filter(|map| map.kind == "ConfigMap")?;
        let data = match map.data? {
            Data::Texts(mut texts) => texts.remove(CONFIG)?,
            Data::Other(_) => return None,
        };
        let Metadata { name, namespace } = map.metadata;
        let place = place(namespace.as_deref().unwrap_or(METALLB_NAMESPACE), &name);
        Some(Source { place, namespace, data })
    }
}

/// Errors on one line: the place is told, the text need not be repeated.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { with_snippet: false }
}
