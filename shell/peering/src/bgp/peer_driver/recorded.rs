//! A peer whose every input is written down, so that a recording of it can be played again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use ferrolb_bgp::{
    BfdState, Config, ConnectionId, Direction, Event, Peer, Resumption, Route, Stop, Transmit,
};
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, IpPrefix, ObjectName};

use crate::recording::{BgpStep, Recorder, WantedRoutes, What};

/// A [`Peer`] that can be looked at as such, and is given nothing but through these methods.
#[derive(Debug)]
pub(super) struct RecordedPeer {
    name: Arc<ObjectName>,
    peer: Peer,
    /// When it was given something last: then it did what it has done since.
    at: Instant,
    /// What its routes were said to be last.
    is_complete: bool,
    is_shutting_down: bool,
    recorder: Recorder,
}

/// The routes of a [`RecordedPeer`], to change them.
#[derive(Debug)]
pub(super) struct RecordedRibOut<'a> {
    peer: &'a mut RecordedPeer,
    now: Instant,
}

impl RecordedPeer {
    /// See [`Peer::new`].
    pub(super) fn new(name: &ObjectName, config: Config, seed: u64, recorder: Recorder) -> Self {
        let peer = Peer::new(config.clone(), seed);
        let mut recorded = Self {
            name: Arc::new(name.clone()),
            peer,
            at: Instant::ORIGIN,
            is_complete: false,
            is_shutting_down: false,
            recorder,
        };
        recorded.give(BgpStep::Created { seed, config: Box::new(config) }, clock::now());
        recorded
    }

    /// See [`Peer::rib_out_mut`].
    pub(super) const fn rib_out_mut(&mut self, now: Instant) -> RecordedRibOut<'_> {
        RecordedRibOut { peer: self, now }
    }

    /// See [`Peer::set_config`], for which the same configuration is nothing new.
    pub(super) fn set_config(&mut self, config: Config, now: Instant) {
        if *self.peer.config() != config {
            self.give(BgpStep::Configured(Box::new(config.clone())), now);
            self.peer.set_config(config, now);
        }
    }

    /// See [`Peer::set_bfd`].
    pub(super) fn set_bfd(&mut self, bfd: BfdState, now: Instant) {
        self.give(BgpStep::Bfd(bfd), now);
        self.peer.set_bfd(bfd, now);
    }

    /// See [`Peer::start`]; and sends what can be sent.
    pub(super) fn start(&mut self, now: Instant) {
        self.give(BgpStep::Started { has_restarted: false }, now);
        self.peer.start(now);
        self.peer.flush(now);
    }

    /// See [`Peer::start_restarted`]; and sends what can be sent.
    pub(super) fn start_restarted(&mut self, now: Instant) {
        self.give(BgpStep::Started { has_restarted: true }, now);
        self.peer.start_restarted(now);
        self.peer.flush(now);
    }

    /// See [`Peer::stop`].
    pub(super) fn stop(&mut self, stop: Stop, now: Instant) {
        self.give(BgpStep::Stopped(stop.clone()), now);
        self.peer.stop(stop, now);
    }

    /// See [`Peer::handle_connected`].
    #[expect(clippy::too_many_arguments, reason = "those of the peer's")]
    pub(super) fn handle_connected(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        self.give(BgpStep::Connected { id, direction, local, remote }, now);
        self.peer.handle_connected(id, direction, local, remote, now);
    }

    /// See [`Peer::handle_connect_failed`].
    pub(super) fn handle_connect_failed(&mut self, id: ConnectionId, now: Instant) {
        self.give(BgpStep::ConnectFailed(id), now);
        self.peer.handle_connect_failed(id, now);
    }

    /// See [`Peer::handle_closed`].
    pub(super) fn handle_closed(&mut self, id: ConnectionId, now: Instant) {
        self.give(BgpStep::Closed(id), now);
        self.peer.handle_closed(id, now);
    }

    /// See [`Peer::handle_timed_out`].
    pub(super) fn handle_timed_out(&mut self, id: ConnectionId, now: Instant) {
        self.give(BgpStep::GivenUp(id), now);
        self.peer.handle_timed_out(id, now);
    }

    /// See [`Peer::resume`].
    pub(super) fn resume(
        &mut self,
        resumption: Resumption,
        ends: [SocketAddr; 2],
        now: Instant,
    ) -> ConnectionId {
        let ([local, remote], session) = (ends, resumption.to_string().into());
        let id = self.peer.resume(resumption, ends, now);
        self.give(BgpStep::Resumed { id, session, local, remote }, now);
        id
    }

    /// See [`Peer::handle_octets`].
    pub(super) fn handle_octets(&mut self, id: ConnectionId, octets: &[u8], now: Instant) {
        self.give(BgpStep::Received { id, octets: octets.into() }, now);
        self.peer.handle_octets(id, octets, now);
    }

    /// See [`Peer::handle_writable`].
    pub(super) fn handle_writable(&mut self, id: ConnectionId, now: Instant) {
        self.give(BgpStep::Written(id), now);
        self.peer.handle_writable(id, now);
    }

    /// See [`Peer::handle_timeout`].
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.give(BgpStep::TimedOut, now);
        self.peer.handle_timeout(now);
    }

    /// See [`Peer::next_connection`], which is always followed by [`Self::handle_connected`].
    pub(super) fn next_connection(&mut self) -> ConnectionId {
        self.peer.next_connection()
    }

    /// See [`Peer::poll_transmit`].
    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.peer.poll_transmit()?;
        self.note(BgpStep::Did(transmit.clone()));
        Some(transmit)
    }

    /// See [`Peer::poll_event`].
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        let event = self.peer.poll_event()?;
        self.note(BgpStep::Became(Box::new(event.clone())));
        Some(event)
    }

    fn give(&mut self, step: BgpStep, now: Instant) {
        self.at = now;
        self.note(step);
    }

    fn note(&self, step: BgpStep) {
        self.recorder.note(self.at, What::Bgp { peer: Arc::clone(&self.name), step });
    }
}

impl RecordedRibOut<'_> {
    /// See [`ferrolb_bgp::RibOut::set_wanted`].
    pub(super) fn set_wanted(&mut self, wanted: &Arc<BTreeMap<IpPrefix, Arc<Route>>>) {
        self.peer.give(BgpStep::Routes(WantedRoutes::of(wanted)), self.now);
        self.peer.peer.rib_out_mut().set_wanted(wanted);
    }

    /// See [`ferrolb_bgp::RibOut::set_graceful_shutdown`].
    pub(super) fn set_graceful_shutdown(&mut self, is_shutting_down: bool) {
        if self.peer.is_shutting_down != is_shutting_down {
            self.peer.is_shutting_down = is_shutting_down;
            self.peer.give(BgpStep::GracefulShutdown(is_shutting_down), self.now);
            self.peer.peer.rib_out_mut().set_graceful_shutdown(is_shutting_down);
        }
    }

    /// See [`ferrolb_bgp::RibOut::complete`].
    pub(super) fn complete(&mut self) {
        if !self.peer.is_complete {
            self.peer.is_complete = true;
            self.peer.give(BgpStep::Complete, self.now);
            self.peer.peer.rib_out_mut().complete();
        }
    }
}

impl Deref for RecordedPeer {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}
