//! Ten thousand clusters. `FERROLB_SIM_SEED=n` runs one of them again, and shows it.

#![expect(clippy::print_stdout, reason = "what was measured")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferrolb_sim::monitor::PLANNED_HANDOVER_MAX;
use ferrolb_sim::scenario::START;
use ferrolb_sim::world::Outcome;
use ferrolb_sim::{Scenario, World};
use ferrolb_vocab::Instant;

/// Runs this seed and no other.
const SEED_VARIABLE: &str = "FERROLB_SIM_SEED";
const FAULTY_SEEDS: u64 = 10_000;
const SPARSE_SEEDS: u64 = 2_000;
const CUT_OFF_SEEDS: u64 = 1_000;
const PLANNED_SEEDS: u64 = 2_000;

fn faulty(seed: u64) -> Result<Outcome, String> {
    World::new(Scenario::faults(seed)).run()
}

fn sparse(seed: u64) -> Result<Outcome, String> {
    World::new(Scenario::sparse(seed)).run()
}

fn cut_off(seed: u64) -> Result<Outcome, String> {
    World::new(Scenario::cut_off(seed)).run()
}

fn planned(seed: u64) -> Result<Outcome, String> {
    let mut world = World::new(Scenario::planned(seed));
    world.forbid_gaps(Instant::from_origin(START));
    let outcome = world.run()?;
    if outcome.longest_double > PLANNED_HANDOVER_MAX {
        return Err(format!("seed {seed}: two answered for {:?}", outcome.longest_double));
    }
    Ok(outcome)
}

/// Runs `count` seeds on all processors; what the longest hand-over was.
fn run_all(count: u64, run: fn(u64) -> Result<Outcome, String>) -> Duration {
    if let Some(seed) = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()) {
        let outcome = run(seed).unwrap_or_else(|report| panic!("{report}"));
        println!("seed {seed}: {outcome:?}");
        return outcome.longest_double;
    }
    let next = AtomicU64::new(0);
    let worker = || {
        let mut longest = Duration::ZERO;
        let mut datagrams = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return Ok((longest, datagrams));
            }
            match run(seed) {
                Ok(outcome) => {
                    longest = longest.max(outcome.longest_double);
                    datagrams += outcome.datagrams;
                }
                Err(report) => {
                    next.store(count, Ordering::Relaxed);
                    return Err(report);
                }
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Result<(Duration, u64), String>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running.into_iter().map(|worker| worker.join().expect("it does not panic")).collect()
    });
    let mut longest = Duration::ZERO;
    let mut datagrams = 0;
    for result in results {
        match result {
            Ok((of_worker, sent)) => {
                longest = longest.max(of_worker);
                datagrams += sent;
            }
            Err(report) => panic!("{report}\nrun it again with {SEED_VARIABLE}"),
        }
    }
    println!("{count} seeds, {datagrams} datagrams, longest hand-over {longest:?}");
    longest
}

#[test]
fn whatever_happens_each_address_has_one_owner_soon_after() {
    run_all(FAULTY_SEEDS, faulty);
}

#[test]
fn whatever_happens_where_few_watch_each_other_too() {
    run_all(SPARSE_SEEDS, sparse);
}

#[test]
fn a_planned_move_has_no_moment_without_an_owner() {
    run_all(PLANNED_SEEDS, planned);
}

#[test]
fn a_node_that_is_cut_off_stops_answering_and_comes_back() {
    run_all(CUT_OFF_SEEDS, cut_off);
}
