//! Whether a Service keeps the addresses that it has: steps 4 to 11 of "Convergence order" in
//! docs/reference/metallb-contract.md.

use alloc::collections::BTreeSet;
use core::net::IpAddr;

use super::choose::admitted;
use super::{Applicant, Round};
use crate::pool::Pool;
use crate::refusal::{NotAllowed, Refusal};
use crate::request::{Families, FamilyPolicy, Wanted};

impl<'a> Round<'a> {
    /// Keeps `addresses` for `applicant` if everything still allows it, and says which pool they are from now.
    pub(super) fn keep(
        &mut self,
        applicant: Applicant<'a>,
        addresses: &[IpAddr],
    ) -> Result<&'a Pool, Refusal> {
        needs_met(applicant)?;
        families_fit(applicant, addresses)?;
        let pool = self.pool_keeping(applicant, addresses)?;
        for address in addresses {
            self.ledger.check(applicant, *address)?;
        }
        for address in addresses {
            self.ledger.occupy(applicant, *address);
        }
        Ok(pool)
    }

    /// The pool from which `addresses` may be kept: the usable one that holds them, or else a frozen one.
    fn pool_keeping(&self, applicant: Applicant<'a>, addresses: &[IpAddr]) -> Result<&'a Pool, Refusal> {
        let usable = match self.pools.allowing(addresses) {
            Ok(pool) => may_keep(applicant, pool, addresses).map(|()| pool),
            Err(because) => Err(self.not_allowed(addresses, because)),
        };
        usable.or_else(|why| {
            let mut frozen = self.pools.frozen_holding(addresses);
            frozen.find(|pool| may_keep(applicant, pool, addresses).is_ok()).ok_or(why)
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

/// Whether `pool`, which holds `addresses`, and the request agree that the Service keeps them.
fn may_keep(applicant: Applicant<'_>, pool: &Pool, addresses: &[IpAddr]) -> Result<(), Refusal> {
    admitted(applicant, pool)?;
    let (asked_pool, asked) = match &applicant.request.wanted {
        Wanted::Any | Wanted::Unreadable { .. } => (None, None),
        Wanted::Pool(asked) => (Some(asked), None),
        Wanted::Addresses { addresses: asked, pool } => (pool.as_ref(), Some(asked)),
    };
    if let Some(asked) = asked_pool.filter(|asked| **asked != pool.name) {
        return Err(Refusal::OtherPoolRequested {
            addresses: addresses.to_vec(),
            holder: pool.name.clone(),
            asked: asked.clone(),
        });
    }
    let as_set = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
    match asked.filter(|asked| as_set(asked) != as_set(addresses)) {
        Some(asked) => {
            Err(Refusal::OtherAddressesRequested { addresses: addresses.to_vec(), asked: asked.clone() })
        }
        None => Ok(()),
    }
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
