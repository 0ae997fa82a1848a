//! Which of a node's interfaces may carry announcements.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::{InterfaceName, IpFamily, IpPrefix, Link, LinkFlag};
use regex_lite::Regex;

/// Interfaces never to announce on, by regular expression (unanchored, as in MetalLB's
/// `metallb-excludel2`; docs/reference/metallb-contract.md, "Interfaces").
#[derive(Clone, Default)]
pub struct Exclusions(Vec<Regex>);

/// One of the patterns does not parse.
#[derive(Clone, Debug)]
pub struct BadPattern {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub cause: String,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a regular expression: {}", self.pattern, self.cause)
    }
}

impl core::error::Error for BadPattern {}

impl Exclusions {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// The first pattern that is not a regular expression.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, BadPattern> {
        let compile = |pattern: &str| {
            Regex::new(pattern)
                .map_err(|error| BadPattern { pattern: pattern.into(), cause: alloc::format!("{error}") })
        };
        patterns.into_iter().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `interface` matches any pattern.
    #[must_use]
    pub fn excludes(&self, interface: &InterfaceName) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(interface.as_str()))
    }
}

impl fmt::Debug for Exclusions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Regex::as_str)).finish()
    }
}

/// The links that may carry announcements: up, speaking for themselves, not excluded, and
/// with address resolution (ARP or NDP).
pub fn announceable<'a>(links: &'a [Link], exclusions: &'a Exclusions) -> impl Iterator<Item = &'a Link> {
    links.iter().filter(|link| {
        link.is(LinkFlag::Up)
            && link.mac.is_some()
            && !link.is(LinkFlag::Loopback)
            && !link.is(LinkFlag::NoArp)
            && !link.is(LinkFlag::Enslaved)
            && !exclusions.excludes(&link.name)
    })
}

/// The subnets of `link` that hosts can share with it: host routes and link-local prefixes
/// are not where a pool could lie.
pub fn subnets(link: &Link) -> impl Iterator<Item = IpPrefix> {
    link.addresses.iter().map(|address| address.prefix).filter(|prefix| {
        let link_local = match prefix.network() {
            IpAddr::V4(network) => network.is_link_local(),
            IpAddr::V6(network) => network.is_unicast_link_local(),
        };
        !link_local && prefix.length() < prefix.family().bits()
    })
}

/// Whether `link` can resolve addresses of `family`: ARP is broadcast, and Neighbor
/// Discovery needs a link-local address of its own (RFC 4861 §4.2 ff.).
pub(crate) fn resolves(link: &Link, family: IpFamily) -> bool {
    let is_link_local = |own: IpAddr| matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
    match family {
        IpFamily::V4 => link.is(LinkFlag::Broadcast),
        IpFamily::V6 => link.addresses.iter().any(|own| is_link_local(own.address)),
    }
}

/// The announceable interfaces with a subnet that contains `address`, which can resolve it.
pub(crate) fn on_link(links: &[Link], exclusions: &Exclusions, address: IpAddr) -> BTreeSet<InterfaceName> {
    announceable(links, exclusions)
        .filter(|link| {
            resolves(link, IpFamily::of(address)) && subnets(link).any(|subnet| subnet.contains(address))
        })
        .map(|link| link.name.clone())
        .collect()
}
