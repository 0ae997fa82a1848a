//! What a peer is to know, and what it has been told: the Adj-RIB-Out of RFC 4271 §3.2.
//!
//! A [`RibOut`] outlives sessions. Its caller says what is wanted; each session that is established
//! is told all of it, then what has changed. Nothing is queued: each prefix knows what is wanted
//! and what the peer was told, and [`RibOut::next_message`] sends the difference as it is when the
//! connection can take a message. What was announced and withdrawn before is not sent at all, what
//! changed twice is sent once, and only what was announced is withdrawn.
//!
//! # Order
//! Withdrawals go first, as traffic is lost until they are heard. Then, IPv4 before IPv6, what is to
//! be announced: prefixes with the same attributes in one UPDATE, as many as it has room for, and at
//! the end of the first announcement End-of-RIB ([`RibOut::complete`]).
//!
//! # Memory
//! Attributes are kept once, and encoded once for a session. A prefix takes 28 octets; the table of a
//! family doubles when single prefixes are added to it, and fits when they come in one
//! [`RibOut::set_wanted`]: 10,000 prefixes take 280 kB for a peer, 560 kB at most.
//!
//! # Layout
//! `encoding` is how a route becomes attributes, and `routes` keeps each once; `entry` is one prefix,
//! and `table` all of a family.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::{Attributes, Families, Family};

use crate::route::Route;
use routes::Routes;
use table::Table;

pub use encoding::Encoding;

mod encoding;
mod entry;
mod routes;
mod table;

/// The routes towards one peer.
#[derive(Debug)]
pub struct RibOut {
    tables: PerFamily<Table>,
    routes: Routes,
    is_complete: bool,
    is_shutting_down: bool,
}

/// Counts of prefixes of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// That the caller wants the peer to know.
    pub wanted: usize,
    /// That the peer has been told and not been told to forget.
    pub advertised: usize,
    /// That are to be sent: announced, told anew, or withdrawn.
    pub pending: usize,
    /// Of those that are wanted, with more communities than an UPDATE has room for: the peer is not
    /// told.
    pub too_large: usize,
    /// Why the peer is told nothing of this family.
    pub withheld: Option<Withheld>,
}

/// Why a peer is told nothing of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Withheld {
    /// There is no session.
    NotEstablished,
    /// The session does not carry the family.
    FamilyNotNegotiated,
    /// This node has no address that the peer could take for the next hop: see
    /// [`Encoding::next_hop_ipv4`] and [`Encoding::next_hop_ipv6`].
    NoNextHop,
}

impl RibOut {
    /// Nothing is wanted, and there is no session.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tables: PerFamily {
                ipv4: Table::new(Family::Ipv4Unicast),
                ipv6: Table::new(Family::Ipv6Unicast),
            },
            routes: Routes::default(),
            is_complete: false,
            is_shutting_down: false,
        }
    }

    /// Says all that is wanted from now on. What is not in it is withdrawn, what is the same stays
    /// as it is.
    pub fn set_wanted(&mut self, wanted: &BTreeMap<IpPrefix, Arc<Route>>) {
        for table in self.tables.iter_mut() {
            table.set_wanted(wanted, &mut self.routes);
        }
    }

    /// Wants `route` for `prefix`, instead of what was wanted before.
    pub fn announce(&mut self, prefix: IpPrefix, route: &Arc<Route>) {
        let table = self.tables.of_mut(Family::of(prefix.family()));
        table.announce(prefix, route, &mut self.routes);
    }

    /// Wants nothing for `prefix`.
    pub fn withdraw(&mut self, prefix: IpPrefix) {
        let table = self.tables.of_mut(Family::of(prefix.family()));
        table.withdraw(prefix, &mut self.routes);
    }

    /// Says that what is wanted is all that there is, for good. Before, no peer is told End-of-RIB:
    /// one that kept routes of a former life would drop those that are not wanted yet (RFC 4724
    /// §4.1).
    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Marks all routes as about to go away, so that peers choose others before they are withdrawn:
    /// RFC 8326. What has been announced is announced again, also when it is taken back.
    pub fn set_graceful_shutdown(&mut self, is_shutting_down: bool) {
        if self.is_shutting_down == is_shutting_down {
            return;
        }
        self.is_shutting_down = is_shutting_down;
        self.routes.forget_encoded();
        for table in self.tables.iter_mut() {
            table.set_graceful_shutdown(is_shutting_down);
        }
    }

    /// A session has begun: the peer knows nothing.
    pub fn established(&mut self, encoding: &Encoding) {
        self.routes.forget_encoded();
        for table in self.tables.iter_mut() {
            table.establish(encoding, self.is_shutting_down, &mut self.routes);
        }
    }

    /// A session goes on that another process has begun. The peer knows the prefixes that are
    /// `advertised`, with attributes that nobody remembers: it is told all that is wanted, and the
    /// others are withdrawn. That ends the refresh of the families that were `refreshing`.
    pub(crate) fn resume(
        &mut self,
        encoding: &Encoding,
        advertised: &BTreeSet<IpPrefix>,
        refreshing: Families,
    ) {
        self.established(encoding);
        for family in Family::ALL {
            let table = self.tables.of_mut(family);
            table.resume(advertised, refreshing.contains(family), &mut self.routes);
        }
    }

    /// The families of which a refresh has begun and not ended: RFC 7313 §4.
    pub(crate) fn refreshing(&self) -> Families {
        Family::ALL.into_iter().filter(|family| self.tables.of(*family).is_refreshing()).collect()
    }

    /// What UPDATEs depend on has changed within the session, of which only the next hops can. The
    /// routes whose own has changed are announced again, or withdrawn if they have none any more.
    pub fn set_encoding(&mut self, encoding: &Encoding) {
        self.routes.forget_encoded();
        for table in self.tables.iter_mut() {
            table.set_encoding(encoding, self.is_shutting_down);
        }
    }

    /// The session is over.
    pub fn lost(&mut self) {
        self.routes.forget_encoded();
        for table in self.tables.iter_mut() {
            table.lose(&mut self.routes);
        }
    }

    /// The peer asks for all routes of a family again: RFC 2918 §4. With `enhanced`, which both
    /// sides must have offered, marks stand around them: RFC 7313 §4. A family that the session does
    /// not carry is ignored.
    pub fn refresh(&mut self, family: Family, enhanced: bool) {
        self.tables.of_mut(family).refresh(enhanced);
    }

    /// Appends the next message to `out`, an UPDATE or a mark of a route refresh, of at most 4,096
    /// octets. `false`: there is nothing to send.
    pub fn next_message(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next_withdrawal(out) {
            return true;
        }
        let Self { tables, routes, is_complete, .. } = self;
        tables.iter_mut().into_iter().any(|table| {
            table.emit_begin(out)
                || table.emit_announcements(routes, out)
                || table.emit_end(*is_complete, out)
        })
    }

    /// The same of withdrawals alone, which go before all else.
    pub(crate) fn next_withdrawal(&mut self, out: &mut Vec<u8>) -> bool {
        let Self { tables, routes, .. } = self;
        tables.iter_mut().into_iter().any(|table| table.emit_withdrawals(routes, out))
    }

    /// Whether [`RibOut::next_message`] has something to send.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.tables.iter().into_iter().any(|table| table.has_pending(self.is_complete))
    }

    /// Whether that is known without a look at the prefixes: there is nothing to send.
    pub(crate) fn is_settled(&self) -> bool {
        self.tables.iter().into_iter().all(|table| table.is_settled(self.is_complete))
    }

    /// What there is of a family.
    #[must_use]
    pub fn statistics(&self, family: Family) -> Statistics {
        self.tables.of(family).statistics()
    }

    /// What the peer has been told of a family, by prefix.
    pub fn advertised(&self, family: Family) -> impl Iterator<Item = (IpPrefix, &Route)> {
        let advertised = self.tables.of(family).advertised();
        advertised.filter_map(|(prefix, id)| Some((prefix, self.routes.get(id)?.as_ref())))
    }

    /// The path attributes with which a route of this family is announced now; `None`: it is not.
    #[must_use]
    pub fn attributes(&self, family: Family, route: &Route) -> Option<Attributes> {
        self.tables.of(family).attributes(route)
    }
}

impl Default for RibOut {
    fn default() -> Self {
        Self::new()
    }
}

impl Withheld {
    /// The reason's name, for conditions, logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotEstablished => "not_established",
            Self::FamilyNotNegotiated => "family_not_negotiated",
            Self::NoNextHop => "no_next_hop",
        }
    }
}

/// A value for each family.
#[derive(Debug, Default)]
struct PerFamily<T> {
    ipv4: T,
    ipv6: T,
}

impl<T> PerFamily<T> {
    const fn of(&self, family: Family) -> &T {
        match family {
            Family::Ipv4Unicast => &self.ipv4,
            Family::Ipv6Unicast => &self.ipv6,
        }
    }

    const fn of_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::Ipv4Unicast => &mut self.ipv4,
            Family::Ipv6Unicast => &mut self.ipv6,
        }
    }

    const fn iter(&self) -> [&T; 2] {
        [&self.ipv4, &self.ipv6]
    }

    const fn iter_mut(&mut self) -> [&mut T; 2] {
        [&mut self.ipv4, &mut self.ipv6]
    }
}

#[cfg(test)]
mod tests;
