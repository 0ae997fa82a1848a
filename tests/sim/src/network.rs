//! What lies between the nodes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use crate::random::Random;

/// A node, by its number.
pub type Node = usize;

/// The paths between nodes, each direction on its own.
#[derive(Clone, Debug, Default)]
pub struct Network {
    cut: BTreeSet<(Node, Node)>,
    isolated: BTreeSet<Node>,
    /// The nodes beyond a split, as bits; the gateway is not among them.
    beyond: u64,
    loss_per_mille: u64,
    queues: Duration,
}

/// Half the time that a packet needs on one segment, in microseconds: from a quiet switch to a busy host.
const DELAY_MICROS: Range<u64> = 50..2_000;
/// Packets that come twice, of a thousand.
const DOUBLED_PER_MILLE: u64 = 2;

impl Network {
    /// When the copies of a packet arrive that `from` sends to `to` now, counted from now.
    pub fn carry(&self, random: &mut Random, (from, to): (Node, Node)) -> Vec<Duration> {
        if self.is_cut(from, to) || random.chance(self.loss_per_mille) {
            return Vec::new();
        }
        let copies = if random.chance(DOUBLED_PER_MILLE) { 2 } else { 1 };
        let queues = u64::try_from(self.queues.as_micros()).expect("short");
        let delay = DELAY_MICROS.start..DELAY_MICROS.end + queues;
        (0..copies).map(|_| Duration::from_micros(random.within(delay.clone()))).collect()
    }

    /// Cuts or mends one direction.
    pub fn set_cut(&mut self, from: Node, to: Node, is_cut: bool) {
        if is_cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    /// Loses so many packets of a thousand, everywhere.
    pub fn set_loss(&mut self, per_mille: u64) {
        self.loss_per_mille = per_mille;
    }

    /// Packets wait up to so long in queues, each for itself, so that they overtake each other.
    pub const fn set_queues(&mut self, queues: Duration) {
        self.queues = queues;
    }

    /// Cuts a node off from all others and the gateway, or lets it be among them again.
    pub fn set_isolated(&mut self, node: Node, is_isolated: bool) {
        if is_isolated {
            self.isolated.insert(node);
        } else {
            self.isolated.remove(&node);
        }
    }

    /// Separates the nodes whose bits are set from the others; nobody if there are none.
    pub const fn split(&mut self, beyond: u64) {
        self.beyond = beyond;
    }

    /// Whether packets are lost anywhere.
    #[must_use]
    pub const fn is_lossy(&self) -> bool {
        self.loss_per_mille > 0
    }

    /// Whether two nodes hear each other, apart from losses.
    #[must_use]
    pub fn connects(&self, one: Node, other: Node) -> bool {
        !self.is_cut(one, other) && !self.is_cut(other, one)
    }

    fn is_cut(&self, from: Node, to: Node) -> bool {
        let is_beyond = |node: Node| node < 64 && self.beyond >> node & 1 == 1;
        self.cut.contains(&(from, to))
            || self.isolated.contains(&from)
            || self.isolated.contains(&to)
            || is_beyond(from) != is_beyond(to)
    }
}
