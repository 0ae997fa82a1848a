//! The cluster of a scenario, as the API server has it at first.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ferrolb_plan::{Advertisements, L2Advertisement, Node as PlanNode, Pool, Service, ServingEndpoints};
use ferrolb_vocab::{Labels, ObjectName, PoolName, ServiceKey};

use crate::scenario::Scenario;
use crate::speaker::{SpeakerViewParts, name};

/// The addresses of `scenario`.
pub(crate) fn addresses(scenario: &Scenario) -> BTreeSet<IpAddr> {
    let last = |number: usize| u8::try_from(number).expect("few");
    (0..scenario.addresses).map(|number| Ipv4Addr::new(192, 168, 100, 200 + last(number)).into()).collect()
}

/// One Service for each address, which any node may announce.
pub(crate) fn cluster(scenario: &Scenario) -> SpeakerViewParts {
    let service = |address: IpAddr| {
        let endpoints = ServingEndpoints { any: true, nodes: BTreeSet::new() };
        let service = Service { addresses: vec![address], endpoints, ..Service::default() };
        (ServiceKey::new("default", format!("of-{address}").replace('.', "-")), service)
    };
    let range = "192.168.100.200-192.168.100.250".parse().expect("a range");
    let pool = Pool { namespace: "metallb-system".into(), labels: Labels::default(), ranges: vec![range] };
    let advertisement = (ObjectName::new("metallb-system", "all"), L2Advertisement::default());
    SpeakerViewParts {
        services: addresses(scenario).into_iter().map(service).collect(),
        pools: [(PoolName::from("pool"), pool)].into(),
        advertisements: Advertisements { l2: [advertisement].into(), any_object: true },
        nodes: (0..scenario.nodes).map(|node| (name(node), PlanNode::default())).collect(),
    }
}
