//! The allocator: level-triggered, with the little memory that level-triggering needs.
//!
//! A round looks at everything and takes three steps, in an order that makes the result independent of the order
//! of events: who had addresses in the last round on the same terms keeps them if they are still allowed; then who
//! had them on other terms, or has them on record; then whoever has none, or not enough, is served. So nobody
//! loses an address to a newcomer, and of Services that share an address the one that changes loses it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, PoolName, ServiceKey};

use crate::decision::{Allocation, Change, Cleared, Decision, Refused};
use crate::pool::Pool;
use crate::pool_set::PoolSet;
use crate::request::{Families, FamilyPolicy, ServiceRequest, Wanted};
use crate::usage::{self, Usage};

mod choose;
mod keep;
mod ledger;
#[cfg(test)]
mod tests;

/// Decides the addresses of all Services, and remembers what it decided last.
///
/// Its memory bridges the time between the controller's writing of a status and its seeing it. For a Service that
/// it has decided on, the memory counts and not the record, which may be older or edited by someone else; for one
/// that it meets the first time the record counts. So after a restart, with what was decided on record, a new
/// allocator decides the same. One that did not see all changes (a replica that was not the leader) must be
/// replaced by a new one.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    decisions: BTreeMap<ServiceKey, Decision>,
}

/// A Service and what it asks for.
#[derive(Clone, Copy)]
struct Applicant<'a> {
    service: &'a ServiceKey,
    request: &'a ServiceRequest,
}

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
struct Claim<'a> {
    applicant: Applicant<'a>,
    addresses: Vec<IpAddr>,
    source: Source,
}

/// Where a claim comes from. What this allocator decided comes before what someone recorded.
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
    Addresses { cleared: Option<Cleared> },
    /// It has an address of one family and may have one of the other.
    SecondFamily,
}

impl Allocator {
    /// Decides on every one of `services`, and forgets all others, whose addresses are thereby released.
    ///
    /// Called again with the same arguments it changes nothing.
    pub fn reconcile(
        &mut self,
        pools: &PoolSet,
        services: &BTreeMap<ServiceKey, ServiceRequest>,
    ) -> &BTreeMap<ServiceKey, Decision> {
        self.forget_all_but(services);
        let mut round = Round::new(pools);
        let mut turns = Vec::new();
        let claims = self.keep_unchanged(&mut round, services, &mut turns);
        self.settle_claims(&mut round, claims, &mut turns);
        self.serve(&mut round, turns);
        &self.decisions
    }

    /// What was decided in the last round.
    #[must_use]
    pub const fn decisions(&self) -> &BTreeMap<ServiceKey, Decision> {
        &self.decisions
    }

    /// How full each of `pools` is after the last round.
    #[must_use]
    pub fn usage(&self, pools: &PoolSet) -> BTreeMap<PoolName, Usage> {
        usage::usage(pools, self.decisions.values())
    }

    fn forget_all_but(&mut self, services: &BTreeMap<ServiceKey, ServiceRequest>) {
        // Side by side, as both are in order: looking each up costs as much as all the rest of a quiet round.
        let mut keys = services.keys().peekable();
        self.decisions.retain(|service, _| {
            while keys.next_if(|key| *key < service).is_some() {}
            keys.next_if_eq(&service).is_some()
        });
    }

    /// First step. All who are on the same terms as in the last round got on with each other then, so they can be
    /// taken in any order. Returns who is left to claim something.
    fn keep_unchanged<'a>(
        &mut self,
        round: &mut Round<'a>,
        services: &'a BTreeMap<ServiceKey, ServiceRequest>,
        turns: &mut Vec<Turn<'a>>,
    ) -> Vec<Claim<'a>> {
        let mut claims = Vec::new();
        let mut decisions = self.decisions.iter_mut().peekable();
        for (service, request) in services {
            let applicant = Applicant { service, request };
            let decision = decisions.next_if(|(decided, _)| *decided == service);
            match decision.map(|(_, decision)| decision) {
                Some(Decision::Allocated(allocation)) if allocation.terms == request.terms => {
                    match round.keep(applicant, &allocation.addresses) {
                        Ok(pool) => {
                            allocation.renew(pool);
                            turns.extend(Turn::for_second_family(applicant, &allocation.addresses));
                        }
                        Err(why) => {
                            turns.push(Turn::after_clearing(applicant, allocation.addresses.clone(), why))
                        }
                    }
                }
                Some(Decision::Allocated(allocation)) => {
                    let addresses = allocation.addresses.clone();
                    claims.push(Claim { applicant, addresses, source: Source::Memory });
                }
                None if !request.recorded.is_empty() => {
                    let addresses = request.recorded.clone();
                    claims.push(Claim { applicant, addresses, source: Source::Record });
                }
                None | Some(Decision::Refused(_)) => turns.push(Turn::for_newcomer(applicant)),
            }
        }
        claims
    }

    /// Second step: those whose claims may contradict each other, in an order that does not depend on events.
    fn settle_claims<'a>(
        &mut self,
        round: &mut Round<'a>,
        mut claims: Vec<Claim<'a>>,
        turns: &mut Vec<Turn<'a>>,
    ) {
        claims.sort_by_key(|claim| (claim.source, claim.applicant.seniority()));
        for Claim { applicant, addresses, .. } in claims {
            match round.keep(applicant, &addresses) {
                Ok(pool) => {
                    turns.extend(Turn::for_second_family(applicant, &addresses));
                    let kept = Allocation::new(applicant, (pool, addresses), Change::Kept);
                    self.decisions.insert(applicant.service.clone(), Decision::Allocated(kept));
                }
                Err(why) => turns.push(Turn::after_clearing(applicant, addresses, why)),
            }
        }
    }

    /// Third step: the oldest first, except that who asks for certain addresses goes before who takes any, since
    /// only the latter has a choice.
    fn serve<'a>(&mut self, round: &mut Round<'a>, mut turns: Vec<Turn<'a>>) {
        let is_flexible = |turn: &Turn<'a>| match turn.applicant.request.wanted {
            Wanted::Addresses { .. } => false,
            Wanted::Any | Wanted::Pool(_) | Wanted::Unreadable { .. } => true,
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
            }
        }
        for applicant in served {
            if let Some(decision) = self.decisions.get_mut(applicant.service) {
                round.explain(applicant, decision);
            }
        }
    }
}

impl<'a> Round<'a> {
    fn new(pools: &'a PoolSet) -> Self {
        let (mut pinned, unpinned): (Vec<_>, Vec<_>) =
            pools.iter().filter(|pool| pool.auto_assign).partition(|pool| pool.service_allocation.is_some());
        pinned.sort_by_key(|pool| pool.rank());
        Self { pools, pinned, unpinned, ledger: ledger::Ledger::default() }
    }

    /// Decides on a Service that has nothing, after `cleared` was taken away from it.
    fn decide(&mut self, applicant: Applicant<'a>, cleared: Option<Cleared>) -> Decision {
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
            Err(why) => allocation.missing = Some(why),
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
            }
            Decision::Refused(refused) => {
                if let Err(why) = self.choose(applicant) {
                    refused.why = why;
                }
            }
        }
    }
}

impl<'a> Applicant<'a> {
    /// Who was created first is senior; of two created in the same second, the first by namespace and name.
    const fn seniority(self) -> (u64, &'a ServiceKey) {
        (self.request.created, self.service)
    }

    /// The families of the cluster IPs.
    const fn families(self) -> &'static [IpFamily] {
        match self.request.families {
            Families::None => &[],
            Families::V4 => &[IpFamily::V4],
            Families::V6 => &[IpFamily::V6],
            Families::Dual { .. } => &[IpFamily::V4, IpFamily::V6],
        }
    }

    /// The address, if it is the only one and the Service would like another of the other family: cluster IPs of
    /// both families, `PreferDualStack`, and no certain addresses asked for.
    const fn lone_address(self, addresses: &[IpAddr]) -> Option<IpAddr> {
        let request = self.request;
        match (addresses, request.families, request.policy, &request.wanted) {
            ([lone], Families::Dual { .. }, FamilyPolicy::PreferDualStack, Wanted::Any | Wanted::Pool(_)) => {
                Some(*lone)
            }
            _ => None,
        }
    }
}

impl<'a> Turn<'a> {
    const fn for_newcomer(applicant: Applicant<'a>) -> Self {
        Self { applicant, need: Need::Addresses { cleared: None } }
    }

    const fn after_clearing(
        applicant: Applicant<'a>,
        addresses: Vec<IpAddr>,
        why: crate::refusal::Refusal,
    ) -> Self {
        Self { applicant, need: Need::Addresses { cleared: Some(Cleared { addresses, why }) } }
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
            terms: applicant.request.terms.clone(),
            change,
            missing: None,
            cleared: None,
        }
    }

    /// Kept once more, now from `pool`.
    fn renew(&mut self, pool: &Pool) {
        if self.pool != pool.name {
            self.pool = pool.name.clone();
        }
        self.change = Change::Kept;
        self.missing = None;
        self.cleared = None;
    }
}
