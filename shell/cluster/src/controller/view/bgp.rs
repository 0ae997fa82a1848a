//! What the controller judges of BGP: all objects as all nodes see them, and how the sessions are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_api::BgpSession;
use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_api::conditions::ConfigStatus;
use ferrolb_vocab::{NodeName, ObjectName};
use kube::Resource;

use super::ControllerView;
use crate::controller::objects::ControllerObjects;
use crate::parse::peering::{BgpConfig, BgpObjects, Viewpoint, bfd_profiles};
use crate::parse::{ObjectError, readable, reference};

/// How the sessions with each peer are, by node; of a range, how it is itself.
pub type Sessions = BTreeMap<ObjectName, BTreeMap<NodeName, BgpSessionStatus>>;

impl ControllerView {
    /// After the pools, the other advertisements and the nodes.
    pub(super) fn add_bgp(&mut self, objects: &ControllerObjects) {
        let bgp = BgpObjects {
            peers: objects.peers.clone(),
            advertisements: objects.config.bgp_advertisements.clone(),
            communities: objects.communities.clone(),
            profiles: objects.profiles.clone(),
            // Speakers tell of those: no other process may read them.
            secrets: None,
        };
        let viewpoint = Viewpoint::AllNodes(&self.nodes);
        let BgpConfig { advertisements, mut errors, .. } =
            bgp.read(&objects.config.pools, &BgpConfig::default(), viewpoint);
        errors.extend(bfd_profiles(&bgp.profiles).1);
        self.advertisements.bgp = advertisements;
        for object in readable(&bgp.advertisements).0 {
            let pools = &object.spec.ip_address_pools;
            self.add_judged(&object, object.status.as_ref(), &mut errors, pools);
        }
        for object in readable(&bgp.peers).0 {
            self.add_judged(&object, object.status.as_ref(), &mut errors, &[]);
        }
        for object in readable(&bgp.profiles).0 {
            self.add_judged(&object, object.status.as_ref(), &mut errors, &[]);
        }
        // What is left is of objects that cannot be read at all.
        self.add_unreadable(errors);
        self.sessions = sessions(&objects.sessions);
    }

    /// Adds an object with those of `errors` that are its own.
    fn add_judged<K: Resource<DynamicType = ()>>(
        &mut self,
        object: &K,
        status: Option<&ConfigStatus>,
        errors: &mut Vec<ObjectError>,
        named_pools: &[String],
    ) {
        let reference = reference(object);
        let own = errors.extract_if(.., |error| *error.object == reference).collect();
        self.add_config(object, status, own, named_pools);
    }
}

fn sessions(objects: &[Arc<BgpSession>]) -> Sessions {
    let mut sessions = Sessions::new();
    for status in objects.iter().filter_map(|object| object.status.as_ref()) {
        let (Some(node), Some(peer), Some(namespace)) = (&status.node, &status.peer, &status.peer_namespace)
        else {
            // Its writer has yet to say what it is about.
            continue;
        };
        if status.caller.is_some() {
            continue;
        }
        let peer = ObjectName::new(namespace.as_str(), peer.as_str());
        sessions.entry(peer).or_default().insert(NodeName::from(node.as_str()), status.clone());
    }
    sessions
}
