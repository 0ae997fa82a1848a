//! The objects of one kind that a speaker writes into FerroLB's namespace, and that go with its Pod.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

use ferrolb_api::SPEAKER;
use ferrolb_vocab::NodeName;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::writes::all;
use crate::errors::is_absent;

/// The objects of kind `K`, by the local copy.
#[derive(Debug)]
pub(super) struct Statuses<K: Resource<DynamicType = ()> + 'static> {
    api: Api<K>,
    namespace: String,
    known: Store<K>,
    owner: Option<OwnerReference>,
}

impl<K> Statuses<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus,
    K: Clone + Debug + DeserializeOwned + 'static,
    K::Status: Serialize + PartialEq,
{
    /// Those in `namespace`, which go with `owner`.
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        known: &Store<K>,
        owner: Option<OwnerReference>,
    ) -> Self {
        let api = Api::namespaced(client.clone(), namespace);
        Self { api, namespace: namespace.into(), known: known.clone(), owner }
    }

    /// Makes the object of this name say `status`, unless it does. One that is absent is created, and one
    /// that was made by the Pod before, whose end would take it along, goes with this one.
    ///
    /// # Errors
    /// The API server refused the write or cannot be reached.
    pub(super) async fn write(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        status: &K::Status,
    ) -> Result<(), kube::Error> {
        let known = self.known.get(&ObjectRef::new(name).within(&self.namespace));
        let (api_version, kind) = (K::api_version(&()), K::kind(&()));
        let parameters = PatchParams::apply(SPEAKER).force();
        if !known.as_ref().is_some_and(|known| self.owns(known)) {
            let object = Patch::Apply(json!({
                "apiVersion": api_version,
                "kind": kind,
                "metadata": { "name": name, "labels": labels, "ownerReferences": self.owner.as_slice() },
            }));
            self.api.patch(name, &parameters, &object).await?;
        }
        if known.is_some_and(|known| known.status() == Some(status)) {
            return Ok(());
        }
        let object = Patch::Apply(json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": { "name": name },
            "status": status,
        }));
        // Somebody may have deleted it meanwhile: the next report brings it back.
        tolerate_absence(self.api.patch_status(name, &parameters, &object).await)
    }

    /// Deletes the objects that are superfluous.
    ///
    /// # Errors
    /// The first request that the API server refused. The others are made.
    pub(super) async fn remove(&self, is_superfluous: impl Fn(&K) -> bool) -> Result<(), kube::Error> {
        let superfluous = self.known.state_filter(is_superfluous);
        let removals: Vec<_> = superfluous.iter().map(|status| self.remove_one(status)).collect();
        all(removals).await
    }

    async fn remove_one(&self, status: &K) -> Result<(), kube::Error> {
        tolerate_absence(self.api.delete(&status.name_any(), &DeleteParams::default()).await)
    }

    /// Whether the object goes with our Pod, if there is one to go with.
    fn owns(&self, known: &K) -> bool {
        let is_known =
            |owner: &OwnerReference| known.owner_references().iter().any(|one| one.uid == owner.uid);
        self.owner.as_ref().is_none_or(is_known)
    }
}

/// One name for each subject and node, so that a retry finds what the first try made. FNV-1a
/// keeps it short; the object says what it is about.
pub(super) fn status_name(prefix: &str, subject: &impl Display, node: &NodeName) -> String {
    let text = format!("{subject}#{node}");
    let hash = text.bytes().fold(FNV_OFFSET, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(FNV_PRIME));
    format!("{prefix}-{hash:016x}")
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// What is to be gone may be gone already.
fn tolerate_absence<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if is_absent(&error) => Ok(()),
        result => result.map(|_| ()),
    }
}
