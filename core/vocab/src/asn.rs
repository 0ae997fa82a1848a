//! Numbers that identify who speaks BGP: autonomous systems and speakers.

use core::fmt;
use core::net::Ipv4Addr;
use core::num::NonZeroU32;
use core::str::FromStr;

use alloc::string::{String, ToString};

/// An autonomous system number, four octets (RFC 6793). Zero means nobody (RFC 7607).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

/// The text is not an autonomous system number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an AS number, expected a decimal number from 0 to 4294967295")]
pub struct ParseAsnError(pub String);

impl Asn {
    /// Stands for a number that two octets cannot carry: `AS_TRANS` of RFC 6793 §9.
    pub const TRANS: Self = Self(AS_TRANS as u32);

    /// The number as two octets carry it, `None` if they cannot.
    #[must_use]
    pub fn two_octets(self) -> Option<u16> {
        u16::try_from(self.0).ok()
    }

    /// The number as two octets carry it; [`Self::TRANS`] if they cannot (RFC 6793 §4.2.2).
    #[must_use]
    pub fn two_octets_or_trans(self) -> u16 {
        self.two_octets().unwrap_or(AS_TRANS)
    }
}

impl From<u16> for Asn {
    fn from(two_octets: u16) -> Self {
        Self(u32::from(two_octets))
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Asn {
    type Err = ParseAsnError;

    /// Parses decimal digits (asplain of RFC 5396); no sign, no dot.
    fn from_str(text: &str) -> Result<Self, ParseAsnError> {
        crate::community::decimal(text).map(Self).ok_or_else(|| ParseAsnError(text.to_string()))
    }
}

/// A BGP Identifier: four octets, not zero, unique within its autonomous system (RFC 6286 §2.1).
/// Orders as an unsigned number, as collision detection compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BgpId(NonZeroU32);

impl BgpId {
    /// The identifier of this value.
    #[must_use]
    pub const fn new(value: NonZeroU32) -> Self {
        Self(value)
    }

    /// The identifier that is written like `address`, `None` for 0.0.0.0.
    #[must_use]
    pub fn from_ipv4(address: Ipv4Addr) -> Option<Self> {
        NonZeroU32::new(address.to_bits()).map(Self)
    }

    /// The value as it travels.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl From<NonZeroU32> for BgpId {
    fn from(value: NonZeroU32) -> Self {
        Self(value)
    }
}

impl fmt::Display for BgpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv4Addr::from_bits(self.get()).fmt(f)
    }
}

/// [`Asn::TRANS`] in two octets.
const AS_TRANS: u16 = 23_456;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_numbers_are_plain_decimals_of_four_octets() {
        assert_eq!("4294967295".parse(), Ok(Asn(u32::MAX)));
        assert_eq!(Asn(64_512).to_string(), "64512");
        for text in ["", "-1", "+1", "4294967296", "1.10", "0x1", " 1", "AS1"] {
            assert_eq!(text.parse::<Asn>(), Err(ParseAsnError(text.to_string())), "{text}");
        }
        let message = "1.10".parse::<Asn>().unwrap_err().to_string();
        assert!(message.contains("\"1.10\"") && message.contains("4294967295"), "{message}");
    }

    #[test]
    fn two_octets_carry_numbers_up_to_65535() {
        assert_eq!(Asn(65_535).two_octets(), Some(65_535));
        assert_eq!(Asn(65_536).two_octets(), None);
        assert_eq!(Asn::from(23_456), Asn::TRANS);
        assert_eq!(Asn(65_535).two_octets_or_trans(), 65_535);
        assert_eq!(Asn(4_200_000_000).two_octets_or_trans(), 23_456);
    }

    #[test]
    fn bgp_identifiers_are_not_zero_look_like_addresses_and_order_as_unsigned_numbers() {
        let id = |octets: [u8; 4]| BgpId::from_ipv4(Ipv4Addr::from(octets));
        assert_eq!(id([0, 0, 0, 0]), None);
        assert_eq!(id([192, 0, 2, 1]).unwrap().to_string(), "192.0.2.1");
        assert!(id([10, 0, 0, 1]) < id([192, 0, 2, 1]));
        assert_eq!(BgpId::new(NonZeroU32::MIN), BgpId::from(NonZeroU32::MIN));
        assert_eq!(id([0, 0, 1, 2]).unwrap().get(), 0x0102);
    }
}
