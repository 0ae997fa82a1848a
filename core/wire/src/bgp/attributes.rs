//! What is said of the routes that are sent: path attributes of RFC 4271 §5, RFC 1997, RFC 4360,
//! RFC 8092.

use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::{Asn, Community, LargeCommunity};

mod encoded;
mod extended_community;

pub use encoded::{EncodedAttributes, TooLong};
pub use extended_community::ExtendedCommunity;

/// What is said of routes that are sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// Where the routes come from.
    pub origin: Origin,
    /// The systems that they came through, nearest first: one `AS_SEQUENCE` (more if they are more
    /// than 255), or an empty path.
    pub as_path: Vec<Asn>,
    /// Where to send packets.
    pub next_hop: NextHop,
    /// Which of several links to this system the neighbour should take: the lowest.
    pub multi_exit_disc: Option<u32>,
    /// How much this system prefers the routes: more is better. For internal peers alone.
    pub local_pref: Option<u32>,
    /// Communities, in any order; sent sorted and each once. So are the others.
    pub communities: Vec<Community>,
    /// Large communities.
    pub large_communities: Vec<LargeCommunity>,
    /// Extended communities.
    pub extended_communities: Vec<ExtendedCommunity>,
}

/// Where a route comes from (RFC 4271 §5.1.1). Orders as routes are chosen: the first is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// From the system that originated it.
    Igp,
    /// From EGP (RFC 904).
    Egp,
    /// By other means.
    Incomplete,
}

/// Where to send packets. An IPv4 address that IPv6 routes have goes as an IPv4-mapped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHop {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6 {
        /// The global address; where there is none, the link-local one or `::`.
        global: Ipv6Addr,
        /// The link-local address, where the peer shares the link (RFC 2545 §3).
        link_local: Option<Ipv6Addr>,
    },
}

impl Origin {
    /// The number in the attribute.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Igp => 0,
            Self::Egp => 1,
            Self::Incomplete => 2,
        }
    }

    /// The name, as routers show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Igp => "igp",
            Self::Egp => "egp",
            Self::Incomplete => "incomplete",
        }
    }

    pub(super) const fn of_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Igp),
            1 => Some(Self::Egp),
            2 => Some(Self::Incomplete),
            _undefined => None,
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6 { global, link_local: None } => global.fmt(f),
            Self::Ipv6 { global, link_local: Some(link_local) } => write!(f, "{global} ({link_local})"),
        }
    }
}
