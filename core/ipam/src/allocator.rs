//! The allocator: level-triggered, with the little memory that level-triggering needs.
//!
//! A round looks at everything. First it decides what is reserved by claims. Then it takes four steps, in an order
//! that makes the result independent of the order of events: who had addresses in the last round on the same terms
//! keeps them if they are still allowed; then who had them on other terms, or has them on record; then those whose
//! claims mean other addresses move, if they can; then whoever has none, or not enough, is served. So nobody loses an
//! address to a newcomer, and of Services that share an address the one that changes loses it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::net::IpAddr;

use ferrolb_vocab::{ObjectName, PoolName, ServiceKey};

use crate::claim::{ClaimDecision, ClaimRequest};
use crate::decision::{Allocation, Change, Cleared, Decision, Refused};
use crate::pool::Pool;
use crate::pool_set::PoolSet;
use crate::request::ServiceRequest;
use crate::usage::{self, Usage};

mod applicant;
mod binding;
mod choose;
mod claimed;
mod claims;
mod free;
mod keep;
mod ledger;
mod movers;
#[cfg(test)]
mod tests;

use applicant::{Applicant, Wish};
use binding::Bindings;
use keep::as_asked;
use movers::Unsettled;

/// Decides the addresses of all claims and Services, and remembers what it decided last.
///
/// Its memory bridges the time between the controller's writing of a status and its seeing it. For what it has
/// decided on, the memory counts and not the record, which may be older or edited by someone else; for one
/// that it meets the first time the record counts. So after a restart, with what was decided on record, a new
/// allocator decides the same. One that did not see all changes (a replica that was not the leader) must be
/// replaced by a new one.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    decisions: BTreeMap<ServiceKey, Decision>,
    claims: BTreeMap<ObjectName, ClaimDecision>,
}

/// A Service with its request.
type Asking<'a> = (&'a ServiceKey, &'a ServiceRequest);

/// One round of decisions.
struct Round<'a> {
    pools: &'a PoolSet,
    /// Pools with `autoAssign` and a `serviceAllocation`, by rank.
    pinned: Vec<&'a Pool>,
    /// Pools with `autoAssign` and no `serviceAllocation`, by name.
    unpinned: Vec<&'a Pool>,
    ledger: ledger::Ledger<'a>,
}

/// A Service that has addresses, as far as it knows.
struct Incumbent<'a> {
    applicant: Applicant<'a>,
    addresses: Vec<IpAddr>,
    source: Source,
}

/// How it is known who has an address. What this allocator decided comes before what someone recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Memory,
    Record,
}

/// A Service to be served.
struct Turn<'a> {
    applicant: Applicant<'a>,
    need: Need,
}

enum Need {
    /// It has nothing (any more).
    Addresses { cleared: Option<Box<Cleared>> },
    /// It has an address of one family and may have one of the other.
    SecondFamily,
    /// It keeps what it has, and is to be told why it gets nothing else.
    Reason,
}

impl Allocator {
    /// Decides on every one of `claims` and `services`, and forgets all others, whose addresses are thereby released.
    ///
    /// Called again with the same arguments it changes nothing, unless a claim is involved that waits for an address,
    /// or whose address made a Service leave another: what a Service gives up that way is free from the next round
    /// on, which the writing of its status brings about. There are at most as many such rounds as claims and Services.
    pub fn reconcile(
        &mut self,
        pools: &PoolSet,
        claims: &BTreeMap<ObjectName, ClaimRequest>,
        services: &BTreeMap<ServiceKey, impl Borrow<ServiceRequest>>,
    ) -> &BTreeMap<ServiceKey, Decision> {
        let services: &Vec<Asking<'_>> =
            &services.iter().map(|(service, request)| (service, request.borrow())).collect();
        self.forget_all_but(services);
        let mut bindings = Bindings::of(claims, services);
        let held = || claims::Held::new(&had(&self.decisions, services), &bindings);
        let claimed = claims::reserve((pools, &bindings), claims, &mut self.claims, held);
        bindings.resolve(&self.claims);
        let mut round = Round::new(pools, claimed);
        let mut unsettled = Unsettled::default();
        let incumbents = self.keep_unchanged(&mut round, (services, &bindings), &mut unsettled);
        self.settle_incumbents(&mut round, incumbents, &mut unsettled);
        let turns = self.settle_movers(&mut round, unsettled);
        self.serve(&mut round, turns);
        self.note_users(&bindings);
        &self.decisions
    }

    /// What was decided in the last round.
    #[must_use]
    pub const fn decisions(&self) -> &BTreeMap<ServiceKey, Decision> {
        &self.decisions
    }

    /// What was decided on claims in the last round.
    #[must_use]
    pub const fn claims(&self) -> &BTreeMap<ObjectName, ClaimDecision> {
        &self.claims
    }

    /// How full each of `pools` is after the last round.
    #[must_use]
    pub fn usage(&self, pools: &PoolSet) -> BTreeMap<PoolName, Usage> {
        usage::usage(pools, self.decisions.values(), self.claims.values())
    }

    fn forget_all_but(&mut self, services: &[Asking<'_>]) {
        // Side by side, as both are in order: looking each up costs as much as all the rest of a quiet round.
        let mut keys = services.iter().map(|(service, _)| *service).peekable();
        self.decisions.retain(|service, _| {
            while keys.next_if(|key| *key < service).is_some() {}
            keys.next_if_eq(&service).is_some()
        });
    }

    /// First step. All who are on the same terms as in the last round got on with each other then, so they can be
    /// taken in any order. Returns who else has something.
    fn keep_unchanged<'a>(
        &mut self,
        round: &mut Round<'a>,
        (services, bindings): (&[Asking<'a>], &'a Bindings<'a>),
        unsettled: &mut Unsettled<'a>,
    ) -> Vec<Incumbent<'a>> {
        let mut incumbents = Vec::new();
        let mut decisions = self.decisions.iter_mut().peekable();
        for &(service, request) in services {
            let applicant = Applicant { service, request, binding: bindings.get(service) };
            let decision = decisions.next_if(|(decided, _)| *decided == service);
            match decision.map(|(_, decision)| decision) {
                Some(Decision::Allocated(allocation)) if allocation.terms == request.terms => {
                    match round.keep(applicant, &allocation.addresses, as_asked) {
                        Ok(pool) => {
                            allocation.renew(pool, applicant);
                            let turn = Turn::for_second_family(applicant, &allocation.addresses);
                            unsettled.turns.extend(turn);
                        }
                        Err(why) => unsettled.add(round, applicant, allocation.addresses.clone(), why),
                    }
                }
                Some(Decision::Allocated(allocation)) => {
                    let addresses = allocation.addresses.clone();
                    incumbents.push(Incumbent { applicant, addresses, source: Source::Memory });
                }
                None if !request.recorded.is_empty() => {
                    let addresses = request.recorded.clone();
                    incumbents.push(Incumbent { applicant, addresses, source: Source::Record });
                }
                None | Some(Decision::Refused(_)) => unsettled.turns.push(Turn::for_newcomer(applicant)),
            }
        }
        incumbents
    }

    /// Second step: those who may contradict each other, in an order that does not depend on events.
    fn settle_incumbents<'a>(
        &mut self,
        round: &mut Round<'a>,
        mut incumbents: Vec<Incumbent<'a>>,
        unsettled: &mut Unsettled<'a>,
    ) {
        incumbents.sort_by_key(|incumbent| (incumbent.source, incumbent.applicant.seniority()));
        for Incumbent { applicant, addresses, .. } in incumbents {
            match round.keep(applicant, &addresses, as_asked) {
                Ok(pool) => {
                    unsettled.turns.extend(Turn::for_second_family(applicant, &addresses));
                    let kept = Allocation::new(applicant, (pool, addresses), Change::Kept);
                    self.decisions.insert(applicant.service.clone(), Decision::Allocated(kept));
                }
                Err(why) => unsettled.add(round, applicant, addresses, why),
            }
        }
    }

    /// Fourth step: the oldest first, except that who asks for certain addresses goes before who takes any, since
    /// only the latter has a choice.
    fn serve<'a>(&mut self, round: &mut Round<'a>, mut turns: Vec<Turn<'a>>) {
        let is_flexible = |turn: &Turn<'a>| match turn.applicant.wish() {
            Wish::Addresses { .. } | Wish::Claimed(_) => false,
            Wish::Any | Wish::Pool(_) | Wish::Unreadable { .. } | Wish::Unmet(_) => true,
        };
        turns.sort_by_key(|turn| (is_flexible(turn), turn.applicant.seniority()));
        let mut served = Vec::with_capacity(turns.len());
        for Turn { applicant, need } in turns {
            served.push(applicant);
            match need {
                Need::Addresses { cleared } => {
                    let decision = round.decide(applicant, cleared);
                    self.decisions.insert(applicant.service.clone(), decision);
                }
                Need::SecondFamily => {
                    if let Some(Decision::Allocated(allocation)) = self.decisions.get_mut(applicant.service) {
                        round.complete(applicant, allocation);
                    }
                }
                Need::Reason => {}
            }
        }
        for applicant in served {
            if let Some(decision) = self.decisions.get_mut(applicant.service) {
                round.explain(applicant, decision);
            }
        }
    }

    /// Notes with each reservation who has its address.
    fn note_users(&mut self, bindings: &Bindings<'_>) {
        for (service, binding) in bindings.iter() {
            let addresses = self.decisions.get(service).map_or(&[][..], Decision::addresses);
            for (claim, _) in &binding.claims {
                if let Some(ClaimDecision::Reserved(reservation)) = self.claims.get_mut(*claim)
                    && addresses.contains(&reservation.address)
                {
                    reservation.services.insert((*service.name).into());
                }
            }
        }
    }
}

/// What each Service has when a round starts.
fn had<'a, 'r>(
    decisions: &'r BTreeMap<ServiceKey, Decision>,
    services: &[Asking<'a>],
) -> BTreeMap<&'a ServiceKey, &'r [IpAddr]>
where
    'a: 'r,
{
    let had = |&(service, request): &Asking<'a>| {
        (service, decisions.get(service).map_or(&request.recorded[..], Decision::addresses))
    };
    services.iter().map(had).collect()
}

impl<'a> Round<'a> {
    fn new(pools: &'a PoolSet, claimed: claimed::Claimed<'a>) -> Self {
        let (mut pinned, unpinned): (Vec<_>, Vec<_>) =
            pools.iter().filter(|pool| pool.auto_assign).partition(|pool| pool.service_allocation.is_some());
        pinned.sort_by_key(|pool| pool.rank());
        Self { pools, pinned, unpinned, ledger: ledger::Ledger::new(claimed) }
    }

    /// Decides on a Service that has nothing, after `cleared` was taken away from it.
    fn decide(&mut self, applicant: Applicant<'a>, cleared: Option<Box<Cleared>>) -> Decision {
        match self.allocate(applicant) {
            Ok(choice) => {
                let mut allocation = Allocation::new(applicant, choice, Change::Allocated);
                allocation.cleared = cleared;
                self.complete(applicant, &mut allocation);
                Decision::Allocated(allocation)
            }
            Err(why) => Decision::Refused(Refused { why, cleared }),
        }
    }

    /// Adds the second family if it is due and possible, or says why not.
    fn complete(&mut self, applicant: Applicant<'a>, allocation: &mut Allocation) {
        let Some(first) = applicant.lone_address(&allocation.addresses) else { return };
        match self.add_second(applicant, &allocation.pool, first) {
            Ok(second) => {
                allocation.addresses.push(second);
                allocation.change = match allocation.change {
                    Change::Allocated => Change::Allocated,
                    Change::Kept | Change::Added(_) => Change::Added(second),
                };
            }
            Err(why) => allocation.missing = Some(Box::new(why)),
        }
    }

    /// Says anew why something is not given, once all is given: who came later may have taken what was free, and
    /// the reason must be the one that the next round finds.
    fn explain(&mut self, applicant: Applicant<'a>, decision: &mut Decision) {
        match decision {
            Decision::Allocated(allocation) => {
                if allocation.missing.is_some() {
                    self.complete(applicant, allocation);
                }
                if let Some(unmet) = &mut allocation.unmet
                    && let Wish::Claimed(claimed) = applicant.wish()
                    && let Err(why) = self.choose_claimed(applicant, claimed, &allocation.addresses)
                {
                    **unmet = why;
                }
            }
            Decision::Refused(refused) => {
                if let Err(why) = self.choose(applicant) {
                    refused.why = why;
                }
            }
        }
    }
}

impl<'a> Turn<'a> {
    const fn for_newcomer(applicant: Applicant<'a>) -> Self {
        Self { applicant, need: Need::Addresses { cleared: None } }
    }

    fn after_clearing(
        applicant: Applicant<'a>,
        addresses: Vec<IpAddr>,
        why: crate::refusal::Refusal,
    ) -> Self {
        Self { applicant, need: Need::Addresses { cleared: Some(Box::new(Cleared { addresses, why })) } }
    }

    fn for_second_family(applicant: Applicant<'a>, addresses: &[IpAddr]) -> Option<Self> {
        applicant.lone_address(addresses).map(|_| Self { applicant, need: Need::SecondFamily })
    }
}

impl Allocation {
    fn new(applicant: Applicant<'_>, (pool, addresses): choose::Choice<'_>, change: Change) -> Self {
        Self {
            pool: pool.name.clone(),
            addresses,
            terms: Arc::clone(&applicant.request.terms),
            change,
            missing: None,
            unmet: applicant.unmet().map(Box::new),
            cleared: None,
        }
    }

    /// Kept once more, now from `pool`.
    fn renew(&mut self, pool: &Pool, applicant: Applicant<'_>) {
        if self.pool != pool.name {
            self.pool = pool.name.clone();
        }
        // They are equal; the Service may have been read again.
        self.terms = Arc::clone(&applicant.request.terms);
        self.change = Change::Kept;
        self.missing = None;
        self.unmet = applicant.unmet().map(Box::new);
        self.cleared = None;
    }
}
