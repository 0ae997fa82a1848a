//! What happens to a cluster, as it follows from a seed.

use std::time::Duration;

use ferrolb_liveness::Watching;
use ferrolb_vocab::Instant;

use crate::network::Node;
use crate::random::Random;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process of a node is killed, or the node loses power.
    Crash(Node),
    /// A new process starts where none runs.
    Start(Node),
    /// The process of a node is stopped, as by SIGSTOP, and its node goes on.
    Pause(Node),
    /// It goes on.
    Resume(Node),
    /// The process is asked to end (SIGTERM), and ends.
    Leave(Node),
    /// Another process on the node takes over from the one that runs.
    Follow(Node),
    /// One direction between two nodes is cut.
    Cut(Node, Node),
    /// It is mended.
    Mend(Node, Node),
    /// The clock of a node is set back, which the number of its next process comes from.
    SetBack(Node),
    /// A node hears nobody and is heard by nobody.
    Isolate(Node),
    /// It is among the others again.
    Rejoin(Node),
    /// The node's interface loses carrier, and so its node everybody; or has it again.
    Unplug(Node, bool),
    /// The nodes whose bits are set are separated from the others, until there are none.
    Split(u64),
    /// So many of a thousand packets are lost everywhere.
    Lose(u64),
    /// Packets are up to so many milliseconds late, and overtake each other.
    Slow(u64),
    /// The node is marked to be drained, or not any more.
    Drain(Node, bool),
    /// The node is labelled to be excluded, or not any more.
    Exclude(Node, bool),
    /// The advertisement does not select the node any more, or does again.
    Unselect(Node, bool),
    /// The Node object is deleted, or made again.
    Delete(Node, bool),
}

/// A cluster and what happens to it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What everything follows from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many addresses.
    pub addresses: usize,
    /// What the user asks for beyond the default.
    pub wish: Wish,
    /// How long a change of the API server needs to each node, at most, in milliseconds.
    pub lag_millis: u64,
    /// How many watch each speaker, beside the next owners of its addresses.
    pub watching: Watching,
    /// What happens when.
    pub faults: Vec<(Instant, Fault)>,
}

/// What an advertisement and its Services can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Services have two addresses each.
    pub pairs: bool,
    /// They may have different owners.
    pub spread: bool,
    /// The first in the order owns them whenever it can.
    pub failback: bool,
    /// This node rather than others.
    pub preferred: Option<Node>,
}

/// Nothing happens before: the first owners have settled by then.
pub const START: Duration = Duration::from_millis(1_500);
/// Nothing happens after: what was broken is whole again.
pub const LAST_FAULT: Duration = Duration::from_millis(3_500);

impl Scenario {
    /// Anything that can happen, several at a time. All is well again by [`LAST_FAULT`], except
    /// that processes that were killed may stay away.
    #[must_use]
    pub fn faults(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut scenario = Self::of(seed, &mut random, 2..6);
        scenario.add_faults(&mut random);
        scenario.sorted()
    }

    /// As [`Scenario::faults`], in clusters where not everyone watches everyone.
    #[must_use]
    pub fn sparse(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut scenario = Self::of(seed, &mut random, 6..11);
        scenario.watching = Watching { everyone_max: 2, successors: 1 };
        scenario.add_faults(&mut random);
        scenario.sorted()
    }

    /// One node is cut off for so long that it has to notice, sometimes in a network that loses packets, or all
    /// are, and come back.
    #[must_use]
    pub fn cut_off(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut scenario = Self::of(seed, &mut random, 2..6);
        let node = scenario.any_node(&mut random);
        let begins = START + random.millis(0..1_500);
        let ends = begins + random.millis(4_000..8_000);
        if random.chance(300) {
            scenario.for_a_while((START, ends), Fault::Lose(10), Fault::Lose(0));
        }
        let all = random.chance(200);
        for node in (0..scenario.nodes).filter(|one| all || *one == node) {
            scenario.for_a_while((begins, ends), Fault::Isolate(node), Fault::Rejoin(node));
        }
        scenario.sorted()
    }

    /// Only what is planned, one at a time, in a network that works: nobody may notice.
    #[must_use]
    pub fn planned(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut scenario = Self::of(seed, &mut random, 3..6);
        let node = scenario.any_node(&mut random);
        let moves = [
            (Fault::Drain(node, true), Fault::Drain(node, false)),
            (Fault::Exclude(node, true), Fault::Exclude(node, false)),
            (Fault::Unselect(node, true), Fault::Unselect(node, false)),
            (Fault::Delete(node, true), Fault::Delete(node, false)),
            (Fault::Leave(node), Fault::Start(node)),
            (Fault::Follow(node), Fault::Follow(node)),
        ];
        let (begin, end) = *random.one_of(&moves);
        scenario.at(START + random.millis(0..200), begin);
        scenario.at(START + random.millis(1_000..1_500), end);
        scenario.sorted()
    }

    fn of(seed: u64, random: &mut Random, nodes: std::ops::Range<u64>) -> Self {
        let small = |number: u64| usize::try_from(number).expect("small");
        let nodes = random.within(nodes);
        let preferred = small(random.within(0..nodes));
        let wish = Wish {
            pairs: random.chance(300),
            spread: random.chance(300),
            failback: random.chance(150),
            preferred: random.chance(150).then_some(preferred),
        };
        Self {
            seed,
            nodes: small(nodes),
            addresses: small(random.within(1..6)),
            wish,
            lag_millis: random.within(1..200),
            watching: Watching::default(),
            faults: Vec::new(),
        }
    }

    fn add_faults(&mut self, random: &mut Random) {
        for _ in 0..random.within(1..7) {
            let begins = START + random.millis(0..1_500);
            let ends = (begins + random.millis(20..1_500)).min(LAST_FAULT);
            self.add_fault(random, begins, ends);
        }
    }

    fn add_fault(&mut self, random: &mut Random, begins: Duration, ends: Duration) {
        let node = self.any_node(random);
        let other = (node + 1 + self.any_node(random) % (self.nodes - 1)) % self.nodes;
        match random.within(0..15) {
            0 => {
                self.at(begins, Fault::Crash(node));
                if random.chance(500) {
                    self.at(ends, Fault::Start(node));
                }
            }
            1 => self.for_a_while((begins, ends), Fault::Pause(node), Fault::Resume(node)),
            2 => self.for_a_while((begins, ends), Fault::Isolate(node), Fault::Rejoin(node)),
            3 => self.for_a_while((begins, ends), Fault::Cut(node, other), Fault::Mend(node, other)),
            4 => {
                let loss = *random.one_of(&[10, 50, 100, 300]);
                self.for_a_while((begins, ends), Fault::Lose(loss), Fault::Lose(0));
            }
            5 => self.for_a_while((begins, ends), Fault::Drain(node, true), Fault::Drain(node, false)),
            6 => self.for_a_while((begins, ends), Fault::Exclude(node, true), Fault::Exclude(node, false)),
            7 => self.for_a_while((begins, ends), Fault::Leave(node), Fault::Start(node)),
            8 => self.for_a_while((begins, ends), Fault::Unselect(node, true), Fault::Unselect(node, false)),
            9 => self.for_a_while((begins, ends), Fault::Delete(node, true), Fault::Delete(node, false)),
            10 => {
                if random.chance(300) {
                    self.at(begins, Fault::SetBack(node));
                }
                self.at(begins, Fault::Follow(node));
            }
            11 => {
                let late = *random.one_of(&[20, 80, 200]);
                self.for_a_while((begins, ends), Fault::Slow(late), Fault::Slow(0));
            }
            12 => {
                let beyond = random.within(1..(1 << self.nodes) - 1);
                self.for_a_while((begins, ends), Fault::Split(beyond), Fault::Split(0));
            }
            13 => self.for_a_while((begins, ends), Fault::Unplug(node, true), Fault::Unplug(node, false)),
            _ => {
                self.at(begins, Fault::Crash(node));
                self.at(begins + Duration::from_millis(30), Fault::Start(node));
            }
        }
    }

    fn for_a_while(&mut self, (begins, ends): (Duration, Duration), begin: Fault, end: Fault) {
        self.at(begins, begin);
        self.at(ends, end);
    }

    fn at(&mut self, time: Duration, fault: Fault) {
        self.faults.push((Instant::from_origin(time), fault));
    }

    fn any_node(&self, random: &mut Random) -> Node {
        usize::try_from(random.within(0..self.nodes as u64)).expect("small")
    }

    fn sorted(mut self) -> Self {
        self.faults.sort_by_key(|(at, _)| *at);
        self
    }
}
