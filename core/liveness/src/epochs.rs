//! The highest epoch ever heard of each address, also from nodes that are dead by now.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::Epoch;

/// Addresses remembered. Twice the largest IPv4 pool anyone gives to a cluster, a /16.
pub const EPOCHS_MAX: usize = 1 << 17;

/// How much is forgotten at once when the bound is met, so that the search for the oldest is rare.
const FORGOTTEN_AT_ONCE: usize = EPOCHS_MAX / 8;

/// Bounded by [`EPOCHS_MAX`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Epochs {
    known: BTreeMap<IpAddr, Known>,
    /// Counts what was noted, to tell the oldest.
    notes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    highest: Epoch,
    noted: u64,
}

impl Epochs {
    /// Someone owns `address` under `epoch`. One that finds no room, because so many are claimed,
    /// is not remembered beyond its claim.
    pub(crate) fn note(&mut self, address: IpAddr, epoch: Epoch) {
        self.notes += 1;
        let noted = self.notes;
        if let Some(known) = self.known.get_mut(&address) {
            *known = Known { highest: known.highest.max(epoch), noted };
        } else if self.known.len() < EPOCHS_MAX {
            self.known.insert(address, Known { highest: epoch, noted });
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.known.len() >= EPOCHS_MAX
    }

    /// Forgets the oldest addresses that are not among the `claimed` ones.
    pub(crate) fn make_room(&mut self, claimed: &BTreeSet<IpAddr>) {
        let unclaimed = self.known.iter().filter(|(address, _)| !claimed.contains(address));
        let mut oldest: Vec<(u64, IpAddr)> =
            unclaimed.map(|(address, known)| (known.noted, *address)).collect();
        oldest.sort_unstable();
        for (_, address) in oldest.iter().take(FORGOTTEN_AT_ONCE) {
            self.known.remove(address);
        }
    }

    pub(crate) fn of(&self, address: IpAddr) -> Option<Epoch> {
        self.known.get(&address).map(|known| known.highest)
    }

    pub(crate) fn all(&self) -> BTreeMap<IpAddr, Epoch> {
        self.known.iter().map(|(address, known)| (*address, known.highest)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(index: usize) -> IpAddr {
        IpAddr::V4(u32::try_from(index).unwrap().into())
    }

    #[test]
    fn the_highest_epoch_stays() {
        let mut epochs = Epochs::default();
        for epoch in [3, 7, 5] {
            epochs.note(address(1), Epoch(epoch));
        }
        assert_eq!(epochs.of(address(1)), Some(Epoch(7)));
        assert_eq!(epochs.of(address(2)), None);
        assert_eq!(epochs.all(), [(address(1), Epoch(7))].into());
    }

    #[test]
    fn at_the_bound_the_oldest_that_nobody_claims_are_forgotten() {
        let mut epochs = Epochs::default();
        for index in 0..EPOCHS_MAX + 5 {
            epochs.note(address(index), Epoch(1));
        }
        assert!(epochs.is_full() && epochs.of(address(EPOCHS_MAX)).is_none());
        epochs.note(address(0), Epoch(2));
        epochs.make_room(&[address(1)].into());
        assert_eq!(epochs.all().len(), EPOCHS_MAX - FORGOTTEN_AT_ONCE);
        assert_eq!(epochs.of(address(0)), Some(Epoch(2)), "it was noted again");
        assert_eq!(epochs.of(address(1)), Some(Epoch(1)), "it is claimed");
        assert_eq!(epochs.of(address(2)), None);
        epochs.note(address(EPOCHS_MAX), Epoch(1));
        assert_eq!(epochs.of(address(EPOCHS_MAX)), Some(Epoch(1)));
    }
}
