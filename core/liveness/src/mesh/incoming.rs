//! What peers, and the kernels of their nodes, have to say.

use core::net::SocketAddr;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Body, ClaimsPage, Datagram, Heartbeat, Kind, Suspect};

use super::{Event, Mesh, Rejected};
use crate::peer::claims::PageOutcome;
use crate::peer::outbox::Outbox;
use crate::peer::refusals::Meaning;
use crate::peer::{DeadReason, Peer, PeerState};

/// Speakers on nodes that this one does not know, at a time. Others are not answered.
pub(super) const STRANGERS_MAX: usize = 256;

impl Mesh {
    /// A packet has come in from `src`. What kind it was, if it was listened to.
    ///
    /// # Errors
    /// Why it was not.
    pub fn handle_packet(&mut self, src: SocketAddr, octets: &[u8], now: Instant) -> Result<Kind, Rejected> {
        let received = Datagram::parse(octets)?;
        if !self.keys.is_authentic(&received) {
            return Err(Rejected::Unauthenticated);
        }
        let datagram = received.datagram;
        let node = datagram.sender.node();
        if node == self.me.node() {
            return Err(Rejected::OwnName);
        }
        if self.peer(node).is_err() {
            self.admit(&datagram, src, now)?;
        }
        if !self.peer(node)?.outbox.has_address(src.ip()) {
            return Err(Rejected::ForeignSource(node.clone()));
        }
        self.outdo_predecessor(datagram.echo);
        let incarnation = self.incarnation;
        let peer = self.peer(node)?;
        let greeting = peer.meet(&datagram, incarnation, now)?;
        let (is_mutual, has_departed) = (peer.is_mutual(), peer.has_departed(&datagram));
        self.greet(node, greeting, now);
        if !is_mutual {
            return Err(Rejected::Unconfirmed);
        }
        match &datagram.body {
            Body::Heartbeat(heartbeat) => self.handle_heartbeat(&datagram, *heartbeat, now)?,
            Body::Leave => self.handle_leave(&datagram, now)?,
            Body::Claims(_) | Body::Ask { .. } | Body::Suspect(_) if has_departed => {
                return Err(Rejected::Departed);
            }
            Body::Claims(page) => self.handle_claims(&datagram, page, now)?,
            Body::Ask { version } => self.handle_ask(node, *version, now),
            Body::Suspect(suspect) => self.handle_suspect(&datagram, suspect, now)?,
        }
        Ok(datagram.body.kind())
    }

    /// A speaker of this cluster, for it has the key, runs on what is no node any more, or not yet: who
    /// got no answer would take this speaker for dead, and what it owns. What is older than the last word of one
    /// that was forgotten is a straggler, or a recording.
    fn admit(&mut self, datagram: &Datagram, src: SocketAddr, now: Instant) -> Result<(), Rejected> {
        let node = datagram.sender.node();
        if let Some(last) = self.past_strangers.get(node) {
            last.precedes(datagram)?;
        }
        let Some(peers) = &mut self.peers else { return Ok(()) };
        if peers.values().filter(|peer| peer.is_stranger).count() < STRANGERS_MAX {
            let outbox = Outbox::new(alloc::vec![src], self.past_sequence);
            let mut peer = Peer::new(node, outbox, self.timing, now);
            peer.is_stranger = true;
            self.detection_due = self.detection_due.into_iter().chain(peer.deadline()).min();
            self.revision += 1;
            peers.insert(node.clone(), peer);
        }
        Ok(())
    }

    /// A peer knows this speaker in the incarnation `known`. If that is a later one than this, the clock
    /// was set back since the process before this one started, and no peer would listen.
    const fn outdo_predecessor(&mut self, known: u64) {
        if known > self.incarnation
            && let Some(next) = known.checked_add(1)
        {
            self.incarnation = next;
        }
    }

    /// The kernel of the node at `dst` has returned a datagram of this speaker, because nobody
    /// listens on its port: ICMP Port Unreachable. Who forges that must have seen the datagram.
    ///
    /// # Errors
    /// What has come back is no datagram of this speaker to one of its peers, or too little of it
    /// to tell.
    pub fn handle_refusal(&mut self, dst: SocketAddr, returned: &[u8], now: Instant) -> Result<(), Rejected> {
        let received = Datagram::parse(returned)?;
        if !self.keys.is_authentic(&received) {
            return Err(Rejected::Unauthenticated);
        }
        let Datagram { sender, incarnation, sequence, .. } = received.datagram;
        if sender != self.me || incarnation != self.incarnation {
            return Err(Rejected::NotSent);
        }
        let mut peers = self.peers.iter_mut().flatten();
        let addressed = peers.find(|(_, peer)| peer.outbox.addresses().contains(&dst));
        let (node, peer) = addressed.ok_or(Rejected::NotSent)?;
        let node = node.clone();
        match peer.handle_refusal(dst, sequence, now) {
            Meaning::None => {}
            Meaning::Doubt => self.probe(&node, now),
            Meaning::Gone => {
                self.tell_death(&node, now);
                self.events.push_back(Event::Dead { node, why: DeadReason::ProcessGone });
                self.revision += 1;
                self.forget_strangers();
            }
        }
        Ok(())
    }

    fn handle_heartbeat(
        &mut self,
        datagram: &Datagram,
        heartbeat: Heartbeat,
        now: Instant,
    ) -> Result<(), Rejected> {
        let node = datagram.sender.node();
        let peer = self.peer(node)?;
        let before = (peer.is_leaving(), peer.claims.is_settled());
        let goes_on = peer.goes_on(datagram);
        let change = peer.handle_heartbeat((datagram, heartbeat), now)?;
        let (ask, deadline) = (peer.claims.ask(now), peer.deadline());
        let after = (peer.is_leaving(), peer.claims.is_settled());
        self.note_deadline(deadline);
        if goes_on && change == Some(PeerState::Alive) {
            self.returns += 1;
        }
        match change {
            None | Some(PeerState::Unknown) => {}
            Some(PeerState::Alive) => self.events.push_back(Event::Alive(node.clone())),
            Some(PeerState::Dead(why)) => self.events.push_back(Event::Dead { node: node.clone(), why }),
        }
        match (before.0, after.0) {
            (false, true) => self.events.push_back(Event::Leaving(node.clone())),
            (true, false) => self.events.push_back(Event::Staying(node.clone())),
            (true, true) | (false, false) => {}
        }
        if change.is_some() || before != after {
            self.revision += 1;
        }
        if let Some(version) = ask {
            self.send(node, Body::Ask { version });
        }
        Ok(())
    }

    fn handle_leave(&mut self, datagram: &Datagram, now: Instant) -> Result<(), Rejected> {
        let node = datagram.sender.node();
        if self.peer(node)?.handle_leave(datagram, now)? {
            self.events.push_back(Event::Dead { node: node.clone(), why: DeadReason::Left });
            self.revision += 1;
            self.forget_strangers();
        }
        Ok(())
    }

    fn handle_claims(
        &mut self,
        datagram: &Datagram,
        page: &ClaimsPage,
        now: Instant,
    ) -> Result<(), Rejected> {
        let node = datagram.sender.node();
        let peer = self.peer(node)?;
        let was_settled = peer.claims.is_settled();
        let outcome = peer.claims.handle_page(datagram.incarnation, page, now);
        match outcome {
            PageOutcome::Old => return Err(Rejected::Duplicate),
            PageOutcome::Kept if was_settled => self.revision += 1,
            PageOutcome::Kept => {}
            PageOutcome::Complete => {
                self.events.push_back(Event::ClaimsChanged(node.clone()));
                self.revision += 1;
            }
        }
        self.note_epochs(page.entries.iter().copied());
        Ok(())
    }

    /// A speaker has found another dead, which it watched for all.
    fn handle_suspect(
        &mut self,
        datagram: &Datagram,
        suspect: &Suspect,
        now: Instant,
    ) -> Result<(), Rejected> {
        if self.peer(datagram.sender.node())?.handle_suspect(datagram, now)? {
            let detection = self.timing.detection();
            let suspected = self.peer(suspect.node.node())?;
            suspected.doubt(suspect.incarnation, detection, now);
            let deadline = suspected.deadline();
            self.note_deadline(deadline);
        }
        Ok(())
    }

    fn handle_ask(&mut self, node: &NodeName, known: u64, now: Instant) {
        let is_watcher = self.peer(node).is_ok_and(|peer| peer.outbox.standing.is_watcher);
        if self.is_announced() && !is_watcher {
            self.probe(node, now);
        }
        let is_behind = self.is_announced() && known != self.claims.version();
        if is_behind && self.peer(node).is_ok_and(|peer| peer.outbox.may_resend(now)) {
            self.send_claims(node, now);
        }
    }

    fn peer(&mut self, node: &NodeName) -> Result<&mut Peer, Rejected> {
        let peer = self.peers.as_mut().and_then(|peers| peers.get_mut(node));
        peer.ok_or_else(|| Rejected::UnknownNode(node.clone()))
    }
}
