//! What the drivers have to say.

use std::fmt::Debug;
use std::time::Duration;

use ferrolb_bfd as bfd;
use ferrolb_bgp::{self as bgp, Reason};
use ferrolb_l2::{Conflict, Event as L2Event};
use ferrolb_liveness::Event as LivenessEvent;
use ferrolb_peering::bfd::{BfdEvent, SessionPath};
use ferrolb_peering::bgp::BgpEvent;
use ferrolb_peering::recording::What;
use ferrolb_telemetry::{RateLimit, clock};
use tokio::sync::mpsc;

use super::conflict_log::ConflictLog;
use super::peering::PeeringEvents;

/// A peer that cannot be connected to is tried again and again.
const ATTEMPTS_INTERVAL: Duration = Duration::from_secs(30);

/// What the drivers have to say, for the log.
pub(super) struct DriverEvents {
    liveness: mpsc::Receiver<LivenessEvent>,
    l2: mpsc::Receiver<L2Event>,
    conflicts: ConflictLog,
    peering: PeeringEvents,
    attempts: RateLimit,
}

/// What somebody has to act upon.
#[derive(Debug)]
pub(super) enum News {
    /// Another host claims an address that is announced.
    Conflict(Conflict),
    /// BFD has lost a path.
    PathLost(SessionPath),
}

impl DriverEvents {
    pub(super) fn new(
        liveness: mpsc::Receiver<LivenessEvent>,
        l2: mpsc::Receiver<L2Event>,
        peering: PeeringEvents,
    ) -> Self {
        let attempts = RateLimit::new(ATTEMPTS_INTERVAL);
        Self { liveness, l2, conflicts: ConflictLog::new(), peering, attempts }
    }

    /// Logs the next event, and returns it if somebody has to act upon it. Cancel-safe.
    pub(super) async fn log_next(&mut self) -> Option<News> {
        tokio::select! {
            Some(event) = self.liveness.recv() => {
                self.note("liveness", &event);
                log_liveness(&event);
            }
            Some(event) = self.l2.recv() => {
                self.note("layer2", &event);
                self.conflicts.log(&event);
                if let L2Event::Conflict(conflict) = event {
                    return Some(News::Conflict(conflict));
                }
            }
            Some(event) = self.peering.bfd.recv() => {
                log_bfd(&event);
                self.peering.recorder.note(clock::now(), What::Bfd(event.clone()));
                if let bfd::Event::Down { why, .. } = event.change
                    && why.is_failure()
                {
                    return Some(News::PathLost(event.path));
                }
            }
            Some(event) = self.peering.bgp.recv() => log_bgp(&event, &mut self.attempts),
            else => std::future::pending().await,
        }
        None
    }

    /// Writes down what has no place of its own in a recording.
    fn note(&self, kind: &'static str, event: &impl Debug) {
        self.peering.recorder.note(clock::now(), What::Speaker { kind, text: format!("{event:?}").into() });
    }
}

fn log_liveness(event: &LivenessEvent) {
    match event {
        LivenessEvent::Alive(node) => tracing::info!(%node, "a speaker is alive"),
        LivenessEvent::Leaving(node) => tracing::info!(%node, "a speaker is about to leave"),
        LivenessEvent::Staying(node) => tracing::info!(%node, "a speaker stays"),
        LivenessEvent::ClaimsChanged(node) => tracing::debug!(%node, "a speaker owns something else"),
        LivenessEvent::Dead { node, why } => {
            tracing::warn!(%node, reason = ?why, "a speaker is dead, its addresses move");
        }
    }
}

fn log_bfd(BfdEvent { path, change }: &BfdEvent) {
    let peer = path.peer;
    match change {
        bfd::Event::Up { .. } => tracing::info!(%peer, "a BFD session is up"),
        bfd::Event::Down { why, .. } if why.is_failure() => {
            tracing::warn!(%peer, reason = why.reason(), "BFD has lost the path to a peer");
        }
        bfd::Event::Down { why, .. } => {
            tracing::info!(%peer, reason = why.reason(), "a BFD session was taken down");
        }
    }
}

fn log_bgp(BgpEvent { peer, event }: &BgpEvent, attempts: &mut RateLimit) {
    match event {
        bgp::Event::Established { negotiated, .. } => {
            tracing::info!(object = %peer, peer_asn = %negotiated.remote_asn, "a BGP session is established");
        }
        bgp::Event::Down {
            reason: why @ (Reason::ConfigChanged(_) | Reason::Stopped(_)), lasted, ..
        } => {
            let (reason, elapsed) = (why.reason(), lasted.as_secs_f64());
            tracing::info!(object = %peer, reason, elapsed, error = %why, "a BGP session was ended");
        }
        bgp::Event::Down { reason: why, lasted, .. } => {
            let (reason, elapsed) = (why.reason(), lasted.as_secs_f64());
            tracing::warn!(object = %peer, reason, elapsed, error = %why, "a BGP session is lost");
        }
        bgp::Event::Failed { reason: why, .. } => {
            if let Some(suppressed) = attempts.admit(clock::now()) {
                let reason = why.reason();
                tracing::warn!(object = %peer, reason, suppressed, error = %why, "a BGP session did not come about");
            }
        }
        bgp::Event::Refused { cease, .. } => {
            tracing::debug!(object = %peer, reason = cease.name(), "a connection of a BGP peer was refused");
        }
        bgp::Event::EndOfRib { family, .. } => {
            tracing::debug!(object = %peer, protocol = family.name(), "a BGP peer has told all its routes");
        }
    }
}
