//! The words every FerroLB crate shares: addresses, names, labels and time, as values.
//!
//! What is absent: protocols, decisions, IO, a clock. A value of these types has been
//! parsed: whoever holds one need not check it again.
//!
//! # Layout
//! [`prefix`] and [`range`] are sets of addresses, [`mac`] is a link-layer address,
//! [`link`] is an interface of the host, [`names`] are Kubernetes names that must not be mixed up, [`labels`] are labels and
//! selectors, [`asn`] and [`community`] are the numbers of BGP, [`epoch`] numbers the owners of an
//! address, [`time`] is the instant that cores receive from their drivers, [`random`] their jitter.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod asn;
pub mod community;
pub mod epoch;
pub mod labels;
pub mod link;
pub mod mac;
pub mod names;
pub mod prefix;
pub mod random;
pub mod range;
pub mod time;

pub use asn::{Asn, BgpId, ParseAsnError};
pub use community::{Community, LargeCommunity, ParseCommunityError, ParseLargeCommunityError};
pub use epoch::Epoch;
pub use labels::{Labels, Operator, Requirement, Selector};
pub use link::{Link, LinkAddress, LinkFlag};
pub use mac::MacAddr;
pub use names::{InterfaceName, NodeName, ObjectName, PoolName, ServiceKey};
pub use prefix::{IpFamily, IpPrefix, ParsePrefixError};
pub use random::Random;
pub use range::{IpRange, ParseRangeError};
pub use time::Instant;
