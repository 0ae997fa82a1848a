//! What the controller measures.

use ferrolb_cluster::controller::ControllerView;
use ferrolb_telemetry::Registry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Decisions;

/// The controller's metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    addresses: Family<Addresses, Gauge>,
    services: Family<Outcome, Gauge>,
    claims: Family<Outcome, Gauge>,
    conflicts: Family<State, Gauge>,
    config_errors: Gauge,
    metallb_pods: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Addresses {
    pool: String,
    family: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    state: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_ipam_addresses",
            "Addresses of a pool: in use by Services (assigned) or free to be given (available)",
            metrics.addresses.clone(),
        );
        registry.register(
            "ferrolb_ipam_services",
            "LoadBalancer Services: allocated, lacking (they have addresses, and not all that they ask for) or refused, both with \
             the reason, or foreign (of another loadBalancerClass)",
            metrics.services.clone(),
        );
        registry.register(
            "ferrolb_ipam_claims",
            "AddressClaims: reserved, or waiting with the reason",
            metrics.claims.clone(),
        );
        registry.register(
            "ferrolb_ipam_conflicts",
            "Services with an address that another host has (occupied, not announced) or claims (contested, announced)",
            metrics.conflicts.clone(),
        );
        registry.register(
            "ferrolb_kube_config_errors",
            "Configuration objects that are not accepted; their condition Accepted says why",
            metrics.config_errors.clone(),
        );
        registry.register(
            "ferrolb_kube_metallb_pods",
            "Pods of MetalLB that handle the same Services; while there is one, FerroLB stands back",
            metrics.metallb_pods.clone(),
        );
        metrics
    }

    /// Shows the state after a pass. Series of what is gone are removed.
    pub(super) fn record(&self, view: &ControllerView, decisions: &Decisions) {
        self.addresses.clear();
        for (pool, usage) in &decisions.usage {
            let counters = [
                ("ipv4", "assigned", usage.assigned_v4),
                ("ipv4", "available", usage.available_v4),
                ("ipv6", "assigned", usage.assigned_v6),
                ("ipv6", "available", usage.available_v6),
            ];
            for (family, status, value) in counters {
                let labels = Addresses { pool: pool.to_string(), family, status };
                self.addresses.get_or_create(&labels).set(value);
            }
        }
        self.services.clear();
        let others: u64 = decisions.refused.values().chain(decisions.lacking.values()).sum();
        let allocated = u64::try_from(view.services.len()).unwrap_or(u64::MAX).saturating_sub(others);
        self.count("allocated", "", allocated);
        self.count("foreign", "", u64::try_from(view.foreign.len()).unwrap_or(u64::MAX));
        for (reason, count) in &decisions.refused {
            self.count("refused", reason, *count);
        }
        for (reason, count) in &decisions.lacking {
            self.count("lacking", reason, *count);
        }
        self.claims.clear();
        for ((state, reason), count) in &decisions.claimed {
            let labels = Outcome { state, reason };
            self.claims.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        self.conflicts.clear();
        for (state, count) in &decisions.conflicts {
            self.conflicts.get_or_create(&State { state }).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let errors = view.config.iter().filter(|object| !object.errors.is_empty()).count();
        self.metallb_pods.set(i64::try_from(view.metallb.iter().count()).unwrap_or(i64::MAX));
        self.config_errors.set(i64::try_from(errors).unwrap_or(i64::MAX));
    }

    fn count(&self, state: &'static str, reason: &'static str, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.services.get_or_create(&Outcome { state, reason }).set(count);
    }
}
