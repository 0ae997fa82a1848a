//! Which advertisements cover a Service, and on which nodes and interfaces.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{InterfaceName, IpFamily, Labels, ObjectName, PoolName, Selector};

use crate::interfaces::{announceable, on_link, resolves};
use crate::snapshot::{Advertisements, L2Advertisement, Node, Pool, Snapshot};

impl L2Advertisement {
    /// Whether the advertisement of namespace `namespace` covers `pool`.
    #[must_use]
    pub fn covers_pool(&self, namespace: &str, name: &PoolName, pool: &Pool) -> bool {
        namespace == pool.namespace && pool.is_among(name, &self.pools, &self.pool_selectors)
    }

    /// Whether nodes with these labels may announce.
    #[must_use]
    pub fn covers_node(&self, labels: &Labels) -> bool {
        Selector::any_or_empty(&self.node_selectors, labels)
    }

    /// The sum of the weights of the preferences that a node with these labels meets.
    #[must_use]
    pub fn preference(&self, labels: &Labels) -> u64 {
        let met = self.preferences.iter().filter(|preference| preference.selector.matches(labels));
        met.map(|preference| u64::from(preference.weight)).sum()
    }
}

/// What makes a Service's addresses announceable.
#[derive(Clone, Debug)]
pub(crate) enum Covering<'a> {
    /// These `L2Advertisement`s, at least one.
    Explicit(Vec<&'a L2Advertisement>),
    /// The cluster has no advertisement object: nodes announce what lies in their subnets.
    Implied,
}

impl Advertisements {
    /// The advertisements that cover Services with `labels` on `pool`; `None` if none does.
    pub(crate) fn covering(&self, name: &PoolName, pool: &Pool, labels: &Labels) -> Option<Covering<'_>> {
        if !self.any_object {
            return Some(Covering::Implied);
        }
        let covers = |(object, advertisement): &(&ObjectName, &L2Advertisement)| {
            advertisement.covers_pool(&object.namespace, name, pool)
                && Selector::any_or_empty(&advertisement.service_selectors, labels)
        };
        let explicit: Vec<_> =
            self.l2.iter().filter(covers).map(|(_, advertisement)| advertisement).collect();
        (!explicit.is_empty()).then_some(Covering::Explicit(explicit))
    }
}

impl Covering<'_> {
    /// Whether `node` may announce `address`.
    pub(crate) fn covers_node(&self, node: &Node, address: IpAddr) -> bool {
        match self {
            Self::Explicit(all) => all.iter().any(|advertisement| advertisement.covers_node(&node.labels)),
            Self::Implied => node.subnets.iter().any(|subnet| subnet.contains(address)),
        }
    }

    /// How much `node` is preferred: the sum over the advertisements that cover it.
    pub(crate) fn preference(&self, node: &Node) -> u64 {
        match self {
            Self::Explicit(all) => all
                .iter()
                .filter(|advertisement| advertisement.covers_node(&node.labels))
                .map(|advertisement| advertisement.preference(&node.labels))
                .sum(),
            Self::Implied => 0,
        }
    }

    /// Whether any of them prefers nodes.
    pub(crate) fn has_preferences(&self) -> bool {
        self.any(|advertisement| !advertisement.preferences.is_empty())
    }

    /// Whether any of them asks for the first node in the order.
    pub(crate) fn fails_back(&self) -> bool {
        self.any(|advertisement| advertisement.failback)
    }

    /// Whether any of them asks for an owner of its own for each address.
    pub(crate) fn spreads(&self) -> bool {
        self.any(|advertisement| advertisement.spread)
    }

    /// Whether any of them chooses Services by label.
    pub(crate) fn selects_services(&self) -> bool {
        self.any(|advertisement| !advertisement.service_selectors.is_empty())
    }

    fn any(&self, holds: impl Fn(&L2Advertisement) -> bool) -> bool {
        match self {
            Self::Explicit(all) => all.iter().any(|advertisement| holds(advertisement)),
            Self::Implied => false,
        }
    }

    /// The interfaces of this node to announce `address` on, which can resolve it: the union over
    /// the advertisements that cover the node.
    pub(crate) fn interfaces(&self, snapshot: &Snapshot, address: IpAddr) -> BTreeSet<InterfaceName> {
        match self {
            Self::Explicit(_) => {
                let wanted = self.wanted_interfaces(snapshot);
                announceable(&snapshot.links, &snapshot.exclusions)
                    .filter(|link| resolves(link, IpFamily::of(address)))
                    .map(|link| link.name.clone())
                    .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted.contains(name)))
                    .collect()
            }
            Self::Implied => on_link(&snapshot.links, &snapshot.exclusions, address),
        }
    }

    /// The interfaces asked for by name on this node; `None` means all. A node that none covers any
    /// more, or whose Node is gone, still answers until another does: all of them count for it.
    pub(crate) fn wanted_interfaces(&self, snapshot: &Snapshot) -> Option<BTreeSet<InterfaceName>> {
        let Self::Explicit(all) = self else { return None };
        let me = snapshot.nodes.get(&snapshot.me);
        let covers_me =
            |advertisement: &L2Advertisement| me.is_some_and(|me| advertisement.covers_node(&me.labels));
        let is_covered = self.any(covers_me);
        let mut wanted = BTreeSet::new();
        for advertisement in all.iter().filter(|advertisement| !is_covered || covers_me(advertisement)) {
            if advertisement.interfaces.is_empty() {
                return None;
            }
            wanted.extend(advertisement.interfaces.iter().cloned());
        }
        Some(wanted)
    }
}
