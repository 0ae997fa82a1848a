//! The steps, carried out through the API server.

use std::io::Write;

use anyhow::bail;
use ferrolb_cluster::errors::{brief, is_absent, is_conflict};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::kinds::ObjectKey;
use super::steps::{Step, Stored};

/// The manager of the fields that a migration writes.
const FIELD_MANAGER: &str = "ferrolb-migrate";

/// Carries the steps out, and prints each. Stops at the first that is refused; doing it again is
/// safe.
pub(super) async fn apply(client: &Client, steps: &[Step], stored: &Stored) -> anyhow::Result<()> {
    for step in steps {
        match carry_out(client, step, stored).await {
            Ok(()) => writeln!(std::io::stdout(), "{}", step.told(true))?,
            Err(error) => bail!("{}, but was refused: {}{}", step.told(false), brief(&error), help(&error)),
        }
    }
    Ok(())
}

async fn carry_out(client: &Client, step: &Step, stored: &Stored) -> Result<(), kube::Error> {
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match step {
        Step::Keep(_) => Ok(()),
        Step::Apply(key, value) => {
            let api = api(client, key, key.kind.version());
            api.patch(&key.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(value)).await.map(drop)
        }
        Step::Convert(key, object) => {
            api(client, key, version(key, stored)).replace(&key.name, &parameters, object).await.map(drop)
        }
        Step::Rewrite(key, object) => {
            match api(client, key, version(key, stored)).replace(&key.name, &parameters, object).await {
                // Gone, or written by somebody else meanwhile: it is not stored at an old version any more.
                Err(error) if is_absent(&error) || is_conflict(&error) => Ok(()),
                result => result.map(drop),
            }
        }
        Step::Prune(kind, definition) => {
            let api: Api<CustomResourceDefinition> = Api::all(client.clone());
            let status = Patch::Merge(json!({"status": {"storedVersions": [definition.storage]}}));
            api.patch_status(&kind.definition(), &PatchParams::default(), &status).await.map(drop)
        }
    }
}

fn api(client: &Client, key: &ObjectKey, version: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), &key.namespace, &key.kind.resource(version))
}

/// The version at which the object was read.
fn version<'a>(key: &ObjectKey, stored: &'a Stored) -> &'a str {
    stored.definitions.get(&key.kind).map_or(key.kind.version(), |definition| &definition.version)
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
