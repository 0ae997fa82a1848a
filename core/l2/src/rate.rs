//! A bound on how often something happens.

use core::time::Duration;

use ferrolb_vocab::Instant;

/// Lets `burst` through at once and then one per `interval`: the generic cell rate algorithm
/// of ITU-T I.371, a token bucket that needs no refilling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl RateLimit {
    pub(crate) const fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / per_second as u64);
        Self { interval, burst, full_at: Instant::ORIGIN }
    }

    /// Whether one more may pass at `now`; if so, it has been counted.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + self.interval;
        if full_at.saturating_since(now) > self.interval * self.burst {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_per_interval() {
        let at = |ms| Instant::from_origin(Duration::from_millis(ms));
        let mut limit = RateLimit::new(100, 3);
        let admitted = |limit: &mut RateLimit, ms| (0..10).filter(|_| limit.admit(at(ms))).count();
        assert_eq!(admitted(&mut limit, 1000), 3);
        assert_eq!(admitted(&mut limit, 1009), 0);
        assert_eq!(admitted(&mut limit, 1010), 1);
        assert_eq!(admitted(&mut limit, 1030), 2);
        assert_eq!(admitted(&mut limit, 9000), 3, "a long silence saves up no more than the burst");
    }
}
