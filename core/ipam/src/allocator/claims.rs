//! What each claim reserves, decided before the Services are: a claim keeps what it has if that is still what it
//! asks for; then whoever asks for a certain address is served, then whoever asks for any of a pool.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, ObjectName, PoolName, ServiceKey};

use super::Source;
use super::binding::Bindings;
use super::claimed::{Claimed, Hold};
use super::free::FreeFrom;
use crate::claim::{ClaimDecision, ClaimRefusal, ClaimRequest, ClaimWant, Reservation};
use crate::decision::Change;
use crate::pool::Pool;
use crate::pool_set::PoolSet;
use crate::refusal::{Listed, Shortage};

/// The claims of one round.
struct Reserving<'a, 'r> {
    pools: &'a PoolSet,
    bindings: &'r Bindings<'a>,
    claimed: Claimed<'a>,
    held: Held<'a>,
    free_from: FreeFrom,
}

/// A claim and what it asks for.
#[derive(Clone, Copy)]
struct Claimant<'a> {
    name: &'a ObjectName,
    request: &'a ClaimRequest,
}

/// The addresses that Services have when the round starts.
#[derive(Default)]
pub(super) struct Held<'a> {
    holders: BTreeMap<IpAddr, BTreeSet<&'a ServiceKey>>,
    /// What the Services bound to each claim have, the oldest Service's first.
    of_bound: BTreeMap<&'a ObjectName, Vec<IpAddr>>,
}

impl<'a> Held<'a> {
    /// `each` are all Services with addresses.
    pub(super) fn new(each: &BTreeMap<&'a ServiceKey, &[IpAddr]>, bindings: &Bindings<'a>) -> Self {
        let mut held = Self::default();
        for (service, addresses) in each {
            for address in *addresses {
                held.holders.entry(*address).or_default().insert(*service);
            }
        }
        let mut bound: Vec<_> = bindings.iter().collect();
        bound.sort_by_key(|(service, binding)| (binding.request.created, *service));
        for (service, binding) in bound {
            let addresses = each.get(service).copied().unwrap_or_default();
            for (claim, _) in &binding.claims {
                held.of_bound.entry(*claim).or_default().extend(addresses);
            }
        }
        held
    }
}

/// Decides on `claims`, of which `decisions` is what was decided in the last round. `held` tells what Services have,
/// if a claim has nothing yet.
pub(super) fn reserve<'a>(
    (pools, bindings): (&'a PoolSet, &Bindings<'a>),
    claims: &'a BTreeMap<ObjectName, ClaimRequest>,
    decisions: &mut BTreeMap<ObjectName, ClaimDecision>,
    held: impl FnOnce() -> Held<'a>,
) -> Claimed<'a> {
    decisions.retain(|name, _| claims.contains_key(name));
    let mut reserving = Reserving {
        pools,
        bindings,
        claimed: Claimed::default(),
        held: Held::default(),
        free_from: FreeFrom::default(),
    };
    let (mut incumbents, mut others) = (Vec::new(), Vec::new());
    for (name, request) in claims {
        let claimant = Claimant { name, request };
        let recorded = request.recorded.map(|record| record.address);
        match decisions.get(name) {
            Some(ClaimDecision::Reserved(had)) => incumbents.push((Source::Memory, claimant, had.address)),
            Some(ClaimDecision::Waiting { former, .. }) => others.push((claimant, *former)),
            None => match recorded {
                Some(address) if request.recorded.is_some_and(|record| record.reserved) => {
                    incumbents.push((Source::Record, claimant, address));
                }
                Some(_) | None => others.push((claimant, recorded)),
            },
        }
    }
    incumbents.sort_by_key(|(source, claimant, _)| (*source, claimant.seniority()));
    for (_, claimant, address) in incumbents {
        match reserving.renew(claimant, address) {
            Some(reservation) => {
                decisions.insert(claimant.name.clone(), ClaimDecision::Reserved(reservation));
            }
            None => others.push((claimant, Some(address))),
        }
    }
    if others.is_empty() {
        return reserving.claimed;
    }
    reserving.held = held();
    others.sort_by_key(|(claimant, _)| (claimant.is_flexible(), claimant.seniority()));
    for (claimant, former) in others {
        let decision = reserving.decide(claimant, former);
        decisions.insert(claimant.name.clone(), decision);
    }
    reserving.claimed
}

impl<'a> Reserving<'a, '_> {
    /// Keeps `address` for the claim if that is still what it asks for.
    fn renew(&mut self, claimant: Claimant<'a>, address: IpAddr) -> Option<Reservation> {
        if self.claimed.by(address).is_some() {
            return None;
        }
        let alone = [address];
        let usable = self.pools.allowing(&alone).ok();
        let frozen = self.pools.frozen_holding(&alone);
        let pool = usable.into_iter().chain(frozen).find(|pool| claimant.fits(pool, address))?;
        Some(self.reserve(claimant, pool, address, Change::Kept))
    }

    /// Decides on a claim that has nothing (any more).
    fn decide(&mut self, claimant: Claimant<'a>, former: Option<IpAddr>) -> ClaimDecision {
        match self.choose(claimant, former) {
            Ok((pool, address)) => {
                ClaimDecision::Reserved(self.reserve(claimant, pool, address, Change::Allocated))
            }
            Err(why) => {
                if let Some(address) = claimant.awaited(&why, former) {
                    self.claimed.insert(address, (claimant.name, Hold::Awaited), None);
                }
                ClaimDecision::Waiting { why, former }
            }
        }
    }

    fn reserve(
        &mut self,
        claimant: Claimant<'a>,
        pool: &'a Pool,
        address: IpAddr,
        change: Change,
    ) -> Reservation {
        self.claimed.insert(address, (claimant.name, Hold::Reserved), Some(&pool.name));
        Reservation { address, pool: pool.name.clone(), services: BTreeSet::new(), change }
    }

    fn choose(
        &mut self,
        claimant: Claimant<'a>,
        former: Option<IpAddr>,
    ) -> Result<(&'a Pool, IpAddr), ClaimRefusal> {
        match &claimant.request.want {
            ClaimWant::Address(address) => Ok((self.pool_giving(claimant, *address)?, *address)),
            ClaimWant::Pool { pool, family } => {
                let pool = self.pool_named(claimant, pool)?;
                let address = self.address_of(claimant, (pool, *family), former);
                Ok((pool, address.ok_or_else(|| self.shortage(pool, *family))?))
            }
            ClaimWant::Unreadable { why } => Err(ClaimRefusal::ClaimUnreadable { why: why.clone() }),
        }
    }

    /// The pool of `address`, which nobody has but Services that are bound to the claim.
    fn pool_giving(&self, claimant: Claimant<'a>, address: IpAddr) -> Result<&'a Pool, ClaimRefusal> {
        let pool =
            self.pools.allowing(&[address]).map_err(|because| ClaimRefusal::AddressNotInPool { because })?;
        admitted(claimant, pool)?;
        if let Some(claim) = self.claimed.by(address) {
            return Err(ClaimRefusal::AddressClaimed { address, claim: claim.clone() });
        }
        let strangers = self.strangers(claimant, address);
        if strangers.is_empty() {
            return Ok(pool);
        }
        let users = Listed::of(strangers.into_iter(), ServiceKey::clone);
        Err(ClaimRefusal::AddressInUse { address, users })
    }

    fn pool_named(&self, claimant: Claimant<'a>, asked: &PoolName) -> Result<&'a Pool, ClaimRefusal> {
        let Some(pool) = self.pools.get(asked) else {
            return Err(match self.pools.frozen().any(|frozen| frozen.name == *asked) {
                true => ClaimRefusal::PoolRejected { pool: asked.clone() },
                false => ClaimRefusal::UnknownPool { pool: asked.clone() },
            });
        };
        admitted(claimant, pool)?;
        Ok(pool)
    }

    /// The address that a bound Service has, so that it need not change; or else the one that the claim had last;
    /// or else the lowest that is free.
    fn address_of(
        &mut self,
        claimant: Claimant<'a>,
        (pool, family): (&'a Pool, IpFamily),
        former: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let bound = self.held.of_bound.get(claimant.name).into_iter().flatten().copied();
        let would_do = |address: &IpAddr| {
            IpFamily::of(*address) == family
                && pool.allows(*address)
                && self.claimed.by(*address).is_none()
                && self.strangers(claimant, *address).is_empty()
        };
        let known = bound.chain(former).find(would_do);
        known.or_else(|| {
            let (claimed, held) = (&self.claimed, &self.held.holders);
            let free_from = &mut self.free_from;
            pool.ranges_of(family)
                .find_map(|range| free_from.lowest(pool, range, (claimed.addresses(), held)))
        })
    }

    /// The Services that have `address` and are not bound to the claim.
    fn strangers(&self, claimant: Claimant<'a>, address: IpAddr) -> Vec<&'a ServiceKey> {
        let is_bound =
            |service: &ServiceKey| self.bindings.get(service).is_some_and(|bound| bound.is_to(claimant.name));
        let holders = self.held.holders.get(&address).into_iter().flatten().copied();
        holders.filter(|service| !is_bound(service)).collect()
    }

    fn shortage(&self, pool: &Pool, family: IpFamily) -> ClaimRefusal {
        let shortage = Shortage::of(pool, family, self.claimed.reserved_of(&pool.name, family));
        match shortage.capacity {
            0 => ClaimRefusal::FamilyNotInPool { shortage },
            _ => ClaimRefusal::PoolExhausted { shortage },
        }
    }
}

impl<'a> Claimant<'a> {
    const fn seniority(self) -> (u64, &'a ObjectName) {
        (self.request.created, self.name)
    }

    /// Whether it leaves it to us which address it gets.
    const fn is_flexible(self) -> bool {
        match &self.request.want {
            ClaimWant::Address(_) | ClaimWant::Unreadable { .. } => false,
            ClaimWant::Pool { .. } => true,
        }
    }

    /// Whether `address`, which `pool` holds, is one that it asks for and may have.
    fn fits(self, pool: &Pool, address: IpAddr) -> bool {
        let asked = match &self.request.want {
            ClaimWant::Address(asked) => *asked == address,
            ClaimWant::Pool { pool: asked, family } => {
                *asked == pool.name && *family == IpFamily::of(address)
            }
            ClaimWant::Unreadable { .. } => false,
        };
        asked && admitted(self, pool).is_ok()
    }

    /// The address that nobody new gets meanwhile.
    fn awaited(self, why: &ClaimRefusal, former: Option<IpAddr>) -> Option<IpAddr> {
        match why {
            ClaimRefusal::AddressInUse { address, .. } => Some(*address),
            ClaimRefusal::ClaimUnreadable { .. } => former,
            ClaimRefusal::AddressNotInPool { .. }
            | ClaimRefusal::UnknownPool { .. }
            | ClaimRefusal::PoolRejected { .. }
            | ClaimRefusal::PoolNotCompatible { .. }
            | ClaimRefusal::AddressClaimed { .. }
            | ClaimRefusal::PoolExhausted { .. }
            | ClaimRefusal::FamilyNotInPool { .. } => None,
        }
    }
}

fn admitted(claimant: Claimant<'_>, pool: &Pool) -> Result<(), ClaimRefusal> {
    pool.admits_namespace(&claimant.name.namespace)
        .map_err(|because| ClaimRefusal::PoolNotCompatible { pool: pool.name.clone(), because })
}
