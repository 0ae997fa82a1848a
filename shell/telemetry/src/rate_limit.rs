//! One line for a warning that would repeat.

use std::time::Duration;

use ferrolb_vocab::Instant;

/// Lets one occurrence through per interval and counts the others.
#[derive(Clone, Debug)]
pub struct RateLimit {
    interval: Duration,
    next: Instant,
    suppressed: u64,
}

impl RateLimit {
    /// A limit of one occurrence per `interval`; the first is always let through.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self { interval, next: Instant::ORIGIN, suppressed: 0 }
    }

    /// Whether to report the occurrence at `now`: `Some` with the number that went unreported
    /// since the last report, or `None` to stay silent.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if now < self.next {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.next = now + self.interval;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_per_interval_and_the_rest_are_counted() {
        let at = |ms| Instant::from_origin(Duration::from_millis(ms));
        let mut limit = RateLimit::new(Duration::from_secs(1));
        assert_eq!(limit.admit(at(0)), Some(0));
        assert_eq!(limit.admit(at(10)), None);
        assert_eq!(limit.admit(at(999)), None);
        assert_eq!(limit.admit(at(1_000)), Some(2));
        assert_eq!(limit.admit(at(5_000)), Some(0));
    }
}
