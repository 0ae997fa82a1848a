//! The metrics of the BGP driver.

use std::collections::BTreeSet;

use ferrolb_bgp::{Event, MessageCounts, State, Statistics, Status};
use ferrolb_vocab::ObjectName;
use ferrolb_wire::bgp::{self, MessageType};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The table of `ferrolb_bgp_*`.
#[derive(Clone, Debug, Default)]
pub struct BgpMetrics {
    session_up: Family<PeerLabels, Gauge>,
    sessions: Family<PeerLabels, Counter>,
    connect_attempts: Family<PeerLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    messages: Family<MessageLabels, Counter>,
    prefixes: Family<PrefixLabels, Gauge>,
    received_prefixes: Family<ReceivedLabels, Counter>,
    drops: Family<DropLabels, Counter>,
}

/// The metrics of one peer.
#[derive(Debug)]
pub(super) struct PeerMetrics {
    table: BgpMetrics,
    peer: String,
    /// Why sessions and attempts have failed so far.
    failures: BTreeSet<FailureLabels>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct FailureLabels {
    peer: String,
    /// What came to its end: `session` or `attempt`.
    what: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    peer: String,
    direction: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PrefixLabels {
    peer: String,
    family: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceivedLabels {
    peer: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

const SENT: &str = "sent";
const RECEIVED: &str = "received";

impl BgpMetrics {
    /// The metrics, registered under their full names.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_bgp_session_up",
            "Whether a BGP session is established",
            metrics.session_up.clone(),
        );
        registry.register("ferrolb_bgp_sessions", "BGP sessions established", metrics.sessions.clone());
        registry.register(
            "ferrolb_bgp_connect_attempts",
            "How often a connection to a BGP peer was tried",
            metrics.connect_attempts.clone(),
        );
        registry.register(
            "ferrolb_bgp_failures",
            "BGP sessions, and attempts at one, that came to their end, by reason",
            metrics.failures.clone(),
        );
        registry.register(
            "ferrolb_bgp_messages",
            "BGP messages sent to and received from a peer, by type",
            metrics.messages.clone(),
        );
        registry.register(
            "ferrolb_bgp_prefixes",
            "Prefixes that a BGP peer is to know (wanted), knows (advertised), is yet to be told (pending), or cannot be \
             told for their communities (too_large)",
            metrics.prefixes.clone(),
        );
        registry.register(
            "ferrolb_bgp_received_prefixes",
            "Prefixes in UPDATEs of a BGP peer, as often as they came; nothing is done with them",
            metrics.received_prefixes.clone(),
        );
        registry.register(
            "ferrolb_bgp_drops",
            "What the BGP driver dropped, by reason",
            metrics.drops.clone(),
        );
        metrics
    }

    /// The metrics of a peer.
    pub(super) fn of(&self, peer: &ObjectName) -> PeerMetrics {
        PeerMetrics { table: self.clone(), peer: peer.to_string(), failures: BTreeSet::new() }
    }

    pub(super) fn count_drop(&self, reason: &'static str) {
        self.drops.get_or_create(&DropLabels { reason }).inc();
    }
}

impl PeerMetrics {
    /// Shows how the peer is.
    pub(super) fn show(&self, status: &Status) {
        let (table, labels) = (&self.table, self.labels());
        let is_up = status.state == State::Established;
        table.session_up.get_or_create(&labels).set(i64::from(is_up));
        raise(&table.sessions.get_or_create(&labels), status.established);
        raise(&table.connect_attempts.get_or_create(&labels), status.attempts);
        for (direction, counts) in [(SENT, &status.sent), (RECEIVED, &status.received)] {
            for kind in MessageType::ALL {
                raise(&table.messages.get_or_create(&self.message(direction, kind)), count(counts, kind));
            }
        }
        for (family, statistics) in
            [(bgp::Family::Ipv4Unicast, &status.ipv4), (bgp::Family::Ipv6Unicast, &status.ipv6)]
        {
            for (state, count) in states(statistics) {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                table.prefixes.get_or_create(&self.prefix(family, state)).set(count);
            }
        }
        for (kind, total) in [("reachable", status.routes.reachable), ("withdrawn", status.routes.withdrawn)]
        {
            raise(&table.received_prefixes.get_or_create(&self.received(kind)), total);
        }
    }

    /// Counts an end.
    pub(super) fn count_event(&mut self, event: &Event) {
        let (what, reason) = match event {
            Event::Down { reason, .. } => ("session", reason),
            Event::Failed { reason, .. } => ("attempt", reason),
            Event::Established { .. } | Event::Refused { .. } | Event::EndOfRib { .. } => return,
        };
        let labels = FailureLabels { peer: self.peer.clone(), what, reason: reason.reason() };
        self.table.failures.get_or_create(&labels).inc();
        self.failures.insert(labels);
    }

    /// Forgets the peer.
    pub(super) fn forget(&self) {
        let (table, labels) = (&self.table, self.labels());
        table.session_up.remove(&labels);
        table.sessions.remove(&labels);
        table.connect_attempts.remove(&labels);
        for labels in &self.failures {
            table.failures.remove(labels);
        }
        for direction in [SENT, RECEIVED] {
            for kind in MessageType::ALL {
                table.messages.remove(&self.message(direction, kind));
            }
        }
        for family in bgp::Family::ALL {
            for state in STATES {
                table.prefixes.remove(&self.prefix(family, state));
            }
        }
        for kind in ["reachable", "withdrawn"] {
            table.received_prefixes.remove(&self.received(kind));
        }
    }

    fn labels(&self) -> PeerLabels {
        PeerLabels { peer: self.peer.clone() }
    }

    fn message(&self, direction: &'static str, kind: MessageType) -> MessageLabels {
        MessageLabels { peer: self.peer.clone(), direction, kind: kind.name() }
    }

    fn prefix(&self, family: bgp::Family, state: &'static str) -> PrefixLabels {
        PrefixLabels { peer: self.peer.clone(), family: family.name(), state }
    }

    fn received(&self, kind: &'static str) -> ReceivedLabels {
        ReceivedLabels { peer: self.peer.clone(), kind }
    }
}

const STATES: [&str; 4] = ["wanted", "advertised", "pending", "too_large"];

fn states(statistics: &Statistics) -> impl Iterator<Item = (&'static str, usize)> {
    let Statistics { wanted, advertised, pending, too_large, withheld: _ } = *statistics;
    STATES.into_iter().zip([wanted, advertised, pending, too_large])
}

const fn count(counts: &MessageCounts, kind: MessageType) -> u64 {
    match kind {
        MessageType::Open => counts.open,
        MessageType::Update => counts.update,
        MessageType::Notification => counts.notification,
        MessageType::Keepalive => counts.keepalive,
        MessageType::RouteRefresh => counts.route_refresh,
    }
}

/// Takes a counter to `total`.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
