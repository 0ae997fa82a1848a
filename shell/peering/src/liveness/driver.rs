//! The thread's loop: wanted state and packets in, then timers, then packets and the view out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ferrolb_liveness::{Event, Mesh, Rejected, Transmit};
use ferrolb_telemetry::{RateLimit, chain, clock};
use ferrolb_vocab::{Instant, NodeName};
use tokio::sync::{mpsc, watch};

use super::metrics::{Direction, LivenessMetrics};
use super::sockets::{LOG_INTERVAL, Sockets};
use super::{LivenessView, Presence, Wanted};

/// The mesh and everything it is driven with.
#[derive(Debug)]
pub(super) struct Driver {
    mesh: Mesh,
    sockets: Sockets,
    metrics: LivenessMetrics,
    peers: Option<Arc<BTreeMap<NodeName, Vec<SocketAddr>>>>,
    send_log: RateLimit,
    rejected_log: RateLimit,
    channels: Channels,
}

/// The driver's ends of its channels. Last in [`Driver`]: whoever sees the view closed finds the
/// port free.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) view: watch::Sender<LivenessView>,
    pub(super) events: mpsc::Sender<Event>,
}

/// Whether a turn of the loop changed what is known of the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Some,
}

impl Driver {
    pub(super) fn new(mesh: Mesh, sockets: Sockets, metrics: LivenessMetrics, channels: Channels) -> Self {
        Self {
            mesh,
            sockets,
            metrics,
            peers: None,
            send_log: RateLimit::new(LOG_INTERVAL),
            rejected_log: RateLimit::new(LOG_INTERVAL),
            channels,
        }
    }

    /// Runs until the speaker has left, or the handle is gone.
    pub(super) fn run(mut self) {
        loop {
            // One time for the whole turn: a packet that arrives after it is read cannot be
            // missed by a deadline before it.
            let now = clock::now();
            let Ok(is_wanted_new) = self.channels.wanted.has_changed() else { return };
            if is_wanted_new {
                self.apply_wanted(now);
            }
            self.receive(now);
            self.mesh.handle_timeout(now);
            self.transmit(now);
            let change = self.tell_events();
            if is_wanted_new || change == Change::Some {
                self.publish();
            }
            if self.mesh.is_gone() {
                return;
            }
            self.sockets.wait(self.mesh.poll_timeout().map(|(deadline, _)| deadline));
        }
    }

    fn apply_wanted(&mut self, now: Instant) {
        let Wanted { peers, presence } = self.channels.wanted.borrow_and_update().clone();
        if let Some(peers) = peers
            && !self.peers.as_ref().is_some_and(|known| Arc::ptr_eq(known, &peers))
        {
            self.mesh.set_peers((*peers).clone(), now);
            self.peers = Some(peers);
        }
        match presence {
            Presence::Quiet => {}
            Presence::Announced => self.mesh.start(now),
            Presence::Left => self.mesh.leave(now),
        }
    }

    fn receive(&mut self, now: Instant) {
        let Self { mesh, sockets, metrics, rejected_log, .. } = self;
        let lost = sockets.receive(now, |src, octets| match mesh.handle_packet(src, octets, now) {
            Ok(kind) => metrics.count_message(Direction::Received, kind),
            Err(rejected) => {
                metrics.count_rejected(&rejected);
                log_rejected(src, &rejected, rejected_log, now);
            }
        });
        for _ in 0..lost {
            metrics.count_socket_loss();
        }
    }

    fn transmit(&mut self, now: Instant) {
        while let Some(Transmit { kind, dst, payload }) = self.mesh.poll_transmit() {
            match self.sockets.send(dst, &payload) {
                Ok(()) => self.metrics.count_message(Direction::Sent, kind),
                Err(error) => {
                    self.metrics.count_send_error();
                    if let Some(suppressed) = self.send_log.admit(now) {
                        let error = chain(&error);
                        tracing::warn!(peer = %dst, %error, suppressed, "sending a liveness message was refused");
                    }
                }
            }
        }
    }

    fn tell_events(&mut self) -> Change {
        let mut change = Change::None;
        while let Some(event) = self.mesh.poll_event() {
            change = Change::Some;
            self.metrics.count_transition(&event);
            if self.channels.events.try_send(event).is_err() {
                self.metrics.count_unlogged_event();
            }
        }
        change
    }

    fn publish(&self) {
        self.metrics.set_peers(self.mesh.peers().map(|(_, state)| state));
        let view = LivenessView { alive: self.mesh.alive(), settled: self.mesh.is_settled() };
        self.channels.view.send_if_modified(|published| {
            let is_new = *published != view;
            *published = view;
            is_new
        });
    }
}

/// Tells what someone must repair; stragglers, copies and nodes that are not known yet are the
/// network's and the cluster's daily life.
fn log_rejected(src: SocketAddr, rejected: &Rejected, limit: &mut RateLimit, now: Instant) {
    match rejected {
        Rejected::Duplicate | Rejected::Stale | Rejected::Departed | Rejected::UnknownNode(_) => {
            tracing::trace!(peer = %src, reason = rejected.reason(), "liveness message ignored");
        }
        Rejected::Malformed(_) | Rejected::OwnName | Rejected::ForeignSource(_) => {
            if let Some(suppressed) = limit.admit(now) {
                let (reason, error) = (rejected.reason(), chain(rejected));
                tracing::warn!(peer = %src, reason, %error, suppressed, "liveness message refused");
            }
        }
    }
}
