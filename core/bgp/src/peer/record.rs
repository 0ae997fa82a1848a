//! What is known of a peer that changes nothing: for status, metrics and logs.

use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{Disposition, Families, Family, MessageType, Notification, Update};

use super::Peer;
use super::events::{BfdState, Reason, State};
use crate::negotiation::Negotiated;
use crate::rib_out::Statistics;

/// How a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state of RFC 4271 §8.2.2.
    pub state: State,
    /// Since when; `None` if it was always so.
    pub since: Option<Instant>,
    /// What was agreed on, while there is a session.
    pub negotiated: Option<Box<Negotiated>>,
    /// This end and the peer's of the connection that the session is or was on.
    pub addresses: Option<[SocketAddr; 2]>,
    /// What BFD says.
    pub bfd: BfdState,
    /// Whether OPENs say that this speaker has restarted: RFC 4724 §4.1.
    pub is_restarting: bool,
    /// The time until this side connects, if it waits for that.
    pub next_attempt: Option<Duration>,
    /// Attempts and sessions that have failed in a row.
    pub failures: u32,
    /// How often TCP was asked for a connection.
    pub attempts: u64,
    /// How often there was a session. All but the first are reconnects.
    pub established: u64,
    /// What ended the last session, or attempt that nothing else outlived, if anything did.
    pub last_lost: Option<Lost>,
    /// The last NOTIFICATION that was sent.
    pub last_sent: Option<Told>,
    /// The last NOTIFICATION that came.
    pub last_received: Option<Told>,
    /// Messages that were sent.
    pub sent: MessageCounts,
    /// Messages that came.
    pub received: MessageCounts,
    /// What the peer's UPDATEs held.
    pub routes: Received,
    /// What the peer is told of IPv4 unicast.
    pub ipv4: Statistics,
    /// What the peer is told of IPv6 unicast.
    pub ipv6: Statistics,
}

/// Messages by type, since the peer was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// OPENs.
    pub open: u64,
    /// UPDATEs.
    pub update: u64,
    /// NOTIFICATIONs.
    pub notification: u64,
    /// KEEPALIVEs.
    pub keepalive: u64,
    /// ROUTE-REFRESHes.
    pub route_refresh: u64,
}

/// What came in UPDATEs, of which nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Prefixes that were told as reachable, each as often as it was told, since the peer was
    /// created.
    pub reachable: u64,
    /// Prefixes that were withdrawn, by word or by an error, likewise.
    pub withdrawn: u64,
    /// UPDATEs that count as withdrawals for an error: RFC 7606 §2.
    pub treated_as_withdraw: u64,
    /// UPDATEs of which attributes were discarded: RFC 7606 §2.
    pub attributes_discarded: u64,
    /// UPDATEs with this side's own AS in the path: its own routes that come back, as a rule.
    pub looped: u64,
    /// Of which families the peer has told all in this session: RFC 4724 §2.
    pub end_of_rib: Families,
}

/// An end of a session, or of an attempt at one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: Reason,
}

/// A NOTIFICATION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it was sent or came.
    pub at: Instant,
    /// What it says.
    pub notification: Notification,
}

/// What is counted of a peer, whichever process has done so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) attempts: u64,
    pub(crate) established: u64,
    pub(crate) sent: MessageCounts,
    pub(crate) received: MessageCounts,
    pub(crate) routes: Received,
}

/// What [`Status`] is made of that is written down when it happens.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    state: State,
    since: Option<Instant>,
    addresses: Option<[SocketAddr; 2]>,
    pub(super) attempts: u64,
    established: u64,
    last_lost: Option<Lost>,
    last_sent: Option<Told>,
    last_received: Option<Told>,
    pub(super) sent: MessageCounts,
    pub(super) received: MessageCounts,
    pub(super) routes: Received,
}

impl Peer {
    /// How the peer is at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let record = &self.record;
        let negotiated = self.established().and_then(|(_, connection)| connection.negotiated());
        Status {
            state: self.state(),
            since: record.since,
            negotiated: negotiated.map(|negotiated| Box::new(negotiated.clone())),
            addresses: record.addresses,
            bfd: self.bfd,
            is_restarting: self.circumstances(now).is_restarting,
            next_attempt: self.retry.map(|retry| retry.saturating_since(now)),
            failures: self.failures,
            attempts: record.attempts,
            established: record.established,
            last_lost: record.last_lost.clone(),
            last_sent: record.last_sent.clone(),
            last_received: record.last_received.clone(),
            sent: record.sent,
            received: record.received,
            routes: record.routes,
            ipv4: self.rib_out.statistics(Family::Ipv4Unicast),
            ipv6: self.rib_out.statistics(Family::Ipv6Unicast),
        }
    }
}

impl Record {
    pub(super) fn note_state(&mut self, state: State, now: Instant) {
        if self.state != state {
            self.state = state;
            self.since = Some(now);
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let Self { attempts, established, sent, received, routes, .. } = *self;
        Tally { attempts, established, sent, received, routes }
    }

    /// The session of another process goes on, which there has been `since` then.
    pub(super) fn resume(&mut self, tally: Tally, addresses: [SocketAddr; 2], since: Instant) {
        let Tally { attempts, established, sent, received, routes } = tally;
        let (state, since) = (State::Established, Some(since));
        let addresses = Some(addresses);
        *self = Self {
            state,
            since,
            addresses,
            attempts,
            established,
            sent,
            received,
            routes,
            ..Self::default()
        };
    }

    pub(super) fn note_established(&mut self, addresses: [SocketAddr; 2]) {
        self.established += 1;
        self.addresses = Some(addresses);
        self.routes.end_of_rib = Families::EMPTY;
    }

    pub(super) fn note_lost(&mut self, reason: Reason, now: Instant) {
        self.last_lost = Some(Lost { at: now, reason });
    }

    pub(super) fn note_notification_sent(&mut self, notification: Notification, now: Instant) {
        self.last_sent = Some(Told { at: now, notification });
    }

    pub(super) fn note_notification_received(&mut self, notification: Notification, now: Instant) {
        self.last_received = Some(Told { at: now, notification });
    }
}

impl MessageCounts {
    /// One more of a type.
    pub(super) const fn count(&mut self, message_type: MessageType) {
        let count = match message_type {
            MessageType::Open => &mut self.open,
            MessageType::Update => &mut self.update,
            MessageType::Notification => &mut self.notification,
            MessageType::Keepalive => &mut self.keepalive,
            MessageType::RouteRefresh => &mut self.route_refresh,
        };
        *count += 1;
    }
}

impl Received {
    /// Counts an UPDATE. The family of which the peer has told all with it, if it had not before.
    pub(super) fn count(&mut self, update: &Update<'_>) -> Option<Family> {
        self.reachable += update.reachable().map(|_| 1).sum::<u64>();
        self.withdrawn += update.withdrawn().map(|_| 1).sum::<u64>();
        match update.disposition() {
            Disposition::Accept => {}
            Disposition::TreatAsWithdraw(_) => self.treated_as_withdraw += 1,
        }
        self.attributes_discarded += u64::from(!update.discarded().is_empty());
        self.looped += u64::from(update.has_loop());
        let family = update.end_of_rib().filter(|family| !self.end_of_rib.contains(*family))?;
        self.end_of_rib.insert(family);
        Some(family)
    }
}
