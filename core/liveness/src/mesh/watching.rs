//! Who hears this speaker how often: those at once who have to act when it dies, the others in a
//! slow round.
//!
//! In a cluster of at most [`Watching::everyone_max`] nodes every peer gets every heartbeat. In a
//! larger one these do, the *watchers*:
//!
//! - the next [`Watching::successors`] nodes on a ring of the hashes of all names that are not
//!   dead. They are the *heralds*: they tell everyone, so that a death is known to all within two
//!   detection times;
//! - whom [`Mesh::set_watchers`] names: who is next to take what this speaker owns.
//!
//! Each other peer has its turn in one of the rounds of [`Timing::SLOW`]'s interval, and is told
//! so; one that is dead is tried more often, because its return can show that two nodes own an
//! address. A node that a herald calls dead is asked, and dies if it does not answer. So are all by a
//! speaker that hears none of those any more whom it watches.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Body, Heartbeat};
use sha2::{Digest, Sha256};

use super::{FOLLOWED_DETECTION, Mesh};
use crate::peer::{Peer, PeerState};
use crate::timing::Timing;

/// Nodes up to which everyone watches everyone: 23 peers at 29 heartbeats a second are less than
/// the slow round of a cluster of 600.
pub const EVERYONE_MAX: usize = 24;

/// Successors on the ring that watch a node. That all three die together with it, and its death
/// is found in the slow round, is a matter of racks: neighbours on a ring of hashes share none.
pub const SUCCESSORS: usize = 3;

/// Between two heartbeats to a dead peer, at most: a partition that has healed shows after it.
pub const DEAD_INTERVAL: Duration = Duration::from_millis(250);

/// Between two times that a herald tells a peer of a death, which it does for as long as the peer
/// may not find out by itself ([`Timing::SLOW`]): the peer may be away when it is told first.
pub const TOLD_INTERVAL: Duration = DEAD_INTERVAL;

/// Rounds that go to everyone when something is new that everyone should know, so that 1 % of
/// loss keeps it from one peer in a million until its turn.
const URGENT_ROUNDS: u32 = 3;

/// How many watch a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    /// In a cluster of so many nodes or fewer, all others.
    pub everyone_max: usize,
    /// In a larger one, so many successors on the ring, beside those of [`Mesh::set_watchers`].
    pub successors: usize,
}

impl Default for Watching {
    fn default() -> Self {
        Self { everyone_max: EVERYONE_MAX, successors: SUCCESSORS }
    }
}

/// Who watches this speaker.
#[derive(Debug)]
pub(super) struct Watchers {
    watching: Watching,
    /// Whether all peers are.
    are_all: bool,
    /// This node's place on the ring.
    position: u64,
    /// Named by the plan.
    named: BTreeSet<NodeName>,
    /// The revision of the mesh that the peers' standings follow from.
    standings_of: Option<u64>,
    /// Counts the rounds.
    round: u64,
    urgent: u32,
}

/// How a peer is to hear this speaker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// In every round.
    pub(crate) is_watcher: bool,
    is_herald: bool,
}

impl Watchers {
    pub(super) fn new(me: &NodeName) -> Self {
        Self {
            watching: Watching::default(),
            are_all: true,
            position: position(me),
            named: BTreeSet::new(),
            standings_of: None,
            round: 0,
            urgent: 0,
        }
    }

    /// The cluster has so many nodes.
    pub(super) const fn set_nodes(&mut self, nodes: usize) {
        self.are_all = nodes <= self.watching.everyone_max;
    }

    /// The next rounds go to everyone.
    pub(super) const fn tell_all(&mut self) {
        self.urgent = URGENT_ROUNDS;
    }
}

impl Mesh {
    /// Sets how many watch this speaker, where that is not [`Watching::default`], before the first
    /// peer is known.
    #[must_use]
    pub const fn watched_by(mut self, watching: Watching) -> Self {
        self.watchers.watching = watching;
        self
    }

    /// Replaces the nodes that have to know at once when this one dies: those next to take what
    /// it owns. They get every heartbeat, in a cluster where not everyone does.
    pub fn set_watchers(&mut self, watchers: BTreeSet<NodeName>) {
        self.watchers.named = watchers;
        self.set_standings();
    }

    /// Says of each peer whether it is a watcher.
    pub(super) fn set_standings(&mut self) {
        self.watchers.standings_of = Some(self.revision);
        let heralds = if self.watchers.are_all { BTreeSet::new() } else { self.successors() };
        for (node, peer) in self.peers.iter_mut().flatten() {
            let is_herald = heralds.contains(node);
            let is_watcher = self.watchers.are_all || is_herald || self.watchers.named.contains(node);
            peer.outbox.standing = Standing { is_watcher, is_herald };
        }
    }

    /// What a peer is told: how soon it hears this speaker again is part of it.
    pub(super) fn heartbeat(&self, standing: Standing) -> Body {
        Body::Heartbeat(self.heartbeat_of(standing))
    }

    fn heartbeat_of(&self, standing: Standing) -> Heartbeat {
        let timing = if standing.is_watcher { self.timing } else { self.slow_timing() };
        Heartbeat {
            claims_version: self.claims.version(),
            interval: timing.interval(),
            detection: timing.detection(),
            is_herald: standing.is_herald,
            is_leaving: self.is_leaving,
            is_followed: false,
        }
    }

    /// The last heartbeat of a process that another follows: its peers wait longer for the next.
    pub(super) fn last_heartbeat(&self, standing: Standing) -> Body {
        let heartbeat = self.heartbeat_of(standing);
        let detection = heartbeat.detection.max(FOLLOWED_DETECTION);
        Body::Heartbeat(Heartbeat { detection, is_followed: true, ..heartbeat })
    }

    /// Begins a round.
    pub(super) fn begin_round(&mut self) {
        self.watchers.round += 1;
        if self.watchers.standings_of != Some(self.revision) {
            self.set_standings();
        }
    }

    pub(super) const fn end_round(&mut self) {
        self.watchers.urgent = self.watchers.urgent.saturating_sub(1);
    }

    /// Whether the peer, which is no watcher, has its turn in this round.
    pub(super) fn has_turn(&self, peer: &Peer) -> bool {
        let is_urgent = self.watchers.urgent > 0 || peer.outbox.is_eager();
        match peer.state() {
            PeerState::Unknown => true,
            PeerState::Alive => {
                is_urgent || !peer.is_mutual() || self.is_in_time(peer, self.slow_timing().interval())
            }
            PeerState::Dead(_) => is_urgent || self.is_in_time(peer, DEAD_INTERVAL),
        }
    }

    /// If nobody is heard any more of those who are heard often, it may be this node that is cut
    /// off: the others have a detection time to show that it is not.
    pub(super) fn doubt_all_if_alone(&mut self, now: Instant) {
        let slow = self.slow_timing().interval();
        let is_near = |peer: &Peer| peer.state() == PeerState::Alive && peer.is_heard_within(slow);
        if self.peers.iter().flatten().any(|(_, peer)| is_near(peer)) {
            return;
        }
        for (_, peer) in self.peers.iter_mut().flatten() {
            peer.doubt(peer.incarnation(), self.timing.detection(), now);
        }
    }

    /// Whether this is the peer's round for what goes to it each `interval`. Peers are spread over
    /// the rounds.
    pub(super) fn is_in_time(&self, peer: &Peer, interval: Duration) -> bool {
        let rounds = interval.as_nanos() / self.timing.interval().as_nanos();
        let rounds = u64::try_from(rounds).unwrap_or(u64::MAX).max(1);
        self.watchers.round.wrapping_add(peer.position()).is_multiple_of(rounds)
    }

    fn slow_timing(&self) -> Timing {
        if self.timing.interval() < Timing::SLOW.interval() { Timing::SLOW } else { self.timing }
    }

    /// The next nodes on the ring that are not dead.
    fn successors(&self) -> BTreeSet<NodeName> {
        let peers = self.peers.iter().flatten();
        let living =
            peers.filter(|(_, peer)| !peer.is_stranger && !matches!(peer.state(), PeerState::Dead(_)));
        let distance = |peer: &Peer| peer.position().wrapping_sub(self.watchers.position);
        let mut ring: Vec<(u64, &NodeName)> = living.map(|(node, peer)| (distance(peer), node)).collect();
        ring.sort_unstable();
        ring.into_iter().take(self.watchers.watching.successors).map(|(_, node)| node.clone()).collect()
    }
}

/// A node's place on the ring: the first 64 bits of its name's SHA-256.
pub(crate) fn position(node: &NodeName) -> u64 {
    let digest = Sha256::digest(node.as_str());
    digest.iter().take(8).fold(0, |position, octet| position << 8 | u64::from(*octet))
}
