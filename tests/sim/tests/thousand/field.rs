//! A thousand meshes and the network between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ferrolb_liveness::{Event, Key, KeyRing, Mesh, Timing};
use ferrolb_plan::Ownership;
use ferrolb_sim::random::Random;
use ferrolb_vocab::{Epoch, Instant};

use crate::cluster::{Cluster, Knowledge};

/// The longest that a datagram is under way.
pub(crate) const DELAY_MAX: Duration = Duration::from_millis(2);
/// Datagrams arrive at whole ticks, so that a node takes several at once: a thousand meshes do
/// not fit a processor's cache.
const TICK: Duration = Duration::from_millis(1);

/// What was sent in some time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) datagrams: u64,
    /// Of UDP's payload.
    pub(crate) octets: u64,
}

/// Who takes whom for dead.
#[derive(Debug)]
pub(crate) struct Death {
    pub(crate) at: Instant,
    pub(crate) observer: usize,
    pub(crate) dead: usize,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Wake,
    Arrival { from: usize, payload: Vec<u8> },
}

pub(crate) struct Field {
    meshes: Vec<Option<Mesh>>,
    claims: Vec<BTreeMap<IpAddr, Epoch>>,
    wakes: Vec<Option<Instant>>,
    happenings: BinaryHeap<Reverse<(Instant, usize, u64, Happening)>>,
    made: u64,
    random: Random,
    lost: u64,
    now: Instant,
    counted: Counted,
    deaths: Vec<Death>,
}

fn address(node: usize) -> SocketAddr {
    (Ipv4Addr::from(0x0a00_0000 + u32::try_from(node).unwrap()), 9482).into()
}

fn node(address: SocketAddr) -> usize {
    let IpAddr::V4(address) = address.ip() else { unreachable!() };
    (u32::from(address) - 0x0a00_0000) as usize
}

impl Field {
    /// Every node starts within an interval.
    pub(crate) fn new(cluster: &Cluster, seed: u64) -> Self {
        let nodes = cluster.names.len();
        let mut field = Self {
            meshes: Vec::new(),
            claims: (0..nodes).map(|node| cluster.claims(node)).collect(),
            wakes: vec![None; nodes],
            happenings: BinaryHeap::new(),
            made: 0,
            random: Random::new(seed),
            lost: 0,
            now: Instant::ORIGIN,
            counted: Counted::default(),
            deaths: Vec::new(),
        };
        let peers: BTreeMap<_, _> = cluster
            .names
            .iter()
            .enumerate()
            .map(|(node, name)| (name.clone(), vec![address(node)]))
            .collect();
        let keys = KeyRing::new(Key::new(b"the key of a simulation").unwrap(), Vec::new()).unwrap();
        let interval = u64::try_from(Timing::default().interval().as_micros()).unwrap();
        for node in 0..nodes {
            let start = Instant::ORIGIN + Duration::from_micros(field.random.within(0..interval));
            let name = cluster.names[node].clone();
            let mut mesh = Mesh::new(name, 1, Timing::default(), keys.clone()).unwrap();
            mesh.set_peers(peers.clone(), start);
            mesh.set_watchers(cluster.watchers(node));
            mesh.set_claims(field.claims[node].clone(), start).unwrap();
            field.meshes.push(Some(mesh));
            field.wakes[node] = Some(start);
            field.make(start, node, Happening::Wake);
        }
        field
    }

    /// What a node knows when all is well and nothing is claimed yet by others.
    pub(crate) fn quiet(cluster: &Cluster) -> Knowledge {
        let ownership = Ownership { is_settled: true, ..Ownership::default() };
        let claims = (0..cluster.names.len()).map(|node| (cluster.names[node].clone(), cluster.claims(node)));
        let ownership = Ownership { claims: claims.collect(), ..ownership };
        Knowledge { now: Instant::ORIGIN, alive: cluster.names.iter().cloned().collect(), ownership }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn mesh(&self, node: usize) -> &Mesh {
        self.meshes[node].as_ref().unwrap()
    }

    pub(crate) fn own_claims(&self, node: usize) -> &BTreeMap<IpAddr, Epoch> {
        &self.claims[node]
    }

    pub(crate) fn deaths(&self) -> &[Death] {
        &self.deaths
    }

    /// How long after `since` the last death was noticed.
    pub(crate) fn last_death(&self, since: Instant) -> Option<Duration> {
        self.deaths.iter().map(|death| death.at.saturating_since(since)).max()
    }

    pub(crate) fn lose(&mut self, per_mille: u64) {
        self.lost = per_mille;
    }

    pub(crate) fn crash(&mut self, node: usize) {
        self.meshes[node] = None;
    }

    pub(crate) fn run(&mut self, duration: Duration) -> Counted {
        self.counted = Counted::default();
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
        self.counted
    }

    /// As [`Field::run`]; whoever may take over from `dead` decides as soon as it knows.
    pub(crate) fn run_deciding(&mut self, duration: Duration, cluster: &Cluster, dead: usize) {
        let end = self.now + duration;
        let mut decided = self.deaths.len();
        while self.step(end) {
            while let Some(death) = self.deaths.get(decided) {
                decided += 1;
                let observer = death.observer;
                if cluster.watchers(dead).contains(&cluster.names[observer]) {
                    self.decide(observer, cluster);
                }
            }
        }
        self.now = end;
    }

    fn decide(&mut self, node: usize, cluster: &Cluster) {
        let mesh = self.mesh(node);
        let ownership = Ownership {
            claims: mesh.claims(),
            highest: mesh.highest_epochs(),
            leaving: mesh.leaving(),
            is_settled: mesh.is_settled(),
            ..Ownership::default()
        };
        let knowledge = Knowledge { now: self.now, alive: mesh.alive(), ownership };
        let plan = cluster.plan(node, &knowledge);
        self.claims[node] = plan.claims();
        let (now, claims) = (self.now, plan.claims());
        let mesh = self.meshes[node].as_mut().unwrap();
        mesh.set_watchers(plan.watchers);
        mesh.set_claims(claims, now).unwrap();
        self.drain(node);
        self.plan_wake(node);
    }

    fn step(&mut self, end: Instant) -> bool {
        if self.happenings.peek().is_none_or(|Reverse((at, ..))| *at > end) {
            return false;
        }
        let Some(Reverse((at, node, _, happening))) = self.happenings.pop() else { return false };
        self.now = at;
        match happening {
            Happening::Wake => {
                if self.wakes[node] == Some(at)
                    && let Some(mesh) = &mut self.meshes[node]
                {
                    mesh.start(at);
                    mesh.handle_timeout(at);
                    self.wakes[node] = None;
                    self.drain(node);
                    self.plan_wake(node);
                }
            }
            Happening::Arrival { from, payload } => {
                if let Some(mesh) = &mut self.meshes[node] {
                    mesh.handle_packet(address(from), &payload, at).ok();
                    // What is due later is due after a heartbeat, for which it wakes anyway.
                    if self.drain(node) > 0 {
                        self.plan_wake(node);
                    }
                }
            }
        }
        true
    }

    fn plan_wake(&mut self, node: usize) {
        let Some((due, _)) = self.mesh(node).poll_timeout() else { return };
        let due = due.max(self.now + Duration::from_micros(1));
        if self.wakes[node].is_none_or(|planned| due < planned) {
            self.wakes[node] = Some(due);
            self.make(due, node, Happening::Wake);
        }
    }

    fn drain(&mut self, from: usize) -> usize {
        let mut sent = 0;
        while let Some(transmit) = self.meshes[from].as_mut().unwrap().poll_transmit() {
            sent += 1;
            self.counted.datagrams += 1;
            self.counted.octets += transmit.payload.len() as u64;
            if !self.random.chance(self.lost) {
                let tick = u64::try_from(TICK.as_micros()).unwrap();
                let arrival = self.now + Duration::from_micros(self.random.within(50..tick));
                let micros = u64::try_from(arrival.since_origin().as_micros()).unwrap();
                let at = Instant::from_origin(Duration::from_micros(micros.next_multiple_of(tick)));
                self.make(at, node(transmit.dst), Happening::Arrival { from, payload: transmit.payload });
            }
        }
        while let Some(event) = self.meshes[from].as_mut().unwrap().poll_event() {
            if let Event::Dead { node: name, .. } = event {
                let dead = name.as_str().trim_start_matches("node-").parse().unwrap();
                self.deaths.push(Death { at: self.now, observer: from, dead });
            }
        }
        sent
    }

    fn make(&mut self, at: Instant, node: usize, happening: Happening) {
        self.made += 1;
        self.happenings.push(Reverse((at, node, self.made, happening)));
    }
}
