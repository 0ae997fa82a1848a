//! Other hosts that have or claim an address of ours, for as long as the cluster should know.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ferrolb_api::node_state::{AddressConflict, CONFLICTS_MAX, ConflictState};
use ferrolb_l2::Conflict;
use ferrolb_plan::Announcements;
use ferrolb_vocab::{Instant, InterfaceName, MacAddr, NodeName};

/// A claim to an address that is announced counts for so long. It is heard only when the other host says
/// something by itself, which one with traffic does every minute, and nobody can be asked: that it is over shows
/// by silence.
const CONTESTED_FOR: Duration = Duration::from_mins(5);

/// So long after a node has given up such an address it is the last to be given to another Service.
const RELEASED_FOR: Duration = Duration::from_mins(10);

/// What is known of other hosts, at most [`CONFLICTS_MAX`] addresses of each interface.
#[derive(Debug, Default)]
pub(super) struct Conflicts(BTreeMap<InterfaceName, BTreeMap<IpAddr, Known>>);

#[derive(Clone, Debug)]
struct Known {
    mac: MacAddr,
    node: Option<NodeName>,
    state: ConflictState,
    /// When it was last so.
    at: Instant,
}

impl Conflicts {
    /// Another host claims an address that this node announces. Returns whether that is news.
    pub(super) fn contested(&mut self, conflict: &Conflict, now: Instant) -> bool {
        self.insert(conflict, ConflictState::Contested, now)
    }

    /// What is so at `now`, when the addresses of `occupied` are another host's although `announced`
    /// asks for them.
    pub(super) fn update(&mut self, occupied: &[Conflict], announced: &Announcements, now: Instant) {
        let is_occupied = |interface: &InterfaceName, address: IpAddr| {
            occupied.iter().any(|conflict| conflict.address == address && conflict.interface == *interface)
        };
        for (interface, known) in &mut self.0 {
            known.retain(|address, known| {
                let is_wanted =
                    announced.get(address).is_some_and(|interfaces| interfaces.contains(interface));
                known.is_so(is_wanted, is_occupied(interface, *address), now)
            });
        }
        self.0.retain(|_, known| !known.is_empty());
        for conflict in occupied {
            self.insert(conflict, ConflictState::Occupied, now);
        }
    }

    /// What to report of `interface`.
    pub(super) fn on(&self, interface: &InterfaceName) -> Vec<AddressConflict> {
        let report = |(address, known): (&IpAddr, &Known)| AddressConflict {
            address: address.to_string(),
            mac: known.mac.to_string(),
            node: known.node.as_ref().map(ToString::to_string),
            state: known.state,
        };
        self.0.get(interface).into_iter().flatten().map(report).collect()
    }

    /// Returns whether the report changes.
    fn insert(&mut self, conflict: &Conflict, state: ConflictState, now: Instant) -> bool {
        let known = self.0.entry(conflict.interface.clone()).or_default();
        if known.len() >= CONFLICTS_MAX && !known.contains_key(&conflict.address) {
            // What matters least makes room.
            let released = known.extract_if(.., |_, known| known.state == ConflictState::Released).next();
            if released.is_none() {
                return false;
            }
        }
        let new = Known { mac: conflict.mac, node: conflict.node.clone(), state, at: now };
        let former = known.insert(conflict.address, new);
        former.is_none_or(|former| (former.mac, former.state) != (conflict.mac, state))
    }
}

impl Known {
    /// Whether there is anything to know any more, for an address that this node should announce or not.
    fn is_so(&mut self, is_wanted: bool, is_occupied: bool, now: Instant) -> bool {
        let lasted = now.saturating_since(self.at);
        match self.state {
            ConflictState::Occupied if is_occupied => true,
            // It was asked for again, and nobody answered.
            ConflictState::Occupied if is_wanted => false,
            ConflictState::Contested if is_wanted => lasted < CONTESTED_FOR,
            ConflictState::Occupied | ConflictState::Contested => {
                (self.state, self.at) = (ConflictState::Released, now);
                true
            }
            ConflictState::Released => lasted < RELEASED_FOR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "192.168.100.240";

    fn conflict(address: &str, mac: u8) -> Conflict {
        let address = address.parse().unwrap();
        Conflict { address, mac: MacAddr([2, 0, 0, 0, 0, mac]), node: None, interface: "eth0".into() }
    }

    fn announced() -> Announcements {
        [(ADDRESS.parse().unwrap(), ["eth0".into()].into())].into()
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn states(conflicts: &Conflicts) -> Vec<ConflictState> {
        conflicts.on(&"eth0".into()).iter().map(|conflict| conflict.state).collect()
    }

    #[test]
    fn an_occupied_address_is_told_until_the_driver_finds_it_free() {
        let mut conflicts = Conflicts::default();
        conflicts.update(&[conflict(ADDRESS, 9)], &announced(), at(0));
        let [told] = &conflicts.on(&"eth0".into())[..] else { panic!("{conflicts:?}") };
        let expected = (ADDRESS, "02:00:00:00:00:09", ConflictState::Occupied);
        assert_eq!((told.address.as_str(), told.mac.as_str(), told.state), expected);
        conflicts.update(&[conflict(ADDRESS, 9)], &announced(), at(9_999));
        assert_eq!(states(&conflicts), [ConflictState::Occupied]);
        conflicts.update(&[], &announced(), at(10_000));
        assert_eq!(states(&conflicts), []);
    }

    #[test]
    fn what_this_node_gives_up_is_remembered_for_a_while_only() {
        let mut conflicts = Conflicts::default();
        conflicts.update(&[conflict(ADDRESS, 9)], &announced(), at(0));
        // The driver says for a moment more what it was told before.
        conflicts.update(&[conflict(ADDRESS, 9)], &Announcements::new(), at(100));
        assert_eq!(states(&conflicts), [ConflictState::Occupied]);
        conflicts.update(&[], &Announcements::new(), at(101));
        assert_eq!(states(&conflicts), [ConflictState::Released]);
        conflicts.update(&[], &Announcements::new(), at(101 + 599));
        assert_eq!(states(&conflicts), [ConflictState::Released]);
        conflicts.update(&[], &Announcements::new(), at(101 + 600));
        assert_eq!(states(&conflicts), []);
    }

    #[test]
    fn a_claim_to_an_announced_address_counts_until_five_minutes_of_silence() {
        let mut conflicts = Conflicts::default();
        assert!(conflicts.contested(&conflict(ADDRESS, 9), at(0)));
        assert!(!conflicts.contested(&conflict(ADDRESS, 9), at(60)), "it is known");
        assert!(conflicts.contested(&conflict(ADDRESS, 8), at(70)), "another host");
        conflicts.update(&[], &announced(), at(70 + 299));
        assert_eq!(states(&conflicts), [ConflictState::Contested]);
        conflicts.update(&[], &announced(), at(70 + 300));
        assert_eq!(states(&conflicts), []);
    }

    #[test]
    fn what_is_reported_is_bounded_and_what_is_over_makes_room() {
        let mut conflicts = Conflicts::default();
        let number = |last: usize| conflict(&format!("10.0.0.{last}"), 9);
        for last in 0..CONFLICTS_MAX {
            assert!(conflicts.contested(&number(last), at(0)));
        }
        assert!(!conflicts.contested(&number(200), at(0)));
        conflicts.update(&[], &Announcements::new(), at(1));
        assert!(conflicts.contested(&number(200), at(2)));
        assert_eq!(states(&conflicts).len(), CONFLICTS_MAX);
    }
}
