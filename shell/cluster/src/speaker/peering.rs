//! What the objects of BGP mean to a speaker, read anew when one of them has changed.

use std::fmt;
use std::sync::Arc;

use ferrolb_api::IpAddressPool;
use ferrolb_vocab::Labels;

use crate::config::Guarded;
use crate::parse::peering::{BgpConfig, BgpObjects, Viewpoint};

/// What the objects mean, and what that was read from.
#[derive(Default)]
pub struct NodePeering {
    /// What they mean. What means nothing any more goes on as it last did.
    pub(super) config: BgpConfig,
    objects: BgpObjects,
    pools: Vec<Guarded<IpAddressPool>>,
    labels: Labels,
}

impl NodePeering {
    /// What the objects, and the pools beside them, mean now to a node with these labels.
    pub(super) fn reread(
        self: &Arc<Self>,
        (objects, pools): (BgpObjects, Vec<Guarded<IpAddressPool>>),
        labels: Labels,
    ) -> Arc<Self> {
        if are_same(&self.objects, &objects) && are(&self.pools, &pools) && self.labels == labels {
            return Arc::clone(self);
        }
        let config = objects.read(&pools, &self.config, Viewpoint::Node(&labels));
        Arc::new(Self { config, objects, pools, labels })
    }
}

/// The objects hold passwords.
impl fmt::Debug for NodePeering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodePeering").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Whether the two were read from the API server at the same versions: a change brings another copy.
fn are_same(one: &BgpObjects, other: &BgpObjects) -> bool {
    let secrets = match (&one.secrets, &other.secrets) {
        (Some(one), Some(other)) => are(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    secrets
        && are(&one.peers, &other.peers)
        && are(&one.advertisements, &other.advertisements)
        && are(&one.communities, &other.communities)
        && are(&one.profiles, &other.profiles)
}

fn are<T>(one: &[Arc<T>], other: &[Arc<T>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_api::BgpPeer;
    use ferrolb_vocab::{Asn, ObjectName};
    use serde_json::{Value, json};

    fn peer(spec: &Value) -> Guarded<BgpPeer> {
        let metadata = json!({"namespace": "metallb-system", "name": "tor"});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn of(peer: &Guarded<BgpPeer>) -> (BgpObjects, Vec<Guarded<IpAddressPool>>) {
        (BgpObjects { peers: vec![Arc::clone(peer)], ..BgpObjects::default() }, Vec::new())
    }

    fn asn(peering: &NodePeering) -> Option<Asn> {
        peering.config.peers.get(&ObjectName::new("metallb-system", "tor")).map(|peer| peer.my_asn)
    }

    #[test]
    fn what_has_not_changed_is_not_read_again_and_what_means_nothing_any_more_goes_on() {
        let good = peer(&json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1"}));
        let none = Arc::new(NodePeering::default());
        let first = none.reread(of(&good), Labels::default());
        assert_eq!((asn(&first), first.config.errors.len()), (Some(Asn(64_512)), 0));
        assert!(Arc::ptr_eq(&first, &first.reread(of(&good), Labels::default())));

        let labelled = first.reread(of(&good), [("rack", "1")].into());
        assert!(!Arc::ptr_eq(&first, &labelled), "another node may be meant");

        let bad = peer(&json!({"myASN": 64500, "peerASN": 64513, "peerAddress": "nowhere"}));
        let broken = labelled.reread(of(&bad), Labels::default());
        assert_eq!((asn(&broken), broken.config.errors.len()), (Some(Asn(64_512)), 1));
        assert_eq!(asn(&none.reread(of(&bad), Labels::default())), None, "it never was valid");
    }

    #[test]
    fn a_password_does_not_show() {
        let spec =
            json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1", "password": "hunter2"});
        let peering = Arc::new(NodePeering::default()).reread(of(&peer(&spec)), Labels::default());
        assert!(asn(&peering).is_some() && !format!("{peering:?}").contains("hunter2"));
    }
}
