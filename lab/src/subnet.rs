//! Prefixes of the lab's networks and the arithmetic on them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

/// An IP prefix without host bits, written `10.233.64.0/18`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    address: IpAddr,
    length: u8,
}

impl Subnet {
    /// First address of the prefix.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Prefix length in bits.
    #[must_use]
    pub fn length(self) -> u8 {
        self.length
    }

    /// Number of bits below the prefix.
    #[must_use]
    pub fn host_bits(self) -> u8 {
        width(self.address) - self.length
    }

    /// Whether the prefix covers the address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        same_family(self.address, address) && self.network_of(address) == number(self.address)
    }

    /// Whether the two prefixes share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The address `index` above the prefix's first, if it is still inside.
    #[must_use]
    pub fn nth(self, index: u128) -> Option<IpAddr> {
        offset(self.address, index).filter(|address| self.contains(*address))
    }

    /// The prefix of `length` bits with this index inside this one.
    #[must_use]
    pub fn subnet(self, length: u8, index: u8) -> Option<Self> {
        let host_bits = width(self.address).checked_sub(length)?;
        if length < self.length {
            return None;
        }
        let address = self.nth(u128::from(index) << host_bits)?;
        Some(Self { address, length })
    }

    fn network_of(self, address: IpAddr) -> u128 {
        number(address).checked_shr(self.host_bits().into()).map_or(0, |network| network << self.host_bits())
    }
}

/// The address `index` above this one, if the family has it.
pub(crate) fn offset(address: IpAddr, index: u128) -> Option<IpAddr> {
    let sum = number(address).checked_add(index)?;
    match address {
        IpAddr::V4(_) => u32::try_from(sum).ok().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        IpAddr::V6(_) => Some(IpAddr::V6(Ipv6Addr::from_bits(sum))),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Subnet {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((address, length)) = text.split_once('/') else {
            bail!("prefix \"{text}\": no length after a slash, expected for example 10.0.0.0/8");
        };
        let address: IpAddr = address.parse().with_context(|| format!("prefix \"{text}\""))?;
        let length: u8 = length.parse().with_context(|| format!("prefix \"{text}\""))?;
        ensure!(length <= width(address), "prefix \"{text}\": length is above {}", width(address));
        let subnet = Self { address, length };
        ensure!(subnet.contains(address), "prefix \"{text}\": bits are set below the prefix length");
        Ok(subnet)
    }
}

impl TryFrom<String> for Subnet {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn nodes_get_consecutive_pod_prefixes() {
        assert_eq!(subnet("10.233.64.0/18").subnet(24, 2), Some(subnet("10.233.66.0/24")));
        assert_eq!(subnet("fd00:233:64::/48").subnet(64, 9), Some(subnet("fd00:233:64:9::/64")));
        assert_eq!(subnet("10.233.64.0/24").subnet(24, 1), None);
        assert_eq!(subnet("10.233.64.0/24").subnet(18, 0), None);
    }

    #[test]
    fn an_address_is_inside_only_its_own_prefix() {
        assert!(subnet("192.168.100.0/24").contains("192.168.100.255".parse().unwrap()));
        assert!(!subnet("192.168.100.0/24").contains("192.168.101.0".parse().unwrap()));
        assert!(!subnet("::/0").contains("192.168.101.0".parse().unwrap()));
        assert!(subnet("::/0").contains("fd00::1".parse().unwrap()));
        assert!(subnet("10.0.0.0/8").overlaps(subnet("10.233.0.0/18")));
        assert!(!subnet("10.233.0.0/18").overlaps(subnet("10.233.64.0/18")));
    }

    #[test]
    fn host_bits_and_bad_lengths_are_refused() {
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "fd00::/129", "x/8"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        assert!(subnet("10.0.0.0/30").nth(3).is_some());
        assert!(subnet("10.0.0.0/30").nth(4).is_none());
    }
}
