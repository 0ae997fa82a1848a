//! What this speaker owns, and who is still to be told.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ferrolb_vocab::{Epoch, Instant, NodeName};
use ferrolb_wire::mesh::{ClaimsPage, PAGE_ENTRIES_MAX, PAGES_MAX};

/// Addresses that one speaker can own: a /16.
pub const CLAIMS_MAX: usize = 1 << 16;

const _: () = assert!(CLAIMS_MAX.div_ceil(PAGE_ENTRIES_MAX) <= PAGES_MAX as usize, "they have pages enough");

/// Pages sent in a row: what a receive buffer of some hundred kilobytes holds, should they all be
/// for one peer.
pub const PAGES_AT_ONCE: u32 = 128;

/// Between two such rows, in which heartbeats go: 64,000 pages a second at most.
pub const PAGE_SPACING: Duration = Duration::from_millis(2);

/// More addresses than a speaker can own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} addresses on one node: the mesh carries {CLAIMS_MAX}; let more nodes own addresses")]
pub struct TooManyClaims(pub usize);

/// This speaker's claims, and the queue of peers that they are sent to, each at most once.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnClaims {
    owned: BTreeMap<IpAddr, Epoch>,
    entries: Vec<(IpAddr, Epoch)>,
    /// 0 until they are set for the first time.
    version: u64,
    queue: VecDeque<NodeName>,
    /// How many pages may go before [`OwnClaims::next`].
    budget: u32,
    next: Instant,
}

impl OwnClaims {
    /// Replaces the claims. Whether they have changed.
    pub(super) fn replace(&mut self, owned: BTreeMap<IpAddr, Epoch>) -> Result<bool, TooManyClaims> {
        if owned.len() > CLAIMS_MAX {
            return Err(TooManyClaims(owned.len()));
        }
        let has_changed = self.version == 0 || owned != self.owned;
        if has_changed {
            self.version += 1;
            self.entries = owned.iter().map(|(address, epoch)| (*address, *epoch)).collect();
            self.owned = owned;
        }
        Ok(has_changed)
    }

    pub(super) const fn owned(&self) -> &BTreeMap<IpAddr, Epoch> {
        &self.owned
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// How many pages the claims have, at least one.
    pub(super) fn pages(&self) -> u16 {
        u16::try_from(self.entries.len().div_ceil(PAGE_ENTRIES_MAX).max(1)).unwrap_or(PAGES_MAX)
    }

    pub(super) fn page(&self, page: u16) -> ClaimsPage {
        let entries = self.entries.chunks(PAGE_ENTRIES_MAX).nth(usize::from(page)).unwrap_or_default();
        ClaimsPage { version: self.version, page, pages: self.pages(), entries: entries.to_vec() }
    }

    /// `node`, which is not in the queue, waits for its pages.
    pub(super) fn enqueue(&mut self, node: NodeName) {
        self.queue.push_back(node);
    }

    /// The node to send the next page to, while pages may go.
    pub(super) fn dequeue(&mut self) -> Option<NodeName> {
        self.budget = self.budget.checked_sub(1)?;
        self.queue.pop_front()
    }

    /// Whoever is not `known` waits no longer.
    pub(super) fn retain(&mut self, known: impl Fn(&NodeName) -> bool) {
        self.queue.retain(known);
    }

    /// Lets the next pages go if it is time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if !self.queue.is_empty() && self.next <= now {
            (self.budget, self.next) = (PAGES_AT_ONCE, now + PAGE_SPACING);
        }
    }

    /// When the next pages may go, if any wait.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.next)
    }
}
