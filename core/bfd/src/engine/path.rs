//! Between whom a session runs, and why a packet is of none.

use core::net::IpAddr;
use core::num::NonZeroU32;

use ferrolb_wire::bfd::ParseError;

use crate::authentication::Inauthentic;
use crate::config::Config;

/// The Time to Live or Hop Limit of every packet sent: RFC 5881 §5, and what receivers over
/// several hops count from.
pub const TTL: u8 = u8::MAX;

/// Between whom a session runs: what tells the session of a packet that does not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// One hop: RFC 5881 §3. The address family is the peer's.
    SingleHop {
        /// The kernel's index of the interface.
        interface: u32,
        /// The peer's address on it.
        peer: IpAddr,
    },
    /// One hop or more: RFC 5883 §4.1.
    Multihop {
        /// The address that this side sends from.
        local: IpAddr,
        /// The peer's address.
        peer: IpAddr,
    },
}

/// How a packet came, by the socket that took it and what the kernel says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The path: single hop if it was sent to that port. The peer is its source, and `local` its
    /// destination.
    pub path: Path,
    /// Its Time to Live or Hop Limit.
    pub ttl: u8,
}

impl Path {
    /// The UDP port that packets go to: RFC 5881 §4, RFC 5883 §5.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::SingleHop { .. } => 3784,
            Self::Multihop { .. } => 4784,
        }
    }

    /// The peer's address.
    #[must_use]
    pub const fn peer(&self) -> IpAddr {
        match self {
            Self::SingleHop { peer, .. } | Self::Multihop { peer, .. } => *peer,
        }
    }

    /// The least Time to Live that a packet may arrive with.
    pub(super) const fn minimum_ttl(&self, config: Config) -> u8 {
        match self {
            Self::SingleHop { .. } => TTL,
            Self::Multihop { .. } => config.minimum_ttl,
        }
    }
}

/// Why a session cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// Another session has the discriminator.
    #[error("the discriminator is another session's; draw one again")]
    DiscriminatorTaken,
    /// There is a session for the path.
    #[error("there is a session with this peer already; change or remove it")]
    PathTaken,
    /// There are too many.
    #[error("there are {} sessions, the most that there can be; remove peers", super::SESSIONS_MAX)]
    Full,
}

/// Why a packet was discarded, RFC 5880 §6.8.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discarded {
    /// It would be discarded whatever the session.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// It names a session that is none.
    #[error("discriminator {0} is no session's; the peer speaks to one that has ended")]
    UnknownDiscriminator(NonZeroU32),
    /// It names no session, and there is none with its sender.
    #[error("there is no session with its sender")]
    UnknownPeer,
    /// It came to the port of the other kind of session, where other rules hold.
    #[error("port {0} is not its session's; configure multihop on both sides or on neither")]
    Port(u16),
    /// It has come further than it may.
    #[error("it arrived with a TTL of {ttl}, expected at least {minimum}")]
    Ttl {
        /// What it arrived with.
        ttl: u8,
        /// The least for the session.
        minimum: u8,
    },
    /// It is not authenticated as the session requires.
    #[error(transparent)]
    Inauthentic(#[from] Inauthentic),
    /// The session is held down by the operator.
    #[error("its session is administratively down")]
    AdminDown,
    /// It is an Echo packet, and none that this side waits for.
    #[error("it is no Echo packet that is waited for, but one that has come back before, or too late")]
    Echo,
}

impl Discarded {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed(error) => error.reason(),
            Self::UnknownDiscriminator(_) => "unknown_discriminator",
            Self::UnknownPeer => "unknown_peer",
            Self::Port(_) => "port",
            Self::Ttl { .. } => "ttl",
            Self::Inauthentic(error) => error.reason(),
            Self::AdminDown => "admin_down",
            Self::Echo => "echo",
        }
    }
}
