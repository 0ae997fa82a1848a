//! The change to try: objects to apply and objects to delete.

mod document;

pub use document::Document;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use ferrolb_cluster::controller::ControllerObjects;
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cluster_ips::ClusterFamilies;
use super::merge::applied;

/// The kinds that a change may be of: all that decide on addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `IPAddressPool`.
    IpAddressPool,
    /// `L2Advertisement`.
    L2Advertisement,
    /// `BGPAdvertisement`.
    BgpAdvertisement,
    /// `Node`.
    Node,
    /// `Namespace`.
    Namespace,
    /// `AddressClaim`.
    AddressClaim,
    /// `Service`.
    Service,
}

/// The name of an object of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; that of a namespaced kind may be left to the kubeconfig.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// An object to delete: `KIND/NAMESPACE/NAME`, or `KIND/NAME` for the default namespace and for
/// kinds without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion(pub Target);

/// A change of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Change {
    documents: Vec<Document>,
    deletions: Vec<Deletion>,
}

/// What a change depends on beside the objects.
#[derive(Clone, Debug)]
pub struct Context {
    /// The namespace of objects that name none.
    pub default_namespace: String,
    /// The namespaces whose configuration objects count.
    pub config_namespaces: Vec<String>,
    /// When what is new was created.
    pub created: Timestamp,
}

impl Change {
    /// Reads the documents of `files`; `-` is standard input.
    ///
    /// # Errors
    /// A file that cannot be read, a document that cannot be parsed, or a file without any.
    pub fn read(files: &[PathBuf], deletions: Vec<Deletion>) -> anyhow::Result<Self> {
        let mut documents = Vec::new();
        for file in files {
            let place =
                if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
            let text = read(file).with_context(|| format!("{place} cannot be read"))?;
            let read = document::parse(&place, &text)?;
            if read.is_empty() {
                bail!("{place} holds no object; give a YAML or JSON file with the objects to apply");
            }
            documents.extend(read);
        }
        Ok(Self { documents, deletions })
    }

    /// Makes the change in `objects`: documents in their order, then deletions.
    ///
    /// # Errors
    /// A document that does not fit its kind, a configuration object in a namespace that none is
    /// read from, or a deletion of what is not there.
    pub fn make(&self, objects: &mut ControllerObjects, context: &Context) -> anyhow::Result<()> {
        let families = ClusterFamilies::of(objects);
        for document in &self.documents {
            apply(objects, document, families, context).with_context(|| document.to_string())?;
        }
        for Deletion(target) in &self.deletions {
            let target = target.resolved(context);
            if !delete(objects, &target) {
                bail!("--delete {target}: there is no such object that FerroLB reads; correct the name");
            }
        }
        Ok(())
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn apply(
    objects: &mut ControllerObjects,
    document: &Document,
    families: ClusterFamilies,
    context: &Context,
) -> anyhow::Result<()> {
    let target = document.target.resolved(context);
    if let Some(namespace) = target.namespace.as_ref().filter(|_| target.kind.is_config())
        && !context.config_namespaces.contains(namespace)
    {
        let read = context.config_namespaces.join(", ");
        bail!(
            "configuration is not read from namespace {namespace}, so the object has no effect; use one of {read}"
        );
    }
    let mut document = document.clone();
    document.set_namespace(target.namespace.clone());
    let value = &document.object;
    match target.kind {
        Kind::IpAddressPool => put_guarded(&mut objects.config.pools, &target, &document, context)?,
        Kind::L2Advertisement => {
            put_guarded(&mut objects.config.l2_advertisements, &target, &document, context)?;
        }
        Kind::BgpAdvertisement => {
            put_guarded(&mut objects.config.bgp_advertisements, &target, &document, context)?;
        }
        Kind::Node => put(&mut objects.nodes, &target, |live| applied(live, value, context.created))?,
        Kind::Namespace => {
            put(&mut objects.namespaces, &target, |live| applied(live, value, context.created))?
        }
        Kind::AddressClaim => put_guarded(&mut objects.claims, &target, &document, context)?,
        Kind::Service => put(&mut objects.services, &target, |live| {
            let mut service = applied(live, value, context.created)?;
            families.complete(&mut service);
            Ok(service)
        })?,
    }
    Ok(())
}

fn put_guarded<K>(
    list: &mut Vec<Arc<DeserializeGuard<K>>>,
    target: &Target,
    document: &Document,
    context: &Context,
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    put(list, target, |live| {
        let readable = live.and_then(|guarded| guarded.0.as_ref().ok());
        Ok(DeserializeGuard(Ok(applied(readable, &document.object, context.created)?)))
    })
}

/// Puts what `make` makes of the object into its place, or at the end when there is none.
fn put<R: Resource>(
    list: &mut Vec<Arc<R>>,
    target: &Target,
    make: impl FnOnce(Option<&R>) -> anyhow::Result<R>,
) -> anyhow::Result<()> {
    match list.iter_mut().find(|object| target.is(object.as_ref())) {
        Some(live) => *live = Arc::new(make(Some(live.as_ref()))?),
        None => list.push(Arc::new(make(None)?)),
    }
    Ok(())
}

/// Deletes the object and what goes with it; false when there was none.
fn delete(objects: &mut ControllerObjects, target: &Target) -> bool {
    match target.kind {
        Kind::IpAddressPool => remove(&mut objects.config.pools, target),
        Kind::L2Advertisement => remove(&mut objects.config.l2_advertisements, target),
        Kind::BgpAdvertisement => remove(&mut objects.config.bgp_advertisements, target),
        Kind::AddressClaim => remove(&mut objects.claims, target),
        Kind::Service => remove(&mut objects.services, target),
        Kind::Node => {
            // The NodeState is owned by the Node.
            remove(&mut objects.node_states, target);
            remove(&mut objects.nodes, target)
        }
        Kind::Namespace => {
            empty(&mut objects.services, &target.name);
            empty(&mut objects.claims, &target.name);
            empty(&mut objects.config.pools, &target.name);
            empty(&mut objects.config.l2_advertisements, &target.name);
            empty(&mut objects.config.bgp_advertisements, &target.name);
            remove(&mut objects.namespaces, target)
        }
    }
}

fn remove<R: Resource>(list: &mut Vec<Arc<R>>, target: &Target) -> bool {
    let before = list.len();
    list.retain(|object| !target.is(object.as_ref()));
    list.len() < before
}

fn empty<R: Resource>(list: &mut Vec<Arc<R>>, namespace: &str) {
    list.retain(|object| object.namespace().as_deref() != Some(namespace));
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::IpAddressPool,
        Self::L2Advertisement,
        Self::BgpAdvertisement,
        Self::Node,
        Self::Namespace,
        Self::AddressClaim,
        Self::Service,
    ];

    /// The kind's `apiVersion`.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::IpAddressPool | Self::L2Advertisement | Self::BgpAdvertisement => "metallb.io/v1beta1",
            Self::AddressClaim => "ferrolb.io/v1alpha1",
            Self::Node | Self::Namespace | Self::Service => "v1",
        }
    }

    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IpAddressPool => "IPAddressPool",
            Self::L2Advertisement => "L2Advertisement",
            Self::BgpAdvertisement => "BGPAdvertisement",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::AddressClaim => "AddressClaim",
            Self::Service => "Service",
        }
    }

    const fn is_namespaced(self) -> bool {
        match self {
            Self::IpAddressPool
            | Self::L2Advertisement
            | Self::BgpAdvertisement
            | Self::AddressClaim
            | Self::Service => true,
            Self::Node | Self::Namespace => false,
        }
    }

    const fn is_config(self) -> bool {
        match self {
            Self::IpAddressPool | Self::L2Advertisement | Self::BgpAdvertisement => true,
            Self::Node | Self::Namespace | Self::AddressClaim | Self::Service => false,
        }
    }
}

impl Target {
    fn is<R: Resource>(&self, object: &R) -> bool {
        object.meta().name.as_ref() == Some(&self.name) && object.meta().namespace == self.namespace
    }

    /// With the namespace that counts.
    fn resolved(&self, context: &Context) -> Self {
        let namespace = self.namespace.clone().unwrap_or_else(|| context.default_namespace.clone());
        Self { namespace: self.kind.is_namespaced().then_some(namespace), ..self.clone() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind.as_str(), self.name),
            None => write!(f, "{}/{}", self.kind.as_str(), self.name),
        }
    }
}

impl FromStr for Deletion {
    type Err = String;

    /// The kind in any case, in the singular or the plural.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, None, name),
            [kind, namespace, name] => (kind, Some(namespace), name),
            _ => return Err("expected KIND/NAMESPACE/NAME or KIND/NAME".into()),
        };
        let singular = |kind: &str| kind.to_ascii_lowercase().trim_end_matches('s').to_owned();
        let named = Kind::ALL.into_iter().find(|known| singular(known.as_str()) == singular(kind));
        let kind =
            named.ok_or_else(|| format!("kind {kind:?} is not planned for; use one of {}", kinds()))?;
        if name.is_empty() || namespace.is_some_and(str::is_empty) {
            return Err("expected a name after each slash".into());
        }
        if namespace.is_some() && !kind.is_namespaced() {
            return Err(format!("a {} is in no namespace; use {0}/NAME", kind.as_str()));
        }
        Ok(Self(Target { kind, namespace: namespace.map(Into::into), name: name.into() }))
    }
}

/// The names of all kinds.
fn kinds() -> String {
    Kind::ALL.map(Kind::as_str).join(", ")
}

#[cfg(test)]
mod tests;
