//! Who has to know at once when this node dies: those who are next to take what it owns.
//!
//! A cluster of many nodes cannot have everyone watch everyone. The order of the election says
//! who takes an address over, so these watch its owner closely, and the others can take their
//! time.

use alloc::collections::BTreeSet;

use ferrolb_vocab::NodeName;

use crate::ownership::Court;
use crate::unit::Unit;

/// So many of those next in the order watch the owner of an address: the address is taken over at
/// once unless all of them die together with it.
pub const WATCHERS_PER_ADDRESS: usize = 3;

/// The watchers of this node for `unit`, which it owns: the first candidates beside it. And whoever
/// says to own the address too: one of the two lets go as soon as it knows of the other.
pub(crate) fn of(court: &Court<'_>, unit: &Unit<'_>) -> BTreeSet<NodeName> {
    let candidates = court.candidates(unit).into_iter().map(|candidate| candidate.node);
    let next = candidates.filter(|node| !court.is_me(node)).take(WATCHERS_PER_ADDRESS);
    let rivals = unit.addresses.iter().flat_map(|address| court.claimants(*address));
    next.chain(rivals.filter(|node| !court.is_me(node))).cloned().collect()
}
