//! The steady state: what a speaker takes and sends, and what is written, while nothing happens. Ours
//! and MetalLB, one after the other, each in a new lab of three nodes, with ever more addresses.
//!
//! Lab and contenders are those of `failover`, with another pool.

mod addresses;
mod reading;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::failover::{self, Contender, InCluster, Stage};
use super::peer::METALLB;
use super::requests::Requests;
use super::{Goal, Row, Summary, Versions};
use crate::workspace;
pub(super) use addresses::create;
use reading::{Reading, Usage};

/// How many addresses, and how a row calls that.
const STEPS: [(usize, &str); 3] = [(0, "0"), (100, "100"), (1_000, "1,000")];
const NODES: [&str; 3] = ["master", "worker1", "worker2"];
/// How long is measured: each address is announced again twice.
const SECONDS: u64 = 120;
/// Set to a number, it replaces [`SECONDS`]: to try the benchmark, not to publish figures.
const SECONDS_VARIABLE: &str = "FERROLB_BENCH_SECONDS";
/// How long nothing was written until all is taken to be quiet: longer than a new address is announced.
const CALM: Duration = Duration::from_secs(10);
/// How long that is waited for. Who never stops writing is measured as it is.
const CALM_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What was seen while nothing happened.
#[derive(Debug)]
struct AtRest {
    /// One for each speaker.
    speakers: Vec<Usage>,
    /// By all speakers and controllers: to `leases`, and other `writes`.
    requests: Requests,
}

/// Measures both.
pub(super) fn run() -> Result<Vec<Row>> {
    let seconds = match std::env::var(SECONDS_VARIABLE) {
        Ok(number) => number.parse().with_context(|| format!("{SECONDS_VARIABLE} is no number"))?,
        Err(_unset) => SECONDS,
    };
    let duration = Duration::from_secs(seconds);
    let ours = measured(&InCluster::ferrolb(failover::ferrolb()?), duration)?;
    let theirs = measured(&InCluster::metallb()?, duration)?;
    rows(&ours, &theirs)
}

/// The peer's version.
pub(super) fn versions() -> Versions {
    [METALLB.versioned()].into()
}

/// What was seen in each of the [`STEPS`].
fn measured(contender: &InCluster, duration: Duration) -> Result<Vec<AtRest>> {
    let stage = Stage::new(contender)?;
    stage.kubectl(&["delete", "service/web"])?;
    stage.kubectl(&["apply", "-f", &file("cluster.yaml")])?;
    for node in NODES {
        stage.exec(node, &["nft", "-f", &file("sent.nft")])?;
    }
    let mut all = Vec::new();
    let mut before = 0;
    for (addresses, name) in STEPS {
        let at_rest = announced(&stage, (before, addresses))
            .and_then(|()| at_rest(&stage, contender, duration))
            .with_context(|| format!("{}: {name} addresses", contender.name()))?;
        println!("{}: {name} addresses: {at_rest}", contender.name());
        all.push(at_rest);
        before = addresses;
    }
    Ok(all)
}

/// Path of a file of this benchmark.
fn file(name: &str) -> String {
    workspace::root().join("bench/rest").join(name).display().to_string()
}

/// Adds addresses and waits until all is quiet.
fn announced(stage: &Stage, (before, addresses): (usize, usize)) -> Result<()> {
    let start = requests(stage)?;
    addresses::announce(stage, before..addresses)?;
    let deadline = Instant::now() + CALM_MAX;
    let (mut last, mut since) = (requests(stage)?, Instant::now());
    // A schema that matches nobody would take every contender for silent.
    let is_counted = before == addresses || last.since(&start).of("writes") >= 1.0;
    ensure!(is_counted, "addresses were announced, and the API server counted no write");
    while since.elapsed() < CALM && Instant::now() < deadline {
        std::thread::sleep(POLL_INTERVAL);
        let now = requests(stage)?;
        if now.since(&last).of("writes") >= 1.0 {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// Waits, and says what was taken, sent and written meanwhile.
fn at_rest(stage: &Stage, contender: &InCluster, duration: Duration) -> Result<AtRest> {
    let of = |node: &&str| Reading::of(stage, node, contender.process());
    let read = || NODES.iter().map(of).collect::<Result<Vec<_>>>();
    let (before, written) = (read()?, requests(stage)?);
    std::thread::sleep(duration);
    let (after, requests) = (read()?, requests(stage)?.since(&written));
    let speakers = after.iter().zip(&before).map(|(after, before)| after.since(before));
    Ok(AtRest { speakers: speakers.collect::<Result<_>>()?, requests })
}

fn requests(stage: &Stage) -> Result<Requests> {
    Ok(Requests::parse(&stage.kubectl(&["get", "--raw", "/metrics"])?))
}

impl fmt::Display for AtRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Usage { processor, memory, frames, bytes } in &self.speakers {
            write!(f, "{processor:.1} ms/s, {memory:.1} MiB, {frames:.1} frames/s, {bytes:.0} bytes/s; ")?;
        }
        write!(f, "{} writes to Leases, {} others", self.requests.of("leases"), self.requests.of("writes"))
    }
}

/// What is read off: name, unit, how, and our goal.
type Column = (&'static str, &'static str, fn(&AtRest) -> Vec<f64>, Goal);

const COLUMNS: [Column; 6] = [
    ("processor", "ms/s", |rest| each(rest, |speaker| speaker.processor), Goal::Shown),
    ("memory", "MiB", |rest| each(rest, |speaker| speaker.memory), Goal::Shown),
    ("sent", "frames/s", |rest| each(rest, |speaker| speaker.frames), Goal::Shown),
    ("sent", "bytes/s", |rest| each(rest, |speaker| speaker.bytes), Goal::Shown),
    ("Leases", "writes", |rest| vec![rest.requests.of("leases")], Goal::Shown),
    ("API", "writes", |rest| vec![rest.requests.of("writes")], Goal::Below(1.0)),
];

fn each(rest: &AtRest, of: fn(&Usage) -> f64) -> Vec<f64> {
    rest.speakers.iter().map(of).collect()
}

/// One row for each step and column.
fn rows(ours: &[AtRest], theirs: &[AtRest]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for ((_, step), (ours, theirs)) in STEPS.iter().zip(ours.iter().zip(theirs)) {
        for (name, unit, read, goal) in COLUMNS {
            let summary = |rest| Summary::of(read(rest)).context("nothing was measured");
            let peers = BTreeMap::from([(METALLB.name.to_owned(), summary(theirs)?)]);
            let measure = format!("{step} addresses: {name}");
            rows.push(Row::compared(&measure, unit, (summary(ours)?, peers), goal));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_is_a_sample_and_any_write_but_a_leases_misses_the_goal() {
        let usage = |memory| Usage { processor: 1.0, memory, frames: 2.0, bytes: 3.0 };
        let all = |others: u32| {
            let metrics = format!(
                "apiserver_flowcontrol_dispatched_requests_total{{flow_schema=\"bench-leases\"}} 60\n\
                 apiserver_flowcontrol_dispatched_requests_total{{flow_schema=\"bench-writes\"}} {others}\n"
            );
            let requests = Requests::parse(&metrics);
            STEPS
                .map(|_| AtRest { speakers: [7.0, 5.0, 6.0].map(usage).to_vec(), requests: requests.clone() })
        };
        let rows = rows(&all(1), &all(0)).unwrap();
        let missed: Vec<_> = rows.iter().filter(|row| !row.met).map(|row| row.measure.as_str()).collect();
        assert_eq!(missed, ["0 addresses: API", "100 addresses: API", "1,000 addresses: API"]);
        let memory = rows.iter().find(|row| row.measure == "1,000 addresses: memory").unwrap();
        assert_eq!(memory.ours, Summary { min: 5.0, median: 6.0, max: 7.0 });
    }
}
