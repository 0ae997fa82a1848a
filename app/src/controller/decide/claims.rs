//! What is said of claims: their status, and Events where something became of one.

use std::collections::BTreeMap;

use ferrolb_api::conditions::{BOUND, RESERVED};
use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_cluster::controller::{ClaimStatus, Condition, ControllerView};
use ferrolb_ipam::{Change, ClaimDecision, Reservation};
use ferrolb_vocab::ObjectName;

use super::Decisions;

/// As many Services as a claim's status lists.
const SERVICES_MAX: usize = 16;

/// The last word about each claim that waits.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ObjectName, String>);

impl Told {
    /// Adds to `decisions` what is to be written and told of `claims`.
    pub(super) fn add(
        &mut self,
        view: &ControllerView,
        claims: &BTreeMap<ObjectName, ClaimDecision>,
        decisions: &mut Decisions,
    ) {
        for (name, decision) in claims {
            let Some(claim) = view.claims.get(name) else { continue };
            *decisions.claimed.entry(state(decision)).or_default() += 1;
            let notice = self.notice(name, decision);
            decisions.notices.extend(notice.map(|notice| (claim.reference.clone(), notice)));
            decisions.claims.insert(name.clone(), status(decision));
        }
        self.0.retain(|name, _| claims.contains_key(name));
    }

    fn notice(&mut self, name: &ObjectName, decision: &ClaimDecision) -> Option<Notice> {
        match decision {
            ClaimDecision::Reserved(reservation) => {
                self.0.remove(name);
                let Reservation { address, pool, .. } = reservation;
                (reservation.change != Change::Kept).then(|| {
                    tracing::info!(claim = %name, %pool, ip = %address, "address reserved");
                    let message = format!("Reserved IP \"{address}\" from pool {pool}");
                    Notice::new(EventReason::AddressReserved, message)
                })
            }
            ClaimDecision::Waiting { why, .. } => {
                let message = format!("{}: {why}", why.reason());
                if self.0.insert(name.clone(), message.clone()).as_ref() == Some(&message) {
                    return None;
                }
                let reason = why.reason();
                tracing::warn!(claim = %name, reason, error = %why, "a claim has no address reserved");
                Some(Notice::new(EventReason::AddressNotReserved, message))
            }
        }
    }
}

/// The labels of the metric: what became of a claim, and why.
const fn state(decision: &ClaimDecision) -> (&'static str, &'static str) {
    match decision {
        ClaimDecision::Reserved(_) => ("reserved", ""),
        ClaimDecision::Waiting { why, .. } => ("waiting", why.reason()),
    }
}

fn status(decision: &ClaimDecision) -> ClaimStatus {
    let address = decision.address().map(|address| address.to_string());
    let (reserved, bound) = match decision {
        ClaimDecision::Reserved(reservation) => {
            let message = format!("{} of pool {} is reserved.", reservation.address, reservation.pool);
            let reserved = Condition { type_: RESERVED, holds: true, reason: "Reserved", message };
            (reserved, bound(reservation))
        }
        ClaimDecision::Waiting { why, .. } => {
            let message = format!("{why}.");
            let reserved = Condition { type_: RESERVED, holds: false, reason: why.reason(), message };
            let message = "There is no address to have; see the condition Reserved.".into();
            (reserved, Condition { type_: BOUND, holds: false, reason: "NotReserved", message })
        }
    };
    let reservation = decision.reservation();
    let services = reservation.into_iter().flat_map(|reservation| &reservation.services);
    ClaimStatus {
        address,
        pool: reservation.map(|reservation| reservation.pool.to_string()),
        services: services.take(SERVICES_MAX).cloned().collect(),
        conditions: vec![reserved, bound],
    }
}

fn bound(reservation: &Reservation) -> Condition {
    let users = reservation.services.len();
    let (holds, reason, message) = match users {
        0 => (
            false,
            "NoService",
            "No Service has the address; name the claim in a Service's annotation ferrolb.io/address-claim, or \
             select Services by spec.serviceSelector."
                .into(),
        ),
        1 => (true, "InUse", "A Service has the address.".into()),
        _ => (true, "InUse", format!("{users} Services share the address.")),
    };
    Condition { type_: BOUND, holds, reason, message }
}

#[cfg(test)]
mod tests {
    use super::super::Decider;
    use super::super::tests::{change, told, view};
    use super::*;
    use ferrolb_api::annotations::ADDRESS_CLAIM;
    use ferrolb_cluster::controller::Claim;
    use kube::ResourceExt;
    use serde_json::json;

    fn with_claim(view: &mut ControllerView, name: &str, address: &str) {
        let object = json!({
            "metadata": { "namespace": "default", "name": name, "uid": name },
            "spec": { "address": address },
        });
        let claim = Claim::of(&serde_json::from_value(object).unwrap());
        view.claims.insert(ObjectName::new("default", name), claim);
    }

    fn says(decisions: &Decisions, claim: &str) -> (Option<String>, Vec<String>, [&'static str; 2]) {
        let status = &decisions.claims[&ObjectName::new("default", claim)];
        let reasons = [&status.conditions[0], &status.conditions[1]].map(|condition| condition.reason);
        (status.address.clone(), status.services.clone(), reasons)
    }

    #[test]
    fn a_reservation_is_told_once_and_so_is_who_has_it() {
        let mut decider = Decider::default();
        let mut view = view(&["web"]);
        with_claim(&mut view, "c", "10.0.0.2");
        let first = decider.decide(&view);
        let expected = "c AddressReserved Reserved IP \"10.0.0.2\" from pool lb-pool";
        assert!(told(&first).contains(&expected.to_owned()), "{:?}", told(&first));
        assert_eq!(says(&first, "c"), (Some("10.0.0.2".into()), vec![], ["Reserved", "NoService"]));
        assert_eq!(first.claimed, [(("reserved", ""), 1)].into());

        change(&mut view, "web", |web| drop(web.annotations_mut().insert(ADDRESS_CLAIM.into(), "c".into())));
        let bound = decider.decide(&view);
        assert_eq!(says(&bound, "c").1, ["web"]);
        assert_eq!(says(&bound, "c").2, ["Reserved", "InUse"]);
        assert_eq!(bound.services[0].1.addresses, ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
        assert!(told(&decider.decide(&view)).is_empty());
    }

    #[test]
    fn a_claim_that_waits_is_told_once_with_the_reason_and_so_is_its_service() {
        let mut decider = Decider::default();
        let mut view = view(&["web", "waits"]);
        change(&mut view, "waits", |waits| {
            drop(waits.annotations_mut().insert(ADDRESS_CLAIM.into(), "c".into()))
        });
        with_claim(&mut view, "c", "10.9.0.1");
        let first = decider.decide(&view);
        let why = "10.9.0.1 is in no IPAddressPool; add it to one or ask for another address";
        let texts = told(&first);
        assert!(texts.contains(&format!("c AddressNotReserved AddressNotInPool: {why}")), "{texts:?}");
        let of_service = format!(
            "waits AllocationFailed ClaimNotReserved: Failed to allocate IP for \"default/waits\": AddressClaim \
             default/c has no address: {why}"
        );
        assert!(texts.contains(&of_service), "{texts:?}");
        assert_eq!(says(&first, "c"), (None, vec![], ["AddressNotInPool", "NotReserved"]));
        assert!(told(&decider.decide(&view)).is_empty());
    }
}
