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
    loss_per_mille: u64,
}

/// Half the time that a packet needs on one segment, in microseconds: from a quiet switch to a busy host.
const DELAY_MICROS: Range<u64> = 50..2_000;
/// Packets that come twice, of a thousand.
const DOUBLED_PER_MILLE: u64 = 2;

impl Network {
    /// When the copies of a packet arrive that `from` sends to `to` now, counted from now.
    pub fn carry(&self, random: &mut Random, (from, to): (Node, Node)) -> Vec<Duration> {
        if self.cut.contains(&(from, to)) || random.chance(self.loss_per_mille) {
            return Vec::new();
        }
        let copies = if random.chance(DOUBLED_PER_MILLE) { 2 } else { 1 };
        (0..copies).map(|_| Duration::from_micros(random.within(DELAY_MICROS))).collect()
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

    /// Everything arrives again.
    pub fn heal(&mut self) {
        *self = Self::default();
    }

    /// Whether two nodes hear each other, and nothing is lost.
    #[must_use]
    pub fn connects(&self, one: Node, other: Node) -> bool {
        self.loss_per_mille == 0 && !self.cut.contains(&(one, other)) && !self.cut.contains(&(other, one))
    }
}
