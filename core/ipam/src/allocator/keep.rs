//! Whether a Service keeps the addresses that it has: steps 4 to 11 of "Convergence order" in
//! docs/reference/metallb-contract.md.

use alloc::collections::BTreeSet;
use core::net::IpAddr;

use super::Round;
use super::applicant::{Applicant, Wish};
use super::choose::admitted;
use crate::pool::Pool;
use crate::refusal::{NotAllowed, Refusal};
use crate::request::{Families, FamilyPolicy};

impl<'a> Round<'a> {
    /// Keeps `addresses` for `applicant` if everything still allows it, `rule` included, and says which pool they are
    /// from now.
    pub(super) fn keep(
        &mut self,
        applicant: Applicant<'a>,
        addresses: &[IpAddr],
        rule: Rule,
    ) -> Result<&'a Pool, Refusal> {
        needs_met(applicant)?;
        families_fit(applicant, addresses)?;
        let pool = self.pool_keeping(applicant, addresses, rule)?;
        for address in addresses {
            self.ledger.claimed().may_keep(applicant, *address)?;
            self.ledger.check(applicant, *address)?;
        }
        for address in addresses {
            self.ledger.occupy(applicant, *address);
        }
        Ok(pool)
    }

    /// The pool from which `addresses` may be kept: the usable one that holds them, or else a frozen one.
    pub(super) fn pool_keeping(
        &self,
        applicant: Applicant<'a>,
        addresses: &[IpAddr],
        rule: Rule,
    ) -> Result<&'a Pool, Refusal> {
        let usable = match self.pools.allowing(addresses) {
            Ok(pool) => rule(applicant, pool, addresses).map(|()| pool),
            Err(because) => Err(self.not_allowed(addresses, because)),
        };
        usable.or_else(|why| {
            let mut frozen = self.pools.frozen_holding(addresses);
            frozen.find(|pool| rule(applicant, pool, addresses).is_ok()).ok_or(why)
        })
    }

    /// The refusal of `addresses`, which no usable pool gives.
    pub(super) fn not_allowed(&self, addresses: &[IpAddr], because: NotAllowed) -> Refusal {
        match self.has_pools() {
            Err(no_pools) => no_pools,
            Ok(()) => Refusal::AddressNotInPool { addresses: addresses.to_vec(), because },
        }
    }
}

/// What must be so before there is any question of an address.
pub(super) fn needs_met(applicant: Applicant<'_>) -> Result<(), Refusal> {
    let families = applicant.request.families;
    match (families, applicant.request.policy) {
        (Families::None, _) | (Families::V4 | Families::V6, FamilyPolicy::RequireDualStack) => {
            Err(Refusal::NotEnoughClusterIps { families })
        }
        (Families::V4 | Families::V6, FamilyPolicy::SingleStack | FamilyPolicy::PreferDualStack)
        | (Families::Dual { .. }, _) => Ok(()),
    }
}

/// Whether `pool`, which holds `addresses`, and the request agree that the Service has them.
type Rule = fn(Applicant<'_>, &Pool, &[IpAddr]) -> Result<(), Refusal>;

/// The pool admits the Service, whatever that asks for.
pub(super) fn as_admitted(applicant: Applicant<'_>, pool: &Pool, _any: &[IpAddr]) -> Result<(), Refusal> {
    admitted(applicant, pool)
}

/// The pool admits the Service, and that asks for nothing else.
pub(super) fn as_asked(applicant: Applicant<'_>, pool: &Pool, addresses: &[IpAddr]) -> Result<(), Refusal> {
    admitted(applicant, pool)?;
    let asked_pool = match applicant.wish() {
        Wish::Any | Wish::Claimed(_) | Wish::Unreadable { .. } | Wish::Unmet(_) => None,
        Wish::Pool(asked) => Some(asked),
        Wish::Addresses { pool, .. } => pool,
    };
    if let Some(asked) = asked_pool.filter(|asked| **asked != pool.name) {
        return Err(Refusal::OtherPoolRequested {
            addresses: addresses.to_vec(),
            holder: pool.name.clone(),
            asked: asked.clone(),
        });
    }
    let as_set = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
    let asked = match applicant.wish() {
        Wish::Addresses { addresses: asked, .. } if as_set(asked) != as_set(addresses) => asked,
        Wish::Claimed(asked) if !as_set(asked).is_subset(&as_set(addresses)) => asked,
        Wish::Any
        | Wish::Pool(_)
        | Wish::Addresses { .. }
        | Wish::Claimed(_)
        | Wish::Unreadable { .. }
        | Wish::Unmet(_) => return Ok(()),
    };
    Err(Refusal::OtherAddressesRequested { addresses: addresses.to_vec(), asked: asked.to_vec() })
}

/// Step 8: the families must be those of the cluster IPs, except that `PreferDualStack` is content with one of two.
fn families_fit(applicant: Applicant<'_>, addresses: &[IpAddr]) -> Result<(), Refusal> {
    let families = applicant.request.families;
    let one_will_do = match (families, applicant.request.policy) {
        (Families::Dual { .. }, FamilyPolicy::PreferDualStack) => addresses.len() == 1,
        (Families::None | Families::V4 | Families::V6 | Families::Dual { .. }, _) => false,
    };
    if families.equal(addresses) || one_will_do {
        return Ok(());
    }
    Err(Refusal::FamiliesChanged { addresses: addresses.to_vec(), families })
}
