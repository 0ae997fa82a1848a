//! The configuration objects, which both processes follow.

use ferrolb_api::{BgpAdvertisement, IpAddressPool, L2Advertisement};
use kube::Client;

use crate::watches::{GuardedStore, Watches, synced};

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
