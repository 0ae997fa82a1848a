//! The one clock of the process. Drivers read it and hand the result to the cores.

use std::sync::LazyLock;
use std::time;

use ferrolb_vocab::Instant;

/// The origin of this process's instants: the first use of the clock.
static ORIGIN: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

/// The time since the process first asked for it. Monotonic (`CLOCK_MONOTONIC`): a step of the
/// wall clock does not move it.
#[must_use]
pub fn now() -> Instant {
    let origin = *ORIGIN;
    Instant::from_origin(origin.elapsed())
}

/// The same point on the standard library's clock, for timers that take
/// [`std::time::Instant`]; `tokio::time::Instant::from_std` takes it further.
#[must_use]
pub fn to_std(at: Instant) -> time::Instant {
    /// A timer this far away never fires in practice, and is still representable.
    const FAR: time::Duration = time::Duration::from_secs(10 * 365 * 24 * 3600);
    *ORIGIN + at.since_origin().min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
    fn an_instant_survives_the_way_to_the_standard_clock() {
        let before = time::Instant::now();
        let at = now();
        let after = time::Instant::now();
        assert!(to_std(at + Duration::from_secs(1)) <= after + Duration::from_secs(1));
        assert!(to_std(at) + Duration::from_millis(1) >= before.min(after));
        assert!(to_std(Instant::from_origin(Duration::MAX)) > after, "the end of time is representable");
    }
}
