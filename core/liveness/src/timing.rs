//! How often heartbeats go out, and how long silence may last.

use core::time::Duration;

/// The mesh's two durations. Each speaker says its own in its heartbeats, and its peers go by
/// these, so that nodes with different ones watch each other rightly.
///
/// | interval / detection | lost in a row | a false death per peer at 1 %, 10 %, 30 % random loss |
/// |----------------------|---------------|-------------------------------------------------------|
/// | 35 ms / 255 ms       | 6 survived    | every 112,000 years, 4.5 days, 3.8 minutes             |
/// | 35 ms / 245 ms       | 5 survived    | every 1,120 years, 11 hours, 1.1 minutes               |
/// | 50 ms / 400 ms       | 6 survived    | every 160,000 years, 6.4 days, 5.4 minutes             |
/// | 10 ms / 75 ms        | 6 survived    | every 32,000 years, 31 hours, 65 seconds               |
/// | 1 s / 7.25 s         | 6 survived    | every 3.2 million years, 127 days, 1.8 hours           |
///
/// (mean, for jitter just below an interval; [`Timing::mean_intervals_to_false_death`].) A false
/// death moves an address and breaks its connections, and a dead node's address is unreachable
/// for the detection time and that of the takeover, which people notice from 300 ms on. So the
/// default is the first line, at the price of 29 datagrams per second and peer; 10 ms less of
/// detection would cost one heartbeat that falls on the deadline. [`Timing::FAST`] is the last line but one, and
/// [`Timing::SLOW`] the last: in a cluster of 1,000 nodes, a million pairs go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    interval: Duration,
    detection: Duration,
}

/// The two durations do not fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// Too many datagrams.
    #[error("liveness interval {0:?}: expected at least {INTERVAL_MIN:?}")]
    Interval(Duration),
    /// A death would not be noticed.
    #[error("liveness detection time {0:?}: expected at most {DETECTION_MAX:?}")]
    TooLong(Duration),
    /// One lost heartbeat would be a death.
    #[error(
        "liveness detection time {detection:?} is too short for interval {interval:?}: expected more than two intervals; raise the detection time or lower the interval"
    )]
    Detection {
        /// The interval asked for.
        interval: Duration,
        /// The detection time asked for.
        detection: Duration,
    },
}

/// The shortest interval: a thousand datagrams per second and peer would follow from one
/// millisecond, and the driver's timers are not finer than that.
pub const INTERVAL_MIN: Duration = Duration::from_millis(5);

/// The longest detection time: beyond a minute nobody could be said to watch.
pub const DETECTION_MAX: Duration = Duration::from_secs(60);

impl Timing {
    /// For those who need not know at once: a heartbeat a second, and as many lost ones survived
    /// as by default.
    pub const SLOW: Self = Self { interval: Duration::from_secs(1), detection: Duration::from_millis(7_250) };

    /// Death within 75 ms, for networks without jitter and hosts that run this process at once
    /// whatever else they do.
    pub const FAST: Self = Self { interval: Duration::from_millis(10), detection: Duration::from_millis(75) };

    /// Heartbeats every `interval`, death after `detection` without one.
    ///
    /// # Errors
    /// `interval` is below [`INTERVAL_MIN`], or `detection` is above [`DETECTION_MAX`], or not
    /// above two intervals, so that a single lost heartbeat would be a death.
    pub fn new(interval: Duration, detection: Duration) -> Result<Self, TimingError> {
        if interval < INTERVAL_MIN {
            return Err(TimingError::Interval(interval));
        }
        if detection > DETECTION_MAX {
            return Err(TimingError::TooLong(detection));
        }
        if detection <= interval.saturating_mul(2) {
            return Err(TimingError::Detection { interval, detection });
        }
        Ok(Self { interval, detection })
    }

    /// The time between two heartbeats.
    #[must_use]
    pub const fn interval(self) -> Duration {
        self.interval
    }

    /// How long a peer may be silent before it is dead.
    #[must_use]
    pub const fn detection(self) -> Duration {
        self.detection
    }

    /// How many heartbeats in a row may be lost without a false death while the network's delay
    /// varies by less than an interval: the heartbeats that fall before the deadline, less the
    /// one that must arrive.
    #[must_use]
    pub fn losses_survived(self) -> u32 {
        let before_deadline = (self.detection.as_nanos() - 1) / self.interval.as_nanos();
        u32::try_from(before_deadline - 1).unwrap_or(u32::MAX)
    }

    /// The mean number of intervals until a living peer is taken for dead, if each heartbeat is
    /// lost on its own with probability `loss` (between 0 and 1, both excluded): the waiting time
    /// for a run of `r` losses, `(1 - loss^r) / (loss^r (1 - loss))`.
    #[must_use]
    pub fn mean_intervals_to_false_death(self, loss: f64) -> f64 {
        let run = (0..=self.losses_survived()).fold(1.0, |product, _| product * loss);
        (1.0 - run) / (run * (1.0 - loss))
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval: Duration::from_millis(35), detection: Duration::from_millis(255) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn timing(interval_ms: u64, detection_ms: u64) -> Result<Timing, TimingError> {
        Timing::new(Duration::from_millis(interval_ms), Duration::from_millis(detection_ms))
    }

    #[test]
    fn durations_that_do_not_fit_are_refused_with_what_to_do() {
        assert!(timing(4, 400).unwrap_err().to_string().contains("at least 5ms"));
        assert!(timing(100, 200).unwrap_err().to_string().contains("raise the detection time"));
        assert!(timing(100, 201).is_ok());
        assert!(timing(100, 60_001).unwrap_err().to_string().contains("at most 60s"));
        for timing in [Timing::default(), Timing::FAST, Timing::SLOW] {
            assert_eq!(Timing::new(timing.interval(), timing.detection()), Ok(timing));
        }
    }

    #[test]
    fn the_heartbeat_that_falls_on_the_deadline_does_not_count() {
        assert_eq!(timing(100, 400).unwrap().losses_survived(), 2);
        assert_eq!(timing(100, 401).unwrap().losses_survived(), 3);
        assert_eq!(Timing::default().losses_survived(), 6);
        assert_eq!(Timing::FAST.losses_survived(), 6);
    }

    #[test]
    fn the_table_of_the_documentation_is_right() {
        let seconds = |timing: Timing, loss| {
            timing.mean_intervals_to_false_death(loss) * timing.interval().as_secs_f64()
        };
        let check = |actual: f64, expected: f64| {
            assert!((actual / expected - 1.0).abs() < 0.05, "{actual} s, documented {expected} s");
        };
        let (day, year) = (86_400.0, 365.25 * 86_400.0);
        let default = Timing::default();
        check(seconds(default, 0.01), 112_000.0 * year);
        check(seconds(default, 0.1), 4.5 * day);
        check(seconds(default, 0.3), 3.8 * 60.0);
        let shorter = timing(35, 245).unwrap();
        check(seconds(shorter, 0.01), 1_120.0 * year);
        check(seconds(shorter, 0.1), 10.6 * 3_600.0);
        check(seconds(shorter, 0.3), 1.13 * 60.0);
        let longer = timing(50, 400).unwrap();
        check(seconds(longer, 0.01), 160_000.0 * year);
        check(seconds(longer, 0.1), 6.4 * day);
        check(seconds(longer, 0.3), 5.4 * 60.0);
        check(seconds(Timing::FAST, 0.01), 32_000.0 * year);
        check(seconds(Timing::FAST, 0.1), 31.0 * 3_600.0);
        check(seconds(Timing::FAST, 0.3), 65.0);
        check(seconds(Timing::SLOW, 0.01), 3.2e6 * year);
        check(seconds(Timing::SLOW, 0.1), 127.0 * day);
        check(seconds(Timing::SLOW, 0.3), 1.8 * 3_600.0);
    }
}
