//! Processes, hosts and directions that stand still: each case with its outcome.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_liveness::{DeadReason, Event, GRACE_INTERVALS};
use ferrolb_vocab::{Epoch, NodeName};

use crate::network::{Network, SECOND, Stopped, dead};

/// The events of `observer` after the first second, in which all find each other.
fn told_by<'a>(network: &'a Network, observer: &str) -> Vec<&'a Event> {
    let later = network.told.iter().filter(|told| told.at.since_origin() >= SECOND);
    let of_observer = later.filter(|told| told.observer == observer);
    of_observer.map(|told| &told.event).filter(|event| !matches!(event, Event::ClaimsChanged(_))).collect()
}

#[test]
fn if_only_one_direction_works_the_deaf_side_misses_the_other_and_is_itself_heard() {
    for seed in 0..50 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        network.cut.insert(("n1".into(), "n2".into()));
        network.run(10 * SECOND);
        assert_eq!(
            told_by(&network, "n2"),
            [&dead("n1", DeadReason::Silent)],
            "seed {seed}: and does not flap"
        );
        assert_eq!(network.alive("n1"), ["n1", "n2", "n3"], "seed {seed}");
        assert_eq!(network.alive("n3"), ["n1", "n2", "n3"], "seed {seed}");
        // n2 takes what n1 owned, and n1 hears that.
        let taken: BTreeMap<IpAddr, Epoch> = [([192, 0, 2, 240].into(), Epoch(2))].into();
        network.change("n2", |mesh, now| mesh.set_claims(taken.clone(), now).unwrap());
        network.run(2 * network.delay_max());
        assert_eq!(network.nodes["n1"].claims()[&NodeName::from("n2")], taken, "seed {seed}");
        network.cut.clear();
        network.run(4 * network.timing.interval());
        assert_eq!(network.alive("n2"), ["n1", "n2", "n3"], "seed {seed}");
    }
}

#[test]
fn heavy_loss_in_one_direction_kills_at_one_side_only() {
    let mut network = Network::new(3, 2);
    network.run(SECOND);
    for _ in 0..200 {
        network.cut.insert(("n1".into(), "n2".into()));
        network.run(7 * network.timing.interval());
        network.cut.clear();
        network.run(network.timing.interval());
    }
    assert!(network.deaths().all(|told| told.observer == "n2"), "n1 hears n2 all the time");
    assert!(network.deaths().count() <= 1, "one heartbeat in eight brings nobody back");
}

#[test]
fn a_stopped_process_is_dead_and_returns_with_its_claims_while_it_misses_nobody() {
    for seed in 0..50 {
        let mut network = Network::new(seed, 3);
        let owned: BTreeMap<IpAddr, Epoch> = [([192, 0, 2, 240].into(), Epoch(1))].into();
        network.change("n3", |mesh, now| mesh.set_claims(owned.clone(), now).unwrap());
        network.run(SECOND);
        network.stop("n3", Stopped::Buffering);
        network.run(5 * SECOND);
        assert_eq!(network.alive("n1"), ["n1", "n2"], "seed {seed}");
        assert!(network.nodes["n1"].claims().values().all(BTreeMap::is_empty), "seed {seed}");
        network.resume("n3");
        network.run(5 * network.timing.interval());
        assert_eq!(told_by(&network, "n3"), [] as [&Event; 0], "seed {seed}: it was n3 that slept");
        let expected = [dead("n3", DeadReason::Silent), Event::Alive("n3".into())];
        assert_eq!(told_by(&network, "n1"), expected.iter().collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(network.nodes["n1"].claims()[&NodeName::from("n3")], owned, "seed {seed}");
    }
}

#[test]
fn a_paused_machine_gives_the_others_time_to_be_heard() {
    for seed in 0..100 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        network.stop("n3", Stopped::Deaf);
        let pause = network.random.micros(100_000..20_000_000);
        network.run(pause);
        network.resume("n3");
        network.run(SECOND);
        assert_eq!(told_by(&network, "n3"), [] as [&Event; 0], "seed {seed}");
    }
}

#[test]
fn who_died_while_this_process_slept_is_missed_soon_after() {
    for (seed, how) in (0..100).zip([Stopped::Deaf, Stopped::Buffering].into_iter().cycle()) {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        network.stop("n3", how);
        network.run(SECOND);
        network.crash("n2");
        network.run(5 * SECOND);
        network.resume("n3");
        let resumed = network.now;
        network.run(SECOND);
        assert_eq!(told_by(&network, "n3"), [&dead("n2", DeadReason::Silent)], "seed {seed}");
        let noticed = network.deaths().find(|told| told.observer == "n3").unwrap().at;
        let bound = match how {
            Stopped::Deaf => network.timing.interval() * GRACE_INTERVALS,
            // What waited in the socket is heard first, as if it had come now.
            Stopped::Buffering => network.timing.detection(),
        };
        assert!(noticed <= resumed + bound, "seed {seed}: {noticed}");
    }
}

/// A process that gets the CPU once in 150 ms is late each time.
#[test]
fn a_starved_process_misses_the_dead_and_only_them() {
    for seed in 0..20 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        let starve = |network: &mut Network, rounds: u32| {
            for _ in 0..rounds {
                network.stop("n3", Stopped::Buffering);
                network.run(SECOND * 15 / 100);
                network.resume("n3");
            }
        };
        starve(&mut network, 100);
        assert_eq!(network.deaths().count(), 0, "seed {seed}");
        network.crash("n2");
        starve(&mut network, 5);
        assert_eq!(told_by(&network, "n3"), [&dead("n2", DeadReason::Silent)], "seed {seed}");
    }
}
