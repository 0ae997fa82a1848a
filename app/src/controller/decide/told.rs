//! What is told of a Service's addresses: Events and the log, each thing once.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_ipam::{Allocation, Change, Decision, Refusal};
use ferrolb_vocab::ServiceKey;

use super::quoted;

/// The last word about each Service that lacks something: nothing is logged or told twice in a row.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ServiceKey, String>);

impl Told {
    /// The Events that are due.
    pub(super) fn notices(&mut self, key: &ServiceKey, decision: &Decision) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(cleared) = decision.cleared() {
            tracing::warn!(service = %key, reason = cleared.why.reason(), "a Service loses its address");
            notices.push(Notice::new(
                EventReason::ClearAssignment,
                format!(
                    "{}: current IP for \"{key}\" not allowed by config, will attempt for new IP assignment: {}",
                    cleared.why.reason(),
                    cleared.why
                ),
            ));
        }
        match decision {
            Decision::Allocated(allocation) => {
                let addresses = quoted(&allocation.addresses);
                match allocation.change {
                    Change::Kept => {}
                    Change::Allocated => {
                        tracing::info!(service = %key, pool = %allocation.pool, ip = addresses, "address allocated");
                        let message = format!("Assigned IP {addresses}");
                        notices.push(Notice::new(EventReason::IpAllocated, message));
                    }
                    Change::Added(address) => {
                        tracing::info!(service = %key, pool = %allocation.pool, ip = %address, "address added");
                        let message = format!("Assigned additional IP \"{address}\"");
                        notices.push(Notice::new(EventReason::IpAllocated, message));
                    }
                }
                notices.extend(self.lack(key, allocation));
            }
            Decision::Refused(refused) => notices.extend(self.once(key, &refused.why)),
        }
        notices
    }

    /// The Event about what a Service with addresses lacks of what it asks for. What it has it keeps; but nobody
    /// should believe that the wish was granted.
    fn lack(&mut self, key: &ServiceKey, allocation: &Allocation) -> Option<Notice> {
        match (&allocation.unmet, &allocation.missing) {
            (Some(unmet), _) => self.once(key, unmet),
            (None, Some(missing)) => self.once_missing(key, missing),
            (None, None) => {
                self.0.remove(key);
                None
            }
        }
    }

    /// The Event about `refusal`, unless it was the last word about this Service already.
    fn once(&mut self, key: &ServiceKey, refusal: &Refusal) -> Option<Notice> {
        let text = refusal.to_string();
        let (event, message) = if matches!(refusal, Refusal::RequestUnreadable { .. }) {
            (EventReason::LoadBalancerFailed, text)
        } else if matches!(refusal, Refusal::NotEnoughClusterIps { .. }) {
            (EventReason::NotEnoughClusterIps, text)
        } else {
            (EventReason::AllocationFailed, format!("Failed to allocate IP for \"{key}\": {text}"))
        };
        self.once_as(key, event, (refusal.reason(), message))
    }

    /// The Event about the second address that `PreferDualStack` wishes and does not get.
    fn once_missing(&mut self, key: &ServiceKey, missing: &Refusal) -> Option<Notice> {
        let message = format!("cannot assign additional IP in PreferDualStack: {missing}");
        self.once_as(key, EventReason::AdditionalAssignFailed, (missing.reason(), message))
    }

    fn once_as(
        &mut self,
        key: &ServiceKey,
        event: EventReason,
        (reason, message): (&'static str, String),
    ) -> Option<Notice> {
        if self.0.insert(key.clone(), message.clone()).as_ref() == Some(&message) {
            return None;
        }
        tracing::warn!(service = %key, reason, error = message, "a Service does not get what it asks for");
        Some(Notice::new(event, format!("{reason}: {message}")))
    }

    pub(super) fn forget_all_but(&mut self, services: &BTreeMap<ServiceKey, Arc<SeenService>>) {
        self.0.retain(|key, _| services.contains_key(key));
    }

    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }
}
