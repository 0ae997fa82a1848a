//! The metrics of the liveness driver.

use ferrolb_liveness::{DeadReason, Event, PeerState, Rejected};
use ferrolb_wire::mesh::Kind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The table of `ferrolb_liveness_*`.
#[derive(Clone, Debug, Default)]
pub struct LivenessMetrics {
    messages: Family<MessageLabels, Counter>,
    peers: Family<StateLabels, Gauge>,
    transitions: Family<TransitionLabels, Counter>,
    drops: Family<DropLabels, Counter>,
    claims_changes: Counter,
    refusals: Counter,
    send_errors: Counter,
    socket_losses: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    direction: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    to: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Sent,
    Received,
}

impl LivenessMetrics {
    /// The metrics, registered under their full names.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_liveness_messages",
            "Liveness messages sent to and accepted from other speakers",
            metrics.messages.clone(),
        );
        registry.register(
            "ferrolb_liveness_peers",
            "Other speakers by state; unknown ones are presumed alive",
            metrics.peers.clone(),
        );
        registry.register(
            "ferrolb_liveness_transitions",
            "Other speakers that were found alive, leaving or dead, by reason",
            metrics.transitions.clone(),
        );
        registry.register(
            "ferrolb_liveness_drops",
            "Liveness messages not listened to, by reason; copies by a second address count as duplicate",
            metrics.drops.clone(),
        );
        registry.register(
            "ferrolb_liveness_claims_changes",
            "Changes of what other speakers say they own",
            metrics.claims_changes.clone(),
        );
        registry.register(
            "ferrolb_liveness_refusals",
            "Liveness messages that came back because no speaker listened",
            metrics.refusals.clone(),
        );
        registry.register(
            "ferrolb_liveness_send_errors",
            "Liveness messages that the system refused to send",
            metrics.send_errors.clone(),
        );
        registry.register(
            "ferrolb_liveness_socket_losses",
            "Liveness sockets that failed and had to be opened again",
            metrics.socket_losses.clone(),
        );
        metrics
    }

    pub(super) fn count_message(&self, direction: Direction, kind: Kind) {
        let direction = match direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        };
        self.messages.get_or_create(&MessageLabels { direction, kind: kind.name() }).inc();
    }

    pub(super) fn count_event(&self, event: &Event) {
        let labels = match event {
            Event::Alive(_) => TransitionLabels { to: "alive", reason: "Heard" },
            Event::Staying(_) => TransitionLabels { to: "alive", reason: "Stays" },
            Event::Leaving(_) => TransitionLabels { to: "leaving", reason: "Leaves" },
            Event::Dead { why, .. } => TransitionLabels { to: "dead", reason: why.reason() },
            Event::ClaimsChanged(_) => {
                self.claims_changes.inc();
                return;
            }
        };
        self.transitions.get_or_create(&labels).inc();
    }

    pub(super) fn count_refusal(&self) {
        self.refusals.inc();
    }

    pub(super) fn count_rejected(&self, rejected: &Rejected) {
        self.drops.get_or_create(&DropLabels { reason: rejected.reason() }).inc();
    }

    pub(super) fn count_unlogged_event(&self) {
        self.drops.get_or_create(&DropLabels { reason: "event_queue" }).inc();
    }

    pub(super) fn count_send_error(&self) {
        self.send_errors.inc();
    }

    pub(super) fn count_socket_loss(&self) {
        self.socket_losses.inc();
    }

    /// Replaces the number of peers in each state.
    pub(super) fn set_peers(&self, states: impl Iterator<Item = PeerState>) {
        let (mut unknown, mut alive, mut dead) = (0, 0, 0);
        for state in states {
            match state {
                PeerState::Unknown => unknown += 1,
                PeerState::Alive => alive += 1,
                PeerState::Dead(_) => dead += 1,
            }
        }
        let counts = [
            (PeerState::Unknown, unknown),
            (PeerState::Alive, alive),
            (PeerState::Dead(DeadReason::Silent), dead),
        ];
        for (state, count) in counts {
            self.peers.get_or_create(&StateLabels { state: state.name() }).set(count);
        }
    }
}
