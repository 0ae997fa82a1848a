//! The cluster of a scenario, as the API server has it at first.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ferrolb_plan::{
    Advertisements, L2Advertisement, Node as PlanNode, NodePreference, Pool, Service, ServingEndpoints,
};
use ferrolb_vocab::{Labels, ObjectName, Operator, PoolName, Requirement, Selector, ServiceKey};

use crate::network::Node;
use crate::scenario::Scenario;
use crate::speaker::{SpeakerViewParts, name};

/// The addresses of `scenario`.
pub(crate) fn addresses(scenario: &Scenario) -> BTreeSet<IpAddr> {
    let last = |number: usize| u8::try_from(number).expect("few");
    (0..scenario.addresses).map(|number| Ipv4Addr::new(192, 168, 100, 200 + last(number)).into()).collect()
}

/// The label that the advertisement selects nodes by.
const SELECTED: &str = "announces";

/// A node that the advertisement selects, or not.
pub(crate) fn object(node: Node, is_selected: bool) -> PlanNode {
    let selected = if is_selected { "yes" } else { "no" };
    let labels = [("kubernetes.io/hostname", name(node).as_str()), (SELECTED, selected)].into();
    PlanNode { labels, ..PlanNode::default() }
}

/// Whether the advertisement selects it.
pub(crate) fn is_selected(object: &PlanNode) -> bool {
    selected().matches(&object.labels)
}

fn selected() -> Selector {
    selector(SELECTED, Operator::In(["yes".into()].into()))
}

fn selector(key: &str, operator: Operator) -> Selector {
    Selector { requirements: vec![Requirement { key: key.into(), operator }] }
}

fn advertisement(scenario: &Scenario) -> L2Advertisement {
    let hostname = |node| Operator::In([name(node).to_string()].into());
    let prefer =
        |node| NodePreference { weight: 1, selector: selector("kubernetes.io/hostname", hostname(node)) };
    L2Advertisement {
        node_selectors: vec![selected()],
        preferences: scenario.wish.preferred.into_iter().map(prefer).collect(),
        failback: scenario.wish.failback,
        spread: scenario.wish.spread,
        ..L2Advertisement::default()
    }
}

/// Services with one address each, or two, which any node may announce.
pub(crate) fn cluster(scenario: &Scenario) -> SpeakerViewParts {
    let service = |addresses: &[IpAddr]| {
        let endpoints = ServingEndpoints { any: true, ..ServingEndpoints::default() };
        let service = Service { addresses: addresses.to_vec(), endpoints, ..Service::default() };
        (ServiceKey::new("default", format!("of-{}", addresses[0]).replace('.', "-")), service.into())
    };
    let all: Vec<IpAddr> = addresses(scenario).into_iter().collect();
    let services = all.chunks(if scenario.wish.pairs { 2 } else { 1 });
    let range = "192.168.100.200-192.168.100.250".parse().expect("a range");
    let pool = Pool { namespace: "metallb-system".into(), labels: Labels::default(), ranges: vec![range] };
    let advertisement = (ObjectName::new("metallb-system", "all"), advertisement(scenario));
    SpeakerViewParts {
        services: services.map(service).collect(),
        pools: [(PoolName::from("pool"), pool)].into(),
        advertisements: Advertisements {
            l2: [advertisement].into(),
            any_object: true,
            ..Advertisements::default()
        },
        nodes: (0..scenario.nodes).map(|node| (name(node), object(node, true))).collect(),
    }
}
