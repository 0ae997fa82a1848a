//! What peers, and the kernels of their nodes, have to say.

use core::net::SocketAddr;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Body, ClaimsPage, Datagram, Heartbeat, Kind, Suspect};

use super::{Event, Mesh, Rejected};
use crate::peer::claims::PageOutcome;
use crate::peer::refusals::Meaning;
use crate::peer::{DeadReason, Peer, PeerState};

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
        let incarnation = self.incarnation;
        let peer = self.peer(node)?;
        if !peer.outbox.has_address(src.ip()) {
            return Err(Rejected::ForeignSource(node.clone()));
        }
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
        let before = (peer.is_leaving(), peer.claims.is_complete());
        let change = peer.handle_heartbeat((datagram, heartbeat), now)?;
        let after = (peer.is_leaving(), peer.claims.is_complete());
        let (ask, deadline) = (peer.claims.ask(now), peer.deadline());
        self.note_deadline(deadline);
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
        let was_complete = peer.claims.is_complete();
        let outcome = peer.claims.handle_page(datagram.incarnation, page, now);
        match outcome {
            PageOutcome::Old => return Err(Rejected::Duplicate),
            PageOutcome::Kept if was_complete => self.revision += 1,
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
