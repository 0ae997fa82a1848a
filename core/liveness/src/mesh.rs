//! One speaker's view of all others, and what it says about itself.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ferrolb_vocab::{Epoch, Instant, NodeName};
use ferrolb_wire::mesh::{MemberName, NameError};

use crate::epochs::Epochs;
use crate::key::KeyRing;
use crate::peer::outbox::Outbox;
use crate::peer::{DeadReason, Last, Peer, PeerState};
use crate::timing::Timing;
pub use events::{Event, Rejected, Timer, Transmit};
use incoming::STRANGERS_MAX;
use own_claims::OwnClaims;
pub use own_claims::{CLAIMS_MAX, PAGE_SPACING, PAGES_AT_ONCE, TooManyClaims};
use watching::Watchers;
pub use watching::{DEAD_INTERVAL, EVERYONE_MAX, SUCCESSORS, TOLD_INTERVAL, Watching};

mod events;
mod incoming;
mod outgoing;
mod own_claims;
pub(crate) mod watching;

/// How often a Leave is sent to each peer: at 30 % loss one in 37 peers misses all three, and
/// notices by the silence.
pub const LEAVE_ROUNDS: u32 = 3;

/// Between two rounds of Leave: apart, so that one full queue does not swallow them all, and
/// short, because the process waits to end.
pub const LEAVE_SPACING: Duration = Duration::from_millis(10);

/// How long a speaker that another process on its node follows may be silent: the next opens its
/// sockets within milliseconds, on a busy node within some hundred.
pub const FOLLOWED_DETECTION: Duration = Duration::from_secs(1);

/// A speaker's view of its peers; see the crate's description.
///
/// Driver law: after each call that takes `now`, send what [`Mesh::poll_transmit`] yields and
/// take what [`Mesh::poll_event`] yields until both are empty, then sleep until
/// [`Mesh::poll_timeout`]. `now` comes from a clock that never goes back and does not jump when
/// somebody sets the time.
#[derive(Debug)]
pub struct Mesh {
    me: MemberName,
    incarnation: u64,
    timing: Timing,
    keys: KeyRing,
    presence: Presence,
    is_leaving: bool,
    claims: OwnClaims,
    /// `None` until the driver knows the cluster's nodes.
    peers: Option<BTreeMap<NodeName, Peer>>,
    /// The highest sequence number ever sent to a peer that is none any more, should it return.
    past_sequence: u64,
    /// What speakers on nodes that are none said last before they were forgotten, at most [`STRANGERS_MAX`]:
    /// nothing older brings them back.
    past_strangers: BTreeMap<NodeName, Last>,
    epochs: Epochs,
    watchers: Watchers,
    /// At most one heartbeat, one greeting, one question, and one word of each death per address
    /// of each peer: an unsent round is out of date when the next is due. Pages of claims are made when they are polled.
    transmits: VecDeque<Transmit>,
    /// A few per packet or timeout, drained after each.
    events: VecDeque<Event>,
    /// No peer is dead of silence before: a look at all peers is for each round, not for each packet.
    detection_due: Option<Instant>,
    /// When [`Mesh::handle_timeout`] was called last.
    last_turn: Option<Instant>,
    revision: u64,
    returns: u64,
}

/// What this speaker says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Nothing, but it asks peers what they own.
    Quiet {
        next: Option<Instant>,
    },
    Announced {
        next: Instant,
    },
    Leaving {
        next: Instant,
        rounds_left: u32,
        word: Farewell,
    },
    Gone,
}

/// What a speaker says last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// It owns nothing any more.
    Leave,
    /// Another process on its node owns what it owned.
    Followed,
}

impl Mesh {
    /// The view of speaker `me`, which knows no peer yet and says nothing before
    /// [`Mesh::start`]. `incarnation` is not 0, and larger than that of the process's
    /// predecessor on the same node.
    ///
    /// # Errors
    /// `me` is no node name.
    pub fn new(me: NodeName, incarnation: u64, timing: Timing, keys: KeyRing) -> Result<Self, NameError> {
        Ok(Self {
            watchers: Watchers::new(&me),
            me: me.try_into()?,
            incarnation,
            timing,
            keys,
            presence: Presence::Quiet { next: None },
            is_leaving: false,
            claims: OwnClaims::default(),
            peers: None,
            past_sequence: 0,
            past_strangers: BTreeMap::new(),
            epochs: Epochs::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            detection_due: None,
            last_turn: None,
            revision: 0,
            returns: 0,
        })
    }

    /// Replaces the set of peers: each node with the addresses (and ports) its speaker sends
    /// from and listens on. This speaker's own name is left out. A peer that stays keeps its
    /// state. One that is gone from the set may not know that, and own addresses: while it is alive
    /// it is told everything and heard, but no candidate; then it is forgotten.
    pub fn set_peers(&mut self, nodes: BTreeMap<NodeName, Vec<SocketAddr>>, now: Instant) {
        let mut known = self.peers.take().unwrap_or_default();
        let highest = known.values().map(|peer| peer.outbox.sequence()).max().unwrap_or_default();
        self.past_sequence = self.past_sequence.max(highest);
        let others = nodes.into_iter().filter(|(node, _)| node != self.me.node());
        let peers = others.map(|(node, addresses)| {
            let peer = match known.remove(&node) {
                Some(mut peer) => {
                    peer.outbox.set_addresses(addresses);
                    peer.is_stranger = false;
                    peer
                }
                None => Peer::new(&node, Outbox::new(addresses, self.past_sequence), self.timing, now),
            };
            (node, peer)
        });
        let mut peers: BTreeMap<_, _> = peers.collect();
        self.watchers.set_nodes(peers.len() + 1);
        known.values_mut().for_each(|peer| peer.is_stranger = true);
        peers.append(&mut known);
        self.peers = Some(peers);
        self.forget_strangers();
        if self.presence == (Presence::Quiet { next: None }) {
            self.presence = Presence::Quiet { next: Some(now) };
        }
        self.revision += 1;
        self.set_standings();
        self.find_detection_due();
    }

    /// Replaces the keys: from now on datagrams are sent with the one and accepted with all.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.keys = keys;
    }

    /// Replaces what this speaker owns. From [`Mesh::start`] on, every peer is told.
    ///
    /// # Errors
    /// There are more than [`CLAIMS_MAX`] addresses; nothing has changed.
    pub fn set_claims(&mut self, owned: BTreeMap<IpAddr, Epoch>, now: Instant) -> Result<(), TooManyClaims> {
        if self.claims.replace(owned)? {
            let entries = self.claims.owned().clone();
            self.note_epochs(entries);
            self.revision += 1;
            self.send_claims_to_all(now);
        }
        Ok(())
    }

    /// Whether this speaker is about to leave: its addresses are up for taking, and it owns them
    /// until others do.
    pub fn set_leaving(&mut self, is_leaving: bool, now: Instant) {
        if self.is_leaving == is_leaving {
            return;
        }
        self.is_leaving = is_leaving;
        self.revision += 1;
        if let Presence::Announced { .. } = self.presence {
            self.watchers.tell_all();
            self.presence = Presence::Announced { next: now };
            self.send_round_if_due(now);
        }
    }

    /// Begins to send heartbeats: from now on this speaker can own addresses.
    pub fn start(&mut self, now: Instant) {
        if let Presence::Quiet { .. } = self.presence {
            self.watchers.tell_all();
            self.presence = Presence::Announced { next: now };
            self.revision += 1;
            self.send_claims_to_all(now);
            self.send_round_if_due(now);
        }
    }

    /// Tells every peer that this speaker owns nothing from now on, [`LEAVE_ROUNDS`] times, and
    /// falls silent. Final: a return takes a new incarnation.
    pub fn leave(&mut self, now: Instant) {
        if let Presence::Quiet { .. } | Presence::Announced { .. } = self.presence {
            self.say_farewell(Farewell::Leave, now);
        }
    }

    /// Tells every peer, as often as [`Mesh::leave`] does, that another process on this node owns
    /// from now on what this speaker owned, and falls silent: nobody takes it for dead before
    /// [`FOLLOWED_DETECTION`], also if for a moment nobody listens on its port. Final.
    pub fn hand_over(&mut self, now: Instant) {
        match self.presence {
            Presence::Announced { .. } => self.say_farewell(Farewell::Followed, now),
            Presence::Quiet { .. } => self.presence = Presence::Gone,
            Presence::Leaving { .. } | Presence::Gone => {}
        }
    }

    fn say_farewell(&mut self, word: Farewell, now: Instant) {
        self.claims.retain(|_| false);
        self.transmits.clear();
        self.presence = Presence::Leaving { next: now, rounds_left: LEAVE_ROUNDS, word };
        self.revision += 1;
        self.send_round_if_due(now);
    }

    /// Does what is due at `now`. Packets that have arrived by then must be handed in first:
    /// a driver that was held up would else take the living for dead.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.give_grace_if_late(now);
        self.send_round_if_due(now);
        self.claims.handle_timeout(now);
        let peers = self.peers.iter_mut().flatten();
        let silent = peers.filter_map(|(node, peer)| peer.handle_timeout(now).then(|| node.clone()));
        let silent: Vec<_> = silent.collect();
        if !silent.is_empty() {
            self.doubt_all_if_alone(now);
        }
        for node in silent {
            self.tell_death(&node, now);
            self.events.push_back(Event::Dead { node, why: DeadReason::Silent });
            self.revision += 1;
        }
        self.forget_strangers();
        self.find_detection_due();
        self.last_turn = Some(now);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.transmits.pop_front() {
                return Some(transmit);
            }
            self.queue_page()?;
        }
    }

    /// The next change of a peer.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Mesh::handle_timeout`], and why then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let own = self.round_due().map(|next| match self.presence {
            Presence::Leaving { .. } => (next, Timer::Leave),
            Presence::Quiet { .. } | Presence::Announced { .. } | Presence::Gone => (next, Timer::Heartbeat),
        });
        let pages = self.claims.poll_timeout().map(|next| (next, Timer::Claims));
        let detection = self.detection_due.map(|due| (due, Timer::Detection));
        detection.into_iter().chain(own).chain(pages).min()
    }

    /// The nodes that may own addresses: the peers that are alive or presumed so, and this node
    /// itself from [`Mesh::start`] to [`Mesh::leave`]. Without those that are about to leave.
    #[must_use]
    pub fn alive(&self) -> BTreeSet<NodeName> {
        let me = (self.is_announced() && !self.is_leaving).then(|| self.me.node().clone());
        let peers = self.peers.iter().flatten().filter(|(_, peer)| match peer.state() {
            PeerState::Unknown | PeerState::Alive => !peer.is_leaving() && !peer.is_stranger,
            PeerState::Dead(_) => false,
        });
        peers.map(|(node, _)| node.clone()).chain(me).collect()
    }

    /// The nodes, this one perhaps, that are up and about to leave.
    #[must_use]
    pub fn leaving(&self) -> BTreeSet<NodeName> {
        let me = (self.is_announced() && self.is_leaving).then(|| self.me.node().clone());
        let peers = self.peers.iter().flatten().filter(|(_, peer)| peer.is_leaving());
        peers.map(|(node, _)| node.clone()).chain(me).collect()
    }

    /// What each peer that is alive says it owns, by the last version that is complete, also if it
    /// is none of the cluster's nodes any more. This node itself is not among them.
    #[must_use]
    pub fn claims(&self) -> BTreeMap<NodeName, BTreeMap<IpAddr, Epoch>> {
        let peers = self.peers.iter().flatten().filter(|(_, peer)| peer.state() == PeerState::Alive);
        peers.map(|(node, peer)| (node.clone(), peer.claims.owned().clone())).collect()
    }

    /// The highest epoch ever heard of `address`, whoever owned it, this node included.
    #[must_use]
    pub fn highest_epoch(&self, address: IpAddr) -> Option<Epoch> {
        self.epochs.of(address)
    }

    /// [`Mesh::highest_epoch`] of every address that it is known of, at most
    /// [`crate::EPOCHS_MAX`].
    #[must_use]
    pub fn highest_epochs(&self) -> BTreeMap<IpAddr, Epoch> {
        self.epochs.all()
    }

    /// Whether nothing is presumed: the peers are known, each was heard or missed, and of each
    /// that is alive it is known what it owned when it was heard last, or it does not hear that it is
    /// asked.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_settled = |peer: &Peer| match peer.state() {
            PeerState::Unknown => peer.is_stranger,
            PeerState::Alive => peer.claims.is_settled(),
            PeerState::Dead(_) => true,
        };
        self.peers.as_ref().is_some_and(|peers| peers.values().all(is_settled))
    }

    /// How often a peer that was taken for dead has come back in the same incarnation: it may have
    /// gone on answering for what this node owns, and neither knew.
    #[must_use]
    pub const fn returns(&self) -> u64 {
        self.returns
    }

    /// Grows whenever what the queries above answer may have changed.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
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

    /// Says what is due about this speaker. Nobody dies of it: packets may wait to be handed in.
    fn send_round_if_due(&mut self, now: Instant) {
        match self.presence {
            Presence::Quiet { next: Some(next) } if next <= now => {
                self.ask_round();
                self.presence = Presence::Quiet { next: Some(self.next_round(next, now)) };
            }
            Presence::Announced { next } if next <= now => {
                self.heartbeat_round(now);
                self.presence = Presence::Announced { next: self.next_round(next, now) };
            }
            Presence::Leaving { next, rounds_left, word } if next <= now => {
                match word {
                    Farewell::Leave => self.leave_round(),
                    Farewell::Followed => self.followed_round(),
                }
                self.presence = match rounds_left {
                    0 | 1 => Presence::Gone,
                    _more => {
                        Presence::Leaving { next: now + LEAVE_SPACING, rounds_left: rounds_left - 1, word }
                    }
                };
            }
            Presence::Quiet { .. }
            | Presence::Announced { .. }
            | Presence::Leaving { .. }
            | Presence::Gone => {}
        }
    }

    const fn is_announced(&self) -> bool {
        matches!(self.presence, Presence::Announced { .. })
    }

    /// When the next round of messages about this speaker is due.
    const fn round_due(&self) -> Option<Instant> {
        match self.presence {
            Presence::Quiet { next } => next,
            Presence::Announced { next } | Presence::Leaving { next, .. } => Some(next),
            Presence::Gone => None,
        }
    }

    /// When the round after the one due at `due` goes. A driver that was held up does not make up
    /// for the rounds it missed.
    fn next_round(&self, due: Instant, now: Instant) -> Instant {
        (due + self.timing.interval()).max(now + self.timing.interval() / 2)
    }

    /// If it was this speaker that slept, more than an interval beyond its next round, nobody is
    /// dead for having been silent meanwhile: what was not heard had perhaps nowhere to go.
    fn give_grace_if_late(&mut self, now: Instant) {
        let interval = self.timing.interval();
        if self.last_turn.is_some_and(|last| now.saturating_since(last) > 2 * interval) {
            self.peers.iter_mut().flatten().for_each(|(_, peer)| peer.give_grace(now));
        }
    }

    /// Forgets the dead on nodes that are none.
    fn forget_strangers(&mut self) {
        let Some(peers) = &mut self.peers else { return };
        let is_past = |peer: &Peer| peer.is_stranger && matches!(peer.state(), PeerState::Dead(_));
        for (node, peer) in peers.extract_if(.., |_, peer| is_past(peer)) {
            self.past_sequence = self.past_sequence.max(peer.outbox.sequence());
            self.claims.retain(|waiting| *waiting != node);
            self.past_strangers.extend(peer.last.map(|last| (node, last)));
        }
        while self.past_strangers.len() > STRANGERS_MAX {
            let oldest = self.past_strangers.iter().min_by_key(|(_, last)| last.incarnation);
            let Some(oldest) = oldest.map(|(node, _)| node.clone()) else { return };
            self.past_strangers.remove(&oldest);
        }
    }

    fn find_detection_due(&mut self) {
        self.detection_due = self.peers.iter().flatten().filter_map(|(_, peer)| peer.deadline()).min();
    }

    /// The deadline of a peer may have come nearer.
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        self.detection_due = self.detection_due.into_iter().chain(deadline).min();
    }

    /// Remembers under which epochs addresses are owned.
    fn note_epochs(&mut self, entries: impl IntoIterator<Item = (IpAddr, Epoch)>) {
        for (address, epoch) in entries {
            if self.epochs.is_full() && self.epochs.of(address).is_none() {
                let of_peers = self.peers.iter().flatten().flat_map(|(_, peer)| peer.claims.owned().keys());
                let claimed = of_peers.chain(self.claims.owned().keys()).copied().collect();
                self.epochs.make_room(&claimed);
            }
            self.epochs.note(address, epoch);
        }
    }
}

#[cfg(test)]
mod tests;
