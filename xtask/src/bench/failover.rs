//! What a fault or a planned move costs a client: ours, MetalLB and keepalived, one after the other,
//! each in a lab of three nodes of its own.
//!
//! The first node carries the control plane and the Pod, the other two may own the address. The
//! fault hits the one that does.

mod client;
mod contender;
mod in_cluster;
mod keepalived;
mod processes;
mod scenario;
mod stage;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::peer::METALLB;
use super::{Row, Versions};
use crate::{lab, process, workspace};
use client::{Client, Counts};
use keepalived::Keepalived;

pub(super) use contender::Contender;
pub(super) use in_cluster::InCluster;
pub(super) use scenario::Scenario;
pub(super) use stage::{CANDIDATES, Stage};
pub(super) use table::{ARP_GAP, Column, GAP, PAUSE, summary};

/// Ours, and each peer's, for each scenario.
const RUNS: usize = 20;
const PEER_RUNS: usize = 5;
/// Keys of [`Scenario`]s, separated by commas: the others are left out.
const SCENARIOS_VARIABLE: &str = "FERROLB_BENCH_SCENARIOS";
/// A `ferrolb` that is built already, to be measured instead of the one of this tree.
const PROGRAM_VARIABLE: &str = "FERROLB_BENCH_PROGRAM";

/// How long the client counts where nothing happens, whoever it asks.
const UNDISTURBED: Duration = Duration::from_secs(3);

/// What a planned move may cost at most is not seen by a client that itself stands still for so long.
const PAUSE_MAX: Duration = Duration::from_millis(8);
/// So many runs of a scenario are played again for that reason.
const VOIDS_MAX: usize = 10;

/// What was counted, by scenario.
pub(super) type Counted = BTreeMap<Scenario, Runs>;

/// The runs of a scenario.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// What was counted, in their order.
    counts: Vec<Counts>,
    /// How many more were void and played again.
    voids: usize,
}

/// Measures all.
pub(super) fn run() -> Result<Vec<Row>> {
    let started = Instant::now();
    crate::setup::peers()?;
    let scenarios = scenarios()?;
    let ours = counted(&InCluster::ferrolb(ferrolb()?), &scenarios, super::runs(RUNS)?)?;
    let contenders: [Box<dyn Contender>; 3] =
        [Box::new(InCluster::metallb()?), Box::new(Keepalived::defaults()), Box::new(Keepalived::fast())];
    let mut peers = BTreeMap::new();
    for peer in contenders {
        let counted = counted(&*peer, &scenarios, super::runs(PEER_RUNS)?)?;
        peers.insert(peer.name(), counted);
        println!("{:.0} s so far", started.elapsed().as_secs_f64());
    }
    table::rows(&ours, &peers)
}

/// Versions of the peers.
pub(super) fn versions() -> Versions {
    [METALLB.versioned(), ("keepalived".to_owned(), keepalived::version())].into()
}

/// The `ferrolb` to measure, optimised as users run it; the lab is built too.
pub(super) fn ferrolb() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        let program = PathBuf::from(program);
        ensure!(program.is_file(), "{PROGRAM_VARIABLE}: there is no {}", program.display());
        return Ok(program);
    }
    lab::build()?;
    let mut build = workspace::cargo();
    process::run(build.args(["build", "--locked", "--release", "--package=ferrolb"]))?;
    Ok(workspace::target().join("release/ferrolb"))
}

fn scenarios() -> Result<Vec<Scenario>> {
    let Ok(keys) = std::env::var(SCENARIOS_VARIABLE) else { return Ok(Scenario::ALL.to_vec()) };
    keys.split(',')
        .map(|key| Scenario::of(key).with_context(|| format!("{SCENARIOS_VARIABLE}: no scenario is `{key}`")))
        .collect()
}

/// Plays the scenarios in a new lab.
fn counted(contender: &dyn Contender, scenarios: &[Scenario], runs: usize) -> Result<Counted> {
    played(&Stage::new(contender)?, contender, scenarios, runs)
}

/// Plays the scenarios, each so often.
pub(super) fn played(
    stage: &Stage,
    contender: &dyn Contender,
    scenarios: &[Scenario],
    runs: usize,
) -> Result<Counted> {
    let mut counted = Counted::new();
    for &scenario in scenarios.iter().filter(|scenario| contender.plays(**scenario)) {
        let mut played = Runs::default();
        while played.counts.len() < runs {
            let number = played.counts.len() + played.voids + 1;
            let name = format!("{}: {}, run {number}", contender.name(), scenario.name());
            let counts = play(stage, contender, (scenario, number)).context(name.clone())?;
            println!("{name}: {counts}");
            if played.voids < VOIDS_MAX && scenario.is_planned() && counts.is_void(PAUSE_MAX) {
                println!("{name} is void: the client itself stood still");
                played.voids += 1;
            } else {
                played.counts.push(counts);
            }
        }
        counted.insert(scenario, played);
    }
    Ok(counted)
}

/// One run: all is well, then something happens, then all is made well again.
fn play(stage: &Stage, contender: &dyn Contender, (scenario, number): (Scenario, usize)) -> Result<Counts> {
    let owner = stage.settled(contender)?;
    let log = format!("{}-{}-{number}.jsonl", contender.name(), scenario.key());
    let client = Client::start(&stage.path(&log.replace(' ', "-")))?;
    scenario.inject(stage, contender, &owner)?;
    let happens = scenario != Scenario::Nothing;
    std::thread::sleep(if happens { contender.observation() } else { UNDISTURBED });
    let counts = client.finish()?;
    scenario.repair(stage, contender, &owner)?;
    Ok(counts)
}
