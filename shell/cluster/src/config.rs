//! The configuration objects, which both processes follow.

use std::sync::Arc;

use ferrolb_api::{BgpAdvertisement, IpAddressPool, L2Advertisement};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use kube::{Client, Resource};

use crate::watches::{GuardedStore, Watches, synced};

/// An object as it was read, or why it cannot be.
pub type Guarded<K> = Arc<DeserializeGuard<K>>;

/// The configuration objects of all namespaces they are read from.
#[derive(Clone, Debug, Default)]
pub struct ConfigObjects {
    /// The pools.
    pub pools: Vec<Guarded<IpAddressPool>>,
    /// The advertisements by layer 2.
    pub l2_advertisements: Vec<Guarded<L2Advertisement>>,
    /// The advertisements by BGP.
    pub bgp_advertisements: Vec<Guarded<BgpAdvertisement>>,
}

/// Local copies of the configuration kinds, one per namespace they are read from.
#[derive(Debug)]
pub(crate) struct ConfigStores {
    pub(crate) pools: Vec<GuardedStore<IpAddressPool>>,
    pub(crate) l2_advertisements: Vec<GuardedStore<L2Advertisement>>,
    pub(crate) bgp_advertisements: Vec<GuardedStore<BgpAdvertisement>>,
}

impl ConfigStores {
    pub(crate) fn start(watches: &mut Watches, client: &Client, namespaces: &[String]) -> Self {
        Self {
            pools: watches.follow_config(client, namespaces),
            l2_advertisements: watches.follow_config(client, namespaces),
            bgp_advertisements: watches.follow_config(client, namespaces),
        }
    }

    /// The objects now.
    pub(crate) fn objects(&self) -> ConfigObjects {
        ConfigObjects {
            pools: all(&self.pools),
            l2_advertisements: all(&self.l2_advertisements),
            bgp_advertisements: all(&self.bgp_advertisements),
        }
    }

    pub(crate) async fn synced(&self) {
        for store in &self.pools {
            synced(store).await;
        }
        for store in &self.l2_advertisements {
            synced(store).await;
        }
        for store in &self.bgp_advertisements {
            synced(store).await;
        }
    }
}

pub(crate) fn all<K: Resource<DynamicType = ()> + Clone + 'static>(
    stores: &[GuardedStore<K>],
) -> Vec<Guarded<K>> {
    stores.iter().flat_map(Store::state).collect()
}
