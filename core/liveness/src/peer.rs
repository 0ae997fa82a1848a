//! What is known of one peer.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ferrolb_vocab::Instant;
use ferrolb_wire::mesh::{Datagram, Kind};

use crate::mesh::Rejected;
use crate::timing::Timing;

/// Heartbeats with consecutive sequence numbers that bring a dead peer back. One would let a
/// path that passes a packet now and then flap its addresses to and fro; with three, a peer that
/// flaps as fast as it can dies and returns once in [`Timing::detection`] plus two intervals.
pub const REVIVAL_HEARTBEATS: u32 = 3;

/// How long after a peer's death its incarnation and sequence are forgotten. Until then older
/// messages are stragglers; a host whose clock was set back in a reboot would otherwise stay
/// dead until its clock catches up. No datagram is under way for so long.
pub const FORGET_AFTER: Duration = Duration::from_secs(10);

/// Addresses kept per peer. A Node has one `InternalIP` per family; more than this is a mistake.
pub(crate) const ADDRESSES_MAX: usize = 16;

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
        }
    }
}

/// One peer: where it is, what it said last, and what follows from that.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    addresses: Vec<SocketAddr>,
    last: Option<Last>,
    phase: Phase,
}

/// The newest message accepted from the peer.
#[derive(Clone, Copy, Debug)]
struct Last {
    kind: Kind,
    incarnation: u64,
    sequence: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Unknown { until: Instant },
    Alive { until: Instant },
    Dead { why: DeadReason, since: Instant, in_a_row: u32 },
}

impl Peer {
    /// A peer that is not heard yet.
    pub(crate) fn new(addresses: Vec<SocketAddr>, timing: Timing, now: Instant) -> Self {
        let phase = Phase::Unknown { until: now + timing.detection() };
        let mut peer = Self { addresses: Vec::new(), last: None, phase };
        peer.set_addresses(addresses);
        peer
    }

    /// The peer has moved to `addresses`; what it said stays true.
    pub(crate) fn set_addresses(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(ADDRESSES_MAX);
        self.addresses = addresses;
    }

    /// A message of the peer. The state after it, if that changed.
    pub(crate) fn handle_datagram(
        &mut self,
        datagram: &Datagram,
        timing: Timing,
        now: Instant,
    ) -> Result<Option<PeerState>, Rejected> {
        self.check_order(datagram, now)?;
        let &Datagram { kind, incarnation, sequence, .. } = datagram;
        let before = self.last.replace(Last { kind, incarnation, sequence });
        let follows = before.is_some_and(|last| {
            last.incarnation == incarnation && last.sequence.checked_add(1) == Some(sequence)
        });
        let state = self.state();
        self.phase = match (kind, self.phase) {
            (Kind::Heartbeat, Phase::Unknown { .. } | Phase::Alive { .. }) => alive(timing, now),
            (Kind::Heartbeat, Phase::Dead { why, since, in_a_row }) => {
                let in_a_row = if follows { in_a_row + 1 } else { 1 };
                if before.is_none() || in_a_row >= REVIVAL_HEARTBEATS {
                    alive(timing, now)
                } else {
                    Phase::Dead { why, since, in_a_row }
                }
            }
            (Kind::Leave, Phase::Unknown { .. } | Phase::Alive { .. }) => dead(DeadReason::Left, now),
            (Kind::Leave, Phase::Dead { why, since, .. }) => Phase::Dead { why, since, in_a_row: 0 },
        };
        Ok(Some(self.state()).filter(|changed| *changed != state))
    }

    /// Time has passed. Whether the peer died of silence.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|deadline| deadline <= now);
        if is_due {
            self.phase = dead(DeadReason::Silent, now);
        }
        is_due
    }

    /// When the peer is dead unless it is heard before.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Unknown { until } | Phase::Alive { until } => Some(until),
            Phase::Dead { .. } => None,
        }
    }

    pub(crate) const fn state(&self) -> PeerState {
        match self.phase {
            Phase::Unknown { .. } => PeerState::Unknown,
            Phase::Alive { .. } => PeerState::Alive,
            Phase::Dead { why, .. } => PeerState::Dead(why),
        }
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(crate) fn has_address(&self, source: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.ip().to_canonical() == source.to_canonical())
    }

    /// Whether the message is newer than the last one accepted.
    fn check_order(&self, datagram: &Datagram, now: Instant) -> Result<(), Rejected> {
        let Some(last) = self.last else { return Ok(()) };
        let is_forgotten = match self.phase {
            Phase::Dead { since, .. } => now.saturating_since(since) >= FORGET_AFTER,
            Phase::Unknown { .. } | Phase::Alive { .. } => false,
        };
        let order = (datagram.incarnation, datagram.sequence).cmp(&(last.incarnation, last.sequence));
        match order {
            Ordering::Less if is_forgotten => Ok(()),
            Ordering::Less => Err(Rejected::Stale),
            Ordering::Equal => Err(Rejected::Duplicate),
            Ordering::Greater if last.kind == Kind::Leave && last.incarnation == datagram.incarnation => {
                Err(Rejected::Departed)
            }
            Ordering::Greater => Ok(()),
        }
    }
}

fn alive(timing: Timing, now: Instant) -> Phase {
    Phase::Alive { until: now + timing.detection() }
}

const fn dead(why: DeadReason, since: Instant) -> Phase {
    Phase::Dead { why, since, in_a_row: 0 }
}
