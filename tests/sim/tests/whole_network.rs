//! A failure of the whole network: nobody hears anybody, nor the gateway, until it is mended for all at once.

use std::time::Duration;

use ferrolb_sim::random::Random;
use ferrolb_sim::scenario::START;
use ferrolb_sim::{Fault, Scenario, World};
use ferrolb_vocab::Instant;

const SEEDS: u64 = 500;

/// All nodes are cut off for so long that each notices.
fn outage(seed: u64, has_carrier: bool) -> Scenario {
    let mut scenario = Scenario::cut_off(seed);
    let mut random = Random::new(seed);
    let begins = Instant::from_origin(START + random.millis(0..1_500));
    let ends = begins + random.millis(4_000..12_000);
    let fault = |node, fails| match (has_carrier, fails) {
        (true, true) => Fault::Isolate(node),
        (true, false) => Fault::Rejoin(node),
        (false, fails) => Fault::Unplug(node, fails),
    };
    let all = |at, fails| (0..scenario.nodes).map(move |node| (at, fault(node, fails)));
    scenario.faults = all(begins, true).chain(all(ends, false)).collect();
    scenario
}

/// The world checks that each address has one owner within a second after the last fault, and keeps it.
#[test]
fn each_address_has_an_owner_within_a_second_after_the_whole_network_failed() {
    for seed in 0..SEEDS {
        for has_carrier in [true, false] {
            let outcome =
                World::new(outage(seed, has_carrier)).run().unwrap_or_else(|report| panic!("{report}"));
            assert!(outcome.longest_double < Duration::from_millis(100), "seed {seed}: {outcome:?}");
        }
    }
}
