//! What a client has counted so far.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::arp::Resolution;

/// What a client counted. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// New connections that were tried.
    pub attempts: u64,
    /// Of those, the ones that could not be established.
    pub failed: u64,
    /// And the ones that were established and got no answer: an address that moves between the
    /// handshake and the answer breaks them as it breaks older ones.
    pub interrupted: u64,
    /// The longest time from one answer on a new connection to the next, or to the end.
    pub longest_gap_us: u64,
    /// The longest time without a new connection being tried: how late the client itself was.
    pub longest_pause_us: u64,
    /// Established connections.
    pub established: usize,
    /// Of those, the ones that ended or fell silent.
    pub broken: usize,
    /// What it took to find the address's owner on the link.
    pub resolution: Resolution,
}

/// Counts, and remembers when what happened last.
#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    attempts: u64,
    failed: u64,
    interrupted: u64,
    last_attempt: Instant,
    longest_pause: Duration,
    last_answer: Instant,
    longest_gap: Duration,
    last_failure: Option<Instant>,
    /// When each established connection last exchanged something; `None` once it is broken.
    exchanges: Vec<Option<Instant>>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            attempts: 0,
            failed: 0,
            interrupted: 0,
            last_attempt: now,
            longest_pause: Duration::ZERO,
            last_answer: now,
            longest_gap: Duration::ZERO,
            last_failure: None,
            exchanges: Vec::new(),
        }
    }

    /// Counting begins.
    pub(super) fn start(&mut self) {
        let now = Instant::now();
        (self.started, self.last_attempt, self.last_answer) = (now, now, now);
    }

    pub(super) fn attempt(&mut self) {
        let now = Instant::now();
        self.attempts += 1;
        self.longest_pause = self.longest_pause.max(now.duration_since(self.last_attempt));
        self.last_attempt = now;
    }

    pub(super) fn answered(&mut self) {
        let now = Instant::now();
        self.longest_gap = self.longest_gap.max(now.duration_since(self.last_answer));
        self.last_answer = now;
    }

    /// Returns when it failed.
    pub(super) fn failed(&mut self) -> u64 {
        self.failed += 1;
        self.failure()
    }

    /// Returns when it was interrupted.
    pub(super) fn interrupted(&mut self) -> u64 {
        self.interrupted += 1;
        self.failure()
    }

    /// A new established connection; returns its number.
    pub(super) fn established(&mut self) -> usize {
        self.exchanges.push(Some(Instant::now()));
        self.exchanges.len() - 1
    }

    pub(super) fn exchanged(&mut self, number: usize) {
        if let Some(exchange) = self.exchanges.get_mut(number) {
            *exchange = Some(Instant::now());
        }
    }

    /// Returns when it broke.
    pub(super) fn broken(&mut self, number: usize) -> u64 {
        if let Some(exchange) = self.exchanges.get_mut(number) {
            *exchange = None;
        }
        self.failure()
    }

    /// Whether there were answers and no failure for so long.
    pub(super) fn is_quiet(&self, time: Duration) -> bool {
        let is_answering = self.last_answer.elapsed() < time;
        is_answering && self.last_failure.unwrap_or(self.started).elapsed() >= time
    }

    /// What it comes to, with `established` connections opened at the start.
    pub(super) fn summary(&self, established: usize, resolution: Resolution) -> Summary {
        // The end of the attempts, not now: the last ones may just have been waited for.
        let silent_end = self.last_attempt.saturating_duration_since(self.last_answer);
        let is_alive = |exchange: &&Option<Instant>| {
            exchange
                .is_some_and(|exchange| self.last_attempt.saturating_duration_since(exchange) < super::QUIET)
        };
        let alive = self.exchanges.iter().filter(is_alive).count();
        Summary {
            attempts: self.attempts,
            failed: self.failed,
            interrupted: self.interrupted,
            longest_gap_us: micros(self.longest_gap.max(silent_end)),
            longest_pause_us: micros(self.longest_pause),
            established,
            broken: established.saturating_sub(alive),
            resolution,
        }
    }

    fn failure(&mut self) -> u64 {
        let now = Instant::now();
        self.last_failure = Some(now);
        micros(now.duration_since(self.started))
    }
}

/// Microseconds, saturating.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_and_what_fell_silent_is_broken() {
        let mut tally = Tally::new();
        let numbers = [tally.established(), tally.established(), tally.established()];
        tally.attempt();
        tally.answered();
        tally.broken(numbers[1]);
        let summary = tally.summary(4, Resolution::default());
        assert_eq!((summary.attempts, summary.failed, summary.broken), (1, 0, 2), "one never connected");
        tally.last_attempt += super::super::QUIET * 2;
        assert_eq!(tally.summary(4, Resolution::default()).broken, 4);
    }

    #[test]
    fn a_silence_at_the_end_is_a_gap() {
        let mut tally = Tally::new();
        tally.answered();
        tally.last_attempt = tally.last_answer + Duration::from_secs(5);
        assert_eq!(tally.summary(0, Resolution::default()).longest_gap_us, 5_000_000);
        assert!(!tally.is_quiet(Duration::from_secs(1)), "it has not run for so long");
    }
}
