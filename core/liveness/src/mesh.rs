//! One speaker's view of all others, and what it says about itself.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Datagram, DecodeError, Kind, MemberName, NameError};

use crate::peer::{DeadReason, Peer, PeerState};
use crate::timing::Timing;

/// How often a Leave is sent to each peer: at 30 % loss one in 37 peers misses all three, and
/// notices by the silence.
pub const LEAVE_ROUNDS: u32 = 3;

/// Between two rounds of Leave: apart, so that one full queue does not swallow them all, and
/// short, because the process waits to end.
pub const LEAVE_SPACING: Duration = Duration::from_millis(10);

/// A speaker's view of its peers; see the crate's description.
///
/// Driver law: after each call that takes `now`, send what [`Mesh::poll_transmit`] yields and
/// take what [`Mesh::poll_event`] yields until both are empty, then sleep until
/// [`Mesh::poll_timeout`].
#[derive(Debug)]
pub struct Mesh {
    me: MemberName,
    incarnation: u64,
    timing: Timing,
    presence: Presence,
    /// Numbers this speaker's rounds of messages; each peer gets the round's number on each of
    /// its addresses.
    sequence: u64,
    /// `None` until the driver knows the cluster's nodes.
    peers: Option<BTreeMap<NodeName, Peer>>,
    /// At most one round: an unsent round is out of date when the next is due.
    transmits: VecDeque<Transmit>,
    /// At most one per peer and call, drained after each.
    events: VecDeque<Event>,
}

/// What this speaker says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Quiet,
    Announced { next: Instant },
    Leaving { next: Instant, rounds_left: u32 },
    Gone,
}

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
}

/// Why the mesh wants to be called at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to send the next heartbeat.
    Heartbeat,
    /// When to send the next Leave.
    Leave,
    /// When a peer is dead unless it is heard before.
    Detection,
}

/// Why a packet was not listened to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is no datagram of the protocol.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It bears this speaker's own name.
    #[error("another speaker runs under this node's name; give each its own Node object's name")]
    OwnName,
    /// It bears the name of no known node.
    #[error("node {0} is not known in this cluster")]
    UnknownNode(NodeName),
    /// It comes from an address that is none of the named node's.
    #[error("the source is no InternalIP of node {0}; let its speaker send from the node's InternalIP")]
    ForeignSource(NodeName),
    /// A copy of the last message, as a peer with two addresses sends it.
    #[error("a copy of the last message")]
    Duplicate,
    /// Older than the last message of its sender.
    #[error("older than the sender's last message")]
    Stale,
    /// From an incarnation that has left.
    #[error("the sender has left in this incarnation")]
    Departed,
}

impl Rejected {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.reason(),
            Self::OwnName => "own_name",
            Self::UnknownNode(_) => "unknown_node",
            Self::ForeignSource(_) => "foreign_source",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Departed => "departed",
        }
    }
}

impl Mesh {
    /// The view of speaker `me`, which knows no peer yet and says nothing before
    /// [`Mesh::start`]. `incarnation` must be larger than that of the process's predecessor on
    /// the same node.
    ///
    /// # Errors
    /// `me` is no node name.
    pub fn new(me: NodeName, incarnation: u64, timing: Timing) -> Result<Self, NameError> {
        Ok(Self {
            me: me.try_into()?,
            incarnation,
            timing,
            presence: Presence::Quiet,
            sequence: 0,
            peers: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// Replaces the set of peers: each node with the addresses (and ports) its speaker sends
    /// from and listens on. This speaker's own name is left out. A peer that stays keeps its
    /// state; one that is gone from the set is forgotten without an event.
    pub fn set_peers(&mut self, nodes: BTreeMap<NodeName, Vec<SocketAddr>>, now: Instant) {
        let mut known = self.peers.take().unwrap_or_default();
        let peers = nodes.into_iter().filter(|(node, _)| node != self.me.node()).map(|(node, addresses)| {
            let peer = match known.remove(&node) {
                Some(mut peer) => {
                    peer.set_addresses(addresses);
                    peer
                }
                None => Peer::new(addresses, self.timing, now),
            };
            (node, peer)
        });
        self.peers = Some(peers.collect());
    }

    /// Begins to send heartbeats: from now on this speaker can own addresses.
    pub fn start(&mut self, now: Instant) {
        if self.presence == Presence::Quiet {
            self.presence = Presence::Announced { next: now };
            self.handle_timeout(now);
        }
    }

    /// Tells every peer that this speaker owns nothing from now on, [`LEAVE_ROUNDS`] times, and
    /// falls silent. Final: a return takes a new incarnation.
    pub fn leave(&mut self, now: Instant) {
        if matches!(self.presence, Presence::Quiet | Presence::Announced { .. }) {
            self.presence = Presence::Leaving { next: now, rounds_left: LEAVE_ROUNDS };
            self.handle_timeout(now);
        }
    }

    /// A packet has come in from `src`. What kind it was, if it was listened to.
    ///
    /// # Errors
    /// Why it was not.
    pub fn handle_packet(&mut self, src: SocketAddr, octets: &[u8], now: Instant) -> Result<Kind, Rejected> {
        let datagram = Datagram::parse(octets)?;
        let node = datagram.sender.node();
        if node == self.me.node() {
            return Err(Rejected::OwnName);
        }
        let Some(peer) = self.peers.as_mut().and_then(|peers| peers.get_mut(node)) else {
            return Err(Rejected::UnknownNode(node.clone()));
        };
        if !peer.has_address(src.ip()) {
            return Err(Rejected::ForeignSource(node.clone()));
        }
        match peer.handle_datagram(&datagram, self.timing, now)? {
            None | Some(PeerState::Unknown) => {}
            Some(PeerState::Alive) => self.events.push_back(Event::Alive(node.clone())),
            Some(PeerState::Dead(why)) => self.events.push_back(Event::Dead { node: node.clone(), why }),
        }
        Ok(datagram.kind)
    }

    /// Does what is due at `now`. Packets that have arrived by then must be handed in first:
    /// a driver that was held up would else take the living for dead.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.presence {
            Presence::Announced { next } if next <= now => {
                self.send_round(Kind::Heartbeat);
                // A driver that was held up does not make up for the rounds it missed.
                let next = (next + self.timing.interval()).max(now + self.timing.interval() / 2);
                self.presence = Presence::Announced { next };
            }
            Presence::Leaving { next, rounds_left } if next <= now => {
                self.send_round(Kind::Leave);
                self.presence = match rounds_left {
                    0 | 1 => Presence::Gone,
                    _more => Presence::Leaving { next: now + LEAVE_SPACING, rounds_left: rounds_left - 1 },
                };
            }
            Presence::Quiet | Presence::Announced { .. } | Presence::Leaving { .. } | Presence::Gone => {}
        }
        for (node, peer) in self.peers.iter_mut().flatten() {
            if peer.handle_timeout(now) {
                self.events.push_back(Event::Dead { node: node.clone(), why: DeadReason::Silent });
            }
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next change of a peer.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Mesh::handle_timeout`], and why then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let own = match self.presence {
            Presence::Announced { next } => Some((next, Timer::Heartbeat)),
            Presence::Leaving { next, .. } => Some((next, Timer::Leave)),
            Presence::Quiet | Presence::Gone => None,
        };
        let deadlines = self.peers.iter().flatten().filter_map(|(_, peer)| peer.deadline());
        deadlines.map(|deadline| (deadline, Timer::Detection)).chain(own).min()
    }

    /// The nodes that may own addresses: the peers that are alive or presumed so, and this node
    /// itself from [`Mesh::start`] to [`Mesh::leave`].
    #[must_use]
    pub fn alive(&self) -> BTreeSet<NodeName> {
        let me = matches!(self.presence, Presence::Announced { .. }).then(|| self.me.node().clone());
        let peers = self.peers().filter(|(_, state)| match state {
            PeerState::Unknown | PeerState::Alive => true,
            PeerState::Dead(_) => false,
        });
        peers.map(|(node, _)| node.clone()).chain(me).collect()
    }

    /// Whether [`Mesh::alive`] presumes nothing: the peers are known, and each was heard or
    /// missed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.peers.is_some() && self.peers().all(|(_, state)| state != PeerState::Unknown)
    }

    /// Whether [`Mesh::leave`] has run its course.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.presence == Presence::Gone
    }

    /// Every peer's state, ordered by name.
    pub fn peers(&self) -> impl Iterator<Item = (&NodeName, PeerState)> {
        self.peers.iter().flatten().map(|(node, peer)| (node, peer.state()))
    }

    /// Queues one message for every address of every peer.
    fn send_round(&mut self, kind: Kind) {
        self.sequence += 1;
        let datagram = Datagram {
            kind,
            sender: self.me.clone(),
            incarnation: self.incarnation,
            sequence: self.sequence,
        };
        let payload = datagram.emit();
        let addresses = self.peers.iter().flatten().flat_map(|(_, peer)| peer.addresses());
        self.transmits = addresses.map(|&dst| Transmit { kind, dst, payload: payload.clone() }).collect();
    }
}

#[cfg(test)]
mod tests;
