//! Whether this process stood still: stopped (SIGSTOP), or without a CPU, or its machine was.
//!
//! Others may have taken over meanwhile what it announces, and it does not know yet. What it would say
//! first is wrong then: the answers to questions that have waited, and announcements that are overdue.

use core::time::Duration;

use ferrolb_vocab::Instant;

/// The driver looks at the time so often while it announces something.
const PULSE: Duration = Duration::from_millis(100);

/// So late it was no busy CPU alone. With [`PULSE`] little more than the time after which the others take
/// a speaker for dead.
const LATE: Duration = Duration::from_millis(200);

/// How long nothing is said then: the others' heartbeats have waited too, and tell within one pass of the
/// speaker what has become of its addresses. If they were lost it may speak too early: whoever takes it for dead
/// is heard every 250 ms only (`DEAD_INTERVAL` of `core/liveness`).
const SILENCE: Duration = Duration::from_millis(100);

/// Notices a turn of the driver that is late. Each turn begins and ends with a call.
#[derive(Debug, Default)]
pub struct Stall {
    expected: Option<Instant>,
    silent_until: Option<Instant>,
}

impl Stall {
    /// A turn begins. How late it is, if this process stood still.
    pub fn begin_turn(&mut self, now: Instant) -> Option<Duration> {
        // Whoever never gets a CPU in time would else never speak again.
        let was_silent = self.silent_until.is_some();
        self.silent_until = self.silent_until.filter(|until| *until > now);
        let late = now.saturating_since(self.expected.take()?);
        let stood = late >= LATE && !was_silent;
        if stood {
            self.silent_until = Some(now + SILENCE);
        }
        stood.then_some(late)
    }

    /// A turn ends at `now`; the next is wanted at `due`, and soon if anything is announced. When it is to
    /// begin.
    #[must_use]
    pub fn end_turn(&mut self, due: Option<Instant>, is_announcing: bool, now: Instant) -> Option<Instant> {
        self.expected = is_announcing.then_some(now + PULSE);
        let due = due.map(|due| self.silent_until.map_or(due, |until| due.max(until)));
        due.into_iter().chain(self.expected).min()
    }

    /// Whether nothing may be said now.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn at(ms: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn who_stood_still_says_nothing_until_it_has_had_time_to_hear() {
        let mut stall = Stall::default();
        assert_eq!(stall.begin_turn(at(0)), None);
        assert_eq!(stall.end_turn(Some(at(60_000)), true, at(0)), Some(at(100)));
        assert_eq!(stall.begin_turn(at(299)), None, "late, but not so late");
        assert!(!stall.is_silent());
        assert_eq!(stall.end_turn(Some(at(350)), true, at(300)), Some(at(350)));
        assert_eq!(stall.begin_turn(at(5_000)), Some(Duration::from_millis(4_600)));
        assert!(stall.is_silent());
        assert_eq!(stall.end_turn(Some(at(350)), true, at(5_000)), Some(at(5_100)), "what is overdue waits");
        assert_eq!(stall.begin_turn(at(5_050)), None);
        assert!(stall.is_silent());
        assert_eq!(stall.end_turn(Some(at(350)), true, at(5_050)), Some(at(5_100)));
        assert_eq!(stall.begin_turn(at(5_100)), None);
        assert!(!stall.is_silent());
    }

    #[test]
    fn who_never_gets_a_cpu_in_time_is_not_silent_for_good() {
        let mut stall = Stall::default();
        let silent: Vec<bool> = (0..10)
            .map(|turn| {
                stall.begin_turn(at(400 * turn));
                assert!(stall.end_turn(None, true, at(400 * turn)).is_some());
                stall.is_silent()
            })
            .collect();
        assert!(silent.contains(&true), "each turn is late");
        assert!(silent.windows(2).all(|two| two != [true, true]), "{silent:?}");
    }

    #[test]
    fn who_announces_nothing_sleeps_as_long_as_nothing_happens() {
        let mut stall = Stall::default();
        stall.begin_turn(at(0));
        assert_eq!(stall.end_turn(None, false, at(0)), None);
        assert_eq!(stall.begin_turn(at(90_000)), None);
        assert!(!stall.is_silent(), "what it takes over is announced at once");
    }
}
