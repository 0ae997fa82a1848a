//! Where a node may have to answer at any moment.

use std::format;
use std::string::String;

use super::*;

fn standby(snapshot: &Snapshot) -> Vec<String> {
    plan(snapshot).standby.into_iter().map(|(interface, family)| format!("{interface} {family:?}")).collect()
}

#[test]
fn every_node_that_may_take_the_address_stands_by_whoever_has_it() {
    for me in NODES {
        assert_eq!(standby(&cluster(me)), ["eth0 V4", "eth1 V4"], "{me}");
    }
}

#[test]
fn interfaces_are_those_of_the_advertisements_that_cover_the_node() {
    let mut snapshot = cluster("worker1");
    let on = |interface: &str, node: &str| L2Advertisement {
        interfaces: [interface.into()].into(),
        node_selectors: vec![selects("kubernetes.io/hostname", node)],
        ..L2Advertisement::default()
    };
    snapshot.advertisements = explicit(on("eth1", "worker1"));
    assert_eq!(standby(&snapshot), ["eth1 V4"]);
    snapshot.advertisements = explicit(on("eth1", "worker2"));
    assert_eq!(standby(&snapshot), [""; 0]);
    snapshot.advertisements = Advertisements::default();
    assert_eq!(standby(&snapshot), ["eth0 V4", "eth1 V4"], "no advertisement stands for all");
}

#[test]
fn a_family_counts_where_a_service_has_it_and_the_interface_can_resolve_it() {
    let mut snapshot = cluster("worker1");
    Arc::make_mut(snapshot.services.get_mut(&key()).unwrap()).addresses.push(ip("fd00:100::240"));
    snapshot.links[1].addresses.retain(|own| own.address.is_ipv4());
    assert_eq!(standby(&snapshot), ["eth0 V4", "eth0 V6", "eth1 V4"]);
    snapshot.links[0].flags.remove(&LinkFlag::Broadcast);
    assert_eq!(standby(&snapshot), ["eth0 V6", "eth1 V4"]);
    snapshot.services.clear();
    assert_eq!(standby(&snapshot), [""; 0], "nobody could need it");
}
