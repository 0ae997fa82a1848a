//! How a session comes about: the peer's OPEN, two connections, the first KEEPALIVE.

use alloc::boxed::Box;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{Cease, Notification, Open};

use super::Peer;
use super::ending::Farewell;
use super::events::{Event, Reason};
use crate::connection::{Agreed, Direction, Phase};
use crate::negotiation::negotiate;

impl Peer {
    /// The peer's OPEN on a connection in OpenSent: RFC 4271 §8.2.2, event 19.
    pub(super) fn take_open(&mut self, direction: Direction, body: &[u8], now: Instant) {
        let Some(connection) = self.connections.get(&direction) else { return };
        let received = match Open::parse(body) {
            Ok(received) => received,
            Err(error) => return self.refuse_message(direction, error, now),
        };
        let negotiated = match negotiate(&self.config, &connection.offer, &received) {
            Ok(negotiated) => negotiated,
            Err(refused) => {
                let farewell = Farewell::Notify(refused.notification());
                return self.end(direction, Reason::OpenRefused(refused), farewell, now);
            }
        };
        let loser = self.loser(direction, &received);
        if loser == Some(direction) {
            return self.end_for_collision(direction, now);
        }
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        connection.phase = Phase::OpenConfirm(Box::new(Agreed { received, negotiated, body: body.into() }));
        // With a hold time of zero there is no HoldTimer, but the KEEPALIVE that is owed must come
        // all the same: the time for the OPEN goes on.
        if connection.negotiated().is_some_and(|negotiated| negotiated.hold_time.is_some()) {
            connection.restart_hold(now);
        }
        self.send_keepalive(direction, now);
        if let Some(loser) = loser {
            self.end_for_collision(loser, now);
        }
    }

    /// Which of two connections is to end, now that the peer's OPEN has come on `direction`: RFC
    /// 4271 §6.8, RFC 6286 §2.3. That which the side with the higher identifier opened is kept, or
    /// with equal identifiers that of the higher AS.
    fn loser(&self, direction: Direction, received: &Open) -> Option<Direction> {
        let other = self.connections.get(&direction.other())?;
        let local = (other.offer.bgp_id, other.offer.asn);
        let kept =
            if local > (received.bgp_id, received.asn) { Direction::Outgoing } else { Direction::Incoming };
        match other.phase {
            Phase::Established(..) => Some(direction),
            Phase::OpenConfirm(_) => Some(kept.other()),
            // The other one may never get as far: it is not a reason to give this one up.
            Phase::OpenSent => (kept == direction).then_some(kept.other()),
        }
    }

    /// The peer has agreed: KeepAliveMsg in OpenConfirm, RFC 4271 §8.2.2.
    pub(super) fn establish(&mut self, direction: Direction, now: Instant) {
        self.give_up_attempt();
        self.end_for_collision(direction.other(), now);
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        let Phase::OpenConfirm(agreed) = core::mem::replace(&mut connection.phase, Phase::OpenSent) else {
            return;
        };
        let negotiated = agreed.negotiated.clone();
        connection.phase = Phase::Established(agreed, now);
        connection.restart_hold(now);
        let (id, local, remote) = (connection.id, connection.local, connection.remote);
        self.restarting_until = None;
        self.is_preserved = negotiated.notification;
        self.is_plain = false;
        self.record.note_established([local, remote]);
        self.rib_out.established(&self.encoding(&negotiated, local));
        self.events.push_back(Event::Established {
            at: now,
            connection: id,
            negotiated: Box::new(negotiated),
        });
        self.flush(now);
    }

    fn end_for_collision(&mut self, direction: Direction, now: Instant) {
        let farewell = Notification::cease(Cease::CollisionResolution, None);
        self.end(direction, Reason::Collision, Farewell::Notify(farewell), now);
    }
}
