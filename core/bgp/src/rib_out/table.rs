//! The prefixes of one family, and where a session stands with them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::{
    Attributes, Family, RouteRefresh, Subtype, emit_end_of_rib, emit_reachable, emit_withdrawn,
};

use super::encoding::{Encoder, Encoding};
use super::entry::{Change, Entry};
use super::routes::{RouteId, Routes};
use super::{Statistics, Withheld};
use crate::route::Route;

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    family: Family,
    /// Sorted by prefix. A message looks through all of them, which for ten thousand takes some
    /// microseconds; what is to be sent is told by the entries themselves, so nothing can differ.
    entries: Vec<Entry>,
    /// No entry is known to have a change to send.
    is_settled: bool,
    /// All that was advertised is to be sent once more, and nothing has been since: a peer that asks for
    /// its routes again and again has them gone through once.
    is_stale: bool,
    /// Or why the peer is told nothing.
    encoder: Result<Encoder, Withheld>,
    /// While a session is up that carries the family.
    markers: Option<Markers>,
}

/// Messages between the routes.
#[derive(Clone, Copy, Debug)]
struct Markers {
    owes_end_of_rib: bool,
    refresh: Refresh,
}

/// An enhanced route refresh: RFC 7313 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    Idle,
    /// BoRR is to be sent.
    Requested,
    /// BoRR was sent; EoRR is due when nothing is left to send.
    Running,
    /// The peer has asked again meanwhile, and is answered after EoRR: were the one that runs begun
    /// anew, a peer that asks often enough would never be told the last routes.
    RunningAndRequested,
}

impl Table {
    pub(super) const fn new(family: Family) -> Self {
        Self {
            family,
            entries: Vec::new(),
            is_settled: true,
            is_stale: false,
            encoder: Err(Withheld::NotEstablished),
            markers: None,
        }
    }

    /// Both sides are sorted, so one pass finds the differences.
    pub(super) fn set_wanted(&mut self, wanted: &BTreeMap<IpPrefix, Arc<Route>>, routes: &mut Routes) {
        let family = self.family.ip_family();
        let mut wanted = wanted.iter().filter(|(prefix, _)| prefix.family() == family).peekable();
        let mut added = Vec::new();
        for entry in &mut self.entries {
            while let Some((prefix, route)) = wanted.next_if(|(prefix, _)| **prefix < entry.prefix) {
                added.push(Entry::new(*prefix, route, routes));
            }
            let same = wanted.next_if(|(prefix, _)| **prefix == entry.prefix);
            entry.want(same.map(|(_, route)| route), routes);
        }
        added.extend(wanted.map(|(prefix, route)| Entry::new(*prefix, route, routes)));
        self.entries.retain(Entry::is_needed);
        if !added.is_empty() {
            self.entries.reserve_exact(added.len());
            self.entries.append(&mut added);
            self.entries.sort_by_key(|entry| entry.prefix);
        }
        self.is_settled = false;
    }

    pub(super) fn announce(&mut self, prefix: IpPrefix, route: &Arc<Route>, routes: &mut Routes) {
        match self.entries.binary_search_by_key(&prefix, |entry| entry.prefix) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.want(Some(route), routes);
                }
            }
            Err(index) => self.entries.insert(index, Entry::new(prefix, route, routes)),
        }
        self.is_settled = false;
    }

    pub(super) fn withdraw(&mut self, prefix: IpPrefix, routes: &mut Routes) {
        let Ok(index) = self.entries.binary_search_by_key(&prefix, |entry| entry.prefix) else { return };
        let Some(entry) = self.entries.get_mut(index) else { return };
        entry.want(None, routes);
        if !entry.is_needed() {
            self.entries.remove(index);
        }
        self.is_settled = false;
    }

    pub(super) fn establish(&mut self, encoding: &Encoding, is_shutting_down: bool, routes: &mut Routes) {
        self.lose(routes);
        if !encoding.families.contains(self.family) {
            self.encoder = Err(Withheld::FamilyNotNegotiated);
            return;
        }
        self.encoder = Encoder::new(encoding, self.family, is_shutting_down).ok_or(Withheld::NoNextHop);
        self.markers = Some(Markers { owes_end_of_rib: true, refresh: Refresh::Idle });
    }

    /// The session that was just established is another's that goes on: the peer knows these prefixes.
    pub(super) fn resume(
        &mut self,
        advertised: &BTreeSet<IpPrefix>,
        is_refreshing: bool,
        routes: &mut Routes,
    ) {
        let Some(markers) = &mut self.markers else { return };
        if is_refreshing {
            markers.refresh = Refresh::Running;
        }
        // It stands for whatever they were told with. All are stale, so none is taken for what is wanted.
        let unknown = routes.intern(&Arc::default());
        let family = self.family.ip_family();
        let mut added = Vec::new();
        for prefix in advertised.iter().filter(|prefix| prefix.family() == family) {
            match self.entries.binary_search_by_key(prefix, |entry| entry.prefix) {
                Ok(index) => {
                    if let Some(entry) = self.entries.get_mut(index) {
                        entry.set_advertised(Some(unknown), routes);
                    }
                }
                Err(_) => added.push(Entry::told(*prefix, unknown, routes)),
            }
        }
        self.entries.append(&mut added);
        self.entries.sort_by_key(|entry| entry.prefix);
        routes.release(Some(unknown));
        self.mark_stale();
    }

    /// Whether BoRR was sent and EoRR was not.
    pub(super) fn is_refreshing(&self) -> bool {
        self.markers.is_some_and(|markers| match markers.refresh {
            Refresh::Idle | Refresh::Requested => false,
            Refresh::Running | Refresh::RunningAndRequested => true,
        })
    }

    pub(super) fn set_encoding(&mut self, encoding: &Encoding, is_shutting_down: bool) {
        if self.markers.is_none() {
            return;
        }
        let encoder = Encoder::new(encoding, self.family, is_shutting_down).ok_or(Withheld::NoNextHop);
        if self.encoder != encoder {
            self.encoder = encoder;
            self.mark_stale();
        }
    }

    pub(super) fn lose(&mut self, routes: &mut Routes) {
        for entry in &mut self.entries {
            entry.set_advertised(None, routes);
        }
        self.entries.retain(Entry::is_needed);
        self.encoder = Err(Withheld::NotEstablished);
        self.markers = None;
        self.is_settled = false;
        self.is_stale = false;
    }

    pub(super) fn set_graceful_shutdown(&mut self, is_shutting_down: bool) {
        if let Ok(encoder) = &mut self.encoder {
            encoder.is_shutting_down = is_shutting_down;
        }
        self.mark_stale();
    }

    pub(super) fn refresh(&mut self, enhanced: bool) {
        let Some(markers) = &mut self.markers else { return };
        if !enhanced {
            self.mark_stale();
            return;
        }
        markers.refresh = match markers.refresh {
            Refresh::Idle | Refresh::Requested => Refresh::Requested,
            Refresh::Running | Refresh::RunningAndRequested => Refresh::RunningAndRequested,
        };
    }

    fn mark_stale(&mut self) {
        self.is_settled = false;
        if self.is_stale {
            return;
        }
        self.is_stale = true;
        for entry in &mut self.entries {
            entry.is_stale = entry.advertised.is_some();
        }
    }

    pub(super) fn has_pending(&self, is_complete: bool) -> bool {
        !self.is_settled(is_complete) && (self.is_marker_due(is_complete) || self.changes().next().is_some())
    }

    pub(super) fn is_settled(&self, is_complete: bool) -> bool {
        self.is_settled && !self.is_marker_due(is_complete)
    }

    fn is_marker_due(&self, is_complete: bool) -> bool {
        self.markers.is_some_and(|markers| match markers.refresh {
            Refresh::Idle => markers.owes_end_of_rib && is_complete,
            Refresh::Requested => !markers.owes_end_of_rib || is_complete,
            Refresh::Running | Refresh::RunningAndRequested => true,
        })
    }

    /// Appends a message with withdrawals. `false`: there are none.
    pub(super) fn emit_withdrawals(&mut self, routes: &mut Routes, out: &mut Vec<u8>) -> bool {
        if self.is_settled || self.prefixes(Change::Withdraw).next().is_none() {
            return false;
        }
        let count = emit_withdrawn(self.family, &mut self.prefixes(Change::Withdraw).peekable(), out);
        self.commit(Change::Withdraw, count, routes);
        self.entries.retain(Entry::is_needed);
        true
    }

    /// Appends a message with prefixes that have the same attributes. `false`: nothing is to be
    /// announced.
    pub(super) fn emit_announcements(&mut self, routes: &mut Routes, out: &mut Vec<u8>) -> bool {
        if self.is_settled {
            return false;
        }
        let route = self.changes().find_map(|(_, change)| match change {
            Change::Announce(route) => Some(route),
            Change::Withdraw => None,
        });
        let (Some(route), Ok(encoder)) = (route, &self.encoder) else {
            self.is_settled = true;
            return false;
        };
        let Some(attributes) = routes.encoded(route, self.family, encoder) else { return false };
        let change = Change::Announce(route);
        let count = emit_reachable(attributes, self.family, &mut self.prefixes(change).peekable(), out);
        self.commit(change, count, routes);
        count > 0
    }

    /// Appends the BoRR of a route refresh that begins, RFC 7313 §4: not before End-of-RIB.
    pub(super) fn emit_begin(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(markers) = &mut self.markers else { return false };
        if markers.refresh != Refresh::Requested || markers.owes_end_of_rib {
            return false;
        }
        markers.refresh = Refresh::Running;
        self.mark_stale();
        self.emit_refresh(Subtype::BeginningOfRefresh, out);
        true
    }

    /// Appends End-of-RIB (RFC 4724 §2) or the EoRR of a route refresh, when nothing is left to
    /// announce.
    pub(super) fn emit_end(&mut self, is_complete: bool, out: &mut Vec<u8>) -> bool {
        let Some(markers) = &mut self.markers else { return false };
        if markers.owes_end_of_rib {
            markers.owes_end_of_rib = !is_complete;
            if is_complete {
                emit_end_of_rib(self.family, out);
            }
            return is_complete;
        }
        markers.refresh = match markers.refresh {
            Refresh::Idle | Refresh::Requested => return false,
            Refresh::Running => Refresh::Idle,
            Refresh::RunningAndRequested => Refresh::Requested,
        };
        self.emit_refresh(Subtype::EndOfRefresh, out);
        true
    }

    fn emit_refresh(&self, subtype: Subtype, out: &mut Vec<u8>) {
        out.extend_from_slice(&RouteRefresh { family: Some(self.family), subtype }.emit());
    }

    /// The first `count` prefixes with this change have been sent.
    fn commit(&mut self, change: Change, count: usize, routes: &mut Routes) {
        let told = match change {
            Change::Withdraw => None,
            Change::Announce(route) => Some(route),
        };
        self.is_stale &= told.is_none();
        let is_told = self.encoder.is_ok();
        let changed = self.entries.iter_mut().filter(|entry| entry.change(is_told) == Some(change));
        for entry in changed.take(count) {
            entry.set_advertised(told, routes);
        }
    }

    fn prefixes(&self, change: Change) -> impl Iterator<Item = IpPrefix> {
        self.changes().filter(move |(_, other)| *other == change).map(|(prefix, _)| prefix)
    }

    fn changes(&self) -> impl Iterator<Item = (IpPrefix, Change)> {
        let is_told = self.encoder.is_ok();
        self.entries.iter().filter_map(move |entry| Some((entry.prefix, entry.change(is_told)?)))
    }

    pub(super) fn advertised(&self) -> impl Iterator<Item = (IpPrefix, RouteId)> {
        self.entries.iter().filter_map(|entry| Some((entry.prefix, entry.advertised?)))
    }

    pub(super) fn attributes(&self, route: &Route) -> Option<Attributes> {
        self.encoder.as_ref().ok().map(|encoder| encoder.attributes(route))
    }

    pub(super) fn statistics(&self) -> Statistics {
        let count =
            |is_counted: fn(&Entry) -> bool| self.entries.iter().filter(|entry| is_counted(entry)).count();
        Statistics {
            wanted: count(|entry| entry.wanted.is_some() || entry.is_too_large),
            advertised: count(|entry| entry.advertised.is_some()),
            pending: self.changes().count(),
            too_large: count(|entry| entry.is_too_large),
            withheld: self.encoder.as_ref().err().copied(),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}
