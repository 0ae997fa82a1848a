//! The thread's loop: wanted state and packets in, then timers, then packets and the view out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ferrolb_liveness::{Event, KeyRing, Mesh, Rejected, Transmit};
use ferrolb_telemetry::{RateLimit, chain, clock};
use ferrolb_vocab::{Epoch, Instant, NodeName};
use tokio::sync::{mpsc, watch};

use super::metrics::{Direction, LivenessMetrics};
use super::refusals::Refusal;
use super::sockets::{LOG_INTERVAL, Received, Sockets};
use super::{LivenessView, Presence, Wanted};

/// The mesh and everything it is driven with.
#[derive(Debug)]
pub(super) struct Driver {
    mesh: Mesh,
    sockets: Sockets,
    metrics: LivenessMetrics,
    applied: Applied,
    /// The revision of the mesh that the view shows.
    published: Option<u64>,
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

/// What of the wanted was handed to the mesh last.
#[derive(Debug, Default)]
struct Applied {
    peers: Option<Arc<BTreeMap<NodeName, Vec<SocketAddr>>>>,
    keys: Option<Arc<KeyRing>>,
    claims: Option<Arc<BTreeMap<IpAddr, Epoch>>>,
    watchers: Option<Arc<BTreeSet<NodeName>>>,
}

impl Driver {
    pub(super) fn new(mesh: Mesh, sockets: Sockets, metrics: LivenessMetrics, channels: Channels) -> Self {
        Self {
            mesh,
            sockets,
            metrics,
            applied: Applied::default(),
            published: None,
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
            self.tell_events();
            self.publish();
            if self.mesh.is_gone() {
                return;
            }
            self.sockets.wait(self.mesh.poll_timeout().map(|(deadline, _)| deadline));
        }
    }

    fn apply_wanted(&mut self, now: Instant) {
        let Wanted { keys, peers, claims, watchers, is_leaving, presence } =
            self.channels.wanted.borrow_and_update().clone();
        if let Some(keys) = news(&mut self.applied.keys, keys) {
            self.mesh.set_keys((*keys).clone());
        }
        if let Some(peers) = news(&mut self.applied.peers, peers) {
            self.mesh.set_peers((*peers).clone(), now);
        }
        if let Some(watchers) = news(&mut self.applied.watchers, watchers) {
            self.mesh.set_watchers((*watchers).clone());
        }
        if let Some(claims) = news(&mut self.applied.claims, claims)
            && let Err(error) = self.mesh.set_claims((*claims).clone(), now)
        {
            tracing::error!(error = %chain(&error), "the other speakers are not told what this one owns");
        }
        self.mesh.set_leaving(is_leaving, now);
        match presence {
            Presence::Quiet => {}
            Presence::Announced => self.mesh.start(now),
            Presence::Followed => self.mesh.hand_over(now),
            Presence::Left => self.mesh.leave(now),
        }
    }

    fn receive(&mut self, now: Instant) {
        let Self { mesh, sockets, metrics, rejected_log, .. } = self;
        let Received { lost, refused } =
            sockets.receive(now, |src, octets| match mesh.handle_packet(src, octets, now) {
                Ok(kind) => metrics.count_message(Direction::Received, kind),
                Err(rejected) => {
                    metrics.count_rejected(&rejected);
                    log_rejected(src, &rejected, rejected_log, now);
                }
            });
        // After the packets: a peer that was heard since is not gone.
        for Refusal { dst, returned } in refused {
            metrics.count_refusal();
            if let Err(rejected) = mesh.handle_refusal(dst, &returned, now) {
                metrics.count_rejected(&rejected);
                tracing::trace!(peer = %dst, reason = rejected.reason(), "a returned liveness message ignored");
            }
        }
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

    fn tell_events(&mut self) {
        while let Some(event) = self.mesh.poll_event() {
            self.metrics.count_event(&event);
            if self.channels.events.try_send(event).is_err() {
                self.metrics.count_unlogged_event();
            }
        }
    }

    fn publish(&mut self) {
        let revision = Some(self.mesh.revision());
        if self.published == revision {
            return;
        }
        self.published = revision;
        self.metrics.set_peers(self.mesh.peers().map(|(_, state)| state));
        let view = LivenessView {
            alive: self.mesh.alive(),
            leaving: self.mesh.leaving(),
            settled: self.mesh.is_settled(),
            claims: Arc::new(self.mesh.claims()),
            highest_epochs: Arc::new(self.mesh.highest_epochs()),
            returns: self.mesh.returns(),
        };
        self.channels.view.send_if_modified(|published| {
            let is_new = *published != view;
            *published = view;
            is_new
        });
    }
}

/// What is wanted, if it is another than what was `applied`.
fn news<T>(applied: &mut Option<Arc<T>>, wanted: Option<Arc<T>>) -> Option<Arc<T>> {
    let is_known = match (&*applied, &wanted) {
        (Some(applied), Some(wanted)) => Arc::ptr_eq(applied, wanted),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if is_known {
        return None;
    }
    applied.clone_from(&wanted);
    wanted
}

/// Tells what someone must repair; stragglers, copies and nodes that are not known yet are the
/// network's and the cluster's daily life.
fn log_rejected(src: SocketAddr, rejected: &Rejected, limit: &mut RateLimit, now: Instant) {
    match rejected {
        Rejected::Duplicate
        | Rejected::Stale
        | Rejected::Departed
        | Rejected::Unconfirmed
        | Rejected::NotSent
        | Rejected::UnknownNode(_) => {
            tracing::trace!(peer = %src, reason = rejected.reason(), "liveness message ignored");
        }
        Rejected::Malformed(_)
        | Rejected::Unauthenticated
        | Rejected::Timing(_)
        | Rejected::OwnName
        | Rejected::ForeignSource(_) => {
            if let Some(suppressed) = limit.admit(now) {
                let (reason, error) = (rejected.reason(), chain(rejected));
                tracing::warn!(peer = %src, reason, %error, suppressed, "liveness message refused");
            }
        }
    }
}
