//! What a `BGPAdvertisement` says.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::prefix::address_value;
use ferrolb_vocab::{
    Community, IpFamily, IpPrefix, IpRange, Labels, LargeCommunity, ObjectName, PoolName, Selector,
};

use crate::snapshot::Pool;

/// So many communities one advertisement may name, as with `MetalLB`: with those of a few others they
/// fit a message.
pub const COMMUNITIES_MAX: usize = 63;

/// A `BGPAdvertisement`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpAdvertisement {
    /// Pools by name. With no name and no selector: all pools.
    pub pools: BTreeSet<PoolName>,
    /// Pools by label, ORed with the names.
    pub pool_selectors: Vec<Selector>,
    /// Nodes that advertise; empty means all.
    pub node_selectors: Vec<Selector>,
    /// Services that are advertised; empty means all.
    pub service_selectors: Vec<Selector>,
    /// The `BGPPeer`s to tell, by name; empty means all. They are those of the advertisement's
    /// namespace.
    pub peers: BTreeSet<String>,
    /// The length of the IPv4 prefixes, 32 at most.
    pub aggregation_length: u8,
    /// The length of the IPv6 prefixes, 128 at most.
    pub aggregation_length_v6: u8,
    /// What internal peers prefer the path by; `None` leaves it to the default.
    pub local_pref: Option<u32>,
    /// Communities, RFC 1997.
    pub communities: BTreeSet<Community>,
    /// Large communities, RFC 8092.
    pub large_communities: BTreeSet<LargeCommunity>,
}

impl Default for BgpAdvertisement {
    /// Everything to everyone, each address by itself.
    fn default() -> Self {
        Self {
            pools: BTreeSet::new(),
            pool_selectors: Vec::new(),
            node_selectors: Vec::new(),
            service_selectors: Vec::new(),
            peers: BTreeSet::new(),
            aggregation_length: IpFamily::V4.bits(),
            aggregation_length_v6: IpFamily::V6.bits(),
            local_pref: None,
            communities: BTreeSet::new(),
            large_communities: BTreeSet::new(),
        }
    }
}

impl BgpAdvertisement {
    /// Whether the advertisement of namespace `namespace` is about `pool`, and does not aggregate
    /// more than it holds.
    #[must_use]
    pub fn covers_pool(&self, namespace: &str, name: &PoolName, pool: &Pool) -> bool {
        self.names_pool(namespace, name, pool) && pool.ranges.iter().all(|range| self.fits(*range))
    }

    /// Whether the advertisement of namespace `namespace` is about `pool`.
    #[must_use]
    pub fn names_pool(&self, namespace: &str, name: &PoolName, pool: &Pool) -> bool {
        namespace == pool.namespace && pool.is_among(name, &self.pools, &self.pool_selectors)
    }

    /// Whether a prefix of the advertised length lies within `range`, an entry of a pool.
    #[must_use]
    pub fn fits(&self, range: IpRange) -> bool {
        holds_prefix(range, self.length(range.family()))
    }

    /// Whether nodes with these labels advertise.
    #[must_use]
    pub fn covers_node(&self, labels: &Labels) -> bool {
        Selector::any_or_empty(&self.node_selectors, labels)
    }

    /// Whether Services with these labels are advertised.
    #[must_use]
    pub fn covers_service(&self, labels: &Labels) -> bool {
        Selector::any_or_empty(&self.service_selectors, labels)
    }

    /// Whether the advertisement of namespace `namespace` is for `peer`.
    #[must_use]
    pub fn covers_peer(&self, namespace: &str, peer: &ObjectName) -> bool {
        namespace == peer.namespace && (self.peers.is_empty() || self.peers.contains(&peer.name))
    }

    /// The prefix that `address` is advertised as; none if the length is none of its family.
    #[must_use]
    pub fn prefix(&self, address: IpAddr) -> Option<IpPrefix> {
        IpPrefix::containing(address, self.length(IpFamily::of(address)))
    }

    /// The length of prefixes of `family`.
    #[must_use]
    pub const fn length(&self, family: IpFamily) -> u8 {
        match family {
            IpFamily::V4 => self.aggregation_length,
            IpFamily::V6 => self.aggregation_length_v6,
        }
    }

    /// Whether the two of one namespace could tell a peer the same prefix with different preferences,
    /// of addresses of these `families`.
    #[must_use]
    pub fn clashes_with(&self, other: &Self, families: &BTreeSet<IpFamily>) -> bool {
        self.local_pref != other.local_pref
            && families.iter().any(|family| self.length(*family) == other.length(*family))
            && (self.peers.is_empty() || other.peers.is_empty() || !self.peers.is_disjoint(&other.peers))
    }
}

/// The length of the widest prefix within `range`.
#[must_use]
pub fn widest_prefix(range: IpRange) -> u8 {
    let bits = range.family().bits();
    (0..bits).find(|length| holds_prefix(range, *length)).unwrap_or(bits)
}

/// Whether a prefix of `length` lies within `range`.
fn holds_prefix(range: IpRange, length: u8) -> bool {
    let holds = |prefix: IpPrefix| range.contains(prefix.network()) && range.contains(prefix.last());
    // If no prefix begins where the range does, the first one inside begins after the one around its start.
    let around = IpPrefix::containing(range.start(), length);
    let beside = around.and_then(|prefix| {
        let next = address_value(prefix.last()).checked_add(1)?;
        IpPrefix::containing(range.family().address(next), length)
    });
    around.is_some_and(holds) || beside.is_some_and(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_prefix_of_a_range_is_the_one_that_fits_wherever_it_begins() {
        for (range, expected) in [
            ("1.1.1.0/28", 28),
            ("10.0.0.0-10.0.0.255", 24),
            ("10.0.0.1-10.0.0.255", 25),
            ("10.0.0.1-10.0.0.1", 32),
            ("10.0.0.1-10.0.0.2", 32),
            ("10.0.0.127-10.0.1.129", 25),
            ("10.0.0.1-10.0.2.9", 24),
            ("255.255.255.255/32", 32),
            ("0.0.0.0/0", 0),
            ("::/0", 0),
            ("fd00::1-fd00::ffff", 113),
        ] {
            assert_eq!(widest_prefix(range.parse().unwrap()), expected, "{range}");
        }
    }

    #[test]
    fn a_range_holds_each_prefix_that_is_as_long_as_its_widest_or_longer() {
        for range in ["10.0.0.127-10.0.1.129", "10.0.0.1-10.0.2.9", "10.0.0.5-10.0.0.5", "fd00::1-fd00::ffff"]
        {
            let range: IpRange = range.parse().unwrap();
            for length in 0..=range.family().bits() {
                assert_eq!(holds_prefix(range, length), length >= widest_prefix(range), "{range} {length}");
            }
            assert!(!holds_prefix(range, range.family().bits() + 1));
        }
    }
}
