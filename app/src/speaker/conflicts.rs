//! Other hosts that have or claim an address of ours, for as long as the cluster should know.

use std::collections::{BTreeMap, BTreeSet};
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

    /// The addresses that another host had when this node was last to announce them.
    pub(super) fn avoided(&self) -> impl Iterator<Item = IpAddr> {
        let is_avoided =
            |known: &Known| matches!(known.state, ConflictState::Occupied | ConflictState::Avoided);
        self.0.values().flatten().filter(move |(_, known)| is_avoided(known)).map(|(address, _)| *address)
    }

    /// What is so at `now`, when `wanted` is to be announced, nobody knows of what is `unproven` that it is
    /// free, and of that the addresses of `occupied` are another host's.
    pub(super) fn update(
        &mut self,
        occupied: &[Conflict],
        unproven: &BTreeSet<(IpAddr, InterfaceName)>,
        wanted: &Announcements,
        now: Instant,
    ) {
        let is_occupied = |interface: &InterfaceName, address: IpAddr| {
            occupied.iter().any(|conflict| conflict.address == address && conflict.interface == *interface)
        };
        for (interface, known) in &mut self.0 {
            known.retain(|address, known| {
                let is_wanted = wanted.get(address).is_some_and(|interfaces| interfaces.contains(interface));
                let standing = match is_wanted {
                    false if is_occupied(interface, *address) => Standing::Withdrawn,
                    false => Standing::Unwanted,
                    true if unproven.contains(&(*address, interface.clone())) => Standing::Unproven,
                    true => Standing::Announced,
                };
                known.is_so(standing, now)
            });
        }
        self.0.retain(|_, known| !known.is_empty());
        for conflict in occupied {
            self.insert(conflict, ConflictState::Occupied, now);
        }
    }

    /// Forgets what was given up as a host's and is another node's by now: that node probes for it, and tells
    /// what it finds.
    pub(super) fn leave_to_others(&mut self, is_claimed: impl Fn(IpAddr) -> bool) {
        for known in self.0.values_mut() {
            known.retain(|address, known| known.state != ConflictState::Avoided || !is_claimed(*address));
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
            let mut remove = |state| known.extract_if(.., |_, known| known.state == state).next().is_some();
            if !remove(ConflictState::Released) && !remove(ConflictState::Avoided) {
                return false;
            }
        }
        let new = Known { mac: conflict.mac, node: conflict.node.clone(), state, at: now };
        let former = known.insert(conflict.address, new);
        former.is_none_or(|former| (former.mac, former.state) != (conflict.mac, state))
    }
}

/// How this node stands to an address that another host has or claims.
#[derive(Clone, Copy)]
enum Standing {
    Unwanted,
    /// Not wanted any more, and the driver does not know yet.
    Withdrawn,
    /// Whether it is free is being found out, or will be.
    Unproven,
    Announced,
}

impl Known {
    /// Whether there is anything to know any more.
    fn is_so(&mut self, standing: Standing, now: Instant) -> bool {
        let lasted = now.saturating_since(self.at);
        let released = match (self.state, standing) {
            // It was asked for again, and nobody answered.
            (ConflictState::Occupied | ConflictState::Avoided, Standing::Announced) => return false,
            (ConflictState::Occupied, Standing::Unproven | Standing::Withdrawn)
            | (ConflictState::Avoided, Standing::Unproven) => return true,
            (ConflictState::Contested, Standing::Unproven | Standing::Announced) => {
                return lasted < CONTESTED_FOR;
            }
            (ConflictState::Avoided | ConflictState::Released, _) => return lasted < RELEASED_FOR,
            (ConflictState::Occupied, Standing::Unwanted) => ConflictState::Avoided,
            (ConflictState::Contested, Standing::Unwanted | Standing::Withdrawn) => ConflictState::Released,
        };
        (self.state, self.at) = (released, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "192.168.100.240";
    const OTHER: &str = "192.168.100.241";

    fn conflict(address: &str, mac: u8) -> Conflict {
        let address = address.parse().unwrap();
        Conflict { address, mac: MacAddr([2, 0, 0, 0, 0, mac]), node: None, interface: "eth0".into() }
    }

    fn announced() -> Announcements {
        [(ADDRESS.parse().unwrap(), ["eth0".into()].into())].into()
    }

    fn unproven() -> BTreeSet<(IpAddr, InterfaceName)> {
        [(ADDRESS.parse().unwrap(), "eth0".into())].into()
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
        conflicts.update(&[conflict(ADDRESS, 9)], &unproven(), &announced(), at(0));
        let [told] = &conflicts.on(&"eth0".into())[..] else { panic!("{conflicts:?}") };
        let expected = (ADDRESS, "02:00:00:00:00:09", ConflictState::Occupied);
        assert_eq!((told.address.as_str(), told.mac.as_str(), told.state), expected);
        conflicts.update(&[conflict(ADDRESS, 9)], &unproven(), &announced(), at(9_998));
        assert_eq!(states(&conflicts), [ConflictState::Occupied]);
        conflicts.update(&[], &unproven(), &announced(), at(9_999));
        assert_eq!(states(&conflicts), [ConflictState::Occupied], "the interface is away");
        conflicts.update(&[], &BTreeSet::new(), &announced(), at(10_000));
        assert_eq!(states(&conflicts), []);
    }

    #[test]
    fn what_this_node_gives_up_is_remembered_for_a_while_only() {
        let mut conflicts = Conflicts::default();
        conflicts.update(&[conflict(ADDRESS, 9)], &unproven(), &announced(), at(0));
        conflicts.contested(&conflict(OTHER, 9), at(0));
        let avoided = |conflicts: &Conflicts| -> Vec<_> {
            conflicts.avoided().map(|address| address.to_string()).collect()
        };
        // The driver says for a moment more what it was told before.
        conflicts.update(&[conflict(ADDRESS, 9)], &unproven(), &Announcements::new(), at(100));
        assert_eq!(states(&conflicts), [ConflictState::Occupied, ConflictState::Released]);
        assert_eq!(avoided(&conflicts), [ADDRESS]);
        for ms in [101, 100 + 599] {
            conflicts.update(&[], &BTreeSet::new(), &Announcements::new(), at(ms));
            assert_eq!(states(&conflicts), [ConflictState::Avoided, ConflictState::Released]);
            assert_eq!(avoided(&conflicts), [ADDRESS], "the other was announced");
        }
        conflicts.update(&[], &BTreeSet::new(), &Announcements::new(), at(100 + 600));
        assert_eq!(states(&conflicts), [ConflictState::Avoided]);
        conflicts.update(&[], &BTreeSet::new(), &Announcements::new(), at(101 + 600));
        assert_eq!(states(&conflicts), []);
    }

    #[test]
    fn what_was_given_up_as_a_hosts_is_remembered_until_it_was_asked_for_again() {
        let mut conflicts = Conflicts::default();
        conflicts.update(&[conflict(ADDRESS, 9)], &unproven(), &announced(), at(0));
        conflicts.update(&[], &BTreeSet::new(), &Announcements::new(), at(1));
        conflicts.update(&[], &unproven(), &announced(), at(2));
        assert_eq!(states(&conflicts), [ConflictState::Avoided]);
        conflicts.update(&[], &BTreeSet::new(), &announced(), at(3));
        assert_eq!(states(&conflicts), []);
    }

    #[test]
    fn what_was_given_up_as_a_hosts_is_left_to_the_node_that_owns_it_now() {
        let mut conflicts = Conflicts::default();
        conflicts.update(&[conflict(ADDRESS, 9)], &unproven(), &announced(), at(0));
        conflicts.contested(&conflict(OTHER, 9), at(0));
        conflicts.leave_to_others(|_| true);
        assert_eq!(states(&conflicts), [ConflictState::Occupied, ConflictState::Contested], "it wants them");
        conflicts.update(&[], &BTreeSet::new(), &Announcements::new(), at(1));
        conflicts.leave_to_others(|address| address.to_string() != ADDRESS);
        assert_eq!(states(&conflicts), [ConflictState::Avoided, ConflictState::Released]);
        conflicts.leave_to_others(|_| true);
        assert_eq!(states(&conflicts), [ConflictState::Released], "that is not probed for");
    }

    #[test]
    fn a_claim_to_an_announced_address_counts_until_five_minutes_of_silence() {
        let mut conflicts = Conflicts::default();
        assert!(conflicts.contested(&conflict(ADDRESS, 9), at(0)));
        assert!(!conflicts.contested(&conflict(ADDRESS, 9), at(60)), "it is known");
        assert!(conflicts.contested(&conflict(ADDRESS, 8), at(70)), "another host");
        conflicts.update(&[], &BTreeSet::new(), &announced(), at(70 + 299));
        assert_eq!(states(&conflicts), [ConflictState::Contested]);
        conflicts.update(&[], &BTreeSet::new(), &announced(), at(70 + 300));
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
        conflicts.update(&[], &BTreeSet::new(), &Announcements::new(), at(1));
        assert!(conflicts.contested(&number(200), at(2)));
        assert_eq!(states(&conflicts).len(), CONFLICTS_MAX);
    }
}
