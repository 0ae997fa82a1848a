//! Whole meshes in virtual time: loss, delay, reordering, crash, leave, restart.
//!
//! Everything follows from the seed; a failing assertion prints it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the harness of tests is a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use ferrolb_liveness::{DeadReason, Event, Mesh, Timing};
use ferrolb_vocab::{Instant, NodeName};

/// SplitMix64: small, and the same on every platform.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, probability: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < probability
    }

    fn micros(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(range.start + self.next() % (range.end - range.start))
    }
}

struct Packet {
    src: SocketAddr,
    dst: SocketAddr,
    payload: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    at: Instant,
    observer: String,
    event: Event,
}

/// A network of nodes `n1`, `n2` … at 10.0.0.1, 10.0.0.2 …
struct Network {
    random: Random,
    now: Instant,
    timing: Timing,
    loss: f64,
    delay_us: std::ops::Range<u64>,
    nodes: BTreeMap<String, Mesh>,
    members: Vec<String>,
    under_way: BTreeMap<(Instant, u64), Packet>,
    packets: u64,
    told: Vec<Told>,
}

fn address(name: &str) -> SocketAddr {
    format!("10.0.0.{}:7000", name.trim_start_matches('n')).parse().unwrap()
}

impl Network {
    /// `count` nodes that start at once on a network with up to 1 ms of delay and no loss.
    fn new(seed: u64, count: usize) -> Self {
        let members: Vec<String> = (1..=count).map(|index| format!("n{index}")).collect();
        let mut network = Self {
            random: Random(seed),
            now: Instant::ORIGIN,
            timing: Timing::default(),
            loss: 0.0,
            delay_us: 50..1_000,
            nodes: BTreeMap::new(),
            members: members.clone(),
            under_way: BTreeMap::new(),
            packets: 0,
            told: Vec::new(),
        };
        for name in members {
            network.boot(&name, 1);
        }
        network
    }

    fn boot(&mut self, name: &str, incarnation: u64) {
        let mut mesh = Mesh::new(name.into(), incarnation, self.timing).unwrap();
        let peers = self.members.iter().map(|name| (name.as_str().into(), vec![address(name)])).collect();
        mesh.set_peers(peers, self.now);
        mesh.start(self.now);
        self.nodes.insert(name.into(), mesh);
        self.drain(name);
    }

    fn crash(&mut self, name: &str) {
        self.nodes.remove(name).unwrap();
    }

    fn leave(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().leave(self.now);
        self.drain(name);
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let timer = self.nodes.values().filter_map(|mesh| Some(mesh.poll_timeout()?.0)).min();
            let next = arrival.into_iter().chain(timer).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = next;
            self.step();
        }
        self.now = end;
    }

    /// Delivers what has arrived, then runs the timers that are due.
    fn step(&mut self) {
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let packet = entry.remove();
            let name = format!("n{}", packet.dst.ip().to_string().rsplit('.').next().unwrap());
            if let Some(mesh) = self.nodes.get_mut(&name) {
                mesh.handle_packet(packet.src, &packet.payload, self.now).ok();
                self.drain(&name);
            }
        }
        for name in self.members.clone() {
            if let Some(mesh) = self.nodes.get_mut(&name) {
                mesh.handle_timeout(self.now);
                self.drain(&name);
            }
        }
    }

    fn drain(&mut self, name: &str) {
        let mesh = self.nodes.get_mut(name).unwrap();
        while let Some(transmit) = mesh.poll_transmit() {
            if self.random.chance(self.loss) {
                continue;
            }
            let arrival = self.now + self.random.micros(self.delay_us.clone());
            self.packets += 1;
            let packet = Packet { src: address(name), dst: transmit.dst, payload: transmit.payload };
            self.under_way.insert((arrival, self.packets), packet);
        }
        while let Some(event) = mesh.poll_event() {
            self.told.push(Told { at: self.now, observer: name.into(), event });
        }
    }

    fn alive(&self, observer: &str) -> Vec<String> {
        self.nodes[observer].alive().iter().map(NodeName::to_string).collect()
    }

    fn deaths(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(|told| matches!(told.event, Event::Dead { .. }))
    }

    fn delay_max(&self) -> Duration {
        Duration::from_micros(self.delay_us.end)
    }
}

fn dead(node: &str, why: DeadReason) -> Event {
    Event::Dead { node: node.into(), why }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn three_nodes_find_each_other_within_an_interval() {
    for seed in 0..100 {
        let mut network = Network::new(seed, 3);
        let everyone = network.timing.interval() + network.delay_max();
        network.run(everyone);
        for observer in ["n1", "n2", "n3"] {
            assert_eq!(network.alive(observer), ["n1", "n2", "n3"], "seed {seed}");
            assert!(network.nodes[observer].is_settled(), "seed {seed}");
        }
        network.run(10 * SECOND);
        assert_eq!(network.deaths().count(), 0, "seed {seed}");
    }
}

#[test]
fn a_crash_is_noticed_by_all_within_the_detection_time_and_an_interval() {
    for seed in 0..300 {
        let mut network = Network::new(seed, 3);
        let before = SECOND + network.random.micros(0..100_000);
        network.run(before);
        network.crash("n3");
        let crashed = network.now;
        network.run(SECOND);
        let (interval, detection) = (network.timing.interval(), network.timing.detection());
        let observers: BTreeSet<&str> = network.deaths().map(|told| told.observer.as_str()).collect();
        assert_eq!(observers, ["n1", "n2"].into(), "seed {seed}");
        for told in network.deaths() {
            let took = told.at.saturating_since(crashed);
            assert_eq!(told.event, dead("n3", DeadReason::Silent), "seed {seed}");
            assert!(took <= detection + interval, "seed {seed}: took {took:?}");
            assert!(took >= detection - interval, "seed {seed}: took only {took:?}");
        }
        assert_eq!(network.deaths().count(), 2, "seed {seed}");
    }
}

#[test]
fn a_crash_under_loss_is_noticed_no_later() {
    for seed in 0..300 {
        let mut network = Network::new(seed, 2);
        network.loss = 0.3;
        network.run(SECOND);
        network.crash("n2");
        let crashed = network.now;
        network.run(SECOND);
        let (interval, detection) = (network.timing.interval(), network.timing.detection());
        assert_eq!(network.alive("n1"), ["n1"], "seed {seed}");
        let noticed = network.deaths().filter(|told| told.observer == "n1").last().unwrap().at;
        assert!(noticed <= crashed + detection + interval, "seed {seed}: {noticed}");
    }
}

#[test]
fn a_leave_is_noticed_at_once() {
    for seed in 0..300 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        network.leave("n2");
        let left = network.now;
        network.run(SECOND);
        let deaths: Vec<&Told> = network.deaths().collect();
        assert_eq!(deaths.len(), 2, "seed {seed}");
        for told in deaths {
            assert_eq!(told.event, dead("n2", DeadReason::Left), "seed {seed}");
            assert!(told.at <= left + network.delay_max(), "seed {seed}");
        }
        assert!(network.nodes["n2"].is_gone());
    }
}

#[test]
fn a_restart_is_alive_again_after_three_heartbeats() {
    for seed in 0..300 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        network.crash("n1");
        network.run(2 * SECOND);
        assert_eq!(network.alive("n2"), ["n2", "n3"], "seed {seed}");
        network.boot("n1", 2);
        let booted = network.now;
        assert_eq!(network.alive("n1"), ["n1", "n2", "n3"], "a starting speaker takes nothing, seed {seed}");
        network.run(SECOND);
        let back = network.told.iter().filter(|told| {
            told.at > booted && told.observer != "n1" && told.event == Event::Alive("n1".into())
        });
        let back: Vec<Duration> = back.map(|told| told.at.saturating_since(booted)).collect();
        assert_eq!(back.len(), 2, "seed {seed}");
        let bound = 2 * network.timing.interval() + network.delay_max();
        assert!(back.iter().all(|took| *took <= bound), "seed {seed}: {back:?}");
        assert_eq!(network.alive("n1"), ["n1", "n2", "n3"], "seed {seed}");
    }
}

#[test]
fn a_restart_within_the_detection_time_is_no_death() {
    for seed in 0..300 {
        let mut network = Network::new(seed, 2);
        network.run(SECOND);
        network.crash("n2");
        network.run(network.timing.detection() - 2 * network.timing.interval());
        network.boot("n2", 2);
        network.run(SECOND);
        assert_eq!(network.deaths().count(), 0, "seed {seed}");
    }
}

#[test]
fn delay_of_several_intervals_and_reordering_are_no_death() {
    for seed in 0..100 {
        let mut network = Network::new(seed, 3);
        // Up to 150 ms apart: neighbours in the sequence overtake each other all the time.
        network.delay_us = 1_000..150_000;
        network.run(60 * SECOND);
        assert_eq!(network.deaths().count(), 0, "seed {seed}");
    }
}

/// The promise of the default timing at 30 % loss: a false death every 6,531 intervals per peer
/// on average, so that most stretches of a minute (1,200 intervals) see none.
#[test]
fn a_minute_at_thirty_percent_loss_passes_without_a_false_death() {
    let promised = Timing::default().mean_intervals_to_false_death(0.3);
    assert!((6_500.0..6_600.0).contains(&promised), "{promised}");
    let mut network = Network::new(4, 2);
    network.loss = 0.3;
    network.run(60 * SECOND);
    assert_eq!(network.deaths().count(), 0, "of this seed");
}

#[test]
fn false_deaths_at_thirty_percent_loss_are_as_rare_as_computed() {
    const INTERVALS: u32 = 500_000;
    let timing = Timing::default();
    let mut network = Network::new(1, 2);
    network.loss = 0.3;
    network.run(timing.interval() * INTERVALS);
    let deaths = network.deaths().count();
    // Two observers. The eighth heartbeat falls on the deadline, and is sometimes in time.
    let at_most = 2.0 * f64::from(INTERVALS) / timing.mean_intervals_to_false_death(0.3);
    println!(
        "{deaths} false deaths in {INTERVALS} intervals at two observers, at most {at_most:.0} promised"
    );
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let deaths = deaths as f64;
    assert!(deaths <= 1.1 * at_most && deaths >= 0.3 * at_most, "{deaths}, promised {at_most}");
    assert!(network.told.len() > 100, "the network did lose heartbeats");
}

#[test]
fn losses_up_to_the_promise_never_kill() {
    let timing = Timing::default();
    let mut network = Network::new(9, 2);
    for _ in 0..500 {
        network.loss = 1.0;
        network.run(timing.interval() * timing.losses_survived());
        network.loss = 0.0;
        let heard = timing.interval() + network.random.micros(0..1_000);
        network.run(heard);
    }
    assert_eq!(network.deaths().count(), 0);
}

#[test]
fn a_partition_is_seen_from_both_sides_and_heals() {
    for seed in 0..100 {
        let mut network = Network::new(seed, 3);
        network.run(SECOND);
        network.loss = 1.0;
        network.run(SECOND);
        for observer in ["n1", "n2", "n3"] {
            assert_eq!(network.alive(observer), [observer], "seed {seed}");
        }
        network.loss = 0.0;
        network.run(4 * network.timing.interval());
        for observer in ["n1", "n2", "n3"] {
            assert_eq!(network.alive(observer), ["n1", "n2", "n3"], "seed {seed}");
        }
    }
}
