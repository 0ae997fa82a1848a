//! What the optional webhook needs of the API server: the configuration kinds that the
//! controller does not follow yet, the Secret that holds its certificates, and the two objects
//! that tell API servers whom to trust.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use ferrolb_api::{BgpPeer, CONTROLLER};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::Guarded;
use crate::watches::{GuardedStore, Watches, synced};

/// The Secret that all replicas serve from.
pub const SECRET: &str = "ferrolb-webhook-cert";
/// The `ValidatingWebhookConfiguration` of `deploy/webhook`.
pub const VALIDATING: &str = "ferrolb-webhook";
/// The definition whose versions the webhook converts.
pub const CONVERTED: &str = "bgppeers.metallb.io";

/// The kinds that only BGP needs, of all namespaces they are read from.
#[derive(Clone, Debug, Default)]
pub struct PeeringObjects {
    /// The peers.
    pub peers: Vec<Guarded<BgpPeer>>,
}

/// Local copies of [`PeeringObjects`].
#[derive(Debug)]
pub struct PeeringWatches {
    peers: Vec<GuardedStore<BgpPeer>>,
}

impl PeeringWatches {
    /// Starts the watches.
    pub fn start(watches: &mut Watches, client: &Client, namespaces: &[String]) -> Self {
        Self { peers: watches.follow_config(client, namespaces) }
    }

    /// Waits for the first complete copy of everything.
    pub async fn synced(&self) {
        for store in &self.peers {
            synced(store).await;
        }
    }

    /// The objects now.
    #[must_use]
    pub fn objects(&self) -> PeeringObjects {
        PeeringObjects { peers: self.peers.iter().flat_map(Store::state).collect() }
    }
}

/// The Secret of one installation, followed and written.
#[derive(Debug)]
pub struct CertificateSecret {
    api: Api<Secret>,
    known: Store<Secret>,
}

impl CertificateSecret {
    /// Starts to follow the Secret in `namespace`.
    pub fn start(watches: &mut Watches, client: &Client, namespace: &str) -> Self {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let known = only(watches, &api, SECRET);
        Self { api, known }
    }

    /// Waits until it is known whether there is a Secret, and what it holds.
    pub async fn synced(&self) {
        synced(&self.known).await;
    }

    /// The Secret now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Secret>> {
        self.known.state().into_iter().next()
    }

    /// Creates the Secret, or replaces the data of the one that was read as `known`.
    ///
    /// # Errors
    /// The API server refused the write or cannot be reached. 409 and 404: somebody else was
    /// faster, and [`CertificateSecret::get`] will show what is there now.
    pub async fn write(
        &self,
        known: Option<&Secret>,
        data: BTreeMap<String, Vec<u8>>,
    ) -> Result<(), kube::Error> {
        let data = data.into_iter().map(|(key, octets)| (key, ByteString(octets))).collect();
        let parameters = PostParams { field_manager: Some(CONTROLLER.into()), ..PostParams::default() };
        let mut secret = known.cloned().unwrap_or_default();
        secret.data = Some(data);
        if known.is_some() {
            return self.api.replace(SECRET, &parameters, &secret).await.map(drop);
        }
        secret.metadata.name = Some(SECRET.into());
        let label = |key: &str, value: &str| (format!("app.kubernetes.io/{key}"), value.to_owned());
        secret.metadata.labels = Some([label("name", "ferrolb"), label("component", "webhook")].into());
        self.api.create(&parameters, &secret).await.map(drop)
    }
}

/// The data of a Secret, as octets.
#[must_use]
pub fn octets(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret.data.iter().flatten();
    data.map(|(key, ByteString(octets))| (key.clone(), octets.clone())).collect()
}

/// The Service that API servers call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookService {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The two objects that make API servers call the webhook, followed and told whom to trust.
#[derive(Debug)]
pub struct Callers {
    service: WebhookService,
    validating_api: Api<ValidatingWebhookConfiguration>,
    validating: Store<ValidatingWebhookConfiguration>,
    converted_api: Api<CustomResourceDefinition>,
    converted: Store<CustomResourceDefinition>,
}

impl Callers {
    /// Starts to follow both objects; only what calls `service` is ours to change.
    pub fn start(watches: &mut Watches, client: &Client, service: WebhookService) -> Self {
        let validating_api = Api::all(client.clone());
        let validating = only(watches, &validating_api, VALIDATING);
        let converted_api = Api::all(client.clone());
        let converted = only(watches, &converted_api, CONVERTED);
        Self { service, validating_api, validating, converted_api, converted }
    }

    /// Waits until both objects are known, or known to be absent.
    pub async fn synced(&self) {
        synced(&self.validating).await;
        synced(&self.converted).await;
    }

    /// Makes API servers trust `authority`, in PEM, where they do not; says at which objects.
    ///
    /// # Errors
    /// The API server refused a write (409: the object changed meanwhile) or cannot be reached.
    pub async fn trust(&self, authority: &str) -> Result<Vec<&'static str>, kube::Error> {
        let authority = ByteString(authority.as_bytes().to_vec());
        let parameters = PatchParams::apply(CONTROLLER);
        let mut told = Vec::new();
        let known = self.validating.state().into_iter().next();
        if let Some(patch) = known.and_then(|known| validating_patch(&known, &self.service, &authority)) {
            self.validating_api.patch(VALIDATING, &parameters, &Patch::Strategic(patch)).await?;
            told.push(VALIDATING);
        }
        let known = self.converted.state().into_iter().next();
        if let Some(patch) = known.and_then(|known| conversion_patch(&known, &self.service, &authority)) {
            self.converted_api.patch(CONVERTED, &parameters, &Patch::Merge(patch)).await?;
            told.push(CONVERTED);
        }
        Ok(told)
    }
}

fn only<K>(watches: &mut Watches, api: &Api<K>, name: &str) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    watches.follow(api.clone(), watcher::Config::default().fields(&format!("metadata.name={name}")), |_| ())
}

/// The change that makes every webhook that calls `service` trust `authority`; none when all do.
fn validating_patch(
    known: &ValidatingWebhookConfiguration,
    service: &WebhookService,
    authority: &ByteString,
) -> Option<Value> {
    let calls = |namespace: &str, name: &str| (namespace, name) == (&service.namespace, &service.name);
    let outdated: Vec<Value> = known
        .webhooks
        .iter()
        .flatten()
        .filter(|webhook| {
            let client = &webhook.client_config;
            client.service.as_ref().is_some_and(|called| calls(&called.namespace, &called.name))
                && client.ca_bundle.as_ref() != Some(authority)
        })
        .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": authority}}))
        .collect();
    let version = known.resource_version();
    (!outdated.is_empty()).then(|| json!({"metadata": {"resourceVersion": version}, "webhooks": outdated}))
}

/// The change that makes the conversion, if it calls `service`, trust `authority`; none when it does.
fn conversion_patch(
    known: &CustomResourceDefinition,
    service: &WebhookService,
    authority: &ByteString,
) -> Option<Value> {
    let client = known.spec.conversion.as_ref()?.webhook.as_ref()?.client_config.as_ref()?;
    let called = client.service.as_ref()?;
    let is_ours = (&called.namespace, &called.name) == (&service.namespace, &service.name);
    (is_ours && client.ca_bundle.as_ref() != Some(authority)).then(|| {
        json!({
            "metadata": {"resourceVersion": known.resource_version()},
            "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": authority}}}},
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> WebhookService {
        WebhookService { namespace: "ferrolb-system".into(), name: "ferrolb-webhook".into() }
    }

    fn client(namespace: &str, bundle: &str) -> Value {
        json!({
            "service": {"namespace": namespace, "name": "ferrolb-webhook", "path": "/validate"},
            "caBundle": ByteString(bundle.as_bytes().to_vec()),
        })
    }

    fn validating(webhooks: &[(&str, &str, &str)]) -> ValidatingWebhookConfiguration {
        let webhook = |(name, namespace, bundle): &(&str, &str, &str)| {
            json!({
                "name": name, "clientConfig": client(namespace, bundle), "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            })
        };
        let webhooks: Vec<Value> = webhooks.iter().map(webhook).collect();
        serde_json::from_value(json!({"metadata": {"resourceVersion": "7"}, "webhooks": webhooks})).unwrap()
    }

    fn definition(conversion: &Value) -> CustomResourceDefinition {
        let names = json!({"kind": "BGPPeer", "plural": "bgppeers"});
        serde_json::from_value(json!({
            "metadata": {"resourceVersion": "7"},
            "spec": {"group": "metallb.io", "names": names, "scope": "Namespaced", "versions": [],
                "conversion": conversion},
        }))
        .unwrap()
    }

    #[test]
    fn only_webhooks_that_call_us_and_trust_another_are_changed() {
        let authority = ByteString(b"new".to_vec());
        let known = validating(&[
            ("a", "ferrolb-system", "old"),
            ("b", "ferrolb-system", "new"),
            ("c", "metallb-system", "old"),
        ]);
        assert_eq!(
            validating_patch(&known, &ours(), &authority).unwrap(),
            json!({"metadata": {"resourceVersion": "7"},
                "webhooks": [{"name": "a", "clientConfig": {"caBundle": "bmV3"}}]})
        );
        assert_eq!(
            validating_patch(&validating(&[("b", "ferrolb-system", "new")]), &ours(), &authority),
            None
        );
        assert_eq!(validating_patch(&validating(&[]), &ours(), &authority), None);
    }

    #[test]
    fn a_conversion_is_changed_only_if_it_calls_us_and_trusts_another() {
        let authority = ByteString(b"new".to_vec());
        let patch = |conversion: Value| conversion_patch(&definition(&conversion), &ours(), &authority);
        let webhook = |namespace: &str, bundle: &str| {
            json!({"strategy": "Webhook", "webhook":
                {"conversionReviewVersions": ["v1"], "clientConfig": client(namespace, bundle)}})
        };
        let changed = patch(webhook("ferrolb-system", "old")).unwrap();
        assert_eq!(changed["spec"]["conversion"]["webhook"]["clientConfig"], json!({"caBundle": "bmV3"}));
        assert_eq!(patch(webhook("ferrolb-system", "new")), None);
        assert_eq!(patch(webhook("metallb-system", "old")), None);
        assert_eq!(patch(json!({"strategy": "None"})), None);
    }
}
