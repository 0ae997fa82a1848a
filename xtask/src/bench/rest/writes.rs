//! What was written, as the API server counted it: by the FlowSchemas of `bench/rest/cluster.yaml`.

use anyhow::Result;

use crate::bench::failover::Stage;

/// The counter of requests that were let through, by FlowSchema.
const DISPATCHED: &str = "apiserver_flowcontrol_dispatched_requests_total{";

/// Writes of all speakers and controllers so far, or between two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Writes {
    /// To Leases.
    pub(super) leases: f64,
    /// To anything else.
    pub(super) others: f64,
}

impl Writes {
    pub(super) fn so_far(stage: &Stage) -> Result<Self> {
        Ok(Self::parse(&stage.kubectl(&["get", "--raw", "/metrics"])?))
    }

    /// From the text of the API server's `/metrics`.
    fn parse(metrics: &str) -> Self {
        let of = |schema: &str| {
            let label = format!("flow_schema=\"{schema}\"");
            let counters = metrics.lines().filter_map(|line| line.strip_prefix(DISPATCHED));
            let ours = counters.filter(|counter| counter.contains(&label));
            ours.filter_map(|counter| counter.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        Self { leases: of("bench-leases"), others: of("bench-writes") }
    }

    /// What was added since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self { leases: self.leases - earlier.leases, others: self.others - earlier.others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_and_others_are_told_apart_and_requests_of_others_left_out() {
        let metrics = |others: u32| {
            format!(
                "# TYPE apiserver_flowcontrol_dispatched_requests_total counter\n\
                 {DISPATCHED}flow_schema=\"bench-leases\",priority_level=\"workload-low\"}} 9\n\
                 {DISPATCHED}flow_schema=\"bench-writes\",priority_level=\"workload-low\"}} {others}\n\
                 {DISPATCHED}flow_schema=\"exempt\",priority_level=\"exempt\"}} 99\n"
            )
        };
        let added = Writes::parse(&metrics(12)).since(Writes::parse(&metrics(2)));
        assert_eq!(added, Writes { leases: 0.0, others: 10.0 });
        assert_eq!(Writes::parse(&metrics(2)), Writes { leases: 9.0, others: 2.0 });
    }
}
