//! Why a Service does not get, or may not keep, an address.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::{ObjectName, PoolName, ServiceKey};

use crate::claim::ClaimRefusal;
use crate::pool::Incompatibility;
use crate::request::{Families, Port};

mod shortage;

pub use shortage::Shortage;

/// How many pools or Services a message names before it only counts them.
const LISTED_MAX: usize = 5;

/// The one reason for not giving an address, or for taking one away.
///
/// The texts contain MetalLB's wherever it has one, since users search for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no usable pool.
    #[error("no available IPs: {}", no_pools(*.rejected))]
    NoPools {
        /// How many pools there are that cannot be used.
        rejected: usize,
    },
    /// It has no cluster IP, or too few for `RequireDualStack`.
    #[error(
        "{}; set spec.ipFamilyPolicy to what the cluster network offers", too_few_cluster_ips(*.families)
    )]
    NotEnoughClusterIps {
        /// The families that it has.
        families: Families,
    },
    /// The pool asked for does not exist.
    #[error(
        "unknown pool \"{pool}\": no IPAddressPool has this name; create it or correct metallb.io/address-pool"
    )]
    UnknownPool {
        /// The pool asked for.
        pool: PoolName,
    },
    /// The pool asked for exists, but cannot be used.
    #[error(
        "pool {pool} gives no new address while its specification is wrong; correct what the IPAddressPool's \
         conditions name"
    )]
    PoolRejected {
        /// The pool.
        pool: PoolName,
    },
    /// The pool does not admit the Service.
    #[error(
        "pool {pool} not compatible for ip assignment: {because}; change that or let the Service ask for another pool"
    )]
    PoolNotCompatible {
        /// The pool.
        pool: PoolName,
        /// What in its specification says so.
        because: Incompatibility,
    },
    /// There are pools, but none for a Service that names none.
    #[error(
        "no available IPs: pools with autoAssign off: {not_automatic}, other pools, which do not admit Services of \
         namespace \"{namespace}\" with these labels: {not_admitting}; name a pool with metallb.io/address-pool, or \
         change autoAssign or serviceAllocation of one"
    )]
    NoMatchingPool {
        /// The Service's namespace.
        namespace: String,
        /// Pools with `autoAssign: false`.
        not_automatic: usize,
        /// The other pools, none of which admits it.
        not_admitting: usize,
    },
    /// Every address that would do is in use.
    #[error(
        "{}: {shortages}; add addresses to the pool or delete a Service that uses one{}",
        no_ips(.asked, *.families), sharing_is_limited(*.shares)
    )]
    PoolExhausted {
        /// The pool asked for, if one was.
        asked: Option<PoolName>,
        /// The families of the Service.
        families: Families,
        /// Whether the Service has a sharing key, which did not help.
        shares: bool,
        /// The pools without a free address.
        shortages: Listed<Shortage>,
    },
    /// No pool that would do has addresses of the Service's families.
    #[error("{}: {shortages}; add addresses of that family or change the Service's spec.ipFamilies", no_ips(.asked, *.families))]
    FamilyNotInPool {
        /// The pool asked for, if one was.
        asked: Option<PoolName>,
        /// The families of the Service.
        families: Families,
        /// The pools and what they lack.
        shortages: Listed<Shortage>,
    },
    /// The addresses are not in any pool that may give them.
    #[error("{} is not allowed in config: {because}", quoted(.addresses))]
    AddressNotInPool {
        /// The addresses asked for or in use.
        addresses: Vec<IpAddr>,
        /// Why no pool may give them.
        because: NotAllowed,
    },
    /// The addresses asked for are in another pool than the one asked for.
    #[error(
        "requested loadBalancer IP(s) {} is not compatible with requested address pool {asked}: it belongs to pool \
         {holder}; ask for one or the other", quoted(.addresses)
    )]
    AddressNotInRequestedPool {
        /// The addresses asked for.
        addresses: Vec<IpAddr>,
        /// The pool asked for.
        asked: PoolName,
        /// The pool they are in.
        holder: PoolName,
    },
    /// The addresses asked for are not of the Service's families.
    #[error(
        "requested loadBalancer IP(s) {} does not match the ipFamily of the service: its cluster IPs are {families}; \
         ask for one address of each family, or for none", quoted(.addresses)
    )]
    FamilyMismatch {
        /// The addresses asked for.
        addresses: Vec<IpAddr>,
        /// The families of its cluster IPs.
        families: Families,
    },
    /// The address is in use, and not shared on both sides.
    #[error(
        "can't change sharing key for \"{service}\", address also in use by {users}: {address} is only shared by \
         Services that all carry the same metallb.io/allow-shared-ip; set it on each of them or choose another address"
    )]
    AddressInUse {
        /// The Service that wants it.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
        /// Who uses it.
        users: Listed<ServiceKey>,
    },
    /// The address is shared, on other terms.
    #[error(
        "can't change sharing key for \"{service}\", address also in use by {users}: to share {address}, \
         metallb.io/allow-shared-ip must be equal, and externalTrafficPolicy either Cluster on all, or Local with \
         equal selectors"
    )]
    SharingMismatch {
        /// The Service that wants it.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
        /// Who uses it.
        users: Listed<ServiceKey>,
    },
    /// The address is shared, but the port is taken.
    #[error(
        "port {port} is already in use on \"{address}\" by {user}; change the port or the sharing key of one"
    )]
    PortConflict {
        /// The address.
        address: IpAddr,
        /// The port both listen on.
        port: Port,
        /// Who has it.
        user: ServiceKey,
    },
    /// The addresses in use are not of the families that the Service has now.
    #[error(
        "{} does not match the ipFamily of the service any more: its cluster IPs are {families} now", quoted(.addresses)
    )]
    FamiliesChanged {
        /// The addresses in use.
        addresses: Vec<IpAddr>,
        /// The families of its cluster IPs.
        families: Families,
    },
    /// The Service asks for another pool than the one that its addresses are from.
    #[error("{} is from pool {holder}, and the Service asks for pool {asked} now", quoted(.addresses))]
    OtherPoolRequested {
        /// The addresses in use.
        addresses: Vec<IpAddr>,
        /// The pool they are from.
        holder: PoolName,
        /// The pool asked for.
        asked: PoolName,
    },
    /// The Service asks for other addresses than it has.
    #[error("{} is not {}, which the Service asks for now", quoted(.addresses), quoted(.asked))]
    OtherAddressesRequested {
        /// The addresses in use.
        addresses: Vec<IpAddr>,
        /// The addresses asked for.
        asked: Vec<IpAddr>,
    },
    /// A claim has the address, or waits for it, and the Service is not bound to that.
    #[error(
        "{address} is kept for AddressClaim {claim}; bind the Service to it with annotation \
         ferrolb.io/address-claim: {} in namespace {}, or use another address", .claim.name, .claim.namespace
    )]
    AddressClaimed {
        /// The address.
        address: IpAddr,
        /// The claim.
        claim: ObjectName,
    },
    /// The claim that the Service names does not exist.
    #[error(
        "there is no AddressClaim {claim}; create it in the Service's namespace or correct ferrolb.io/address-claim"
    )]
    ClaimNotFound {
        /// The claim asked for.
        claim: ObjectName,
    },
    /// The claim that the Service is bound to has no address.
    #[error("AddressClaim {claim} has no address: {why}")]
    ClaimNotReserved {
        /// The claim.
        claim: ObjectName,
        /// Why it has none.
        why: Box<ClaimRefusal>,
    },
    /// What the Service asks for cannot be read.
    #[error("invalid requested loadbalancer IPs: {why}")]
    RequestUnreadable {
        /// What is wrong where.
        why: String,
    },
}

impl Refusal {
    /// The reason as a CamelCase word for conditions, Events, logs and metrics. Stable.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoPools { .. } => "NoPools",
            Self::NotEnoughClusterIps { .. } => "NotEnoughClusterIps",
            Self::UnknownPool { .. } => "UnknownPool",
            Self::PoolRejected { .. } => "PoolRejected",
            Self::PoolNotCompatible { .. } => "PoolNotCompatible",
            Self::NoMatchingPool { .. } => "NoMatchingPool",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::FamilyNotInPool { .. } => "FamilyNotInPool",
            Self::AddressNotInPool { .. } => "AddressNotInPool",
            Self::AddressNotInRequestedPool { .. } => "AddressNotInRequestedPool",
            Self::FamilyMismatch { .. } => "FamilyMismatch",
            Self::AddressInUse { .. } => "AddressInUse",
            Self::SharingMismatch { .. } => "SharingMismatch",
            Self::PortConflict { .. } => "PortConflict",
            Self::FamiliesChanged { .. } => "FamiliesChanged",
            Self::OtherPoolRequested { .. } => "OtherPoolRequested",
            Self::OtherAddressesRequested { .. } => "OtherAddressesRequested",
            Self::AddressClaimed { .. } => "AddressClaimed",
            Self::ClaimNotFound { .. } => "ClaimNotFound",
            Self::ClaimNotReserved { .. } => "ClaimNotReserved",
            Self::RequestUnreadable { .. } => "RequestUnreadable",
        }
    }
}

/// Why no pool may give a set of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAllowed {
    /// This one is in no pool.
    Outside(IpAddr),
    /// This one is in a pool whose specification is wrong.
    Rejected(IpAddr, PoolName),
    /// This one ends in .0 or .255, which its pool avoids.
    Buggy(IpAddr, PoolName),
    /// The two are from different pools.
    SeparatePools(PoolName, PoolName),
    /// There is no address in the list.
    Nothing,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(address) => {
                write!(f, "{address} is in no IPAddressPool; add it to one or ask for another address")
            }
            Self::Rejected(address, pool) => write!(
                f,
                "{address} is in pool {pool}, which gives no new address while its specification is wrong; correct \
                 what the IPAddressPool's conditions name"
            ),
            Self::Buggy(address, pool) => write!(
                f,
                "pool {pool} has avoidBuggyIPs, and {address} ends in .0 or .255; ask for another address or switch \
                 avoidBuggyIPs off"
            ),
            Self::SeparatePools(one, other) => {
                write!(f, "pools {one} and {other} hold one each; ask for both addresses from one pool")
            }
            Self::Nothing => f.write_str("the list is empty; name an address or remove the annotation"),
        }
    }
}

/// The first few of many, and how many there are besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// At most 5.
    pub first: Vec<T>,
    /// How many are not in `first`.
    pub more: usize,
}

impl<T> Listed<T> {
    /// Lists what `item` makes of `all`, which is called for the first few only.
    pub(crate) fn of<S>(all: impl ExactSizeIterator<Item = S>, item: impl FnMut(S) -> T) -> Self {
        Self { more: all.len().saturating_sub(LISTED_MAX), first: all.take(LISTED_MAX).map(item).collect() }
    }
}

impl<T: fmt::Display> fmt::Display for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, one) in self.first.iter().enumerate() {
            write!(f, "{}{one}", if position == 0 { "" } else { ", " })?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Addresses as MetalLB writes a list of them: `["192.0.2.1" "2001:db8::1"]`.
fn quoted(addresses: &[IpAddr]) -> String {
    let each: Vec<String> = addresses.iter().map(|address| alloc::format!("\"{address}\"")).collect();
    alloc::format!("[{}]", each.join(" "))
}

fn no_pools(rejected: usize) -> String {
    match rejected {
        0 => "there is no IPAddressPool; create one".into(),
        _ => alloc::format!(
            "the specification of every IPAddressPool ({rejected}) is wrong; correct what their conditions name"
        ),
    }
}

fn too_few_cluster_ips(families: Families) -> String {
    match families {
        Families::None => "not enough clusterips: the Service has none and needs at least one".into(),
        Families::V4 | Families::V6 | Families::Dual { .. } => {
            alloc::format!("Service requires dual stack but not enough clusterips: {families} only")
        }
    }
}

const fn sharing_is_limited(shares: bool) -> &'static str {
    match shares {
        true => {
            ". An address in use is only shared where metallb.io/allow-shared-ip is equal, the ports are free, and \
             externalTrafficPolicy is either Cluster on all, or Local with equal selectors"
        }
        false => "",
    }
}

fn no_ips(asked: &Option<PoolName>, families: Families) -> String {
    let dual = match families {
        Families::Dual { .. } => " for dual IPFamily",
        Families::None | Families::V4 | Families::V6 => "",
    };
    match asked {
        Some(pool) => alloc::format!("no available IPs in pool {pool}{dual}"),
        None => alloc::format!("no available IPs{dual}"),
    }
}
