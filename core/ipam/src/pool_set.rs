//! All pools together, and which of them cannot be used.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{IpRange, PoolName};

use crate::pool::{Pool, written};
use crate::refusal::NotAllowed;

/// The pools of the cluster, with no address in two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSet {
    pools: BTreeMap<PoolName, Pool>,
    /// Each range's start, with its end and its pool; ranges do not overlap.
    ranges: BTreeMap<IpAddr, (IpRange, PoolName)>,
    /// Pools that give nothing new while their specification is wrong. They may overlap anything.
    frozen: Vec<Pool>,
}

/// A pool that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The pool.
    pub pool: PoolName,
    /// What is wrong with it.
    pub reason: PoolError,
}

/// Why a pool cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It has no addresses.
    #[error(
        "pool has no prefixes defined: spec.addresses of pool \"{pool}\" is empty; add a CIDR or a range"
    )]
    Empty {
        /// The pool.
        pool: PoolName,
    },
    /// Some of its addresses are already in a pool, maybe this one.
    #[error(
        "CIDR \"{cidr}\" in pool \"{pool}\" overlaps with already defined CIDR \"{other_cidr}\" of pool \"{other}\"; \
         take the shared addresses out of one of the two entries. Until then \"{pool}\" gives no new address, and \
         Services keep what they have"
    )]
    Overlap {
        /// The pool.
        pool: PoolName,
        /// Its range, as a CIDR where it is one.
        cidr: String,
        /// The pool that has the addresses.
        other: PoolName,
        /// Its range, as a CIDR where it is one.
        other_cidr: String,
    },
    /// Another pool has its name.
    #[error("pool \"{pool}\" is already defined in another namespace; rename one of the two")]
    DuplicateName {
        /// The name of both.
        pool: PoolName,
    },
}

impl PoolError {
    /// The reason as a CamelCase word for conditions, logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "PoolEmpty",
            Self::Overlap { .. } => "PoolOverlap",
            Self::DuplicateName { .. } => "PoolNameTaken",
        }
    }
}

impl PoolSet {
    /// The usable ones of `pools`, and what is wrong with the others.
    ///
    /// Of two that overlap the one earlier by name is used, and the other is frozen (see [`PoolSet::freeze`]);
    /// of two with the same name the first of `pools` is used.
    pub fn new(pools: impl IntoIterator<Item = Pool>) -> (Self, Vec<Rejected>) {
        let mut by_name: Vec<Pool> = pools.into_iter().collect();
        by_name.sort_by(|one, other| one.name.cmp(&other.name));
        let mut set = Self::default();
        let mut rejected = Vec::new();
        for pool in by_name {
            match set.ranges_if_usable(&pool) {
                Ok(ranges) => {
                    set.ranges.extend(ranges);
                    set.pools.insert(pool.name.clone(), pool);
                }
                Err(reason) => {
                    rejected.push(Rejected { pool: pool.name.clone(), reason });
                    set.freeze(pool);
                }
            }
        }
        (set, rejected)
    }

    /// Adds a pool that gives nothing new, but from which Services keep what they have: one whose specification
    /// is wrong, so that a typing error takes no address away.
    pub fn freeze(&mut self, pool: Pool) {
        self.frozen.push(pool);
    }

    /// The usable pool of this name.
    #[must_use]
    pub fn get(&self, name: &PoolName) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// The usable pools by name.
    pub fn iter(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// The frozen pools.
    pub fn frozen(&self) -> impl Iterator<Item = &Pool> {
        self.frozen.iter()
    }

    /// The usable pool in whose ranges `address` lies, whether or not it may be given.
    #[must_use]
    pub fn containing(&self, address: IpAddr) -> Option<&Pool> {
        let (_, (range, pool)) = self.ranges.range(..=address).next_back()?;
        if range.contains(address) { self.pools.get(pool) } else { None }
    }

    /// The usable pool that may give all of `addresses`.
    pub(crate) fn allowing(&self, addresses: &[IpAddr]) -> Result<&Pool, NotAllowed> {
        let mut holder: Option<&Pool> = None;
        for address in addresses {
            let pool = self.containing(*address).ok_or_else(|| self.outside(*address))?;
            if pool.avoids(*address) {
                return Err(NotAllowed::Buggy(*address, pool.name.clone()));
            }
            if let Some(other) = holder.filter(|other| other.name != pool.name) {
                return Err(NotAllowed::SeparatePools(other.name.clone(), pool.name.clone()));
            }
            holder = Some(pool);
        }
        holder.ok_or(NotAllowed::Nothing)
    }

    /// The frozen pools that hold all of `addresses`.
    pub(crate) fn frozen_holding(&self, addresses: &[IpAddr]) -> impl Iterator<Item = &Pool> {
        self.frozen.iter().filter(|pool| addresses.iter().all(|address| pool.allows(*address)))
    }

    fn outside(&self, address: IpAddr) -> NotAllowed {
        match self.frozen_holding(&[address]).next() {
            Some(pool) => NotAllowed::Rejected(address, pool.name.clone()),
            None => NotAllowed::Outside(address),
        }
    }

    /// The pool's ranges as entries of `self.ranges`, if nothing is wrong with them.
    fn ranges_if_usable(&self, pool: &Pool) -> Result<BTreeMap<IpAddr, (IpRange, PoolName)>, PoolError> {
        if self.pools.contains_key(&pool.name) {
            return Err(PoolError::DuplicateName { pool: pool.name.clone() });
        }
        if pool.ranges.is_empty() {
            return Err(PoolError::Empty { pool: pool.name.clone() });
        }
        let mut own = BTreeMap::new();
        for range in &pool.ranges {
            if let Some((taken, other)) =
                overlapping(&self.ranges, *range).or_else(|| overlapping(&own, *range))
            {
                return Err(PoolError::Overlap {
                    pool: pool.name.clone(),
                    cidr: written(*range),
                    other: other.clone(),
                    other_cidr: written(*taken),
                });
            }
            own.insert(range.start(), (*range, pool.name.clone()));
        }
        Ok(own)
    }
}

/// The last range that shares an address with `range`. As `ranges` do not overlap each other, only the last that
/// starts before `range` ends can.
fn overlapping(
    ranges: &BTreeMap<IpAddr, (IpRange, PoolName)>,
    range: IpRange,
) -> Option<&(IpRange, PoolName)> {
    let (_, entry) = ranges.range(..=range.end()).next_back()?;
    entry.0.overlaps(range).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec;

    fn pool(name: &str, ranges: &[&str]) -> Pool {
        Pool::new(name, ranges.iter().map(|text| text.parse().unwrap()))
    }

    fn names(pools: impl IntoIterator<Item = Pool>) -> (Vec<String>, Vec<(String, &'static str)>) {
        let (set, rejected) = PoolSet::new(pools);
        (
            set.iter().map(|pool| pool.name.to_string()).collect(),
            rejected.iter().map(|rejected| (rejected.pool.to_string(), rejected.reason.reason())).collect(),
        )
    }

    #[test]
    fn of_two_that_overlap_the_earlier_by_name_is_used_whatever_the_order_given() {
        let (a, b) = (pool("a", &["10.0.0.0/24"]), pool("b", &["10.0.0.128-10.0.1.5"]));
        let expected = (vec!["a".into()], vec![("b".into(), "PoolOverlap")]);
        assert_eq!(names([a.clone(), b.clone()]), expected);
        assert_eq!(names([b, a]), expected);
    }

    #[test]
    fn an_overlap_is_told_with_both_pools_and_what_to_do() {
        let (_, rejected) =
            PoolSet::new([pool("a", &["10.0.0.0/24"]), pool("b", &["10.1.0.0/24", "10.0.0.0/16"])]);
        let message = rejected[0].reason.to_string();
        assert!(
            message.starts_with(
                "CIDR \"10.0.0.0/16\" in pool \"b\" overlaps with already defined CIDR \"10.0.0.0/24\" of pool \"a\"; take"
            ),
            "{message}"
        );
    }

    #[test]
    fn a_pool_that_overlaps_itself_is_empty_or_bears_a_taken_name_is_rejected_and_stops_no_other() {
        let (used, rejected) = names([
            pool("self", &["10.0.0.0/24", "10.0.0.7/32"]),
            pool("none", &[]),
            pool("twin", &["10.3.0.0/24"]),
            pool("twin", &["10.4.0.0/24"]),
            pool("whole", &["::/0"]),
        ]);
        assert_eq!(used, ["twin", "whole"]);
        let expected = [("none", "PoolEmpty"), ("self", "PoolOverlap"), ("twin", "PoolNameTaken")];
        assert_eq!(rejected, expected.map(|(pool, reason)| (pool.to_string(), reason)));
    }

    #[test]
    fn an_address_is_found_in_the_pool_that_contains_it() {
        let (set, _) =
            PoolSet::new([pool("a", &["10.0.0.4-10.0.0.8", "fd00::/64"]), pool("b", &["10.0.0.10/32"])]);
        let at = |text: &str| set.containing(text.parse().unwrap()).map(|pool| pool.name.to_string());
        for (address, expected) in [
            ("10.0.0.3", None),
            ("10.0.0.4", Some("a")),
            ("10.0.0.8", Some("a")),
            ("10.0.0.9", None),
            ("10.0.0.10", Some("b")),
            ("fd00::ffff", Some("a")),
            ("::a00:4", None),
        ] {
            assert_eq!(at(address).as_deref(), expected, "{address}");
        }
    }
}
