//! A cluster of 1,000 nodes and 5,000 addresses: what its mesh costs, and what a crash comes to.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the harness of a test is a test"
)]

mod cluster;
mod field;

use std::collections::BTreeSet;
use std::time::Duration;

use ferrolb_liveness::{SUCCESSORS, Timing};
use ferrolb_plan::WATCHERS_PER_ADDRESS;
use ferrolb_vocab::Epoch;

use cluster::Cluster;
use field::{Counted, DELAY_MAX, Field};

const NODES: usize = 1_000;
const ADDRESSES: usize = 5_000;
/// Of a thousand datagrams.
const LOST: u64 = 10;
/// By then all know all.
const STARTED: Duration = Duration::from_millis(500);
/// A whole number of heartbeats.
const MEASURED: Duration = Duration::from_millis(1_050);

/// How many heartbeats go out to one watcher in `time`.
fn heartbeats(time: Duration) -> f64 {
    time.div_duration_f64(Timing::default().interval())
}

/// One in so many heartbeats goes out to everyone.
fn slow_round() -> f64 {
    Timing::SLOW.interval().div_duration_f64(Timing::default().interval()).floor()
}

/// What a steady mesh sends in `time`: each node every heartbeat to its watchers, and the slow round
/// to the others. At most [`SUCCESSORS`] of the watchers are no next owners.
fn formula(cluster: &Cluster, further_watchers: usize, time: Duration) -> f64 {
    let of_node = |node: usize| {
        let watchers = (cluster.watchers(node).len() + further_watchers) as f64;
        let others = NODES as f64 - 1.0 - watchers;
        heartbeats(time) * (watchers + others / slow_round())
    };
    (0..NODES).map(of_node).sum()
}

fn check_traffic(cluster: &Cluster, counted: Counted) {
    let a_second = |count: u64| count as f64 / MEASURED.as_secs_f64();
    let (datagrams, octets) = (a_second(counted.datagrams), a_second(counted.octets));
    let second = Duration::from_secs(1);
    let (least, most) = (formula(cluster, 0, second), formula(cluster, SUCCESSORS, second));
    println!(
        "{NODES} nodes, {ADDRESSES} addresses: {datagrams:.0} datagrams and {octets:.0} octets a second, {:.0} and {:.0} \
         a node; the formula says {least:.0} to {most:.0}",
        datagrams / NODES as f64,
        octets / NODES as f64
    );
    // A datagram that is lost may be asked for.
    assert!((least..=most * 1.01).contains(&datagrams));
    let everyone = heartbeats(second) * (NODES * (NODES - 1)) as f64;
    println!("if everyone watched everyone: {everyone:.0} datagrams a second");
    assert!(datagrams * 10.0 < everyone);
}

#[test]
fn a_thousand_nodes_watch_each_other_with_little_and_a_crash_is_noticed_as_fast_as_among_three() {
    let cluster = Cluster::new(NODES, ADDRESSES);
    let dies = cluster.with_most_addresses();
    assert_eq!(cluster.plan(dies, &Field::quiet(&cluster)).watchers, cluster.watchers(dies));
    assert!(cluster.watchers(dies).len() <= WATCHERS_PER_ADDRESS * cluster.owned(dies).len());

    let mut field = Field::new(&cluster, 1);
    let start = field.run(STARTED);
    println!("to start: {} datagrams, {} octets", start.datagrams, start.octets);
    assert!((0..NODES).all(|node| field.mesh(node).is_settled()), "all know what all own");
    field.lose(LOST);
    let counted = field.run(MEASURED);
    check_traffic(&cluster, counted);
    assert!(field.deaths().is_empty(), "nobody is dead: {:?}", field.deaths());

    field.crash(dies);
    let (crashed, timing) = (field.now(), Timing::default());
    let noticed = timing.detection() + timing.interval();
    field.run_deciding(noticed + 2 * DELAY_MAX, &cluster, dies);
    for address in cluster.owned(dies) {
        let successor = cluster.order(address)[1];
        let claims = field.own_claims(successor);
        assert_eq!(claims.get(&address), Some(&Epoch(2)), "{address} belongs to node {successor}");
    }
    let by_now: BTreeSet<usize> = field.deaths().iter().map(|death| death.observer).collect();
    println!(
        "{} nodes noticed the crash by themselves, after {:?} at most",
        by_now.len(),
        field.last_death(crashed)
    );

    field.run_deciding(noticed, &cluster, dies);
    let knowing: BTreeSet<usize> = field.deaths().iter().map(|death| death.observer).collect();
    assert!(field.deaths().iter().all(|death| death.dead == dies), "nobody else is dead");
    println!("{} knew after {:?}", knowing.len(), field.last_death(crashed));
    assert_eq!(knowing.len(), NODES - 1, "all know");
    assert!(field.now() <= crashed + 2 * noticed + 2 * DELAY_MAX);
}

/// Long enough for the slow round to miss a node; a thousand nodes would take long to simulate.
#[test]
fn nobody_is_taken_for_dead_at_one_percent_of_loss() {
    let cluster = Cluster::new(60, 300);
    let mut field = Field::new(&cluster, 2);
    field.run(STARTED);
    field.lose(LOST);
    field.run(Duration::from_secs(30));
    assert!(field.deaths().is_empty(), "{:?}", field.deaths());
}

/// What addresses cost is one number in each heartbeat, as long as none moves.
#[test]
fn at_rest_the_traffic_does_not_depend_on_how_many_addresses_there_are() {
    for (nodes, addresses) in [(3, 0), (3, 100), (3, 1_000), (10, 0), (10, 100), (10, 1_000)] {
        let cluster = Cluster::new(nodes, addresses);
        let mut field = Field::new(&cluster, 3);
        field.run(STARTED);
        let rounds: u32 = 200;
        let time = rounds * Timing::default().interval();
        let counted = field.run(time);
        let a_second = |count: u64| count as f64 / (nodes as f64 * time.as_secs_f64());
        println!(
            "{nodes} nodes, {addresses} addresses: a node sends {:.0} datagrams, {:.0} octets a second",
            a_second(counted.datagrams),
            a_second(counted.octets)
        );
        assert_eq!(counted.datagrams, u64::from(rounds) * (nodes * (nodes - 1)) as u64);
        assert_eq!(counted.octets, counted.datagrams * (68 + "node-0000".len() as u64));
    }
}
