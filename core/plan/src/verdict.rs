//! Whether this node announces a Service, and if not, why not.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::{InterfaceName, NodeName};

/// The decision about one Service on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This node owns the Service's addresses and announces them.
    Announce(Announcement),
    /// This node does not announce.
    Withhold(Withheld),
}

/// Where a Service's addresses are announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Each address with the interfaces of this node it is announced on, at least one.
    pub interfaces: BTreeMap<IpAddr, BTreeSet<InterfaceName>>,
    /// Whether advertisements chose the interfaces by name, rather than all that can be used.
    pub is_restricted: bool,
}

/// Why a node does not announce a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The Service has no address yet.
    NoAddress,
    /// No valid pool holds the Service's addresses.
    AddressOutsidePools {
        /// The first of them.
        address: IpAddr,
    },
    /// Nothing could serve the traffic.
    NoServingEndpoint,
    /// There are advertisements, but none covers this pool and Service.
    NoMatchingAdvertisement,
    /// The address is shared, and an advertisement chooses Services by label: the Services of
    /// one address could end up on different nodes.
    SharedAddressWithServiceSelector,
    /// No advertisement covering the Service covers this node, or, without any advertisement,
    /// the address lies in none of this node's subnets.
    NodeNotSelected,
    /// The node's label or condition keeps it out, or it has no endpoint under policy Local.
    NodeNotEligible,
    /// The node is marked to be drained, or its speaker is about to end.
    NodeDraining,
    /// This node is cut off from the network: every peer and the gateway fell silent together.
    CutOff,
    /// This node should own the address, but does not know yet what others own.
    OwnersUnknown,
    /// Another node owns the address, or comes first.
    ElectionLost {
        /// The node that announces.
        owner: NodeName,
    },
    /// This node would announce, but none of the interfaces it should announce on works.
    NoUsableInterface {
        /// The first of the Service's addresses that it would own.
        address: IpAddr,
    },
}

impl Withheld {
    /// The stable name of the reason: log field, metric label, condition reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoAddress => "NoAddress",
            Self::AddressOutsidePools { .. } => "AddressOutsidePools",
            Self::NoServingEndpoint => "NoServingEndpoint",
            Self::NoMatchingAdvertisement => "NoMatchingAdvertisement",
            Self::SharedAddressWithServiceSelector => "SharedAddressWithServiceSelector",
            Self::NodeNotSelected => "NodeNotSelected",
            Self::NodeNotEligible => "NodeNotEligible",
            Self::NodeDraining => "NodeDraining",
            Self::CutOff => "CutOff",
            Self::OwnersUnknown => "OwnersUnknown",
            Self::ElectionLost { .. } => "ElectionLost",
            Self::NoUsableInterface { .. } => "NoUsableInterface",
        }
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the Service has no address yet"),
            Self::AddressOutsidePools { address } => {
                write!(f, "address {address} is in no valid IPAddressPool")
            }
            Self::NoServingEndpoint => f.write_str("the Service has no endpoint that can serve"),
            Self::NoMatchingAdvertisement => {
                f.write_str("no L2Advertisement covers the Service's pool and labels")
            }
            Self::SharedAddressWithServiceSelector => f.write_str(
                "the Service shares its address, and an L2Advertisement with serviceSelectors covers it; \
                 remove one of the two",
            ),
            Self::NodeNotSelected => f.write_str("no advertisement of the Service covers this node"),
            Self::NodeNotEligible => f.write_str(
                "this node is excluded, its network is unavailable, or it has no endpoint under \
                 externalTrafficPolicy Local",
            ),
            Self::NodeDraining => f.write_str("this node is being drained"),
            Self::CutOff => f.write_str(
                "this node is cut off: all other speakers and the default gateway fell silent together; \
                 look at its network",
            ),
            Self::OwnersUnknown => {
                f.write_str("this node has not yet heard from all speakers what they announce")
            }
            Self::ElectionLost { owner } => write!(f, "node {owner} announces it"),
            Self::NoUsableInterface { address } => {
                write!(f, "this node has no working interface to announce {address} on")
            }
        }
    }
}
