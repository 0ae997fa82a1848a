//! Where the configuration is: in a manifest, bare, or in a cluster.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use ferrolb_api::METALLB_NAMESPACE;
use ferrolb_cluster::errors::{brief, is_absent};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::legacy;

/// The name of the ConfigMap, and of the key in it.
const CONFIG: &str = "config";

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

    /// The ConfigMap in a manifest: the one named as MetalLB wants it, or the only one with the key.
    pub(super) fn in_manifest(text: &str) -> anyhow::Result<Self> {
        let documents: Vec<Document> = serde_saphyr::from_multiple_with_options(text, options())
            .context("the manifest does not parse")?;
        let mut found: Vec<Self> = documents.into_iter().flat_map(Document::objects).collect();
        let named = format!("ConfigMap {METALLB_NAMESPACE}/{CONFIG}");
        if let Some(position) = found.iter().position(|source| source.place == named) {
            return Ok(found.swap_remove(position));
        }
        match found.len() {
            0 => bail!(
                "there is no ConfigMap with a key {CONFIG:?}; for the bare configuration, give --only-data"
            ),
            1 => Ok(found.swap_remove(0)),
            _ => {
                let places: Vec<&str> = found.iter().map(|source| source.place.as_str()).collect();
                bail!("several have a key {CONFIG:?}: {}; keep one of them", places.join(", "))
            }
        }
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

/// Reads the ConfigMap that MetalLB reads.
pub(super) async fn from_cluster(client: &Client) -> anyhow::Result<Source> {
    let place = format!("ConfigMap {METALLB_NAMESPACE}/{CONFIG}");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), METALLB_NAMESPACE);
    let map = match maps.get(CONFIG).await {
        Ok(map) => map,
        Err(error) if is_absent(&error) => {
            bail!("there is no {place}; if it has another name, migrate its manifest")
        }
        Err(error) => bail!("{place} cannot be read: {}", brief(&error)),
    };
    let data = map.data.and_then(|mut data| data.remove(CONFIG));
    let data = data.ok_or_else(|| anyhow!("{place} has no key {CONFIG:?}"))?;
    Ok(Source { place, namespace: Some(METALLB_NAMESPACE.into()), data })
}

/// One object of a manifest, or a `List` of them; of any kind, so nothing in it is required.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    kind: String,
    metadata: Metadata,
    data: Option<Data>,
    items: Vec<Self>,
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

impl Document {
    fn objects(self) -> Vec<Source> {
        if self.kind.ends_with("List") {
            return self.items.into_iter().flat_map(Self::objects).collect();
        }
        let data = match self.data {
            Some(Data::Texts(mut texts)) if self.kind == "ConfigMap" => texts.remove(CONFIG),
            Some(Data::Texts(_) | Data::Other(_)) | None => None,
        };
        let Metadata { name, namespace } = self.metadata;
        let place = format!("ConfigMap {}/{name}", namespace.as_deref().unwrap_or(METALLB_NAMESPACE));
        data.map(|data| Source { place, namespace, data }).into_iter().collect()
    }
}

/// Errors on one line: the place is told, the text need not be repeated.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { with_snippet: false }
}
