//! BGP and BFD: ours beside FRR, BIRD, GoBGP and MetalLB's native BGP, one after the other, each in network
//! namespaces of its own; and what becomes of a change of an object, with the whole load balancer in a lab.
//!
//! `bench/bgp` measures, one step of one contender at a time; this says which steps there are, and makes
//! rows of what comes of them.

mod event;
mod measures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::load::Load;
use super::peer::METALLB;
use super::{Goal, Row, Summary, Versions};
use crate::{lab, process, workspace};
use measures::{IDLE, MEASURES, OURS};

/// All that speak BGP, and those of them that have BFD, by what `ferrolb-bench-bgp` calls them.
const CONTENDERS: [&str; 5] = [OURS, "frr", "bird", "gobgp", "metallb"];
const WITH_BFD: [&str; 3] = [OURS, "frr", "bird"];
/// Between BFD packets, in milliseconds.
const INTERVALS: [&str; 3] = ["10", "50", "300"];

/// Of each figure that is not one over a time.
const RUNS: usize = 5;
/// Of each change in a lab, of ours and of MetalLB, which takes seconds for one.
const EVENTS: usize = 15;
const PEER_EVENTS: usize = 5;
/// Of each side that notices a silence, with each other side.
const DETECTIONS: usize = 10;
/// How long memory and processor are measured, without routes and with them.
const SECONDS: u64 = 30;
/// How long the processor of many BFD sessions is.
const CROWD_SECONDS: u64 = 60;
/// How long BFD has to stay up under full load.
const MINUTES: u64 = 10;
/// Set to numbers, they replace those above: to try the benchmark, not to publish figures.
const SECONDS_VARIABLE: &str = "FERROLB_BENCH_SECONDS";
const MINUTES_VARIABLE: &str = "FERROLB_BENCH_MINUTES";
/// Parts of [`Part::ALL`], separated by commas: the others are left out.
const PARTS_VARIABLE: &str = "FERROLB_BENCH_PARTS";
/// A `ferrolb-bench-bgp` that is built already, with `ferrolb-bench-speaker` and `ferrolb` beside it.
const PROGRAM_VARIABLE: &str = "FERROLB_BENCH_PROGRAM";

const PACKAGE: &str = "ferrolb-bench-bgp";
/// What `ferrolb-bench-bgp` looks for beside itself.
const NATIVE: &str = "metallb-native";
const NATIVE_SOURCE: &str = include_str!("../../../bench/bgp/native.go");

/// The packages of those that Debian has.
const PACKAGES: [(&str, &str); 3] = [("bird", "bird2"), ("frr", "frr"), ("gobgp", "gobgpd")];

/// What is measured, by the name of `ferrolb-bench-bgp`'s step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Table,
    Change,
    Event,
    Detection,
    Footprint,
    Crowd,
    Load,
}

/// A line of `ferrolb-bench-bgp`.
#[derive(Debug, PartialEq, Deserialize)]
struct Sample {
    measure: String,
    contender: String,
    figures: Vec<f64>,
}

/// By measure, and in that by contender.
#[derive(Debug, Default)]
struct Figures(BTreeMap<String, BTreeMap<String, Vec<f64>>>);

/// Measures all.
pub(super) fn run() -> Result<Vec<Row>> {
    ensure!(workspace::is_root(), "network namespaces need root: run this again as root");
    let started = Instant::now();
    crate::setup::routers()?;
    let parts = parts()?;
    let program = program()?;
    METALLB.ensure_built("speaker")?;
    METALLB.build_inside("native", NATIVE_SOURCE, &program.with_file_name(NATIVE))?;
    let mut figures = Figures::default();
    for part in parts {
        for step in part.steps()? {
            let load = (part == Part::Load).then(Load::start).transpose()?;
            let said = match part {
                Part::Event => event::said(&program, &step)?,
                Part::Table | Part::Change | Part::Detection | Part::Footprint | Part::Crowd | Part::Load => {
                    process::output(step_command(&program).args(&step))?
                }
            };
            figures.add_all(&said)?;
            if let Some(load) = load {
                figures.add(Sample {
                    measure: IDLE.to_owned(),
                    contender: OURS.to_owned(),
                    figures: vec![load.finish()?],
                });
            }
            println!("{}: {:.0} s so far", step.join(" "), started.elapsed().as_secs_f64());
        }
    }
    figures.rows()
}

/// Versions of the peers.
pub(super) fn versions() -> Versions {
    let installed = PACKAGES.map(|(name, package)| {
        let mut query = Command::new("dpkg-query");
        query.args(["--show", "--showformat=${Version}", package]);
        (name.to_owned(), process::output(&mut query).unwrap_or_else(|_unknown| "unknown".to_owned()))
    });
    installed.into_iter().chain([METALLB.versioned()]).collect()
}

/// The `ferrolb-bench-bgp` to measure with, and beside it ours, optimised as users run it; beside that what
/// a lab is made of.
fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        let program = std::path::absolute(program)?;
        ensure!(program.is_file(), "{PROGRAM_VARIABLE}: there is no {}", program.display());
        return Ok(program);
    }
    lab::build()?;
    let mut build = workspace::cargo();
    build.args(["build", "--locked", "--release", "--package", PACKAGE, "--package", event::PROGRAM]);
    process::run(&mut build)?;
    Ok(workspace::target().join("release").join(PACKAGE))
}

fn step_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    // Where daemons are, whichever way this user has become root.
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    command
}

fn parts() -> Result<Vec<Part>> {
    let Ok(names) = std::env::var(PARTS_VARIABLE) else { return Ok(Part::ALL.to_vec()) };
    let part = |name: &str| Part::ALL.into_iter().find(|part| part.name() == name);
    let parts = names
        .split(',')
        .map(|name| part(name).with_context(|| format!("{PARTS_VARIABLE}: no part is called `{name}`")));
    parts.collect()
}

/// What the variable says, or else `default`.
fn number(variable: &str, default: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(number) => number.parse().with_context(|| format!("{variable} is no number")),
        Err(_unset) => Ok(default),
    }
}

impl Part {
    const ALL: [Self; 7] =
        [Self::Table, Self::Change, Self::Event, Self::Detection, Self::Footprint, Self::Crowd, Self::Load];

    const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Change => "change",
            Self::Event => "event",
            Self::Detection => "detection",
            Self::Footprint => "footprint",
            Self::Crowd => "crowd",
            Self::Load => "load",
        }
    }

    /// What `ferrolb-bench-bgp` is asked, one after the other.
    fn steps(self) -> Result<Vec<Vec<String>>> {
        let step = |words: &[&str]| {
            let words = [self.name()].into_iter().chain(words.iter().copied());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let each = |contenders: &[&str], option: &str, value: u64| {
            contenders.iter().map(|contender| step(&[contender, option, &value.to_string()])).collect()
        };
        let runs = |default: usize| -> Result<u64> { Ok(u64::try_from(super::runs(default)?)?) };
        Ok(match self {
            Self::Table | Self::Change => each(&CONTENDERS, "--runs", runs(RUNS)?),
            Self::Event => vec![
                step(&[OURS, "--runs", &runs(EVENTS)?.to_string()]),
                step(&[METALLB.name, "--runs", &runs(PEER_EVENTS)?.to_string()]),
            ],
            Self::Detection => {
                let runs = runs(DETECTIONS)?.to_string();
                let others = WITH_BFD.iter().filter(|contender| **contender != OURS);
                let pairs = others.flat_map(|other| INTERVALS.map(|interval| (other, interval)));
                pairs.map(|(other, ms)| step(&[other, "--interval-ms", ms, "--runs", &runs])).collect()
            }
            Self::Footprint => each(&CONTENDERS, "--seconds", number(SECONDS_VARIABLE, SECONDS)?),
            Self::Crowd => each(&WITH_BFD, "--seconds", number(SECONDS_VARIABLE, CROWD_SECONDS)?),
            Self::Load => {
                let seconds = 60 * number(MINUTES_VARIABLE, MINUTES)?;
                vec![step(&["--seconds", &seconds.to_string()])]
            }
        })
    }
}

impl Figures {
    /// What a step said.
    fn add_all(&mut self, said: &str) -> Result<()> {
        for line in said.lines() {
            println!("{line}");
            self.add(serde_json::from_str(line).with_context(|| format!("{PACKAGE} says no JSON: {line}"))?);
        }
        Ok(())
    }

    fn add(&mut self, sample: Sample) {
        let contenders = self.0.entry(sample.measure).or_default();
        contenders.entry(sample.contender).or_default().extend(sample.figures);
    }

    /// One row for each of [`MEASURES`] that there are figures of.
    fn rows(mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (measure, unit, goal) in MEASURES {
            let Some(contenders) = self.0.remove(measure) else { continue };
            let mut peers = BTreeMap::new();
            for (contender, figures) in contenders {
                peers.insert(contender, Summary::of(figures).context("nothing was measured")?);
            }
            let ours = peers.remove(OURS).with_context(|| format!("{measure}: ours was not measured"))?;
            rows.push(Row::compared(measure, unit, (ours, peers), goal));
        }
        let unknown: Vec<_> = self.0.keys().collect();
        ensure!(unknown.is_empty(), "{PACKAGE} measures what has no row: {unknown:?}");
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(measure: &str, contender: &str, figure: f64) -> String {
        serde_json::json!({ "measure": measure, "contender": contender, "figures": [figure] }).to_string()
    }

    #[test]
    fn figures_of_all_steps_become_a_row_of_their_measure() {
        let mut figures = Figures::default();
        let share = "detection: 3 x 50 ms: share";
        let lines = [line(share, OURS, 101.0), line(share, "frr", 104.0), line(share, OURS, 103.0)];
        figures.add_all(&lines.join("\n")).unwrap();
        let rows = figures.rows().unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].ours, Summary { min: 101.0, median: 102.0, max: 103.0 });
        assert!(rows[0].peers.contains_key("frr") && rows[0].met);
    }

    #[test]
    fn a_false_down_and_a_late_detection_miss_their_goals_and_an_unknown_measure_is_told() {
        let rows = |measure, figure| {
            let mut figures = Figures::default();
            figures.add_all(&line(measure, OURS, figure)).unwrap();
            figures.rows()
        };
        assert!(!rows("load: 3 x 10 ms: downs", 1.0).unwrap()[0].met);
        assert!(!rows("detection: 3 x 10 ms: share", 111.0).unwrap()[0].met);
        assert!(rows("load: 3 x 10 ms: downs", 0.0).unwrap()[0].met);
        assert!(rows("no such measure", 1.0).unwrap_err().to_string().contains("no such measure"));
    }

    #[test]
    fn every_part_has_steps_and_every_measure_one_row() {
        for part in Part::ALL {
            let steps = part.steps().unwrap();
            assert!(!steps.is_empty() && steps.iter().all(|step| step[0] == part.name()), "{steps:?}");
        }
        assert_eq!(Part::Detection.steps().unwrap().len(), 6);
        assert_eq!(
            Part::Event.steps().unwrap().concat().join(" "),
            "event ferrolb --runs 15 event metallb --runs 5"
        );
        let mut names: Vec<_> = MEASURES.iter().map(|(name, ..)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MEASURES.len());
    }
}
