//! What this node tells its BGP peers, and why not.
//!
//! Nobody is elected: each node that may advertises, and the routers spread over all of them. What a
//! prefix is told with depends on everything that has it on this node, so it is told as long as one
//! Service on the node has an address in it, and with what all their advertisements say together.
//!
//! # Going
//! A node that goes (it is drained, or its speaker ends) is to be preferred less before it is gone
//! (RFC 8326): for [`GRACEFUL_SHUTDOWN_WAIT`] it tells all that it told, marked; then no more of what
//! another node tells too. What no other node would advertise stays, as in layer 2.
//!
//! # Layout
//! [`peer`], with [`range`], [`timers`] and [`password`], [`bfd_profile`] and [`advertisement`] are what an
//! operator writes; `eligible` finds which Services this node may advertise, [`routes`] what is told of them to
//! whom, [`weight`] how much of the traffic this node asks for, and [`plan()`] puts it together into
//! [`Verdict`]s.

pub mod advertisement;
pub mod bfd_profile;
mod eligible;
pub mod password;
pub mod peer;
pub mod range;
pub mod routes;
pub mod timers;
pub mod verdict;
pub mod weight;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use ferrolb_vocab::{Instant, NodeName, ObjectName, ServiceKey};

pub use self::advertisement::BgpAdvertisement;
pub use self::bfd_profile::BfdProfile;
pub use self::password::Password;
pub use self::peer::{BgpPeer, Endpoint, Identity, RemoteAsn, peers_of};
pub use self::range::{ListenRange, ListenRangeError, caller};
pub use self::routes::{Route, Routes};
pub use self::timers::{Timers, TimersError};
pub use self::verdict::{Verdict, Withheld};
pub use self::weight::Weights;

use self::eligible::Eligible;
use self::routes::Tables;
use crate::snapshot::{Node, Service, Snapshot};

/// How long a node that goes asks its peers to prefer others before it withdraws. A router that
/// honours the mark has chosen again as soon as it has read it; what a slower one has behind it gets
/// some seconds too.
pub const GRACEFUL_SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// What a plan for BGP depends on, and layer 2 does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peering {
    /// Valid `BGPPeer`s, by name.
    pub peers: BTreeMap<ObjectName, BgpPeer>,
    /// Since when this node goes, by its last plan.
    pub shutdown_since: Option<Instant>,
    /// The weights that each peer is told, by the last plan.
    pub weights: BTreeMap<ObjectName, Arc<Weights>>,
}

/// What this node tells its BGP peers, and why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The decision about every Service of the snapshot.
    pub verdicts: BTreeMap<ServiceKey, Verdict>,
    /// The peers of this node, also those that are told nothing.
    pub sessions: BTreeMap<ObjectName, Session>,
    /// Since when this node goes, for the next plan. While it does, every route is to carry the mark
    /// of RFC 8326.
    pub shutdown_since: Option<Instant>,
    /// The weights that each peer is told, for the next plan.
    pub weights: BTreeMap<ObjectName, Arc<Weights>>,
    /// When the same snapshot would give another plan.
    pub expires: Option<Instant>,
}

/// A peer of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the operator wants of it.
    pub peer: BgpPeer,
    /// What it is told; peers that are told the same share it.
    pub routes: Arc<Routes>,
}

/// Decides about every Service of `snapshot`.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let me = snapshot.nodes.get_key_value(&snapshot.me);
    let peers = me.map(|(_, node)| peers_of(&snapshot.peering.peers, &node.labels)).unwrap_or_default();
    let shutdown_since =
        me.filter(|me| goes(snapshot, *me)).map(|_| snapshot.peering.shutdown_since.unwrap_or(snapshot.now));
    let withdraws = shutdown_since.map(|since| since + GRACEFUL_SHUTDOWN_WAIT);
    let is_withdrawing = withdraws.is_some_and(|at| at <= snapshot.now);
    let successors = if is_withdrawing { successors(snapshot) } else { Vec::new() };

    let mut verdicts = BTreeMap::new();
    let mut eligible = Vec::new();
    for (key, service) in &snapshot.services {
        let service = (key, &**service);
        let judged = me.ok_or(Withheld::NodeNotSelected);
        let judged = judged.and_then(|me| Eligible::judge(snapshot, service, me));
        match judged {
            Ok(_) if successors.iter().any(|node| node.advertises(snapshot, service)) => {
                verdicts.insert(service.0.clone(), Verdict::Withhold(Withheld::NodeDraining));
            }
            Ok(one) => eligible.push(one),
            Err(why) => {
                verdicts.insert(service.0.clone(), Verdict::Withhold(why));
            }
        }
    }
    let mut tables = Tables::new(snapshot, &peers, &eligible);
    for one in &eligible {
        let peers = tables.peers_told(one);
        let verdict = match peers.is_empty() {
            true => Verdict::Withhold(Withheld::NoPeer),
            false => Verdict::Advertise { peers },
        };
        verdicts.insert(one.key.clone(), verdict);
    }
    let session = |(name, peer): (&ObjectName, &BgpPeer)| {
        (name.clone(), Session { peer: peer.clone(), routes: tables.routes(name) })
    };
    let sessions = peers.into_iter().map(session).collect();
    let expires = withdraws.filter(|_| !is_withdrawing).into_iter().chain(tables.expires()).min();
    Plan { verdicts, sessions, shutdown_since, weights: tables.weights(), expires }
}

/// A node that can be left alone with what it advertises.
struct Successor<'a> {
    node: (&'a NodeName, &'a Node),
    peers: BTreeMap<&'a ObjectName, &'a BgpPeer>,
}

impl Successor<'_> {
    fn advertises(&self, snapshot: &Snapshot, service: (&ServiceKey, &Service)) -> bool {
        let judged = Eligible::judge(snapshot, service, self.node);
        judged.is_ok_and(|one| self.peers.iter().any(|(name, peer)| one.reaches(name, peer)))
    }
}

/// The nodes that are alive and stay: not this one, which goes.
fn successors(snapshot: &Snapshot) -> Vec<Successor<'_>> {
    let stays = |one: &(&NodeName, &Node)| snapshot.is_alive(one.0) && !goes(snapshot, *one);
    let peers = |node: &Node| peers_of(&snapshot.peering.peers, &node.labels);
    snapshot.nodes.iter().filter(stays).map(|node| Successor { node, peers: peers(node.1) }).collect()
}

fn goes(snapshot: &Snapshot, (name, node): (&NodeName, &Node)) -> bool {
    node.draining || snapshot.ownership.leaving.contains(name)
}

#[cfg(test)]
mod tests;
