//! Where this node may have to answer for an address at any moment.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ferrolb_vocab::{InterfaceName, IpFamily};

use crate::interfaces::{announceable, resolves};
use crate::snapshot::{L2Advertisement, Snapshot};

/// The interfaces that the advertisements give this node, whoever owns the addresses now, and on each
/// the families of the addresses that Services have.
pub(crate) fn of(snapshot: &Snapshot) -> BTreeSet<(InterfaceName, IpFamily)> {
    let Some(me) = snapshot.nodes.get(&snapshot.me) else { return BTreeSet::new() };
    let addresses = snapshot.services.values().flat_map(|service| &service.addresses);
    let families: BTreeSet<IpFamily> = addresses.map(|address| IpFamily::of(*address)).collect();
    let l2 = snapshot.advertisements.l2.values();
    let covering: Vec<&L2Advertisement> =
        l2.filter(|advertisement| advertisement.covers_node(&me.labels)).collect();
    let is_wanted = |interface: &InterfaceName| {
        let wants = |one: &&L2Advertisement| one.interfaces.is_empty() || one.interfaces.contains(interface);
        !snapshot.advertisements.any_object || covering.iter().any(wants)
    };
    announceable(&snapshot.links, &snapshot.exclusions)
        .filter(|link| is_wanted(&link.name))
        .flat_map(|link| {
            let families = families.iter().filter(|family| resolves(link, **family));
            families.map(|family| (link.name.clone(), *family))
        })
        .collect()
}
