//! When to connect, and when to try again.

use core::time::Duration;

use ferrolb_vocab::{Instant, Random};
use ferrolb_wire::bgp::{Cease, Notification};

use super::ending::Farewell;
use super::events::{BfdState, Event, Reason, Transmit};
use super::{Attempt, DIRECTIONS, Peer};
use crate::config::{BfdPolicy, Role};

/// The time before the second attempt. Each failure doubles it, up to the configured time.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest that TCP may take to connect, lest its own timers, which grow, find a router late
/// that has come back.
pub(super) const ATTEMPT_TIME: Duration = Duration::from_secs(10);

impl Peer {
    /// BFD has something new to say. That it has lost a path that worked takes the session down
    /// (RFC 5882 §4.2, RFC 9384); that it does not work yet only holds back one that would be new,
    /// where the operator wants it.
    pub fn set_bfd(&mut self, bfd: BfdState, now: Instant) {
        let before = core::mem::replace(&mut self.bfd, bfd);
        match (self.config.bfd, before, bfd) {
            (BfdPolicy::Follow | BfdPolicy::Strict, BfdState::Up, BfdState::Down) => self.lose_path(now),
            (BfdPolicy::Follow | BfdPolicy::Strict, BfdState::Down, BfdState::Up | BfdState::AdminDown) => {
                // Damped by what failed before: a path that comes and goes is no use.
                self.retry_damped(now);
            }
            _no_matter => {}
        }
        self.settle(now);
    }

    /// The path does not work, says BFD: the session ends at once. The next waits for BFD, or
    /// for the longest time between attempts.
    fn lose_path(&mut self, now: Instant) {
        if self.give_up_attempt() {
            self.fail(Reason::BfdDown, now);
        }
        for direction in DIRECTIONS {
            let farewell = self.final_cease(direction, Notification::cease(Cease::BfdDown, None));
            self.end(direction, Reason::BfdDown, Farewell::Notify(farewell), now);
        }
        self.retry = Some(now + jittered(self.longest_retry(), &mut self.random));
    }

    /// Connects if that is due, and sees that it will be. The ConnectRetryTimer runs only while
    /// this side has to connect: not while it waits for the peer, BFD or TCP.
    pub(super) fn dial(&mut self, now: Instant) {
        let may_connect = self.is_started && self.config.role == Role::Active && !self.waits_for_bfd();
        if !may_connect {
            self.give_up_attempt();
        }
        if !may_connect || !self.is_alone() {
            self.retry = None;
            return;
        }
        if self.retry.is_some_and(|retry| retry > now) {
            return;
        }
        self.retry = None;
        let id = self.next_connection();
        let time = ATTEMPT_TIME.min(self.longest_retry());
        self.attempt = Some(Attempt { id, until: now + time });
        self.record.attempts += 1;
        self.transmits.push_back(Transmit::Connect { id });
    }

    /// Drops the attempt to connect. Whether there was one.
    pub(super) fn give_up_attempt(&mut self) -> bool {
        let Some(attempt) = self.attempt.take() else { return false };
        self.transmits.push_back(Transmit::Abort { id: attempt.id });
        true
    }

    /// An attempt to connect has come to nothing.
    pub(super) fn fail(&mut self, reason: Reason, now: Instant) {
        self.events.push_back(Event::Failed { at: now, reason: reason.clone() });
        // Of two, the other goes on.
        if self.is_alone() {
            self.record.note_lost(reason, now);
            self.back_off(now);
        }
    }

    /// All that there was has failed: the next attempt waits.
    pub(super) fn back_off(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.retry_damped(now);
    }

    /// Whether there is neither a connection of this side's, nor an attempt at one, nor one of the
    /// peer's on which it has said a word: who only connects and is silent holds up nothing.
    pub(super) fn is_alone(&self) -> bool {
        let mut connections = self.connections.iter();
        self.attempt.is_none() && connections.all(|(direction, connection)| connection.is_silent(*direction))
    }

    /// The next attempt is made when it would be anyway, or after a time by how many have failed:
    /// fast at first, then exponential.
    fn retry_damped(&mut self, now: Instant) {
        let after = match self.failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(before) => {
                let doubled = FIRST_RETRY.saturating_mul(1 << before.min(DOUBLINGS_MAX));
                jittered(doubled.min(self.longest_retry()), &mut self.random)
            }
        };
        let due = now + after;
        self.retry = Some(self.retry.map_or(due, |retry| retry.min(due)));
    }

    fn longest_retry(&self) -> Duration {
        self.config.connect_retry_time.max(FIRST_RETRY)
    }
}

/// A time less 0 to 25 %, so that neighbours do not fall into step: RFC 4271 §10.
pub(super) fn jittered(time: Duration, random: &mut Random) -> Duration {
    let draw = random.draw();
    let per_million = LEAST_PER_MILLION + ((u64::from(draw) * SPAN) >> u32::BITS);
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos / 1_000_000 * per_million)
}

const LEAST_PER_MILLION: u64 = 750_000;
const SPAN: u64 = 250_001;

/// By then the time is longer than any that can be configured.
const DOUBLINGS_MAX: u32 = 20;
