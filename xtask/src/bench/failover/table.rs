//! What was counted, as rows with goals.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::client::Counts;
use super::scenario::Scenario;
use super::{Counted, Runs};
use crate::bench::peer::METALLB;
use crate::bench::{Goal, Row, Summary};

/// What is read off a run: name, unit, and how.
pub(crate) type Column = (&'static str, &'static str, fn(&Counts) -> u64);

pub(crate) const GAP: Column = ("longest gap", "ms", |counts| counts.longest_gap_us);
const FAILED: Column = ("failed", "new", |counts| counts.failed);
const INTERRUPTED: Column = ("interrupted", "new", |counts| counts.interrupted);
const BROKEN: Column = ("broken", "of 10", |counts| counts.broken);
pub(crate) const ARP_GAP: Column = ("ARP gap", "ms", |counts| counts.resolution.longest_gap_us);
const DOUBLED: Column = ("two owners", "ms", |counts| counts.resolution.doubled_us);
pub(crate) const PAUSE: Column = ("client's pause", "ms", |counts| counts.longest_pause_us);

/// After a crash.
const CRASH: Goal = Goal::AtMost { median: 300.0, max: 500.0 };
/// After a crash that MetalLB's clients notice too.
const CRASH_COMPARED: Goal =
    Goal::AtMostAndShare { median: 300.0, max: 500.0, peer: METALLB.name, share: 0.1 };
/// Of a planned move.
const PLANNED: Goal = Goal::AtMost { median: 10.0, max: 10.0 };
const NONE_AT_ALL: Goal = Goal::Below(1.0);
/// What is counted of a scenario as a whole.
type Total = (&'static str, fn(&Runs) -> usize);
const TOTALS: [Total; 2] = [("runs", |runs| runs.counts.len()), ("void", |runs| runs.voids)];

/// One row for each scenario and column; `peers` by name.
pub(super) fn rows(ours: &Counted, peers: &BTreeMap<&str, Counted>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (&scenario, runs) in ours {
        let peers: Vec<_> = peers
            .iter()
            .filter_map(|(peer, counted)| Some(((*peer).to_owned(), counted.get(&scenario)?)))
            .collect();
        let mut row = |name: &str, unit, read: &dyn Fn(&Runs) -> Option<Summary>, goal| -> Result<()> {
            let ours = read(runs).context("nothing was counted")?;
            let peers = peers.iter().filter_map(|(peer, runs)| Some((peer.clone(), read(runs)?))).collect();
            rows.push(Row::compared(&format!("{}: {name}", scenario.name()), unit, (ours, peers), goal));
            Ok(())
        };
        for (column, goal) in columns(scenario) {
            let (name, unit, _) = column;
            row(name, unit, &|runs| summary(column, runs), goal)?;
        }
        for (name, read) in TOTALS {
            #[expect(clippy::cast_precision_loss, reason = "nobody plays 2^53 runs")]
            row(name, "runs", &|runs| Summary::of([read(runs) as f64]), Goal::Shown)?;
        }
    }
    Ok(rows)
}

/// The figures of a column; `None` without a run.
pub(crate) fn summary((_, unit, read): Column, runs: &Runs) -> Option<Summary> {
    #[expect(clippy::cast_precision_loss, reason = "a run is far shorter than 2^53 microseconds")]
    let figure = |counts: &Counts| read(counts) as f64 / if unit == "ms" { 1000.0 } else { 1.0 };
    Summary::of(runs.counts.iter().map(figure))
}

/// What is shown of a scenario, with our goals.
fn columns(scenario: Scenario) -> [(Column, Goal); 7] {
    use Goal::Shown;
    let [gap, failed, broken, arp_gap] = match scenario {
        Scenario::Nothing => [Shown; 4],
        Scenario::PowerOff | Scenario::LinkDown => [CRASH_COMPARED, Shown, Shown, Shown],
        // A node whose kernel lives still forwards what arrives: only who asks by ARP notices.
        Scenario::Kill | Scenario::Stop => [CRASH, Shown, Shown, CRASH_COMPARED],
        Scenario::Drain => [PLANNED, NONE_AT_ALL, Shown, Shown],
        // It is no move, so nothing breaks.
        Scenario::Upgrade => [PLANNED, NONE_AT_ALL, NONE_AT_ALL, Shown],
    };
    [
        (GAP, gap),
        (FAILED, failed),
        (INTERRUPTED, Shown),
        (BROKEN, broken),
        (ARP_GAP, arp_gap),
        (DOUBLED, Shown),
        (PAUSE, Shown),
    ]
}
