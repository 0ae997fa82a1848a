//! The objects of a migration, in the order in which MetalLB's converter writes them.

use anyhow::Context;
use ferrolb_api::{BfdProfile, BgpAdvertisement, BgpPeer, Community, IpAddressPool, L2Advertisement};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;

use super::kinds::{Kind, ObjectKey};

/// The objects.
#[derive(Debug, Default)]
pub(super) struct Resources {
    pub(super) peers: Vec<BgpPeer>,
    pub(super) pools: Vec<IpAddressPool>,
    pub(super) bgp_advertisements: Vec<BgpAdvertisement>,
    pub(super) l2_advertisements: Vec<L2Advertisement>,
    pub(super) bfd_profiles: Vec<BfdProfile>,
    pub(super) communities: Vec<Community>,
}

impl Resources {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.peers.is_empty()
            && self.pools.is_empty()
            && self.bgp_advertisements.is_empty()
            && self.l2_advertisements.is_empty()
            && self.bfd_profiles.is_empty()
            && self.communities.is_empty()
    }

    /// Adds all of `others`, after those of the same kind.
    pub(super) fn append(&mut self, others: Self) {
        self.peers.extend(others.peers);
        self.pools.extend(others.pools);
        self.bgp_advertisements.extend(others.bgp_advertisements);
        self.l2_advertisements.extend(others.l2_advertisements);
        self.bfd_profiles.extend(others.bfd_profiles);
        self.communities.extend(others.communities);
    }

    /// Every object by what it is.
    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        [
            keys(Kind::BgpPeer, &self.peers),
            keys(Kind::IpAddressPool, &self.pools),
            keys(Kind::BgpAdvertisement, &self.bgp_advertisements),
            keys(Kind::L2Advertisement, &self.l2_advertisements),
            keys(Kind::BfdProfile, &self.bfd_profiles),
            keys(Kind::Community, &self.communities),
        ]
        .concat()
    }

    /// Every object as it is printed, in the order of [`Resources::keys`].
    pub(super) fn values(&self) -> anyhow::Result<Vec<Value>> {
        let all = [
            values(&self.peers)?,
            values(&self.pools)?,
            values(&self.bgp_advertisements)?,
            values(&self.l2_advertisements)?,
            values(&self.bfd_profiles)?,
            values(&self.communities)?,
        ];
        Ok(all.concat())
    }

    /// Puts all of them into a namespace.
    pub(super) fn set_namespace(&mut self, namespace: &str) {
        place(&mut self.peers, namespace);
        place(&mut self.pools, namespace);
        place(&mut self.bgp_advertisements, namespace);
        place(&mut self.l2_advertisements, namespace);
        place(&mut self.bfd_profiles, namespace);
        place(&mut self.communities, namespace);
    }

    /// A manifest of all of them, that names what it was made from.
    pub(super) fn to_yaml(&self, origin: &str) -> anyhow::Result<String> {
        let mut yaml = format!("# Made by `ferrolb migrate` from {origin}.\n");
        write(&mut yaml, &self.peers)?;
        write(&mut yaml, &self.pools)?;
        write(&mut yaml, &self.bgp_advertisements)?;
        write(&mut yaml, &self.l2_advertisements)?;
        write(&mut yaml, &self.bfd_profiles)?;
        write(&mut yaml, &self.communities)?;
        Ok(yaml)
    }
}

fn place<K: Resource>(objects: &mut [K], namespace: &str) {
    for object in objects {
        object.meta_mut().namespace = Some(namespace.to_owned());
    }
}

fn keys<K: Resource>(kind: Kind, objects: &[K]) -> Vec<ObjectKey> {
    let key = |object: &K| ObjectKey {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    objects.iter().map(key).collect()
}

fn values<K: Serialize>(objects: &[K]) -> anyhow::Result<Vec<Value>> {
    let value = |object| serde_json::to_value(object).context("an object cannot be written as JSON");
    objects.iter().map(value).collect()
}

fn write<K: Serialize>(yaml: &mut String, objects: &[K]) -> anyhow::Result<()> {
    for object in objects {
        yaml.push_str("---\n");
        yaml.push_str(&serde_saphyr::to_string(object).context("an object cannot be written as YAML")?);
    }
    Ok(())
}
