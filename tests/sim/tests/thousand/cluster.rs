//! Nodes and addresses, and who owns what in the order of the election.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ferrolb_plan::election::{self, Candidate};
use ferrolb_plan::{
    Advertisements, Exclusions, Holding, L2Advertisement, Node, Ownership, Peering, Plan, Pool, Service,
    ServingEndpoints, Snapshot, WATCHERS_PER_ADDRESS, plan,
};
use ferrolb_vocab::{
    Epoch, Instant, Labels, Link, LinkAddress, LinkFlag, MacAddr, NodeName, ObjectName, PoolName, ServiceKey,
};

/// Who knows what, for a plan.
pub(crate) struct Knowledge {
    pub(crate) now: Instant,
    pub(crate) alive: BTreeSet<NodeName>,
    pub(crate) ownership: Ownership,
}

/// The whole cluster, at rest: the first of each order has the address.
pub(crate) struct Cluster {
    pub(crate) names: Vec<NodeName>,
    /// By address, the first few nodes of its order.
    orders: BTreeMap<IpAddr, Vec<usize>>,
    snapshot: Snapshot,
}

impl Cluster {
    pub(crate) fn new(nodes: usize, addresses: usize) -> Self {
        let names: Vec<NodeName> = (0..nodes).map(|node| format!("node-{node:04}").into()).collect();
        let number: BTreeMap<&NodeName, usize> =
            names.iter().enumerate().map(|(number, name)| (name, number)).collect();
        let first = |address| {
            let candidates = names.iter().map(|node| Candidate { node, preference: 0 }).collect();
            let order = election::order(candidates, address);
            order.iter().take(1 + WATCHERS_PER_ADDRESS).map(|candidate| number[candidate.node]).collect()
        };
        let addresses: Vec<IpAddr> = (0..addresses).map(address).collect();
        let orders = addresses.iter().map(|address| (*address, first(*address))).collect();
        let snapshot = snapshot(&names, &addresses);
        Self { orders, snapshot, names }
    }

    /// The nodes in the order for `address`, the owner first.
    pub(crate) fn order(&self, address: IpAddr) -> &[usize] {
        &self.orders[&address]
    }

    pub(crate) fn owned(&self, node: usize) -> Vec<IpAddr> {
        self.orders.iter().filter(|(_, order)| order[0] == node).map(|(address, _)| *address).collect()
    }

    pub(crate) fn claims(&self, node: usize) -> BTreeMap<IpAddr, Epoch> {
        self.owned(node).into_iter().map(|address| (address, Epoch::FIRST)).collect()
    }

    pub(crate) fn watchers(&self, node: usize) -> BTreeSet<NodeName> {
        let orders = self.orders.values().filter(|order| order[0] == node);
        orders.flat_map(|order| order[1..].iter().map(|next| self.names[*next].clone())).collect()
    }

    pub(crate) fn with_most_addresses(&self) -> usize {
        let mut owned = vec![0; self.names.len()];
        self.orders.values().for_each(|order| owned[order[0]] += 1);
        (0..owned.len()).max_by_key(|node| owned[*node]).unwrap()
    }

    /// The plan of the real thing.
    pub(crate) fn plan(&self, node: usize, knowledge: &Knowledge) -> Plan {
        let mut ownership = knowledge.ownership.clone();
        let hold = |(address, epoch)| (address, Holding { epoch, yielding: None });
        ownership.held.extend(self.claims(node).into_iter().map(hold));
        plan(&Snapshot {
            me: self.names[node].clone(),
            now: knowledge.now,
            alive: knowledge.alive.clone(),
            ownership,
            ..self.snapshot.clone()
        })
    }
}

fn address(number: usize) -> IpAddr {
    Ipv4Addr::from(0x0a80_0000 + u32::try_from(number).unwrap()).into()
}

fn snapshot(names: &[NodeName], addresses: &[IpAddr]) -> Snapshot {
    let service = |address: &IpAddr| {
        let endpoints = ServingEndpoints { any: true, ..ServingEndpoints::default() };
        let service = Service { addresses: vec![*address], endpoints, ..Service::default() };
        (ServiceKey::new("default", format!("of-{address}").replace('.', "-")), service.into())
    };
    let range = "10.128.0.0-10.128.255.255".parse().unwrap();
    let pool = Pool { namespace: "metallb-system".into(), labels: Labels::default(), ranges: vec![range] };
    let advertisement = (ObjectName::new("metallb-system", "all"), L2Advertisement::default());
    let eth0 = Link {
        index: 2,
        name: "eth0".into(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        flags: [LinkFlag::Up, LinkFlag::Carrier, LinkFlag::Broadcast].into(),
        addresses: vec![LinkAddress { address: [10, 0, 0, 1].into(), prefix: "10.0.0.0/8".parse().unwrap() }],
    };
    Snapshot {
        me: names[0].clone(),
        now: Instant::ORIGIN,
        nodes: names.iter().map(|name| (name.clone(), Node::default())).collect(),
        alive: BTreeSet::new(),
        ownership: Ownership::default(),
        services: addresses.iter().map(service).collect(),
        pools: [(PoolName::from("pool"), pool)].into(),
        advertisements: Advertisements {
            l2: [advertisement].into(),
            any_object: true,
            ..Advertisements::default()
        },
        links: vec![eth0],
        exclusions: Exclusions::default(),
        peering: Peering::default(),
    }
}
