//! Who owns an address: the node that has it, for as long as it may, because every move breaks
//! connections.
//!
//! Nodes tell each other what they own and under which [`Epoch`]. A node that takes an address
//! uses the next epoch, so that of two that both believe to own it the later is right, and the
//! other lets go as soon as it hears. The order of the election decides only about an address
//! that nobody has, or whose owner may not have it any more.
//!
//! A move is made before it is broken: who gives an address up answers for it until it hears
//! that another has it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};
use core::net::IpAddr;
use core::time::Duration;

use ferrolb_vocab::{Epoch, Instant, NodeName};

use crate::election::{self, Candidate};
use crate::snapshot::{Node, Snapshot};
use crate::unit::Unit;
use crate::verdict::Withheld;

/// How long a node that may not own an address any more goes on answering for it while another
/// node should take it. In a cluster whose nodes see the same, that takes milliseconds.
pub const YIELD_MAX: Duration = Duration::from_secs(3);

/// How long a node that another has overruled leaves the address to it, although it sees itself in
/// the right: the first time, and twice as long each time more. Of two that read different states of
/// the API server, each would else take the address from the other as fast as they can plan.
pub const HOLD_DOWN_MIN: Duration = Duration::from_secs(1);
/// No longer than this.
pub const HOLD_DOWN_MAX: Duration = Duration::from_secs(64);
/// An address that stays where it is for so long is not fought over.
const OVERRULED_MEMORY: Duration = Duration::from_secs(128);

/// Who owns what, as far as one node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// What this node owns, by its last plan.
    pub held: BTreeMap<IpAddr, Holding>,
    /// Of its addresses those that another node took lately against what it saw, by its last plan.
    pub overruled: BTreeMap<IpAddr, Overruled>,
    /// What the speakers that are alive say they own, or stand back from.
    pub claims: BTreeMap<NodeName, BTreeMap<IpAddr, Epoch>>,
    /// The highest epoch ever heard of an address, also from nodes that are dead by now.
    pub highest: BTreeMap<IpAddr, Epoch>,
    /// Nodes, this one perhaps, whose speakers end as soon as others have what they own.
    pub leaving: BTreeSet<NodeName>,
    /// Whether it is known of every speaker what it owns, or that it is dead.
    pub is_settled: bool,
    /// Whether this node is cut off from the network, so that others have what it owned.
    pub is_cut_off: bool,
}

/// An address that this node owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Under which number.
    pub epoch: Epoch,
    /// Since when it waits for another node to take the address, which it may not own any more.
    pub yielding: Option<Instant>,
}

impl Holding {
    const fn under(epoch: Epoch) -> Self {
        Self { epoch, yielding: None }
    }
}

/// An address that another node took from this one, which saw itself in the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overruled {
    /// When, the last time.
    pub at: Instant,
    /// How often, with less than [`OVERRULED_MEMORY`] between.
    pub times: u8,
}

impl Overruled {
    /// Until when this node leaves the address to whoever has it.
    pub(crate) fn until(self) -> Instant {
        let doublings = u32::from(self.times.saturating_sub(1)).min(8);
        self.at + HOLD_DOWN_MIN.saturating_mul(1 << doublings).min(HOLD_DOWN_MAX)
    }
}

/// A snapshot, prepared for questions about owners.
pub(crate) struct Court<'a> {
    snapshot: &'a Snapshot,
    /// By address, who says to own it.
    claims: BTreeMap<IpAddr, Vec<Claim<'a>>>,
}

#[derive(Clone, Copy)]
struct Claim<'a> {
    node: &'a NodeName,
    epoch: Epoch,
}

impl<'a> Court<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let ownership = &snapshot.ownership;
        let own = ownership.held.iter().map(|(address, holding)| (*address, &snapshot.me, holding.epoch));
        let of_others = ownership
            .claims
            .iter()
            .flat_map(|(node, claims)| claims.iter().map(move |(address, epoch)| (*address, node, *epoch)));
        let mut claims: BTreeMap<IpAddr, Vec<Claim<'a>>> = BTreeMap::new();
        for (address, node, epoch) in own.chain(of_others).filter(|(.., epoch)| *epoch > Epoch::STANDS_BACK) {
            claims.entry(address).or_default().push(Claim { node, epoch });
        }
        Self { snapshot, claims }
    }

    /// What this node holds of `unit` after this plan: the holding of its key.
    ///
    /// # Errors
    /// Why it is not, or not any more, the owner.
    pub(crate) fn judge(&self, unit: &Unit<'a>) -> Result<Holding, Withheld> {
        let me = &self.snapshot.me;
        let winner = self.winner(unit.key);
        let target = self.target(unit, winner);
        let held = self.snapshot.ownership.held.get(&unit.key).copied();
        let holds = held.filter(|_| winner.is_some_and(|winner| winner.node == me));
        match (target, holds) {
            (Some(target), Some(held)) if target == me => Ok(Holding::under(held.epoch)),
            (Some(target), None) if target == me => {
                let stays = |owner: &Claim<'_>| {
                    owner.node != me && !self.snapshot.ownership.leaving.contains(owner.node)
                };
                if let Some(owner) = winner.filter(stays)
                    && self.overruled(unit).is_some_and(|overruled| self.snapshot.now < overruled.until())
                {
                    return Err(Withheld::ElectionLost { owner: owner.node.clone() });
                }
                match self.snapshot.ownership.is_settled || held.is_some() {
                    true => Ok(Holding::under(self.next_epoch(unit.key))),
                    false => Err(Withheld::OwnersUnknown),
                }
            }
            (target, Some(held)) => self.give_up(unit, held, target),
            (target, None) => Err(self.why_not(unit, winner.map(|winner| winner.node).or(target))),
        }
    }

    /// The node that should own `unit`, whoever asks.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn owner(&self, unit: &Unit<'a>) -> Result<&'a NodeName, Withheld> {
        let nodes = &self.snapshot.nodes;
        self.target(unit, self.winner(unit.key)).ok_or_else(|| {
            let is_selected =
                |(name, node): (&NodeName, &Node)| self.snapshot.is_alive(name) && unit.selects(node);
            match nodes.iter().any(is_selected) {
                true => Withheld::NodeNotEligible,
                false => Withheld::NodeNotSelected,
            }
        })
    }

    pub(crate) fn is_me(&self, node: &NodeName) -> bool {
        *node == self.snapshot.me
    }

    /// Who says to own `address`, this node perhaps.
    pub(crate) fn claimants(&self, address: IpAddr) -> impl Iterator<Item = &'a NodeName> {
        self.claims.get(&address).into_iter().flatten().map(|claim| claim.node)
    }

    /// What is to be remembered of a unit that others took from this node, against what it sees: a
    /// move on which both agree is none of that.
    pub(crate) fn overruled(&self, unit: &Unit<'a>) -> Option<Overruled> {
        let Snapshot { me, now, ownership, .. } = self.snapshot;
        let is_recent = |before: &Overruled| now.saturating_since(before.at) < OVERRULED_MEMORY;
        let before = ownership.overruled.get(&unit.key).copied().filter(is_recent);
        let winner = self.winner(unit.key);
        let is_taken = winner.is_some_and(|winner| winner.node != me);
        if !is_taken || !ownership.held.contains_key(&unit.key) || self.target(unit, winner) != Some(me) {
            return before;
        }
        let times = before.map_or(0, |before| before.times);
        Some(Overruled { at: *now, times: times.saturating_add(1) })
    }

    /// The first epoch above all that were ever heard of.
    pub(crate) fn next_epoch(&self, address: IpAddr) -> Epoch {
        let heard = self.snapshot.ownership.highest.get(&address).copied();
        let claimed = self.claims.get(&address).into_iter().flatten().map(|claim| claim.epoch);
        heard.into_iter().chain(claimed).max().unwrap_or_default().next()
    }

    /// Of those who say to own `address`, the one who is right.
    fn winner(&self, address: IpAddr) -> Option<Claim<'a>> {
        let first = |one: &NodeName, other: &NodeName| {
            election::digest(other, address).cmp(&election::digest(one, address))
        };
        let compare = |one: &&Claim<'_>, other: &&Claim<'_>| {
            one.epoch.cmp(&other.epoch).then_with(|| match one.node == other.node {
                true => Ordering::Equal,
                false => first(one.node, other.node),
            })
        };
        self.claims.get(&address)?.iter().max_by(compare).copied()
    }

    /// The node that should own `unit`: who has it, unless it may not, or another is preferred.
    fn target(&self, unit: &Unit<'a>, winner: Option<Claim<'a>>) -> Option<&'a NodeName> {
        let (name, node) = match winner {
            Some(winner) => (Some(winner.node), self.snapshot.nodes.get(winner.node)),
            None => (None, None),
        };
        let stays =
            name.zip(node).filter(|(name, node)| !unit.fails_back() && self.is_candidate(name, node, unit));
        if let Some((name, _)) = stays.filter(|_| !unit.has_preferences()) {
            return Some(name);
        }
        let ordered = self.candidates(unit);
        let best = ordered.first()?;
        let is_as_good = |node: &Node| unit.preference(node) == best.preference;
        Some(stays.filter(|(_, node)| is_as_good(node)).map_or(best.node, |(name, _)| name))
    }

    /// Those who may own `unit`, the first first: of all who are eligible those who stand back from
    /// least of it. Where all stand back from all of it, one of them has to say so.
    pub(crate) fn candidates(&self, unit: &Unit<'a>) -> Vec<Candidate<'a>> {
        let eligible: Vec<_> = self.standing(unit).collect();
        let least = eligible.iter().map(|(addresses, ..)| *addresses).min();
        let candidates = eligible
            .into_iter()
            .filter(|(addresses, ..)| Some(*addresses) == least)
            .map(|(_, node, object)| Candidate { node, preference: unit.preference(object) });
        let mut ordered = election::order(candidates.collect(), unit.key);
        let avoided = self.avoided(unit);
        if !avoided.is_empty() {
            ordered.sort_by_key(|one| (Reverse(one.preference), avoided.contains(one.node)));
        }
        ordered
    }

    /// Where the addresses of a Service are spread, the owners of its others. Of two addresses the
    /// higher gives way; both do if nothing else can move them later.
    fn avoided(&self, unit: &Unit<'a>) -> BTreeSet<&'a NodeName> {
        let gives_way = |other: &IpAddr| {
            let is_free = self.winner(unit.key).is_none() && !unit.fails_back() && !unit.has_preferences();
            *other < unit.key || is_free
        };
        let others = unit.others().filter(gives_way);
        others.filter_map(|other| self.winner(other)).map(|owner| owner.node).collect()
    }

    /// From now on this plan takes it that this node owns `address`.
    pub(crate) fn hold(&mut self, address: IpAddr, epoch: Epoch) {
        self.claims.entry(address).or_default().push(Claim { node: &self.snapshot.me, epoch });
    }

    /// Those who are eligible and stay, with the number of addresses of `unit` that each stands back from.
    fn standing(&self, unit: &Unit<'a>) -> impl Iterator<Item = (usize, &'a NodeName, &'a Node)> {
        let nodes = self.snapshot.nodes.iter();
        let stay = nodes.filter(|(name, node)| self.is_eligible(name, node, unit) && !self.goes(name, node));
        stay.map(|(name, node)| (self.stands_back(name, unit), name, node))
    }

    fn is_candidate(&self, name: &NodeName, node: &Node, unit: &Unit<'a>) -> bool {
        let addresses = self.stands_back(name, unit);
        let is_least = || self.standing(unit).all(|(others, ..)| addresses <= others);
        self.is_eligible(name, node, unit)
            && !self.goes(name, node)
            // Mostly nobody stands back, and nobody else need be looked at.
            && (addresses == 0 || is_least())
    }

    /// By what the API server says of the node, and alive.
    fn is_eligible(&self, name: &NodeName, node: &Node, unit: &Unit<'_>) -> bool {
        self.snapshot.is_alive(name) && unit.admits(name, node)
    }

    /// Whether the node goes, as soon as others have what it owns.
    fn goes(&self, name: &NodeName, node: &Node) -> bool {
        node.draining || self.snapshot.ownership.leaving.contains(name)
    }

    /// For how many addresses of `unit` the node has no interface.
    fn stands_back(&self, name: &NodeName, unit: &Unit<'_>) -> usize {
        if *name == self.snapshot.me {
            return unit.missing.len();
        }
        let Some(claims) = self.snapshot.ownership.claims.get(name) else { return 0 };
        let stands_back = |address: &&IpAddr| claims.get(*address) == Some(&Epoch::STANDS_BACK);
        unit.addresses.iter().filter(stands_back).count()
    }

    /// This node is the owner and should not be: whether it goes on until `target` has taken over.
    fn give_up(
        &self,
        unit: &Unit<'a>,
        held: Holding,
        target: Option<&'a NodeName>,
    ) -> Result<Holding, Withheld> {
        let me = &self.snapshot.me;
        let my_node = self.snapshot.nodes.get(me);
        let why_not = || self.why_not(unit, target);
        // Of the other addresses it says that it lacks them. Of the key it cannot, while it holds it.
        let lacks_key = unit.missing.contains(&unit.key);
        let announces_more = |target| self.stands_back(target, unit) < unit.missing.len();
        if !unit.is_announceable() || lacks_key && target.is_some_and(announces_more) {
            return Err(why_not());
        }
        // Who may own it, and who goes in peace, lets go only of what another has.
        if my_node.is_some_and(|node| self.is_eligible(me, node, unit)) {
            return Ok(Holding::under(held.epoch));
        }
        if target.is_none() {
            return Err(why_not());
        }
        let since = held.yielding.unwrap_or(self.snapshot.now);
        match self.snapshot.now.saturating_since(since) < YIELD_MAX {
            true => Ok(Holding { epoch: held.epoch, yielding: Some(since) }),
            false => Err(why_not()),
        }
    }

    fn why_not(&self, unit: &Unit<'a>, owner: Option<&NodeName>) -> Withheld {
        let me = &self.snapshot.me;
        let Some(node) = self.snapshot.nodes.get(me).filter(|node| unit.selects(node)) else {
            return Withheld::NodeNotSelected;
        };
        if !unit.admits(me, node) {
            return Withheld::NodeNotEligible;
        }
        if self.goes(me, node) {
            return Withheld::NodeDraining;
        }
        match owner.filter(|owner| *owner != me) {
            Some(owner) => Withheld::ElectionLost { owner: owner.clone() },
            None => Withheld::NoUsableInterface { address: unit.key },
        }
    }
}
