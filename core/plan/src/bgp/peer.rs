//! What a `BGPPeer` says, and which of them a node has.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::{Asn, BgpId, InterfaceName, IpFamily, Labels, ObjectName, Selector};

use super::bfd_profile::BfdProfile;
use super::password::Password;
use super::range::ListenRange;
use super::timers::Timers;

/// A `BGPPeer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpPeer {
    /// The AS number of this side.
    pub my_asn: Asn,
    /// Which AS the peer may be in.
    pub remote: RemoteAsn,
    /// Another AS number to appear as to this peer.
    pub local_asn: Option<Asn>,
    /// Where the peer is.
    pub endpoint: Endpoint,
    /// The address to connect from.
    pub source_address: Option<IpAddr>,
    /// The TCP port that is connected to: the peer's, or this side's if that is `passive`.
    pub port: u16,
    /// Whether this side only listens: the peer is to connect.
    pub passive: bool,
    /// How long the session may be silent, and how often to connect.
    pub timers: Timers,
    /// The BGP Identifier of this side; without one it is for the node to find.
    pub router_id: Option<BgpId>,
    /// The nodes that peer; empty means all.
    pub node_selectors: Vec<Selector>,
    /// The key of the session.
    pub password: Option<Password>,
    /// How BFD watches the path to the peer, if it does.
    pub bfd: Option<BfdProfile>,
    /// Whether the peer is to keep routes while this side restarts, RFC 4724.
    pub graceful_restart: bool,
    /// Whether an external peer may be more than one hop away.
    pub ebgp_multihop: bool,
    /// The VRF that the session runs in.
    pub vrf: Option<InterfaceName>,
    /// Whether the peer takes prefixes of both families, whatever its own address is.
    pub dual_stack: bool,
}

/// Which AS a peer may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAsn {
    /// This one.
    Exactly(Asn),
    /// This side's.
    Internal,
    /// Any but this side's.
    External,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// At this address.
    Address(IpAddr),
    /// Behind this interface, whatever its address: unnumbered.
    Interface(InterfaceName),
    /// At any of these addresses: each that connects is a peer of its own, a dynamic one.
    Range(ListenRange),
}

/// Who a peer is to a node: where it is, within a VRF. The port is no part of it, as with `MetalLB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity<'a> {
    endpoint: &'a Endpoint,
    vrf: Option<&'a InterfaceName>,
}

impl BgpPeer {
    /// Whether nodes with these labels peer.
    #[must_use]
    pub fn covers_node(&self, labels: &Labels) -> bool {
        Selector::any_or_empty(&self.node_selectors, labels)
    }

    /// Whether the peer takes prefixes of `family`: that of its own address, or both where it has none
    /// or the operator says so. One of a range is told those of its own address alone: [`super::caller`].
    #[must_use]
    pub fn carries(&self, family: IpFamily) -> bool {
        match &self.endpoint {
            Endpoint::Address(address) => self.dual_stack || IpFamily::of(*address) == family,
            Endpoint::Interface(_) => true,
            Endpoint::Range(range) => self.dual_stack || range.has(family),
        }
    }

    /// Whether a peer that connects could be of either range.
    #[must_use]
    pub fn shares_addresses_with(&self, other: &Self) -> bool {
        match (&self.endpoint, &other.endpoint) {
            (Endpoint::Range(one), Endpoint::Range(another)) => {
                self.vrf == other.vrf && one.overlaps(another)
            }
            (Endpoint::Address(_) | Endpoint::Interface(_) | Endpoint::Range(_), _) => false,
        }
    }

    /// Who the peer is to a node.
    #[must_use]
    pub const fn identity(&self) -> Identity<'_> {
        Identity { endpoint: &self.endpoint, vrf: self.vrf.as_ref() }
    }
}

/// The peers of a node with these labels. Of two that are the same to it, or ranges that overlap, the first
/// by name: the other is told so at the object.
#[must_use]
pub fn peers_of<'a>(
    peers: &'a BTreeMap<ObjectName, BgpPeer>,
    labels: &Labels,
) -> BTreeMap<&'a ObjectName, &'a BgpPeer> {
    let mut known: BTreeMap<Identity<'_>, (&ObjectName, &BgpPeer)> = BTreeMap::new();
    for (name, peer) in peers.iter().filter(|(_, peer)| peer.covers_node(labels)) {
        if !known.values().any(|(_, other)| other.shares_addresses_with(peer)) {
            known.entry(peer.identity()).or_insert((name, peer));
        }
    }
    known.into_values().collect()
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(interface) => interface.fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vrf {
            Some(vrf) => write!(f, "{}-{vrf}", self.endpoint),
            None => self.endpoint.fmt(f),
        }
    }
}
