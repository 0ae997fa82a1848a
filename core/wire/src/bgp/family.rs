//! What routes are of: an address family (AFI) and, within it, a kind of route (SAFI).

use ferrolb_vocab::IpFamily;

use crate::cursor::{Reader, Truncated, Writer};

/// A family of routes (RFC 4760 §2). Orders IPv4 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 unicast: AFI 1, SAFI 1.
    Ipv4Unicast,
    /// IPv6 unicast: AFI 2, SAFI 1.
    Ipv6Unicast,
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Families {
    /// Whether IPv4 unicast is in it.
    pub ipv4: bool,
    /// Whether IPv6 unicast is in it.
    pub ipv6: bool,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 2] = [Self::Ipv4Unicast, Self::Ipv6Unicast];

    /// The unicast routes of `family`.
    #[must_use]
    pub const fn of(family: IpFamily) -> Self {
        match family {
            IpFamily::V4 => Self::Ipv4Unicast,
            IpFamily::V6 => Self::Ipv6Unicast,
        }
    }

    /// The family of the addresses.
    #[must_use]
    pub const fn ip_family(self) -> IpFamily {
        match self {
            Self::Ipv4Unicast => IpFamily::V4,
            Self::Ipv6Unicast => IpFamily::V6,
        }
    }

    /// The Address Family Identifier.
    #[must_use]
    pub const fn afi(self) -> u16 {
        match self {
            Self::Ipv4Unicast => AFI_IPV4,
            Self::Ipv6Unicast => AFI_IPV6,
        }
    }

    /// The Subsequent Address Family Identifier: that of unicast.
    #[must_use]
    pub const fn safi(self) -> u8 {
        SAFI_UNICAST
    }

    /// The name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4Unicast => "ipv4_unicast",
            Self::Ipv6Unicast => "ipv6_unicast",
        }
    }

    /// The family of these numbers, `None` for one that FerroLB has no routes of.
    pub(super) const fn of_numbers(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (AFI_IPV4, SAFI_UNICAST) => Some(Self::Ipv4Unicast),
            (AFI_IPV6, SAFI_UNICAST) => Some(Self::Ipv6Unicast),
            _other => None,
        }
    }

    /// AFI and SAFI next to each other, as in path attributes and in Graceful Restart.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Truncated> {
        let [afi_high, afi_low, safi] = reader.array()?;
        Ok(Self::of_numbers(u16::from_be_bytes([afi_high, afi_low]), safi))
    }

    /// Appends AFI and SAFI next to each other.
    pub(super) fn write(self, writer: &mut Writer) {
        writer.u16(self.afi()).u8(self.safi());
    }
}

impl Families {
    /// No family.
    pub const EMPTY: Self = Self { ipv4: false, ipv6: false };
    /// IPv4 unicast alone: what a peer without multiprotocol capabilities speaks (RFC 4760 §8).
    pub const IPV4: Self = Self { ipv4: true, ipv6: false };
    /// IPv6 unicast alone.
    pub const IPV6: Self = Self { ipv4: false, ipv6: true };
    /// Every family.
    pub const ALL: Self = Self { ipv4: true, ipv6: true };

    /// Whether `family` is in the set.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        match family {
            Family::Ipv4Unicast => self.ipv4,
            Family::Ipv6Unicast => self.ipv6,
        }
    }

    /// Adds `family`.
    pub const fn insert(&mut self, family: Family) {
        match family {
            Family::Ipv4Unicast => self.ipv4 = true,
            Family::Ipv6Unicast => self.ipv6 = true,
        }
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && other.ipv4, ipv6: self.ipv6 && other.ipv6 }
    }

    /// Whether no family is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.ipv4 && !self.ipv6
    }

    /// The families in the set, in their order.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<T: IntoIterator<Item = Family>>(families: T) -> Self {
        let mut set = Self::EMPTY;
        for family in families {
            set.insert(family);
        }
        set
    }
}

/// IPv4 in the registry of address families.
pub(super) const AFI_IPV4: u16 = 1;
/// IPv6 in the registry of address families.
pub(super) const AFI_IPV6: u16 = 2;
/// Routes that unicast forwarding uses.
pub(super) const SAFI_UNICAST: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn numbers_are_those_of_the_registries_and_others_are_no_family() {
        for family in Family::ALL {
            assert_eq!(Family::of_numbers(family.afi(), family.safi()), Some(family));
            assert_eq!(Family::of(family.ip_family()), family);
        }
        assert_eq!(Family::of_numbers(2, 1), Some(Family::Ipv6Unicast));
        for (afi, safi) in [(0, 1), (1, 2), (1, 128), (2, 4), (25, 70), (3, 1)] {
            assert_eq!(Family::of_numbers(afi, safi), None);
        }
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let mut set = Families::EMPTY;
        assert!(set.is_empty());
        set.insert(Family::Ipv6Unicast);
        assert_eq!(set, Families::IPV6);
        assert!(set.contains(Family::Ipv6Unicast) && !set.contains(Family::Ipv4Unicast));
        assert_eq!(set.intersection(Families::IPV4), Families::EMPTY);
        assert_eq!(set.intersection(Families::ALL), set);
        assert_eq!(Families::ALL.iter().collect::<Vec<_>>(), Family::ALL);
        assert_eq!(Family::ALL.into_iter().collect::<Families>(), Families::ALL);
    }
}
