//! What MetalLB leaves behind and that gets in the way: with failure policy `Fail`, its
//! validating webhook refuses every write of its kinds as soon as nobody answers it.

use std::io::Write;

use anyhow::bail;
use ferrolb_cluster::errors::{brief, is_absent};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::serde_json::json;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};

const WEBHOOKS: &str = "metallb-webhook-configuration";
const BGP_PEERS: &str = "bgppeers.metallb.io";

/// Removes the admission webhooks and the conversion of `BGPPeer`, and prints what it did.
pub(super) async fn remove(client: &Client) -> anyhow::Result<()> {
    remove_admission(client).await?;
    remove_conversion(client).await
}

async fn remove_admission(client: &Client) -> anyhow::Result<()> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let what = format!("validatingwebhookconfigurations.admissionregistration.k8s.io {WEBHOOKS}");
    match api.delete(WEBHOOKS, &DeleteParams::default()).await {
        Ok(_) => told(&format!("{what} deleted")),
        Err(error) if is_absent(&error) => told(&format!("{what} is not there")),
        Err(error) => bail!("{what} was not deleted: {}", brief(&error)),
    }
}

async fn remove_conversion(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let what = format!("customresourcedefinitions.apiextensions.k8s.io {BGP_PEERS}");
    let conversion = match api.get(BGP_PEERS).await {
        Ok(definition) => definition.spec.conversion,
        Err(error) if is_absent(&error) => return told(&format!("{what} is not there")),
        Err(error) => bail!("{what} cannot be read: {}", brief(&error)),
    };
    if conversion.is_none_or(|conversion| conversion.strategy == "None") {
        return told(&format!("{what} has no conversion webhook"));
    }
    let none = json!({"spec": {"conversion": {"strategy": "None", "webhook": null}}});
    match api.patch(BGP_PEERS, &PatchParams::default(), &Patch::Merge(none)).await {
        Ok(_) => told(&format!("{what} conversion webhook removed")),
        Err(error) => bail!("{what} keeps its conversion webhook: {}", brief(&error)),
    }
}

fn told(what: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{what}")?)
}
