//! Which node would announce each Service, by the speakers' own plan.
//!
//! A speaker knows more than the API server: which other speakers are alive, and its links. Here
//! every speaker counts as alive, and whoever is elected as able to announce.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ferrolb_cluster::controller::ControllerView;
use ferrolb_cluster::parse::service::planned;
use ferrolb_ipam::Decision;
use ferrolb_plan::{Exclusions, ServingEndpoints, Snapshot, Verdict, Withheld, plan};
use ferrolb_vocab::{NodeName, ServiceKey};

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

/// Elects the announcer of every Service of `view`, with the addresses of `decisions`, among the
/// nodes that have `speakers`.
#[must_use]
pub fn elect(
    view: &ControllerView,
    decisions: &BTreeMap<ServiceKey, Decision>,
    endpoints: &BTreeMap<ServiceKey, ServingEndpoints>,
    speakers: &BTreeSet<NodeName>,
) -> BTreeMap<ServiceKey, Announcer> {
    let service = |(key, object): (&ServiceKey, &std::sync::Arc<_>)| {
        let mut service = planned(object, endpoints.get(key).cloned().unwrap_or_default());
        service.addresses =
            decisions.get(key).map(|decision| decision.addresses().to_vec()).unwrap_or_default();
        (key.clone(), service)
    };
    let mut snapshot = Snapshot {
        me: NodeName::from(""),
        nodes: view.nodes.clone(),
        alive: speakers.clone(),
        services: view.services.iter().map(service).collect(),
        pools: view.announced_pools.clone(),
        advertisements: view.advertisements.clone(),
        links: Vec::new(),
        exclusions: Exclusions::default(),
    };
    let why = "the cluster has no node with a speaker".to_owned();
    let nobody = Announcer::Nobody { reason: "NoSpeaker", why };
    let mut announcers: BTreeMap<_, _> =
        snapshot.services.keys().map(|key| (key.clone(), nobody.clone())).collect();
    // Any candidate knows who is elected, so nearly every Service is settled by the first node.
    for me in speakers.iter().filter(|speaker| view.nodes.contains_key(*speaker)) {
        snapshot.me = me.clone();
        for (key, verdict) in plan(&snapshot).verdicts {
            let (announcer, is_settled) = judge(me, verdict);
            if is_settled {
                snapshot.services.remove(&key);
            }
            announcers.insert(key, announcer);
        }
    }
    announcers
}

/// What the verdict of one node says about all, and whether another could say otherwise.
fn judge(me: &NodeName, verdict: Verdict) -> (Announcer, bool) {
    let why = match verdict {
        // Its links are not known here; it is elected all the same.
        Verdict::Announce(_) | Verdict::Withhold(Withheld::NoUsableInterface { .. }) => {
            return (Announcer::Node(me.clone()), true);
        }
        Verdict::Withhold(Withheld::ElectionLost { owner }) => return (Announcer::Node(owner), true),
        Verdict::Withhold(why) => why,
    };
    let nobody = |why: String, reason| Announcer::Nobody { reason, why };
    match &why {
        Withheld::NodeNotSelected => {
            let text = "no advertisement of the Service covers a node that has a speaker, or, without any \
                        advertisement, the address lies in no subnet of such a node";
            (nobody(text.into(), why.reason()), false)
        }
        Withheld::NodeNotEligible => {
            let text = "every node that may announce it is excluded, has no network, or has no endpoint of it \
                        under externalTrafficPolicy Local";
            (nobody(text.into(), why.reason()), false)
        }
        Withheld::NoAddress
        | Withheld::AddressOutsidePools { .. }
        | Withheld::NoServingEndpoint
        | Withheld::NoMatchingAdvertisement
        | Withheld::SharedAddressWithServiceSelector
        | Withheld::ElectionLost { .. }
        | Withheld::NoUsableInterface { .. } => (nobody(why.to_string(), why.reason()), true),
    }
}
