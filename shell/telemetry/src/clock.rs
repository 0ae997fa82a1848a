//! The one clock of the process. Drivers read it and hand the result to the cores.

use std::sync::LazyLock;
use std::time::{self, Duration};

use ferrolb_vocab::Instant;
use nix::time::{ClockId, clock_gettime};

/// One moment by the standard library's clock, and how long the host had been up by then. It is read when
/// the clock is first used.
///
/// The origin of instants is the host's start and not this moment, so that what a former process of this
/// host began lies after it too.
static MOMENT: LazyLock<(time::Instant, Duration)> = LazyLock::new(|| {
    // Every kernel has this clock. Without it nothing would seem to have begun before this process.
    let uptime = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    (time::Instant::now(), uptime)
});

/// The time since the host was started. Monotonic (`CLOCK_MONOTONIC`): a step of the wall clock does not
/// move it.
#[must_use]
pub fn now() -> Instant {
    let (moment, uptime) = *MOMENT;
    Instant::from_origin(uptime + moment.elapsed())
}

/// The same point on the standard library's clock, for timers that take
/// [`std::time::Instant`]; `tokio::time::Instant::from_std` takes it further. What was before the first
/// use of the clock is taken for that moment: it is due either way.
#[must_use]
pub fn to_std(at: Instant) -> time::Instant {
    /// A timer this far away never fires in practice, and is still representable.
    const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let (moment, uptime) = *MOMENT;
    moment + at.since_origin().saturating_sub(uptime).min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards() {
        let mut last = now();
        for _ in 0..1_000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }

    #[test]
    fn what_was_before_the_process_has_an_instant_of_its_own() {
        let before = now() - Duration::from_secs(10);
        assert!(now().saturating_since(before) >= Duration::from_secs(10), "the host was up by then");
        assert!(to_std(before) <= time::Instant::now(), "it is due");
    }

    #[test]
    fn an_instant_survives_the_way_to_the_standard_clock() {
        let before = time::Instant::now();
        let at = now();
        let after = time::Instant::now();
        assert!(to_std(at + Duration::from_secs(1)) <= after + Duration::from_secs(1));
        assert!(to_std(at) + Duration::from_millis(1) >= before.min(after));
        assert!(to_std(Instant::from_origin(Duration::MAX)) > after, "the end of time is representable");
    }
}
