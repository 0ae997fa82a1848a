//! When an address is probed for, announced unasked, and defended.

use core::net::IpAddr;
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

/// How many probes go out before an address is used for the first time, `PROBE_NUM` of RFC 5227
/// §1.1: two may be lost.
pub const PROBE_NUM: u32 = 3;

/// The time from one probe to the next. RFC 5227 §1.1 has 1 to 2 s (`PROBE_MIN`, `PROBE_MAX`), and 7 s
/// with the waits around them, RFC 4862 §5.4 at least 1 s: for hosts that come up once a day, on media
/// of 2008. A station on an Ethernet answers within a millisecond, and a Service that waits for its
/// address should not wait for a second.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// The time from the last probe until the address counts as free, `ANNOUNCE_WAIT` of RFC 5227 §1.1 (2 s
/// there): 0.8 s in all. A late answer is a conflict, and told as one.
pub const ANNOUNCE_WAIT: Duration = Duration::from_millis(300);

/// The least time from the first probe until an address is used.
pub const PROBING_MIN: Duration = PROBE_INTERVAL.saturating_mul(PROBE_NUM - 1).saturating_add(ANNOUNCE_WAIT);

/// The time after which a probe that could not be sent is sent again: a queue that is full for a moment
/// delays the first use to one second in all.
pub const PROBE_RETRY: Duration = Duration::from_millis(200);

/// How often an address that another station has is probed for again, unless configured
/// otherwise: soon enough for who has just removed it, and one frame in ten seconds.
pub const REPROBE_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two probings: the probes of one must not run into the next.
pub const REPROBE_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How often an address is defended at most, `DEFEND_INTERVAL` of RFC 5227 §1.1: two stations that
/// defend without it would overwrite each other's announcements for ever.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How often one conflict is reported: each conflicting packet counts, but one report in this
/// time is enough to act upon.
pub const CONFLICT_REPORT_INTERVAL: Duration = DEFEND_INTERVAL;

/// How long after a claim another node of the cluster must claim an address again for that to count. When
/// an address moves, the new owner's announcement can be heard before the word that it is the owner:
/// that takes milliseconds, not a second.
pub const FELLOW_PATIENCE: Duration = Duration::from_secs(1);

/// How often a node must claim an address that is announced here to be in conflict. An address that comes
/// from a node and soon goes back to it is claimed by that node twice in between: late, and early.
pub const FELLOW_CLAIMS: u8 = 3;

/// How often a node must answer for an address that is probed for to have it.
pub const FELLOW_ANSWERS: u8 = 2;

/// How long the first claim of another node is remembered: it counts in this time whether it goes on, and the
/// burst of announcements of a node that has the address by mistake ends before.
pub const FELLOW_MEMORY: Duration = Duration::from_secs(10);

/// The times that can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// How often an owned address is announced, at least [`REFRESH_INTERVAL_MIN`].
    pub refresh: Duration,
    /// How often an address that another station has is probed for, at least [`REPROBE_INTERVAL_MIN`].
    pub reprobe: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { refresh: REFRESH_INTERVAL, reprobe: REPROBE_INTERVAL }
    }
}

impl Intervals {
    /// These, none shorter than its least.
    pub(crate) fn clamped(self) -> Self {
        Self {
            refresh: self.refresh.max(REFRESH_INTERVAL_MIN),
            reprobe: self.reprobe.max(REPROBE_INTERVAL_MIN),
        }
    }

    /// When the refreshing of `address` begins after its burst, and how often it is done from then on.
    /// Addresses that were gained together begin apart from each other, in the second half of an
    /// interval: all at once they would keep an address waiting that is gained at that moment.
    pub(crate) fn refresh_of(self, address: IpAddr) -> Refresh {
        let half = self.refresh / 2;
        Refresh { first: half + half * share(address) / SHARES, every: self.refresh }
    }
}

/// When an address is announced again after its burst, and after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh {
    first: Duration,
    every: Duration,
}

/// In how many parts the time is divided in which refreshing begins.
const SHARES: u32 = 1 << 16;

/// One of [`SHARES`], chosen by the last octets of `address`, by which neighbours are far apart
/// (multiplicative hashing, Knuth, The Art of Computer Programming, 6.4).
fn share(address: IpAddr) -> u32 {
    let last = match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            u32::from_be_bytes([a, b, c, d])
        }
    };
    last.wrapping_mul(0x9E37_79B1) >> 16
}

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

    /// Whether what is to be announced again will be at once anyway.
    pub(crate) fn has_just_begun(&self, now: Instant) -> bool {
        let [_, second, ..] = BURST;
        now < self.gained + second
    }

    /// The schedule after announcing at `now`. What a late driver has missed is not made up for:
    /// the frame just sent did that.
    pub(crate) fn after(self, now: Instant, refresh: Refresh) -> Self {
        let next = BURST.iter().map(|offset| self.gained + *offset).find(|due| *due > now);
        let wait = if self.is_in_burst() { refresh.first } else { refresh.every };
        Self { due: next.unwrap_or(now + wait), ..self }
    }
}

/// How far the probing for an address on an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probing {
    sent: u32,
    due: Instant,
}

impl Probing {
    /// Probing that begins at `at`.
    pub(crate) const fn starting(at: Instant) -> Self {
        Self { sent: 0, due: at }
    }

    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether what is heard at `now` counts.
    pub(crate) fn has_begun(&self, now: Instant) -> bool {
        self.sent > 0 || self.due <= now
    }

    /// Whether all probes are out: when the time is due, nobody has the address.
    pub(crate) const fn is_last(&self) -> bool {
        self.sent >= PROBE_NUM
    }

    /// What follows when the probe sent last was not sent after all.
    pub(crate) fn without_last(self, now: Instant) -> Self {
        match self.sent.checked_sub(1) {
            Some(sent) => Self { sent, due: now + PROBE_RETRY },
            // Probing has begun anew since.
            None => self,
        }
    }

    /// What follows a probe sent at `now`. A late driver shortens no wait for an answer.
    pub(crate) fn after(self, now: Instant) -> Self {
        let sent = self.sent + 1;
        let wait = if sent < PROBE_NUM { PROBE_INTERVAL } else { ANNOUNCE_WAIT };
        Self { sent, due: now + wait }
    }
}
