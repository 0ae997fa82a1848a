//! What this speaker says to its peers.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Body, Datagram, Kind, MemberName, Suspect};

use super::watching::TOLD_INTERVAL;
use super::{Mesh, Presence, Transmit};
use crate::key::KeyRing;
use crate::peer::{Greeting, Peer, PeerState};

/// What every datagram of this speaker has in common.
struct Letterhead<'a> {
    me: &'a MemberName,
    incarnation: u64,
    keys: &'a KeyRing,
}

impl Letterhead<'_> {
    /// Queues `body` for every address of `peer`.
    fn write(&self, peer: &mut Peer, body: Body, transmits: &mut VecDeque<Transmit>) {
        let kind = body.kind();
        let sequence = match kind {
            Kind::Heartbeat | Kind::Leave | Kind::Suspect => peer.outbox.advance(),
            Kind::Claims | Kind::Ask => peer.outbox.sequence(),
        };
        let datagram = Datagram {
            key: self.keys.send_id(),
            sender: self.me.clone(),
            incarnation: self.incarnation,
            sequence,
            echo: peer.incarnation(),
            body,
        };
        let payload = self.keys.seal(&datagram);
        let copies = peer.outbox.addresses().iter();
        transmits.extend(copies.map(|&dst| Transmit { kind, dst, payload: payload.clone() }));
    }
}

impl Mesh {
    /// A heartbeat for every peer that has its turn, instead of those that were not sent yet, a
    /// question to those of whom more must be known than they say by themselves, and news of deaths.
    pub(super) fn heartbeat_round(&mut self, now: Instant) {
        self.transmits.retain(|transmit| transmit.kind != Kind::Heartbeat);
        self.begin_round();
        let deaths = self.deaths_to_tell(now);
        let Some(mut peers) = self.peers.take() else { return };
        let letterhead = Letterhead { me: &self.me, incarnation: self.incarnation, keys: &self.keys };
        for peer in peers.values_mut() {
            let standing = peer.outbox.standing;
            if standing.is_watcher || self.has_turn(peer) {
                letterhead.write(peer, self.heartbeat(standing), &mut self.transmits);
            }
            let was_settled = peer.claims.is_settled();
            let question = peer.question(self.timing, now);
            self.revision += u64::from(was_settled != peer.claims.is_settled());
            if let Some(version) = question {
                letterhead.write(peer, Body::Ask { version }, &mut self.transmits);
            }
            if peer.state() == PeerState::Alive && self.is_in_time(peer, TOLD_INTERVAL) {
                for death in &deaths {
                    letterhead.write(peer, Body::Suspect(death.clone()), &mut self.transmits);
                }
            }
            peer.outbox.note_round(self.timing.losses_survived());
        }
        self.peers = Some(peers);
        self.end_round();
    }

    /// Tells everyone that `dead` is, if that is this speaker's office.
    pub(super) fn tell_death(&mut self, dead: &NodeName, now: Instant) {
        let mut deaths = self.deaths_to_tell(now);
        deaths.retain(|death| death.node.node() == dead);
        if let Some(death) = deaths.pop() {
            self.write_round(|peer| (peer.state() == PeerState::Alive).then(|| Body::Suspect(death.clone())));
        }
    }

    /// What this speaker tells as a herald: until then everyone finds it out without.
    fn deaths_to_tell(&self, now: Instant) -> Vec<Suspect> {
        let peers = self.peers.iter().flatten().filter(|_| self.is_announced());
        let dead = peers.filter(|(_, peer)| peer.is_to_be_told(now));
        let suspect = |(node, peer): (&NodeName, &Peer)| {
            let node = MemberName::try_from(node.clone()).ok()?;
            Some(Suspect { node, incarnation: peer.incarnation() })
        };
        dead.filter_map(suspect).collect()
    }

    pub(super) fn leave_round(&mut self) {
        self.write_round(|_| Some(Body::Leave));
    }

    /// A last heartbeat to every peer.
    pub(super) fn followed_round(&mut self) {
        let Some(mut peers) = self.peers.take() else { return };
        let letterhead = Letterhead { me: &self.me, incarnation: self.incarnation, keys: &self.keys };
        for peer in peers.values_mut() {
            let body = self.last_heartbeat(peer.outbox.standing);
            letterhead.write(peer, body, &mut self.transmits);
        }
        self.peers = Some(peers);
    }

    /// A question to every peer that does not know yet that there is someone to tell.
    pub(super) fn ask_round(&mut self) {
        self.transmits.clear();
        self.write_round(|peer| (!peer.is_mutual()).then(|| question(peer)));
    }

    /// Answers a peer that has just started, or has missed that this speaker has.
    pub(super) fn greet(&mut self, node: &NodeName, greeting: Greeting, now: Instant) {
        if greeting == Greeting::None || !self.may_greet(node, now) {
            return;
        }
        self.say_who_we_are(node);
        // A stranger may be a recording from anywhere: it has to ask.
        let is_known =
            self.peers.as_ref().and_then(|peers| peers.get(node)).is_some_and(|peer| !peer.is_stranger);
        if greeting == Greeting::First && is_known && self.is_announced() && self.claims.version() > 0 {
            self.send_claims(node, now);
        }
    }

    /// One more heartbeat to a peer, to see whether it is refused too.
    pub(super) fn probe(&mut self, node: &NodeName, now: Instant) {
        if self.may_greet(node, now) {
            self.say_who_we_are(node);
        }
    }

    /// Queues `body` for every address of `node`.
    pub(super) fn send(&mut self, node: &NodeName, body: Body) {
        let letterhead = Letterhead { me: &self.me, incarnation: self.incarnation, keys: &self.keys };
        if let Some(peer) = self.peers.as_mut().and_then(|peers| peers.get_mut(node)) {
            letterhead.write(peer, body, &mut self.transmits);
        }
    }

    /// Begins to send this speaker's claims to `node`.
    pub(super) fn send_claims(&mut self, node: &NodeName, now: Instant) {
        if let Some(peer) = self.peers.as_mut().and_then(|peers| peers.get_mut(node))
            && peer.outbox.send_claims(now)
        {
            self.claims.enqueue(node.clone());
        }
        self.claims.handle_timeout(now);
    }

    /// Begins to send this speaker's claims to everyone, if it can own any.
    pub(super) fn send_claims_to_all(&mut self, now: Instant) {
        if !self.is_announced() || self.claims.version() == 0 {
            return;
        }
        let peers = self.peers.iter_mut().flatten();
        for (node, peer) in peers.filter(|(_, peer)| !peer.is_stranger || peer.is_mutual()) {
            if peer.outbox.send_claims(now) {
                self.claims.enqueue(node.clone());
            }
        }
        self.claims.handle_timeout(now);
    }

    /// Queues the next page of claims, if one may go.
    pub(super) fn queue_page(&mut self) -> Option<()> {
        let node = self.claims.dequeue()?;
        let pages = self.claims.pages();
        let Some(peer) = self.peers.as_mut().and_then(|peers| peers.get_mut(&node)) else { return Some(()) };
        let page = peer.outbox.take_page(pages);
        let has_more = peer.outbox.is_sending();
        if let Some(page) = page {
            self.send(&node, Body::Claims(self.claims.page(page)));
        }
        if has_more {
            self.claims.enqueue(node);
        }
        Some(())
    }

    fn may_greet(&mut self, node: &NodeName, now: Instant) -> bool {
        let peer = self.peers.as_mut().and_then(|peers| peers.get_mut(node));
        peer.is_some_and(|peer| peer.outbox.may_greet(self.timing.interval(), now))
    }

    fn say_who_we_are(&mut self, node: &NodeName) {
        let peer = self.peers.as_ref().and_then(|peers| peers.get(node));
        let body = match self.presence {
            Presence::Announced { .. } => peer.map(|peer| self.heartbeat(peer.outbox.standing)),
            Presence::Quiet { .. } => peer.map(question),
            Presence::Leaving { .. } | Presence::Gone => None,
        };
        if let Some(body) = body {
            self.send(node, body);
        }
    }

    fn write_round(&mut self, body: impl Fn(&Peer) -> Option<Body>) {
        let letterhead = Letterhead { me: &self.me, incarnation: self.incarnation, keys: &self.keys };
        for peer in self.peers.iter_mut().flat_map(|peers| peers.values_mut()) {
            if let Some(body) = body(peer) {
                letterhead.write(peer, body, &mut self.transmits);
            }
        }
    }
}

/// What a speaker that says nothing about itself yet says.
fn question(peer: &Peer) -> Body {
    Body::Ask { version: peer.claims.known_version() }
}
