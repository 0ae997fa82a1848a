//! Addresses for thousands of Services: MetalLB's controller and ours, in turn, on the same
//! Kubernetes, each time on a new cluster.
//!
//! Three phases: all Services are created at once; the controller is restarted; one of two full
//! pools is deleted while a third one is empty.

mod addresses;
mod controller;
mod stage;
mod trial;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::peer::METALLB;
use super::requests::Requests;
use super::{Goal, Row, Summary, Versions};
use crate::{lab, process, workspace};
use stage::{Pool, Stage};
use trial::Trial;

const SERVICES: usize = 5_000;
const RUNS: usize = 3;
/// Set to a number, it replaces [`SERVICES`]: to try the benchmark, not to publish figures.
const SERVICES_VARIABLE: &str = "FERROLB_BENCH_SERVICES";
/// Names and first addresses of the pools, out of the block for benchmarks (RFC 2544).
const POOLS: [(&str, Ipv4Addr); 3] = [
    ("one", Ipv4Addr::new(198, 18, 0, 0)),
    ("two", Ipv4Addr::new(198, 18, 128, 0)),
    ("three", Ipv4Addr::new(198, 19, 0, 0)),
];

/// A controller, and what it needs to run.
#[derive(Debug)]
struct Contender {
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Where it answers whether it is ready.
    admin: SocketAddr,
    /// Its own CustomResourceDefinitions.
    definitions: PathBuf,
}

/// What one phase of one run took.
#[derive(Debug)]
struct Phase {
    /// Seconds from the cause until the last address; for a restart, until the controller is idle.
    wall: f64,
    /// Seconds of processor time until the controller is idle.
    cpu: f64,
    /// The most since the process started, in MiB.
    memory: f64,
    requests: Requests,
}

/// One run of one controller.
#[derive(Debug)]
struct Run {
    create: Phase,
    /// Of the wall time, the seconds after the last Service was created.
    after_last: f64,
    restart: Phase,
    delete: Phase,
}

/// Measures both.
pub(super) fn run() -> Result<Vec<Row>> {
    let services = match std::env::var(SERVICES_VARIABLE) {
        Ok(number) => number.parse().with_context(|| format!("{SERVICES_VARIABLE} is no number"))?,
        Err(_unset) => SERVICES,
    };
    lab::build()?;
    let (ours, theirs) = (ferrolb()?, metallb()?);
    println!("{services} Services without any controller: {:.2} s", generator_alone(services)?);
    let measure = |contender: &Contender, number: usize| -> Result<Run> {
        let run = measure(contender, services)
            .with_context(|| format!("run {number} of {}; its log is in target/bench", contender.name))?;
        println!("run {number} of {}: {run:?}", contender.name);
        Ok(run)
    };
    let mut pairs: Vec<(Run, Run)> = Vec::new();
    for number in 1..=super::runs(RUNS)? {
        pairs.push((measure(&ours, number)?, measure(&theirs, number)?));
    }
    rows(&pairs.into_iter().unzip())
}

/// The peer's version.
pub(super) fn versions() -> Versions {
    [METALLB.versioned()].into()
}

/// Ours as users run it, with the definitions it prints.
fn ferrolb() -> Result<Contender> {
    let mut build = workspace::cargo();
    process::run(build.args(["build", "--locked", "--profile=dist", "--package=ferrolb"]))?;
    let program = workspace::target().join("dist/ferrolb");
    let directory = workspace::target().join("bench/allocation");
    let definitions = directory.join("definitions.yaml");
    fs::create_dir_all(&directory).with_context(|| format!("could not create {}", directory.display()))?;
    fs::write(&definitions, process::output(Command::new(&program).arg("crds"))?)
        .with_context(|| format!("could not write {}", definitions.display()))?;
    Ok(Contender {
        name: "ferrolb",
        program,
        arguments: &["controller", "--admin-address=127.0.0.1:19480"],
        environment: &[],
        admin: (Ipv4Addr::LOCALHOST, 19480).into(),
        definitions,
    })
}

/// MetalLB's without its webhooks, which would need a network from the API server to it, and
/// without its metrics, which nobody asks for.
fn metallb() -> Result<Contender> {
    Ok(Contender {
        name: METALLB.name,
        program: METALLB.ensure_built("controller")?,
        arguments: &[
            "--webhook-mode=disabled",
            "--disable-cert-rotation",
            "--port=0",
            "--health-probe-port=19481",
        ],
        environment: &[
            ("METALLB_NAMESPACE", "metallb-system"),
            ("METALLB_POD_NAME", "controller"),
            ("METALLB_DEPLOYMENT", "controller"),
            ("METALLB_BGP_TYPE", "native"),
        ],
        admin: (Ipv4Addr::LOCALHOST, 19481).into(),
        definitions: METALLB.source()?.join("config/crd/bases"),
    })
}

/// Seconds to create the Services when nobody does anything about them.
fn generator_alone(services: usize) -> Result<f64> {
    let stage = Stage::new()?;
    stage.write_services(services)?;
    let started = Instant::now();
    stage.create_services()?;
    Ok(started.elapsed().as_secs_f64())
}

/// One run of one controller on a new cluster.
fn measure(contender: &Contender, services: usize) -> Result<Run> {
    let stage = Stage::new()?;
    stage.install(&contender.definitions)?;
    stage.write_services(services)?;
    let size = u32::try_from(services.div_ceil(2)).context("too many Services")?;
    let [one, two, three] = POOLS.map(|(name, first)| Pool::new(name, first, size));
    stage.create_pool(&one)?;
    stage.create_pool(&two)?;
    let (kubeconfig, addresses) = (stage.kubeconfig()?, stage.addresses()?);
    let trial = Trial { contender, stage: &stage, kubeconfig, addresses, services };

    let mut controller = trial.start()?;
    controller.settle(&trial.addresses)?;
    let (create, after_last) = trial.create(&mut controller)?;
    controller.stop()?;
    let (restart, mut controller) = trial.restart()?;
    stage.create_pool(&three)?;
    controller.settle(&trial.addresses)?;
    let delete = trial.delete(&mut controller, &one)?;
    controller.stop()?;
    Ok(Run { create, after_last, restart, delete })
}

/// What is read off a phase: name, unit, and how.
type Column = (&'static str, &'static str, fn(&Phase) -> f64);
/// One of the phases of a run.
type Of = fn(&Run) -> &Phase;
const WALL: Column = ("wall", "s", |phase| phase.wall);
const CPU: Column = ("cpu", "s", |phase| phase.cpu);
const MEMORY: Column = ("peak memory", "MiB", |phase| phase.memory);
const REQUESTS: Column = ("API", "requests", |phase| phase.requests.total());
const SERVICE_WRITES: Column = ("Services", "writes", |phase| phase.requests.of("services"));
const POOL_WRITES: Column = ("pools", "writes", |phase| phase.requests.of("pools"));
const EVENT_WRITES: Column = ("Events", "writes", |phase| phase.requests.of("events"));

const THIRD: Goal = Goal::ShareOfPeer(1.0 / 3.0);
const QUARTER: Goal = Goal::ShareOfPeer(0.25);
const NONE_AT_ALL: Goal = Goal::Below(1.0);

fn rows((ours, theirs): &(Vec<Run>, Vec<Run>)) -> Result<Vec<Row>> {
    let compared = |measure: &str, unit: &str, of: &dyn Fn(&Run) -> f64, goal: Goal| -> Result<Row> {
        let summary = |runs: &[Run]| Summary::of(runs.iter().map(of)).context("nothing was measured");
        let peers = BTreeMap::from([(METALLB.name.to_owned(), summary(theirs)?)]);
        Ok(Row::compared(measure, unit, (summary(ours)?, peers), goal))
    };
    let mut rows = vec![compared("create: after the last", "s", &|run| run.after_last, THIRD)?];
    let phases: [(&str, Of, [Goal; 2]); 3] = [
        // The API server takes most of the time to create the Services themselves.
        ("create", |run| &run.create, [Goal::Shown, Goal::Shown]),
        ("restart", |run| &run.restart, [THIRD, NONE_AT_ALL]),
        ("delete pool", |run| &run.delete, [THIRD, Goal::Shown]),
    ];
    for (phase, of, [wall, writes]) in phases {
        let goals = [
            (WALL, wall),
            (CPU, QUARTER),
            (MEMORY, QUARTER),
            (REQUESTS, Goal::Shown),
            (SERVICE_WRITES, writes),
            (POOL_WRITES, writes),
            (EVENT_WRITES, Goal::Shown),
        ];
        for ((name, unit, read), goal) in goals {
            rows.push(compared(&format!("{phase}: {name}"), unit, &|run| read(of(run)), goal)?);
        }
    }
    Ok(rows)
}
