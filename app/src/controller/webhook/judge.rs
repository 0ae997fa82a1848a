//! Whether a write may happen. Pure: the request and the cluster in, the verdict out.
//!
//! The configuration is judged twice, as it is and as it would be with the object put in. What is
//! new in the second judgement is this write's doing and denies it; an old mistake, of this object
//! or of another, denies nothing.

use std::sync::Arc;

use ferrolb_admission::{AdmissionRequest, Operation, Verdict};
use ferrolb_api::METALLB_NAMESPACE;
use ferrolb_cluster::config::Guarded;
use ferrolb_cluster::controller::ControllerObjects;
use ferrolb_cluster::parse::ObjectError;
use ferrolb_cluster::parse::peering::{self, Viewpoint};
use ferrolb_cluster::webhook::PeeringObjects;
use kube::Resource;
use kube::core::DeserializeGuard;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::ScopeConfig;

/// What a write is judged against.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    pub(super) objects: ControllerObjects,
    pub(super) peering: PeeringObjects,
}

/// The kinds that are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    IpAddressPool,
    L2Advertisement,
    BgpAdvertisement,
    BgpPeer,
    Community,
    BfdProfile,
}

/// Whether the write that `request` announces may happen in `cluster`.
pub(super) fn verdict(request: &AdmissionRequest, cluster: &Cluster, scope: &ScopeConfig) -> Verdict {
    let Some(kind) = Kind::named(&request.kind.group, &request.kind.kind) else { return Verdict::Allow };
    let is_read = scope.config_namespaces.contains(&request.namespace);
    match (request.operation, is_read) {
        (Operation::Create, false) => Verdict::Deny(wrong_namespace(scope)),
        (Operation::Create | Operation::Update, true) => judge_put(kind, request, cluster, scope),
        (Operation::Delete, true) => judge_deletion(kind, request, cluster),
        // An object that nobody reads does no harm, and must stay deletable.
        (Operation::Update | Operation::Delete, false) | (Operation::Connect, _) => Verdict::Allow,
    }
}

/// The object's name, also when it is deleted.
pub(super) fn name_of(request: &AdmissionRequest) -> &str {
    let mut objects = [&request.object, &request.old_object].into_iter();
    objects.find_map(|object| object.pointer("/metadata/name")?.as_str()).unwrap_or_default()
}

fn judge_put(kind: Kind, request: &AdmissionRequest, cluster: &Cluster, scope: &ScopeConfig) -> Verdict {
    let mut after = cluster.clone();
    if let Err(error) = kind.put(&mut after, &request.object) {
        return Verdict::Deny(format!("the object does not have the shape of its kind: {error}"));
    }
    let subject = (request.namespace.as_str(), name_of(request));
    let before = kind.errors(cluster, scope);
    let new = kind.errors(&after, scope).into_iter().filter(|error| is_new(error, subject, &before));
    let messages: Vec<String> = new.map(|error| error.message).collect();
    if messages.is_empty() { Verdict::Allow } else { Verdict::Deny(messages.join("; ")) }
}

fn judge_deletion(kind: Kind, request: &AdmissionRequest, cluster: &Cluster) -> Verdict {
    let in_use = match kind {
        Kind::BfdProfile => {
            peering::profile_in_use(&request.namespace, name_of(request), &cluster.peering.peers)
        }
        Kind::IpAddressPool
        | Kind::L2Advertisement
        | Kind::BgpAdvertisement
        | Kind::BgpPeer
        | Kind::Community => None,
    };
    in_use.map_or(Verdict::Allow, Verdict::Deny)
}

/// Whether `error` is this write's doing. The object that is written must not say anything it did
/// not say before; of another, which may say the same with new words now, only a new reason counts.
fn is_new(error: &ObjectError, subject: (&str, &str), before: &[ObjectError]) -> bool {
    let place = |error: &ObjectError| (error.object.namespace.clone(), error.object.name.clone());
    let is_subject = place(error) == (Some(subject.0.into()), Some(subject.1.into()));
    !before.iter().any(|old| {
        place(old) == place(error)
            && old.reason == error.reason
            && (!is_subject || old.message == error.message)
    })
}

/// MetalLB's words, its own namespace first: that is the one its users know.
fn wrong_namespace(scope: &ScopeConfig) -> String {
    let mut namespaces: Vec<&str> = scope.config_namespaces.iter().map(String::as_str).collect();
    namespaces.sort_by_key(|namespace| *namespace != METALLB_NAMESPACE);
    let (first, others) = namespaces.split_first().unwrap_or((&METALLB_NAMESPACE, &[]));
    let others: String = others.iter().map(|namespace| format!(" or in {namespace}")).collect();
    format!("resource must be created in {first} namespace{others}; FerroLB reads no other")
}

impl Kind {
    fn named(group: &str, kind: &str) -> Option<Self> {
        match (group, kind) {
            ("metallb.io", "IPAddressPool") => Some(Self::IpAddressPool),
            ("metallb.io", "L2Advertisement") => Some(Self::L2Advertisement),
            ("metallb.io", "BGPAdvertisement") => Some(Self::BgpAdvertisement),
            ("metallb.io", "BGPPeer") => Some(Self::BgpPeer),
            ("metallb.io", "Community") => Some(Self::Community),
            ("metallb.io", "BFDProfile") => Some(Self::BfdProfile),
            (_, _) => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::IpAddressPool => "IPAddressPool",
            Self::L2Advertisement => "L2Advertisement",
            Self::BgpAdvertisement => "BGPAdvertisement",
            Self::BgpPeer => "BGPPeer",
            Self::Community => "Community",
            Self::BfdProfile => "BFDProfile",
        }
    }

    /// Puts an object in the place of the one of its name.
    fn put(self, cluster: &mut Cluster, object: &Value) -> Result<(), serde_json::Error> {
        let (config, peering) = (&mut cluster.objects.config, &mut cluster.peering);
        match self {
            Self::IpAddressPool => put(&mut config.pools, object),
            Self::L2Advertisement => put(&mut config.l2_advertisements, object),
            Self::BgpAdvertisement => put(&mut config.bgp_advertisements, object),
            Self::BgpPeer => put(&mut peering.peers, object),
            Self::Community => put(&mut cluster.objects.communities, object),
            // Each field has its bounds in the definition, and there is no more to it.
            Self::BfdProfile => Ok(()),
        }
    }

    /// What is wrong with the objects of this kind.
    fn errors(self, cluster: &Cluster, scope: &ScopeConfig) -> Vec<ObjectError> {
        let (objects, peering) = (&cluster.objects, &cluster.peering);
        match self {
            Self::IpAddressPool | Self::L2Advertisement | Self::Community => {
                let config = objects.view(scope.lb_class.as_deref()).config;
                let of_kind = |object: &ObjectError| object.object.kind.as_deref() == Some(self.name());
                config.into_iter().flat_map(|object| object.errors).filter(of_kind).collect()
            }
            Self::BgpAdvertisement => {
                let (nodes, config) = (objects.planned_nodes(), &objects.config);
                let viewpoint = Viewpoint::AllNodes(&nodes);
                peering::advertisement_errors(&config.bgp_advertisements, &config.pools, viewpoint)
            }
            Self::BgpPeer => {
                peering::peer_errors(&peering.peers, Viewpoint::AllNodes(&objects.planned_nodes()))
            }
            Self::BfdProfile => Vec::new(),
        }
    }
}

fn put<K>(list: &mut Vec<Guarded<K>>, object: &Value) -> Result<(), serde_json::Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let object: DeserializeGuard<K> = serde_json::from_value(object.clone())?;
    let place = |object: &DeserializeGuard<K>| (object.meta().namespace.clone(), object.meta().name.clone());
    list.retain(|known| place(known) != place(&object));
    list.push(Arc::new(object));
    Ok(())
}

#[cfg(test)]
mod tests;
