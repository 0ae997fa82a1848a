//! What the speaker's decisions look like.

use std::collections::BTreeMap;

use ferrolb_plan::{Verdict, Withheld};
use ferrolb_telemetry::Registry;
use ferrolb_vocab::ServiceKey;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

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

    pub(super) fn record(&self, verdicts: &BTreeMap<ServiceKey, Verdict>, metallb_speakers: usize) {
        self.metallb_speakers.set(i64::try_from(metallb_speakers).unwrap_or(i64::MAX));
        let mut announced = 0;
        let mut withheld: BTreeMap<&'static str, i64> = BTreeMap::new();
        for verdict in verdicts.values() {
            match verdict {
                Verdict::Announce(_) => announced += 1,
                Verdict::Withhold(why) => *withheld.entry(Withheld::reason(why)).or_default() += 1,
            }
        }
        self.announced.set(announced);
        self.withheld.clear();
        for (reason, count) in withheld {
            self.withheld.get_or_create(&Reason { reason }).set(count);
        }
    }
}
