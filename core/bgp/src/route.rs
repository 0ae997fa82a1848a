//! What an operator wants of a prefix.

use alloc::collections::BTreeSet;
use core::num::NonZeroU32;

use ferrolb_vocab::{Asn, Community, LargeCommunity};
use ferrolb_wire::bgp::ExtendedCommunity;

/// The LOCAL_PREF of a route that has none of its own, which an internal peer must be told
/// (RFC 4271 §5.1.5): what routers give to routes without one.
pub const LOCAL_PREF_DEFAULT: u32 = 100;

/// Octets of communities and large communities that a route has at most. With them, the rest of the
/// attributes and a prefix there is room in an UPDATE of 4,096 octets: 960 communities, or 320
/// large ones.
pub const COMMUNITIES_OCTETS_MAX: usize = 3_840;

/// What is wanted of a prefix, without what the session adds: ORIGIN, AS_PATH, NEXT_HOP.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// LOCAL_PREF, which only internal peers are told; `None`: [`LOCAL_PREF_DEFAULT`].
    pub local_pref: Option<u32>,
    /// Together with the large ones [`COMMUNITIES_OCTETS_MAX`] at most, of which a community takes
    /// four: a route with more is told to nobody.
    pub communities: BTreeSet<Community>,
    /// Of twelve octets each.
    pub large_communities: BTreeSet<LargeCommunity>,
    /// How much of the traffic this path is to have beside others of the prefix.
    pub link_bandwidth: Option<LinkBandwidth>,
}

/// The share of a path where a router spreads traffic over several: RFC 10005.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkBandwidth {
    /// The share beside the weights of the other paths: told as so many Mbit/s. Never zero, which
    /// routers may take for no traffic at all.
    pub weight: NonZeroU32,
    /// How far it travels.
    pub transitivity: Transitivity,
}

/// How far an extended community travels: RFC 4360 §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transitivity {
    /// Also beyond the autonomous system that receives it.
    Transitive,
    /// Not beyond an autonomous system.
    NonTransitive,
}

impl Route {
    /// Whether an UPDATE has room for it.
    pub(crate) fn fits(&self) -> bool {
        self.communities.len() * 4 + self.large_communities.len() * 12 <= COMMUNITIES_OCTETS_MAX
    }
}

impl LinkBandwidth {
    /// As it travels, attached by `asn`.
    #[must_use]
    pub fn extended_community(self, asn: Asn) -> ExtendedCommunity {
        let octets_per_second = self.weight.get() as f32 * OCTETS_PER_SECOND;
        let is_transitive = self.transitivity == Transitivity::Transitive;
        ExtendedCommunity::link_bandwidth(asn, octets_per_second, is_transitive)
    }
}

/// One Mbit/s, in the unit of RFC 10005.
const OCTETS_PER_SECOND: f32 = 125_000.0;
