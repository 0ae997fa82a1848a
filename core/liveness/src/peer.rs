//! What is known of one peer.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::net::SocketAddr;
use core::time::Duration;

use ferrolb_vocab::Instant;
use ferrolb_wire::mesh::{Datagram, Heartbeat};

use crate::mesh::Rejected;
use crate::timing::Timing;
use claims::PeerClaims;
use outbox::Outbox;
use refusals::{Meaning, Refusals};

pub(crate) mod claims;
pub(crate) mod outbox;
pub(crate) mod refusals;

/// Heartbeats with consecutive sequence numbers that bring a dead peer back in the incarnation in
/// which it died. One would let a path that passes a packet now and then flap its addresses to
/// and fro; with three, a peer that flaps as fast as it can dies and returns once in
/// [`Timing::detection`] plus two intervals. A new incarnation is a process that has started, and
/// has exchanged datagrams to be heard at all: one heartbeat is enough.
pub const REVIVAL_HEARTBEATS: u32 = 3;

/// How long after a peer's death its incarnation and sequence are forgotten. Until then older
/// messages are stragglers; a host whose clock was set back in a reboot would otherwise stay
/// dead until its clock catches up. No datagram is under way for so long.
pub const FORGET_AFTER: Duration = Duration::from_secs(10);

/// Intervals that a peer has left to be heard when it was this speaker that slept: the heartbeat
/// of the first may be lost or late.
pub const GRACE_INTERVALS: u32 = 2;

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

/// One peer: where it is, what it said last, and what follows from that.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) outbox: Outbox,
    pub(crate) claims: PeerClaims,
    refusals: Refusals,
    acquaintance: Acquaintance,
    /// The newest heartbeat or Leave accepted.
    last: Option<Last>,
    phase: Phase,
    is_leaving: bool,
}

/// Who the peer is, and whether it knows who this speaker is.
#[derive(Clone, Copy, Debug, Default)]
struct Acquaintance {
    /// The peer's incarnation, to be echoed to it.
    incarnation: u64,
    /// Whether its last datagram bore this speaker's incarnation.
    is_mutual: bool,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    is_leave: bool,
    incarnation: u64,
    sequence: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Unknown { until: Instant, grace: Grace },
    Alive { until: Instant, grace: Grace },
    Dead { why: DeadReason, since: Instant, in_a_row: u32 },
}

/// Whether this silence has been prolonged, which is done once: a speaker that is held up all the
/// time must notice deaths too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    Unused,
    Used,
}

/// What to do after a datagram came, before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Nothing: each knows the other.
    None,
    /// Say who we are: it has missed that.
    Again,
    /// Say who we are and what we own: it has just started.
    First,
}

impl Peer {
    /// A peer that is not heard yet, to which datagrams were sent up to `sequence`.
    pub(crate) fn new(addresses: Vec<SocketAddr>, sequence: u64, timing: Timing, now: Instant) -> Self {
        Self {
            outbox: Outbox::new(addresses, sequence),
            claims: PeerClaims::default(),
            refusals: Refusals::default(),
            acquaintance: Acquaintance::default(),
            last: None,
            phase: Phase::Unknown { until: now + timing.detection(), grace: Grace::Unused },
            is_leaving: false,
        }
    }

    /// An authentic datagram bears the peer's name and an address of it: who is it? `me` is this
    /// speaker's incarnation.
    pub(crate) fn meet(&mut self, datagram: &Datagram, me: u64, now: Instant) -> Result<Greeting, Rejected> {
        let known = self.acquaintance.incarnation;
        if datagram.incarnation < known && !self.is_forgotten(now) {
            return Err(Rejected::Stale);
        }
        self.acquaintance =
            Acquaintance { incarnation: datagram.incarnation, is_mutual: datagram.echo == me };
        Ok(match self.acquaintance.is_mutual {
            _either if datagram.incarnation != known => Greeting::First,
            true => Greeting::None,
            false => Greeting::Again,
        })
    }

    /// A heartbeat of the peer, which knows this speaker. The state after it, if that changed.
    pub(crate) fn handle_heartbeat(
        &mut self,
        (datagram, heartbeat): (&Datagram, Heartbeat),
        timing: Timing,
        now: Instant,
    ) -> Result<Option<PeerState>, Rejected> {
        let before = self.accept(datagram, false, now)?;
        let &Datagram { incarnation, sequence, .. } = datagram;
        let returns = before.filter(|last| last.incarnation == incarnation);
        let state = self.state();
        if returns.is_none() {
            self.refusals = Refusals::default();
        }
        self.refusals.clear(self.outbox.sequence());
        self.claims.announce(incarnation, heartbeat.claims_version, now);
        self.is_leaving = heartbeat.is_leaving;
        self.phase = match (self.phase, returns) {
            (Phase::Dead { why, since, in_a_row }, Some(last)) => {
                let follows = last.sequence.checked_add(1) == Some(sequence);
                let in_a_row = if follows { in_a_row + 1 } else { 1 };
                if in_a_row < REVIVAL_HEARTBEATS {
                    Phase::Dead { why, since, in_a_row }
                } else {
                    if why == DeadReason::ProcessGone {
                        self.refusals.refute();
                    }
                    alive(timing, now)
                }
            }
            (Phase::Dead { .. }, None) | (Phase::Unknown { .. } | Phase::Alive { .. }, _) => {
                alive(timing, now)
            }
        };
        Ok(Some(self.state()).filter(|changed| *changed != state))
    }

    /// The peer, which knows this speaker, says that it is gone. Whether that is news.
    pub(crate) fn handle_leave(&mut self, datagram: &Datagram, now: Instant) -> Result<bool, Rejected> {
        self.accept(datagram, true, now)?;
        match self.phase {
            Phase::Unknown { .. } | Phase::Alive { .. } => {
                self.die(DeadReason::Left, now);
                Ok(true)
            }
            Phase::Dead { why, since, .. } => {
                self.phase = Phase::Dead { why, since, in_a_row: 0 };
                Ok(false)
            }
        }
    }

    /// The kernel of a node has refused the datagram `sequence` at `dst`.
    pub(crate) fn handle_refusal(&mut self, dst: SocketAddr, sequence: u64, now: Instant) -> Meaning {
        let PeerState::Alive = self.state() else { return Meaning::None };
        let meaning = self.refusals.note(dst, sequence, self.outbox.addresses());
        if meaning == Meaning::Gone {
            self.die(DeadReason::ProcessGone, now);
        }
        meaning
    }

    /// Time has passed. Whether the peer died of silence.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|deadline| deadline <= now);
        if is_due {
            self.die(DeadReason::Silent, now);
        }
        is_due
    }

    /// This speaker has slept: the peer, unless it was heard just now, has until `until`.
    pub(crate) fn give_grace(&mut self, not_before: Instant) {
        match &mut self.phase {
            Phase::Unknown { until, grace } | Phase::Alive { until, grace } if *grace == Grace::Unused => {
                if *until < not_before {
                    (*until, *grace) = (not_before, Grace::Used);
                }
            }
            Phase::Unknown { .. } | Phase::Alive { .. } | Phase::Dead { .. } => {}
        }
    }

    /// When the peer is dead unless it is heard before.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Unknown { until, .. } | Phase::Alive { until, .. } => Some(until),
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

    /// Whether the peer is up and about to leave.
    pub(crate) const fn is_leaving(&self) -> bool {
        self.is_leaving && matches!(self.phase, Phase::Alive { .. })
    }

    /// The peer's incarnation, as far as it is known.
    pub(crate) const fn incarnation(&self) -> u64 {
        self.acquaintance.incarnation
    }

    /// Whether the peer knows this speaker's incarnation.
    pub(crate) const fn is_mutual(&self) -> bool {
        self.acquaintance.is_mutual
    }

    /// Whether the incarnation of `datagram` has left.
    pub(crate) fn has_departed(&self, datagram: &Datagram) -> bool {
        self.last.is_some_and(|last| last.is_leave && last.incarnation == datagram.incarnation)
    }

    fn die(&mut self, why: DeadReason, now: Instant) {
        self.phase = Phase::Dead { why, since: now, in_a_row: 0 };
        self.claims = PeerClaims::default();
    }

    /// Remembers the message as the last one, which it returns, if it is newer than that.
    fn accept(
        &mut self,
        datagram: &Datagram,
        is_leave: bool,
        now: Instant,
    ) -> Result<Option<Last>, Rejected> {
        let &Datagram { incarnation, sequence, .. } = datagram;
        if let Some(last) = self.last {
            match (incarnation, sequence).cmp(&(last.incarnation, last.sequence)) {
                Ordering::Less if !self.is_forgotten(now) => return Err(Rejected::Stale),
                Ordering::Equal => return Err(Rejected::Duplicate),
                Ordering::Greater if self.has_departed(datagram) => return Err(Rejected::Departed),
                Ordering::Less | Ordering::Greater => {}
            }
        }
        Ok(self.last.replace(Last { is_leave, incarnation, sequence }))
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Dead { since, .. } => now.saturating_since(since) >= FORGET_AFTER,
            Phase::Unknown { .. } | Phase::Alive { .. } => false,
        }
    }
}

fn alive(timing: Timing, now: Instant) -> Phase {
    Phase::Alive { until: now + timing.detection(), grace: Grace::Unused }
}
