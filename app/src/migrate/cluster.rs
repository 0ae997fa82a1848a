//! What a cluster holds: the ConfigMap, MetalLB's objects of all namespaces, and what FerroLB's
//! controller would decide on beside them.

use std::fmt::Debug;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use ferrolb_api::METALLB_NAMESPACE;
use ferrolb_cluster::controller::ControllerObjects;
use ferrolb_cluster::errors::{brief, is_absent};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind, NamespaceResourceScope};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::combine::Input;
use super::kinds::{FORMER_POOL, GROUP, Kind, ObjectKey};
use super::source::{CONFIG, Manifest, Source};
use super::steps::{Definition, Stored};

/// Raw FRR configuration, which MetalLB takes from this ConfigMap.
const RAW_FRR: &str = "bgpextras";

/// Everything there is to migrate, and how it is stored.
pub(super) async fn read(client: &Client) -> anyhow::Result<(Input, Stored)> {
    let mut stored = Stored::default();
    for kind in Kind::ALL {
        let Some(definition) = definition(client, kind).await? else { continue };
        for object in objects(client, kind, &definition).await? {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            stored.objects.insert(ObjectKey { kind, namespace, name }, object);
        }
        stored.definitions.insert(kind, definition);
    }
    let written = Manifest {
        legacy: config_map(client).await?,
        objects: stored.written()?,
        former_pools: former_pools(client).await?,
    };
    Ok((Input { written, cluster: Some(others(client).await?) }, stored))
}

/// Whether MetalLB is given raw FRR configuration.
pub(super) async fn has_raw_frr(client: &Client) -> anyhow::Result<bool> {
    Ok(get::<ConfigMap>(client, RAW_FRR).await?.is_some())
}

async fn config_map(client: &Client) -> anyhow::Result<Option<Source>> {
    let data = get::<ConfigMap>(client, CONFIG).await?.and_then(|map| map.data);
    Ok(data.and_then(|mut data| data.remove(CONFIG)).map(Source::in_cluster))
}

/// Objects of the kind that MetalLB had before `IPAddressPool`.
async fn former_pools(client: &Client) -> anyhow::Result<Vec<String>> {
    let kind = GroupVersionKind::gvk(GROUP, "v1beta1", FORMER_POOL);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    match api.list(&ListParams::default()).await {
        Ok(list) => {
            let name = |object: &DynamicObject| {
                format!("{FORMER_POOL} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
            };
            Ok(list.items.iter().map(name).collect())
        }
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => bail!("{FORMER_POOL} objects cannot be listed: {}", brief(&error)),
    }
}

/// An object of MetalLB's namespace.
async fn get<K>(client: &Client, name: &str) -> anyhow::Result<Option<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), METALLB_NAMESPACE);
    api.get_opt(name).await.map_err(|error| {
        anyhow!("{} {METALLB_NAMESPACE}/{name} cannot be read: {}", K::kind(&()), brief(&error))
    })
}

async fn definition(client: &Client, kind: Kind) -> anyhow::Result<Option<Definition>> {
    let name = kind.definition();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let found = api.get_opt(&name).await;
    let found = found.map_err(|error| anyhow!("the definition {name} cannot be read: {}", brief(&error)))?;
    let Some(found) = found else { return Ok(None) };
    let versions = &found.spec.versions;
    let served: Vec<&str> =
        versions.iter().filter(|version| version.served).map(|version| version.name.as_str()).collect();
    let version = served.iter().find(|version| **version == kind.version()).or(served.first());
    let storage = versions.iter().find(|version| version.storage);
    Ok(Some(Definition {
        version: (*version.with_context(|| format!("the definition {name} serves no version"))?).to_owned(),
        storage: storage.map(|version| version.name.clone()).unwrap_or_default(),
        stored_versions: found.status.and_then(|status| status.stored_versions).unwrap_or_default(),
    }))
}

async fn objects(client: &Client, kind: Kind, definition: &Definition) -> anyhow::Result<Vec<DynamicObject>> {
    let resource = kind.resource(&definition.version);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(error) if brief(&error).contains("conversion webhook") => bail!(
            "{} cannot be read, because the conversion webhook does not answer: {}; if it is MetalLB's, give \
             --apply and --remove-metallb-webhooks",
            kind.definition(),
            brief(&error)
        ),
        Err(error) => bail!("{} cannot be read: {}", kind.definition(), brief(&error)),
    }
}

async fn others(client: &Client) -> anyhow::Result<ControllerObjects> {
    Ok(ControllerObjects {
        services: all(client).await?,
        namespaces: all(client).await?,
        nodes: all(client).await?,
        node_states: all(client).await?,
        service_cidrs: all(client).await?,
        claims: all(client).await?,
        ..ControllerObjects::default()
    })
}

/// All objects of a kind; none, if the cluster does not know it yet.
async fn all<K>(client: &Client) -> anyhow::Result<Vec<Arc<K>>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match Api::<K>::all(client.clone()).list(&ListParams::default()).await {
        Ok(list) => Ok(list.items.into_iter().map(Arc::new).collect()),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => bail!("{} cannot be listed: {}", K::plural(&()), brief(&error)),
    }
}
