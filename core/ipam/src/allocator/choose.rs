//! Which addresses a Service gets that has none: "Allocation" in docs/reference/metallb-contract.md.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, PoolName};

use super::Round;
use super::applicant::{Applicant, Wish};
use super::keep::{as_admitted, needs_met};
use crate::pool::Pool;
use crate::refusal::{Listed, Refusal, Shortage};
use crate::request::{Families, FamilyPolicy, Terms, other};

/// Addresses and the pool that they are from.
pub(super) type Choice<'a> = (&'a Pool, Vec<IpAddr>);

impl<'a> Round<'a> {
    /// Gives `applicant` what it asks for.
    pub(super) fn allocate(&mut self, applicant: Applicant<'a>) -> Result<Choice<'a>, Refusal> {
        let (pool, addresses) = self.choose(applicant)?;
        for address in &addresses {
            self.ledger.occupy(applicant, *address);
        }
        Ok((pool, addresses))
    }

    /// What `applicant` would be given now.
    pub(super) fn choose(&mut self, applicant: Applicant<'a>) -> Result<Choice<'a>, Refusal> {
        let wish = applicant.wish();
        if !matches!(wish, Wish::Claimed(_) | Wish::Unmet(_)) {
            self.has_pools()?;
        }
        needs_met(applicant)?;
        match wish {
            Wish::Any => self.choose_from_any_pool(applicant),
            Wish::Pool(pool) => self.choose_from_named_pool(applicant, pool),
            Wish::Addresses { addresses, pool } => {
                Ok((self.pool_giving(applicant, addresses, pool)?, addresses.to_vec()))
            }
            Wish::Claimed(addresses) => self.choose_claimed(applicant, addresses, &[]),
            Wish::Unreadable { why } => Err(Refusal::RequestUnreadable { why: why.into() }),
            Wish::Unmet(why) => Err(why.clone()),
        }
    }

    /// Gives `applicant`, which has `first` from `pool`, an address of the other family from the same pool.
    pub(super) fn add_second(
        &mut self,
        applicant: Applicant<'a>,
        pool: &PoolName,
        first: IpAddr,
    ) -> Result<IpAddr, Refusal> {
        let second = self.lowest_of(applicant, pool, other(IpFamily::of(first)))?;
        self.ledger.occupy(applicant, second);
        Ok(second)
    }

    /// That there is a usable pool at all.
    pub(super) fn has_pools(&self) -> Result<(), Refusal> {
        match self.pools.iter().next() {
            Some(_) => Ok(()),
            None => Err(Refusal::NoPools { rejected: self.pools.frozen().count() }),
        }
    }

    /// The pool that gives exactly `addresses`, in which they are free to be used by `applicant`.
    fn pool_giving(
        &self,
        applicant: Applicant<'a>,
        addresses: &[IpAddr],
        asked: Option<&PoolName>,
    ) -> Result<&'a Pool, Refusal> {
        let families = applicant.request.families;
        if !families.equal(addresses) {
            return Err(Refusal::FamilyMismatch { addresses: addresses.to_vec(), families });
        }
        let pool = self.pools.allowing(addresses).map_err(|because| self.not_allowed(addresses, because))?;
        if let Some(asked) = asked.filter(|asked| **asked != pool.name) {
            return Err(Refusal::AddressNotInRequestedPool {
                addresses: addresses.to_vec(),
                asked: asked.clone(),
                holder: pool.name.clone(),
            });
        }
        admitted(applicant, pool)?;
        for address in addresses {
            self.ledger.claimed().may_take(applicant, *address)?;
            self.ledger.check(applicant, *address)?;
        }
        Ok(pool)
    }

    /// The addresses of its claims, whose pool may be frozen: they are reserved, so this gives nothing new. Where
    /// they leave out a family, an address of that pool that the Service `has` already does; failing that, one is
    /// added if it cannot do without.
    pub(super) fn choose_claimed(
        &mut self,
        applicant: Applicant<'a>,
        claimed: &[IpAddr],
        has: &[IpAddr],
    ) -> Result<Choice<'a>, Refusal> {
        let (families, policy) = (applicant.request.families, applicant.request.policy);
        let left_out = match (families, claimed) {
            (Families::Dual { .. }, [lone]) => Some(other(IpFamily::of(*lone))),
            (Families::None | Families::V4 | Families::V6 | Families::Dual { .. }, _) => None,
        };
        if left_out.is_none() && !families.equal(claimed) {
            return Err(Refusal::FamilyMismatch { addresses: claimed.to_vec(), families });
        }
        let pool = self.pool_keeping(applicant, claimed, as_admitted)?;
        for address in claimed.iter().filter(|address| !has.contains(address)) {
            self.ledger.check(applicant, *address)?;
        }
        let of_family = |family| has.iter().find(move |address| IpFamily::of(**address) == family);
        let own = left_out.and_then(of_family).filter(|own| pool.allows(**own));
        let added = match (own, left_out, policy) {
            (Some(own), ..) => Some(*own),
            (None, None, _) | (None, Some(_), FamilyPolicy::PreferDualStack) => None,
            (None, Some(family), FamilyPolicy::SingleStack | FamilyPolicy::RequireDualStack) => {
                Some(self.lowest_of(applicant, &pool.name, family)?)
            }
        };
        Ok((pool, claimed.iter().copied().chain(added).collect()))
    }

    /// The lowest address of `family` that the usable pool of this name can give `applicant`.
    fn lowest_of(
        &mut self,
        applicant: Applicant<'a>,
        pool: &PoolName,
        family: IpFamily,
    ) -> Result<IpAddr, Refusal> {
        let Some(pool) = self.pools.get(pool) else {
            return Err(Refusal::PoolRejected { pool: pool.clone() });
        };
        let lowest = self.ledger.lowest(pool, family, &applicant.request.terms);
        lowest.ok_or_else(|| self.shortage(applicant, Some(&pool.name), &[family], &[pool]))
    }

    fn choose_from_named_pool(
        &mut self,
        applicant: Applicant<'a>,
        asked: &PoolName,
    ) -> Result<Choice<'a>, Refusal> {
        let Some(pool) = self.pools.get(asked) else {
            return Err(match self.pools.frozen().any(|frozen| frozen.name == *asked) {
                true => Refusal::PoolRejected { pool: asked.clone() },
                false => Refusal::UnknownPool { pool: asked.clone() },
            });
        };
        admitted(applicant, pool)?;
        self.first_fit(applicant, &[pool])
            .ok_or_else(|| self.shortage(applicant, Some(asked), applicant.families(), &[pool]))
    }

    /// Pinned pools that admit the Service come first, by priority; the others only if those give nothing at all.
    fn choose_from_any_pool(&mut self, applicant: Applicant<'a>) -> Result<Choice<'a>, Refusal> {
        let mut candidates: Vec<&'a Pool> =
            self.pinned.iter().copied().filter(|pool| admitted(applicant, pool).is_ok()).collect();
        if let Some(found) = self.first_fit(applicant, &candidates) {
            return Ok(found);
        }
        let unpinned = core::mem::take(&mut self.unpinned);
        let found = self.first_fit(applicant, &unpinned);
        candidates.extend(&unpinned);
        self.unpinned = unpinned;
        found.ok_or_else(|| match candidates.is_empty() {
            true => self.no_matching_pool(applicant),
            false => self.shortage(applicant, None, applicant.families(), &candidates),
        })
    }

    /// The lowest addresses of the first of `pools` that can give all families; failing that, and where the policy
    /// is content with one, of the first that can give the primary family, or else the other.
    fn first_fit(&mut self, applicant: Applicant<'a>, pools: &[&'a Pool]) -> Option<Choice<'a>> {
        let terms = &applicant.request.terms;
        let primary = match applicant.request.families {
            Families::None => return None,
            Families::V4 => return self.first_with(IpFamily::V4, pools, terms),
            Families::V6 => return self.first_with(IpFamily::V6, pools, terms),
            Families::Dual { primary } => primary,
        };
        for pool in pools {
            let v4 = self.ledger.lowest(pool, IpFamily::V4, terms);
            let both = v4.and_then(|v4| Some(vec![v4, self.ledger.lowest(pool, IpFamily::V6, terms)?]));
            if let Some(both) = both {
                return Some((pool, both));
            }
        }
        match applicant.request.policy {
            FamilyPolicy::PreferDualStack => self
                .first_with(primary, pools, terms)
                .or_else(|| self.first_with(other(primary), pools, terms)),
            FamilyPolicy::SingleStack | FamilyPolicy::RequireDualStack => None,
        }
    }

    fn first_with(&mut self, family: IpFamily, pools: &[&'a Pool], terms: &'a Terms) -> Option<Choice<'a>> {
        pools.iter().find_map(|pool| Some((*pool, vec![self.ledger.lowest(pool, family, terms)?])))
    }

    /// Why none of `pools` gives an address of each of `families`.
    fn shortage(
        &mut self,
        applicant: Applicant<'a>,
        asked: Option<&PoolName>,
        families: &[IpFamily],
        pools: &[&'a Pool],
    ) -> Refusal {
        let terms = &applicant.request.terms;
        let one_will_do = match applicant.request.policy {
            FamilyPolicy::PreferDualStack => true,
            FamilyPolicy::SingleStack | FamilyPolicy::RequireDualStack => false,
        };
        let (mut lacking, mut exhausted) = (Vec::new(), Vec::new());
        for pool in pools {
            let (has, lacks): (Vec<_>, Vec<_>) = families
                .iter()
                .map(|family| (*pool, *family))
                .partition(|(pool, family)| pool.capacity(*family) > 0);
            if has.is_empty() || !lacks.is_empty() && !one_will_do {
                lacking.extend(lacks);
                continue;
            }
            let is_exhausted =
                |(pool, family): &(&Pool, _)| self.ledger.lowest(pool, *family, terms).is_none();
            exhausted.extend(has.into_iter().filter(is_exhausted));
        }
        let claimed = self.ledger.claimed();
        let shortage = |(pool, family): (&Pool, IpFamily)| {
            Shortage::of(pool, family, claimed.reserved_of(&pool.name, family))
        };
        let (asked, families) = (asked.cloned(), applicant.request.families);
        match exhausted.is_empty() {
            true => Refusal::FamilyNotInPool {
                asked,
                families,
                shortages: Listed::of(lacking.into_iter(), shortage),
            },
            false => Refusal::PoolExhausted {
                asked,
                families,
                shares: terms.sharing.is_some(),
                shortages: Listed::of(exhausted.into_iter(), shortage),
            },
        }
    }

    fn no_matching_pool(&self, applicant: Applicant<'a>) -> Refusal {
        let not_automatic = self.pools.iter().filter(|pool| !pool.auto_assign).count();
        Refusal::NoMatchingPool {
            namespace: (*applicant.service.namespace).into(),
            not_automatic,
            not_admitting: self.pools.iter().count() - not_automatic,
        }
    }
}

pub(super) fn admitted(applicant: Applicant<'_>, pool: &Pool) -> Result<(), Refusal> {
    pool.admits(&applicant.service.namespace, &applicant.request.labels)
        .map_err(|because| Refusal::PoolNotCompatible { pool: pool.name.clone(), because })
}
