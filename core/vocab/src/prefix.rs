//! IP prefixes (CIDR blocks) and address families.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::community::decimal;

/// An address family. Orders IPv4 first, the order in which addresses are written to a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpFamily {
    /// IPv4, 32-bit addresses.
    V4,
    /// IPv6, 128-bit addresses.
    V6,
}

impl IpFamily {
    /// The family of `address`.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits in an address of this family.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address with this numeric value; for IPv4 only the low 32 bits count.
    #[must_use]
    pub const fn address(self, value: u128) -> IpAddr {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "an IPv4 value has 32 bits")]
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(value as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(value)),
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The numeric value of `address`, network byte order as an integer.
#[must_use]
pub const fn address_value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A network address and its length, host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    network: IpAddr,
    length: u8,
}

/// The text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixError {
    /// There is no `/`.
    #[error("{0:?}: expected an address, a slash and a prefix length, like 192.0.2.0/24")]
    NoLength(String),
    /// The part before the `/` is not an address.
    #[error("{0:?} is not an IP address")]
    Address(String),
    /// The part after the `/` is not a length of the address's family.
    #[error("prefix length {length:?} of {address}: expected a number from 0 to {max}")]
    Length {
        /// The address before the slash.
        address: IpAddr,
        /// What stood after the slash.
        length: String,
        /// The longest prefix of the family.
        max: u8,
    },
}

impl IpPrefix {
    /// The prefix of `length` bits that contains `address`: host bits are masked away.
    /// `None` if `length` exceeds the family's.
    #[must_use]
    pub fn containing(address: IpAddr, length: u8) -> Option<Self> {
        let family = IpFamily::of(address);
        let host_bits = family.bits().checked_sub(length)?;
        let mask = u128::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0);
        Some(Self { network: family.address(address_value(address) & mask), length })
    }

    /// The first address.
    #[must_use]
    pub const fn network(self) -> IpAddr {
        self.network
    }

    /// The prefix length in bits.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The family of the addresses.
    #[must_use]
    pub const fn family(self) -> IpFamily {
        IpFamily::of(self.network)
    }

    /// The last address.
    #[must_use]
    pub fn last(self) -> IpAddr {
        let host_bits = u32::from(self.family().bits() - self.length);
        let host_mask = u128::MAX.checked_shl(host_bits).map_or(u128::MAX, |mask| !mask);
        self.family().address(address_value(self.network) | host_mask)
    }

    /// Whether `address` lies in the prefix.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::containing(address, self.length) == Some(self)
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl FromStr for IpPrefix {
    type Err = ParsePrefixError;

    /// Parses `address/length`, masking host bits away as MetalLB does.
    fn from_str(text: &str) -> Result<Self, ParsePrefixError> {
        let Some((address, length)) = text.split_once('/') else {
            return Err(ParsePrefixError::NoLength(text.to_string()));
        };
        let address: IpAddr = address
            .trim()
            .parse()
            .map_err(|_no_detail| ParsePrefixError::Address(address.trim().to_string()))?;
        let too_long = || ParsePrefixError::Length {
            address,
            length: length.trim().to_string(),
            max: IpFamily::of(address).bits(),
        };
        let bits = decimal(length.trim()).and_then(|bits| u8::try_from(bits).ok()).ok_or_else(too_long)?;
        Self::containing(address, bits).ok_or_else(too_long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn prefix(text: &str) -> IpPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_masked_away() {
        assert_eq!(prefix("192.168.100.77/24").to_string(), "192.168.100.0/24");
        assert_eq!(prefix("fd00::1:2/112").to_string(), "fd00::1:0/112");
    }

    #[test]
    fn the_widest_and_the_narrowest_prefix_have_the_right_ends() {
        assert_eq!(prefix("0.0.0.0/0").last().to_string(), "255.255.255.255");
        assert_eq!(prefix("::/0").last(), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        assert_eq!(prefix("192.0.2.7/32").last(), prefix("192.0.2.7/32").network());
    }

    #[test]
    fn families_never_contain_each_other() {
        assert!(!prefix("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(!prefix("::/0").overlaps(prefix("0.0.0.0/0")));
    }

    #[test]
    fn overlap_is_containment_of_a_network() {
        assert!(prefix("10.0.0.0/8").overlaps(prefix("10.1.0.0/16")));
        assert!(!prefix("10.0.0.0/16").overlaps(prefix("10.1.0.0/16")));
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        let message = |text: &str| text.parse::<IpPrefix>().unwrap_err().to_string();
        assert!(message("192.0.2.1").contains("a slash"));
        assert!(message("192.0.2/24").contains("\"192.0.2\" is not an IP address"));
        assert!(message("192.0.2.0/33").contains("from 0 to 32"));
        assert!(message("fd00::/x").contains("from 0 to 128"));
    }

    #[test]
    fn a_length_is_decimal_digits_alone() {
        for length in ["+24", "-1", "", "2 4", "0x18", "24.0", "256", "4294967320"] {
            let error = format!("192.0.2.0/{length}").parse::<IpPrefix>().unwrap_err();
            assert!(matches!(error, ParsePrefixError::Length { max: 32, .. }), "{length}: {error}");
        }
        assert_eq!(prefix("192.0.2.0/ 24"), prefix("192.0.2.0/24"), "space around it is nothing");
    }
}
