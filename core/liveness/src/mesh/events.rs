//! What comes out of a mesh.

use alloc::vec::Vec;
use core::net::SocketAddr;

use ferrolb_vocab::NodeName;
use ferrolb_wire::mesh::{DecodeError, Kind};

use crate::peer::DeadReason;
use crate::timing::TimingError;

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// What it says.
    pub kind: Kind,
    /// Where to.
    pub dst: SocketAddr,
    /// The datagram's octets.
    pub payload: Vec<u8>,
}

/// What changed about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer is alive: its first heartbeat, or its return from the dead.
    Alive(NodeName),
    /// The peer is dead.
    Dead {
        /// Which one.
        node: NodeName,
        /// How that was noticed.
        why: DeadReason,
    },
    /// The peer is about to leave: its addresses are up for taking.
    Leaving(NodeName),
    /// The peer was about to leave and is not any more.
    Staying(NodeName),
    /// What the peer owns has changed, or is known now.
    ClaimsChanged(NodeName),
}

/// Why the mesh wants to be called at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to send the next heartbeat, or, before the start, ask again whoever has not answered.
    Heartbeat,
    /// When to send the next Leave.
    Leave,
    /// When to send the next pages of claims.
    Claims,
    /// When a peer is dead unless it is heard before.
    Detection,
}

/// Why a packet was not listened to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is no datagram of the protocol.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It bears the tag of no key that is accepted: nothing in it can be believed.
    #[error(
        "no key of this speaker made its tag; if it comes from a node of this cluster, give all speakers the same keys"
    )]
    Unauthenticated,
    /// It bears this speaker's own name.
    #[error("another speaker runs under this node's name; give each its own Node object's name")]
    OwnName,
    /// It bears the name of no known node, and no node is known yet, or too many such are heard already.
    #[error("node {0} is not known in this cluster")]
    UnknownNode(NodeName),
    /// It comes from an address that is none of the named node's.
    #[error("the source is no InternalIP of node {0}; let its speaker send from the node's InternalIP")]
    ForeignSource(NodeName),
    /// Its sender says that it is heard at times that cannot be.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// A copy of the last message, as a peer with two addresses sends it.
    #[error("a copy of the last message")]
    Duplicate,
    /// Older than the last message of its sender.
    #[error("older than the sender's last message")]
    Stale,
    /// From an incarnation that has left.
    #[error("the sender has left in this incarnation")]
    Departed,
    /// Its sender does not know this incarnation yet, or it is a recording from before it; the
    /// sender was told.
    #[error("the sender has not heard this speaker since it started")]
    Unconfirmed,
    /// What came back as refused was never sent by this process.
    #[error("the datagram that is said to be refused was not sent by this speaker")]
    NotSent,
}

impl Rejected {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.reason(),
            Self::Unauthenticated => "unauthenticated",
            Self::OwnName => "own_name",
            Self::UnknownNode(_) => "unknown_node",
            Self::ForeignSource(_) => "foreign_source",
            Self::Timing(_) => "timing",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Departed => "departed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotSent => "not_sent",
        }
    }
}
