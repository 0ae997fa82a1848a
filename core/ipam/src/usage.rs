//! How full the pools are.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, PoolName};

use crate::claim::{ClaimDecision, Reservation};
use crate::decision::Decision;
use crate::pool::Pool;
use crate::pool_set::PoolSet;

/// The counters of `IPAddressPool.status`; each saturates at `i64::MAX`, the type of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Distinct IPv4 addresses in use or reserved, however many Services share them.
    pub assigned_v4: i64,
    /// Distinct IPv6 addresses in use or reserved.
    pub assigned_v6: i64,
    /// IPv4 addresses that can still be given.
    pub available_v4: i64,
    /// IPv6 addresses that can still be given.
    pub available_v6: i64,
}

/// The usage of each pool of `pools`, of frozen ones too, which have nothing available.
pub(crate) fn usage<'a>(
    pools: &'a PoolSet,
    decisions: impl Iterator<Item = &'a Decision>,
    claims: impl Iterator<Item = &'a ClaimDecision>,
) -> BTreeMap<PoolName, Usage> {
    let mut assigned: BTreeMap<&PoolName, BTreeSet<IpAddr>> = BTreeMap::new();
    for allocation in decisions.filter_map(Decision::allocation) {
        assigned.entry(&allocation.pool).or_default().extend(&allocation.addresses);
    }
    let is_unused = |reservation: &&Reservation| reservation.services.is_empty();
    for unused in claims.filter_map(ClaimDecision::reservation).filter(is_unused) {
        assigned.entry(&unused.pool).or_default().insert(unused.address);
    }
    let of = |pool: &Pool, frozen: bool| {
        let addresses = assigned.get(&pool.name);
        let v4 = addresses.map_or(0, |all| all.iter().filter(|address| address.is_ipv4()).count());
        let v6 = addresses.map_or(0, BTreeSet::len) - v4;
        let available = |family, in_use: usize| match frozen {
            true => 0,
            false => saturating(pool.capacity(family).saturating_sub(in_use as u128)),
        };
        Usage {
            assigned_v4: saturating(v4 as u128),
            assigned_v6: saturating(v6 as u128),
            available_v4: available(IpFamily::V4, v4),
            available_v6: available(IpFamily::V6, v6),
        }
    };
    let mut usage: BTreeMap<PoolName, Usage> =
        pools.frozen().map(|pool| (pool.name.clone(), of(pool, true))).collect();
    usage.extend(pools.iter().map(|pool| (pool.name.clone(), of(pool, false))));
    usage
}

fn saturating(count: u128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
