//! Writing what became of claims.

use ferrolb_api::address_claim::AddressClaimStatus;
use ferrolb_cluster::controller::{Claim, ClaimWriter, ControllerView};
use ferrolb_cluster::errors::{brief, is_absent};
use futures::StreamExt;
use jiff::Timestamp;

use super::{Decisions, WRITES_IN_FLIGHT, WRITES_PER_PASS, Written};

/// Writes the status of claims where it has to change, of so many in one pass.
pub(super) async fn write(writer: &ClaimWriter, view: &ControllerView, decisions: &Decisions) -> Written {
    let now = Timestamp::now();
    let mut changed = decisions.claims.iter().filter_map(|(name, wanted)| {
        let claim = view.claims.get(name)?;
        Some((claim, claim.updated(wanted, now)?))
    });
    let batch: Vec<(&Claim, AddressClaimStatus)> = changed.by_ref().take(WRITES_PER_PASS).collect();
    let more = changed.next().is_some();
    let write = |(claim, status): (&Claim, AddressClaimStatus)| {
        let reference = claim.reference.clone();
        async move {
            match writer.write(&reference, &status).await {
                Ok(()) => true,
                // Deleted meanwhile: there is nobody left to tell.
                Err(error) if is_absent(&error) => true,
                Err(error) => {
                    let claim = reference.name.as_deref().unwrap_or_default();
                    tracing::warn!(claim, error = brief(&error), "a status was not written and is retried");
                    false
                }
            }
        }
    };
    let writes = futures::stream::iter(batch.into_iter().map(write)).buffer_unordered(WRITES_IN_FLIGHT);
    let complete = writes.fold(true, |complete, written| async move { complete && written }).await;
    Written { complete, more }
}
