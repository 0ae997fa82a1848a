//! When an address is announced unasked.

use core::time::Duration;

use ferrolb_vocab::Instant;

/// When an address is announced after it was gained, counted from then.
///
/// The first frame moves the traffic, so it goes at once; the two after it repair a loss before
/// a person notices; the later ones reach ports that a spanning tree opens late and hosts
/// that ignore a second update within a second (Linux `locktime`). RFC 5227 §2.3 asks for two
/// announcements 2 s apart and RFC 4861 §7.2.6 for at most three advertisements 1 s apart:
/// with those, one lost frame would cost a second of outage. The excess is three frames per
/// address gained.
pub const BURST: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// How often an owned address is announced again, unless configured otherwise. Switches forget a
/// silent station after 300 s (the default ageing time of IEEE 802.1Q) and stacks keep a
/// neighbour for up to 1200 s: a minute keeps the one and repairs the other.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The shortest refresh interval: below it refreshing would outdo the burst.
pub const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Where in its schedule an address is on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    gained: Instant,
    due: Instant,
}

impl Schedule {
    pub(crate) const fn starting(now: Instant) -> Self {
        Self { gained: now, due: now }
    }

    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether the next announcement belongs to the burst, not to the refreshing after it.
    pub(crate) fn is_in_burst(&self) -> bool {
        BURST.last().is_some_and(|last| self.due <= self.gained + *last)
    }

    /// The schedule after announcing at `now`. What a late driver has missed is not made up for:
    /// the frame just sent did that.
    pub(crate) fn after(self, now: Instant, refresh_interval: Duration) -> Self {
        let next = BURST.iter().map(|offset| self.gained + *offset).find(|due| *due > now);
        Self { due: next.unwrap_or(now + refresh_interval), ..self }
    }
}
