//! Annotations on Services.

use std::collections::BTreeMap;

/// Prefix of MetalLB's annotations.
pub const METALLB_PREFIX: &str = "metallb.io/";
/// Prefix of MetalLB's annotations before version 0.14, still read.
pub const DEPRECATED_PREFIX: &str = "metallb.universe.tf/";
/// Prefix of annotations that only FerroLB knows.
pub const FERROLB_PREFIX: &str = "ferrolb.io/";
/// Written by the controller: the addresses that it gave, separated by commas. With the condition
/// [`ADDRESS_ALLOCATED`](crate::conditions::ADDRESS_ALLOCATED) beside it, the record of which
/// entries in the status are ours.
pub const ALLOCATED_ADDRESSES: &str = "ferrolb.io/allocated-addresses";
/// The `AddressClaim`s of its namespace whose addresses the Service asks for: one, or two separated
/// by a comma.
pub const ADDRESS_CLAIM: &str = "ferrolb.io/address-claim";

/// On an `L2Advertisement`, `"true"`: the first node in the order of the election owns an address
/// whenever it can, as with MetalLB, also if that breaks the connections made meanwhile.
pub const FAILBACK: &str = "ferrolb.io/failback";
/// On an `L2Advertisement`, `"true"`: each address of a Service has an owner of its own.
pub const SPREAD: &str = "ferrolb.io/spread";

/// On a `BGPPeer`, `"true"`: the peer is to connect, and this side only listens.
pub const PASSIVE: &str = "ferrolb.io/passive";
/// On a `BGPPeer`: prefixes, separated by commas, one of which has the peer's address. Each router that connects
/// from one is a peer, and this side only listens.
pub const LISTEN_RANGE: &str = "ferrolb.io/listen-range";

/// One of MetalLB's annotations, readable under both of its prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotation {
    /// Allocate from the pool of this name only.
    AddressPool,
    /// Allocate these addresses: one, or two of different families, separated by a comma.
    LoadBalancerIps,
    /// Services with the same value may share an address.
    AllowSharedIp,
    /// Written by the controller: the pool the addresses are from.
    IpAllocatedFromPool,
}

/// An annotation as found on an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The key it was found under.
    pub key: &'static str,
    /// Its value, possibly empty.
    pub value: &'a str,
    /// Whether the key has the deprecated prefix.
    pub deprecated: bool,
}

impl Annotation {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AddressPool, Self::LoadBalancerIps, Self::AllowSharedIp, Self::IpAllocatedFromPool];

    /// The key under the prefix of today, the one to write.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::AddressPool => "metallb.io/address-pool",
            Self::LoadBalancerIps => "metallb.io/loadBalancerIPs",
            Self::AllowSharedIp => "metallb.io/allow-shared-ip",
            Self::IpAllocatedFromPool => "metallb.io/ip-allocated-from-pool",
        }
    }

    /// The key under the deprecated prefix.
    #[must_use]
    pub const fn deprecated_key(self) -> &'static str {
        match self {
            Self::AddressPool => "metallb.universe.tf/address-pool",
            Self::LoadBalancerIps => "metallb.universe.tf/loadBalancerIPs",
            Self::AllowSharedIp => "metallb.universe.tf/allow-shared-ip",
            Self::IpAllocatedFromPool => "metallb.universe.tf/ip-allocated-from-pool",
        }
    }

    /// Looks the annotation up. The prefix of today wins whenever its key is present, even with an
    /// empty value.
    #[must_use]
    pub fn find(self, annotations: &BTreeMap<String, String>) -> Option<Found<'_>> {
        let lookup = |key: &'static str, deprecated| {
            annotations.get(key).map(|value| Found { key, value, deprecated })
        };
        lookup(self.key(), false).or_else(|| lookup(self.deprecated_key(), true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn the_new_prefix_wins_even_when_empty() {
        let both = annotations(&[
            ("metallb.io/allow-shared-ip", ""),
            ("metallb.universe.tf/allow-shared-ip", "key"),
        ]);
        let found = Annotation::AllowSharedIp.find(&both).unwrap();
        assert_eq!((found.key, found.value, found.deprecated), ("metallb.io/allow-shared-ip", "", false));
    }

    #[test]
    fn the_deprecated_prefix_is_read_and_told() {
        let old = annotations(&[("metallb.universe.tf/address-pool", "lb-pool")]);
        let found = Annotation::AddressPool.find(&old).unwrap();
        assert_eq!(
            (found.key, found.value, found.deprecated),
            ("metallb.universe.tf/address-pool", "lb-pool", true)
        );
        assert_eq!(Annotation::LoadBalancerIps.find(&old), None);
    }

    #[test]
    fn both_keys_of_an_annotation_differ_in_the_prefix_only() {
        for annotation in Annotation::ALL {
            let name = annotation.key().strip_prefix(METALLB_PREFIX).unwrap();
            assert_eq!(annotation.deprecated_key(), format!("{DEPRECATED_PREFIX}{name}"));
        }
    }
}
