//! Addresses of a pool that must never be given, because something else has them already.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ferrolb_vocab::{IpRange, NodeName, ServiceKey};

use crate::pool::{Pool, written};

/// Who has addresses of the network that no Service may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occupant {
    /// An address of a node itself.
    Node(NodeName),
    /// The Pods of a node.
    Pods(NodeName),
    /// The network from which Services take their cluster addresses.
    Services,
    /// The cluster address of a Service.
    ClusterIp(ServiceKey),
    /// The network or broadcast address of a node's subnet, which no host may have.
    Subnet,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "the address of node {node}"),
            Self::Pods(node) => write!(f, "for the Pods of node {node}"),
            Self::Services => f.write_str("for the cluster addresses of Services"),
            Self::ClusterIp(service) => write!(f, "the cluster address of Service {service}"),
            Self::Subnet => f.write_str("the network or broadcast address of a node's subnet"),
        }
    }
}

/// A part of a pool that is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The addresses.
    pub range: IpRange,
    /// Who has them.
    pub occupant: Occupant,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.range.start() == self.range.end() {
            write!(f, "{} is {}", self.range.start(), self.occupant)
        } else {
            write!(f, "{} is {}", self.written(), self.occupant)
        }
    }
}

impl Withheld {
    fn written(&self) -> String {
        written(self.range)
    }
}

/// Takes out of `pool` what is occupied: the pool that is left, and what was taken out.
///
/// A Service that already has such an address keeps it when the second part of
/// [`Taken::kept_back`] is frozen ([`crate::PoolSet::freeze`]): taking it away is for a person
/// to decide.
#[must_use]
pub fn withhold(pool: Pool, occupied: &[(IpRange, Occupant)]) -> Taken {
    let mut left = pool.ranges.clone();
    let mut withheld = Vec::new();
    for (range, occupant) in occupied {
        if !left.iter().any(|part| part.overlaps(*range)) {
            continue;
        }
        let common = left.iter().filter_map(|part| part.intersection(*range));
        withheld.extend(common.map(|range| Withheld { range, occupant: occupant.clone() }));
        left = left.into_iter().flat_map(|part| part.without(*range)).collect();
    }
    let kept_back = Pool { ranges: withheld.iter().map(|withheld| withheld.range).collect(), ..pool.clone() };
    Taken { pool: Pool { ranges: left, ..pool }, kept_back, withheld }
}

/// A pool in two: what may be given, and what may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What may be given.
    pub pool: Pool,
    /// What may not, as a pool of the same name, without ranges if there is none.
    pub kept_back: Pool,
    /// The same with the reasons.
    pub withheld: Vec<Withheld>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Allocator, Families, PoolSet, ServiceRequest, Wanted};
    use alloc::collections::BTreeMap;
    use std::string::ToString;

    fn range(text: &str) -> IpRange {
        text.parse().unwrap()
    }

    fn occupied() -> Vec<(IpRange, Occupant)> {
        let node = Occupant::Node("worker1".into());
        Vec::from([
            (range("192.168.100.201/32"), node),
            (range("192.168.100.255/32"), Occupant::Subnet),
            (range("10.233.65.0/24"), Occupant::Pods("worker1".into())),
        ])
    }

    #[test]
    fn what_is_occupied_is_taken_out_and_named() {
        let pool =
            Pool::new("lb-pool", [range("192.168.100.200-192.168.100.203"), range("10.233.65.128/25")]);
        let taken = withhold(pool, &occupied());
        let left: Vec<_> = taken.pool.ranges.iter().map(ToString::to_string).collect();
        assert_eq!(left, ["192.168.100.200-192.168.100.200", "192.168.100.202-192.168.100.203"]);
        let why: Vec<_> = taken.withheld.iter().map(ToString::to_string).collect();
        assert_eq!(
            why,
            [
                "192.168.100.201 is the address of node worker1",
                "10.233.65.128/25 is for the Pods of node worker1",
            ]
        );
    }

    #[test]
    fn a_pool_without_occupied_addresses_is_left_as_it_is() {
        let pool = Pool::new("lb-pool", [range("192.168.100.240-192.168.100.250")]);
        let taken = withhold(pool.clone(), &occupied());
        assert_eq!(taken.pool, pool);
        assert!(taken.withheld.is_empty() && taken.kept_back.ranges.is_empty());
    }

    #[test]
    fn a_service_keeps_what_it_has_and_nobody_gets_it_anew() {
        let taken = withhold(Pool::new("lb-pool", [range("192.168.100.201-192.168.100.202")]), &occupied());
        let (mut pools, rejected) = PoolSet::new([taken.pool]);
        assert!(rejected.is_empty());
        pools.freeze(taken.kept_back);
        let had = ServiceRequest {
            recorded: Vec::from([range("192.168.100.201/32").start()]),
            ..ServiceRequest::new(Families::V4)
        };
        let wants = ServiceRequest {
            wanted: Wanted::Addresses { addresses: had.recorded.clone(), pool: None },
            ..ServiceRequest::new(Families::V4)
        };
        let key = |name: &str| ServiceKey::new("default", name);
        let services = BTreeMap::from([
            (key("had"), had),
            (key("new"), ServiceRequest::new(Families::V4)),
            (key("wants"), wants),
        ]);
        let mut allocator = Allocator::default();
        let decisions = allocator.reconcile(&pools, &BTreeMap::new(), &services);
        let address = |name: &str| decisions[&key(name)].addresses().first().map(ToString::to_string);
        assert_eq!(address("had").as_deref(), Some("192.168.100.201"));
        assert_eq!(address("new").as_deref(), Some("192.168.100.202"));
        assert_eq!(address("wants"), None);
    }
}
