//! What a speaker writes: its `NodeState`, and a `ServiceL2Status` for every Service it announces.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use ferrolb_api::node_state::{NodeStateFields, NodeStateStatus};
use ferrolb_api::service_l2_status::{InterfaceInfo, ServiceL2StatusSpec, ServiceL2StatusStatus};
use ferrolb_api::{NodeState, SPEAKER, ServiceL2Status, labels};
use ferrolb_vocab::{InterfaceName, NodeName, ServiceKey};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt};

use super::view::SpeakerWatches;
use crate::errors::{is_absent, is_conflict};

/// What a speaker has to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What it sees of its node.
    pub node_state: NodeStateStatus,
    /// The UID of its Node: the state is removed together with it.
    pub node_uid: Option<String>,
    /// The Services it announces.
    pub announced: BTreeMap<ServiceKey, AnnouncedService>,
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
    owner: Option<OwnerReference>,
    node_states: Api<NodeState>,
    known_states: Store<NodeState>,
    l2_statuses: Api<ServiceL2Status>,
    known_l2_statuses: Store<ServiceL2Status>,
}

impl Reporter {
    /// A reporter for `node`, with its status objects in `namespace`, removed together with
    /// the Pod of this name and UID.
    #[must_use]
    pub fn new(
        client: &Client,
        namespace: &str,
        node: NodeName,
        pod: Option<(&str, &str)>,
        watches: &SpeakerWatches,
    ) -> Self {
        let owner = pod.map(|(name, uid)| owner("v1", "Pod", name, uid));
        Self {
            node,
            owner,
            node_states: Api::all(client.clone()),
            known_states: watches.node_states.clone(),
            l2_statuses: Api::namespaced(client.clone(), namespace),
            known_l2_statuses: watches.l2_statuses.clone(),
        }
    }

    /// Writes what differs from `report`, as far as the local copies know.
    ///
    /// # Errors
    /// The first write that the API server refused. The others are written.
    pub async fn write(&self, report: &Report) -> Result<(), kube::Error> {
        let node_state = self.write_node_state(report).await;
        let superfluous = self.superfluous(report);
        let removals: Vec<_> = superfluous.iter().map(|status| self.remove_l2_status(status)).collect();
        let removed = all(removals).await;
        let statuses: Vec<_> = report
            .announced
            .iter()
            .map(|(service, announced)| self.write_l2_status(service, &announced.interfaces))
            .collect();
        let written = all(statuses).await;
        node_state.and(removed).and(written)
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

    fn superfluous(&self, report: &Report) -> Vec<Arc<ServiceL2Status>> {
        self.known_l2_statuses.state_filter(|status| is_superfluous(status, &self.node, report))
    }

    async fn remove_l2_status(&self, status: &ServiceL2Status) -> Result<(), kube::Error> {
        let name = status.name_any();
        tolerate_absence(self.l2_statuses.delete(&name, &DeleteParams::default()).await)
    }

    async fn write_l2_status(
        &self,
        service: &ServiceKey,
        interfaces: &BTreeSet<InterfaceName>,
    ) -> Result<(), kube::Error> {
        let name = status_name(service, &self.node);
        let interfaces = interfaces.iter().map(|name| InterfaceInfo { name: name.to_string() }).collect();
        let wanted = ServiceL2StatusStatus {
            node: Some(self.node.to_string()),
            service_name: Some((*service.name).into()),
            service_namespace: Some((*service.namespace).into()),
            interfaces,
        };
        let namespace = self.l2_statuses.namespace().unwrap_or_default();
        let known = self.known_l2_statuses.get(&ObjectRef::new(&name).within(namespace));
        if let Some(known) = &known {
            self.adopt(known).await?;
        }
        if known.as_ref().is_some_and(|known| known.status.as_ref() == Some(&wanted)) {
            return Ok(());
        }
        if known.is_none() {
            let object = self.l2_status(&name, service);
            tolerate_presence(self.l2_statuses.create(&PostParams::default(), &object).await)?;
        }
        let status = Patch::Merge(serde_json::json!({ "status": wanted }));
        tolerate_absence(self.l2_statuses.patch_status(&name, &PatchParams::default(), &status).await)
    }

    /// Ties the object to our Pod, if it was made by the one before, whose end would take it along.
    async fn adopt(&self, known: &ServiceL2Status) -> Result<(), kube::Error> {
        let Some(owner) = &self.owner else { return Ok(()) };
        if known.owner_references().iter().any(|known| known.uid == owner.uid) {
            return Ok(());
        }
        let owned = Patch::Merge(serde_json::json!({ "metadata": { "ownerReferences": [owner] } }));
        tolerate_absence(self.l2_statuses.patch(&known.name_any(), &PatchParams::default(), &owned).await)
    }

    fn l2_status(&self, name: &str, service: &ServiceKey) -> ServiceL2Status {
        let mut object = ServiceL2Status::new(name, ServiceL2StatusSpec::default());
        object.metadata = ObjectMeta {
            labels: Some(
                [
                    (labels::NODE.into(), self.node.to_string()),
                    (labels::SERVICE_NAME.into(), (*service.name).into()),
                    (labels::SERVICE_NAMESPACE.into(), (*service.namespace).into()),
                ]
                .into(),
            ),
            owner_references: self.owner.clone().map(|owner| vec![owner]),
            ..object.metadata
        };
        object
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
        Some(_) if node == *me => status.name_any() != status_name(&service, me),
        Some(announced) => announced.is_whole || !report.alive.contains(&node),
    }
}

/// One name per Service and node, so that a retry finds what the first try made. FNV-1a
/// keeps it short; the object's labels say what it is about.
fn status_name(service: &ServiceKey, node: &NodeName) -> String {
    let text = format!("{service}#{node}");
    let hash = text.bytes().fold(FNV_OFFSET, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(FNV_PRIME));
    format!("l2-{hash:016x}")
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

fn owner(api_version: &str, kind: &str, name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: api_version.into(),
        kind: kind.into(),
        name: name.into(),
        uid: uid.into(),
        ..OwnerReference::default()
    }
}

/// What is to be gone may be gone already.
fn tolerate_absence<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if is_absent(&error) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// What is to be there may be there already, before our copy shows it.
fn tolerate_presence<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if is_conflict(&error) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Carries out all `writes`, one after another; the first error.
async fn all<E>(writes: impl IntoIterator<Item = impl Future<Output = Result<(), E>>>) -> Result<(), E> {
    let mut done = Ok(());
    for write in writes {
        let written = write.await;
        done = done.and(written);
    }
    done
}

#[cfg(test)]
mod tests;
