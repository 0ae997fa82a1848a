//! How long a speaker goes on after it was asked to end, and for whose sake.

use std::time::Duration;

use ferrolb_peering::handover::{Handover, Successor};
use tokio::time::Instant;

use super::driver_events::DriverEvents;
use super::liveness_keys::KeyFile;

/// A speaker that was asked to end, while its successor gets ready, waits so long for it.
const SUCCESSOR_MAX: Duration = Duration::from_secs(10);
/// Without one it waits so long for a successor to show up. The kubelet may call the next Pod
/// ready before its process has said a word, since it is this one that answers its probes.
const SUCCESSOR_GRACE: Duration = Duration::from_secs(2);

/// What can happen to a speaker, besides what its own parts tell.
pub(super) struct Inputs {
    pub(super) events: DriverEvents,
    pub(super) key_file: KeyFile,
    pub(super) successors: Handover,
    pub(super) patience: Patience,
}

/// How long a speaker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until it is asked to end.
    Running,
    /// It was asked to end, and goes on until then, should a successor show up.
    Hoping(Instant),
    /// One has shown up and gets ready; it has until then.
    Waiting(Instant),
}

impl Patience {
    /// This one was asked to end.
    pub(super) fn asked() -> Self {
        Self::Hoping(Instant::now() + SUCCESSOR_GRACE)
    }

    /// What comes when this has run out; `None` is the end.
    pub(super) fn next(self, successor_is_expected: bool) -> Option<Self> {
        let waits = matches!(self, Self::Hoping(_)) && successor_is_expected;
        waits.then(|| Self::Waiting(Instant::now() + SUCCESSOR_MAX))
    }

    pub(super) async fn runs_out(self) {
        match self {
            Self::Running => std::future::pending().await,
            Self::Hoping(until) | Self::Waiting(until) => tokio::time::sleep_until(until).await,
        }
    }
}

/// What one turn of the loop found.
pub(super) enum Turn {
    /// Something that a plan depends on.
    Changed,
    /// Whether the sockets for what is announced are up.
    Sockets(bool),
    /// The end.
    End(End),
}

/// How a speaker ends.
pub(super) enum End {
    /// Others take over what it owns.
    Leave,
    /// The next speaker on this node does.
    Follow(Successor),
}
