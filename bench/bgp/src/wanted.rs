//! What a contender is to do.

use std::net::Ipv4Addr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What a contender is to do; a line of `ferrolb-bench-speaker`'s standard input, each instead of the
/// one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Where BGP sessions are from.
    pub local: Ipv4Addr,
    /// Who they are with, none or several.
    pub peers: Vec<Ipv4Addr>,
    /// How many routes each peer is to know, the first of [`Self::prefixes`].
    pub routes: u16,
    /// Where BFD sessions run.
    pub bfd: Vec<BfdLink>,
    /// How often BFD packets go and must come, in milliseconds.
    pub interval_ms: u32,
}

/// The ends of a BFD session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdLink {
    /// This side's.
    pub local: Ipv4Addr,
    /// The peer's.
    pub peer: Ipv4Addr,
}

impl Wanted {
    /// The addresses of the routes of these numbers, each a prefix of 32 bits. Those that a peer is to
    /// know are the first [`Self::routes`].
    pub fn prefixes(numbers: Range<u16>) -> impl Iterator<Item = Ipv4Addr> {
        numbers.map(address)
    }
}

/// The address of a route.
const fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 77, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_apart_by_their_numbers() {
        let addresses: Vec<_> = Wanted::prefixes(0..10_000).collect();
        assert_eq!(addresses.first(), Some(&Ipv4Addr::new(10, 77, 0, 0)));
        assert_eq!(addresses.last(), Some(&Ipv4Addr::new(10, 77, 39, 15)));
        assert!(addresses.is_sorted_by(|one, other| one < other));
    }
}
