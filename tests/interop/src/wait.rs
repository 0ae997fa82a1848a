//! Waiting for what shall be.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long something may take that a daemon does when its own timers allow it: ten seconds for the
/// slowest of them. It is a deadline for what is broken, no measurement.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Looks until what is seen is as expected, and returns it. What cannot be looked at yet, because the
/// daemon has not come up, is looked at again.
///
/// # Errors
/// It was not so before [`DEADLINE`]: what was seen last.
pub fn until<T: Debug>(
    what: &str,
    mut look: impl FnMut() -> Result<T>,
    is_expected: impl Fn(&T) -> bool,
) -> Result<T> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = look();
        if let Ok(seen) = seen
            && is_expected(&seen)
        {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            match look() {
                Ok(seen) => bail!("not within {DEADLINE:?}: {what}; the last that was seen: {seen:?}"),
                Err(error) => bail!("not within {DEADLINE:?}: {what}: {error:#}"),
            }
        }
        sleep(POLL_INTERVAL);
    }
}

/// Looks for as long as `time`, and wants what is seen to be as expected every time, first and last.
///
/// # Errors
/// It was not, or could not be looked at.
pub fn throughout<T: Debug>(
    what: &str,
    time: Duration,
    mut look: impl FnMut() -> Result<T>,
    is_expected: impl Fn(&T) -> bool,
) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        let seen = look()?;
        if !is_expected(&seen) {
            bail!("not so throughout {time:?}: {what}; seen: {seen:?}");
        }
        if Instant::now() >= end {
            return Ok(());
        }
        sleep(POLL_INTERVAL);
    }
}
