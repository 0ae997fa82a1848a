//! Bounds on how often something happens.

use alloc::collections::BTreeMap;
use core::time::Duration;

use ferrolb_vocab::{Instant, MacAddr};

/// The most replies in a second on an interface: a segment of 5,000 hosts may ask all at once,
/// and a flood costs at most a few per cent of a core and 4 Mbit/s.
pub const REPLIES_PER_SECOND: u32 = 5_000;

/// The replies that may go out together.
pub const REPLIES_BURST: u32 = 1_000;

/// One station's share of [`REPLIES_PER_SECOND`]: a router that probes a thousand addresses is
/// answered within a second, and one that floods leaves four fifths to the others.
pub const REPLIES_PER_ASKER_PER_SECOND: u32 = 1_000;

/// One station's share of [`REPLIES_BURST`].
pub const REPLIES_PER_ASKER_BURST: u32 = 500;

/// The most stations whose share is counted on an interface. Of more, the one that has been quiet
/// the longest is forgotten, which gives it a fresh share; the interface's bound holds for all.
pub const ASKERS_MAX: usize = 512;

/// Who gets how many replies on an interface.
#[derive(Clone, Debug)]
pub(crate) struct ReplyLimit {
    all: RateLimit,
    askers: BTreeMap<MacAddr, RateLimit>,
}

impl Default for ReplyLimit {
    fn default() -> Self {
        Self { all: RateLimit::new(REPLIES_PER_SECOND, REPLIES_BURST), askers: BTreeMap::new() }
    }
}

impl ReplyLimit {
    /// Whether `asker` may be answered at `now`; if so, that has been counted. A station over its
    /// share uses up nothing of the others'.
    pub(crate) fn admit(&mut self, asker: MacAddr, now: Instant) -> bool {
        if !self.all.has_room(now) {
            return false;
        }
        if self.askers.len() >= ASKERS_MAX && !self.askers.contains_key(&asker) {
            self.forget_quietest();
        }
        let share = self
            .askers
            .entry(asker)
            .or_insert(RateLimit::new(REPLIES_PER_ASKER_PER_SECOND, REPLIES_PER_ASKER_BURST));
        share.admit(now) && self.all.admit(now)
    }

    fn forget_quietest(&mut self) {
        let quietest = self.askers.iter().min_by_key(|(_, share)| share.full_at).map(|(asker, _)| *asker);
        if let Some(quietest) = quietest {
            self.askers.remove(&quietest);
        }
    }
}

/// Lets `burst` through at once and then one per `interval`: the generic cell rate algorithm
/// of ITU-T I.371, a token bucket that needs no refilling.
#[derive(Clone, Copy, Debug)]
struct RateLimit {
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl RateLimit {
    const fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / per_second as u64);
        Self { interval, burst, full_at: Instant::ORIGIN }
    }

    /// Whether one more may pass at `now`.
    fn has_room(&self, now: Instant) -> bool {
        self.full_after(now).saturating_since(now) <= self.interval * self.burst
    }

    /// Whether one more may pass at `now`; if so, it has been counted.
    fn admit(&mut self, now: Instant) -> bool {
        let has_room = self.has_room(now);
        if has_room {
            self.full_at = self.full_after(now);
        }
        has_room
    }

    fn full_after(&self, now: Instant) -> Instant {
        self.full_at.max(now) + self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(ms))
    }

    fn asker(number: u32) -> MacAddr {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddr([2, 0, a, b, c, d])
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_per_interval() {
        let mut limit = RateLimit::new(100, 3);
        let admitted = |limit: &mut RateLimit, ms| (0..10).filter(|_| limit.admit(at(ms))).count();
        assert_eq!(admitted(&mut limit, 1000), 3);
        assert_eq!(admitted(&mut limit, 1009), 0);
        assert_eq!(admitted(&mut limit, 1010), 1);
        assert_eq!(admitted(&mut limit, 1030), 2);
        assert_eq!(admitted(&mut limit, 9000), 3, "a long silence saves up no more than the burst");
    }

    #[test]
    fn one_flooding_station_leaves_the_others_their_replies() {
        let mut limit = ReplyLimit::default();
        // For two seconds one station asks a hundred times in each millisecond, another once.
        let mut of_flood = 0;
        for ms in 1000..3000 {
            of_flood += (0..100).map(|_| u32::from(limit.admit(asker(0), at(ms)))).sum::<u32>();
            assert!(limit.admit(asker(1), at(ms)), "at {ms} ms");
        }
        let share = REPLIES_PER_ASKER_BURST + 2 * REPLIES_PER_ASKER_PER_SECOND;
        assert!((share - 2..=share).contains(&of_flood), "{of_flood}");
    }

    #[test]
    fn many_stations_together_get_no_more_than_the_interface() {
        let mut limit = ReplyLimit::default();
        let admitted = (0..10_000).filter(|number| limit.admit(asker(*number), at(1000))).count();
        assert_eq!(admitted, usize::try_from(REPLIES_BURST).unwrap());
        assert_eq!(limit.askers.len(), ASKERS_MAX);
    }

    #[test]
    fn the_station_that_was_quiet_the_longest_is_forgotten_first() {
        let mut limit = ReplyLimit::default();
        for number in 0..u32::try_from(ASKERS_MAX).unwrap() {
            assert!(limit.admit(asker(number), at(1000 + u64::from(number))));
        }
        assert!(limit.admit(asker(0), at(5000)));
        assert!(limit.admit(asker(9999), at(5000)));
        assert!(limit.askers.contains_key(&asker(0)) && !limit.askers.contains_key(&asker(1)));
    }
}
