//! What the speaker's decisions look like.

use std::collections::BTreeMap;

use ferrolb_plan::{Verdict, bgp};
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
    advertised: Gauge,
    unadvertised: Family<Reason, Gauge>,
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
            "ferrolb_plan_bgp_advertised",
            "Services that this node advertises to BGP peers",
            metrics.advertised.clone(),
        );
        registry.register(
            "ferrolb_plan_bgp_withheld",
            "Services that this node does not advertise to BGP peers, by reason; none where nobody uses BGP",
            metrics.unadvertised.clone(),
        );
        registry.register(
            "ferrolb_kube_metallb_pods",
            "Speakers of MetalLB that handle the same Services; while there is one, FerroLB stands back",
            metrics.metallb_speakers.clone(),
        );
        metrics
    }

    pub(super) fn record(&self, decider: &Decider, metallb_speakers: usize) {
        self.metallb_speakers.set(count(metallb_speakers));
        self.announced.set(count(decider.announced()));
        let withheld = decider.verdicts().values().filter_map(|verdict| match verdict {
            Verdict::Announce(_) => None,
            Verdict::Withhold(why) => Some(why.reason()),
        });
        show(&self.withheld, withheld);
        let advertising = decider.advertising();
        let unadvertised = advertising.values().filter_map(|verdict| match verdict {
            bgp::Verdict::Advertise { .. } => None,
            bgp::Verdict::Withhold(why) => Some(why.reason()),
        });
        let unadvertised = show(&self.unadvertised, unadvertised);
        self.advertised.set(count(advertising.len().saturating_sub(unadvertised)));
    }
}

/// Shows how often there is each reason. How many there are.
fn show(family: &Family<Reason, Gauge>, reasons: impl Iterator<Item = &'static str>) -> usize {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    family.clear();
    for (&reason, &number) in &counts {
        family.get_or_create(&Reason { reason }).set(count(number));
    }
    counts.into_values().sum()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
