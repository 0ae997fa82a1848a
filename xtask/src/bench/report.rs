//! A benchmark's figures, as a table for people and as JSON for comparisons over time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Summary;

/// One run of one benchmark. The JSON's shape is fixed: later runs are compared with it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    /// `2026-11-20`, in UTC.
    pub(crate) date: String,
    pub(crate) machine: String,
    /// What was measured and what it was built with, by name.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
}

/// One thing measured, ours and the peers'.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) unit: String,
    pub(crate) ours: Summary,
    pub(crate) peers: BTreeMap<String, Summary>,
    pub(crate) goal: String,
    pub(crate) met: bool,
}

/// What our figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Even the greatest measurement stays below this.
    Below(f64),
    /// The median is at most the first, the greatest measurement at most the second.
    AtMost { median: f64, max: f64 },
    /// Both: what [`Goal::AtMost`] says, and our median is at most this share of one peer's.
    AtMostAndShare { median: f64, max: f64, peer: &'static str, share: f64 },
    /// Our median is at most this share of every peer's.
    ShareOfPeer(f64),
    /// None: the figure explains others.
    Shown,
}

/// The goal of a row that is only shown.
const NO_GOAL: &str = "none";

impl Row {
    pub(crate) fn new(measure: &str, unit: &str, ours: Summary, goal: Goal) -> Self {
        Self::compared(measure, unit, (ours, BTreeMap::new()), goal)
    }

    /// A row with our figures and the peers' by name.
    pub(crate) fn compared(
        measure: &str,
        unit: &str,
        (ours, peers): (Summary, BTreeMap<String, Summary>),
        goal: Goal,
    ) -> Self {
        let (goal, met) = match goal {
            Goal::Below(bound) => (format!("max < {bound} {unit}"), ours.max < bound),
            Goal::AtMost { median, max } => at_most(unit, ours, (median, max)),
            Goal::AtMostAndShare { median, max, peer, share } => {
                let (goal, met) = at_most(unit, ours, (median, max));
                let shares = peers.get(peer).is_some_and(|peer| ours.median <= share * peer.median);
                (format!("{goal}, ≤ {share:.2} of {peer}'s"), met && shares)
            }
            Goal::ShareOfPeer(share) => {
                let is_met = |peer: &Summary| ours.median <= share * peer.median;
                let met = !peers.is_empty() && peers.values().all(is_met);
                (format!("median ≤ {share:.2} of the peer's"), met)
            }
            Goal::Shown => (NO_GOAL.to_owned(), true),
        };
        Self { measure: measure.to_owned(), unit: unit.to_owned(), ours, peers, goal, met }
    }
}

/// The goal in words, and whether it is met.
fn at_most(unit: &str, ours: Summary, (median, max): (f64, f64)) -> (String, bool) {
    let is_met = ours.median <= median && ours.max <= max;
    (format!("median ≤ {median} {unit}, max ≤ {max} {unit}"), is_met)
}

impl Report {
    /// # Errors
    /// When a figure is not finite.
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl Report {
    /// The rows as a table of a page: median, and in brackets the least and the greatest where they differ.
    pub(crate) fn markdown(&self) -> String {
        let peers: BTreeSet<&String> = self.rows.iter().flat_map(|row| row.peers.keys()).collect();
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut head = vec!["measure".to_owned(), "ferrolb".to_owned()];
        head.extend(peers.iter().map(|peer| (*peer).clone()));
        head.push("goal".to_owned());
        let mut table = line(&head) + &line(&vec!["---".to_owned(); head.len()]);
        for row in &self.rows {
            let mut cells = vec![format!("{} ({})", row.measure, row.unit), figures(&row.ours)];
            cells.extend(peers.iter().map(|peer| row.peers.get(*peer).map_or("-".to_owned(), figures)));
            cells.push(match (row.goal.as_str(), row.met) {
                (NO_GOAL, _) => String::new(),
                (goal, true) => format!("{goal}: met"),
                (goal, false) => format!("{goal}: **not met**"),
            });
            table += &line(&cells);
        }
        table
    }
}

fn figures(of: &Summary) -> String {
    let [min, median, max] = [of.min, of.median, of.max].map(figure);
    if min == max { median } else { format!("{median} ({min}–{max})") }
}

/// Whole numbers as such, others with as many places as say something.
fn figure(value: f64) -> String {
    let places = if value.fract() == 0.0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.places$}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} on {}", self.name, self.machine)?;
        let versions: Vec<_> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        writeln!(f, "{}\n", versions.join(", "))?;
        writeln!(
            f,
            "{:<34}{:<18}{:>10}{:>10}{:>10}{:>10}  goal",
            "measure", "who", "min", "median", "max", "ratio"
        )?;
        for row in &self.rows {
            let figures = |f: &mut fmt::Formatter<'_>, measure: &str, who: &str, of: Summary| {
                let ratio = match of.median / row.ours.median {
                    ratio if ratio.is_finite() => format!("{ratio:.2}"),
                    _by_nothing => "-".to_owned(),
                };
                write!(
                    f,
                    "{measure:<34}{who:<18}{:>10.2}{:>10.2}{:>10.2}{ratio:>10}",
                    of.min, of.median, of.max
                )
            };
            figures(f, &format!("{} ({})", row.measure, row.unit), "ferrolb", row.ours)?;
            match row.goal.as_str() {
                NO_GOAL => writeln!(f)?,
                goal => writeln!(f, "  {goal}: {}", if row.met { "met" } else { "NOT MET" })?,
            }
            for (peer, summary) in &row.peers {
                figures(f, "", peer, *summary)?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(median: f64) -> Summary {
        Summary { min: median - 0.5, median, max: median + 0.5 }
    }

    fn report() -> Report {
        let mut row = Row::new("convergence", "s", summary(2.0), Goal::Below(3.0));
        row.peers.insert("bird".to_owned(), summary(5.0));
        Report {
            name: "bgp".to_owned(),
            date: "2026-11-20".to_owned(),
            machine: "2 × cpu".to_owned(),
            versions: BTreeMap::from([("rustc".to_owned(), "1.95.0".to_owned())]),
            rows: vec![row],
        }
    }

    #[test]
    fn the_json_has_exactly_the_agreed_shape() {
        let expected = serde_json::json!({
            "name": "bgp", "date": "2026-11-20", "machine": "2 × cpu", "versions": {"rustc": "1.95.0"},
            "rows": [{
                "measure": "convergence", "unit": "s",
                "ours": {"min": 1.5, "median": 2.0, "max": 2.5},
                "peers": {"bird": {"min": 4.5, "median": 5.0, "max": 5.5}},
                "goal": "max < 3 s", "met": true
            }]
        });
        let json = report().json().unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report());
        let order: Vec<_> = ["name", "date", "machine", "versions", "rows"]
            .map(|key| json.find(&format!("\"{key}\"")).unwrap())
            .into();
        assert!(order.is_sorted(), "{json}");
    }

    #[test]
    fn a_goal_is_met_by_the_greatest_measurement_or_not_at_all() {
        assert!(Row::new("up", "s", summary(2.0), Goal::Below(2.51)).met);
        assert!(!Row::new("up", "s", summary(2.0), Goal::Below(2.5)).met);
    }

    #[test]
    fn a_share_of_the_peer_is_met_by_the_medians_and_not_without_a_peer() {
        let peers = || BTreeMap::from([("bird".to_owned(), summary(8.0))]);
        let met =
            |ours: f64, peers| Row::compared("cpu", "s", (summary(ours), peers), Goal::ShareOfPeer(0.25)).met;
        assert!(met(2.0, peers()));
        assert!(!met(2.1, peers()));
        assert!(!met(2.0, BTreeMap::new()));
    }

    #[test]
    fn bounds_of_median_and_maximum_and_a_share_of_one_peer_are_met_together() {
        let goal = |share| Goal::AtMostAndShare { median: 2.0, max: 2.5, peer: "bird", share };
        let peers = |name: &str| BTreeMap::from([(name.to_owned(), summary(8.0))]);
        let met =
            |ours: f64, peers, share| Row::compared("gap", "ms", (summary(ours), peers), goal(share)).met;
        assert!(met(2.0, peers("bird"), 0.25));
        assert!(!met(2.1, peers("bird"), 0.5), "median");
        assert!(!met(2.0, peers("bird"), 0.2), "share");
        assert!(!met(2.0, peers("other"), 0.25), "not measured");
        let narrow = Summary { min: 0.0, median: 1.0, max: 2.6 };
        let row = Row::new("gap", "ms", narrow, Goal::AtMost { median: 2.0, max: 2.5 });
        assert_eq!((row.goal.as_str(), row.met), ("median ≤ 2 ms, max ≤ 2.5 ms", false));
    }

    #[test]
    fn the_page_has_a_column_for_each_peer() {
        let mut report = report();
        report.rows.push(Row::new("lost", "new", Summary::of([0.0]).unwrap(), Goal::Below(1.0)));
        let expected = "| measure | ferrolb | bird | goal |\n\
                        | --- | --- | --- | --- |\n\
                        | convergence (s) | 2 (1.5–2.5) | 5 (4.5–5.5) | max < 3 s: met |\n\
                        | lost (new) | 0 | - | max < 1 new: met |\n";
        assert_eq!(report.markdown(), expected);
    }

    #[test]
    fn the_table_compares_a_peer_with_ours() {
        let table = report().to_string();
        assert!(table.contains("bird                    4.50      5.00      5.50      2.50"), "{table}");
        assert!(table.contains("max < 3 s: met"), "{table}");
    }
}
