//! `AddressClaim`s as the controller sees them, and what it writes of them.

use ferrolb_api::CONTROLLER;
use ferrolb_api::address_claim::{AddressClaim, AddressClaimStatus};
use ferrolb_ipam::ClaimRequest;
use ferrolb_vocab::ObjectName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};

use super::writes::{Condition, timed};
use crate::config::Guarded;
use crate::parse::claim::{name, request};

/// A claim, to be told what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The object.
    pub reference: ObjectReference,
    /// Its `metadata.generation`, the one the verdict is about.
    pub generation: Option<i64>,
    /// What it asks for.
    pub request: ClaimRequest,
    /// The status it carries now; `None` of a claim that cannot be read, which is told by Events only:
    /// what is written without being read would be written over and over.
    pub status: Option<AddressClaimStatus>,
}

/// What we say at a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimStatus {
    /// The address that it has, or had last.
    pub address: Option<String>,
    /// The pool that the address is from; none while it is not reserved.
    pub pool: Option<String>,
    /// The Services that have it.
    pub services: Vec<String>,
    /// Why it has it, or has none, and whether it is used.
    pub conditions: Vec<Condition>,
}

impl Claim {
    /// The claim as it was read.
    #[must_use]
    pub fn of(guarded: &DeserializeGuard<AddressClaim>) -> Self {
        let status = guarded.0.as_ref().ok().map(|claim| claim.status.clone().unwrap_or_default());
        Self {
            reference: guarded.object_ref(&()),
            generation: guarded.meta().generation,
            request: request(guarded),
            status,
        }
    }

    /// The status as it should be; `None` when it is.
    #[must_use]
    pub fn updated(&self, wanted: &ClaimStatus, now: Timestamp) -> Option<AddressClaimStatus> {
        let current = self.status.as_ref()?;
        let conditions = timed(&wanted.conditions, &current.conditions, self.generation, now);
        let updated = AddressClaimStatus {
            address: wanted.address.clone(),
            pool: wanted.pool.clone(),
            services: wanted.services.clone(),
            conditions,
        };
        (updated != *current).then_some(updated)
    }
}

/// All claims of the cluster.
pub(super) fn claims(guarded: &[Guarded<AddressClaim>]) -> impl Iterator<Item = (ObjectName, Claim)> {
    guarded.iter().map(|claim| (name(claim.as_ref()), Claim::of(claim)))
}

/// Writes the status of claims.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct ClaimWriter {
    client: Client,
}

impl ClaimWriter {
    /// A writer through `client`.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Applies `status`, as [`Claim::updated`] made it, to the claim.
    ///
    /// # Errors
    /// The API server refused the write or cannot be reached.
    pub async fn write(
        &self,
        reference: &ObjectReference,
        status: &AddressClaimStatus,
    ) -> Result<(), kube::Error> {
        let namespace = reference.namespace.as_deref().unwrap_or_default();
        let name = reference.name.as_deref().unwrap_or_default();
        let api: Api<AddressClaim> = Api::namespaced(self.client.clone(), namespace);
        let apply = serde_json::json!({
            "apiVersion": AddressClaim::api_version(&()),
            "kind": AddressClaim::kind(&()),
            "metadata": { "name": name },
            "status": status,
        });
        let parameters = PatchParams::apply(CONTROLLER).force();
        api.patch_status(name, &parameters, &Patch::Apply(apply)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_api::conditions::RESERVED;
    use serde_json::json;

    #[test]
    fn nothing_is_written_to_what_cannot_be_read() {
        let guarded = serde_json::from_value(json!({ "metadata": { "name": "front" }, "spec": 7 }));
        let claim = Claim::of(&guarded.unwrap());
        let wanted = ClaimStatus { address: None, pool: None, services: Vec::new(), conditions: Vec::new() };
        assert_eq!(claim.updated(&wanted, Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn a_status_is_written_when_something_changes_and_only_then() {
        let guarded = serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "front", "generation": 2 },
            "spec": { "pool": "p" },
        }));
        let mut claim = Claim::of(&guarded.unwrap());
        assert_eq!(claim.reference.kind.as_deref(), Some("AddressClaim"));
        let condition = |reason| Condition { type_: RESERVED, holds: true, reason, message: "It is.".into() };
        let mut wanted = ClaimStatus {
            address: Some("10.0.0.1".into()),
            pool: Some("p".into()),
            services: vec!["web".into()],
            conditions: vec![condition("Reserved")],
        };
        let (then, now) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(9));
        claim.status = claim.updated(&wanted, then);
        assert_eq!(claim.updated(&wanted, now), None);
        wanted.conditions = vec![condition("Kept")];
        let updated = claim.updated(&wanted, now).unwrap();
        assert_eq!(updated.conditions[0].last_transition_time.0, then, "it is as true as it was");
        assert_eq!(updated.conditions[0].observed_generation, Some(2));
    }
}
