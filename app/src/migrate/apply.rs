//! The objects to the API server.

use std::fmt::Debug;
use std::io::Write;

use anyhow::bail;
use ferrolb_cluster::errors::{brief, is_absent, is_conflict};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::resources::Resources;

/// The manager of the fields that a migration writes.
const FIELD_MANAGER: &str = "ferrolb-migrate";

/// Applies all objects, and prints each that was. Stops at the first that is refused; doing it
/// again is safe.
pub(super) async fn apply(client: &Client, resources: &Resources) -> anyhow::Result<()> {
    each(client, &resources.peers).await?;
    each(client, &resources.pools).await?;
    each(client, &resources.bgp_advertisements).await?;
    each(client, &resources.l2_advertisements).await?;
    each(client, &resources.bfd_profiles).await?;
    each(client, &resources.communities).await
}

async fn each<K>(client: &Client, objects: &[K]) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    for object in objects {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let what = format!("{}.{} {namespace}/{name}", K::plural(&()), K::group(&()));
        let api: Api<K> = Api::namespaced(client.clone(), &namespace);
        let result = api.patch(&name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(object)).await;
        match result {
            Ok(_) => writeln!(std::io::stdout(), "{what} applied")?,
            Err(error) => bail!("{what} was not applied: {}{}", brief(&error), help(&error)),
        }
    }
    Ok(())
}

/// What to do about a refusal.
fn help(error: &kube::Error) -> &'static str {
    if is_absent(error) {
        "; FerroLB's manifest brings the kinds and both namespaces: kubectl apply -f deploy/ferrolb.yaml"
    } else if is_conflict(error) {
        "; somebody else wrote these fields: compare, then delete the object or apply the YAML yourself"
    } else if brief(error).contains("failed calling webhook") {
        "; MetalLB's webhook is there and does not answer: give --remove-metallb-webhooks"
    } else {
        ""
    }
}
