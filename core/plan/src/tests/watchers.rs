//! Who watches an owner closely.

use super::*;
use crate::WATCHERS_PER_ADDRESS;

/// Six nodes, seen by the first of the order for the address; and that order.
fn six() -> (Snapshot, Vec<NodeName>) {
    let names = ["a", "b", "c", "d", "e", "f"];
    let nodes: Vec<NodeName> = names.map(NodeName::from).into();
    let candidates = nodes.iter().map(|node| Candidate { node, preference: 0 }).collect();
    let order: Vec<NodeName> =
        election::order(candidates, ip(VIP)).into_iter().map(|candidate| candidate.node.clone()).collect();
    let mut snapshot = cluster("nobody");
    snapshot.me = order[0].clone();
    snapshot.nodes = names.into_iter().map(node).collect();
    snapshot.alive = nodes.into_iter().collect();
    (snapshot, order)
}

fn set(nodes: &[NodeName]) -> BTreeSet<NodeName> {
    nodes.iter().cloned().collect()
}

#[test]
fn the_next_candidates_watch_the_owner() {
    let (snapshot, order) = six();
    assert_eq!(plan(&snapshot).watchers, set(&order[1..=WATCHERS_PER_ADDRESS]));
}

#[test]
fn who_could_not_take_over_does_not_watch() {
    let (mut snapshot, order) = six();
    snapshot.alive.remove(&order[1]);
    snapshot.nodes.get_mut(&order[2]).unwrap().excluded = true;
    assert_eq!(plan(&snapshot).watchers, set(&order[3..]));
}

#[test]
fn who_owns_nothing_has_no_watchers_by_that() {
    let (mut snapshot, order) = six();
    snapshot.me = order[1].clone();
    assert_eq!(plan(&snapshot).watchers, BTreeSet::new());
}

#[test]
fn who_claims_the_same_address_watches_until_it_has_let_go() {
    let (mut snapshot, order) = six();
    let held = |epoch| (ip(VIP), crate::Holding { epoch: Epoch(epoch), yielding: None });
    snapshot.ownership.held = [held(2)].into();
    snapshot.ownership.claims = [(order[5].clone(), [(ip(VIP), Epoch(1))].into())].into();
    let mut expected = set(&order[1..=WATCHERS_PER_ADDRESS]);
    expected.insert(order[5].clone());
    assert_eq!(plan(&snapshot).watchers, expected);
}
