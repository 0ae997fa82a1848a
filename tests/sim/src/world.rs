//! All speakers, the network between them, and time.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ferrolb_liveness::Transmit;
use ferrolb_plan::Node as PlanNode;
use ferrolb_vocab::{Epoch, Instant, NodeName};

use crate::cluster::{addresses, cluster, is_selected, object};
use crate::monitor::{Answers, CUT_OFF_MAX, Monitor, PLANNED_HANDOVER_MAX, SETTLED_AFTER, Violation};
use crate::network::{Network, Node};
use crate::random::Random;
use crate::scenario::{Fault, Scenario};
use crate::speaker::{Seen, Speaker, SpeakerViewParts, ViewNumber, address, name, node_at};

/// A speaker that is asked to end waits so long for others to take over.
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// How long the world goes on after everything has to be settled: it must stay so.
const CALM: Duration = Duration::from_millis(600);

/// The number of everybody's gateway, which is no node's.
const GATEWAY: Node = Node::MAX;

/// A cluster on its way through a scenario.
#[derive(Debug)]
pub struct World {
    scenario: Scenario,
    random: Random,
    now: Instant,
    network: Network,
    hosts: Vec<Host>,
    /// Every state of the API server, the first first.
    views: Vec<SpeakerViewParts>,
    events: BTreeMap<(Instant, u64), Event>,
    events_made: u64,
    monitor: Monitor,
    /// The last things that happened, for a report.
    history: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Host {
    speaker: Option<Speaker>,
    /// Grows with every process, and is set back.
    clock: u64,
    is_paused: bool,
    /// What arrived meanwhile; a socket's buffer holds more.
    waiting: Vec<(SocketAddr, Vec<u8>)>,
    seen: ViewNumber,
    /// Since when it hears nobody, and is heard by nobody.
    isolated: Option<Instant>,
    /// Its interface has no carrier.
    is_unplugged: bool,
    /// The wake-up that counts; others were overtaken.
    wakes: Option<Instant>,
}

#[derive(Debug)]
enum Event {
    Datagram {
        from: SocketAddr,
        to: Node,
        octets: Vec<u8>,
    },
    /// The gateway's answer to a node.
    Gateway(Node),
    Wake(Node),
    See(Node, ViewNumber),
    Fault(Fault),
    ForbidGaps,
}

/// What a scenario came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The longest that two that hear each other both answered.
    pub longest_double: Duration,
    /// Datagrams sent.
    pub datagrams: u64,
}

impl World {
    /// The cluster of `scenario`, all of whose speakers start now.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let random = Random::new(scenario.seed ^ 0x5eed);
        let host = |_| Host { clock: 1 << 48, ..Host::default() };
        let hosts = (0..scenario.nodes).map(host).collect();
        let views = vec![cluster(&scenario)];
        let mut world = Self {
            random,
            now: Instant::ORIGIN,
            network: Network::default(),
            hosts,
            views,
            events: BTreeMap::new(),
            events_made: 0,
            monitor: Monitor::default(),
            history: VecDeque::new(),
            scenario,
        };
        for node in 0..world.hosts.len() {
            let begins = Instant::ORIGIN + world.random.millis(0..300);
            world.schedule(begins, Event::Fault(Fault::Start(node)));
        }
        for (at, fault) in world.scenario.faults.clone() {
            world.schedule(at, Event::Fault(fault));
        }
        world
    }

    /// From `at` on, no address may be without an answer.
    pub fn forbid_gaps(&mut self, at: Instant) {
        self.schedule(at, Event::ForbidGaps);
    }

    /// Runs the scenario to its end.
    ///
    /// # Errors
    /// The first thing that must not be, with what led to it.
    pub fn run(mut self) -> Result<Outcome, String> {
        let last = self.scenario.faults.last().map_or(Instant::ORIGIN, |(at, _)| *at);
        // A node sees the last change of the API server later than it is made.
        let settled = last + Duration::from_millis(self.scenario.lag_millis) + SETTLED_AFTER;
        let mut datagrams = 0;
        let mut was_checked = false;
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > settled && !was_checked {
                was_checked = true;
                self.check_settled().map_err(|violation| self.report(&violation))?;
            }
            if at > settled + CALM {
                self.check_settled().map_err(|violation| self.report(&violation))?;
                return Ok(Outcome { longest_double: self.monitor.longest_double(), datagrams });
            }
            self.now = at;
            datagrams += u64::from(matches!(event, Event::Datagram { .. }));
            self.happen(event);
            let answers = self.answers();
            self.monitor.look(&answers, at).map_err(|violation| self.report(&violation))?;
            self.check_isolated().map_err(|violation| self.report(&violation))?;
        }
        // Nobody is left who would want to be woken.
        self.check_settled().map_err(|violation| self.report(&violation))?;
        Ok(Outcome { longest_double: self.monitor.longest_double(), datagrams })
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Datagram { from, to, octets } => {
                let host = &mut self.hosts[to];
                if host.is_paused {
                    host.waiting.push((from, octets));
                } else if let Some(speaker) = &mut host.speaker {
                    speaker.receive(from, &octets, self.now);
                    self.step(to);
                }
            }
            Event::Gateway(node) => {
                let host = &mut self.hosts[node];
                if let Some(speaker) = host.speaker.as_mut().filter(|_| !host.is_paused) {
                    speaker.hear_gateway(self.now);
                    self.step(node);
                }
            }
            Event::Wake(node) => {
                if self.hosts[node].wakes == Some(self.now) {
                    self.hosts[node].wakes = None;
                    self.step(node);
                }
            }
            Event::See(node, number) => {
                self.hosts[node].seen = self.hosts[node].seen.max(number);
                self.step(node);
            }
            Event::Fault(fault) => {
                self.remember(format!("{fault:?}"));
                self.strike(fault);
            }
            Event::ForbidGaps => {
                let addresses = addresses(&self.scenario);
                self.monitor.forbid_gaps(addresses);
            }
        }
    }

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(node) => self.hosts[node].speaker = None,
            Fault::Start(node) => self.start(node),
            Fault::Pause(node) => self.hosts[node].is_paused = true,
            Fault::Resume(node) => self.resume(node),
            Fault::Leave(node) => {
                let (now, until) = (self.now, self.now + LEAVE_MAX);
                if let Some(speaker) = &mut self.hosts[node].speaker {
                    speaker.leave(now, until);
                }
                self.step(node);
            }
            Fault::Cut(from, to) => self.network.set_cut(from, to, true),
            Fault::Mend(from, to) => self.network.set_cut(from, to, false),
            Fault::Isolate(node) => self.isolate(node, true),
            Fault::Rejoin(node) => self.isolate(node, false),
            Fault::Follow(node) => self.follow(node),
            Fault::SetBack(node) => self.hosts[node].clock -= 1 << 32,
            Fault::Unplug(node, is_unplugged) => {
                self.network.set_isolated(node, is_unplugged);
                self.hosts[node].is_unplugged = is_unplugged;
                if let Some(speaker) = &mut self.hosts[node].speaker {
                    speaker.set_carrier(!is_unplugged);
                }
                self.step(node);
            }
            Fault::Split(beyond) => self.network.split(beyond),
            Fault::Lose(per_mille) => self.network.set_loss(per_mille),
            Fault::Slow(millis) => self.network.set_queues(Duration::from_millis(millis)),
            Fault::Drain(node, draining) => self.change(node, |object| object.draining = draining),
            Fault::Exclude(node, excluded) => self.change(node, |object| object.excluded = excluded),
            Fault::Unselect(node, is_unselected) => {
                self.change(node, |one| one.labels = object(node, !is_unselected).labels);
            }
            Fault::Delete(node, true) => self.change_nodes(|nodes| drop(nodes.remove(&name(node)))),
            Fault::Delete(node, false) => {
                self.change_nodes(|nodes| drop(nodes.insert(name(node), object(node, true))));
            }
        }
    }

    fn start(&mut self, node: Node) {
        if self.hosts[node].speaker.is_none() {
            self.run_speaker(node, BTreeMap::new());
        }
    }

    fn follow(&mut self, node: Node) {
        let host = &mut self.hosts[node];
        let speaker = host.speaker.as_mut().filter(|_| !host.is_paused);
        let Some((estate, sent)) = speaker.and_then(|speaker| speaker.hand_over(self.now)) else { return };
        for transmit in sent {
            self.send(node, transmit);
        }
        self.run_speaker(node, estate);
    }

    fn run_speaker(&mut self, node: Node, estate: BTreeMap<IpAddr, Epoch>) {
        let newest = self.newest_view();
        let names: Vec<NodeName> = self.newest().nodes.keys().cloned().collect();
        let host = &mut self.hosts[node];
        host.clock += 1;
        host.is_paused = false;
        host.waiting.clear();
        host.seen = newest;
        let mut speaker = Speaker::new(node, &names, (host.clock, self.scenario.watching), self.now);
        speaker.inherit(estate);
        speaker.set_carrier(!host.is_unplugged);
        host.speaker = Some(speaker);
        self.step(node);
    }

    fn resume(&mut self, node: Node) {
        let host = &mut self.hosts[node];
        host.is_paused = false;
        let waiting = std::mem::take(&mut host.waiting);
        if let Some(speaker) = &mut host.speaker {
            for (from, octets) in waiting {
                speaker.receive(from, &octets, self.now);
            }
        }
        self.step(node);
    }

    fn isolate(&mut self, node: Node, isolated: bool) {
        self.hosts[node].isolated = isolated.then_some(self.now);
        self.network.set_isolated(node, isolated);
    }

    fn change(&mut self, node: Node, change: impl FnOnce(&mut PlanNode)) {
        self.change_nodes(|nodes| {
            nodes.entry(name(node)).and_modify(change);
        });
    }

    fn change_nodes(&mut self, change: impl FnOnce(&mut BTreeMap<NodeName, PlanNode>)) {
        let mut view = self.newest().clone();
        change(&mut view.nodes);
        self.views.push(view);
        let number = self.newest_view();
        for observer in 0..self.hosts.len() {
            let lag = self.random.millis(0..self.scenario.lag_millis);
            self.schedule(self.now + lag, Event::See(observer, number));
        }
    }

    /// One turn of a speaker's loop.
    fn step(&mut self, node: Node) {
        let host = &mut self.hosts[node];
        let Some(speaker) = host.speaker.as_mut().filter(|_| !host.is_paused) else { return };
        let number = host.seen;
        let view = &self.views[usize::try_from(number).expect("small")];
        let before = speaker.answers().clone();
        // The first view has a number of its own, so that it is new to a speaker that starts.
        let mut sent = speaker.step(Seen { number: number + 1, view }, self.now);
        let after = speaker.answers().clone();
        let asked_gateway = speaker.asked_gateway();
        let farewell = speaker.has_ended(self.now);
        let wakes = speaker.wakes();
        if let Some(farewell) = farewell {
            sent.extend(farewell);
            host.speaker = None;
            self.remember(format!("node {node} ends"));
        } else if let Some(wakes) = wakes {
            let wakes = wakes.max(self.now + Duration::from_micros(1));
            if host.wakes.is_none_or(|pending| pending > wakes) {
                host.wakes = Some(wakes);
                self.schedule(wakes, Event::Wake(node));
            }
        }
        if before != after {
            self.remember(format!("node {node} answers for {after:?}"));
        }
        for transmit in sent {
            self.send(node, transmit);
        }
        if asked_gateway {
            for delay in self.network.carry(&mut self.random, (node, GATEWAY)) {
                self.schedule(self.now + delay, Event::Gateway(node));
            }
        }
    }

    /// A node that is cut off for long answers nobody, and one without carrier at no time.
    fn check_isolated(&self) -> Result<(), Violation> {
        for (node, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.is_paused) {
            let is_long = host.isolated.is_some_and(|since| self.now.saturating_since(since) > CUT_OFF_MAX);
            let answer = host.speaker.iter().flat_map(Speaker::answers).next();
            if let Some(address) = answer.filter(|_| host.is_unplugged) {
                let what = format!("node {node} has no carrier, and answers");
                return Err(Violation { at: self.now, address: *address, what });
            }
            if let Some(address) = answer.filter(|_| is_long) {
                let what = format!("node {node} is cut off for more than {CUT_OFF_MAX:?}, and answers");
                return Err(Violation { at: self.now, address: *address, what });
            }
        }
        Ok(())
    }

    fn send(&mut self, from: Node, transmit: Transmit) {
        let Some(to) = node_at(transmit.dst).filter(|to| *to < self.hosts.len()) else { return };
        for delay in self.network.carry(&mut self.random, (from, to)) {
            let octets = transmit.payload.clone();
            self.schedule(self.now + delay, Event::Datagram { from: address(from), to, octets });
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.events_made += 1;
        self.events.insert((at, self.events_made), event);
    }

    fn newest(&self) -> &SpeakerViewParts {
        self.views.last().expect("there is a first")
    }

    fn newest_view(&self) -> ViewNumber {
        self.views.len() as ViewNumber - 1
    }

    /// A process that is stopped answers nothing, and one that is dead neither.
    fn answers(&self) -> Answers {
        let mut answers = Answers { is_hindered: self.is_hindered(), ..Answers::default() };
        for (node, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.is_paused) {
            for address in host.speaker.iter().flat_map(Speaker::answers) {
                answers.owners.entry(*address).or_default().push(node);
            }
        }
        for (address, owners) in &answers.owners {
            let pairs = owners.iter().flat_map(|one| owners.iter().map(move |other| (*one, *other)));
            if pairs.into_iter().any(|(one, other)| one < other && self.network.connects(one, other)) {
                answers.doubled.insert(*address);
            }
        }
        answers
    }

    fn is_hindered(&self) -> bool {
        self.network.is_lossy() || self.newest().nodes.len() < self.hosts.len()
    }

    /// Exactly one owner for each address while there is anybody who may have it, but for a move that was asked
    /// for and is under way.
    fn check_settled(&self) -> Result<(), Violation> {
        let may_own = |node: Node, host: &Host| {
            let object = self.newest().nodes.get(&name(node));
            host.speaker.is_some()
                && !host.is_paused
                && object.is_some_and(|object| is_selected(object) && !object.excluded)
        };
        if !self.hosts.iter().enumerate().any(|(node, host)| may_own(node, host)) {
            return Ok(());
        }
        let answers = self.answers();
        for address in addresses(&self.scenario) {
            let owners = answers.owners.get(&address).cloned().unwrap_or_default();
            let is_moving = || self.monitor.doubled_for(address, self.now) < PLANNED_HANDOVER_MAX;
            if owners.len() != 1 && !(owners.len() == 2 && is_moving()) {
                let what = format!("everything should be settled, and nodes {owners:?} answer");
                return Err(Violation { at: self.now, address, what });
            }
        }
        Ok(())
    }

    fn remember(&mut self, what: String) {
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(format!("{} {what}", self.now));
    }

    fn report(&self, violation: &Violation) -> String {
        let history: Vec<&str> = self.history.iter().map(String::as_str).collect();
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .enumerate()
            .map(|(node, host)| match &host.speaker {
                Some(speaker) => format!("node {node} {}", speaker.summary()),
                None => format!("node {node} is down"),
            })
            .collect();
        format!(
            "seed {} ({} nodes, {} addresses): {violation}\n{}\n{}",
            self.scenario.seed,
            self.scenario.nodes,
            self.scenario.addresses,
            history.join("\n"),
            hosts.join("\n")
        )
    }
}

/// Lines of history in a report.
const HISTORY_MAX: usize = 60;
