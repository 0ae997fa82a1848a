//! Which node would announce each Service, by the speakers' own plan.
//!
//! A speaker knows more than the API server: which other speakers are alive, and its links. Here
//! every speaker counts as alive, and whoever is elected as able to announce.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_cluster::controller::ControllerView;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_ipam::Decision;
use ferrolb_plan::{Exclusions, Ownership, Peering, ServingEndpoints, Snapshot, Withheld, owners};
use ferrolb_vocab::{Epoch, Instant, NodeName, ServiceKey};

/// Who announces a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcer {
    /// This node.
    Node(NodeName),
    /// No node.
    Nobody {
        /// The stable name of the reason.
        reason: &'static str,
        /// Why, for a person.
        why: String,
    },
}

impl fmt::Display for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Nobody { .. } => f.write_str("nobody"),
        }
    }
}

/// What decides who announces, besides the objects.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Who can serve.
    pub endpoints: BTreeMap<ServiceKey, ServingEndpoints>,
    /// Who announces now, and goes on as long as it may.
    pub announcers: BTreeMap<ServiceKey, NodeName>,
}

impl Traffic {
    /// What each node owns now: the addresses that the Services it announces have now.
    fn claims(&self, view: &ControllerView) -> BTreeMap<NodeName, BTreeMap<IpAddr, Epoch>> {
        let mut claims: BTreeMap<NodeName, BTreeMap<IpAddr, Epoch>> = BTreeMap::new();
        for (key, node) in &self.announcers {
            let service = view.services.get(key).map(|service| service.planned(ServingEndpoints::default()));
            let addresses = service.into_iter().flat_map(|service| service.addresses);
            claims.entry(node.clone()).or_default().extend(addresses.map(|address| (address, Epoch::FIRST)));
        }
        claims
    }
}

/// Elects the announcer of every Service of `view`, with the addresses of `decisions`, among the
/// nodes that have `speakers`.
#[must_use]
pub fn elect(
    view: &ControllerView,
    decisions: &BTreeMap<ServiceKey, Decision>,
    traffic: &Traffic,
    speakers: &BTreeSet<NodeName>,
) -> BTreeMap<ServiceKey, Announcer> {
    let service = |(key, service): (&ServiceKey, &Arc<SeenService>)| {
        let mut service = service.planned(traffic.endpoints.get(key).cloned().unwrap_or_default());
        service.addresses =
            decisions.get(key).map(|decision| decision.addresses().to_vec()).unwrap_or_default();
        (key.clone(), Arc::new(service))
    };
    let snapshot = Snapshot {
        me: NodeName::from(""),
        now: Instant::ORIGIN,
        nodes: view.nodes.clone(),
        alive: speakers.clone(),
        ownership: Ownership { claims: traffic.claims(view), ..Ownership::default() },
        services: view.services.iter().map(service).collect(),
        pools: view.announced_pools.clone(),
        advertisements: view.advertisements.clone(),
        links: Vec::new(),
        exclusions: Exclusions::default(),
        peering: Peering::default(),
    };
    let announcer = |(key, owner): (ServiceKey, Result<NodeName, Withheld>)| {
        (key, owner.map_or_else(|why| nobody(&why, speakers), Announcer::Node))
    };
    owners(&snapshot).into_iter().map(announcer).collect()
}

/// Why no node is elected, as a person sees it who looks at all of them.
fn nobody(why: &Withheld, speakers: &BTreeSet<NodeName>) -> Announcer {
    if speakers.is_empty() {
        let why = "the cluster has no node with a speaker".to_owned();
        return Announcer::Nobody { reason: "NoSpeaker", why };
    }
    let text = match why {
        Withheld::NodeNotSelected => {
            "no advertisement of the Service covers a node that has a speaker, or, without any \
             advertisement, the address lies in no subnet of such a node"
                .into()
        }
        Withheld::NodeNotEligible => {
            "every node that may announce it is excluded, has no network, or has no endpoint of it \
             under externalTrafficPolicy Local"
                .into()
        }
        Withheld::NoAddress
        | Withheld::AddressOutsidePools { .. }
        | Withheld::NoServingEndpoint
        | Withheld::NoMatchingAdvertisement
        | Withheld::SharedAddressWithServiceSelector
        | Withheld::NodeDraining
        | Withheld::OwnersUnknown
        | Withheld::ElectionLost { .. }
        | Withheld::CutOff
        | Withheld::NoUsableInterface { .. } => why.to_string(),
    };
    Announcer::Nobody { reason: why.reason(), why: text }
}
