//! The metrics of the BFD driver.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use ferrolb_bfd::{DownReason, Event, Session};
use ferrolb_vocab::InterfaceName;
use ferrolb_wire::bfd::{Diagnostic, State};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Counts, SessionPath};

/// The table of `ferrolb_bfd_*`.
#[derive(Clone, Debug, Default)]
pub struct BfdMetrics {
    session_up: Family<SessionLabels, Gauge>,
    detection_time: Family<SessionLabels, Gauge<f64, AtomicU64>>,
    packets: Family<PacketLabels, Counter>,
    echo_packets: Family<PacketLabels, Counter>,
    send_errors: Family<SessionLabels, Counter>,
    transitions: Family<TransitionLabels, Counter>,
    drops: Family<DropLabels, Counter>,
    socket_losses: Counter,
    realtime: Gauge,
}

/// The metrics of one session.
#[derive(Clone, Debug)]
pub(super) struct SessionMetrics {
    labels: SessionLabels,
    up: Gauge,
    detection_time: Gauge<f64, AtomicU64>,
    sent: Counter,
    received: Counter,
    echo_sent: Counter,
    echo_returned: Counter,
    echo_looped_back: Counter,
    send_errors: Counter,
    transitions: Family<TransitionLabels, Counter>,
}

/// A session's path; what it leaves open is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SessionLabels {
    peer: String,
    local: String,
    interface: String,
    hops: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PacketLabels {
    #[prometheus(flatten)]
    session: SessionLabels,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    #[prometheus(flatten)]
    session: SessionLabels,
    to: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

const SENT: &str = "sent";
const RECEIVED: &str = "received";
const RETURNED: &str = "returned";
const LOOPED_BACK: &str = "looped_back";

/// Where a session can go, and why.
const TRANSITIONS: [(&str, &str); 7] = [
    ("up", ""),
    ("down", DownReason::DetectionTimeExpired.reason()),
    ("down", DownReason::EchoFailed.reason()),
    ("down", DownReason::NeighborDown { diagnostic: Diagnostic::NONE }.reason()),
    ("down", DownReason::NeighborReset.reason()),
    ("down", DownReason::NeighborAdminDown.reason()),
    ("down", DownReason::AdminDown.reason()),
];

impl BfdMetrics {
    /// The metrics, registered under their full names.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_bfd_session_up",
            "Whether a BFD session is up",
            metrics.session_up.clone(),
        );
        registry.register(
            "ferrolb_bfd_detection_time_seconds",
            "How long a BFD peer may be silent; 0 while it is not heard",
            metrics.detection_time.clone(),
        );
        registry.register(
            "ferrolb_bfd_packets",
            "BFD packets sent to and accepted from a peer",
            metrics.packets.clone(),
        );
        registry.register(
            "ferrolb_bfd_echo_packets",
            "BFD Echo packets sent, come back in time, and sent back for a peer",
            metrics.echo_packets.clone(),
        );
        registry.register(
            "ferrolb_bfd_send_errors",
            "BFD packets that the system refused to send",
            metrics.send_errors.clone(),
        );
        registry.register(
            "ferrolb_bfd_transitions",
            "BFD sessions that came up or left it, by reason",
            metrics.transitions.clone(),
        );
        registry.register("ferrolb_bfd_drops", "BFD packets discarded, by reason", metrics.drops.clone());
        registry.register(
            "ferrolb_bfd_socket_losses",
            "BFD sockets that failed and had to be opened again",
            metrics.socket_losses.clone(),
        );
        registry.register(
            "ferrolb_bfd_realtime",
            "Whether the BFD thread runs before all that is not real-time",
            metrics.realtime.clone(),
        );
        metrics
    }

    /// The metrics of a session.
    pub(super) fn of(&self, path: &SessionPath) -> SessionMetrics {
        let labels = SessionLabels::of(path);
        let packets = |direction| {
            self.packets.get_or_create_owned(&PacketLabels { session: labels.clone(), direction })
        };
        let echo_packets = |direction| {
            self.echo_packets.get_or_create_owned(&PacketLabels { session: labels.clone(), direction })
        };
        for (to, reason) in TRANSITIONS {
            // Now, and not when the session leaves Up: a new label waits for whoever scrapes.
            self.transitions.get_or_create_owned(&TransitionLabels { session: labels.clone(), to, reason });
        }
        SessionMetrics {
            up: self.session_up.get_or_create_owned(&labels),
            detection_time: self.detection_time.get_or_create_owned(&labels),
            sent: packets(SENT),
            received: packets(RECEIVED),
            echo_sent: echo_packets(SENT),
            echo_returned: echo_packets(RETURNED),
            echo_looped_back: echo_packets(LOOPED_BACK),
            send_errors: self.send_errors.get_or_create_owned(&labels),
            transitions: self.transitions.clone(),
            labels,
        }
    }

    /// Forgets a session that has ended.
    pub(super) fn forget(&self, path: &SessionPath) {
        let session = SessionLabels::of(path);
        for (to, reason) in TRANSITIONS {
            self.transitions.remove(&TransitionLabels { session: session.clone(), to, reason });
        }
        for direction in [SENT, RECEIVED] {
            self.packets.remove(&PacketLabels { session: session.clone(), direction });
        }
        for direction in [SENT, RETURNED, LOOPED_BACK] {
            self.echo_packets.remove(&PacketLabels { session: session.clone(), direction });
        }
        self.session_up.remove(&session);
        self.detection_time.remove(&session);
        self.send_errors.remove(&session);
    }

    /// How many packets were discarded since the start, by reason.
    pub(super) fn show_discards(&self, discards: &BTreeMap<&'static str, u64>) {
        for (&reason, &count) in discards {
            raise(&self.drops.get_or_create(&DropLabels { reason }), count);
        }
    }

    pub(super) fn count_unread_event(&self) {
        self.drops.get_or_create(&DropLabels { reason: "event_queue" }).inc();
    }

    pub(super) fn count_socket_losses(&self, lost: u64) {
        self.socket_losses.inc_by(lost);
    }

    pub(super) fn set_realtime(&self, is_realtime: bool) {
        self.realtime.set(i64::from(is_realtime));
    }
}

impl SessionMetrics {
    /// Shows what was counted, and what the engine says of the session while it runs.
    pub(super) fn show(&self, counts: &Counts, core: Option<&Session>) {
        let is_up = core.is_some_and(|session| session.state() == State::Up);
        let detection_time = core.and_then(Session::detection_time).unwrap_or_default();
        self.up.set(i64::from(is_up));
        self.detection_time.set(detection_time.as_secs_f64());
        raise(&self.sent, counts.sent);
        raise(&self.received, counts.received);
        raise(&self.echo_sent, counts.echo_sent);
        raise(&self.echo_returned, counts.echo_returned);
        raise(&self.echo_looped_back, counts.echo_looped_back);
        raise(&self.send_errors, counts.send_errors);
    }

    pub(super) fn count_event(&self, event: Event) {
        let (to, reason) = match event {
            Event::Up { .. } => ("up", ""),
            Event::Down { why, .. } => ("down", why.reason()),
        };
        self.transitions.get_or_create(&TransitionLabels { session: self.labels.clone(), to, reason }).inc();
    }
}

impl SessionLabels {
    fn of(path: &SessionPath) -> Self {
        Self {
            peer: path.peer.to_string(),
            local: path.local.map(|local| local.to_string()).unwrap_or_default(),
            interface: path.interface.as_ref().map(InterfaceName::to_string).unwrap_or_default(),
            hops: if path.is_multihop { "several" } else { "one" },
        }
    }
}

/// Takes a counter to `total`.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
