//! A session that goes on in another process.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::Family;

use super::{BfdState, Peer};
use crate::connection::{Agreed, Connection, ConnectionId, Phase};
use crate::negotiation::agreement;
use crate::resumption::Resumption;

impl Peer {
    /// The session, for the process that goes on with it, and the name of its connection, of which
    /// nothing more may be read here, and to which nothing may be written. `None`: there is no session.
    #[must_use]
    pub fn hand_over(&self, now: Instant) -> Option<(ConnectionId, Resumption)> {
        let (direction, connection) = self.established()?;
        let Phase::Established(agreed, since) = &connection.phase else { return None };
        let Agreed { received, body, .. } = &**agreed;
        let left = |due: Option<Instant>| due.map(|due| due.saturating_since(now));
        let advertised = Family::ALL.into_iter().flat_map(|family| self.rib_out.advertised(family));
        let resumption = Resumption {
            direction,
            transport: self.config.transport.clone(),
            offer: connection.offer.clone(),
            received: received.clone(),
            body: body.clone(),
            undecoded: connection.received.clone(),
            unwritten: Vec::new(),
            lasted: now.saturating_since(*since),
            hold: left(connection.hold),
            keepalive: left(connection.keepalive),
            refreshing: self.rib_out.refreshing(),
            advertised: advertised.map(|(prefix, _)| prefix).collect(),
            tally: self.record.tally(),
        };
        Some((connection.id, resumption))
    }

    /// Goes on with the session of another process, on a connection between these `ends`, this side's
    /// first. The connection's name.
    ///
    /// To be called before [`Self::start`], and when all is wanted that there is to be: what else the
    /// peer has been told is withdrawn. A session that this configuration would have made another one
    /// is reset, as by [`Self::set_config`].
    pub fn resume(&mut self, resumption: Resumption, ends: [SocketAddr; 2], now: Instant) -> ConnectionId {
        let Resumption { direction, transport, offer, received, body, undecoded, .. } = resumption;
        let Resumption { unwritten, lasted, hold, keepalive, refreshing, advertised, tally, .. } = resumption;
        let id = self.next_connection();
        let [local, remote] = ends;
        let since = now - lasted;
        let negotiated = agreement(&self.config, &offer, &received);
        self.is_preserved = negotiated.notification;
        // Whatever was said of the path to the process before: that it is down now is news, and ends this.
        self.bfd = BfdState::Up;
        self.record.resume(tally, ends, since);
        self.rib_out.resume(&self.encoding(&negotiated, local), &advertised, refreshing);
        let connection = Connection {
            id,
            local,
            remote,
            offer,
            phase: Phase::Established(Box::new(Agreed { received, negotiated, body }), since),
            received: undecoded,
            hold: hold.map(|left| now + left),
            keepalive: keepalive.map(|left| now + left),
            unwritten: (!unwritten.is_empty()).then_some(now),
        };
        self.connections.insert(direction, connection);
        self.reset_changed(&transport, now);
        self.flush(now);
        id
    }
}
