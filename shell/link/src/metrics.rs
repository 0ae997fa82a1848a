//! What the layer 2 driver counts.

use ferrolb_l2::{Protocol, TransmitKind};
use ferrolb_vocab::InterfaceName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The counters of the layer 2 driver. Clones count into the same series.
#[derive(Clone, Debug, Default)]
pub struct L2Metrics {
    requests: Family<ByProtocol, Counter>,
    responses: Family<ByProtocol, Counter>,
    announcements: Family<ByKind, Counter>,
    conflicts: Family<ByProtocol, Counter>,
    failures: Family<ByProtocol, Counter>,
    drops: Family<ByReason, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProtocol {
    interface: String,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    interface: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

impl ByProtocol {
    fn new(interface: &InterfaceName, protocol: Protocol) -> Self {
        Self { interface: interface.to_string(), protocol: protocol.name() }
    }
}

impl L2Metrics {
    /// Registers the counters under their full names; the encoder appends `_total`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_l2_requests",
            "ARP requests and Neighbor Solicitations for addresses announced here",
            metrics.requests.clone(),
        );
        registry.register(
            "ferrolb_l2_responses",
            "ARP replies and solicited Neighbor Advertisements sent",
            metrics.responses.clone(),
        );
        registry.register(
            "ferrolb_l2_announcements",
            "ARP Announcements and unsolicited Neighbor Advertisements sent",
            metrics.announcements.clone(),
        );
        registry.register(
            "ferrolb_l2_conflicts",
            "Packets in which another station claims an address announced here",
            metrics.conflicts.clone(),
        );
        registry.register(
            "ferrolb_l2_listener_failures",
            "Sockets that could not be opened or failed",
            metrics.failures.clone(),
        );
        registry.register(
            "ferrolb_l2_drops",
            "Packets without effect, frames not sent and events not delivered",
            metrics.drops.clone(),
        );
        metrics
    }

    pub(crate) fn request(&self, interface: &InterfaceName, protocol: Protocol) {
        self.requests.get_or_create(&ByProtocol::new(interface, protocol)).inc();
    }

    pub(crate) fn conflict(&self, interface: &InterfaceName, protocol: Protocol) {
        self.conflicts.get_or_create(&ByProtocol::new(interface, protocol)).inc();
    }

    pub(crate) fn failure(&self, interface: &InterfaceName, protocol: Protocol) {
        self.failures.get_or_create(&ByProtocol::new(interface, protocol)).inc();
    }

    pub(crate) fn drop(&self, reason: &'static str) {
        self.drops.get_or_create(&ByReason { reason }).inc();
    }

    pub(crate) fn sent(&self, interface: &InterfaceName, protocol: Protocol, kind: TransmitKind) {
        if kind.is_announcement() {
            let labels = ByKind { interface: interface.to_string(), kind: kind.name() };
            self.announcements.get_or_create(&labels).inc();
        } else {
            self.responses.get_or_create(&ByProtocol::new(interface, protocol)).inc();
        }
    }
}
