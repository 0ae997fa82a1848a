//! What is known of one peer.

use core::cmp::Ordering;
use core::net::SocketAddr;
use core::time::Duration;

use ferrolb_vocab::{Instant, NodeName};
use ferrolb_wire::mesh::{Datagram, Heartbeat};

use crate::mesh::{Rejected, watching};
use crate::timing::Timing;
use claims::PeerClaims;
use outbox::Outbox;
use refusals::{Meaning, Refusals};

pub(crate) mod claims;
pub(crate) mod outbox;
pub(crate) mod refusals;
mod state;

pub use state::{DeadReason, PeerState};

/// Heartbeats with consecutive sequence numbers that bring a dead peer back in the incarnation in
/// which it died. One would let a path that passes a packet now and then flap its addresses to
/// and fro; with three, a peer that flaps as fast as it can dies and returns once in
/// [`Timing::detection`] plus two intervals. A new incarnation is a process that has started, and
/// has exchanged datagrams to be heard at all: one heartbeat is enough.
pub const REVIVAL_HEARTBEATS: u32 = 3;

/// How long after a peer's death its incarnation and sequence are forgotten. Until then older
/// messages are stragglers; a host whose clock was set back in a reboot, and that hears nothing it
/// could learn its former incarnation of, would otherwise stay dead until its clock catches up. No
/// datagram is under way for so long.
pub const FORGET_AFTER: Duration = Duration::from_secs(10);

/// Intervals that a peer has left to be heard when it was this speaker that slept: the heartbeat
/// of the first may be lost or late.
pub const GRACE_INTERVALS: u32 = 2;

/// One peer: where it is, what it said last, and what follows from that.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    position: u64,
    pub(crate) outbox: Outbox,
    /// How often the peer says that it is heard.
    timing: Timing,
    /// When its last heartbeat came.
    heard: Option<Instant>,
    /// Whether the others are to be told of its death by this speaker.
    is_herald: bool,
    pub(crate) claims: PeerClaims,
    refusals: Refusals,
    acquaintance: Acquaintance,
    /// The newest heartbeat, Leave or Suspect accepted.
    pub(crate) last: Option<Last>,
    phase: Phase,
    is_leaving: bool,
    /// Whether its node is none of the cluster's, any more or yet: it is told and heard, and no candidate.
    pub(crate) is_stranger: bool,
}

/// Who the peer is, and whether it knows who this speaker is.
#[derive(Clone, Copy, Debug, Default)]
struct Acquaintance {
    /// The peer's incarnation, to be echoed to it.
    incarnation: u64,
    /// Whether its last datagram bore this speaker's incarnation.
    is_mutual: bool,
}

/// A message that was accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    is_leave: bool,
    pub(crate) incarnation: u64,
    sequence: u64,
}

impl Last {
    /// Whether `datagram` was sent after it, by a process that has not left.
    pub(crate) fn precedes(&self, datagram: &Datagram) -> Result<(), Rejected> {
        let has_left = self.is_leave && self.incarnation == datagram.incarnation;
        match (datagram.incarnation, datagram.sequence).cmp(&(self.incarnation, self.sequence)) {
            Ordering::Less => Err(Rejected::Stale),
            Ordering::Equal => Err(Rejected::Duplicate),
            Ordering::Greater if has_left => Err(Rejected::Departed),
            Ordering::Greater => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Unknown {
        until: Instant,
        grace: Grace,
    },
    /// Doubted if others take it for dead.
    Alive {
        until: Instant,
        grace: Grace,
        is_doubted: bool,
    },
    Dead {
        why: DeadReason,
        since: Instant,
        in_a_row: u32,
    },
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
    /// A peer that is not heard yet, and presumed to be heard as often as `timing` says.
    pub(crate) fn new(node: &NodeName, outbox: Outbox, timing: Timing, now: Instant) -> Self {
        Self {
            position: watching::position(node),
            outbox,
            timing,
            heard: None,
            is_herald: false,
            claims: PeerClaims::default(),
            refusals: Refusals::default(),
            acquaintance: Acquaintance::default(),
            last: None,
            phase: Phase::Unknown { until: now + timing.detection(), grace: Grace::Unused },
            is_leaving: false,
            is_stranger: false,
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
        now: Instant,
    ) -> Result<Option<PeerState>, Rejected> {
        let timing = Timing::new(heartbeat.interval, heartbeat.detection)?;
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
        if heartbeat.is_followed {
            self.refusals.refute();
        }
        (self.timing, self.is_herald, self.heard) = (timing, heartbeat.is_herald, Some(now));
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

    /// The peer, which knows this speaker, takes another for dead. Whether its word counts.
    pub(crate) fn handle_suspect(&mut self, datagram: &Datagram, now: Instant) -> Result<bool, Rejected> {
        // What an incarnation says first is a heartbeat; before it, it is not alive.
        if self.last.is_none_or(|last| last.incarnation != datagram.incarnation) {
            return Err(Rejected::Unconfirmed);
        }
        self.accept(datagram, false, now)?;
        Ok(self.state() == PeerState::Alive)
    }

    /// Someone takes the peer's `incarnation` for dead: it has at most `detection` to show that it
    /// is not. A peer that is heard as often as that has no longer anyway.
    pub(crate) fn doubt(&mut self, incarnation: u64, detection: Duration, now: Instant) {
        let is_past = incarnation < self.acquaintance.incarnation;
        if let Phase::Alive { until, is_doubted, .. } = &mut self.phase
            && !is_past
            && now + detection < *until
        {
            (*until, *is_doubted) = (now + detection, true);
        }
    }

    /// The version of the claims to ask the peer with, whose next heartbeat is far: others take it
    /// for dead, or it was dead and has just been heard, or it owns what is not known.
    pub(crate) fn question(&mut self, own: Timing, now: Instant) -> Option<u64> {
        let is_recent = |heard| now.saturating_since(heard) < own.detection();
        match self.phase {
            _any if self.timing.interval() <= own.interval() => None,
            Phase::Alive { is_doubted: false, .. } => self.claims.ask(now),
            Phase::Alive { is_doubted: true, .. } => Some(self.claims.known_version()),
            Phase::Dead { in_a_row, .. } if in_a_row > 0 && self.heard.is_some_and(is_recent) => {
                Some(self.claims.known_version())
            }
            Phase::Unknown { .. } | Phase::Dead { .. } => None,
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

    /// This speaker has slept: the peer, unless it was heard just now, has [`GRACE_INTERVALS`] left.
    pub(crate) fn give_grace(&mut self, now: Instant) {
        let not_before = now + self.timing.interval() * GRACE_INTERVALS;
        match &mut self.phase {
            Phase::Unknown { until, grace } | Phase::Alive { until, grace, .. }
                if *grace == Grace::Unused =>
            {
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

    /// Whether the peer says that it is heard more often than at `interval`.
    pub(crate) fn is_heard_within(&self, interval: Duration) -> bool {
        self.timing.interval() < interval
    }

    /// The peer's place on the ring.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// Whether the others are to be told by this speaker that the peer is dead, and may not know.
    pub(crate) fn is_to_be_told(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Unknown { .. } | Phase::Alive { .. } => false,
            Phase::Dead { since, in_a_row, .. } => {
                let is_recent = now.saturating_since(since) < Timing::SLOW.detection();
                self.is_herald && in_a_row == 0 && is_recent
            }
        }
    }

    /// The peer's incarnation, as far as it is known.
    pub(crate) const fn incarnation(&self) -> u64 {
        self.acquaintance.incarnation
    }

    /// Whether the peer knows this speaker's incarnation.
    pub(crate) const fn is_mutual(&self) -> bool {
        self.acquaintance.is_mutual
    }

    /// Whether the last message was of the same incarnation.
    pub(crate) fn goes_on(&self, datagram: &Datagram) -> bool {
        self.last.is_some_and(|last| last.incarnation == datagram.incarnation)
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
            match last.precedes(datagram) {
                Err(Rejected::Stale) if self.is_forgotten(now) => {}
                order => order?,
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
    Phase::Alive { until: now + timing.detection(), grace: Grace::Unused, is_doubted: false }
}
