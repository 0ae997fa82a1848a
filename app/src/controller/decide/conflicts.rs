//! Services whose addresses other hosts have, as the speakers found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::conditions::ADDRESS_CONFLICT;
use ferrolb_api::events::EventReason;
use ferrolb_api::node_state::ConflictState;
use ferrolb_cluster::Notice;
use ferrolb_cluster::controller::{Condition, ServiceStatus};
use ferrolb_cluster::parse::conflict::HostConflict;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_vocab::{MacAddr, ServiceKey};

const REASON: &str = "InUseByAnotherHost";

/// What was told at each Service of whose addresses another host has or had one.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ServiceKey, OfService>);

#[derive(Debug, Default)]
struct OfService {
    /// What it means now, if it lasts.
    state: Option<&'static str>,
    hosts: BTreeSet<Host>,
}

/// A host that has an address. Which node heard it changes with the owner.
type Host = (IpAddr, MacAddr);

impl Told {
    /// Adds the condition to `status` if another host has one of its addresses, and returns the Event
    /// if that is news. What the Service says already, an earlier leader has told.
    pub(super) fn judge(
        &mut self,
        service: &SeenService,
        conflicts: &BTreeMap<IpAddr, HostConflict>,
        status: &mut ServiceStatus,
    ) -> Option<Notice> {
        let key = &service.key;
        let found: Vec<(IpAddr, &HostConflict)> =
            status.addresses.iter().filter_map(|address| Some((*address, conflicts.get(address)?))).collect();
        if found.is_empty() {
            self.0.remove(key);
            return None;
        }
        let host = |(address, conflict): &(IpAddr, &HostConflict)| (*address, conflict.mac);
        let known: BTreeSet<Host> = found.iter().map(host).collect();
        let lasting: Vec<_> = found.iter().filter(|(_, conflict)| state(conflict).is_some()).collect();
        let told = self.0.entry(key.clone()).or_default();
        told.hosts.retain(|host| known.contains(host));
        told.state = lasting.iter().find_map(|(_, conflict)| state(conflict));
        told.state?;
        let before = told.hosts.len();
        told.hosts.extend(lasting.iter().map(|one| host(one)));
        let has_news = told.hosts.len() > before;
        let texts: Vec<String> = lasting.iter().map(|(address, conflict)| text(*address, conflict)).collect();
        let message = texts.join(" ");
        let is_told = !has_news || says(service, &message);
        let (type_, notice) = (ADDRESS_CONFLICT, format!("{REASON}: {message}"));
        status.conditions.push(Condition { type_, holds: true, reason: REASON, message });
        if is_told {
            return None;
        }
        tracing::warn!(service = %key, reason = REASON, error = notice, "another host has an address of a Service");
        Some(Notice::new(EventReason::AddressConflict, notice))
    }

    pub(super) fn forget_all_but(&mut self, services: &BTreeMap<ServiceKey, Arc<SeenService>>) {
        self.0.retain(|key, _| services.contains_key(key));
    }

    /// How many Services have a conflict, by what it means.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for state in self.0.values().filter_map(|told| told.state) {
            *counts.entry(state).or_default() += 1;
        }
        counts
    }
}

/// The name of what a conflict means, if it lasts.
const fn state(conflict: &HostConflict) -> Option<&'static str> {
    match conflict.state {
        ConflictState::Occupied => Some("occupied"),
        ConflictState::Contested => Some("contested"),
        ConflictState::Avoided | ConflictState::Released => None,
    }
}

fn text(address: IpAddr, conflict: &HostConflict) -> String {
    let HostConflict { mac, host, heard_by, interface, state } = conflict;
    let host = match host {
        Some(node) => format!("{mac} (node {node})"),
        None => mac.to_string(),
    };
    let what = match state {
        ConflictState::Occupied | ConflictState::Avoided => {
            "has the address, so that it is not announced until it is free"
        }
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
fn says(service: &SeenService, message: &str) -> bool {
    let mut conditions = service.written.conditions.iter();
    conditions.any(|condition| condition.type_ == ADDRESS_CONFLICT && condition.message == message)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{change, told, view};
    use super::super::{ControllerView, Decider, Decisions};
    use super::*;
    use ferrolb_api::annotations::ALLOCATED_ADDRESSES;
    use ferrolb_api::conditions::ADDRESS_ALLOCATED;
    use kube::ResourceExt;
    use serde_json::json;

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
        assert!(
            told(&decider.decide(&with(ConflictState::Occupied))).is_empty(),
            "another node found the same host"
        );
        assert!(condition(&decider.decide(&view(&["web"]))).is_none());
        assert_eq!(told(&decider.decide(&with(ConflictState::Contested))).len(), 1, "it is news again");
    }

    #[test]
    fn a_new_leader_tells_nothing_that_the_service_says_already() {
        let mut seen = with(ConflictState::Occupied);
        let decided = Decider::default().decide(&seen);
        let said = condition(&decided).unwrap().message.clone();
        let time = "2026-01-01T00:00:00Z";
        let conditions = [ADDRESS_ALLOCATED, ADDRESS_CONFLICT].map(|type_| {
            json!({"type": type_, "status": "True", "reason": REASON, "message": said, "lastTransitionTime": time})
        });
        change(&mut seen, "web", |web| {
            let status = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}, "conditions": conditions});
            web.status = serde_json::from_value(status).unwrap();
            web.annotations_mut().insert(ALLOCATED_ADDRESSES.into(), "10.0.0.1".into());
        });
        assert!(told(&Decider::default().decide(&seen)).is_empty());
    }
}
