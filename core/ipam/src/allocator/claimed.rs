//! The addresses that belong to claims in a round, and what that means for Services.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, ObjectName, PoolName};

use super::applicant::Applicant;
use crate::refusal::Refusal;

/// The addresses of claims, reserved and awaited.
#[derive(Default)]
pub(super) struct Claimed<'a> {
    addresses: BTreeMap<IpAddr, Title<'a>>,
    /// How many addresses of a pool are reserved.
    reserved: BTreeMap<(&'a PoolName, IpFamily), usize>,
}

/// Whose an address is, and how firmly.
pub(super) type Title<'a> = (&'a ObjectName, Hold);

/// What a claim has of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// The address: only Services bound to the claim may have it.
    Reserved,
    /// The next turn: who has the address keeps it, and only Services bound to the claim get it.
    Awaited,
}

impl<'a> Claimed<'a> {
    /// Enters `address`, unless it is another's. A reserved address is from `pool`.
    pub(super) fn insert(&mut self, address: IpAddr, title: Title<'a>, pool: Option<&'a PoolName>) {
        if let Entry::Vacant(vacant) = self.addresses.entry(address) {
            vacant.insert(title);
            if let Some(pool) = pool {
                *self.reserved.entry((pool, IpFamily::of(address))).or_default() += 1;
            }
        }
    }

    /// The claim that has `address`, or waits for it.
    pub(super) fn by(&self, address: IpAddr) -> Option<&'a ObjectName> {
        self.addresses.get(&address).map(|(claim, _)| *claim)
    }

    pub(super) const fn addresses(&self) -> &BTreeMap<IpAddr, Title<'a>> {
        &self.addresses
    }

    /// How many addresses of `pool` are reserved.
    pub(super) fn reserved_of(&self, pool: &PoolName, family: IpFamily) -> usize {
        self.reserved.get(&(pool, family)).copied().unwrap_or(0)
    }

    /// Whether claims let `applicant` keep `address`.
    pub(super) fn may_keep(&self, applicant: Applicant<'_>, address: IpAddr) -> Result<(), Refusal> {
        match self.addresses.get(&address) {
            None | Some((_, Hold::Awaited)) => Ok(()),
            Some((claim, Hold::Reserved)) => bound(applicant, claim, address),
        }
    }

    /// Whether claims let `applicant` have `address`, which it does not have yet.
    pub(super) fn may_take(&self, applicant: Applicant<'_>, address: IpAddr) -> Result<(), Refusal> {
        match self.by(address) {
            None => Ok(()),
            Some(claim) => bound(applicant, claim, address),
        }
    }
}

fn bound(applicant: Applicant<'_>, claim: &ObjectName, address: IpAddr) -> Result<(), Refusal> {
    match applicant.is_bound_to(claim) {
        true => Ok(()),
        false => Err(Refusal::AddressClaimed { address, claim: claim.clone() }),
    }
}
