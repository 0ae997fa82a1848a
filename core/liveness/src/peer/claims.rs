//! What a peer says it owns, put together from pages.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ferrolb_vocab::{Epoch, Instant};
use ferrolb_wire::mesh::ClaimsPage;

/// How long pages of a version may stay away before the peer is asked for them: longer than a
/// page is under way, so that only a lost one is asked for.
pub const ASK_SPACING: Duration = Duration::from_millis(50);

/// Questions without an answer after which the peer does not hear them, and what it said last has to
/// do: at the default timing there is one with every other heartbeat, 0.7 s in all. At 30 % loss
/// each way one peer in eight hundred that could have answered has not.
pub const ASKS_MAX: u32 = 10;

/// A peer's claims: the last version that is complete, and the pages of the next.
///
/// A version is one of an incarnation. Those of a later incarnation replace those of an earlier,
/// but only once it has said what it owns (version 1): until then the speaker has restarted, is
/// deciding, and is presumed to own what its predecessor did.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerClaims {
    newest: Version,
    complete: Version,
    owned: BTreeMap<IpAddr, Epoch>,
    pages: Pages,
    /// When the newest version was first heard of, a page of it came, or the peer was asked.
    progress: Option<Instant>,
    /// How often it was asked since a page came.
    unanswered: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    incarnation: u64,
    version: u64,
}

/// The pages of the newest version, bounded by [`ferrolb_wire::mesh::PAGES_MAX`].
#[derive(Clone, Debug, Default)]
struct Pages {
    count: u16,
    received: BTreeMap<u16, Vec<(IpAddr, Epoch)>>,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    /// It belongs to an older version, or was there already.
    Old,
    /// Others of its version are missing.
    Kept,
    /// Its version is complete, and is what the peer owns now.
    Complete,
}

impl PeerClaims {
    /// The peer has said that `version` is what it owns in this `incarnation`.
    pub(crate) fn announce(&mut self, incarnation: u64, version: u64, now: Instant) {
        let announced = Version { incarnation, version };
        // The order of heartbeats has judged that this is a host whose clock was set back.
        if incarnation < self.newest.incarnation {
            *self = Self::default();
        }
        // Of one incarnation, a lower version is a straggler.
        if announced > self.newest {
            self.expect(announced, now);
        }
        if version == 0 && announced == self.newest {
            self.complete = announced;
        }
    }

    /// A page has come.
    pub(crate) fn handle_page(&mut self, incarnation: u64, page: &ClaimsPage, now: Instant) -> PageOutcome {
        let of = Version { incarnation, version: page.version };
        if of.version == 0 || of < self.newest || self.is_complete() && of == self.newest {
            return PageOutcome::Old;
        }
        if of > self.newest || self.pages.count != page.pages {
            self.expect(of, now);
            self.pages.count = page.pages;
        }
        (self.progress, self.unanswered) = (Some(now), 0);
        self.pages.received.insert(page.page, page.entries.clone());
        if self.pages.received.len() < usize::from(self.pages.count) {
            return PageOutcome::Kept;
        }
        let pages = core::mem::take(&mut self.pages);
        self.owned = pages.received.into_values().flatten().collect();
        self.complete = self.newest;
        PageOutcome::Complete
    }

    /// Whether what the peer owns by its last heartbeat is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete == self.newest
    }

    /// Whether what the peer owns is known as well as it will be: whoever waited longer for a peer that is
    /// heard and does not hear would wait as long as that lasts.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_complete() || self.unanswered >= ASKS_MAX
    }

    /// The version to tell the peer that is asked for a later one, if it is time to ask.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<u64> {
        let waited = self.progress.is_none_or(|since| now.saturating_since(since) >= ASK_SPACING);
        (waited && !self.is_complete()).then(|| {
            self.progress = Some(now);
            self.unanswered = self.unanswered.saturating_add(1);
            self.known_version()
        })
    }

    /// The complete version, as an [`ferrolb_wire::mesh::Body::Ask`] tells it.
    pub(crate) const fn known_version(&self) -> u64 {
        if self.complete.incarnation == self.newest.incarnation { self.complete.version } else { 0 }
    }

    pub(crate) const fn owned(&self) -> &BTreeMap<IpAddr, Epoch> {
        &self.owned
    }

    fn expect(&mut self, version: Version, now: Instant) {
        self.newest = version;
        self.pages = Pages::default();
        self.progress = Some(now);
    }
}
