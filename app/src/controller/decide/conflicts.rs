//! Services whose addresses other hosts have, as the speakers found.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::conditions::ADDRESS_CONFLICT;
use ferrolb_api::events::EventReason;
use ferrolb_api::node_state::ConflictState;
use ferrolb_cluster::Notice;
use ferrolb_cluster::controller::{Condition, ServiceStatus};
use ferrolb_cluster::parse::conflict::HostConflict;
use ferrolb_vocab::ServiceKey;
use k8s_openapi::api::core::v1::Service;

const REASON: &str = "InUseByAnotherHost";

/// The conflict that was told last at each Service that has one.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ServiceKey, (&'static str, String)>);

impl Told {
    /// Adds the condition to `status` if another host has one of its addresses, and returns the Event
    /// if that is news. What the Service says already, an earlier leader has told.
    pub(super) fn judge(
        &mut self,
        (key, service): (&ServiceKey, &Service),
        conflicts: &BTreeMap<IpAddr, HostConflict>,
        status: &mut ServiceStatus,
    ) -> Option<Notice> {
        let found = |address: &IpAddr| Some((*address, conflicts.get(address)?));
        let found =
            status.addresses.iter().filter_map(found).filter_map(|found| Some((found, state(found.1)?)));
        let (texts, states): (Vec<String>, Vec<&str>) =
            found.map(|((address, conflict), state)| (text(address, conflict), state)).unzip();
        let Some(state) = states.first() else {
            if self.0.remove(key).is_some() {
                tracing::info!(service = %key, "no other host has an address of the Service any more");
            }
            return None;
        };
        let message = texts.join(" ");
        let is_new = self.0.get(key).is_none_or(|(_, told)| *told != message) && !says(service, &message);
        self.0.insert(key.clone(), (state, message.clone()));
        status.conditions.push(Condition {
            type_: ADDRESS_CONFLICT,
            holds: true,
            reason: REASON,
            message: message.clone(),
        });
        if !is_new {
            return None;
        }
        tracing::warn!(service = %key, reason = REASON, error = message, "another host has an address of a Service");
        Some(Notice::new(EventReason::AddressConflict, format!("{REASON}: {message}")))
    }

    pub(super) fn forget_all_but(&mut self, services: &BTreeMap<ServiceKey, Arc<Service>>) {
        self.0.retain(|key, _| services.contains_key(key));
    }

    /// How many Services have a conflict, by what it means.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (state, _) in self.0.values() {
            *counts.entry(*state).or_default() += 1;
        }
        counts
    }
}

/// The name of what a conflict means, if it lasts.
const fn state(conflict: &HostConflict) -> Option<&'static str> {
    match conflict.state {
        ConflictState::Occupied => Some("occupied"),
        ConflictState::Contested => Some("contested"),
        ConflictState::Released => None,
    }
}

fn text(address: IpAddr, conflict: &HostConflict) -> String {
    let HostConflict { mac, host, heard_by, interface, state } = conflict;
    let host = match host {
        Some(node) => format!("{mac} (node {node})"),
        None => mac.to_string(),
    };
    let what = match state {
        ConflictState::Occupied => "has the address, so that it is not announced until it is free",
        ConflictState::Contested | ConflictState::Released => {
            "claims the address too, so that some clients may reach the wrong one"
        }
    };
    format!(
        "{address}: host {host} {what}; node {heard_by} heard it on {interface}. Remove the address from that host, or \
         take it out of the pool, so that the Service gets another."
    )
}

/// Whether the Service carries the condition with this message.
fn says(service: &Service, message: &str) -> bool {
    let conditions = service.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == ADDRESS_CONFLICT && condition.message == message)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{told, view};
    use super::super::{ControllerView, Decider, Decisions};
    use super::*;
    use ferrolb_cluster::controller::updated;
    use jiff::Timestamp;

    /// One Service, whose address a host has or had.
    fn with(state: ConflictState) -> ControllerView {
        let conflict = HostConflict {
            mac: "02:00:00:00:00:99".parse().unwrap(),
            host: None,
            heard_by: "worker1".into(),
            interface: "eth0".into(),
            state,
        };
        ControllerView { conflicts: [("10.0.0.1".parse().unwrap(), conflict)].into(), ..view(&["web"]) }
    }

    fn condition(decisions: &Decisions) -> Option<&Condition> {
        let (_, status) = decisions.services.first()?;
        status.conditions.iter().find(|condition| condition.type_ == ADDRESS_CONFLICT)
    }

    #[test]
    fn a_conflict_is_told_once_and_its_condition_goes_when_it_is_over() {
        let mut decider = Decider::default();
        decider.decide(&view(&["web"]));
        let found = decider.decide(&with(ConflictState::Occupied));
        let text = "10.0.0.1: host 02:00:00:00:00:99 has the address, so that it is not announced until it is free; \
                    node worker1 heard it on eth0. Remove the address from that host, or take it out of the pool, so \
                    that the Service gets another.";
        let expected =
            Condition { type_: ADDRESS_CONFLICT, holds: true, reason: REASON, message: text.into() };
        assert_eq!(condition(&found), Some(&expected));
        assert_eq!(told(&found), [format!("web AddressConflict InUseByAnotherHost: {text}")]);
        assert_eq!(found.conflicts, [("occupied", 1)].into());
        assert!(told(&decider.decide(&with(ConflictState::Occupied))).is_empty(), "not twice");
        let over = decider.decide(&with(ConflictState::Released));
        assert_eq!((condition(&over), over.conflicts.len(), told(&over).len()), (None, 0, 0));
        assert_eq!(told(&decider.decide(&with(ConflictState::Contested))).len(), 1, "it is news again");
    }

    #[test]
    fn a_new_leader_tells_nothing_that_the_service_says_already() {
        let mut seen = with(ConflictState::Occupied);
        let decided = Decider::default().decide(&seen);
        let (service, status) = &decided.services[0];
        let written = updated(service, status, Timestamp::UNIX_EPOCH).unwrap();
        seen.services = [(ServiceKey::new("default", "web"), Arc::new(written))].into();
        assert!(told(&Decider::default().decide(&seen)).is_empty());
    }
}
