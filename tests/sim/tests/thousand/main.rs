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
const MEASURED: Duration = Duration::from_secs(1);

/// What a steady mesh sends in a second: each node every heartbeat to its watchers, and one to
/// each of the others. At most [`SUCCESSORS`] of the watchers are no next owners.
fn formula(cluster: &Cluster, further_watchers: usize) -> u64 {
    let of_node = |node: usize| {
        let watchers = (cluster.watchers(node).len() + further_watchers) as u64;
        let rounds = 1_000 / u64::try_from(Timing::default().interval().as_millis()).unwrap();
        rounds * watchers + (NODES as u64 - 1 - watchers)
    };
    (0..NODES).map(of_node).sum()
}

fn check_traffic(cluster: &Cluster, counted: Counted) {
    let seconds = MEASURED.as_secs();
    let (datagrams, octets) = (counted.datagrams / seconds, counted.octets / seconds);
    let (least, most) = (formula(cluster, 0), formula(cluster, SUCCESSORS));
    println!(
        "{NODES} nodes, {ADDRESSES} addresses: {datagrams} datagrams and {octets} octets a second, {} and {} a node; \
         the formula says {least} to {most}",
        datagrams / NODES as u64,
        octets / NODES as u64
    );
    // A datagram that is lost may be asked for.
    assert!((least..=most + most / 100).contains(&datagrams));
    let everyone = 25 * (NODES * (NODES - 1)) as u64;
    println!("if everyone watched everyone: {everyone} datagrams a second");
    assert!(datagrams * 10 < everyone);
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
        let counted = field.run(Duration::from_secs(10));
        let (datagrams, octets) =
            (counted.datagrams / (10 * nodes as u64), counted.octets / (10 * nodes as u64));
        println!(
            "{nodes} nodes, {addresses} addresses: a node sends {datagrams} datagrams, {octets} octets a second"
        );
        assert_eq!(datagrams, 25 * (nodes as u64 - 1));
        assert_eq!(octets, datagrams * (68 + "node-0000".len() as u64));
    }
}
