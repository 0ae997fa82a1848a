//! One pool of addresses.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use ferrolb_vocab::prefix::address_value;
use ferrolb_vocab::{IpFamily, IpPrefix, IpRange, Labels, PoolName, Selector};

/// An `IPAddressPool`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The object's name.
    pub name: PoolName,
    /// `spec.addresses`, in the order written, which is the order in which they are used up.
    pub ranges: Vec<IpRange>,
    /// Whether Services get addresses from here without naming the pool.
    pub auto_assign: bool,
    /// Whether IPv4 addresses that end in .0 or .255 are never given.
    pub avoid_buggy_ips: bool,
    /// Which Services may use the pool, and its rank for them; `None` serves all, last.
    pub service_allocation: Option<ServiceAllocation>,
}

/// `spec.serviceAllocation`: pins a pool to Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAllocation {
    /// Lower is tried first; 0 is tried last.
    pub priority: u32,
    /// The namespaces admitted, with `namespaceSelectors` already resolved against the live Namespaces:
    /// an empty set admits none, `None` admits all.
    pub namespaces: Option<BTreeSet<String>>,
    /// Any of these must match the Service's labels; none at all admits all.
    pub service_selectors: Vec<Selector>,
}

/// Which part of a pool's `serviceAllocation` a Service does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incompatibility {
    /// The Service's namespace.
    Namespace(String),
    /// The Service's labels.
    Labels,
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) => {
                write!(f, "its serviceAllocation does not admit namespace \"{namespace}\"")
            }
            Self::Labels => {
                f.write_str("none of its serviceAllocation.serviceSelectors matches the Service's labels")
            }
        }
    }
}

impl Pool {
    /// A pool with the defaults of `IPAddressPool`: given to any Service, every address usable.
    pub fn new(name: impl Into<PoolName>, ranges: impl IntoIterator<Item = IpRange>) -> Self {
        Self {
            name: name.into(),
            ranges: ranges.into_iter().collect(),
            auto_assign: true,
            avoid_buggy_ips: false,
            service_allocation: None,
        }
    }

    /// Whether the pool may be used by a Service of `namespace` with `labels`.
    ///
    /// # Errors
    /// The part of `serviceAllocation` that says no.
    pub fn admits(&self, namespace: &str, labels: &Labels) -> Result<(), Incompatibility> {
        self.admits_namespace(namespace)?;
        let Some(allocation) = &self.service_allocation else { return Ok(()) };
        if !Selector::any_or_empty(&allocation.service_selectors, labels) {
            return Err(Incompatibility::Labels);
        }
        Ok(())
    }

    /// Whether the pool may be used in `namespace`, by Services with the right labels at least.
    pub(crate) fn admits_namespace(&self, namespace: &str) -> Result<(), Incompatibility> {
        let admitted = self.service_allocation.as_ref().and_then(|allocation| allocation.namespaces.as_ref());
        match admitted.is_none_or(|admitted| admitted.contains(namespace)) {
            true => Ok(()),
            false => Err(Incompatibility::Namespace(namespace.into())),
        }
    }

    /// How many addresses of `family` the pool can give in all, saturating.
    #[must_use]
    pub fn capacity(&self, family: IpFamily) -> u128 {
        let usable = |range: &IpRange| match self.avoid_buggy_ips {
            true => range.size() - buggy_count(*range),
            false => range.size(),
        };
        self.ranges_of(family).map(|range| usable(&range)).fold(0, u128::saturating_add)
    }

    /// Whether `address` is in the pool and may be given.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        !self.avoids(address) && self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whether `address` is one that this pool never gives, wherever it lies.
    pub(crate) fn avoids(&self, address: IpAddr) -> bool {
        self.avoid_buggy_ips && is_buggy(address)
    }

    /// The ranges of `family`, in the order written.
    pub(crate) fn ranges_of(&self, family: IpFamily) -> impl Iterator<Item = IpRange> + '_ {
        self.ranges.iter().copied().filter(move |range| range.family() == family)
    }

    /// Where a pinned pool stands among others: by priority, 0 last, then by name.
    pub(crate) fn rank(&self) -> (u64, &PoolName) {
        let priority = self.service_allocation.as_ref().map_or(0, |allocation| allocation.priority);
        (if priority == 0 { u64::MAX } else { u64::from(priority) }, &self.name)
    }
}

/// Whether some equipment takes `address` for a network or broadcast address: IPv4 ending in .0 or .255.
fn is_buggy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [_, _, _, 0 | 255]),
        IpAddr::V6(_) => false,
    }
}

/// How many addresses of `range` end in .0 or .255.
fn buggy_count(range: IpRange) -> u128 {
    /// Addresses from 0.0.0.0 up to and with `last` that end in .0 or .255.
    fn up_to(last: Ipv4Addr) -> u64 {
        let value = u64::from(last.to_bits());
        (value / 256 + 1) + (value + 1) / 256
    }
    match (range.start(), range.end()) {
        (IpAddr::V4(start), IpAddr::V4(end)) => {
            let below = start.to_bits().checked_sub(1).map_or(0, |below| up_to(Ipv4Addr::from_bits(below)));
            u128::from(up_to(end) - below)
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => 0,
    }
}

/// `range` as text: as a CIDR if it is one, the way it was most likely written.
pub(crate) fn written(range: IpRange) -> String {
    let start = address_value(range.start());
    let host_mask = start ^ address_value(range.end());
    let is_cidr = host_mask & host_mask.wrapping_add(1) == 0 && start & host_mask == 0;
    let host_bits = u8::try_from(host_mask.count_ones()).unwrap_or(u8::MAX);
    let prefix = range.family().bits().checked_sub(host_bits);
    match prefix.and_then(|length| IpPrefix::containing(range.start(), length)).filter(|_| is_cidr) {
        Some(prefix) => alloc::format!("{prefix}"),
        None => alloc::format!("{range}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn range(text: &str) -> IpRange {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_that_is_a_cidr_is_shown_as_one() {
        for text in ["10.0.0.0/24", "10.0.0.7/32", "0.0.0.0/0", "::/0", "fd00::/64", "10.0.0.1-10.0.0.2"] {
            assert_eq!(written(range(text)), text);
        }
        assert_eq!(written(range("10.0.0.0-10.0.0.255")), "10.0.0.0/24");
    }

    #[test]
    fn capacity_leaves_out_buggy_addresses_only_where_they_are_avoided() {
        let cases = [
            ("10.0.0.0/24", 256, 254),
            ("10.0.0.0/16", 65_536, 65_536 - 512),
            ("10.0.0.1-10.0.0.254", 254, 254),
            ("10.0.0.255-10.0.1.0", 2, 0),
            ("10.0.0.0/32", 1, 0),
            ("10.0.0.128/25", 128, 127),
            ("0.0.0.0/0", 1 << 32, (1 << 32) - (1 << 25)),
        ];
        for (text, all, usable) in cases {
            let mut pool = Pool::new("p", [range(text)]);
            assert_eq!(pool.capacity(IpFamily::V4), all, "{text}");
            pool.avoid_buggy_ips = true;
            assert_eq!(pool.capacity(IpFamily::V4), usable, "{text}");
            assert_eq!(pool.capacity(IpFamily::V6), 0, "{text}");
        }
    }

    #[test]
    fn capacity_saturates() {
        let pool = Pool::new("p", [range("::/0"), range("fd00::/64")]);
        assert_eq!(pool.capacity(IpFamily::V6), u128::MAX);
    }

    #[test]
    fn a_resolved_but_empty_namespace_set_admits_nobody() {
        let mut pool = Pool::new("p", [range("10.0.0.0/24")]);
        pool.service_allocation = Some(ServiceAllocation::default());
        assert_eq!(pool.admits("shop", &Labels::default()), Ok(()));
        pool.service_allocation =
            Some(ServiceAllocation { namespaces: Some(BTreeSet::new()), ..ServiceAllocation::default() });
        let why = pool.admits("shop", &Labels::default()).unwrap_err();
        assert_eq!(why.to_string(), "its serviceAllocation does not admit namespace \"shop\"");
    }
}
