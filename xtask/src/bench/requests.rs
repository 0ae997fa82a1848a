//! What programs asked of the API server, as the API server counted it: by its FlowSchemas, of which
//! `bench/allocation/cluster.yaml` and `bench/rest/cluster.yaml` have one for each kind of request.

use std::collections::BTreeMap;

/// The counter of requests that were let through, by FlowSchema.
const DISPATCHED: &str = "apiserver_flowcontrol_dispatched_requests_total{";
const PREFIX: &str = "bench-";

/// Requests so far, or between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Requests(BTreeMap<String, f64>);

impl Requests {
    /// From the text of the API server's `/metrics`.
    pub(super) fn parse(metrics: &str) -> Self {
        let mut counts = BTreeMap::new();
        for (labels, value) in metrics.lines().filter_map(counter) {
            *counts.entry(labels.to_owned()).or_default() += value;
        }
        Self(counts)
    }

    /// What was added since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let added = |(kind, count): (&String, &f64)| (kind.clone(), count - earlier.of(kind));
        Self(self.0.iter().map(added).collect())
    }

    /// Requests of one kind: the name of its FlowSchema behind `bench-`.
    pub(super) fn of(&self, kind: &str) -> f64 {
        self.0.get(kind).copied().unwrap_or(0.0)
    }

    pub(super) fn total(&self) -> f64 {
        self.0.values().sum()
    }
}

/// Kind and count, if the line is a counter of ours.
fn counter(line: &str) -> Option<(&str, f64)> {
    let labels = line.strip_prefix(DISPATCHED)?;
    let (_, schema) = labels.split_once("flow_schema=\"")?;
    let (schema, _) = schema.split_once('"')?;
    let value = labels.rsplit_once(' ')?.1.parse().ok()?;
    Some((schema.strip_prefix(PREFIX)?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_and_those_of_others_left_out() {
        let metrics = |services: u32| {
            format!(
                "# TYPE apiserver_flowcontrol_dispatched_requests_total counter\n\
                 {DISPATCHED}flow_schema=\"bench-services\",priority_level=\"workload-low\"}} {services}\n\
                 {DISPATCHED}flow_schema=\"bench-rest\",priority_level=\"workload-low\"}} 7\n\
                 {DISPATCHED}flow_schema=\"exempt\",priority_level=\"exempt\"}} 99\n"
            )
        };
        let added = Requests::parse(&metrics(12)).since(&Requests::parse(&metrics(2)));
        assert_eq!((added.of("services"), added.of("rest"), added.of("pools")), (10.0, 0.0, 0.0));
        assert_eq!(added.total(), 10.0);
        assert_eq!(Requests::parse(&metrics(12)).total(), 19.0);
    }
}
