//! `cargo xtask bench`: ours and its peers measured in turn, on one machine, in one run.
//!
//! A benchmark is a function that returns rows; the frame describes the machine, prints the
//! table and keeps the figures in `target/bench/NAME.json`, and as a table of a page in `NAME.md`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace;

mod allocation;
mod bgp;
mod failover;
mod lab;
mod liveness;
mod load;
mod machine;
mod peer;
mod proc;
mod report;
mod requests;
mod rest;
mod samples;

use machine::Versions;
use report::{Goal, Report, Row};
use samples::Summary;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Names of benchmarks; `list` shows them; none runs all
    names: Vec<String>,
}

/// One benchmark.
struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Vec<Row>>,
    /// Versions of those that ours is compared with.
    versions: fn() -> Versions,
}

const BENCHMARKS: [Benchmark; 6] = [
    Benchmark {
        name: "lab",
        about: "how long the lab takes to come up, to be reset and to go",
        run: lab::run,
        versions: Versions::new,
    },
    Benchmark {
        name: "allocation",
        about: "addresses for 5,000 Services, a restart and a lost pool: MetalLB's controller and ours",
        run: allocation::run,
        versions: allocation::versions,
    },
    Benchmark {
        name: "bgp",
        about: "routes told and changed, BFD, memory and processor: FRR, BIRD, GoBGP, MetalLB and ours",
        run: bgp::run,
        versions: bgp::versions,
    },
    Benchmark {
        name: "failover",
        about: "what faults and planned moves cost a client: MetalLB, keepalived and ours",
        run: failover::run,
        versions: failover::versions,
    },
    Benchmark {
        name: "liveness",
        about: "the fast profile's crashes, and false deaths under full load in both profiles",
        run: liveness::run,
        versions: Versions::new,
    },
    Benchmark {
        name: "rest",
        about: "what speakers take, send and write while nothing happens: MetalLB and ours",
        run: rest::run,
        versions: rest::versions,
    },
];

/// Runs the benchmarks asked for.
///
/// # Errors
/// When a name is not known, a measurement fails, or a goal is not met.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.names.iter().any(|name| name == "list") {
        for benchmark in &BENCHMARKS {
            println!("{:<12} {}", benchmark.name, benchmark.about);
        }
        return Ok(());
    }
    if let Some(unknown) =
        options.names.iter().find(|name| BENCHMARKS.iter().all(|known| known.name != **name))
    {
        bail!("no benchmark is called `{unknown}`; `cargo xtask bench list` names them");
    }
    let asked = |benchmark: &&Benchmark| {
        options.names.is_empty() || options.names.iter().any(|name| name == benchmark.name)
    };
    let mut missed = Vec::new();
    for benchmark in BENCHMARKS.iter().filter(asked) {
        let started = Instant::now();
        let mut rows = (benchmark.run)().with_context(|| format!("benchmark {}", benchmark.name))?;
        rows.push(duration(started.elapsed())?);
        let mut versions = machine::versions();
        versions.extend((benchmark.versions)());
        let report = Report {
            name: benchmark.name.to_owned(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: machine::describe(),
            versions,
            rows,
        };
        let dir = workspace::target().join("bench");
        let path = dir.join(format!("{}.json", report.name));
        fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
        fs::write(&path, report.json()?).with_context(|| format!("could not write {}", path.display()))?;
        let page = path.with_extension("md");
        fs::write(&page, report.markdown()).with_context(|| format!("could not write {}", page.display()))?;
        println!("{report}\nkept in {} and {}", path.display(), page.display());
        missed.extend(
            report.rows.iter().filter(|row| !row.met).map(|row| format!("{} {}", report.name, row.measure)),
        );
    }
    if !missed.is_empty() {
        bail!("goal not met: {}", missed.join(", "));
    }
    Ok(())
}

/// How long the benchmark itself took, of which nobody waits for more than 50 minutes.
fn duration(elapsed: Duration) -> Result<Row> {
    let minutes = Summary::of([elapsed.as_secs_f64() / 60.0]).context("one figure is a summary")?;
    Ok(Row::new("the benchmark itself", "min", minutes, Goal::Below(50.0)))
}

/// How long `work` takes.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Set to a number, so often is measured: to try a benchmark, not to publish figures.
const RUNS_VARIABLE: &str = "FERROLB_BENCH_RUNS";

/// As often as the operator asks for, or else `default` times.
fn runs(default: usize) -> Result<usize> {
    match std::env::var(RUNS_VARIABLE) {
        Ok(number) => number.parse().with_context(|| format!("{RUNS_VARIABLE} is no number")),
        Err(_unset) => Ok(default),
    }
}
