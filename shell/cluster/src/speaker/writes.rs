//! What a speaker writes: its `NodeState`, a `ServiceL2Status` for every Service it announces, a
//! `ServiceBGPStatus` for every one that it advertises, and a `BGPSession` for each of its peers.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_api::node_state::{NodeStateFields, NodeStateStatus};
use ferrolb_api::service_bgp_status::ServiceBgpStatusStatus;
use ferrolb_api::service_l2_status::{InterfaceInfo, ServiceL2StatusStatus};
use ferrolb_api::{BgpSession, NodeState, SPEAKER, ServiceBgpStatus, ServiceL2Status, labels};
use ferrolb_vocab::{InterfaceName, NodeName, ObjectName, ServiceKey};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt};

use super::statuses::{Statuses, status_name};
use super::view::SpeakerWatches;
use crate::configuration_state::ConfigurationStateWriter;
use crate::controller::writes::Condition;

/// What a speaker has to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What it sees of its node.
    pub node_state: NodeStateStatus,
    /// The UID of its Node: the state is removed together with it.
    pub node_uid: Option<String>,
    /// The Services it announces.
    pub announced: BTreeMap<ServiceKey, AnnouncedService>,
    /// The Services that it advertises by BGP, each with the `BGPPeer`s that are to be told, at least one.
    pub advertised: BTreeMap<ServiceKey, Arc<BTreeSet<ObjectName>>>,
    /// What it judges of the configuration, if it has judged.
    pub configuration: Option<Condition>,
    /// How its sessions with BGP peers are. What they are about is filled in when they are written, unless it is
    /// not the object of that name.
    pub sessions: BTreeMap<ObjectName, BgpSessionStatus>,
    /// The nodes whose speakers are there to remove what they wrote.
    pub alive: BTreeSet<NodeName>,
}

/// A Service that this node announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedService {
    /// The interfaces that advertisements chose by name.
    pub interfaces: BTreeSet<InterfaceName>,
    /// Whether this node owns all of its addresses, so that no other node announces it.
    pub is_whole: bool,
}

/// Makes the API server's objects say what a [`Report`] says.
#[derive(Debug)]
pub struct Reporter {
    node: NodeName,
    node_states: Api<NodeState>,
    known_states: Store<NodeState>,
    l2_statuses: Statuses<ServiceL2Status>,
    bgp_statuses: Statuses<ServiceBgpStatus>,
    sessions: Statuses<BgpSession>,
    configuration_state: ConfigurationStateWriter,
}

impl Reporter {
    /// A reporter for `node`, with its status objects in `namespace`, removed together with
    /// the Pod that is their `owner`.
    #[must_use]
    pub fn new(
        client: &Client,
        namespace: &str,
        (node, owner): (NodeName, Option<OwnerReference>),
        watches: &SpeakerWatches,
        configuration_state: ConfigurationStateWriter,
    ) -> Self {
        Self {
            node,
            node_states: Api::all(client.clone()),
            known_states: watches.node_states.clone(),
            l2_statuses: Statuses::new(client, namespace, &watches.l2_statuses, owner.clone()),
            bgp_statuses: Statuses::new(client, namespace, &watches.bgp_statuses, owner.clone()),
            sessions: Statuses::new(client, namespace, &watches.sessions, owner),
            configuration_state,
        }
    }

    /// Writes what differs from `report`, as far as the local copies know.
    ///
    /// # Errors
    /// The first write that the API server refused. The others are written.
    pub async fn write(&mut self, report: &Report) -> Result<(), kube::Error> {
        // First what there is little of: there may be thousands of Services.
        let node_state = self.write_node_state(report).await;
        let sessions = self.write_sessions(report).await;
        let configuration_state = match &report.configuration {
            Some(verdict) => self.configuration_state.write(verdict).await,
            None => Ok(()),
        };
        let l2_statuses = self.write_l2_statuses(report).await;
        let bgp_statuses = self.write_bgp_statuses(report).await;
        node_state.and(sessions).and(configuration_state).and(l2_statuses).and(bgp_statuses)
    }

    async fn write_node_state(&self, report: &Report) -> Result<(), kube::Error> {
        let known = self.known_states.get(&ObjectRef::new(self.node.as_str()));
        let known = known.as_ref().and_then(|state| state.status.as_ref());
        if known.is_some_and(|known| known.same_observation(&report.node_state)) {
            return Ok(());
        }
        let node = self.node.as_str();
        let mut state = NodeState::new(node, NodeStateFields::default());
        state.metadata.owner_references =
            report.node_uid.as_deref().map(|uid| vec![owner("v1", "Node", node, uid)]);
        let observed_at = Some(Time(Timestamp::now()));
        state.status = Some(NodeStateStatus { observed_at, ..report.node_state.clone() });
        let parameters = PatchParams::apply(SPEAKER).force();
        self.node_states.patch(node, &parameters, &Patch::Apply(&state)).await.map(|_| ())
    }

    async fn write_l2_statuses(&self, report: &Report) -> Result<(), kube::Error> {
        let removed = self.l2_statuses.remove(|status| is_superfluous(status, &self.node, report)).await;
        let statuses = report.announced.iter();
        let writes: Vec<_> = statuses.map(|(service, one)| self.write_l2_status(service, one)).collect();
        removed.and(all(writes).await)
    }

    async fn write_l2_status(
        &self,
        service: &ServiceKey,
        announced: &AnnouncedService,
    ) -> Result<(), kube::Error> {
        let interface = |name: &InterfaceName| InterfaceInfo { name: name.to_string() };
        let status = ServiceL2StatusStatus {
            node: Some(self.node.to_string()),
            service_name: Some((*service.name).into()),
            service_namespace: Some((*service.namespace).into()),
            interfaces: announced.interfaces.iter().map(interface).collect(),
        };
        self.l2_statuses.write(&l2_name(service, &self.node), &self.labels(service), &status).await
    }

    async fn write_bgp_statuses(&self, report: &Report) -> Result<(), kube::Error> {
        let name = |service: &ServiceKey| status_name("bgp", service, &self.node);
        let names: BTreeSet<String> = report.advertised.keys().map(name).collect();
        let removed = self.bgp_statuses.remove(|status| !names.contains(&status.name_any())).await;
        let statuses = report.advertised.iter();
        let writes: Vec<_> = statuses.map(|(service, peers)| self.write_bgp_status(service, peers)).collect();
        removed.and(all(writes).await)
    }

    async fn write_bgp_status(
        &self,
        service: &ServiceKey,
        peers: &BTreeSet<ObjectName>,
    ) -> Result<(), kube::Error> {
        let status = bgp_status(&self.node, service, peers);
        let name = status_name("bgp", service, &self.node);
        self.bgp_statuses.write(&name, &self.labels(service), &status).await
    }

    async fn write_sessions(&self, report: &Report) -> Result<(), kube::Error> {
        let name = |peer: &ObjectName| status_name("bgp", peer, &self.node);
        let names: BTreeSet<String> = report.sessions.keys().map(name).collect();
        let removed = self.sessions.remove(|session| !names.contains(&session.name_any())).await;
        let sessions = report.sessions.iter();
        let writes: Vec<_> = sessions.map(|(peer, session)| self.write_session(peer, session)).collect();
        removed.and(all(writes).await)
    }

    async fn write_session(&self, peer: &ObjectName, session: &BgpSessionStatus) -> Result<(), kube::Error> {
        let status = BgpSessionStatus {
            node: Some(self.node.to_string()),
            peer: session.peer.clone().or_else(|| Some(peer.name.clone())),
            peer_namespace: Some(peer.namespace.clone()),
            ..session.clone()
        };
        let labels = [(labels::NODE.to_owned(), self.node.to_string())].into();
        self.sessions.write(&status_name("bgp", peer, &self.node), &labels, &status).await
    }

    /// The labels of a status about a Service.
    fn labels(&self, service: &ServiceKey) -> BTreeMap<String, String> {
        [
            (labels::NODE, self.node.as_str()),
            (labels::SERVICE_NAME, &*service.name),
            (labels::SERVICE_NAMESPACE, &*service.namespace),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }
}

/// What is said of a Service that is advertised to `peers`, whether or not their sessions are up.
fn bgp_status(node: &NodeName, service: &ServiceKey, peers: &BTreeSet<ObjectName>) -> ServiceBgpStatusStatus {
    let names: BTreeSet<&String> = peers.iter().map(|peer| &peer.name).collect();
    ServiceBgpStatusStatus {
        node: Some(node.to_string()),
        service_name: Some((*service.name).into()),
        service_namespace: Some((*service.namespace).into()),
        peers: names.into_iter().cloned().collect(),
    }
}

/// Whether `status` is about a Service that `me` does not announce; or of another node, about one that
/// only `me` can announce, or that the node could not remove because it died.
fn is_superfluous(status: &ServiceL2Status, me: &NodeName, report: &Report) -> bool {
    let label = |key| status.labels().get(key).map(String::as_str).unwrap_or_default();
    let service = ServiceKey::new(label(labels::SERVICE_NAMESPACE), label(labels::SERVICE_NAME));
    let node = NodeName::from(label(labels::NODE));
    match report.announced.get(&service) {
        None => node == *me,
        Some(_) if node == *me => status.name_any() != l2_name(&service, me),
        Some(announced) => announced.is_whole || !report.alive.contains(&node),
    }
}

fn l2_name(service: &ServiceKey, node: &NodeName) -> String {
    status_name("l2", service, node)
}

/// The Pod of this name and UID, for what is to be removed together with it.
#[must_use]
pub fn pod_owner(name: &str, uid: &str) -> OwnerReference {
    owner("v1", "Pod", name, uid)
}

fn owner(api_version: &str, kind: &str, name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: api_version.into(),
        kind: kind.into(),
        name: name.into(),
        uid: uid.into(),
        ..OwnerReference::default()
    }
}

/// Carries out all `writes`, one after another; the first error.
pub(super) async fn all<E>(
    writes: impl IntoIterator<Item = impl Future<Output = Result<(), E>>>,
) -> Result<(), E> {
    let mut done = Ok(());
    for write in writes {
        let written = write.await;
        done = done.and(written);
    }
    done
}

#[cfg(test)]
mod tests;
