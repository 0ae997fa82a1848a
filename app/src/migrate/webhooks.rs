//! What MetalLB leaves behind and that gets in the way: with failure policy `Fail`, its
//! validating webhook refuses every write of its kinds as soon as nobody answers it.

use anyhow::bail;
use ferrolb_cluster::errors::{brief, is_absent};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition,
};
use k8s_openapi::serde_json::json;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};

use crate::controller::WEBHOOK_SERVICE;

const WEBHOOKS: &str = "metallb-webhook-configuration";
const BGP_PEERS: &str = "bgppeers.metallb.io";

/// Which of MetalLB's webhooks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Webhooks {
    admission: bool,
    conversion: bool,
}

/// Looks for them.
pub(super) async fn find(client: &Client) -> anyhow::Result<Webhooks> {
    let admission =
        Api::<ValidatingWebhookConfiguration>::all(client.clone()).get_metadata_opt(WEBHOOKS).await;
    let definition = Api::<CustomResourceDefinition>::all(client.clone()).get_opt(BGP_PEERS).await;
    let (Ok(admission), Ok(definition)) = (&admission, &definition) else {
        let error = admission.err().or(definition.err());
        bail!("MetalLB's webhooks cannot be read: {}", error.as_ref().map(brief).unwrap_or_default());
    };
    let conversion = definition.as_ref().and_then(|definition| definition.spec.conversion.as_ref());
    Ok(Webhooks { admission: admission.is_some(), conversion: conversion.is_some_and(is_metallbs) })
}

/// Whether somebody converts, and it is not FerroLB's own webhook.
fn is_metallbs(conversion: &CustomResourceConversion) -> bool {
    let client = conversion.webhook.as_ref().and_then(|webhook| webhook.client_config.as_ref());
    let service = client.and_then(|client| client.service.as_ref());
    conversion.strategy != "None" && service.is_none_or(|service| service.name != WEBHOOK_SERVICE)
}

impl Webhooks {
    /// Whether there is any.
    pub(super) const fn is_any(self) -> bool {
        self.admission || self.conversion
    }

    /// One line for each: what is done (`true`) or would be.
    pub(super) fn told(self, done: bool) -> [String; 2] {
        let what = |is_there, did: &str, would: &str, absent: &str| match (is_there, done) {
            (true, true) => did.to_owned(),
            (true, false) => would.to_owned(),
            (false, _) => absent.to_owned(),
        };
        [
            format!(
                "validatingwebhookconfigurations.admissionregistration.k8s.io {WEBHOOKS} {}",
                what(self.admission, "deleted", "would be deleted", "is not there")
            ),
            format!(
                "customresourcedefinitions.apiextensions.k8s.io {BGP_PEERS} {}",
                what(
                    self.conversion,
                    "conversion webhook removed",
                    "conversion webhook would be removed",
                    "has no conversion webhook"
                )
            ),
        ]
    }

    /// Removes those that there are.
    pub(super) async fn remove(self, client: &Client) -> anyhow::Result<()> {
        if self.admission {
            let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
            match api.delete(WEBHOOKS, &DeleteParams::default()).await {
                Err(error) if !is_absent(&error) => bail!("{WEBHOOKS} was not deleted: {}", brief(&error)),
                Ok(_) | Err(_) => {}
            }
        }
        if self.conversion {
            let api: Api<CustomResourceDefinition> = Api::all(client.clone());
            let none = json!({"spec": {"conversion": {"strategy": "None", "webhook": null}}});
            if let Err(error) = api.patch(BGP_PEERS, &PatchParams::default(), &Patch::Merge(none)).await {
                bail!("{BGP_PEERS} keeps its conversion webhook: {}", brief(&error));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ferrolbs_own_conversion_is_not_metallbs() {
        let conversion = |service: &str| {
            let client = json!({"service": {"name": service, "namespace": "x"}});
            let webhook = json!({"clientConfig": client, "conversionReviewVersions": ["v1"]});
            serde_json::from_value(json!({"strategy": "Webhook", "webhook": webhook})).unwrap()
        };
        assert!(is_metallbs(&conversion("metallb-webhook-service")));
        assert!(!is_metallbs(&conversion(WEBHOOK_SERVICE)));
        assert!(!is_metallbs(&CustomResourceConversion { strategy: "None".into(), webhook: None }));
    }
}
