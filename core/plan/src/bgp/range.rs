//! Ranges of addresses that peers connect from, none of which anybody has written down.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use ferrolb_vocab::{IpFamily, IpPrefix, ObjectName, ParsePrefixError};

use super::Session;
use super::peer::{BgpPeer, Endpoint};

/// The widest range of each family: who is let in from further around is known to nobody.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 16;

/// Where peers connect from: at least one prefix, no two of which overlap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenRange(Vec<IpPrefix>);

/// The text is no range that peers can connect from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenRangeError {
    /// A part is no prefix.
    Prefix(ParsePrefixError),
    /// Half of the Internet could connect.
    TooWide {
        /// What is written.
        prefix: IpPrefix,
        /// The shortest length of its family, in bits.
        shortest: u8,
    },
    /// Nobody has such an address, or one of it is another host's on each link.
    NoHosts(IpPrefix),
    /// One prefix says what another has said.
    Overlap(IpPrefix, IpPrefix),
}

impl ListenRange {
    /// The prefixes, in order.
    #[must_use]
    pub fn prefixes(&self) -> &[IpPrefix] {
        &self.0
    }

    /// Whether peers connect from this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(address))
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|one| other.0.iter().any(|other| one.overlaps(*other)))
    }

    /// Whether peers connect over this family.
    #[must_use]
    pub fn has(&self, family: IpFamily) -> bool {
        self.0.iter().any(|prefix| prefix.family() == family)
    }
}

impl FromStr for ListenRange {
    type Err = ListenRangeError;

    /// Parses prefixes that are separated by commas.
    fn from_str(text: &str) -> Result<Self, ListenRangeError> {
        let mut prefixes: Vec<IpPrefix> = Vec::new();
        for part in text.split(',') {
            let prefix: IpPrefix = part.trim().parse().map_err(ListenRangeError::Prefix)?;
            let shortest = match prefix.family() {
                IpFamily::V4 => SHORTEST_V4,
                IpFamily::V6 => SHORTEST_V6,
            };
            if prefix.length() < shortest {
                return Err(ListenRangeError::TooWide { prefix, shortest });
            }
            if !has_hosts(prefix) {
                return Err(ListenRangeError::NoHosts(prefix));
            }
            if let Some(other) = prefixes.iter().find(|other| other.overlaps(prefix)) {
                return Err(ListenRangeError::Overlap(*other, prefix));
            }
            prefixes.push(prefix);
        }
        prefixes.sort_unstable();
        Ok(Self(prefixes))
    }
}

impl fmt::Display for ListenRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes: Vec<String> = self.0.iter().map(alloc::string::ToString::to_string).collect();
        f.write_str(&prefixes.join(","))
    }
}

impl fmt::Display for ListenRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(error) => write!(f, "{error}; write prefixes, separated by commas"),
            Self::TooWide { prefix, shortest } => {
                write!(f, "{prefix} is too wide: write prefixes of at least {shortest} bits")
            }
            Self::NoHosts(prefix) => {
                write!(
                    f,
                    "nobody is told by an address of {prefix} alone: write global or private unicast ones"
                )
            }
            Self::Overlap(one, other) => write!(f, "{one} and {other} overlap: remove one of them"),
        }
    }
}

impl core::error::Error for ListenRangeError {}

/// Whether one peer can be told by an address of the prefix, which is none of the widest.
fn has_hosts(prefix: IpPrefix) -> bool {
    match prefix.network() {
        IpAddr::V4(network) => !network.is_multicast(),
        IpAddr::V6(network) => {
            let is_mapped = network.to_ipv4_mapped().is_some();
            !(network.is_multicast() || network.is_unicast_link_local() || is_mapped)
        }
    }
}

/// What is to be of a peer that connects from `address` into the range of the peer `name`, by the sessions
/// of its node: nothing if it is not in there, or if another object names the address, which then is that
/// peer's.
#[must_use]
pub fn caller(
    sessions: &BTreeMap<ObjectName, Session>,
    name: &ObjectName,
    address: IpAddr,
) -> Option<Session> {
    let Session { peer: range, routes } = sessions.get(name)?;
    let is_in_range = match &range.endpoint {
        Endpoint::Range(range) => range.contains(address),
        Endpoint::Address(_) | Endpoint::Interface(_) => false,
    };
    let peer = BgpPeer { endpoint: Endpoint::Address(address), ..range.clone() };
    let is_named = sessions.values().any(|session| session.peer.identity() == peer.identity());
    if !is_in_range || is_named {
        return None;
    }
    let routes = if routes.keys().all(|prefix| peer.carries(prefix.family())) {
        Arc::clone(routes)
    } else {
        let carried = routes.iter().filter(|(prefix, _)| peer.carries(prefix.family()));
        Arc::new(carried.map(|(prefix, route)| (*prefix, Arc::clone(route))).collect())
    };
    Some(Session { peer, routes })
}
