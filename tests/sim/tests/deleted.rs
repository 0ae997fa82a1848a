//! A Node that is deleted while its speaker is away, and sees that seconds later than the others.

use std::time::Duration;

use ferrolb_sim::random::Random;
use ferrolb_sim::scenario::START;
use ferrolb_sim::{Fault, Scenario, World};
use ferrolb_vocab::Instant;

const SEEDS: u64 = 500;

/// The API server tells each node within eight seconds; the network is whole after two.
fn deleted(seed: u64) -> Scenario {
    let mut scenario = Scenario::cut_off(seed);
    let node = usize::try_from(Random::new(seed).number() % scenario.nodes as u64).expect("few nodes");
    let at = |ms| Instant::from_origin(START + Duration::from_millis(ms));
    scenario.lag_millis = 8_000;
    scenario.faults = vec![
        (at(0), Fault::Isolate(node)),
        (at(300), Fault::Delete(node, true)),
        (at(2_000), Fault::Rejoin(node)),
    ];
    scenario
}

#[test]
fn a_speaker_that_does_not_know_that_its_node_is_deleted_hears_who_has_its_addresses() {
    for seed in 0..SEEDS {
        let outcome = World::new(deleted(seed)).run().unwrap_or_else(|report| panic!("{report}"));
        assert!(outcome.longest_double < Duration::from_millis(300), "seed {seed}: {outcome:?}");
    }
}
