//! Tags of BGP routes that networks give a meaning to.

use core::fmt;
use core::str::FromStr;

use alloc::string::{String, ToString};

/// A community of four octets, written `A:B` (RFC 1997).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

/// A community of three numbers of four octets, written `A:B:C` (RFC 8092).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// Whose meaning it has: an autonomous system number.
    pub global_administrator: u32,
    /// The first number of that network's own choice.
    pub local_data_1: u32,
    /// The second.
    pub local_data_2: u32,
}

/// The text is not a community.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a community, expected two numbers from 0 to 65535 and a colon, like 64512:100")]
pub struct ParseCommunityError(pub String);

/// The text is not a large community.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a large community, expected three numbers from 0 to 4294967295 and colons, like 64512:1:2"
)]
pub struct ParseLargeCommunityError(pub String);

impl Community {
    /// Not to be told outside the autonomous system.
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// Not to be told to any peer.
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// The path is about to go away: prefer any other (RFC 8326 §5).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl FromStr for Community {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, ParseCommunityError> {
        let half = |text: &str| decimal(text).filter(|half| *half <= 0xffff);
        text.split_once(':')
            .and_then(|(high, low)| Some(Self(half(high)? << 16 | half(low)?)))
            .ok_or_else(|| ParseCommunityError(text.to_string()))
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global_administrator, self.local_data_1, self.local_data_2)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseLargeCommunityError;

    fn from_str(text: &str) -> Result<Self, ParseLargeCommunityError> {
        let mut numbers = text.split(':').map(decimal);
        let mut next = || numbers.next().flatten();
        match (next(), next(), next(), numbers.next()) {
            (Some(global_administrator), Some(local_data_1), Some(local_data_2), None) => {
                Ok(Self { global_administrator, local_data_1, local_data_2 })
            }
            _other => Err(ParseLargeCommunityError(text.to_string())),
        }
    }
}

/// A number of decimal digits alone: no sign, which `u32` itself would take.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_are_two_numbers_of_two_octets() {
        assert_eq!("64512:100".parse(), Ok(Community(0xfc00_0064)));
        assert_eq!("65535:65281".parse(), Ok(Community::NO_EXPORT));
        assert_eq!("65535:65282".parse(), Ok(Community::NO_ADVERTISE));
        assert_eq!("65535:0".parse(), Ok(Community::GRACEFUL_SHUTDOWN));
        for text in ["0:0", "1:65535", "65535:65535"] {
            assert_eq!(text.parse::<Community>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn large_communities_are_three_numbers_of_four_octets() {
        let text = "4294967295:0:7";
        let community: LargeCommunity = text.parse().unwrap();
        assert_eq!(
            community,
            LargeCommunity { global_administrator: u32::MAX, local_data_1: 0, local_data_2: 7 }
        );
        assert_eq!(community.to_string(), text);
    }

    #[test]
    fn what_is_no_community_is_refused_with_the_form_that_it_should_have() {
        for text in ["", ":", "1", "1:", ":1", "65536:1", "1:65536", "1:2:3", "-1:2", "+1:2", "1: 2", "a:b"] {
            let error = text.parse::<Community>().unwrap_err();
            assert_eq!(error, ParseCommunityError(text.to_string()));
            assert!(error.to_string().contains("64512:100"));
        }
        for text in ["", "1:2", "1:2:", "1:2:3:4", "4294967296:1:1", "1:+2:3", "1::3"] {
            let error = text.parse::<LargeCommunity>().unwrap_err();
            assert_eq!(error, ParseLargeCommunityError(text.to_string()));
            assert!(error.to_string().contains("64512:1:2"));
        }
    }
}
