//! Which Services a node may advertise.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ferrolb_vocab::{IpFamily, NodeName, ObjectName, ServiceKey};

use super::advertisement::BgpAdvertisement;
use super::peer::BgpPeer;
use super::verdict::Withheld;
use crate::snapshot::{Node, Service, Snapshot, TrafficPolicy};

/// An advertisement with its name.
pub(super) type Named<'a> = (&'a ObjectName, &'a BgpAdvertisement);

/// A Service that a node may advertise.
pub(super) struct Eligible<'a> {
    pub(super) key: &'a ServiceKey,
    pub(super) service: &'a Service,
    /// What it is advertised by, at least one, in the order of their names.
    pub(super) advertisements: Vec<Named<'a>>,
    /// Under policy Local, how many endpoints of the node are ready; where none is, the ones that
    /// terminate serve.
    pub(super) ready_endpoints: Option<u32>,
}

impl<'a> Eligible<'a> {
    /// The steps of docs/reference/metallb-contract.md, "Advertising by BGP", in their order.
    ///
    /// # Errors
    /// Why the node does not advertise the Service.
    pub(super) fn judge(
        snapshot: &'a Snapshot,
        (key, service): (&'a ServiceKey, &'a Service),
        (name, node): (&NodeName, &Node),
    ) -> Result<Self, Withheld> {
        let advertisements = covering(snapshot, service, node)?;
        if node.network_unavailable {
            return Err(Withheld::NodeNetworkUnavailable);
        }
        if node.excluded {
            return Err(Withheld::NodeExcluded);
        }
        let ready_endpoints = match service.traffic_policy {
            TrafficPolicy::Cluster if service.endpoints.any => None,
            TrafficPolicy::Cluster => return Err(Withheld::NoServingEndpoint),
            TrafficPolicy::Local => {
                Some(*service.endpoints.nodes.get(name).ok_or(Withheld::NoLocalEndpoint)?)
            }
        };
        Ok(Self { key, service, advertisements, ready_endpoints })
    }

    /// Whether the peer is told any of it.
    pub(super) fn reaches(&self, name: &ObjectName, peer: &BgpPeer) -> bool {
        let is_for = |(object, advertisement): &Named<'_>| advertisement.covers_peer(&object.namespace, name);
        self.advertisements.iter().any(is_for)
            && self.service.addresses.iter().any(|address| peer.carries(IpFamily::of(*address)))
    }
}

/// The advertisements that cover the Service on the node.
fn covering<'a>(snapshot: &'a Snapshot, service: &Service, node: &Node) -> Result<Vec<Named<'a>>, Withheld> {
    let address = *service.addresses.first().ok_or(Withheld::NoAddress)?;
    let (name, pool) =
        snapshot.pool_of(&service.addresses).ok_or(Withheld::AddressOutsidePools { address })?;
    let all = snapshot.advertisements.bgp.iter();
    let mut covering: Vec<Named<'a>> =
        all.filter(|(object, one)| one.covers_pool(&object.namespace, name, pool)).collect();
    if covering.is_empty() {
        return Err(Withheld::NoMatchingAdvertisement);
    }
    covering.retain(|(_, one)| one.covers_node(&node.labels));
    if covering.is_empty() {
        return Err(Withheld::NodeNotSelected);
    }
    covering.retain(|(_, one)| one.covers_service(&service.labels));
    if covering.is_empty() {
        return Err(Withheld::NoMatchingAdvertisement);
    }
    agreeing(service, covering)
}

/// Those that do not contradict an earlier one. Of two that always do, the later is told so at the
/// object and goes without; two that do because of the Service's labels are a conflict.
fn agreeing<'a>(service: &Service, all: Vec<Named<'a>>) -> Result<Vec<Named<'a>>, Withheld> {
    let families: BTreeSet<IpFamily> = service.addresses.iter().copied().map(IpFamily::of).collect();
    let mut agreeing: Vec<Named<'a>> = Vec::with_capacity(all.len());
    for (name, one) in all {
        match agreeing.iter().find(|(_, earlier)| one.clashes_with(earlier, &families)) {
            None => agreeing.push((name, one)),
            Some((_, earlier))
                if one.service_selectors.is_empty() && earlier.service_selectors.is_empty() => {}
            Some((earlier, _)) => {
                let between = Box::new([ObjectName::clone(earlier), name.clone()]);
                return Err(Withheld::ConflictingAdvertisements { between });
            }
        }
    }
    Ok(agreeing)
}
