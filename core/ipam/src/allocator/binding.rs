//! Which claims each Service is bound to: those that it names, or else those that select it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{Labels, ObjectName, Operator, ServiceKey};

use super::Asking;
use crate::claim::{ClaimDecision, ClaimRequest};
use crate::refusal::Refusal;
use crate::request::{ServiceRequest, Wanted};

/// The Services that have to do with claims. All others cost nothing.
#[derive(Default)]
pub(super) struct Bindings<'a>(BTreeMap<&'a ServiceKey, Binding<'a>>);

/// A claim with its name.
type Named<'a> = (&'a ObjectName, &'a ClaimRequest);

/// The claims of one Service.
pub(super) struct Binding<'a> {
    pub(super) request: &'a ServiceRequest,
    /// In the order named, or the oldest first.
    pub(super) claims: Vec<Named<'a>>,
    /// A claim that it names and that does not exist.
    missing: Option<ObjectName>,
    /// What follows, known once the claims are decided.
    pub(super) wish: ClaimedWish,
}

/// What its claims make a Service ask for.
pub(super) enum ClaimedWish {
    /// What it asks for itself.
    Own,
    /// Their addresses.
    Addresses(Vec<IpAddr>),
    /// Nothing, for one of them has no address.
    Unmet(Refusal),
}

impl<'a> Bindings<'a> {
    pub(super) fn of(claims: &'a BTreeMap<ObjectName, ClaimRequest>, services: &[Asking<'a>]) -> Self {
        let selecting = Selecting::of(claims);
        let bind = |&(service, request): &Asking<'a>| {
            let (mut bound, mut missing) = (Vec::new(), None);
            match &request.wanted {
                Wanted::Claims(names) => {
                    for name in names {
                        let name = ObjectName::new(&*service.namespace, name.as_str());
                        match claims.get_key_value(&name) {
                            Some(claim) => bound.push(claim),
                            None => missing = missing.or(Some(name)),
                        }
                    }
                }
                Wanted::Any | Wanted::Pool(_) | Wanted::Addresses { .. } | Wanted::Unreadable { .. } => {
                    bound = selecting.matching(&service.namespace, &request.labels);
                }
            }
            let is_bound = !bound.is_empty() || missing.is_some();
            is_bound.then_some((service, Binding { request, claims: bound, missing, wish: ClaimedWish::Own }))
        };
        Self(services.iter().filter_map(bind).collect())
    }

    /// Makes of what became of the claims what each Service asks for.
    pub(super) fn resolve(&mut self, decisions: &BTreeMap<ObjectName, ClaimDecision>) {
        for binding in self.0.values_mut() {
            binding.wish = binding.resolved(decisions);
        }
    }

    pub(super) fn get(&self, service: &ServiceKey) -> Option<&Binding<'a>> {
        if self.0.is_empty() { None } else { self.0.get(service) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a ServiceKey, &Binding<'a>)> {
        self.0.iter().map(|(service, binding)| (*service, binding))
    }
}

impl<'a> Binding<'a> {
    pub(super) fn is_to(&self, claim: &ObjectName) -> bool {
        self.claims.iter().any(|(bound, _)| *bound == claim)
    }

    fn resolved(&self, decisions: &BTreeMap<ObjectName, ClaimDecision>) -> ClaimedWish {
        if let Some(claim) = &self.missing {
            return ClaimedWish::Unmet(Refusal::ClaimNotFound { claim: claim.clone() });
        }
        let meant: Vec<&ObjectName> = match &self.request.wanted {
            Wanted::Claims(_) => self.claims.iter().map(|(name, _)| *name).collect(),
            Wanted::Any => self.oldest_of_each_family(),
            Wanted::Pool(_) | Wanted::Addresses { .. } | Wanted::Unreadable { .. } => Vec::new(),
        };
        if meant.is_empty() {
            return ClaimedWish::Own;
        }
        let address = |claim: &&ObjectName| match decisions.get(*claim) {
            Some(ClaimDecision::Reserved(reservation)) => Ok(reservation.address),
            Some(ClaimDecision::Waiting { why, .. }) => {
                Err(Refusal::ClaimNotReserved { claim: (*claim).clone(), why: Box::new(why.clone()) })
            }
            None => Err(Refusal::ClaimNotFound { claim: (*claim).clone() }),
        };
        match meant.iter().map(address).collect() {
            Ok(addresses) => ClaimedWish::Addresses(addresses),
            Err(why) => ClaimedWish::Unmet(why),
        }
    }

    fn oldest_of_each_family(&self) -> Vec<&'a ObjectName> {
        let oldest = |family| self.claims.iter().find(move |(_, claim)| claim.family() == Some(family));
        self.request.families.each().iter().filter_map(|family| Some(oldest(*family)?.0)).collect()
    }
}

/// The claims with a selector, found by what a Service's labels say rather than one by one: a namespace may have
/// as many as it has Services.
#[derive(Default)]
struct Selecting<'a> {
    /// By namespace, label and value that they demand, among other things maybe.
    by_label: BTreeMap<(&'a str, &'a str, &'a str), Vec<Named<'a>>>,
    /// By namespace, those that demand no certain value.
    others: BTreeMap<&'a str, Vec<Named<'a>>>,
}

impl<'a> Selecting<'a> {
    fn of(claims: &'a BTreeMap<ObjectName, ClaimRequest>) -> Self {
        let mut selecting = Self::default();
        for (name, claim) in claims {
            let Some(selector) = &claim.selector else { continue };
            let demanded = selector.requirements.iter().find_map(|requirement| match &requirement.operator {
                Operator::In(values) => Some((requirement.key.as_str(), values)),
                Operator::NotIn(_) | Operator::Exists | Operator::DoesNotExist => None,
            });
            let namespace = name.namespace.as_str();
            match demanded {
                Some((key, values)) => {
                    for value in values {
                        let place = (namespace, key, value.as_str());
                        selecting.by_label.entry(place).or_default().push((name, claim));
                    }
                }
                None => selecting.others.entry(namespace).or_default().push((name, claim)),
            }
        }
        selecting
    }

    /// The claims of `namespace` that select a Service with `labels`, the oldest first.
    fn matching(&self, namespace: &str, labels: &Labels) -> Vec<Named<'a>> {
        if self.by_label.is_empty() && self.others.is_empty() {
            return Vec::new();
        }
        let by_label = labels.iter().filter_map(|(key, value)| self.by_label.get(&(namespace, key, value)));
        let candidates = by_label.chain(self.others.get(namespace)).flatten().copied();
        let selects = |claim: &ClaimRequest| claim.selector.as_ref().is_some_and(|all| all.matches(labels));
        let mut matching: Vec<_> = candidates.filter(|(_, claim)| selects(claim)).collect();
        matching.sort_by_key(|(name, claim)| (claim.created, *name));
        matching
    }
}
