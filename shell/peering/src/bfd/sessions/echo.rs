//! Echo packets in and out, and where they go.

use ferrolb_bfd::{Arrival, EchoArrived, Engine, TTL};
use ferrolb_vocab::{Instant, IpFamily};
use ferrolb_wire::bfd::{ECHO_PORT, Frame};
use nix::sys::socket::LinkAddr;

use super::packets::single_hop;
use super::{News, Sessions};
use crate::bfd::SessionPath;
use crate::bfd::echo::Neighbor;
use crate::bfd::session::{Running, Session};

impl Sessions {
    /// Opens or closes the packet socket. Without it no session has the Echo function.
    pub(super) fn prepare_echo(&mut self, now: Instant) {
        let is_needed = self.sessions.iter().any(|(path, session)| is_echo_wanted(path, session));
        self.echo.set_needed(is_needed, now);
        if self.echo.is_open() {
            return;
        }
        for running in self.sessions.values_mut().filter_map(|session| session.running.as_mut()) {
            if running.neighbor.take().is_some() {
                self.engine.deny_echo(running.local_discr, now);
            }
        }
    }

    /// Takes all frames that have come.
    pub(super) fn receive_echo(&mut self, now: Instant) {
        let Self { echo, engine, sessions, names, paths, news, .. } = self;
        let is_lost = echo.receive(now, |link, octets| {
            let Some(frame) = Frame::parse(octets) else { return false };
            let interface = u32::try_from(link.ifindex()).unwrap_or_default();
            if frame.port != ECHO_PORT {
                let path = single_hop(interface, frame.source.into(), paths);
                let core = engine.session_of(&path).filter(|_| frame.ttl == TTL);
                let name = core.and_then(|core| names.get(&core.local_discr()));
                let session = name.and_then(|name| sessions.get_mut(name));
                if let Some(running) = session.and_then(|session| session.running.as_mut()) {
                    learn(running, engine, (link, &frame), now);
                }
                return false;
            }
            *news = News::Small.max(*news);
            let path = single_hop(interface, frame.destination.into(), paths);
            let (of, is_peers) = match engine.handle_echo(Arrival { path, ttl: frame.ttl }, frame.payload) {
                Ok(EchoArrived::LoopBack(of)) => (of, true),
                Ok(EchoArrived::Returned(of)) => (of, false),
                // It is counted by the engine.
                Err(_) => return false,
            };
            if let Some(session) = names.get(&of).and_then(|name| sessions.get_mut(name)) {
                let counts = &mut session.counts;
                let count = if is_peers { &mut counts.echo_looped_back } else { &mut counts.echo_returned };
                *count += 1;
            }
            is_peers && Frame::turn_round(octets).is_some()
        });
        if is_lost {
            self.metrics.count_socket_losses(1);
            self.next_chore = Some(now);
        }
    }

    /// Sends what is to be sent.
    pub(super) fn transmit_echo(&mut self) {
        while let Some(transmit) = self.engine.poll_echo() {
            let session = self.names.get(&transmit.session).and_then(|path| self.sessions.get_mut(path));
            let Some(Session { running: Some(running), counts, .. }) = session else { continue };
            let Some(neighbor) = &running.neighbor else { continue };
            match self.echo.send(neighbor, &transmit.payload()) {
                Ok(()) => counts.echo_sent += 1,
                Err(_) => counts.send_errors += 1,
            }
            self.news = News::Small.max(self.news);
        }
    }
}

/// The peer is there, and its frames come to the packet socket.
fn learn(running: &mut Running, engine: &mut Engine, (link, frame): (LinkAddr, &Frame<'_>), now: Instant) {
    if running.neighbor.replace(Neighbor::of(link, frame)).is_none() {
        engine.allow_echo(running.local_discr, now);
    }
}

/// Whether a session has the Echo function where it can be had: over one hop, and IPv4.
pub(super) fn is_echo_wanted(path: &SessionPath, session: &Session) -> bool {
    let has_echo = session.wanted.is_some_and(|config| config.timing.echo().is_some());
    has_echo && !path.is_multihop && IpFamily::of(path.peer) == IpFamily::V4
}
