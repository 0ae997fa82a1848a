//! What an UPDATE says, in numbers that no codec has types of its own for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use ferrolb_vocab::{IpPrefix, LargeCommunity};
use ferrolb_wire::bgp::{Family, NextHop, Update};

/// What an UPDATE says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) withdrawn: Vec<IpPrefix>,
    pub(crate) reachable: Vec<IpPrefix>,
    pub(crate) origin: Option<u8>,
    /// The systems of all segments.
    pub(crate) as_path: Vec<u32>,
    /// With the link-local address beside it.
    pub(crate) next_hops: BTreeMap<Family, (IpAddr, Option<Ipv6Addr>)>,
    pub(crate) multi_exit_disc: Option<u32>,
    pub(crate) local_pref: Option<u32>,
    pub(crate) communities: BTreeSet<u32>,
    pub(crate) large_communities: BTreeSet<[u32; 3]>,
    pub(crate) extended_communities: BTreeSet<u64>,
}

impl Told {
    /// What our codec reads.
    pub(crate) fn of(update: &Update<'_>) -> Self {
        let next_hop = |family| {
            let next_hop = match update.next_hop(family)? {
                NextHop::Ipv4(address) => (IpAddr::V4(address), None),
                NextHop::Ipv6 { global, link_local } => (IpAddr::V6(global), link_local),
            };
            Some((family, next_hop))
        };
        let large = |community: LargeCommunity| {
            let LargeCommunity { global_administrator, local_data_1, local_data_2 } = community;
            [global_administrator, local_data_1, local_data_2]
        };
        Self {
            withdrawn: update.withdrawn().collect(),
            reachable: update.reachable().collect(),
            origin: update.origin().map(|origin| origin.code()),
            as_path: update
                .as_path()
                .segments()
                .flat_map(|segment| segment.asns())
                .map(|asn| asn.0)
                .collect(),
            next_hops: Family::ALL.into_iter().filter_map(next_hop).collect(),
            multi_exit_disc: update.multi_exit_disc(),
            local_pref: update.local_pref(),
            communities: update.communities().map(|community| community.0).collect(),
            large_communities: update.large_communities().map(large).collect(),
            extended_communities: update
                .extended_communities()
                .map(|community| u64::from_be_bytes(community.0))
                .collect(),
        }
    }
}
