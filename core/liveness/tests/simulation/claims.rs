//! What speakers own, known everywhere.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ferrolb_vocab::{Epoch, NodeName};

use crate::network::{Network, SECOND};

const NAMES: [&str; 3] = ["n1", "n2", "n3"];

fn owned(node: u32, count: u32, epoch: u64) -> BTreeMap<IpAddr, Epoch> {
    let address = |index: u32| IpAddr::V4((0x0a00_0000 + (node << 16) + index).into());
    (0..count).map(|index| (address(index), Epoch(epoch))).collect()
}

fn claim(network: &mut Network, name: &str, claims: BTreeMap<IpAddr, Epoch>) {
    network.change(name, |mesh, now| mesh.set_claims(claims, now).unwrap());
}

/// Whether every other node knows that `name` owns `claims`.
fn all_know(network: &Network, name: &str, claims: &BTreeMap<IpAddr, Epoch>) -> bool {
    let others = network.nodes.iter().filter(|(other, _)| *other != name);
    others
        .into_iter()
        .all(|(_, mesh)| mesh.claims().get(&NodeName::from(name)) == Some(claims) && mesh.is_settled())
}

#[test]
fn a_thousand_addresses_of_each_node_are_known_to_all_also_at_thirty_percent_loss() {
    for (loss, bound) in [(0.0, Duration::from_millis(10)), (0.3, 2 * SECOND)] {
        let mut longest = Duration::ZERO;
        for seed in 0..30 {
            let mut network = Network::new(seed, 3);
            network.run(SECOND);
            network.loss = loss;
            for (node, name) in (1..).zip(NAMES) {
                claim(&mut network, name, owned(node, 1_000, 1));
            }
            let know_all = |network: &Network| {
                (1..).zip(NAMES).all(|(node, name)| all_know(network, name, &owned(node, 1_000, 1)))
            };
            let took = network.run_until(bound, know_all);
            longest =
                longest.max(took.unwrap_or_else(|| panic!("seed {seed}: not within {bound:?} at {loss}")));
        }
        println!("3 x 1,000 addresses were known to all within {longest:?} at {loss} loss");
    }
}

#[test]
fn the_last_of_many_changes_is_what_all_know() {
    for seed in 0..50 {
        let mut network = Network::new(seed, 3);
        network.loss = 0.3;
        for change in 1..=50 {
            claim(&mut network, "n1", owned(1, u32::try_from(change).unwrap() * 7 % 90, change));
            let pause = network.random.micros(0..30_000);
            network.run(pause);
        }
        let last = owned(1, 50 * 7 % 90, 50);
        let took = network.run_until(2 * SECOND, |network| all_know(network, "n1", &last));
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_starting_speaker_knows_what_all_own_before_it_says_a_word() {
    for seed in 0..100 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        claim(&mut network, "n1", owned(1, 100, 1));
        claim(&mut network, "n2", owned(2, 100, 1));
        network.crash("n3");
        network.run(SECOND);
        network.boot_quiet("n3", 2);
        let took = network.run_until(SECOND, |network| network.nodes["n3"].is_settled());
        let took = took.unwrap_or_else(|| panic!("seed {seed}"));
        assert!(took <= network.timing.interval(), "seed {seed}: {took:?}");
        let claims = network.nodes["n3"].claims();
        assert_eq!(claims[&NodeName::from("n1")], owned(1, 100, 1), "seed {seed}");
        assert_eq!(claims[&NodeName::from("n2")], owned(2, 100, 1), "seed {seed}");
        assert_eq!(network.alive("n1"), ["n1", "n2"], "seed {seed}: it has not said anything");
    }
}

#[test]
fn after_a_partition_each_side_learns_what_the_other_took() {
    for seed in 0..50 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        claim(&mut network, "n1", owned(1, 10, 1));
        network.run(SECOND);
        for other in ["n2", "n3"] {
            network.cut.extend([("n1".into(), other.into()), (other.into(), "n1".into())]);
        }
        network.run(SECOND);
        assert_eq!(network.nodes["n2"].claims().len(), 1, "seed {seed}: n3's, which are none");
        let address = *owned(1, 1, 1).keys().next().unwrap();
        assert_eq!(network.nodes["n2"].highest_epoch(address), Some(Epoch(1)), "seed {seed}");
        claim(&mut network, "n2", owned(1, 10, 2));
        network.run(SECOND);
        network.cut.clear();
        let healed = network.run_until(SECOND, |network| {
            all_know(network, "n2", &owned(1, 10, 2)) && all_know(network, "n1", &owned(1, 10, 1))
        });
        let bound = 5 * network.timing.interval();
        assert!(healed.is_some_and(|took| took <= bound), "seed {seed}: {healed:?}");
    }
}
