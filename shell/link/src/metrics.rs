//! What the layer 2 driver counts.

use ferrolb_l2::{Protocol, Purpose, TransmitKind};
use ferrolb_vocab::InterfaceName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The counters of the layer 2 driver. Clones count into the same series.
#[derive(Clone, Debug, Default)]
pub struct L2Metrics {
    requests: Family<ByProtocol, Counter>,
    responses: Family<ByProtocol, Counter>,
    announcements: Family<ByKind, Counter>,
    conflicts: Family<ByProtocol, Counter>,
    defences: Family<ByProtocol, Counter>,
    probes: Family<ByProtocol, Counter>,
    occupied: Gauge,
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
            "ferrolb_l2_defences",
            "ARP Announcements and Neighbor Advertisements sent against another station's claim",
            metrics.defences.clone(),
        );
        registry.register(
            "ferrolb_l2_probes",
            "ARP Probes and solicitations for Duplicate Address Detection sent",
            metrics.probes.clone(),
        );
        registry.register(
            "ferrolb_l2_occupied_addresses",
            "Addresses, each counted per interface, that are not announced because another station has them",
            metrics.occupied.clone(),
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
        let counters = match kind.purpose() {
            Purpose::Reply => &self.responses,
            Purpose::Probe => &self.probes,
            Purpose::Defence => &self.defences,
            Purpose::Announcement => {
                let labels = ByKind { interface: interface.to_string(), kind: kind.name() };
                self.announcements.get_or_create(&labels).inc();
                return;
            }
        };
        counters.get_or_create(&ByProtocol::new(interface, protocol)).inc();
    }

    pub(crate) fn occupied(&self, count: usize) {
        self.occupied.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
