//! What the speakers say of themselves and of each other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::failover::{CANDIDATES, Contender, Stage};

/// How long a speaker may take to tell about its node.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// What they count; longer than one needs that waits for a processor.
const METRICS: [&str; 5] = ["curl", "-sSf", "--max-time", "10", "http://127.0.0.1:9481/metrics"];
/// What the speakers have said; much more than they say in minutes.
const LOGS: [&str; 6] =
    ["logs", "-n", "ferrolb-system", "-l", "app.kubernetes.io/component=speaker", "--tail=1000"];
/// One line for each node: its name, then status and message of the condition, if there is one.
const FAST_LIVENESS: &str = concat!(
    r#"jsonpath={range .items[*]}{.metadata.name}{"\t"}"#,
    r#"{.status.conditions[?(@.type=="FastLiveness")].status}{"\t"}"#,
    r#"{.status.conditions[?(@.type=="FastLiveness")].message}{"\n"}{end}"#,
);

/// What all speakers have counted so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counters {
    /// Speakers that were taken for dead, by each of the others.
    pub(super) deaths: u64,
    /// Changes of what others own: each move of an address is at least one.
    pub(super) changes: u64,
    /// The speakers' processes, by node: one that was started again counts from zero.
    processes: Vec<Vec<String>>,
}

/// Prints what the speakers said of dead ones.
pub(super) fn print_deaths(stage: &Stage) -> Result<()> {
    let logs = stage.kubectl(&LOGS)?;
    logs.lines().filter(|line| line.contains("a speaker is dead")).for_each(|line| println!("{line}"));
    Ok(())
}

fn nodes() -> impl Iterator<Item = &'static str> {
    ["master"].into_iter().chain(CANDIDATES)
}

impl Counters {
    pub(super) fn read(stage: &Stage, contender: &dyn Contender) -> Result<Self> {
        let mut counters = Self { deaths: 0, changes: 0, processes: Vec::new() };
        for node in nodes() {
            let metrics = stage.exec(node, &METRICS)?;
            counters.deaths += sum(&metrics, "ferrolb_liveness_transitions_total", r#"to="dead""#);
            counters.changes += sum(&metrics, "ferrolb_liveness_claims_changes_total", "");
            let mut processes = stage.processes(node, contender.process())?;
            processes.sort();
            counters.processes.push(processes);
        }
        Ok(counters)
    }

    /// On how many nodes the speaker is another process than `before`.
    pub(super) fn restarts(&self, before: &Self) -> u64 {
        let pairs = self.processes.iter().zip(&before.processes);
        pairs.map(|(now, before)| u64::from(now != before)).sum()
    }
}

/// The sum of all series of the counter `name` whose labels contain `label`.
fn sum(metrics: &str, name: &str, label: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        labels.contains(label).then(|| value.parse::<u64>().ok()).flatten()
    });
    values.sum()
}

/// Waits until all speakers say that they run with the profile `fast`.
///
/// # Errors
/// When one says that it does not, or says nothing.
pub(super) fn ensure_fast(stage: &Stage) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = stage.kubectl(&["get", "nodestates", "--output", FAST_LIVENESS])?;
        if runs_fast(&told)? {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "not every speaker says whether it runs with the profile fast:\n{told}"
        );
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Whether all nodes have the condition.
fn runs_fast(told: &str) -> Result<bool> {
    let mut fast = 0;
    for line in told.lines() {
        let mut columns = line.splitn(3, '\t');
        let node = columns.next().context("a line has a first word")?;
        let (status, message) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        ensure!(status != "False", "the profile fast is refused on {node}: {message}");
        fast += usize::from(status == "True");
    }
    Ok(fast == nodes().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_summed_over_their_reasons() {
        let metrics = "# TYPE ferrolb_liveness_transitions counter\n\
            ferrolb_liveness_transitions_total{to=\"alive\",reason=\"Heard\"} 8\n\
            ferrolb_liveness_transitions_total{to=\"dead\",reason=\"Silent\"} 2\n\
            ferrolb_liveness_transitions_total{to=\"dead\",reason=\"Left\"} 1\n\
            ferrolb_liveness_claims_changes_total 5\n";
        assert_eq!(sum(metrics, "ferrolb_liveness_transitions_total", "to=\"dead\""), 3);
        assert_eq!(sum(metrics, "ferrolb_liveness_claims_changes_total", ""), 5);
        assert_eq!(sum("", "ferrolb_liveness_claims_changes_total", ""), 0);
    }

    #[test]
    fn the_profile_is_in_use_when_every_node_says_so() {
        let all = "master\tTrue\tyes\nworker1\tTrue\tyes\nworker2\tTrue\tyes\n";
        assert!(runs_fast(all).unwrap());
        assert!(!runs_fast(&all.replace("worker2\tTrue\tyes", "worker2\t\t")).unwrap());
        let refused = runs_fast(&all.replace("worker2\tTrue\tyes", "worker2\tFalse\tno right")).unwrap_err();
        assert_eq!(refused.to_string(), "the profile fast is refused on worker2: no right");
    }
}
