//! The types of path attributes.

use core::fmt;

use super::{OPTIONAL, TRANSITIVE};

/// What an attribute is: its type code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u8);

/// A set of types.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct AttributeTypes {
    low: u128,
    high: u128,
}

impl AttributeType {
    /// Where the route comes from (RFC 4271 §5.1.1).
    pub const ORIGIN: Self = Self(1);
    /// The systems that it came through (RFC 4271 §5.1.2).
    pub const AS_PATH: Self = Self(2);
    /// Where to send packets (RFC 4271 §5.1.3).
    pub const NEXT_HOP: Self = Self(3);
    /// Which of several links to take (RFC 4271 §5.1.4).
    pub const MULTI_EXIT_DISC: Self = Self(4);
    /// How much the system prefers the route (RFC 4271 §5.1.5).
    pub const LOCAL_PREF: Self = Self(5);
    /// Systems were left out of the path (RFC 4271 §5.1.6).
    pub const ATOMIC_AGGREGATE: Self = Self(6);
    /// Who made one route of several (RFC 4271 §5.1.7).
    pub const AGGREGATOR: Self = Self(7);
    /// Communities (RFC 1997).
    pub const COMMUNITIES: Self = Self(8);
    /// Who brought the route into the system (RFC 4456 §8).
    pub const ORIGINATOR_ID: Self = Self(9);
    /// The route reflectors that it came through (RFC 4456 §8).
    pub const CLUSTER_LIST: Self = Self(10);
    /// Routes of a family and their next hop (RFC 4760 §3).
    pub const MP_REACH_NLRI: Self = Self(14);
    /// Routes of a family that are no more (RFC 4760 §4).
    pub const MP_UNREACH_NLRI: Self = Self(15);
    /// Extended communities (RFC 4360).
    pub const EXTENDED_COMMUNITIES: Self = Self(16);
    /// The path in four octets, beside one in two (RFC 6793 §3).
    pub const AS4_PATH: Self = Self(17);
    /// The aggregator in four octets, beside one in two (RFC 6793 §3).
    pub const AS4_AGGREGATOR: Self = Self(18);
    /// Extended communities with IPv6 addresses (RFC 5701).
    pub const IPV6_EXTENDED_COMMUNITIES: Self = Self(25);
    /// Large communities (RFC 8092).
    pub const LARGE_COMMUNITIES: Self = Self(32);

    /// The name in the registry; "unknown" for one that FerroLB does not read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ORIGIN => "ORIGIN",
            Self::AS_PATH => "AS_PATH",
            Self::NEXT_HOP => "NEXT_HOP",
            Self::MULTI_EXIT_DISC => "MULTI_EXIT_DISC",
            Self::LOCAL_PREF => "LOCAL_PREF",
            Self::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
            Self::AGGREGATOR => "AGGREGATOR",
            Self::COMMUNITIES => "COMMUNITIES",
            Self::ORIGINATOR_ID => "ORIGINATOR_ID",
            Self::CLUSTER_LIST => "CLUSTER_LIST",
            Self::MP_REACH_NLRI => "MP_REACH_NLRI",
            Self::MP_UNREACH_NLRI => "MP_UNREACH_NLRI",
            Self::EXTENDED_COMMUNITIES => "EXTENDED COMMUNITIES",
            Self::AS4_PATH => "AS4_PATH",
            Self::AS4_AGGREGATOR => "AS4_AGGREGATOR",
            Self::IPV6_EXTENDED_COMMUNITIES => "IPv6 EXTENDED COMMUNITIES",
            Self::LARGE_COMMUNITIES => "LARGE_COMMUNITY",
            Self(_) => "unknown",
        }
    }

    /// The Optional and Transitive bits; `None` for a type that FerroLB does not know.
    pub(in crate::bgp) const fn flags(self) -> Option<u8> {
        match self {
            Self::ORIGIN | Self::AS_PATH | Self::NEXT_HOP | Self::LOCAL_PREF | Self::ATOMIC_AGGREGATE => {
                Some(TRANSITIVE)
            }
            Self::MULTI_EXIT_DISC
            | Self::ORIGINATOR_ID
            | Self::CLUSTER_LIST
            | Self::MP_REACH_NLRI
            | Self::MP_UNREACH_NLRI => Some(OPTIONAL),
            Self::AGGREGATOR
            | Self::COMMUNITIES
            | Self::EXTENDED_COMMUNITIES
            | Self::AS4_PATH
            | Self::AS4_AGGREGATOR
            | Self::IPV6_EXTENDED_COMMUNITIES
            | Self::LARGE_COMMUNITIES => Some(OPTIONAL | TRANSITIVE),
            _unknown => None,
        }
    }

    /// Whether routes are lost with it.
    pub(in crate::bgp) const fn carries_routes(self) -> bool {
        matches!(self, Self::MP_REACH_NLRI | Self::MP_UNREACH_NLRI)
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl AttributeTypes {
    /// Adds a type, and says whether it is new.
    pub(in crate::bgp) const fn insert(&mut self, attribute: AttributeType) -> bool {
        let is_new = !self.contains(attribute);
        let bit = 1 << (attribute.0 & 0x7f);
        if attribute.0 < 0x80 {
            self.low |= bit;
        } else {
            self.high |= bit;
        }
        is_new
    }

    /// Whether the type is in the set.
    #[must_use]
    pub const fn contains(self, attribute: AttributeType) -> bool {
        let half = if attribute.0 < 0x80 { self.low } else { self.high };
        half & 1 << (attribute.0 & 0x7f) != 0
    }

    /// Whether no type is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.low == 0 && self.high == 0
    }

    /// The types, in their order.
    pub fn iter(self) -> impl Iterator<Item = AttributeType> {
        (0..=u8::MAX).map(AttributeType).filter(move |attribute| self.contains(*attribute))
    }
}

impl fmt::Debug for AttributeTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use std::collections::BTreeSet;

    #[test]
    fn a_set_has_each_type_that_was_put_in_and_no_other() {
        let mut set = AttributeTypes::default();
        assert!(set.is_empty());
        let types = [0, 1, 64, 127, 128, 200, 255].map(AttributeType);
        for attribute in types {
            assert!(set.insert(attribute), "{attribute} is new");
            assert!(!set.insert(attribute), "{attribute} is not");
        }
        assert!(!set.is_empty());
        assert_eq!(set.iter().collect::<Vec<_>>(), types);
    }

    #[test]
    fn every_type_that_is_known_has_a_name_and_flags() {
        let known: Vec<_> =
            (0..=u8::MAX).map(AttributeType).filter(|attribute| attribute.flags().is_some()).collect();
        let names: BTreeSet<_> = known.iter().map(|attribute| attribute.name()).collect();
        assert_eq!((known.len(), names.len()), (17, 17));
        assert!(!names.contains("unknown"));
        assert_eq!(AttributeType(200).name(), "unknown");
    }
}
