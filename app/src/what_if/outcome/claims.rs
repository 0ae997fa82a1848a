//! What a change does to claims.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_ipam::{ClaimDecision, Reservation};
use ferrolb_vocab::ObjectName;

use super::Effect;

/// What a change does to one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimOutcome {
    /// The claim.
    pub claim: ObjectName,
    /// What happens to its reservation.
    pub effect: Effect,
    /// The address reserved today.
    pub before: Option<IpAddr>,
    /// The address reserved afterwards.
    pub after: Option<IpAddr>,
    /// Why; empty where nothing happens.
    pub why: String,
    /// Whether the change makes the claim.
    pub is_new: bool,
}

/// What differs between `before` and `after`.
pub(super) fn compare(
    before: &BTreeMap<ObjectName, ClaimDecision>,
    after: &BTreeMap<ObjectName, ClaimDecision>,
) -> Vec<ClaimOutcome> {
    let names: BTreeSet<&ObjectName> = before.keys().chain(after.keys()).collect();
    names.into_iter().map(|name| ClaimOutcome::of(name, before.get(name), after.get(name))).collect()
}

impl ClaimOutcome {
    fn of(claim: &ObjectName, before: Option<&ClaimDecision>, after: Option<&ClaimDecision>) -> Self {
        let reservation = |decision: Option<&ClaimDecision>| {
            decision.and_then(ClaimDecision::reservation).map(|reservation| reservation.address)
        };
        let (had, has) = (reservation(before), reservation(after));
        let effect = Effect::of(had.as_slice(), has.as_slice());
        Self {
            claim: claim.clone(),
            effect,
            before: had,
            after: has,
            why: why(effect, after),
            is_new: before.is_none(),
        }
    }

    /// Whether there is something to tell.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        match self.effect {
            Effect::Keeps => false,
            Effect::Gains | Effect::Loses | Effect::Moves => true,
            // A new claim that gets nothing is news; one that goes on waiting is not.
            Effect::Lacks => self.is_new,
        }
    }
}

/// The reason for `effect`, as the allocator gives it.
fn why(effect: Effect, after: Option<&ClaimDecision>) -> String {
    match (effect, after) {
        (Effect::Keeps, _) => String::new(),
        (_, None) => "the change deletes it".into(),
        (_, Some(ClaimDecision::Waiting { why, .. })) => why.to_string(),
        (_, Some(ClaimDecision::Reserved(Reservation { pool, .. }))) => format!("reserved from pool {pool}"),
    }
}
