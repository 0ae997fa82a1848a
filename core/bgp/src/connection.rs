//! What is known of one TCP connection.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::Open;

use crate::negotiation::Negotiated;

/// The name of a connection of one peer, from its attempt to its end; never used twice. Those of
/// connections that this side opens come with [`crate::Transmit::Connect`], those of others from
/// [`crate::Peer::next_connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

/// Who opened a connection. There is one of each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// This side.
    Outgoing,
    /// The peer.
    Incoming,
}

/// A connection that is open.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// This side's OPEN.
    pub(crate) offer: Open,
    pub(crate) phase: Phase,
    /// What has come of a message that is not whole: less than the longest has.
    pub(crate) received: Vec<u8>,
    /// When the peer has been silent for too long (HoldTimer).
    pub(crate) hold: Option<Instant>,
    /// When to send the next KEEPALIVE (KeepaliveTimer).
    pub(crate) keepalive: Option<Instant>,
    /// Since when not all that was to be sent has been written.
    pub(crate) unwritten: Option<Instant>,
}

/// How far two sides have come on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// This side has sent its OPEN.
    OpenSent,
    /// The peer has sent its own, and each its consent with a KEEPALIVE.
    OpenConfirm(Box<Agreed>),
    /// The peer's KEEPALIVE has come, at this time.
    Established(Box<Agreed>, Instant),
}

/// What the peer's OPEN said, and what follows.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) received: Open,
    pub(crate) negotiated: Negotiated,
    /// The body of the peer's OPEN as it came.
    pub(crate) body: Box<[u8]>,
}

impl Direction {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Outgoing => Self::Incoming,
            Self::Incoming => Self::Outgoing,
        }
    }
}

impl Agreed {
    /// Whether the peer forwards while it restarts, which RFC 4724 §5 has it say by a family: one
    /// without only waits for others that do.
    pub(crate) fn restarts_gracefully(&self) -> bool {
        let restart = self.received.capabilities.graceful_restart.as_ref();
        restart.is_some_and(|restart| !restart.families.is_empty())
    }
}

impl Connection {
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        match &self.phase {
            Phase::OpenSent => None,
            Phase::OpenConfirm(agreed) | Phase::Established(agreed, _) => Some(agreed),
        }
    }

    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        self.agreed().map(|agreed| &agreed.negotiated)
    }

    /// Since when the connection is Established.
    pub(crate) const fn established(&self) -> Option<Instant> {
        match &self.phase {
            Phase::OpenSent | Phase::OpenConfirm(_) => None,
            Phase::Established(_, since) => Some(*since),
        }
    }

    /// Whether the peer has opened it, by its `direction`, and nothing has been agreed on since.
    pub(crate) fn is_silent(&self, direction: Direction) -> bool {
        direction == Direction::Incoming && self.agreed().is_none()
    }

    /// When too much time has gone by without anything written: the SendHoldTimer of RFC 9687.
    pub(crate) fn send_hold(&self) -> Option<Instant> {
        Some(self.unwritten? + self.negotiated()?.send_hold_time()?)
    }

    /// The peer has been heard at `now`: RFC 4271 §4.2.
    pub(crate) fn restart_hold(&mut self, now: Instant) {
        self.hold = self.negotiated().and_then(|negotiated| negotiated.hold_time).map(|time| now + time);
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        })
    }
}
