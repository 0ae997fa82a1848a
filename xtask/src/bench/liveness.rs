//! What liveness promises: in the profile `fast` a crash costs 100 ms at most, and in no profile does
//! full load make a living node look dead.
//!
//! Cluster, faults and client are those of `failover`.

mod pauses;
mod speakers;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::failover::{self, ARP_GAP, Column, Contender, Counted, GAP, InCluster, PAUSE, Scenario, Stage};
use super::load::Load;
use super::{Goal, Row, Summary};
use pauses::Pauses;
use speakers::Counters;

/// Of each fault.
const RUNS: usize = 20;
/// Of full load, in each profile.
const MINUTES: u64 = 10;
/// Set to a number, the load lasts so many minutes: to try the benchmark, not to publish figures.
const MINUTES_VARIABLE: &str = "FERROLB_BENCH_MINUTES";
/// How often the client asks who has the address, under load.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// What happens, and who notices: a node whose kernel lives still forwards what arrives, so that only
/// ARP falls silent.
const FAULTS: [(Scenario, Column); 3] =
    [(Scenario::PowerOff, GAP), (Scenario::LinkDown, GAP), (Scenario::Stop, ARP_GAP)];
/// After a crash: half of them are over in 100 ms, and each in what is allowed in any profile.
const CRASH: Goal = Goal::AtMost { median: 100.0, max: 500.0 };
const NONE_AT_ALL: Goal = Goal::Below(1.0);
/// Full load leaves the processors so little time, in percent.
const FULL: Goal = Goal::Below(5.0);
/// A time of load counts for nothing, and is played again so often at most, in which a processor stood still
/// for so long that its node had to fall silent.
const VOIDS_MAX: u64 = 2;

/// A profile under load.
#[derive(Clone, Copy, Debug)]
struct Profile {
    name: &'static str,
    /// A node may stand still for so long: the detection time less an interval, in milliseconds.
    pause_max: f64,
}

const FAST: Profile = Profile { name: "fast", pause_max: 65.0 };
const DEFAULT: Profile = Profile { name: "default", pause_max: 220.0 };

/// What came of a time of full load.
#[derive(Clone, Debug, Default)]
struct Loaded {
    deaths: u64,
    changes: u64,
    restarts: u64,
    seen: Seen,
    /// Of the processors' time, in percent.
    idle: f64,
    /// The longest in which a processor stood still, in milliseconds.
    pause: f64,
    /// How many more times of load were void and played again.
    voids: u64,
}

/// What the client saw.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    asked: u64,
    unanswered: u64,
    moves: u64,
}

/// Measures both profiles.
pub(super) fn run() -> Result<Vec<Row>> {
    let (runs, duration) = (super::runs(RUNS)?, duration()?);
    let program = failover::ferrolb()?;
    let mut rows = fast(&InCluster::ferrolb_fast(program.clone()), runs, duration)?;
    let default = InCluster::ferrolb(program);
    rows.extend(load_rows(DEFAULT, &under_load(&Stage::new(&default)?, &default, DEFAULT, duration)?)?);
    Ok(rows)
}

/// How long the load lasts.
fn duration() -> Result<Duration> {
    let minutes = match std::env::var(MINUTES_VARIABLE) {
        Ok(number) => number.parse().with_context(|| format!("{MINUTES_VARIABLE} is no number"))?,
        Err(_unset) => MINUTES,
    };
    Ok(Duration::from_secs(60 * minutes))
}

/// The faults and the load, in one lab.
fn fast(contender: &InCluster, runs: usize, duration: Duration) -> Result<Vec<Row>> {
    let stage = Stage::new(contender)?;
    speakers::ensure_fast(&stage)?;
    let counted = failover::played(&stage, contender, &FAULTS.map(|(scenario, _)| scenario), runs)?;
    let mut rows = crash_rows(&counted)?;
    // A node that was without power has another speaker now.
    speakers::ensure_fast(&stage)?;
    rows.extend(load_rows(FAST, &under_load(&stage, contender, FAST, duration)?)?);
    Ok(rows)
}

/// Keeps all processors busy, and counts what the speakers and the client make of it.
fn under_load(
    stage: &Stage,
    contender: &dyn Contender,
    profile: Profile,
    duration: Duration,
) -> Result<Loaded> {
    let mut voids = 0;
    loop {
        let loaded = Loaded { voids, ..loaded_once(stage, contender, duration)? };
        println!("{} under load: {loaded}", contender.name());
        if loaded.deaths > 0 {
            speakers::print_deaths(stage)?;
        }
        if voids == VOIDS_MAX || !loaded.is_void(profile) {
            return Ok(loaded);
        }
        println!("{} under load is void: the machine itself stood still", contender.name());
        voids += 1;
    }
}

fn loaded_once(stage: &Stage, contender: &dyn Contender, duration: Duration) -> Result<Loaded> {
    let owner = stage.settled(contender)?;
    let before = Counters::read(stage, contender)?;
    let load = Load::start()?;
    let pauses = Pauses::watch();
    let seen = watched(stage, owner, duration)?;
    let pause = 1_000.0 * pauses.longest()?.as_secs_f64();
    let idle = load.finish()?;
    let after = Counters::read(stage, contender)?;
    Ok(Loaded {
        deaths: after.deaths.saturating_sub(before.deaths),
        changes: after.changes.saturating_sub(before.changes),
        restarts: after.restarts(&before),
        seen,
        idle,
        pause,
        voids: 0,
    })
}

/// Asks again and again who has the address, which `owner` has at first.
fn watched(stage: &Stage, mut owner: String, duration: Duration) -> Result<Seen> {
    let end = Instant::now() + duration;
    let mut seen = Seen::default();
    while Instant::now() < end {
        seen.asked += 1;
        match stage.owner()? {
            Some(now) if now == owner => {}
            Some(now) => {
                println!("the address moved from {owner} to {now}");
                seen.moves += 1;
                owner = now;
            }
            None => seen.unanswered += 1,
        }
        std::thread::sleep(ASK_INTERVAL);
    }
    Ok(seen)
}

/// One row for each fault, and one for what it could be measured with.
fn crash_rows(counted: &Counted) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (scenario, column) in FAULTS {
        for (column, goal) in [(column, CRASH), (PAUSE, Goal::Shown)] {
            let (name, unit, _) = column;
            let runs = counted.get(&scenario).context("nothing was counted")?;
            let ours = failover::summary(column, runs).context("nothing was counted")?;
            rows.push(Row::new(&format!("fast: {}: {name}", scenario.name()), unit, ours, goal));
        }
    }
    Ok(rows)
}

fn load_rows(profile: Profile, loaded: &Loaded) -> Result<Vec<Row>> {
    #[expect(clippy::cast_precision_loss, reason = "nothing happens 2^53 times in minutes")]
    let count = |number: u64| number as f64;
    let Loaded { deaths, changes, restarts, seen, idle, pause, voids } = loaded;
    let rows = [
        ("false deaths", "deaths", count(*deaths), NONE_AT_ALL),
        ("moves", "moves", count(seen.moves), NONE_AT_ALL),
        ("changes of owners", "changes", count(*changes), NONE_AT_ALL),
        ("speakers restarted", "speakers", count(*restarts), NONE_AT_ALL),
        ("asked", "requests", count(seen.asked), Goal::Shown),
        ("unanswered", "requests", count(seen.unanswered), Goal::Shown),
        ("processors idle", "%", *idle, FULL),
        ("a processor's pause", "ms", *pause, Goal::Shown),
        ("void", "times", count(*voids), Goal::Shown),
    ];
    let row = |(name, unit, figure, goal)| {
        let ours = Summary::of([figure]).context("one figure is a summary")?;
        Ok(Row::new(&format!("{} under load: {name}", profile.name), unit, ours, goal))
    };
    rows.into_iter().map(row).collect()
}

impl Loaded {
    /// Whether somebody was silent who could not speak. A time without any harm counts in any case.
    fn is_void(&self, profile: Profile) -> bool {
        self.pause > profile.pause_max && self.deaths + self.changes + self.seen.moves > 0
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deaths, changes, restarts, seen, idle, pause, .. } = self;
        let Seen { asked, unanswered, moves } = seen;
        write!(
            f,
            "{deaths} false deaths, {moves} moves, {changes} changes of owners, {restarts} restarts, \
             {unanswered} of {asked} requests unanswered, processors {idle:.1} % idle, one stood still for {pause:.1} ms"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_false_death_or_move_misses_the_goal() {
        let missed = |loaded: &Loaded| -> Vec<String> {
            let rows = load_rows(FAST, loaded).unwrap();
            rows.into_iter().filter(|row| !row.met).map(|row| row.measure).collect()
        };
        assert!(missed(&Loaded { idle: 1.0, ..Loaded::default() }).is_empty());
        assert_eq!(missed(&Loaded { idle: 50.0, ..Loaded::default() }), ["fast under load: processors idle"]);
        let moved = Seen { moves: 1, unanswered: 3, ..Seen::default() };
        assert_eq!(
            missed(&Loaded { deaths: 1, seen: moved, ..Loaded::default() }),
            ["fast under load: false deaths", "fast under load: moves"]
        );
    }
    #[test]
    fn a_death_while_a_processor_stood_still_is_nobodys() {
        let paused = |deaths, pause| Loaded { deaths, pause, ..Loaded::default() };
        assert!(paused(1, 77.0).is_void(FAST));
        assert!(!paused(1, 64.0).is_void(FAST), "the others had to hear something");
        assert!(!paused(0, 77.0).is_void(FAST), "it did no harm");
        assert!(!paused(1, 77.0).is_void(DEFAULT));
    }
}
