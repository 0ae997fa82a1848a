//! When something that was refused is tried again.

use std::time::Duration;

use ferrolb_vocab::Instant;

/// Before the second attempt; doubles with each.
const DELAY_MIN: Duration = Duration::from_millis(100);

/// A speaker that is followed frees its ports in the middle of it all: its successor must not
/// leave them unused for long.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// When something is tried, for the first time or again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    due: Instant,
    delay: Duration,
}

impl Retry {
    /// At once.
    pub(super) const fn at_once(now: Instant) -> Self {
        Self { due: now, delay: DELAY_MIN }
    }

    /// When it is due.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// It was refused, and is due again later.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.due = now + self.delay;
        self.delay = (self.delay * 2).min(DELAY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_tried_less_often_but_once_a_second() {
        let start = Instant::ORIGIN;
        let mut retry = Retry::at_once(start);
        let mut gaps = Vec::new();
        for _ in 0..6 {
            let due = retry.due();
            retry.put_off(due);
            gaps.push(retry.due().saturating_since(due).as_millis());
        }
        assert_eq!(gaps, [100, 200, 400, 800, 1_000, 1_000]);
    }
}
