//! Inclusive address ranges, the unit in which pools are written.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::prefix::{IpFamily, IpPrefix, ParsePrefixError, address_value};

/// All addresses from `start` to `end`, both included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpRange {
    start: IpAddr,
    end: IpAddr,
}

/// The text is not an entry of `IPAddressPool.spec.addresses`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRangeError {
    /// Neither a `/` nor a `-`.
    #[error(
        "{0:?} is neither a CIDR nor a range; write 192.0.2.0/28, or 192.0.2.1-192.0.2.9, or {0}/32 for one address"
    )]
    Shape(String),
    /// One end is not an address.
    #[error("{0:?} is not an IP address")]
    Address(String),
    /// The ends are of different families.
    #[error("{start}-{end} mixes IPv4 and IPv6; write one entry for each family")]
    MixedFamilies {
        /// The first address as written.
        start: IpAddr,
        /// The last address as written.
        end: IpAddr,
    },
    /// The ends are the wrong way round.
    #[error("{start}-{end}: start is above end; swap them")]
    Reversed {
        /// The first address as written.
        start: IpAddr,
        /// The last address as written.
        end: IpAddr,
    },
    /// The CIDR does not parse.
    #[error(transparent)]
    Prefix(#[from] ParsePrefixError),
}

impl IpRange {
    /// The range from `start` to `end`.
    ///
    /// # Errors
    /// The ends are of different families, or the wrong way round.
    pub fn new(start: IpAddr, end: IpAddr) -> Result<Self, ParseRangeError> {
        if IpFamily::of(start) != IpFamily::of(end) {
            return Err(ParseRangeError::MixedFamilies { start, end });
        }
        if address_value(start) > address_value(end) {
            return Err(ParseRangeError::Reversed { start, end });
        }
        Ok(Self { start, end })
    }

    /// The first address.
    #[must_use]
    pub const fn start(self) -> IpAddr {
        self.start
    }

    /// The last address.
    #[must_use]
    pub const fn end(self) -> IpAddr {
        self.end
    }

    /// The family of the addresses.
    #[must_use]
    pub const fn family(self) -> IpFamily {
        IpFamily::of(self.start)
    }

    /// Whether `address` lies in the range.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        IpFamily::of(address) == self.family()
            && (address_value(self.start)..=address_value(self.end)).contains(&address_value(address))
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.family() == other.family()
            && address_value(self.start) <= address_value(other.end)
            && address_value(other.start) <= address_value(self.end)
    }

    /// The part that both have in common.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        if !self.overlaps(other) {
            return None;
        }
        let start = address_value(self.start).max(address_value(other.start));
        let end = address_value(self.end).min(address_value(other.end));
        let family = self.family();
        Some(Self { start: family.address(start), end: family.address(end) })
    }

    /// What is left of the range without the addresses of `other`: nothing, one part, or one on
    /// either side.
    pub fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let family = self.family();
        let (start, end) = (address_value(self.start), address_value(self.end));
        let common =
            self.intersection(other).map(|common| (address_value(common.start), address_value(common.end)));
        let part = |first: u128, last: u128| Self { start: family.address(first), end: family.address(last) };
        let (below, above) = match common {
            None => (Some(self), None),
            Some((first, last)) => {
                ((start < first).then(|| part(start, first - 1)), (last < end).then(|| part(last + 1, end)))
            }
        };
        below.into_iter().chain(above)
    }

    /// How many addresses the range holds, saturating at `u128::MAX` for `::/0`.
    #[must_use]
    pub const fn size(self) -> u128 {
        (address_value(self.end) - address_value(self.start)).saturating_add(1)
    }
}

impl From<IpPrefix> for IpRange {
    fn from(prefix: IpPrefix) -> Self {
        Self { start: prefix.network(), end: prefix.last() }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

impl FromStr for IpRange {
    type Err = ParseRangeError;

    /// Parses a CIDR or `start-end` (split at the first `-`, blanks trimmed), the two forms of
    /// `IPAddressPool.spec.addresses` (docs/reference/metallb-contract.md, "IPAddressPool").
    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        if let Some((start, end)) = text.split_once('-') {
            return Self::new(parse_address(start)?, parse_address(end)?);
        }
        if text.contains('/') {
            return Ok(text.trim().parse::<IpPrefix>()?.into());
        }
        Err(ParseRangeError::Shape(text.to_string()))
    }
}

fn parse_address(text: &str) -> Result<IpAddr, ParseRangeError> {
    let text = text.trim();
    text.parse().map_err(|_no_detail| ParseRangeError::Address(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> IpRange {
        text.parse().unwrap()
    }

    #[test]
    fn both_notations_parse() {
        let pool = range("192.168.100.240 - 192.168.100.250");
        assert_eq!(pool.size(), 11);
        assert_eq!(range("192.168.100.0/24").to_string(), "192.168.100.0-192.168.100.255");
        assert_eq!(range("fd00::/64").size(), 1 << 64);
    }

    #[test]
    fn the_whole_of_ipv6_does_not_overflow() {
        assert_eq!(range("::/0").size(), u128::MAX);
    }

    #[test]
    fn errors_say_what_to_do() {
        let message = |text: &str| text.parse::<IpRange>().unwrap_err().to_string();
        assert_eq!(message("10.0.0.9-10.0.0.1"), "10.0.0.9-10.0.0.1: start is above end; swap them");
        assert!(message("10.0.0.1-fd00::1").contains("one entry for each family"));
        assert!(message("10.0.0.1").contains("10.0.0.1/32 for one address"));
        assert!(message("10.0.0.1-10.0.0.999").contains("\"10.0.0.999\" is not an IP address"));
        assert!(message("").contains("neither a CIDR nor a range"));
    }

    #[test]
    fn taking_addresses_out_leaves_what_lies_beside_them() {
        let without = |taken: &str| {
            let left = range("10.0.0.1-10.0.0.9").without(range(taken));
            left.map(|left| left.to_string()).collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(without("10.0.0.4-10.0.0.5"), ["10.0.0.1-10.0.0.3", "10.0.0.6-10.0.0.9"]);
        assert_eq!(without("10.0.0.0-10.0.0.5"), ["10.0.0.6-10.0.0.9"]);
        assert_eq!(without("10.0.0.9-10.0.0.20"), ["10.0.0.1-10.0.0.8"]);
        assert_eq!(without("10.0.0.0/24"), [""; 0]);
        assert_eq!(without("10.0.1.0/24"), ["10.0.0.1-10.0.0.9"]);
        assert_eq!(without("::/0"), ["10.0.0.1-10.0.0.9"]);
        let ends: alloc::vec::Vec<_> = range("::/0").without(range("::1/128")).collect();
        assert_eq!(ends.len(), 2, "the ends of the family do not overflow");
    }

    #[test]
    fn overlap_needs_a_shared_address() {
        assert!(range("10.0.0.1-10.0.0.5").overlaps(range("10.0.0.5-10.0.0.9")));
        assert!(!range("10.0.0.1-10.0.0.4").overlaps(range("10.0.0.5-10.0.0.9")));
        assert!(!range("0.0.0.0/0").overlaps(range("::/0")));
    }
}
