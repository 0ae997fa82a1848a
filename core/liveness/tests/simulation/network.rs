//! The network, its hosts, and their processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use ferrolb_liveness::{DeadReason, Event, Key, KeyRing, Mesh, Timing};
use ferrolb_vocab::{Instant, NodeName};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// SplitMix64: small, and the same on every platform.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
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

    pub(crate) fn micros(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(range.start + self.next() % (range.end - range.start))
    }
}

struct Packet {
    src: SocketAddr,
    dst: SocketAddr,
    payload: Vec<u8>,
    /// Whether it is what the kernel at `src` returns, because no process listens there.
    is_returned: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) observer: String,
    pub(crate) event: Event,
}

/// What becomes of packets for a process that is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// They wait in its socket, as with SIGSTOP.
    Buffering,
    /// They are lost, as with a virtual machine that is paused.
    Deaf,
}

/// A network of nodes `n1`, `n2` … at 10.0.0.1, 10.0.0.2 …
pub(crate) struct Network {
    pub(crate) random: Random,
    pub(crate) now: Instant,
    pub(crate) timing: Timing,
    pub(crate) loss: f64,
    /// Directions that lose everything, from and to.
    pub(crate) cut: BTreeSet<(String, String)>,
    pub(crate) delay_us: std::ops::Range<u64>,
    pub(crate) nodes: BTreeMap<String, Mesh>,
    members: Vec<String>,
    /// Hosts without power: they return nothing.
    dark: BTreeSet<String>,
    stopped: BTreeMap<String, (Stopped, Vec<Packet>)>,
    under_way: BTreeMap<(Instant, u64), Packet>,
    pub(crate) packets: u64,
    pub(crate) told: Vec<Told>,
}

pub(crate) fn keys(octet: u8, accepted: &[u8]) -> KeyRing {
    let key = |octet: u8| Key::new(&[octet; 32]).unwrap();
    KeyRing::new(key(octet), accepted.iter().map(|octet| key(*octet)).collect()).unwrap()
}

fn address(name: &str) -> SocketAddr {
    format!("10.0.0.{}:7000", name.trim_start_matches('n')).parse().unwrap()
}

fn name(address: SocketAddr) -> String {
    format!("n{}", address.ip().to_string().rsplit('.').next().unwrap())
}

impl Network {
    /// `count` nodes that start at once on a network with up to 1 ms of delay and no loss.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let members: Vec<String> = (1..=count).map(|index| format!("n{index}")).collect();
        let mut network = Self {
            random: Random(seed),
            now: Instant::ORIGIN,
            timing: Timing::default(),
            loss: 0.0,
            cut: BTreeSet::new(),
            delay_us: 50..1_000,
            nodes: BTreeMap::new(),
            members: members.clone(),
            dark: BTreeSet::new(),
            stopped: BTreeMap::new(),
            under_way: BTreeMap::new(),
            packets: 0,
            told: Vec::new(),
        };
        for name in members {
            network.boot(&name, 1);
        }
        network
    }

    /// A process starts on `name`.
    pub(crate) fn boot(&mut self, name: &str, incarnation: u64) {
        self.boot_quiet(name, incarnation);
        self.change(name, |mesh, now| mesh.start(now));
    }

    /// A process starts on `name` and only listens.
    pub(crate) fn boot_quiet(&mut self, name: &str, incarnation: u64) {
        let mut mesh = Mesh::new(name.into(), incarnation, self.timing, keys(7, &[])).unwrap();
        let peers = self.members.iter().map(|name| (name.as_str().into(), vec![address(name)])).collect();
        mesh.set_peers(peers, self.now);
        self.dark.remove(name);
        self.nodes.insert(name.into(), mesh);
    }

    /// The host loses its power.
    pub(crate) fn crash(&mut self, name: &str) {
        self.nodes.remove(name).unwrap();
        self.dark.insert(name.into());
    }

    /// The process is killed; its host lives on.
    pub(crate) fn kill(&mut self, name: &str) {
        self.nodes.remove(name).unwrap();
    }

    pub(crate) fn stop(&mut self, name: &str, how: Stopped) {
        self.stopped.insert(name.into(), (how, Vec::new()));
    }

    /// The process runs again, as its driver does: packets first, then timers.
    pub(crate) fn resume(&mut self, name: &str) {
        let (_, waiting) = self.stopped.remove(name).unwrap();
        for packet in waiting {
            self.deliver(packet);
        }
        self.change(name, Mesh::handle_timeout);
    }

    pub(crate) fn leave(&mut self, name: &str) {
        self.change(name, |mesh, now| mesh.leave(now));
    }

    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Mesh, Instant)) {
        change(self.nodes.get_mut(name).unwrap(), self.now);
        self.drain(name);
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let running = self.nodes.iter().filter(|(name, _)| !self.stopped.contains_key(*name));
            let timer = running.filter_map(|(_, mesh)| Some(mesh.poll_timeout()?.0)).min();
            let next = arrival.into_iter().chain(timer).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = next.max(self.now);
            self.step();
        }
        self.now = end;
    }

    /// Runs until `is_reached`, at most for `limit`. How long it took.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        is_reached: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while !is_reached(self) {
            if self.now.saturating_since(start) >= limit {
                return None;
            }
            self.run(Duration::from_millis(1));
        }
        Some(self.now.saturating_since(start))
    }

    /// Delivers what has arrived, then runs the timers that are due.
    fn step(&mut self) {
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let packet = entry.remove();
            self.arrive(packet);
        }
        for name in self.members.clone() {
            if self.nodes.contains_key(&name) && !self.stopped.contains_key(&name) {
                self.change(&name, Mesh::handle_timeout);
            }
        }
    }

    fn arrive(&mut self, packet: Packet) {
        match self.stopped.get_mut(&name(packet.dst)) {
            None => self.deliver(packet),
            Some((Stopped::Buffering, waiting)) => waiting.push(packet),
            Some((Stopped::Deaf, _)) => {}
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let host = name(packet.dst);
        if self.nodes.contains_key(&host) {
            self.change(&host, |mesh, now| {
                if packet.is_returned {
                    mesh.handle_refusal(packet.src, &packet.payload, now).ok();
                } else {
                    mesh.handle_packet(packet.src, &packet.payload, now).ok();
                }
            });
        } else if !self.dark.contains(&host) && !packet.is_returned {
            self.send(Packet { src: packet.dst, dst: packet.src, is_returned: true, ..packet });
        }
    }

    fn send(&mut self, packet: Packet) {
        let is_cut = !self.cut.is_empty() && self.cut.contains(&(name(packet.src), name(packet.dst)));
        if is_cut || self.random.chance(self.loss) {
            return;
        }
        let arrival = self.now + self.random.micros(self.delay_us.clone());
        self.packets += 1;
        self.under_way.insert((arrival, self.packets), packet);
    }

    fn drain(&mut self, name: &str) {
        while let Some(transmit) = self.nodes.get_mut(name).unwrap().poll_transmit() {
            let (dst, payload) = (transmit.dst, transmit.payload);
            self.send(Packet { src: address(name), dst, payload, is_returned: false });
        }
        while let Some(event) = self.nodes.get_mut(name).unwrap().poll_event() {
            self.told.push(Told { at: self.now, observer: name.into(), event });
        }
    }

    pub(crate) fn alive(&self, observer: &str) -> Vec<String> {
        self.nodes[observer].alive().iter().map(NodeName::to_string).collect()
    }

    pub(crate) fn deaths(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(|told| matches!(told.event, Event::Dead { .. }))
    }

    pub(crate) fn delay_max(&self) -> Duration {
        Duration::from_micros(self.delay_us.end)
    }
}

pub(crate) fn dead(node: &str, why: DeadReason) -> Event {
    Event::Dead { node: node.into(), why }
}
