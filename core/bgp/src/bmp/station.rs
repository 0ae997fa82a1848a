//! One connection to a station.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use ferrolb_vocab::{Instant, IpPrefix, ObjectName};
use ferrolb_wire::bgp::{
    Attributes, EncodedAttributes, Family, emit_end_of_rib, emit_reachable, emit_withdrawn,
};
use ferrolb_wire::bmp::{
    PeerDown, PeerUp, PerPeerHeader, emit_initiation, emit_peer_down, emit_peer_up, emit_route_monitoring,
    emit_statistics,
};

use super::monitored::{AdjRibOut, Monitored, MonitoredPeers, Session};

/// How often a station is told numbers.
pub const STATISTICS_INTERVAL: Duration = Duration::from_secs(60);

/// Octets after which the next peer waits until they are written: what is not told yet can still change.
/// All that is new of one peer goes at once.
const BATCH: usize = 65_536;

/// What the speaker is called, and when its clock began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is: sysDescr, RFC 7854 §4.4.
    pub system_description: Box<str>,
    /// What it is called: sysName.
    pub system_name: Box<str>,
    /// The time of [`Instant::ORIGIN`], since the beginning of 1970 (UTC).
    pub origin: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Station {
    identity: Identity,
    is_greeted: bool,
    peers: MonitoredPeers,
    /// The sessions that it takes for up.
    told: BTreeMap<ObjectName, Told>,
    statistics_due: Instant,
}

/// What the station was told of a session.
#[derive(Debug)]
struct Told {
    session: Arc<Session>,
    /// `None` before End-of-RIB.
    adj_rib_out: Option<Arc<AdjRibOut>>,
    owes_statistics: bool,
}

impl Station {
    /// A station that has been connected to at `now` and knows nothing.
    #[must_use]
    pub fn new(identity: Identity, now: Instant) -> Self {
        Self {
            identity,
            is_greeted: false,
            peers: MonitoredPeers::default(),
            told: BTreeMap::new(),
            statistics_due: now + STATISTICS_INTERVAL,
        }
    }

    /// Says how the peers are, all of them.
    pub fn set_peers(&mut self, peers: MonitoredPeers) {
        self.peers = peers;
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.statistics_due <= now {
            self.statistics_due = now + STATISTICS_INTERVAL;
            for told in self.told.values_mut() {
                told.owes_statistics = true;
            }
        }
    }

    /// What to write next: whole messages.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if !self.is_greeted {
            self.is_greeted = true;
            emit_initiation(&self.identity.system_description, &self.identity.system_name, &mut out);
        }
        self.tell_ends(&mut out);
        let peers = Arc::clone(&self.peers);
        for (name, peer) in &*peers {
            if out.len() >= BATCH {
                break;
            }
            self.tell(name, peer, &mut out);
        }
        (!out.is_empty()).then_some(out)
    }

    /// When to call [`Station::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.statistics_due
    }

    /// Tells of the sessions that are no more. They go first: a peer may have two, one after the other.
    fn tell_ends(&mut self, out: &mut Vec<u8>) {
        let Self { identity, peers, told, .. } = self;
        told.retain(|name, told| {
            let peer = peers.get(name);
            let session = peer.and_then(|peer| peer.session.as_ref());
            if session.is_some_and(|session| Arc::ptr_eq(session, &told.session)) {
                return true;
            }
            match peer.and_then(|peer| peer.ended.as_ref()) {
                Some(ended) => emit_peer_down(&identity.timed(&told.session, ended.at), &ended.down, out),
                None => emit_peer_down(&told.session.header, &PeerDown::Deconfigured, out),
            }
            false
        });
    }

    /// Tells what is new of a peer.
    fn tell(&mut self, name: &ObjectName, peer: &Monitored, out: &mut Vec<u8>) {
        let Some(session) = &peer.session else { return };
        let told = self.told.entry(name.clone()).or_insert_with(|| {
            session.tell_up(&self.identity.timed(session, session.since), &name.to_string(), out);
            Told { session: Arc::clone(session), adj_rib_out: None, owes_statistics: false }
        });
        if let Some(adj_rib_out) = &peer.adj_rib_out {
            let before = told.adj_rib_out.replace(Arc::clone(adj_rib_out));
            if before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, adj_rib_out)) {
                session.tell_routes(before.as_deref(), adj_rib_out, out);
            }
        }
        if core::mem::take(&mut told.owes_statistics) {
            emit_statistics(&session.header, &peer.statistics, out);
        }
    }
}

impl Identity {
    /// The header of what happened to the session at a time.
    fn timed(&self, session: &Session, at: Instant) -> PerPeerHeader {
        PerPeerHeader { timestamp: self.origin.saturating_add(at.since_origin()), ..session.header }
    }
}

impl Session {
    fn tell_up(&self, header: &PerPeerHeader, name: &str, out: &mut Vec<u8>) {
        let up = PeerUp {
            local: self.local,
            remote: self.remote,
            sent_open: &self.sent_open,
            received_open: &self.received_open,
            admin_label: name,
        };
        emit_peer_up(header, &up, out);
    }

    /// Tells by what the peer's routes are others than `before`; the first time, all of them, and that
    /// these are all (RFC 7854 §3.3).
    fn tell_routes(&self, before: Option<&AdjRibOut>, now: &AdjRibOut, out: &mut Vec<u8>) {
        let known = before.map(|before| &before.routes);
        for family in Family::ALL {
            let is_gone =
                |prefix: &IpPrefix| Family::of(prefix.family()) == family && !now.routes.contains_key(prefix);
            let gone = known.into_iter().flat_map(BTreeMap::keys).copied().filter(is_gone);
            let mut gone = gone.peekable();
            self.tell_updates(|update| emit_withdrawn(family, &mut gone, update), out);
        }
        let mut changed: BTreeMap<(Family, &Attributes), Vec<IpPrefix>> = BTreeMap::new();
        for (prefix, attributes) in &now.routes {
            if known.and_then(|known| known.get(prefix)) != Some(attributes) {
                changed.entry((Family::of(prefix.family()), &**attributes)).or_default().push(*prefix);
            }
        }
        for ((family, attributes), prefixes) in changed {
            // As the peer was sent them, so they fit.
            let Ok(encoded) = EncodedAttributes::new(attributes, self.four_octet_as) else { continue };
            let mut prefixes = prefixes.into_iter().peekable();
            self.tell_updates(|update| emit_reachable(&encoded, family, &mut prefixes, update), out);
        }
        if before.is_none() {
            for family in self.families.iter() {
                let mut update = Vec::new();
                emit_end_of_rib(family, &mut update);
                emit_route_monitoring(&self.header, self.four_octet_as, &update, out);
            }
        }
    }

    /// Tells the UPDATEs that `emit` appends one by one, with how many routes each has.
    fn tell_updates(&self, mut emit: impl FnMut(&mut Vec<u8>) -> usize, out: &mut Vec<u8>) {
        let mut update = Vec::new();
        while emit(&mut update) > 0 {
            emit_route_monitoring(&self.header, self.four_octet_as, &update, out);
            update.clear();
        }
    }
}
