//! What a peer is taken for.

/// Whether a peer may own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Not heard yet, and not long enough a peer to be missed: presumed alive.
    Unknown,
    /// Heard within the detection time.
    Alive,
    /// Taken for dead.
    Dead(DeadReason),
}

/// Why a peer is taken for dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadReason {
    /// Nothing was heard for the detection time.
    Silent,
    /// It said that it leaves.
    Left,
    /// The kernel of its node says that nobody listens any more.
    ProcessGone,
}

impl PeerState {
    /// The state's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Alive => "alive",
            Self::Dead(_) => "dead",
        }
    }
}

impl DeadReason {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Silent => "Silent",
            Self::Left => "Left",
            Self::ProcessGone => "ProcessGone",
        }
    }
}
