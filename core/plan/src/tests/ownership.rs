//! Speakers that tell each other what they own, without loss or delay unless a test says so.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::ownership::YIELD_MAX;
use crate::{Holding, Plan, owners};

/// Three speakers of one cluster, each with what it holds and what it last told.
struct Speakers {
    cluster: Snapshot,
    held: BTreeMap<NodeName, BTreeMap<IpAddr, Holding>>,
    told: BTreeMap<NodeName, BTreeMap<IpAddr, Epoch>>,
    /// What was told, also by those who are dead.
    highest: BTreeMap<IpAddr, Epoch>,
    /// Each of these hears nobody and is heard by nobody.
    cut_off: BTreeSet<NodeName>,
    /// Of nodes that have other links than the rest.
    links: BTreeMap<NodeName, Vec<Link>>,
}

impl Speakers {
    fn new(change: impl Fn(&mut Snapshot)) -> Self {
        let mut cluster = cluster("nobody");
        change(&mut cluster);
        Self {
            cluster,
            held: BTreeMap::new(),
            told: BTreeMap::new(),
            highest: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            links: BTreeMap::new(),
        }
    }

    fn hears(&self, me: &NodeName, other: &NodeName) -> bool {
        self.cluster.alive.contains(other) && !self.cut_off.contains(me) && !self.cut_off.contains(other)
    }

    /// One pass of `me`, who tells what it owns afterwards.
    fn pass(&mut self, me: &str) -> Plan {
        let me = NodeName::from(me);
        let mut snapshot = self.cluster.clone();
        snapshot.me = me.clone();
        snapshot.alive.retain(|other| *other == me || self.hears(&me, other));
        if let Some(links) = self.links.get(&me) {
            snapshot.links.clone_from(links);
        }
        let ownership = &mut snapshot.ownership;
        ownership.held = self.held.get(&me).cloned().unwrap_or_default();
        let heard = self.told.iter().filter(|(other, _)| **other != me && self.hears(&me, other));
        ownership.claims = heard.map(|(other, told)| (other.clone(), told.clone())).collect();
        ownership.highest = self.highest.clone();
        let plan = plan(&snapshot);
        for (address, epoch) in plan.claims() {
            let highest = self.highest.entry(address).or_default();
            *highest = (*highest).max(epoch);
        }
        self.held.insert(me.clone(), plan.held.clone());
        self.told.insert(me, plan.claims());
        plan
    }

    /// Passes of all that live, until nothing changes.
    fn settle(&mut self) {
        for _ in 0..10 {
            let before = (self.held.clone(), self.told.clone());
            for node in self.living() {
                self.pass(node.as_str());
            }
            if before == (self.held.clone(), self.told.clone()) {
                return;
            }
        }
        panic!("no end: {:?}", self.held);
    }

    fn living(&self) -> Vec<NodeName> {
        self.cluster.alive.iter().cloned().collect()
    }

    fn die(&mut self, node: &str) {
        self.cluster.alive.remove(&NodeName::from(node));
        self.held.remove(&NodeName::from(node));
        self.told.remove(&NodeName::from(node));
    }

    fn owners(&self) -> Vec<&str> {
        let owns = |(node, held): (&'_ NodeName, &BTreeMap<IpAddr, Holding>)| {
            (!held.is_empty()).then_some(node.clone())
        };
        let owners: Vec<NodeName> = self.held.iter().filter_map(|(node, held)| owns((node, held))).collect();
        NODES.into_iter().filter(|name| owners.iter().any(|owner| owner.as_str() == *name)).collect()
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.cluster.nodes.get_mut(&NodeName::from(name)).unwrap()
    }

    /// Does something to all links of a node.
    fn change_links(&mut self, node: &str, change: Change) {
        let mut links = self.cluster.links.clone();
        links.iter_mut().for_each(change);
        self.links.insert(node.into(), links);
    }

    fn epoch(&self) -> u64 {
        self.held.values().flatten().map(|(_, holding)| holding.epoch.0).max().unwrap()
    }
}

#[test]
fn an_address_that_nobody_has_goes_to_the_first_and_a_node_that_returns_takes_nothing() {
    let mut speakers = Speakers::new(|_| {});
    speakers.settle();
    assert_eq!((speakers.owners(), speakers.epoch()), (vec!["master"], 1));
    speakers.die("master");
    speakers.settle();
    assert_eq!((speakers.owners(), speakers.epoch()), (vec!["worker2"], 2));
    speakers.cluster.alive.insert("master".into());
    speakers.settle();
    assert_eq!(speakers.owners(), ["worker2"], "every move breaks connections");
}

#[test]
fn a_node_that_returns_takes_its_address_back_where_the_user_asks_for_it() {
    let failback = explicit(L2Advertisement { failback: true, ..L2Advertisement::default() });
    let mut speakers = Speakers::new(|snapshot| snapshot.advertisements = failback.clone());
    speakers.settle();
    speakers.die("master");
    speakers.settle();
    assert_eq!(speakers.owners(), ["worker2"]);
    speakers.cluster.alive.insert("master".into());
    speakers.settle();
    assert_eq!((speakers.owners(), speakers.epoch()), (vec!["master"], 3));
}

#[test]
fn a_preferred_node_takes_over_and_equals_do_not() {
    let prefers = |nodes: &[&str]| {
        let preference =
            |node: &&str| NodePreference { weight: 10, selector: selects("kubernetes.io/hostname", node) };
        explicit(L2Advertisement {
            preferences: nodes.iter().map(preference).collect(),
            ..L2Advertisement::default()
        })
    };
    let mut speakers = Speakers::new(|_| {});
    speakers.settle();
    speakers.cluster.advertisements = prefers(&["worker1"]);
    speakers.settle();
    assert_eq!(speakers.owners(), ["worker1"]);
    speakers.cluster.advertisements = prefers(&["worker1", "worker2", "master"]);
    speakers.settle();
    assert_eq!(speakers.owners(), ["worker1"], "master is no better");
    speakers.cluster.advertisements = explicit(L2Advertisement::default());
    speakers.settle();
    assert_eq!(speakers.owners(), ["worker1"]);
}

/// The moves of which the owner knows: at no time is the address without an owner.
#[test]
fn a_planned_move_is_made_before_it_is_broken() {
    let moves: [fn(&mut Speakers); 8] = [
        |speakers| speakers.node("master").excluded = true,
        |speakers| speakers.node("master").network_unavailable = true,
        |speakers| speakers.node("master").draining = true,
        |speakers| speakers.cluster.ownership.leaving = ["master".into()].into(),
        |speakers| speakers.cluster.nodes.retain(|node, _| node.as_str() != "master"),
        |speakers| speakers.node("master").labels = Labels::default(),
        |speakers| speakers.cluster.advertisements = on_nodes(&["worker1", "worker2"]),
        |speakers| {
            let other = ObjectName::new("metallb-system", "other");
            speakers.cluster.advertisements.l2.retain(|name, _| *name == other);
        },
    ];
    // One for master, and one for the others.
    let two = |snapshot: &mut Snapshot| {
        snapshot.advertisements = on_nodes(&["master"]);
        let other = on_nodes(&["worker1", "worker2"]).l2.into_values();
        snapshot.advertisements.l2.extend(other.map(|one| (ObjectName::new("metallb-system", "other"), one)));
    };
    for (number, start) in moves.into_iter().enumerate() {
        let mut speakers = Speakers::new(two);
        speakers.settle();
        start(&mut speakers);
        speakers.pass("master");
        speakers.pass("worker1");
        assert_eq!(speakers.owners(), ["master"], "move {number}: it waits for the next");
        speakers.pass("worker2");
        assert_eq!(speakers.owners(), ["master", "worker2"], "move {number}: both answer");
        speakers.settle();
        assert_eq!(speakers.owners(), ["worker2"], "move {number}");
    }
}

#[test]
fn a_node_that_may_not_announce_waits_for_its_successor_only_for_a_while() {
    let mut speakers = Speakers::new(|_| {});
    speakers.settle();
    speakers.node("master").excluded = true;
    let plan = speakers.pass("master");
    let end = plan.expires().expect("it waits");
    assert_eq!(end, Instant::ORIGIN + YIELD_MAX);
    speakers.cluster.now = end - Duration::from_millis(1);
    assert_eq!(speakers.pass("master").expires(), Some(end), "the time does not start anew");
    speakers.cluster.now = end;
    speakers.pass("master");
    assert!(speakers.owners().is_empty());
}

#[test]
fn a_drain_never_cuts_off_what_nobody_else_can_have_and_exclusion_does() {
    for (drain, left) in [(true, vec!["master"]), (false, vec![])] {
        let mut speakers = Speakers::new(|_| {});
        speakers.die("worker1");
        speakers.die("worker2");
        speakers.settle();
        speakers.node("master").draining = drain;
        speakers.node("master").excluded = !drain;
        speakers.cluster.now = Instant::ORIGIN + YIELD_MAX + YIELD_MAX;
        speakers.settle();
        assert_eq!(speakers.owners(), left);
    }
}

#[test]
fn after_a_partition_the_later_owner_is_right() {
    let mut speakers = Speakers::new(|_| {});
    speakers.settle();
    speakers.cut_off.insert("master".into());
    speakers.settle();
    assert_eq!(speakers.owners(), ["master", "worker2"], "neither side can know");
    speakers.cut_off.clear();
    speakers.pass("master");
    assert_eq!(speakers.owners(), ["worker2"], "one pass after it hears");
    speakers.settle();
    assert_eq!(speakers.owners(), ["worker2"]);
}

#[test]
fn of_two_owners_under_one_epoch_the_first_in_the_order_is_right() {
    for passes in [["master", "worker1"], ["worker1", "master"]] {
        let mut speakers = Speakers::new(|_| {});
        speakers.cut_off.insert("worker1".into());
        speakers.cut_off.insert("worker2".into());
        for node in ["master", "worker1"] {
            let me = NodeName::from(node);
            let mut snapshot = speakers.cluster.clone();
            snapshot.me = me.clone();
            snapshot.alive = [me.clone()].into();
            let plan = plan(&snapshot);
            speakers.held.insert(me.clone(), plan.held.clone());
            speakers.told.insert(me, plan.claims());
        }
        assert_eq!(speakers.owners(), ["master", "worker1"]);
        speakers.cut_off.clear();
        for node in passes {
            speakers.pass(node);
        }
        assert_eq!(speakers.owners(), ["master"]);
    }
}

#[test]
fn a_speaker_takes_nothing_before_it_knows_what_others_own() {
    let mut snapshot = cluster("master");
    snapshot.ownership.is_settled = false;
    assert_eq!(withheld(&snapshot), Withheld::OwnersUnknown);
    let holding = Holding { epoch: Epoch(4), yielding: None };
    snapshot.ownership.held = [(ip(VIP), holding)].into();
    assert_eq!(plan(&snapshot).held, [(ip(VIP), holding)].into(), "what it has it keeps");
}

#[test]
fn an_interface_without_carrier_moves_the_address_to_a_node_that_has_one() {
    let mut speakers = Speakers::new(|_| {});
    speakers.settle();
    speakers.change_links("master", without_carrier);
    let plan = speakers.pass("master");
    assert!(plan.held.is_empty());
    assert_eq!(plan.claims(), [(ip(VIP), Epoch::STANDS_BACK)].into());
    speakers.pass("worker1");
    speakers.pass("worker2");
    assert_eq!(speakers.owners(), ["worker2"]);
}

#[test]
fn where_no_node_has_carrier_one_says_so_and_none_announces() {
    let mut speakers = Speakers::new(share_the_second);
    NODES.into_iter().for_each(|node| speakers.change_links(node, without_carrier));
    speakers.settle();
    let plan = speakers.pass("master");
    let no_interface = |address| Verdict::Withhold(Withheld::NoUsableInterface { address: ip(address) });
    assert_eq!(plan.verdicts[&key()], no_interface(VIP));
    assert_eq!(plan.verdicts[&sharer()], no_interface("fd00:100::240"), "it is told of its own address");
    assert!(plan.held.is_empty() && plan.announcements().is_empty());
    let lost = Verdict::Withhold(Withheld::ElectionLost { owner: "master".into() });
    assert_eq!(speakers.pass("worker1").verdicts[&key()], lost);
}

/// Something that happens to a link.
type Change = fn(&mut Link);

fn without_carrier(link: &mut Link) {
    link.flags.remove(&LinkFlag::Carrier);
}

fn without_broadcast(link: &mut Link) {
    link.flags.remove(&LinkFlag::Broadcast);
}

fn without_link_local(link: &mut Link) {
    link.addresses.retain(|own| own.address != ip("fe80::1"));
}

#[test]
fn an_address_needs_an_interface_that_can_resolve_its_family() {
    let cases: [(&str, &str, Change); 2] =
        [(VIP, "master", without_broadcast), ("fd00:100::240", "worker1", without_link_local)];
    for (address, first, change) in cases {
        let mut speakers = Speakers::new(|snapshot| {
            dual(snapshot);
            service(snapshot).addresses = vec![ip(address)];
        });
        speakers.settle();
        assert_eq!(speakers.owners(), [first]);
        speakers.change_links(first, change);
        speakers.settle();
        assert_eq!(speakers.owners().len(), 1, "{address}");
        assert_ne!(speakers.owners(), [first], "{address}");
    }
}

/// An address that is held again when its interface is back waits for nobody any more.
#[test]
fn all_addresses_of_a_unit_wait_for_a_successor_or_none_does() {
    let mut snapshot = cluster("master");
    dual(&mut snapshot);
    let since = |yielding| Holding { epoch: Epoch::FIRST, yielding };
    snapshot.ownership.held =
        [(ip(VIP), since(None)), (ip("fd00:100::240"), since(Some(Instant::ORIGIN)))].into();
    snapshot.now = Instant::ORIGIN + 2 * YIELD_MAX;
    let plan = plan(&snapshot);
    assert_eq!((plan.held.len(), plan.expires()), (2, None));
}

#[test]
fn a_node_that_lacks_a_family_is_passed_over_for_one_that_has_both() {
    // The election is about the IPv4 address.
    let cases: [(Change, &str, &str); 2] =
        [(without_link_local, "fd00:100::240", VIP), (without_broadcast, VIP, "fd00:100::240")];
    for (change, lost, left) in cases {
        let mut speakers = Speakers::new(dual);
        speakers.settle();
        speakers.change_links("master", change);
        let keeps = speakers.pass("master").announcements();
        let expected = if left == VIP { vec![ip(VIP)] } else { Vec::new() };
        assert!(keeps.keys().copied().eq(expected), "what works, until another has the key: {keeps:?}");
        speakers.settle();
        assert_eq!(speakers.owners(), ["worker2"], "without {lost}");
        NODES.into_iter().for_each(|node| speakers.change_links(node, change));
        speakers.settle();
        let owner = NodeName::from(speakers.owners()[0]);
        let announcements = speakers.pass(owner.as_str()).announcements();
        assert!(announcements.keys().eq([&ip(left)]), "the half that works: {announcements:?}");
        assert_eq!(speakers.pass("worker1").claims()[&ip(lost)], Epoch::STANDS_BACK);
        speakers.links.remove(&NodeName::from("worker1"));
        speakers.settle();
        assert_eq!(speakers.owners(), ["worker1"], "without {lost}");
        assert_eq!(speakers.pass("worker1").announcements().len(), 2);
    }
}

#[test]
fn who_waits_for_its_successor_answers_where_it_did() {
    let unselect: [fn(&mut Speakers); 2] = [
        |speakers| speakers.node("master").labels = Labels::default(),
        |speakers| speakers.cluster.nodes.retain(|node, _| node.as_str() != "master"),
    ];
    for start in unselect {
        let mut speakers = Speakers::new(|snapshot| {
            snapshot.advertisements = on_nodes(&NODES);
            let advertisements = snapshot.advertisements.l2.values_mut();
            advertisements.for_each(|advertisement| advertisement.interfaces = names(["eth1"]));
        });
        speakers.settle();
        start(&mut speakers);
        assert_eq!(speakers.pass("master").announcements(), [(ip(VIP), names(["eth1"]))].into());
    }
}

/// Another Service has the second address too, and alone would belong to worker1.
fn share_the_second(snapshot: &mut Snapshot) {
    dual(snapshot);
    let other = Service { addresses: vec![ip("fd00:100::240")], ..service(snapshot).clone() };
    snapshot.services.insert(sharer(), other.into());
}

fn sharer() -> ServiceKey {
    ServiceKey::new("default", "a-first-by-name")
}

#[test]
fn services_that_share_an_address_and_the_addresses_of_a_service_have_one_owner() {
    let mut speakers = Speakers::new(share_the_second);
    speakers.settle();
    assert_eq!(speakers.owners(), ["master"]);
    assert_eq!(speakers.held[&NodeName::from("master")].len(), 2);
}

#[test]
fn addresses_are_spread_where_the_user_asks_for_it() {
    let spread = |snapshot: &mut Snapshot| {
        dual(snapshot);
        snapshot.advertisements = explicit(L2Advertisement { spread: true, ..L2Advertisement::default() });
    };
    let mut speakers = Speakers::new(spread);
    speakers.settle();
    assert_eq!(speakers.owners(), ["master", "worker1"]);
    for (node, address) in [("master", VIP), ("worker1", "fd00:100::240")] {
        let plan = speakers.pass(node);
        assert!(plan.announcements().keys().eq([&ip(address)]), "{node}: {:?}", plan.announcements());
    }
    assert!(matches!(
        speakers.pass("worker2").verdicts[&key()],
        Verdict::Withhold(Withheld::ElectionLost { .. })
    ));
}

/// Whatever the order is, and also where all that is left is two nodes.
#[test]
fn addresses_that_are_spread_are_on_different_nodes() {
    for failback in [false, true] {
        for last in 0x240..=0x250_u16 {
            let mut speakers = Speakers::new(|snapshot| {
                dual(snapshot);
                service(snapshot).addresses = vec![ip(VIP), ip(&std::format!("fd00:100::{last:x}"))];
                let advertisement = L2Advertisement { spread: true, failback, ..L2Advertisement::default() };
                snapshot.advertisements = explicit(advertisement);
            });
            speakers.settle();
            assert_eq!(speakers.owners().len(), 2, "{last:x}: {:?}", speakers.held);
            let first = NodeName::from(speakers.owners()[0]);
            speakers.die(first.as_str());
            speakers.settle();
            assert_eq!(speakers.owners().len(), 2, "{last:x} without {first}: {:?}", speakers.held);
            speakers.cluster.alive.insert(first.clone());
            speakers.settle();
            assert_eq!(speakers.owners().len(), 2, "{last:x} with {first}: {:?}", speakers.held);
        }
    }
}

#[test]
fn a_thousand_addresses_are_spread_evenly_over_ten_nodes() {
    let names: Vec<_> = (0..10).map(|number| std::format!("node-{number}")).collect();
    let mut speakers = Speakers::new(|cluster| {
        cluster.nodes = names.iter().map(|name| node(name)).collect();
        cluster.alive = names.iter().map(|name| NodeName::from(name.as_str())).collect();
        cluster.pools = [(PoolName::from("lb-pool"), pool("192.168.100.0/22"))].into();
        let template = service(cluster).clone();
        let services = (0..1000_u32).map(|number| {
            let address = IpAddr::from(core::net::Ipv4Addr::from_bits(0xc0a8_6400 + number));
            let one = Service { addresses: vec![address], ..template.clone() };
            (ServiceKey::new("default", std::format!("svc-{number}")), one.into())
        });
        cluster.services = services.collect();
        cluster.links = vec![link(2, "eth0", "192.168.100.200/22")];
        let subnets = ["192.168.100.0/22".parse().unwrap()];
        cluster.nodes.values_mut().for_each(|node| node.subnets = subnets.into());
    });
    speakers.settle();
    let shares: Vec<usize> = speakers.held.values().map(BTreeMap::len).collect();
    assert_eq!(shares.iter().sum::<usize>(), 1000, "{shares:?}");
    assert_eq!(shares.iter().max(), Some(&120), "{shares:?}");
}

#[test]
fn owners_are_the_same_whoever_asks() {
    let mut snapshot = cluster("nobody");
    snapshot.links.clear();
    assert_eq!(owners(&snapshot)[&key()], Ok("master".into()));
    let claims = [("worker1".into(), [(ip(VIP), Epoch(1))].into())];
    snapshot.ownership.claims = claims.into();
    assert_eq!(owners(&snapshot)[&key()], Ok("worker1".into()), "it has it");
    snapshot.nodes.values_mut().for_each(|node| node.excluded = true);
    assert_eq!(owners(&snapshot)[&key()], Err(Withheld::NodeNotEligible));
    snapshot.alive.clear();
    assert_eq!(owners(&snapshot)[&key()], Err(Withheld::NodeNotSelected));
}

#[test]
fn a_node_that_is_cut_off_gives_up_what_it_holds_and_stands_back() {
    for me in ["master", "worker1", "worker2"] {
        let mut snapshot = cluster(me);
        let address = *snapshot.services.values().next().unwrap().addresses.first().unwrap();
        snapshot.ownership.held = [(address, Holding { epoch: Epoch::FIRST, yielding: None })].into();
        let whole = plan(&snapshot);
        assert!(whole.held.contains_key(&address) && !whole.announcements().is_empty(), "{me}");
        snapshot.ownership.is_cut_off = true;
        let cut_off = plan(&snapshot);
        assert!(cut_off.held.is_empty() && cut_off.announcements().is_empty(), "{me}");
        assert_eq!(cut_off.claims(), [(address, Epoch::STANDS_BACK)].into(), "{me}");
        let is_cut_off = |verdict: &Verdict| *verdict == Verdict::Withhold(Withheld::CutOff);
        assert!(cut_off.verdicts.values().all(is_cut_off), "{:?}", cut_off.verdicts);
    }
}
