//! The objects that the controller decides on, as they were read: from its watches, or listed
//! once to try a change out on them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use ferrolb_api::{AddressClaim, BfdProfile, BgpPeer, BgpSession, Community, NodeState, ServiceL2Status};
use ferrolb_plan as plan;
use ferrolb_vocab::{NodeName, ServiceKey};
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::view::{ControllerView, nodes};
use crate::config::{ConfigObjects, Guarded};
use crate::errors::{brief, is_absent};
use crate::parse::service::SeenService;

/// Everything the controller decides on.
#[derive(Clone, Debug, Default)]
pub struct ControllerObjects {
    /// All Services as they were listed, whole; none where a watch keeps them.
    pub services: Vec<Arc<Service>>,
    /// All Services as a watch keeps them; none where they were listed.
    pub seen_services: Vec<Arc<SeenService>>,
    /// All Namespaces.
    pub namespaces: Vec<Arc<Namespace>>,
    /// All Nodes.
    pub nodes: Vec<Arc<Node>>,
    /// What the speakers reported of their nodes.
    pub node_states: Vec<Arc<NodeState>>,
    /// The networks of cluster addresses; none where the API server is older than the kind.
    pub service_cidrs: Vec<Arc<ServiceCIDR>>,
    /// The claims of all namespaces.
    pub claims: Vec<Guarded<AddressClaim>>,
    /// The configuration.
    pub config: ConfigObjects,
    /// The names for BGP communities.
    pub communities: Vec<Guarded<Community>>,
    /// The BGP peers; none where they were not listed, as no address depends on them.
    pub peers: Vec<Guarded<BgpPeer>>,
    /// The parameters of BFD, likewise.
    pub profiles: Vec<Guarded<BfdProfile>>,
    /// What the speakers reported of their sessions with the peers, likewise.
    pub sessions: Vec<Arc<BgpSession>>,
}

/// A kind could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The API server does not know the kind.
    #[error(
        "the API server does not know {kind}; install FerroLB's CustomResourceDefinitions (deploy/ferrolb.yaml)"
    )]
    UnknownKind {
        /// Its plural.
        kind: String,
    },
    /// The API server refused, or cannot be reached.
    #[error("{kind} cannot be listed: {why}")]
    Refused {
        /// Its plural.
        kind: String,
        /// What the API server said.
        why: String,
    },
}

impl ControllerObjects {
    /// Reads everything once; configuration objects from `namespaces`.
    ///
    /// # Errors
    /// The first kind that could not be listed.
    pub async fn list(client: &Client, namespaces: &[String]) -> Result<Self, ListError> {
        let mut config = ConfigObjects::default();
        let mut communities = Vec::new();
        for namespace in namespaces {
            config.pools.extend(list(Api::namespaced(client.clone(), namespace)).await?);
            config.l2_advertisements.extend(list(Api::namespaced(client.clone(), namespace)).await?);
            config.bgp_advertisements.extend(list(Api::namespaced(client.clone(), namespace)).await?);
            communities.extend(list(Api::namespaced(client.clone(), namespace)).await?);
        }
        Ok(Self {
            services: list(Api::all(client.clone())).await?,
            namespaces: list(Api::all(client.clone())).await?,
            nodes: list(Api::all(client.clone())).await?,
            node_states: list(Api::all(client.clone())).await?,
            service_cidrs: match list(Api::all(client.clone())).await {
                Err(ListError::UnknownKind { .. }) => Vec::new(),
                listed => listed?,
            },
            // An older FerroLB's definitions may be installed, which has none.
            claims: match list(Api::all(client.clone())).await {
                Err(ListError::UnknownKind { .. }) => Vec::new(),
                listed => listed?,
            },
            config,
            communities,
            ..Self::default()
        })
    }

    /// What is read of the Services, wherever they are from.
    pub(super) fn all_services(&self) -> Vec<Arc<SeenService>> {
        let listed = self.services.iter().map(|service| Arc::new(SeenService::of(service)));
        listed.chain(self.seen_services.iter().cloned()).collect()
    }

    /// The nodes with what their speakers reported.
    #[must_use]
    pub fn planned_nodes(&self) -> BTreeMap<NodeName, plan::Node> {
        nodes(&self.nodes, &self.node_states)
    }

    /// The cluster that these objects describe, when we handle Services of `lb_class`.
    #[must_use]
    pub fn view(&self, lb_class: Option<&str>) -> ControllerView {
        ControllerView::of(self, lb_class)
    }
}

/// Reads all `EndpointSlices` once: who can serve, which decides who announces.
///
/// # Errors
/// The API server refused, or cannot be reached.
pub async fn list_endpoint_slices(client: &Client) -> Result<Vec<Arc<EndpointSlice>>, ListError> {
    list(Api::all(client.clone())).await
}

/// Reads all `ServiceL2Status`es of FerroLB's `namespace` once: which node announces each Service.
///
/// # Errors
/// The API server refused, or cannot be reached.
pub async fn list_announcers(
    client: &Client,
    namespace: &str,
) -> Result<BTreeMap<ServiceKey, NodeName>, ListError> {
    let statuses: Vec<Arc<ServiceL2Status>> = list(Api::namespaced(client.clone(), namespace)).await?;
    let announcer = |status: &Arc<ServiceL2Status>| {
        let status = status.status.clone()?;
        let service = ServiceKey::new(status.service_namespace?, status.service_name?);
        Some((service, NodeName::from(status.node?)))
    };
    Ok(statuses.iter().filter_map(announcer).collect())
}

async fn list<K>(api: Api<K>) -> Result<Vec<Arc<K>>, ListError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let kind = K::plural(&()).into_owned();
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items.into_iter().map(Arc::new).collect()),
        Err(error) if is_absent(&error) => Err(ListError::UnknownKind { kind }),
        Err(error) => Err(ListError::Refused { kind, why: brief(&error) }),
    }
}
