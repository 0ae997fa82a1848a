//! Addresses of a pool that must never be given, because something else has them already.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::{InterfaceName, IpRange, MacAddr, NodeName, ServiceKey};

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
    /// Another host on the link of a node.
    Host {
        /// The host's link-layer address.
        mac: MacAddr,
        /// The node that heard it.
        node: NodeName,
        /// The node's interface.
        interface: InterfaceName,
    },
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "the address of node {node}"),
            Self::Pods(node) => write!(f, "for the Pods of node {node}"),
            Self::Services => f.write_str("for the cluster addresses of Services"),
            Self::ClusterIp(service) => write!(f, "the cluster address of Service {service}"),
            Self::Subnet => f.write_str("the network or broadcast address of a node's subnet"),
            Self::Host { mac, node, interface } => {
                write!(f, "the address of host {mac} (heard by node {node} on {interface})")
            }
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
    /// Whether a host has it that is no part of the cluster's configuration.
    #[must_use]
    pub const fn is_hosts(&self) -> bool {
        matches!(self.occupant, Occupant::Host { .. })
    }

    fn written(&self) -> String {
        written(self.range)
    }
}

/// Takes out of `pool` what is occupied: the pool that is left, and what was taken out.
///
/// A Service that already has such an address keeps it when [`Taken::kept_back`] is frozen
/// ([`crate::PoolSet::freeze`]): taking it away is for a person to decide.
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
    let kept_back = (!withheld.is_empty()).then(|| pool.clone());
    Taken { pool: Pool { ranges: left, ..pool }, kept_back, withheld }
}

/// `pool` with `addresses` at its end, in this order: they are given when nothing else is left.
#[must_use]
pub fn give_last(mut pool: Pool, addresses: impl IntoIterator<Item = IpAddr>) -> Pool {
    for address in addresses {
        let Ok(single) = IpRange::new(address, address) else { continue };
        if pool.ranges.iter().any(|range| range.contains(address)) {
            pool.ranges = pool.ranges.into_iter().flat_map(|range| range.without(single)).collect();
            pool.ranges.push(single);
        }
    }
    pool
}

/// A pool in two: what may be given, and what may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What may be given.
    pub pool: Pool,
    /// The pool as it was, if something was taken out: of its two addresses a Service may have one of each part.
    pub kept_back: Option<Pool>,
    /// What was taken out, with the reasons.
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
        assert!(taken.withheld.is_empty() && taken.kept_back.is_none());
    }

    #[test]
    fn a_service_keeps_what_it_has_and_nobody_gets_it_anew() {
        let taken = withhold(Pool::new("lb-pool", [range("192.168.100.201-192.168.100.202")]), &occupied());
        let (mut pools, rejected) = PoolSet::new([taken.pool]);
        assert!(rejected.is_empty());
        pools.freeze(taken.kept_back.expect("something is occupied"));
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

    #[test]
    fn a_service_with_two_addresses_keeps_both_when_one_is_a_hosts_by_now() {
        let host = Occupant::Host {
            mac: "02:00:00:00:00:99".parse().unwrap(),
            node: "worker1".into(),
            interface: "eth0".into(),
        };
        let addresses = ["192.168.100.240", "fd00:100::240"].map(|text| text.parse().unwrap());
        let ranges = ["192.168.100.240-192.168.100.250", "fd00:100::240/124"].map(range);
        let taken = withhold(Pool::new("lb-pool", ranges), &[(range("192.168.100.240/32"), host)]);
        assert_eq!(
            taken.withheld[0].to_string(),
            "192.168.100.240 is the address of host 02:00:00:00:00:99 (heard by node worker1 on eth0)"
        );
        let (mut pools, _) = PoolSet::new([taken.pool]);
        pools.freeze(taken.kept_back.unwrap());
        let dual = Families::Dual { primary: ferrolb_vocab::IpFamily::V4 };
        let had = ServiceRequest { recorded: Vec::from(addresses), ..ServiceRequest::new(dual) };
        let key = ServiceKey::new("default", "had");
        let mut allocator = Allocator::default();
        let decisions = allocator.reconcile(&pools, &BTreeMap::new(), &BTreeMap::from([(key.clone(), had)]));
        assert_eq!(decisions[&key].addresses(), addresses);
    }

    #[test]
    fn what_is_given_last_is_given_when_nothing_else_is_left() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let pool = Pool::new("lb-pool", [range("192.168.100.240-192.168.100.242")]);
        let pool = give_last(pool, ["192.168.100.241", "10.0.0.1"].map(address));
        let (pools, rejected) = PoolSet::new([pool]);
        assert!(rejected.is_empty());
        let names = ["a", "b", "c", "d"].map(|name| ServiceKey::new("default", name));
        let services = names
            .iter()
            .map(|key| (key.clone(), ServiceRequest::new(Families::V4)))
            .collect::<BTreeMap<_, _>>();
        let mut allocator = Allocator::default();
        let decisions = allocator.reconcile(&pools, &BTreeMap::new(), &services);
        let given: Vec<_> = names.iter().map(|key| decisions[key].addresses().first().copied()).collect();
        let expected =
            ["192.168.100.240", "192.168.100.242", "192.168.100.241"].map(|text| Some(address(text)));
        assert_eq!(given[..3], expected);
        assert_eq!(given[3], None);
    }
}
