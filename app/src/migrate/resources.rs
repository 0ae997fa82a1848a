//! The objects of a migration, in the order in which MetalLB's converter writes them.

use anyhow::Context;
use ferrolb_api::{BfdProfile, BgpAdvertisement, BgpPeer, Community, IpAddressPool, L2Advertisement};
use kube::Resource;
use serde::Serialize;

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
            && self.bfd_profiles.is_empty()
            && self.communities.is_empty()
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

fn write<K: Serialize>(yaml: &mut String, objects: &[K]) -> anyhow::Result<()> {
    for object in objects {
        yaml.push_str("---\n");
        yaml.push_str(&serde_saphyr::to_string(object).context("an object cannot be written as YAML")?);
    }
    Ok(())
}
