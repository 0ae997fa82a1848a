//! What comes out of a session.

use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{Control, Diagnostic, State};

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Each side hears the other.
    Up {
        /// Since when.
        at: Instant,
    },
    /// The session was Up and is not any more.
    Down {
        /// Since when.
        at: Instant,
        /// How that was noticed.
        why: DownReason,
        /// What the peer is told of it (bfd.LocalDiag).
        diagnostic: Diagnostic,
    },
}

/// Why a session left Up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// The peer was silent for the Detection Time.
    DetectionTimeExpired,
    /// As many Echo packets in a row as Detect Mult says did not come back.
    EchoFailed,
    /// The peer says that its session is down.
    NeighborDown {
        /// Why, by its own account.
        diagnostic: Diagnostic,
    },
    /// The peer says that it was told so by this side, which has not said it: it has begun anew.
    NeighborReset,
    /// The peer's operator holds its session down.
    NeighborAdminDown,
    /// This side's operator does.
    AdminDown,
}

impl DownReason {
    /// The reason that a packet gives that takes a session down that is Up.
    pub(super) fn of_neighbor(packet: &Control) -> Self {
        match (packet.state, packet.diagnostic) {
            (State::AdminDown, _) => Self::NeighborAdminDown,
            (State::Down | State::Init | State::Up, Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN) => {
                Self::NeighborReset
            }
            (State::Down | State::Init | State::Up, diagnostic) => Self::NeighborDown { diagnostic },
        }
    }

    /// Whether the path failed, so that whoever relies on it must act. An operator's AdminDown, on
    /// either side, is none: RFC 5882 §3.2, §4.2. Nor is that a peer makes its session anew, as FRR 10
    /// does when BGP comes up: nobody missed a packet.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::DetectionTimeExpired | Self::EchoFailed | Self::NeighborDown { .. } => true,
            Self::NeighborReset | Self::NeighborAdminDown | Self::AdminDown => false,
        }
    }

    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::DetectionTimeExpired => "detection_time_expired",
            Self::EchoFailed => "echo_failed",
            Self::NeighborDown { .. } => "neighbor_down",
            Self::NeighborReset => "neighbor_reset",
            Self::NeighborAdminDown => "neighbor_admin_down",
            Self::AdminDown => "admin_down",
        }
    }
}

/// Why a session wants to be called at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to send the next packet.
    Transmit,
    /// When the peer has been silent for too long unless it is heard before.
    Detection,
    /// When to send the next Echo packet, or to miss those before it.
    Echo,
}
