//! What is announced and how the sessions with BGP peers are, under MetalLB's names, for dashboards and
//! alerts that exist.
//!
//! What MetalLB counts under a name without `_total` is a gauge here: OpenMetrics gives each counter that
//! ending.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ferrolb_bgp::{MessageCounts, State, Status, Transport};
use ferrolb_cluster::speaker::Report;
use ferrolb_peering::bfd::SessionStatus;
use ferrolb_plan::{Service, Verdict};
use ferrolb_telemetry::Registry;
use ferrolb_vocab::{InterfaceName, NodeName, ServiceKey};
use ferrolb_wire::bfd::State as PathState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::peering::Peering;

/// The table.
#[derive(Debug, Default)]
pub(super) struct MetalLbMetrics {
    announced: Family<ServiceLabels, Gauge>,
    updates: Family<PeerLabels, Counter>,
    /// In the order of [`BGP`].
    bgp: [Family<PeerLabels, Gauge>; BGP.len()],
    /// In the order of [`BFD`].
    bfd: [Family<PeerLabels, Gauge>; BFD.len()],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
    protocol: &'static str,
    node: String,
    ip: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
    vrf: String,
}

/// The addresses of each Service.
pub(super) type Addresses = BTreeMap<ServiceKey, Vec<IpAddr>>;

/// Name and help of a gauge.
type Described = (&'static str, &'static str);

const BGP: [Described; 12] = [
    ("metallb_bgp_session_up", "Whether a BGP session is established"),
    ("metallb_bgp_announced_prefixes_total", "Prefixes that a BGP peer knows"),
    ("metallb_bgp_pending_prefixes_total", "Prefixes that a BGP peer is yet to be told"),
    ("metallb_bgp_opens_sent", "BGP OPENs sent"),
    ("metallb_bgp_opens_received", "BGP OPENs received"),
    ("metallb_bgp_notifications_sent", "BGP NOTIFICATIONs sent"),
    ("metallb_bgp_updates_total_received", "BGP UPDATEs received"),
    ("metallb_bgp_keepalives_sent", "BGP KEEPALIVEs sent"),
    ("metallb_bgp_keepalives_received", "BGP KEEPALIVEs received"),
    ("metallb_bgp_route_refresh_sent", "BGP ROUTE-REFRESHes sent"),
    ("metallb_bgp_total_sent", "BGP messages sent"),
    ("metallb_bgp_total_received", "BGP messages received"),
];

const BFD: [Described; 7] = [
    ("metallb_bfd_session_up", "Whether a BFD session is up"),
    ("metallb_bfd_control_packet_input", "BFD packets received"),
    ("metallb_bfd_control_packet_output", "BFD packets sent"),
    ("metallb_bfd_echo_packet_input", "BFD Echo packets that came back"),
    ("metallb_bfd_echo_packet_output", "BFD Echo packets sent"),
    ("metallb_bfd_session_up_events", "How often a BFD session came up"),
    ("metallb_bfd_session_down_events", "How often a BFD session left up"),
];

/// MetalLB's name of the host's own routing table.
const NO_VRF: &str = "default";

impl MetalLbMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "metallb_speaker_announced",
            "Addresses of Services that this node announces, by protocol",
            metrics.announced.clone(),
        );
        registry.register("metallb_bgp_updates", "BGP UPDATEs sent", metrics.updates.clone());
        let families = BGP.iter().zip(&metrics.bgp).chain(BFD.iter().zip(&metrics.bfd));
        for ((name, help), family) in families {
            registry.register(*name, *help, family.clone());
        }
        metrics
    }

    /// Shows what this node announces: by layer 2 what it has, by BGP all addresses of a Service.
    pub(super) fn show_announced(
        &self,
        node: &NodeName,
        report: &Report,
        verdicts: &BTreeMap<ServiceKey, Verdict>,
        addresses: &Addresses,
    ) {
        self.announced.clear();
        let show = |service: &ServiceKey, protocol, ip: &IpAddr| {
            let (service, node, ip) = (service.to_string(), node.to_string(), ip.to_string());
            self.announced.get_or_create(&ServiceLabels { service, protocol, node, ip }).set(1);
        };
        for service in report.announced.keys() {
            if let Some(Verdict::Announce(announcement)) = verdicts.get(service) {
                announcement.interfaces.keys().for_each(|ip| show(service, "layer2", ip));
            }
        }
        for service in report.advertised.keys() {
            addresses.get(service).into_iter().flatten().for_each(|ip| show(service, "bgp", ip));
        }
    }

    /// Shows how the sessions are.
    pub(super) fn show(&self, peering: &Peering) {
        self.updates.clear();
        self.bgp.iter().chain(&self.bfd).for_each(Family::clear);
        peering.for_each_session(|transport, status| self.show_session(transport, status));
        peering.for_each_path(|transport, status| self.show_path(transport, status));
    }

    fn show_session(&self, Transport { remote, interface, .. }: &Transport, status: &Status) {
        let labels = labels(address_and_port(*remote), interface.as_ref());
        for (family, value) in self.bgp.iter().zip(bgp_values(status)) {
            family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.updates.get_or_create(&labels).inc_by(status.sent.update);
    }

    fn show_path(&self, Transport { remote, interface, .. }: &Transport, status: &SessionStatus) {
        let labels = labels(remote.ip().to_string(), interface.as_ref());
        for (family, value) in self.bfd.iter().zip(bfd_values(status)) {
            family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}

/// What [`MetalLbMetrics::show_announced`] has to know of Services.
pub(super) fn addresses(services: &BTreeMap<ServiceKey, Arc<Service>>) -> Addresses {
    services.iter().map(|(key, service)| (key.clone(), service.addresses.clone())).collect()
}

fn labels(peer: String, vrf: Option<&InterfaceName>) -> PeerLabels {
    PeerLabels { peer, vrf: vrf.map_or(NO_VRF, InterfaceName::as_str).to_owned() }
}

/// As MetalLB writes it, an IPv6 address without brackets too.
fn address_and_port(remote: SocketAddr) -> String {
    format!("{}:{}", remote.ip(), remote.port())
}

fn bgp_values(status: &Status) -> [u64; BGP.len()] {
    let Status { sent, received, ipv4, ipv6, .. } = status;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    [
        u64::from(status.state == State::Established),
        count(ipv4.advertised + ipv6.advertised),
        count(ipv4.pending + ipv6.pending),
        sent.open,
        received.open,
        sent.notification,
        received.update,
        sent.keepalive,
        received.keepalive,
        sent.route_refresh,
        total(sent),
        total(received),
    ]
}

const fn total(counts: &MessageCounts) -> u64 {
    let MessageCounts { open, update, notification, keepalive, route_refresh } = *counts;
    open + update + notification + keepalive + route_refresh
}

fn bfd_values(status: &SessionStatus) -> [u64; BFD.len()] {
    let counts = &status.counts;
    [
        u64::from(status.state == PathState::Up),
        counts.received,
        counts.sent,
        counts.echo_returned,
        counts.echo_sent,
        counts.ups,
        counts.downs,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_cluster::speaker::AnnouncedService;
    use ferrolb_plan::{Announcement, Withheld};
    use std::sync::Arc;

    #[test]
    fn an_address_is_shown_for_each_protocol_that_announces_it_and_not_afterwards() {
        let mut registry = Registry::default();
        let metrics = MetalLbMetrics::register(&mut registry);
        let [v4, v6]: [IpAddr; 2] = ["192.0.2.50", "2001:db8::50"].map(|text| text.parse().unwrap());
        let [web, probed, other] = ["web", "probed", "other"].map(|name| ServiceKey::new("default", name));
        let service = Service { addresses: vec![v4, v6], ..Service::default() };
        let addresses = addresses(&[(web.clone(), service.into())].into());
        // Another node has the other address.
        let interfaces: BTreeMap<_, _> = [(v4, ["eth0".into()].into())].into();
        let announce = Verdict::Announce(Announcement { interfaces, is_restricted: false });
        let verdicts = [
            (web.clone(), announce.clone()),
            (probed, announce),
            (other, Verdict::Withhold(Withheld::NoAddress)),
        ];
        let report = Report {
            announced: [(web.clone(), AnnouncedService::default())].into(),
            advertised: [(web, Arc::default())].into(),
            ..Report::default()
        };
        let shown = |report: &Report| -> Vec<String> {
            metrics.show_announced(&"a".into(), report, &verdicts.clone().into(), &addresses);
            let text = ferrolb_telemetry::metrics::encode(&registry).unwrap();
            let mut lines: Vec<_> = text
                .lines()
                .filter_map(|line| Some(line.strip_prefix("metallb_speaker_announced{")?.to_owned()))
                .collect();
            lines.sort_unstable();
            lines
        };
        let line = |protocol: &str, ip: &str| {
            format!("service=\"default/web\",protocol=\"{protocol}\",node=\"a\",ip=\"{ip}\"}} 1")
        };
        let expected = [line("bgp", "192.0.2.50"), line("bgp", "2001:db8::50"), line("layer2", "192.0.2.50")];
        assert_eq!(shown(&report), expected);
        assert_eq!(shown(&Report::default()), [""; 0]);
    }
}
