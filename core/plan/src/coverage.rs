//! Whether anything announces a pool: what the controller tells the pool's owner.

use alloc::collections::BTreeMap;
use core::fmt;

use ferrolb_vocab::{IpRange, NodeName, PoolName};

use crate::snapshot::{Advertisements, Node, Pool};

/// How a pool's addresses reach the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// An advertisement covers the pool.
    Advertised,
    /// The cluster has no advertisement object, and the pool lies in a node's subnet.
    Implied,
    /// The cluster has advertisement objects, but none covers the pool.
    NotSelected,
    /// The cluster has no advertisement object, and part of the pool lies outside every subnet
    /// of the nodes.
    OutsideSubnets {
        /// The first such part.
        range: IpRange,
    },
}

impl Coverage {
    /// Whether the pool's addresses are announced.
    #[must_use]
    pub const fn is_announced(self) -> bool {
        matches!(self, Self::Advertised | Self::Implied)
    }

    /// The stable name of the reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Advertised => "Advertised",
            Self::Implied => "InNodeSubnet",
            Self::NotSelected => "NoAdvertisement",
            Self::OutsideSubnets { .. } => "OutsideNodeSubnets",
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advertised => f.write_str("an advertisement covers the pool"),
            Self::Implied => f.write_str(
                "the cluster has no advertisement, so the pool is announced by layer 2 from the nodes in its subnet",
            ),
            Self::NotSelected => f.write_str(
                "no L2Advertisement or BGPAdvertisement of the pool's namespace selects it, so its addresses are \
                 not announced; add the pool to an advertisement's spec.ipAddressPools",
            ),
            Self::OutsideSubnets { range } => write!(
                f,
                "the cluster has no advertisement, and {range} lies in no subnet of a node's interface, so it is \
                 not announced; create an L2Advertisement or BGPAdvertisement, or correct spec.addresses"
            ),
        }
    }
}

/// The coverage of `pool`.
#[must_use]
pub fn coverage(
    name: &PoolName,
    pool: &Pool,
    advertisements: &Advertisements,
    nodes: &BTreeMap<NodeName, Node>,
) -> Coverage {
    if advertisements.any_object {
        let Advertisements { l2, bgp, .. } = advertisements;
        let covered = l2.iter().any(|(object, one)| one.covers_pool(&object.namespace, name, pool))
            || bgp.iter().any(|(object, one)| one.covers_pool(&object.namespace, name, pool));
        return if covered { Coverage::Advertised } else { Coverage::NotSelected };
    }
    let in_a_subnet = |range: &&IpRange| {
        let mut subnets = nodes.values().flat_map(|node| &node.subnets);
        subnets.any(|subnet| subnet.contains(range.start()) && subnet.contains(range.end()))
    };
    match pool.ranges.iter().find(|range| !in_a_subnet(range)) {
        None => Coverage::Implied,
        Some(range) => Coverage::OutsideSubnets { range: *range },
    }
}
