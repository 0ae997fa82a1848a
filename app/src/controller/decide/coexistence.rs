//! Beside MetalLB: what it handles is left to it, and the objects say so.

use std::collections::BTreeSet;

use ferrolb_api::conditions::READY;
use ferrolb_api::ip_address_pool::IpAddressPoolStatus;
use ferrolb_cluster::coexistence::MetalLbPods;
use ferrolb_cluster::controller::{Condition, ConfigObject, ControllerView};
use ferrolb_ipam::Allocator;
use ferrolb_vocab::ServiceKey;

use super::{Decider, Decisions};

/// As many Pods as a person reads.
const LISTED_MAX: usize = 3;

impl Decider {
    /// Decides about configuration objects only. Who has what is forgotten: until MetalLB is gone,
    /// it changes that.
    pub(super) fn stand_back(&mut self, view: &ControllerView) -> Decisions {
        self.allocator = Allocator::default();
        self.told.forget_all();
        let mut requests = view.requests();
        requests.retain(|_, request| !request.recorded.is_empty());
        let mut held = Allocator::default();
        held.reconcile(&view.pools, &view.claim_requests(), &requests);
        let mut decisions = Decisions::none(view, held.usage(&view.pools));
        let waiting = view.services.len().saturating_sub(requests.len());
        decisions.refused.insert(REASON, u64::try_from(waiting).unwrap_or(u64::MAX));
        self.decide_config(view, &mut decisions);
        decisions
    }
}

/// What the log last said about MetalLB.
#[derive(Debug, Default)]
pub(super) struct Told {
    waits: bool,
    unclaimed: BTreeSet<ServiceKey>,
}

impl Told {
    /// Says what changed.
    pub(super) fn mention(&mut self, view: &ControllerView) {
        let waits = !view.metallb.is_empty();
        match (self.waits, waits) {
            (false, true) => {
                let object = listed(&view.metallb);
                tracing::warn!(
                    object,
                    reason = REASON,
                    "MetalLB's own Pods run, so no address is given or taken until they are gone"
                );
            }
            (true, false) => tracing::info!("MetalLB's own Pods are gone, addresses are given"),
            (true, true) | (false, false) => {}
        }
        self.waits = waits;
        for service in view.unclaimed.difference(&self.unclaimed) {
            tracing::warn!(
                %service,
                reason = "NoPools",
                "a Service keeps the address that MetalLB gave it, because there is no IPAddressPool at all; create it"
            );
        }
        self.unclaimed.clone_from(&view.unclaimed);
    }
}

/// The counters that a pool keeps: while MetalLB's controller may be counting, those it wrote.
pub(super) fn counters(object: &ConfigObject, view: &ControllerView) -> Option<IpAddressPoolStatus> {
    let current = object.usage.clone().filter(|_| !view.metallb.is_empty())?;
    Some(IpAddressPoolStatus { conditions: Vec::new(), ..current })
}

/// Why nothing happens that an object asks for, while MetalLB's Pods run.
pub(super) fn condition(view: &ControllerView) -> Option<Condition> {
    if view.metallb.is_empty() {
        return None;
    }
    let message = format!(
        "MetalLB's own Pods run and handle the same Services ({}), so FerroLB gives and announces no address; \
         it begins by itself when they are gone.",
        listed(&view.metallb)
    );
    Some(Condition { type_: READY, holds: false, reason: REASON, message })
}

/// The first few Pods.
fn listed(pods: &MetalLbPods) -> String {
    let first: Vec<String> = pods.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    match pods.iter().count().saturating_sub(LISTED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

const REASON: &str = "MetalLBRuns";

#[cfg(test)]
mod tests;
