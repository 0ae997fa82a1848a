//! What this speaker says to its peers.

use alloc::collections::VecDeque;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Body, Datagram, Heartbeat, Kind, MemberName};

use super::{Mesh, Presence, Transmit};
use crate::key::KeyRing;
use crate::peer::{Greeting, Peer};

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
            Kind::Heartbeat | Kind::Leave => peer.outbox.advance(),
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
    /// A heartbeat for every peer, instead of those that were not sent yet.
    pub(super) fn heartbeat_round(&mut self) {
        self.transmits.retain(|transmit| transmit.kind != Kind::Heartbeat);
        let heartbeat = self.heartbeat();
        self.write_round(|_| Some(heartbeat.clone()));
    }

    pub(super) fn leave_round(&mut self) {
        self.write_round(|_| Some(Body::Leave));
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
        if greeting == Greeting::First && self.is_announced() && self.claims.version() > 0 {
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
        for (node, peer) in self.peers.iter_mut().flatten() {
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
        let body = match self.presence {
            Presence::Announced { .. } => Some(self.heartbeat()),
            Presence::Quiet { .. } => self.peers.as_ref().and_then(|peers| peers.get(node)).map(question),
            Presence::Leaving { .. } | Presence::Gone => None,
        };
        if let Some(body) = body {
            self.send(node, body);
        }
    }

    fn heartbeat(&self) -> Body {
        Body::Heartbeat(Heartbeat { claims_version: self.claims.version(), is_leaving: self.is_leaving })
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
