//! What differs between two judgements of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_ipam::{ClaimDecision, Decision};
use ferrolb_vocab::{ObjectName, ServiceKey};

use super::announcers::Announcer;

mod claims;

pub use claims::ClaimOutcome;

/// What the controller and the speakers decide on one state of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// The addresses of each Service.
    pub decisions: BTreeMap<ServiceKey, Decision>,
    /// What each claim reserves.
    pub claims: BTreeMap<ObjectName, ClaimDecision>,
    /// Who announces each Service.
    pub announcers: BTreeMap<ServiceKey, Announcer>,
    /// Configuration objects that are not accepted or not in use.
    pub complaints: Vec<Complaint>,
}

/// A configuration object that is not accepted or not in use.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Complaint {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The stable name of the reason.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What a change does.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Every Service, also those that keep what they have, by name.
    pub services: Vec<ServiceOutcome>,
    /// Every claim, by name.
    pub claims: Vec<ClaimOutcome>,
    /// Objects about which there is something to say that there was not before.
    pub complaints: Vec<Complaint>,
    /// Services whose status is not what the controller decides today, without the change.
    pub unsettled: Vec<ServiceKey>,
}

/// What a change does to one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOutcome {
    /// The Service.
    pub service: ServiceKey,
    /// What happens.
    pub effect: Effect,
    /// Its addresses today.
    pub before: Vec<IpAddr>,
    /// Its addresses afterwards.
    pub after: Vec<IpAddr>,
    /// Why; empty where nothing happens.
    pub why: String,
    /// Who announces it today; absent when it is new.
    pub announced_by: Option<Announcer>,
    /// Who announces it afterwards; absent when it is gone.
    pub then_announced_by: Option<Announcer>,
}

/// What happens to a Service's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has the same as before.
    Keeps,
    /// It has more than before.
    Gains,
    /// It has fewer than before.
    Loses,
    /// It has others instead.
    Moves,
    /// It has none, before and after.
    Lacks,
}

/// What a change does, in numbers of Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// They keep their addresses.
    pub keep: usize,
    /// They gain one.
    pub gain: usize,
    /// They lose one.
    pub lose: usize,
    /// They get others instead.
    pub moved: usize,
    /// They have none, before and after.
    pub lack: usize,
    /// They keep their addresses, which another node announces.
    pub change_node: usize,
    /// They are announced today and no more afterwards, though they have an address.
    pub silenced: usize,
    /// Claims that lose their reservation and get no other.
    pub claims_lost: usize,
}

/// What differs between `before` and `after`.
#[must_use]
pub fn compare(before: &Judgement, after: &Judgement) -> Outcome {
    let keys: BTreeSet<&ServiceKey> = before.decisions.keys().chain(after.decisions.keys()).collect();
    let service = |key: &ServiceKey| ServiceOutcome {
        announced_by: before.announcers.get(key).cloned(),
        then_announced_by: after.announcers.get(key).cloned(),
        ..ServiceOutcome::of(key, before.decisions.get(key), after.decisions.get(key))
    };
    let is_new = |complaint: &&Complaint| !before.complaints.contains(*complaint);
    Outcome {
        services: keys.into_iter().map(service).collect(),
        claims: claims::compare(&before.claims, &after.claims),
        complaints: after.complaints.iter().filter(is_new).cloned().collect(),
        unsettled: Vec::new(),
    }
}

impl ServiceOutcome {
    fn of(service: &ServiceKey, before: Option<&Decision>, after: Option<&Decision>) -> Self {
        let addresses =
            |decision: Option<&Decision>| decision.map(Decision::addresses).unwrap_or_default().to_vec();
        let (had, has) = (addresses(before), addresses(after));
        let effect = Effect::of(&had, &has);
        Self {
            service: service.clone(),
            effect,
            why: why(effect, after),
            before: had,
            after: has,
            announced_by: None,
            then_announced_by: None,
        }
    }

    /// Whether another node announces the addresses that the Service keeps.
    #[must_use]
    pub fn changes_node(&self) -> bool {
        match (&self.announced_by, &self.then_announced_by) {
            (Some(Announcer::Node(today)), Some(Announcer::Node(then))) => {
                self.effect == Effect::Keeps && today != then
            }
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    /// Whether the Service is announced today and no more afterwards, though it has an address.
    #[must_use]
    pub fn is_silenced(&self) -> bool {
        let is_announced = matches!(self.announced_by, Some(Announcer::Node(_)));
        let is_withheld = matches!(self.then_announced_by, Some(Announcer::Nobody { .. }));
        is_announced && is_withheld && !self.after.is_empty()
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn is_change(&self) -> bool {
        match self.effect {
            Effect::Keeps => self.announced_by != self.then_announced_by,
            Effect::Gains | Effect::Loses | Effect::Moves => true,
            // A new Service that gets nothing is news; one that goes on without is not.
            Effect::Lacks => self.announced_by.is_none(),
        }
    }
}

/// The reason for `effect`, as the allocator gives it.
fn why(effect: Effect, after: Option<&Decision>) -> String {
    let Some(decision) = after else {
        return "the change deletes it, or makes it a Service that FerroLB does not serve".into();
    };
    let pool = decision.allocation().map(|allocation| format!("from pool {}", allocation.pool));
    let taken = decision.cleared().map(|cleared| cleared.why.to_string());
    let missing = decision.allocation().and_then(|allocation| allocation.missing.as_deref());
    let unmet = decision.allocation().and_then(|allocation| allocation.unmet.as_deref());
    let refused = decision
        .refusal()
        .or(unmet)
        .or(missing)
        .map(ToString::to_string)
        .filter(|why| taken.as_ref() != Some(why));
    let parts = match effect {
        Effect::Keeps => [None, None],
        Effect::Gains => [pool, None],
        Effect::Moves => [taken, pool.map(|pool| format!("now {pool}"))],
        Effect::Loses => [taken, refused.map(|why| format!("and gets no other: {why}"))],
        Effect::Lacks => [decision.refusal().map(ToString::to_string), None],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl Effect {
    fn of(before: &[IpAddr], after: &[IpAddr]) -> Self {
        let keeps_all = before.iter().all(|address| after.contains(address));
        match after.len().cmp(&before.len()) {
            std::cmp::Ordering::Less => Self::Loses,
            _ if !keeps_all => Self::Moves,
            std::cmp::Ordering::Greater => Self::Gains,
            std::cmp::Ordering::Equal if after.is_empty() => Self::Lacks,
            std::cmp::Ordering::Equal => Self::Keeps,
        }
    }

    /// What the Service does, as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keeps => "keeps",
            Self::Gains => "gains",
            Self::Loses => "loses",
            Self::Moves => "moves",
            Self::Lacks => "lacks",
        }
    }
}

impl Outcome {
    /// The outcome in numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for service in &self.services {
            *match service.effect {
                Effect::Keeps => &mut summary.keep,
                Effect::Gains => &mut summary.gain,
                Effect::Loses => &mut summary.lose,
                Effect::Moves => &mut summary.moved,
                Effect::Lacks => &mut summary.lack,
            } += 1;
            summary.change_node += usize::from(service.changes_node());
            summary.silenced += usize::from(service.is_silenced());
        }
        let loses = |claim: &&ClaimOutcome| claim.effect == Effect::Loses;
        summary.claims_lost = self.claims.iter().filter(loses).count();
        summary
    }
}

impl Summary {
    /// Whether a Service loses an address, or the node that announces it, or a claim its reservation.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        self.lose > 0 || self.silenced > 0 || self.claims_lost > 0
    }
}

#[cfg(test)]
mod tests;
