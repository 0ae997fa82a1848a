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

/// How long a node that was cut off waits once it hears something: to know what the others own before it takes anything,
/// it has to hear all of them, and a peer that was dead is alive after some heartbeats that come slowly at first.
pub const RETURN_GRACE: Duration = Duration::from_secs(2);

/// What is remembered of the peers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Isolation {
    hears_peers: bool,
    /// When the last peer fell silent.
    alone_since: Option<Instant>,
    is_cut_off: bool,
    /// When a node that was cut off heard something again.
    back_since: Option<Instant>,
}

impl Isolation {
    /// Whether this node is cut off, given whether any peer is alive, and since when the gateway is silent that
    /// used to answer.
    pub fn judge(&mut self, hears_peers: bool, gateway_silent_since: Option<Instant>, now: Instant) -> bool {
        if hears_peers {
            self.alone_since = None;
        } else if self.hears_peers {
            self.alone_since = Some(now);
        }
        self.hears_peers = hears_peers;
        let together = |(alone, silent): (Instant, Instant)| {
            alone.saturating_since(silent).max(silent.saturating_since(alone)) <= TOGETHER
        };
        if self.alone_since.zip(gateway_silent_since).is_some_and(together) {
            (self.is_cut_off, self.back_since) = (true, None);
        } else if self.is_cut_off {
            let since = *self.back_since.get_or_insert(now);
            if now.saturating_since(since) >= RETURN_GRACE {
                (self.is_cut_off, self.back_since) = (false, None);
            }
        }
        self.is_cut_off
    }

    /// When to judge again, whatever happens.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.back_since.map(|since| since + RETURN_GRACE)
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
                isolation.judge(heard.is_some_and(|heard| second < heard), None, at(second));
            }
            let hears = heard == Some(100);
            assert_eq!(isolation.judge(hears, silent.map(at), at(100)), expected, "{what}");
        }
    }

    #[test]
    fn either_of_them_ends_it() {
        let cut_off = || {
            let mut isolation = Isolation::default();
            isolation.judge(true, None, at(1));
            isolation.judge(false, None, at(2));
            assert!(isolation.is_alone());
            assert!(isolation.judge(false, Some(at(1)), at(5)));
            isolation
        };
        for (hears_peers, silent, what) in [(false, None, "the gateway"), (true, Some(at(1)), "a peer")] {
            let mut back = cut_off();
            assert!(back.judge(hears_peers, silent, at(6)), "{what}: it has yet to hear all the others");
            assert_eq!(back.expires(), Some(at(8)));
            assert!(!back.judge(hears_peers, silent, at(8)), "{what}");
            assert_eq!((back.expires(), back.is_alone()), (None, !hears_peers), "{what}");
        }
        assert!(cut_off().judge(false, Some(at(1)), at(9_999)), "it lasts otherwise");
    }
}
