//! What the drivers have to say.

use ferrolb_l2::{Conflict, Event as L2Event};
use ferrolb_liveness::Event as LivenessEvent;
use tokio::sync::mpsc;

use super::conflict_log::ConflictLog;

/// What the drivers have to say, for the log.
pub(super) struct DriverEvents {
    pub(super) liveness: mpsc::Receiver<LivenessEvent>,
    pub(super) l2: mpsc::Receiver<L2Event>,
    pub(super) conflicts: ConflictLog,
}

impl DriverEvents {
    /// Logs the next event, and returns it if it is a conflict about an address that is announced.
    /// Cancel-safe.
    pub(super) async fn log_next(&mut self) -> Option<Conflict> {
        tokio::select! {
            Some(event) = self.liveness.recv() => match event {
                LivenessEvent::Alive(node) => tracing::info!(%node, "a speaker is alive"),
                LivenessEvent::Leaving(node) => tracing::info!(%node, "a speaker is about to leave"),
                LivenessEvent::Staying(node) => tracing::info!(%node, "a speaker stays"),
                LivenessEvent::ClaimsChanged(node) => tracing::debug!(%node, "a speaker owns something else"),
                LivenessEvent::Dead { node, why } => {
                    tracing::warn!(%node, reason = ?why, "a speaker is dead, its addresses move");
                }
            },
            Some(event) = self.l2.recv() => {
                self.conflicts.log(&event);
                if let L2Event::Conflict(conflict) = event {
                    return Some(conflict);
                }
            }
            else => std::future::pending().await,
        }
        None
    }
}
