//! Whether this node advertises a Service to its BGP peers, and if not, why not.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::ObjectName;

/// The decision about one Service on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The Service's prefixes are advertised.
    Advertise {
        /// The `BGPPeer`s, at least one, that are told a prefix which the Service has: also one that
        /// only another Service's advertisement is for.
        peers: Arc<BTreeSet<ObjectName>>,
    },
    /// This node does not advertise.
    Withhold(Withheld),
}

/// Why a node does not advertise a Service, in the order in which it is found. What `MetalLB` calls it
/// stands with each reason that `MetalLB` has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The Service has no address yet.
    NoAddress,
    /// No valid pool holds the Service's addresses.
    AddressOutsidePools {
        /// The first of them.
        address: IpAddr,
    },
    /// No advertisement of the Service's pool covers this node (`notOwner`).
    NodeNotSelected,
    /// None covers the pool at all, or none that covers this node covers the Service's labels
    /// (`noMatchingAdvertisement`).
    NoMatchingAdvertisement,
    /// Two advertisements give the same prefix a different local preference
    /// (`conflictingAdvertisements`).
    ConflictingAdvertisements {
        /// The two. Boxed, because there is a verdict for each of thousands of Services.
        between: Box<[ObjectName; 2]>,
    },
    /// The Node's condition `NetworkUnavailable` is `True` (`nodeNetworkUnavailable`).
    NodeNetworkUnavailable,
    /// The Node is labelled `node.kubernetes.io/exclude-from-external-load-balancers`
    /// (`nodeLabeledExcludeBalancers`).
    NodeExcluded,
    /// The node has no endpoint under policy Local (`noLocalEndpoints`).
    NoLocalEndpoint,
    /// Nothing could serve the traffic (`noEndpoints`).
    NoServingEndpoint,
    /// The node is marked to be drained, or its speaker is about to end, and others advertise.
    NodeDraining,
    /// This node has no peer to tell: none that its advertisements name and that takes prefixes of
    /// the Service's families.
    NoPeer,
}

impl Withheld {
    /// The stable name of the reason: log field, metric label, condition reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoAddress => "NoAddress",
            Self::AddressOutsidePools { .. } => "AddressOutsidePools",
            Self::NodeNotSelected => "NodeNotSelected",
            Self::NoMatchingAdvertisement => "NoMatchingAdvertisement",
            Self::ConflictingAdvertisements { .. } => "ConflictingAdvertisements",
            Self::NodeNetworkUnavailable => "NodeNetworkUnavailable",
            Self::NodeExcluded => "NodeExcluded",
            Self::NoLocalEndpoint => "NoLocalEndpoint",
            Self::NoServingEndpoint => "NoServingEndpoint",
            Self::NodeDraining => "NodeDraining",
            Self::NoPeer => "NoPeer",
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
            Self::NodeNotSelected => {
                f.write_str("no BGPAdvertisement of the Service's pool covers this node")
            }
            Self::NoMatchingAdvertisement => {
                f.write_str("no BGPAdvertisement covers the Service's pool and labels")
            }
            Self::ConflictingAdvertisements { between } => {
                let [one, other] = &**between;
                write!(
                    f,
                    "BGPAdvertisements {one} and {other} both cover the Service, with different localPref; give both \
                     the same, or let their serviceSelectors or peers differ"
                )
            }
            Self::NodeNetworkUnavailable => f.write_str("this node's network is unavailable"),
            Self::NodeExcluded => {
                f.write_str("this node is labelled node.kubernetes.io/exclude-from-external-load-balancers")
            }
            Self::NoLocalEndpoint => f.write_str(
                "the Service has no endpoint on this node that can serve, under externalTrafficPolicy Local",
            ),
            Self::NoServingEndpoint => f.write_str("the Service has no endpoint that can serve"),
            Self::NodeDraining => {
                f.write_str("this node is being drained, and another node advertises the Service")
            }
            Self::NoPeer => f.write_str(
                "this node has no BGPPeer for the Service: none that spec.peers of its advertisements names, \
                 whose nodeSelectors match this node, and that takes prefixes of its address family",
            ),
        }
    }
}
