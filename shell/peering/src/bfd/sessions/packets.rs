//! Packets in and out, and time passing: what the engine is fed with and what it gives.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ferrolb_bfd::{Arrival, Path, Transmit};
use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::State;

use super::{News, Sessions};
use crate::bfd::listeners::{Packet, Port};
use crate::bfd::retry::Retry;
use crate::bfd::sender::ANY_INTERFACE;
use crate::bfd::session::Session;
use crate::bfd::{BfdEvent, SessionPath, unspecified};

impl Sessions {
    /// Takes all packets that have come.
    pub(in crate::bfd) fn receive(&mut self, now: Instant) {
        self.receive_echo(now);
        let Self { listeners, engine, sessions, names, paths, news, .. } = self;
        let lost = listeners.receive(now, |port, packet| {
            *news = News::Small.max(*news);
            let arrival = Arrival { path: path_of(port, &packet, paths), ttl: packet.ttl };
            // A packet that is discarded is counted by the engine.
            let session = engine.handle_packet(arrival, packet.payload, now).ok();
            let path = session.and_then(|session| names.get(&session));
            if let Some(session) = path.and_then(|path| sessions.get_mut(path)) {
                session.counts.received += 1;
            }
        });
        if lost > 0 {
            self.metrics.count_socket_losses(lost);
            self.next_chore = Some(now);
        }
    }

    /// Does what is due. Called when the packets that have come were taken: a session whose
    /// packets wait in a socket is not down.
    pub(in crate::bfd) fn handle_timeout(&mut self, now: Instant) {
        if self.engine.poll_timeout().is_some_and(|(due, _)| due <= now) {
            self.news = News::Small.max(self.news);
            self.engine.handle_timeout(now);
        }
    }

    /// Sends what is to be sent.
    pub(in crate::bfd) fn transmit(&mut self, now: Instant) {
        self.transmit_echo();
        while let Some(Transmit { session: local_discr, payload, .. }) = self.engine.poll_transmit() {
            let Some(path) = self.names.get(&local_discr) else { continue };
            let Some(Session { running: Some(running), counts, .. }) = self.sessions.get_mut(path) else {
                continue;
            };
            let error = running.sender.send(&payload).err();
            match error {
                None => counts.sent += 1,
                Some(_) => counts.send_errors += 1,
            }
            let news = if error == running.send_error { News::Small } else { News::Great };
            self.news = news.max(self.news);
            running.send_error = error;
            // While it is Up, what has become of its interface shows by the silence.
            let is_up = || self.engine.session(local_discr).is_some_and(|core| core.state() == State::Up);
            if error.is_some() && !is_up() && running.sender.has_moved(path) {
                self.restart(&path.clone(), now);
            }
        }
    }

    /// What became of a session.
    pub(in crate::bfd) fn poll_event(&mut self) -> Option<BfdEvent> {
        let (local_discr, change) = self.engine.poll_event()?;
        let path = self.names.get(&local_discr)?.clone();
        if let Some(session) = self.sessions.get_mut(&path) {
            session.note(change);
        }
        self.news = News::Great;
        Some(BfdEvent { path, change })
    }

    /// Starts a session anew, with new sockets.
    fn restart(&mut self, path: &SessionPath, now: Instant) {
        self.stop(path);
        if let Some(session) = self.sessions.get_mut(path) {
            session.retry = Retry::at_once(now);
        }
        self.next_chore = Some(now);
    }
}

/// What the engine is to take for the path of a packet: that of a session with its interface or
/// its destination, or else that of one to which any will do.
fn path_of(port: Port, packet: &Packet<'_>, paths: &BTreeSet<Path>) -> Path {
    let &Packet { peer, local, interface, .. } = packet;
    if !port.is_multihop {
        return single_hop(interface, peer, paths);
    }
    let exact = Path::Multihop { local, peer };
    if paths.contains(&exact) { exact } else { Path::Multihop { local: unspecified(peer), peer } }
}

/// The same of a packet over one hop.
pub(super) fn single_hop(interface: u32, peer: IpAddr, paths: &BTreeSet<Path>) -> Path {
    let exact = Path::SingleHop { interface, peer };
    if paths.contains(&exact) { exact } else { Path::SingleHop { interface: ANY_INTERFACE, peer } }
}
