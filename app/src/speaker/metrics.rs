//! What the speaker's decisions look like.

use std::collections::BTreeMap;

use ferrolb_plan::{Verdict, Withheld};
use ferrolb_telemetry::Registry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Decider;

/// The speaker's own metrics; its drivers bring theirs.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    announced: Gauge,
    withheld: Family<Reason, Gauge>,
    metallb_speakers: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_plan_announced",
            "Services that this node announces",
            metrics.announced.clone(),
        );
        registry.register(
            "ferrolb_plan_withheld",
            "Services that this node does not announce, by reason",
            metrics.withheld.clone(),
        );
        registry.register(
            "ferrolb_kube_metallb_pods",
            "Speakers of MetalLB that handle the same Services; while there is one, FerroLB stands back",
            metrics.metallb_speakers.clone(),
        );
        metrics
    }

    pub(super) fn record(&self, decider: &Decider, metallb_speakers: usize) {
        self.metallb_speakers.set(i64::try_from(metallb_speakers).unwrap_or(i64::MAX));
        self.announced.set(i64::try_from(decider.announced()).unwrap_or(i64::MAX));
        let mut withheld: BTreeMap<&'static str, i64> = BTreeMap::new();
        for verdict in decider.verdicts().values() {
            if let Verdict::Withhold(why) = verdict {
                *withheld.entry(Withheld::reason(why)).or_default() += 1;
            }
        }
        self.withheld.clear();
        for (reason, count) in withheld {
            self.withheld.get_or_create(&Reason { reason }).set(count);
        }
    }
}
