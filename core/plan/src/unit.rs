//! What has one owner: the addresses that Services tie together.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{LinkFlag, NodeName, ServiceKey};

use crate::advertisement::Covering;
use crate::snapshot::{Node, Service, Snapshot, TrafficPolicy};
use crate::verdict::Withheld;

/// A Service that can be announced by some node.
#[derive(Clone, Debug)]
pub(crate) struct Announceable<'a> {
    pub(crate) key: &'a ServiceKey,
    pub(crate) service: &'a Service,
    pub(crate) covering: Covering<'a>,
}

/// Addresses with one owner, and the Services that have them. The addresses of a Service go
/// together, and so do the Services of an address.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    /// The address that the election is about: of the first addresses of its Services the lowest,
    /// which is the first address of the Service where there is only one.
    pub(crate) key: IpAddr,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) services: Vec<Announceable<'a>>,
    /// Those of the addresses that no interface of this node works for: all if it is cut off.
    pub(crate) missing: Vec<IpAddr>,
}

impl<'a> Announceable<'a> {
    /// The steps of docs/reference/metallb-contract.md, "Election", that are the same on every
    /// node, in their order.
    ///
    /// # Errors
    /// Why no node announces the Service.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        (key, service): (&'a ServiceKey, &'a Service),
    ) -> Result<Self, Withheld> {
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
        Ok(Self { key, service, covering })
    }

    /// Whether `node` may announce `address`, by the advertisements and the Service's endpoints.
    fn admits(&self, name: &NodeName, node: &Node, address: IpAddr) -> bool {
        self.covering.covers_node(node, address)
            && match self.service.traffic_policy {
                TrafficPolicy::Cluster => true,
                TrafficPolicy::Local => self.service.endpoints.nodes.contains_key(name),
            }
    }
}

impl<'a> Unit<'a> {
    /// Addresses of the same Services that have owners of their own.
    pub(crate) fn others(&self) -> impl Iterator<Item = IpAddr> {
        let all = self.services.iter().flat_map(|one| one.service.addresses.iter().copied());
        all.filter(|address| !self.addresses.contains(address))
    }

    /// Puts together what belongs together.
    pub(crate) fn all(snapshot: &Snapshot, services: Vec<Announceable<'a>>) -> Vec<Self> {
        let mut groups = Groups::default();
        for announceable in &services {
            let addresses = &announceable.service.addresses;
            let tied = if announceable.covering.spreads() { &[][..] } else { addresses.as_slice() };
            for address in addresses {
                groups.root(*address);
            }
            tied.windows(2).for_each(|pair| {
                if let [one, other] = pair {
                    groups.tie(*one, *other);
                }
            });
        }
        let mut units: BTreeMap<IpAddr, Self> = BTreeMap::new();
        for announceable in services {
            let first = announceable.service.addresses.first().copied();
            let mut joined = Vec::new();
            for address in &announceable.service.addresses {
                let root = groups.root(*address);
                let unit = units.entry(root).or_insert(Self {
                    key: *address,
                    addresses: Vec::new(),
                    services: Vec::new(),
                    missing: Vec::new(),
                });
                if !unit.addresses.contains(address) {
                    unit.addresses.push(*address);
                }
                if first == Some(*address) {
                    unit.key = if unit.services.is_empty() { *address } else { unit.key.min(*address) };
                }
                if !joined.contains(&root) {
                    joined.push(root);
                    unit.services.push(announceable.clone());
                }
            }
        }
        let mut units: Vec<Self> = units.into_values().collect();
        for unit in &mut units {
            unit.missing = unit.missing_on(snapshot);
        }
        units
    }

    /// Whether advertisements let `node` announce all of it.
    pub(crate) fn selects(&self, node: &Node) -> bool {
        self.services.iter().all(|one| one.covering.covers_node(node, self.key))
    }

    /// Whether `node` may announce all of it, by all that the API server knows of the node.
    pub(crate) fn admits(&self, name: &NodeName, node: &Node) -> bool {
        !node.network_unavailable
            && !node.excluded
            && self.services.iter().all(|one| one.admits(name, node, self.key))
    }

    /// How much `node` is preferred. Services that share an address mostly share what prefers.
    pub(crate) fn preference(&self, node: &Node) -> u64 {
        self.services.iter().map(|one| one.covering.preference(node)).max().unwrap_or_default()
    }

    pub(crate) fn has_preferences(&self) -> bool {
        self.services.iter().any(|one| one.covering.has_preferences())
    }

    pub(crate) fn fails_back(&self) -> bool {
        self.services.iter().any(|one| one.covering.fails_back())
    }

    /// Whether this node has an interface that works for any of it.
    pub(crate) fn is_announceable(&self) -> bool {
        self.missing.len() < self.addresses.len()
    }

    /// The addresses of `service` that are among these, in its order.
    pub(crate) fn addresses_of(&self, service: &Service) -> impl Iterator<Item = IpAddr> {
        service.addresses.iter().copied().filter(|address| self.addresses.contains(address))
    }

    fn missing_on(&self, snapshot: &Snapshot) -> Vec<IpAddr> {
        if snapshot.ownership.is_cut_off {
            return self.addresses.clone();
        }
        let works = |name| snapshot.links.iter().any(|link| link.name == name && link.is(LinkFlag::Carrier));
        let is_missing = |address: &IpAddr| {
            let services = self.services.iter().filter(|one| one.service.addresses.contains(address));
            !services.flat_map(|one| one.covering.interfaces(snapshot, *address)).any(works)
        };
        self.addresses.iter().copied().filter(is_missing).collect()
    }
}

/// Sets of addresses, each with one of them as its root.
#[derive(Default)]
struct Groups(BTreeMap<IpAddr, IpAddr>);

impl Groups {
    fn root(&mut self, address: IpAddr) -> IpAddr {
        let mut root = address;
        while let Some(parent) = self.0.get(&root).copied().filter(|parent| *parent != root) {
            root = parent;
        }
        self.0.insert(address, root);
        root
    }

    fn tie(&mut self, one: IpAddr, other: IpAddr) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(one.max(other), one.min(other));
    }
}
