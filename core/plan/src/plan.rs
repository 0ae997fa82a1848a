//! Snapshot to plan: for every Service, whether this node announces it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{NodeName, ServiceKey};

use crate::advertisement::Covering;
use crate::diff::Announcements;
use crate::election::{self, Candidate};
use crate::snapshot::{Node, Service, Snapshot, TrafficPolicy};
use crate::verdict::{Announcement, Verdict, Withheld};

/// What this node should do, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The decision about every Service of the snapshot.
    pub verdicts: BTreeMap<ServiceKey, Verdict>,
}

impl Plan {
    /// The addresses to announce. An address shared by several Services is announced on the
    /// interfaces of all of them.
    #[must_use]
    pub fn announcements(&self) -> Announcements {
        let mut announcements = Announcements::new();
        for verdict in self.verdicts.values() {
            let Verdict::Announce(announcement) = verdict else { continue };
            for (address, interfaces) in &announcement.interfaces {
                announcements.entry(*address).or_default().extend(interfaces.iter().cloned());
            }
        }
        announcements
    }
}

/// Decides about every Service of `snapshot`.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let verdicts = snapshot.services.iter().map(|(key, service)| {
        let verdict = announce(snapshot, service).map_or_else(Verdict::Withhold, Verdict::Announce);
        (key.clone(), verdict)
    });
    Plan { verdicts: verdicts.collect() }
}

/// The steps of docs/reference/metallb-contract.md, "Election", in their order.
fn announce(snapshot: &Snapshot, service: &Service) -> Result<Announcement, Withheld> {
    // The first address decides for all of a Service, so that both families share an owner.
    let address = *service.addresses.first().ok_or(Withheld::NoAddress)?;
    let (name, pool) =
        snapshot.pool_of(&service.addresses).ok_or(Withheld::AddressOutsidePools { address })?;
    if !service.endpoints.any {
        return Err(Withheld::NoServingEndpoint);
    }
    let covering = snapshot
        .advertisements
        .covering(name, pool, &service.labels)
        .ok_or(Withheld::NoMatchingAdvertisement)?;
    if service.shares_address && covering.selects_services() {
        return Err(Withheld::SharedAddressWithServiceSelector);
    }
    let me = snapshot.nodes.get(&snapshot.me).ok_or(Withheld::NodeNotSelected)?;
    if !covering.covers_node(me, address) {
        return Err(Withheld::NodeNotSelected);
    }

    let candidates = candidates(snapshot, service, &covering, address);
    if !candidates.iter().any(|candidate| *candidate.node == snapshot.me) {
        return Err(Withheld::NodeNotEligible);
    }
    let ordered = election::order(candidates, address);
    let owner = ordered.first().expect("this node is a candidate").node;
    if *owner != snapshot.me {
        return Err(Withheld::ElectionLost { owner: owner.clone() });
    }

    let interfaces: BTreeMap<_, _> = service
        .addresses
        .iter()
        .map(|address| (*address, covering.interfaces(snapshot, *address)))
        .filter(|(_, interfaces)| !interfaces.is_empty())
        .collect();
    if interfaces.is_empty() {
        return Err(Withheld::NoUsableInterface { address });
    }
    let is_restricted = covering.wanted_interfaces(snapshot).is_some();
    Ok(Announcement { interfaces, is_restricted })
}

fn candidates<'a>(
    snapshot: &'a Snapshot,
    service: &Service,
    covering: &Covering<'_>,
    address: IpAddr,
) -> Vec<Candidate<'a>> {
    let eligible = |(name, node): &(&NodeName, &Node)| {
        snapshot.is_alive(name)
            && !node.network_unavailable
            && !node.excluded
            && covering.covers_node(node, address)
            && match service.traffic_policy {
                TrafficPolicy::Cluster => true,
                TrafficPolicy::Local => service.endpoints.nodes.contains(*name),
            }
    };
    let candidate =
        |(name, node): (&'a NodeName, &Node)| Candidate { node: name, preference: covering.preference(node) };
    snapshot.nodes.iter().filter(eligible).map(candidate).collect()
}
