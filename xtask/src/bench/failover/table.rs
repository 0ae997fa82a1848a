//! What was counted, as rows with goals.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::Counted;
use super::client::Counts;
use super::scenario::Scenario;
use crate::bench::peer::METALLB;
use crate::bench::{Goal, Row, Summary};

/// What is read off a run: name, unit, and how.
type Column = (&'static str, &'static str, fn(&Counts) -> u64);

const GAP: Column = ("longest gap", "ms", |counts| counts.longest_gap_us);
const FAILED: Column = ("failed", "new", |counts| counts.failed);
const BROKEN: Column = ("broken", "of 10", |counts| counts.broken);
const ARP_GAP: Column = ("ARP gap", "ms", |counts| counts.resolution.longest_gap_us);
const DOUBLED: Column = ("two owners", "ms", |counts| counts.resolution.doubled_us);
const PAUSE: Column = ("client's pause", "ms", |counts| counts.longest_pause_us);

/// After a crash.
const CRASH: Goal = Goal::AtMost { median: 300.0, max: 500.0 };
/// After a crash that MetalLB's clients notice too.
const CRASH_COMPARED: Goal =
    Goal::AtMostAndShare { median: 300.0, max: 500.0, peer: METALLB.name, share: 0.1 };
/// Of a planned move.
const PLANNED: Goal = Goal::AtMost { median: 10.0, max: 10.0 };
const NONE_AT_ALL: Goal = Goal::Below(1.0);

/// One row for each scenario and column; `peers` by name.
pub(super) fn rows(ours: &Counted, peers: &BTreeMap<&str, Counted>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (&scenario, counts) in ours {
        for (column, goal) in columns(scenario) {
            let (name, unit, _) = column;
            let summaries = peers.iter().filter_map(|(peer, counted)| {
                Some(((*peer).to_owned(), summary(column, counted.get(&scenario)?)?))
            });
            let figures = (summary(column, counts).context("nothing was counted")?, summaries.collect());
            rows.push(Row::compared(&format!("{}: {name}", scenario.name()), unit, figures, goal));
        }
    }
    Ok(rows)
}

fn summary((_, unit, read): Column, counts: &[Counts]) -> Option<Summary> {
    #[expect(clippy::cast_precision_loss, reason = "a run is far shorter than 2^53 microseconds")]
    let figure = |counts: &Counts| read(counts) as f64 / if unit == "ms" { 1000.0 } else { 1.0 };
    Summary::of(counts.iter().map(figure))
}

fn columns(scenario: Scenario) -> Vec<(Column, Goal)> {
    let gap_and_failed = match scenario {
        Scenario::Nothing => [Goal::Shown, Goal::Shown],
        Scenario::PowerOff | Scenario::LinkDown => [CRASH_COMPARED, Goal::Shown],
        // A node whose kernel lives still forwards what arrives: nobody's gap is long.
        Scenario::Kill | Scenario::Stop => [CRASH, Goal::Shown],
        Scenario::Drain | Scenario::Upgrade => [PLANNED, NONE_AT_ALL],
    };
    let arp_gap = match scenario {
        Scenario::Kill | Scenario::Stop => CRASH,
        Scenario::Nothing | Scenario::PowerOff | Scenario::LinkDown | Scenario::Drain | Scenario::Upgrade => {
            Goal::Shown
        }
    };
    let [gap, failed] = gap_and_failed;
    let mut columns =
        vec![(GAP, gap), (FAILED, failed), (BROKEN, Goal::Shown), (ARP_GAP, arp_gap), (DOUBLED, Goal::Shown)];
    if scenario == Scenario::Nothing {
        columns.push((PAUSE, Goal::Shown));
    }
    columns
}
