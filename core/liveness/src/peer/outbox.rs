//! What is sent to one peer, and how often.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ferrolb_vocab::Instant;

use crate::mesh::watching::Standing;

/// Addresses kept per peer. A Node has one `InternalIP` per family; more than this is a mistake.
pub(crate) const ADDRESSES_MAX: usize = 16;

/// Between two answers to a peer that asks for claims: less than it waits between asking, so that
/// only recordings of a question go unanswered.
const RESEND_SPACING: Duration = Duration::from_millis(25);

/// Where the peer is, and what was sent to it.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    pub(crate) standing: Standing,
    addresses: Vec<SocketAddr>,
    sequence: u64,
    greeted: Option<Instant>,
    /// Rounds in which the peer, which was a watcher, is told in any case that it is none.
    eager_rounds: u32,
    /// The next page of this speaker's claims for the peer, while there is one.
    next_page: Option<u16>,
    claims_sent: Option<Instant>,
}

impl Outbox {
    /// An outbox whose numbers begin after `sequence`.
    pub(crate) fn new(addresses: Vec<SocketAddr>, sequence: u64) -> Self {
        let mut outbox = Self {
            standing: Standing::default(),
            addresses: Vec::new(),
            sequence,
            greeted: None,
            eager_rounds: 0,
            next_page: None,
            claims_sent: None,
        };
        outbox.set_addresses(addresses);
        outbox
    }

    pub(crate) fn set_addresses(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(ADDRESSES_MAX);
        self.addresses = addresses;
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(crate) fn has_address(&self, source: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.ip().to_canonical() == source.to_canonical())
    }

    /// The number of the last heartbeat, Leave or Suspect to the peer.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The number of the next one.
    pub(crate) const fn advance(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A round has gone. Who is one no longer goes by what
    /// it was told until it hears otherwise: it is told as often as a watcher may miss, and once more.
    pub(crate) const fn note_round(&mut self, losses_survived: u32) {
        self.eager_rounds =
            if self.standing.is_watcher { losses_survived + 1 } else { self.eager_rounds.saturating_sub(1) };
    }

    /// Whether the peer may still believe that it is a watcher.
    pub(crate) const fn is_eager(&self) -> bool {
        self.eager_rounds > 0
    }

    /// Whether a greeting out of turn may go, at most one per `interval`.
    pub(crate) fn may_greet(&mut self, interval: Duration, now: Instant) -> bool {
        let may = self.greeted.is_none_or(|last| now.saturating_since(last) >= interval);
        if may {
            self.greeted = Some(now);
        }
        may
    }

    /// Begins to send the claims from the first page. Whether the peer was being sent none.
    pub(crate) fn send_claims(&mut self, now: Instant) -> bool {
        self.claims_sent = Some(now);
        self.next_page.replace(0).is_none()
    }

    /// Whether claims that the peer asks for are to be sent: they are not under way.
    pub(crate) fn may_resend(&self, now: Instant) -> bool {
        let waited = self.claims_sent.is_none_or(|last| now.saturating_since(last) >= RESEND_SPACING);
        self.next_page.is_none() && waited
    }

    /// The next of `pages` to send; after it [`Outbox::is_sending`] says whether others follow.
    pub(crate) fn take_page(&mut self, pages: u16) -> Option<u16> {
        let page = self.next_page.filter(|page| *page < pages);
        self.next_page = page.map(|page| page + 1).filter(|next| *next < pages);
        page
    }

    pub(crate) const fn is_sending(&self) -> bool {
        self.next_page.is_some()
    }
}
