//! The connections of a peer, from and to their sockets, and from and to other processes.

use std::io;

use ferrolb_bgp::{ConnectionId, Direction, Event, Reason, Stop};
use ferrolb_vocab::Instant;
use tokio::net::TcpStream;

use super::{News, PeerDriver};
use crate::bgp::connection::Connection;
use crate::bgp::{HandedOver, PeerError, TransportOptions, socket};

/// Connections that are closed and wait for the peer to close its side. Beyond it they are dropped: a
/// peer that takes so many at once does not read why.
const FAREWELLS_MAX: usize = 8;

impl PeerDriver {
    /// Takes on the options of TCP: a connection goes on with them, an attempt begins anew.
    pub(super) fn follow_options(&mut self, before: &TransportOptions, now: Instant) {
        if *before != self.followed.options {
            self.apply_options(now);
        }
    }

    fn apply_options(&mut self, now: Instant) {
        let goes_on = self.links.apply(&self.followed.options);
        if goes_on != Ok(true) {
            self.error = goes_on.err();
            self.peer.stop(Stop::Reset, now);
        }
    }

    pub(super) fn connect(&mut self, id: ConnectionId, now: Instant) {
        match socket::connect(&self.peer.config().transport, &self.followed.options) {
            Ok(attempt) => self.links.begin(id, attempt),
            Err(error) => {
                self.error = Some(error);
                self.peer.handle_connect_failed(id, now);
            }
        }
    }

    /// The system has opened the connection, or has not.
    pub(super) fn take_connected(
        &mut self,
        id: ConnectionId,
        connected: io::Result<TcpStream>,
        now: Instant,
    ) {
        match connected.and_then(Connection::new) {
            Ok(connection) => self.insert(id, connection, Direction::Outgoing, now),
            Err(error) => {
                let remote = self.peer.config().transport.remote;
                self.error = Some(PeerError::Connect { remote, source: socket::errno(error) });
                self.peer.handle_connect_failed(id, now);
            }
        }
        self.drain(now);
    }

    /// The peer has opened a connection.
    pub(super) fn take_accepted(&mut self, stream: TcpStream, now: Instant) {
        // Otherwise it has gone again.
        let Ok(connection) = Connection::new(stream) else { return };
        if let Err(error) = connection.apply(&self.followed.options) {
            self.error = Some(error);
            self.note(News::Great);
            return connection.abort();
        }
        let id = self.peer.next_connection();
        self.insert(id, connection, Direction::Incoming, now);
        self.drain(now);
    }

    /// Goes on with a session of the process before this one, unless its connection is gone by now.
    pub(super) fn resume(&mut self, session: HandedOver, now: Instant) {
        let HandedOver { resumption, stream, .. } = session;
        let Ok(connection) = Connection::resume(stream, resumption.unwritten.clone()) else { return };
        let ends = [connection.local, connection.remote];
        let id = self.peer.resume(resumption, ends, now);
        self.links.insert(id, connection);
        self.apply_options(now);
    }

    /// What another process goes on with, if there is a session.
    pub(super) fn hand_over(mut self, now: Instant) -> Option<HandedOver> {
        if let Some(session) = self.inherited.take() {
            // It has not come to going on with that itself.
            return Some(session);
        }
        let (id, mut resumption) = self.peer.hand_over(now)?;
        let (stream, unwritten) = self.links.remove(id)?.into_parts().ok()?;
        resumption.unwritten = unwritten;
        Some(HandedOver { peer: self.name, resumption, stream })
    }

    fn insert(&mut self, id: ConnectionId, connection: Connection, direction: Direction, now: Instant) {
        let (local, remote) = (connection.local, connection.remote);
        self.error = None;
        self.links.insert(id, connection);
        self.peer.handle_connected(id, direction, local, remote, now);
    }

    pub(super) fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.links.remove(id) else { return };
        while self.farewells.try_join_next().is_some() {}
        if self.farewells.len() < FAREWELLS_MAX {
            self.farewells.spawn(connection.close());
        } else {
            connection.abort();
        }
    }

    pub(super) fn abort(&mut self, id: ConnectionId) {
        if self.links.give_up(id) {
            // What the system said of an attempt before says nothing of this one.
            self.error = None;
        } else if let Some(connection) = self.links.remove(id) {
            connection.abort();
        }
    }

    /// What follows for the sockets from what has become of the peer.
    pub(super) fn heed(&mut self, event: &Event) {
        match event {
            Event::Failed { reason: Reason::ConnectTimedOut, .. } => {
                let remote = self.peer.config().transport.remote;
                let is_signed = self.followed.options.password.is_some();
                let error = if is_signed { PeerError::NoSignedAnswer } else { PeerError::NoAnswer };
                self.error = Some(error(remote));
            }
            Event::Established { connection, negotiated, .. } => {
                if let Some(connection) = self.links.get(*connection) {
                    let set = connection.set_send_hold_time(negotiated.send_hold_time());
                    self.error = set.err().map(|error| PeerError::Socket(socket::errno(error)));
                }
            }
            Event::Failed { .. } | Event::Down { .. } | Event::Refused { .. } | Event::EndOfRib { .. } => {}
        }
    }
}
