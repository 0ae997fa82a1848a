//! Whether this node is cut off from its network: every peer and the gateway fell silent together.
//!
//! Each alone is no sign. Peers die, one or all, and who is left must go on; a gateway may be rebooted, or there
//! may be none, and who hears peers is not cut off. A node without peers never is: there is nobody who could have its
//! addresses instead.

use core::time::Duration;

use ferrolb_vocab::Instant;

/// The longest time between the gateway's last answer and the last peer's death that is together: a gateway is asked
/// every 10 s while peers are heard, and peers that are not watched closely are missed seconds later.
pub const TOGETHER: Duration = Duration::from_secs(15);

/// How long a node that was cut off waits once it hears something, unless it hears all: to know what the others own
/// before it takes anything, it has to hear each of them that lives, and a peer that was dead is alive after some
/// heartbeats that come slowly at first. After a failure of the whole network nobody has any address meanwhile.
pub const RETURN_GRACE: Duration = Duration::from_millis(700);

/// Which of the peers are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// None, though some may be presumed alive.
    #[default]
    Nobody,
    /// At least one.
    Some,
    /// Each, and what it owns is known.
    All,
}

/// What is remembered of the peers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Isolation {
    heard: Heard,
    /// When the last peer fell silent.
    alone_since: Option<Instant>,
    is_cut_off: bool,
    /// When a node that was cut off heard something again.
    back_since: Option<Instant>,
    /// Until when others may be about to come back too, after a node that was cut off is back.
    returning_until: Option<Instant>,
}

impl Isolation {
    /// Whether this node is cut off, given which peers are heard, and since when the gateway is silent that
    /// used to answer.
    pub fn judge(&mut self, heard: Heard, gateway_silent_since: Option<Instant>, now: Instant) -> bool {
        match (self.heard, heard) {
            (_, Heard::Some | Heard::All) => self.alone_since = None,
            (Heard::Some | Heard::All, Heard::Nobody) => self.alone_since = Some(now),
            (Heard::Nobody, Heard::Nobody) => {}
        }
        self.heard = heard;
        self.returning_until = self.returning_until.filter(|until| *until > now);
        let together = |(alone, silent): (Instant, Instant)| {
            alone.saturating_since(silent).max(silent.saturating_since(alone)) <= TOGETHER
        };
        // A peer that was heard for less than the grace is no return, and makes what follows no new silence.
        let lasts = self.is_cut_off && heard == Heard::Nobody && gateway_silent_since.is_some();
        if lasts || self.alone_since.zip(gateway_silent_since).is_some_and(together) {
            (self.is_cut_off, self.back_since) = (true, None);
        } else if self.is_cut_off {
            let since = *self.back_since.get_or_insert(now);
            if heard == Heard::All || now.saturating_since(since) >= RETURN_GRACE {
                (self.is_cut_off, self.back_since) = (false, None);
                self.returning_until = Some(now + RETURN_GRACE);
            }
        }
        self.is_cut_off
    }

    /// When to judge again, whatever happens.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.back_since.map(|since| since + RETURN_GRACE).or(self.returning_until)
    }

    /// Whether this node was cut off a moment ago: if all were, others that stand back will do so no longer than
    /// this, and who is back first must not take everything.
    #[must_use]
    pub const fn is_returning(&self) -> bool {
        self.returning_until.is_some()
    }

    /// Whether there were peers and none is alive: what the gateway says is wanted soon.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn ms(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    fn hears(somebody: bool) -> Heard {
        if somebody { Heard::Some } else { Heard::Nobody }
    }

    #[test]
    fn only_both_silent_together_mean_cut_off() {
        // When peers were last heard, since when the gateway is silent, and what that means at 100 s.
        let cases = [
            (None, None, false, "a single node without a gateway"),
            (None, Some(97), false, "a single node whose gateway is gone"),
            (Some(100), Some(97), false, "a gateway that is gone, while peers are heard"),
            (Some(97), None, false, "all peers dead, while the gateway answers or there is none"),
            (Some(97), Some(95), true, "both"),
            (Some(97), Some(82), true, "the gateway's last answer is as old as it may be"),
            (Some(97), Some(81), false, "the gateway was gone before the peers died"),
            (Some(50), Some(97), false, "the peers died long before the gateway"),
        ];
        for (heard, silent, expected, what) in cases {
            let mut isolation = Isolation::default();
            for second in 1..100 {
                isolation.judge(hears(heard.is_some_and(|heard| second < heard)), None, at(second));
            }
            let heard = hears(heard == Some(100));
            assert_eq!(isolation.judge(heard, silent.map(at), at(100)), expected, "{what}");
        }
    }

    /// Cut off since 5 s.
    fn cut_off() -> Isolation {
        let mut isolation = Isolation::default();
        isolation.judge(Heard::All, None, at(1));
        isolation.judge(Heard::Nobody, None, at(2));
        assert!(isolation.is_alone());
        assert!(isolation.judge(Heard::Nobody, Some(at(1)), at(5)));
        isolation
    }

    #[test]
    fn either_of_them_ends_it() {
        for (heard, silent, what) in
            [(Heard::Nobody, None, "the gateway"), (Heard::Some, Some(at(1)), "a peer")]
        {
            let mut back = cut_off();
            assert!(back.judge(heard, silent, at(6)), "{what}: it has yet to hear all the others");
            assert_eq!(back.expires(), Some(ms(6_700)));
            assert!(back.judge(heard, silent, ms(6_699)), "{what}");
            assert!(!back.judge(heard, silent, ms(6_700)), "{what}");
            assert_eq!(back.is_alone(), heard == Heard::Nobody, "{what}");
        }
        assert!(cut_off().judge(Heard::Nobody, Some(at(1)), at(9_999)), "it lasts otherwise");
    }

    #[test]
    fn a_peer_that_is_heard_for_a_moment_only_does_not_end_it() {
        let mut flapping = cut_off();
        assert!(flapping.judge(Heard::Some, Some(at(1)), ms(60_000)));
        assert!(flapping.judge(Heard::Nobody, Some(at(1)), ms(60_300)));
        assert_eq!(flapping.expires(), None);
        assert!(flapping.judge(Heard::Nobody, Some(at(1)), ms(61_000)));
        assert!(flapping.judge(Heard::Some, Some(at(1)), ms(62_000)));
        assert!(!flapping.judge(Heard::Some, Some(at(1)), ms(62_700)), "this time it stays");
    }

    #[test]
    fn who_hears_all_waits_no_longer_and_gives_the_others_as_long_to_come_back() {
        let mut back = cut_off();
        assert!(back.judge(Heard::Some, Some(at(1)), ms(6_000)));
        assert!(!back.judge(Heard::All, Some(at(1)), ms(6_050)));
        assert_eq!((back.is_returning(), back.expires()), (true, Some(ms(6_750))));
        back.judge(Heard::All, None, ms(6_749));
        assert!(back.is_returning());
        back.judge(Heard::All, None, ms(6_750));
        assert_eq!((back.is_returning(), back.expires()), (false, None));
    }
}
