//! From what is announced to what should be: the actions for the drivers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::InterfaceName;

/// Addresses, each with the interfaces it is announced on.
pub type Announcements = BTreeMap<IpAddr, BTreeSet<InterfaceName>>;

/// One step towards the desired announcements. It leaves its executor no choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop answering for the address.
    Withdraw(IpAddr),
    /// Answer for the address on exactly these interfaces.
    Announce {
        /// The address.
        address: IpAddr,
        /// Where.
        interfaces: BTreeSet<InterfaceName>,
    },
}

/// The actions that turn `actual` into `desired`: withdrawals first, then announcements, each
/// in address order.
#[must_use]
pub fn diff(desired: &Announcements, actual: &Announcements) -> Vec<Action> {
    let withdrawals = actual
        .keys()
        .filter(|address| !desired.contains_key(address))
        .map(|address| Action::Withdraw(*address));
    let announcements = desired
        .iter()
        .filter(|(address, interfaces)| actual.get(address) != Some(interfaces))
        .map(|(address, interfaces)| Action::Announce { address: *address, interfaces: interfaces.clone() });
    withdrawals.chain(announcements).collect()
}

/// Records that `action` was carried out.
pub fn apply(actual: &mut Announcements, action: &Action) {
    match action {
        Action::Withdraw(address) => {
            actual.remove(address);
        }
        Action::Announce { address, interfaces } => {
            actual.insert(*address, interfaces.clone());
        }
    }
}
