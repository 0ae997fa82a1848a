//! What this node tells its BGP peers, and what of that is new to tell people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_plan::bgp::{BgpPeer, Endpoint, Plan, Session, Verdict, Weights, Withheld, plan};
use ferrolb_plan::{Peering, Snapshot};
use ferrolb_vocab::{Instant, InterfaceName, NodeName, ObjectName, ServiceKey};

/// What was decided last.
#[derive(Debug, Default)]
pub(super) struct Advertising {
    shutdown_since: Option<Instant>,
    weights: BTreeMap<ObjectName, Arc<Weights>>,
    verdicts: BTreeMap<ServiceKey, Verdict>,
}

/// What is to be of the sessions with BGP peers.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// The peers of this node, each with what it is told.
    pub peers: BTreeMap<ObjectName, Session>,
    /// Whether all of it is about to go away: RFC 8326.
    pub is_shutting_down: bool,
}

/// What one pass found to do about BGP.
pub(super) struct Advertised {
    pub(super) sessions: Sessions,
    /// The Services that are advertised, each with the peers that are to be told.
    pub(super) services: BTreeMap<ServiceKey, Arc<BTreeSet<ObjectName>>>,
    /// When another pass is due, whatever happens.
    pub(super) expires: Option<Instant>,
    /// What is new about a Service.
    pub(super) notices: Vec<(ServiceKey, Notice)>,
}

impl Sessions {
    /// The interfaces behind which there is a peer, whatever its address.
    #[must_use]
    pub fn interfaces(&self) -> BTreeSet<InterfaceName> {
        let interface = |session: &Session| match &session.peer.endpoint {
            Endpoint::Interface(interface) => Some(interface.clone()),
            Endpoint::Address(_) | Endpoint::Range(_) => None,
        };
        self.peers.values().filter_map(interface).collect()
    }
}

impl Advertising {
    /// What the next plan depends on besides objects: `peers`, and what was planned before.
    pub(super) fn peering(&self, peers: BTreeMap<ObjectName, BgpPeer>) -> Peering {
        Peering { peers, shutdown_since: self.shutdown_since, weights: self.weights.clone() }
    }

    /// Since when this node asks its peers to prefer others, if it does.
    pub(super) const fn shutdown_since(&self) -> Option<Instant> {
        self.shutdown_since
    }

    /// The last verdicts; none where nobody uses BGP.
    pub(super) const fn verdicts(&self) -> &BTreeMap<ServiceKey, Verdict> {
        &self.verdicts
    }

    /// Decides about every Service of `snapshot`.
    pub(super) fn decide(&mut self, snapshot: &Snapshot) -> Advertised {
        let is_used = !snapshot.peering.peers.is_empty() || !snapshot.advertisements.bgp.is_empty();
        let planned = if is_used { plan(snapshot) } else { Plan::default() };
        let notices = self.notices(&snapshot.me, &planned);
        let Plan { verdicts, sessions, shutdown_since, weights, expires } = planned;
        let services = verdicts.iter().filter_map(|(service, verdict)| match verdict {
            Verdict::Advertise { peers } => Some((service.clone(), Arc::clone(peers))),
            Verdict::Withhold(_) => None,
        });
        let services = services.collect();
        self.verdicts = verdicts;
        (self.shutdown_since, self.weights) = (shutdown_since, weights);
        let sessions = Sessions { peers: sessions, is_shutting_down: shutdown_since.is_some() };
        Advertised { sessions, services, expires, notices }
    }

    /// What changed since the last pass, also told in the log.
    fn notices(&self, me: &NodeName, planned: &Plan) -> Vec<(ServiceKey, Notice)> {
        let mut notices = Vec::new();
        for (service, verdict) in &planned.verdicts {
            let before = self.verdicts.get(service);
            let was_advertised = matches!(before, Some(Verdict::Advertise { .. }));
            match verdict {
                Verdict::Advertise { .. } if was_advertised => {}
                Verdict::Advertise { .. } => {
                    tracing::info!(%service, node = %me, "this node advertises the Service to its BGP peers");
                    let message = format!("announcing from node \"{me}\" with protocol \"bgp\"");
                    notices.push((service.clone(), Notice::new(EventReason::NodeAssigned, message)));
                }
                Verdict::Withhold(_) if before == Some(verdict) => {}
                Verdict::Withhold(why) => log_withheld(service, why, was_advertised),
            }
        }
        notices
    }
}

/// A Service that this node stops advertising is worth a line; one that it never advertised is not.
fn log_withheld(service: &ServiceKey, why: &Withheld, was_advertised: bool) {
    let reason = why.reason();
    if was_advertised {
        tracing::info!(%service, reason, "this node stops advertising the Service: {why}");
    } else {
        tracing::debug!(%service, reason, "this node does not advertise the Service: {why}");
    }
}
