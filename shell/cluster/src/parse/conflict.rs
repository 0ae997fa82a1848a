//! Other hosts that have addresses of ours, as the speakers' `NodeState`s tell.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::NodeState;
use ferrolb_api::node_state::ConflictState;
use ferrolb_ipam::Occupant;
use ferrolb_vocab::{InterfaceName, IpRange, MacAddr, NodeName};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;

/// Another host that has or claims an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConflict {
    /// The host's link-layer address.
    pub mac: MacAddr,
    /// The node of the cluster that it is, if it is one.
    pub host: Option<NodeName>,
    /// The node that heard it.
    pub heard_by: NodeName,
    /// Through which interface.
    pub interface: InterfaceName,
    /// What it means there.
    pub state: ConflictState,
}

/// The addresses that other hosts have or had lately; of several reports about one the gravest, and the
/// first by node. A node that is not `Ready` has nobody who would take back what it said.
#[must_use]
pub fn conflicts(nodes: &[Arc<Node>], states: &[Arc<NodeState>]) -> BTreeMap<IpAddr, HostConflict> {
    let silent: BTreeSet<String> =
        nodes.iter().filter(|node| !is_ready(node)).map(|node| node.name_any()).collect();
    let mut conflicts = BTreeMap::new();
    for state in states.iter().filter(|state| !silent.contains(&state.name_any())) {
        let links = state.status.iter().flat_map(|status| &status.links);
        for (link, reported) in links.flat_map(|link| link.conflicts.iter().map(move |one| (link, one))) {
            let (Ok(address), Ok(mac)) = (reported.address.parse::<IpAddr>(), reported.mac.parse()) else {
                continue;
            };
            let conflict = HostConflict {
                mac,
                host: reported.node.as_deref().map(NodeName::from),
                heard_by: NodeName::from(state.name_any()),
                interface: link.name.as_str().into(),
                state: reported.state,
            };
            let graver = conflicts.get(&address).is_none_or(|other| rank(&conflict) < rank(other));
            if graver {
                conflicts.insert(address, conflict);
            }
        }
    }
    conflicts
}

/// What no Service may have because a host has it. What one had lately is given, as the last.
#[must_use]
pub fn occupied_by_host((address, conflict): (&IpAddr, &HostConflict)) -> Option<(IpRange, Occupant)> {
    match conflict.state {
        ConflictState::Occupied | ConflictState::Contested => {}
        ConflictState::Released | ConflictState::Avoided => return None,
    }
    let HostConflict { mac, heard_by, interface, .. } = conflict.clone();
    Some((IpRange::new(*address, *address).ok()?, Occupant::Host { mac, node: heard_by, interface }))
}

fn rank(conflict: &HostConflict) -> (u8, &NodeName, &InterfaceName) {
    let gravity = match conflict.state {
        ConflictState::Occupied => 0,
        ConflictState::Contested => 1,
        ConflictState::Avoided => 2,
        ConflictState::Released => 3,
    };
    (gravity, &conflict.heard_by, &conflict.interface)
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().all(|condition| condition.type_ != "Ready" || condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_json<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> Arc<T> {
        Arc::new(serde_json::from_value(json).unwrap())
    }

    fn state(node: &str, conflicts: &[(&str, &str, &str)]) -> Arc<NodeState> {
        let conflicts: Vec<_> = conflicts
            .iter()
            .map(
                |(address, mac, state)| serde_json::json!({ "address": address, "mac": mac, "state": state }),
            )
            .collect();
        from_json(serde_json::json!({
            "metadata": { "name": node },
            "status": { "links": [{ "name": "eth0", "up": true, "conflicts": conflicts }] }
        }))
    }

    fn node(name: &str, ready: &str) -> Arc<Node> {
        from_json(serde_json::json!({
            "metadata": { "name": name },
            "status": { "conditions": [
                { "type": "Ready", "status": ready }, { "type": "MemoryPressure", "status": "False" }
            ] }
        }))
    }

    #[test]
    fn the_gravest_report_counts_whatever_the_order_and_nonsense_does_not() {
        let states = [
            state("c", &[("10.0.0.1", "02:00:00:00:00:0c", "Released"), ("nonsense", "", "Occupied")]),
            state("b", &[("10.0.0.1", "02:00:00:00:00:0b", "Contested")]),
            state(
                "a",
                &[("10.0.0.1", "02:00:00:00:00:0a", "Contested"), ("10.0.0.2", "nonsense", "Occupied")],
            ),
        ];
        let found = conflicts(&[], &states);
        assert_eq!(found.len(), 1, "{found:?}");
        let conflict = &found[&"10.0.0.1".parse::<IpAddr>().unwrap()];
        let expected = ("02:00:00:00:00:0a", "a", "eth0", ConflictState::Contested);
        let (mac, heard_by) = (conflict.mac.to_string(), conflict.heard_by.as_str());
        assert_eq!((mac.as_str(), heard_by, conflict.interface.as_str(), conflict.state), expected);
        let turned: Vec<_> = states.iter().rev().cloned().collect();
        assert_eq!(conflicts(&[], &turned), found);
    }

    #[test]
    fn a_node_that_is_not_ready_says_nothing_any_more() {
        let states = [state("a", &[("10.0.0.1", "02:00:00:00:00:0a", "Occupied")])];
        for (ready, count) in [("True", 1), ("False", 0), ("Unknown", 0)] {
            assert_eq!(conflicts(&[node("a", ready)], &states).len(), count, "Ready={ready}");
        }
    }
}
