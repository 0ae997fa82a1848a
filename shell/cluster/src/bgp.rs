//! The kinds that only BGP needs, which both processes follow.

use ferrolb_api::{BfdProfile, BgpAdvertisement, BgpPeer, Community};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client};

use crate::config::{Guarded, all};
use crate::parse::bgp_peer::PASSWORD;
use crate::parse::peering::BgpObjects;
use crate::watches::{GuardedStore, Watches, synced};

/// Whether Secrets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// For the passwords in them.
    Read,
    /// There is no right to.
    Unread,
}

/// Local copies, one per namespace they are read from. Advertisements are followed beside those of layer 2.
#[derive(Debug)]
pub(crate) struct BgpStores {
    peers: Vec<GuardedStore<BgpPeer>>,
    communities: Vec<GuardedStore<Community>>,
    profiles: Vec<GuardedStore<BfdProfile>>,
    secrets: Option<Vec<Store<Secret>>>,
}

impl BgpStores {
    pub(crate) fn start(
        watches: &mut Watches,
        client: &Client,
        namespaces: &[String],
        secrets: Secrets,
    ) -> Self {
        let mut follow = |namespace: &String| {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            watches.follow(api, watcher::Config::default(), strip_secret)
        };
        let secrets = match secrets {
            // Of every type: a peer that names one of another is told so.
            Secrets::Read => Some(namespaces.iter().map(&mut follow).collect()),
            Secrets::Unread => None,
        };
        Self {
            peers: watches.follow_config(client, namespaces),
            communities: watches.follow_config(client, namespaces),
            profiles: watches.follow_config(client, namespaces),
            secrets,
        }
    }

    /// The objects now, with the advertisements that are followed elsewhere.
    pub(crate) fn objects(&self, advertisements: Vec<Guarded<BgpAdvertisement>>) -> BgpObjects {
        BgpObjects {
            peers: all(&self.peers),
            advertisements,
            communities: all(&self.communities),
            profiles: all(&self.profiles),
            secrets: self.secrets.as_ref().map(|stores| stores.iter().flat_map(Store::state).collect()),
        }
    }

    pub(crate) async fn synced(&self) {
        for store in &self.peers {
            synced(store).await;
        }
        for store in &self.communities {
            synced(store).await;
        }
        for store in &self.profiles {
            synced(store).await;
        }
        for store in self.secrets.iter().flatten() {
            synced(store).await;
        }
    }
}

/// What is in a Secret besides a password is nobody's business here.
fn strip_secret(secret: &mut Secret) {
    secret.metadata.annotations = None;
    secret.metadata.labels = None;
    secret.string_data = None;
    if let Some(data) = &mut secret.data {
        data.retain(|key, _: &mut ByteString| key == PASSWORD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_secret_nothing_is_kept_but_the_password() {
        let mut secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "s", "annotations": {"last-applied": "hunter2"}},
            "type": "kubernetes.io/basic-auth",
            "data": {"username": "Ym9i", "password": "aHVudGVyMg==", "tls.key": "AAAA"},
        }))
        .unwrap();
        strip_secret(&mut secret);
        let password = ("password".to_owned(), ByteString(b"hunter2".to_vec()));
        assert_eq!(secret.data, Some([password].into()));
        assert_eq!(
            (secret.type_.as_deref(), secret.metadata.annotations),
            (Some("kubernetes.io/basic-auth"), None)
        );
    }
}
