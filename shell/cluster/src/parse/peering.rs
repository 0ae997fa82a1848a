//! What the objects of BGP mean together, and where they contradict each other.
//!
//! A contradiction is told at the later of the two objects, by name. Both stay in what was read:
//! [`ferrolb_plan::bgp`] goes by the earlier, where the two meet, and by each where they do not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_api::{BfdProfile, BgpAdvertisement, BgpPeer, Community, IpAddressPool, parse_selector};
use ferrolb_plan as plan;
use ferrolb_vocab::{IpFamily, Labels, NodeName, ObjectName};
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

use super::bfd_profile::bfd_profile;
use super::bgp_advertisement::bgp_advertisement;
use super::bgp_peer::{References, bgp_peer};
use super::community::{Aliases, aliases};
use super::{ObjectError, readable};
use crate::config::Guarded;

mod contradictions;

pub use contradictions::{aggregation_errors, duplicate_peers, echo_errors, local_pref_errors};

/// The objects of BGP, of all namespaces they are read from.
#[derive(Clone, Debug, Default)]
pub struct BgpObjects {
    /// The peers.
    pub peers: Vec<Guarded<BgpPeer>>,
    /// The advertisements.
    pub advertisements: Vec<Guarded<BgpAdvertisement>>,
    /// The names for communities.
    pub communities: Vec<Guarded<Community>>,
    /// The parameters of BFD.
    pub profiles: Vec<Guarded<BfdProfile>>,
    /// The Secrets, as far as peers name them; `None` for who may not read them.
    pub secrets: Option<Vec<Arc<Secret>>>,
}

/// What they mean.
#[derive(Clone, Debug, Default)]
pub struct BgpConfig {
    /// The peers of all nodes.
    pub peers: BTreeMap<ObjectName, plan::BgpPeer>,
    /// The advertisements of all nodes.
    pub advertisements: BTreeMap<ObjectName, plan::BgpAdvertisement>,
    /// What is wrong, in what is asked about.
    pub errors: Vec<ObjectError>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Viewpoint<'a> {
    /// Whoever judges for all nodes; as long as none is known, any may be there.
    AllNodes(&'a BTreeMap<NodeName, plan::Node>),
    /// A node with these labels, which judges what it has to do with.
    Node(&'a Labels),
}

impl<'a> Viewpoint<'a> {
    /// The labels of each node; `None` for one that nobody knows yet, which may have any.
    fn nodes(self) -> Vec<Option<&'a Labels>> {
        match self {
            Self::AllNodes(nodes) if nodes.is_empty() => vec![None],
            Self::AllNodes(nodes) => nodes.values().map(|node| Some(&node.labels)).collect(),
            Self::Node(labels) => vec![Some(labels)],
        }
    }

    /// Whether an object with these `nodeSelectors` is to be judged from here: also one that selects
    /// nobody knows whom.
    fn concerns(self, selectors: &[LabelSelector]) -> bool {
        let Self::Node(labels) = self else { return true };
        let selected = |one| parse_selector(one).map_or(true, |selector| selector.matches(labels));
        selectors.is_empty() || selectors.iter().any(selected)
    }
}

impl BgpObjects {
    /// Reads all of it. An object that means nothing any more goes on as in `known`, which was read
    /// before: a mistake takes no route off the network. It is told all the same.
    #[must_use]
    pub fn read(
        &self,
        pools: &[Guarded<IpAddressPool>],
        known: &BgpConfig,
        viewpoint: Viewpoint<'_>,
    ) -> BgpConfig {
        let (communities, _told_by_the_controller) = readable(&self.communities);
        let (pools, _told_by_the_controller) = readable(pools);
        let profiles = bfd_profiles(&self.profiles).0;
        let named = |secret: &Arc<Secret>| (object_name(secret.as_ref()), Arc::clone(secret));
        let secrets: Option<BTreeMap<_, _>> =
            self.secrets.as_ref().map(|secrets| secrets.iter().map(named).collect());
        let references = References { profiles: &profiles, secrets: secrets.as_ref() };

        let (peers, mut errors) = bgp_peers(&self.peers, Some(&references), &known.peers);
        let read =
            bgp_advertisements(&self.advertisements, Some(&aliases(&communities)), &known.advertisements);
        let advertisements = read.0;
        errors.extend(read.1);
        let (peer_objects, _told_above) = readable(&self.peers);
        let (advertisement_objects, _told_above) = readable(&self.advertisements);
        errors.extend(duplicate_peers(&peer_objects, &peers, viewpoint));
        errors.extend(aggregation_errors(&advertisement_objects, &advertisements, &pools));
        errors.extend(local_pref_errors(&advertisement_objects, &advertisements, &pools, viewpoint));
        errors.extend(echo_errors(&peer_objects, &peers, &advertisements, &pools));

        let peers_of_others = peer_objects.iter().filter(|one| !viewpoint.concerns(&one.spec.node_selectors));
        let of_others =
            advertisement_objects.iter().filter(|one| !viewpoint.concerns(&one.spec.node_selectors));
        let foreign: Vec<ObjectReference> =
            peers_of_others.map(super::reference).chain(of_others.map(super::reference)).collect();
        errors.retain(|error| !foreign.contains(&error.object));
        BgpConfig { peers, advertisements, errors }
    }
}

/// The profiles, and what is wrong with those that cannot be used.
#[must_use]
pub fn bfd_profiles(
    objects: &[Guarded<BfdProfile>],
) -> (BTreeMap<ObjectName, plan::BfdProfile>, Vec<ObjectError>) {
    let (objects, mut errors) = readable(objects);
    let mut profiles = BTreeMap::new();
    for object in &objects {
        match bfd_profile(object) {
            Ok(profile) => {
                profiles.insert(object_name(object), profile);
            }
            Err(error) => errors.push(error),
        }
    }
    (profiles, errors)
}

/// The peers, and what is wrong with those that mean nothing, which go on as in `known`. See
/// [`bgp_peer`] for `references`.
#[must_use]
pub fn bgp_peers(
    objects: &[Guarded<BgpPeer>],
    references: Option<&References<'_>>,
    known: &BTreeMap<ObjectName, plan::BgpPeer>,
) -> (BTreeMap<ObjectName, plan::BgpPeer>, Vec<ObjectError>) {
    let (objects, mut errors) = readable(objects);
    let mut peers = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for object in &objects {
        if !seen.insert(object.name_any()) {
            let message =
                "a BGPPeer of this name is already defined in another namespace; rename one of the two";
            errors.push(ObjectError::at(object, "PeerNameTaken", message.into()));
            continue;
        }
        match bgp_peer(object, references) {
            Ok(peer) => {
                peers.insert(object_name(object), peer);
            }
            Err(error) => errors.push(error),
        }
    }
    keep_known(&mut peers, &errors, known);
    (peers, errors)
}

/// The advertisements, and what is wrong with those that mean nothing, which go on as in `known`. See
/// [`bgp_advertisement`] for `aliases`.
#[must_use]
pub fn bgp_advertisements(
    objects: &[Guarded<BgpAdvertisement>],
    aliases: Option<&Aliases>,
    known: &BTreeMap<ObjectName, plan::BgpAdvertisement>,
) -> (BTreeMap<ObjectName, plan::BgpAdvertisement>, Vec<ObjectError>) {
    let (objects, mut errors) = readable(objects);
    let mut advertisements = BTreeMap::new();
    for object in &objects {
        match bgp_advertisement(object, aliases) {
            Ok(advertisement) => {
                advertisements.insert(object_name(object), advertisement);
            }
            Err(error) => errors.push(error),
        }
    }
    keep_known(&mut advertisements, &errors, known);
    (advertisements, errors)
}

/// What is wrong with the peers, whatever they refer to.
#[must_use]
pub fn peer_errors(objects: &[Guarded<BgpPeer>], viewpoint: Viewpoint<'_>) -> Vec<ObjectError> {
    let (peers, mut errors) = bgp_peers(objects, None, &BTreeMap::new());
    errors.extend(duplicate_peers(&readable(objects).0, &peers, viewpoint));
    errors
}

/// What is wrong with the advertisements, whatever aliases they name.
#[must_use]
pub fn advertisement_errors(
    objects: &[Guarded<BgpAdvertisement>],
    pools: &[Guarded<IpAddressPool>],
    viewpoint: Viewpoint<'_>,
) -> Vec<ObjectError> {
    let (advertisements, mut errors) = bgp_advertisements(objects, None, &BTreeMap::new());
    let ((objects, _), (pools, _unreadable)) = (readable(objects), readable(pools));
    errors.extend(aggregation_errors(&objects, &advertisements, &pools));
    errors.extend(local_pref_errors(&objects, &advertisements, &pools, viewpoint));
    errors
}

/// Why a profile cannot be deleted: a peer of its namespace names it.
#[must_use]
pub fn profile_in_use(namespace: &str, profile: &str, peers: &[Guarded<BgpPeer>]) -> Option<String> {
    let (peers, _unreadable) = readable(peers);
    let uses = |peer: &&BgpPeer| {
        peer.namespace().as_deref() == Some(namespace) && peer.spec.bfd_profile.as_deref() == Some(profile)
    };
    let user = peers.iter().find(uses)?;
    Some(format!(
        "failed to delete BFDProfile {profile}, used by BGPPeer {}; remove its bfdProfile first",
        user.name_any()
    ))
}

fn keep_known<T: Clone>(
    read: &mut BTreeMap<ObjectName, T>,
    errors: &[ObjectError],
    known: &BTreeMap<ObjectName, T>,
) {
    for object in errors.iter().map(|error| &error.object) {
        let [namespace, name] =
            [&object.namespace, &object.name].map(|part| part.clone().unwrap_or_default());
        let name = ObjectName { namespace, name };
        if let Some(before) = known.get(&name) {
            read.entry(name).or_insert_with(|| before.clone());
        }
    }
}

fn object_name(object: &impl ResourceExt) -> ObjectName {
    ObjectName::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// The families of a pool's addresses.
fn families(pool: &plan::Pool) -> BTreeSet<IpFamily> {
    pool.ranges.iter().map(|range| range.family()).collect()
}

#[cfg(test)]
mod tests;
