//! Addresses that are reserved in a namespace, whether a Service uses them or not: `AddressClaim` objects.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, ObjectName, PoolName, Selector, ServiceKey};

use crate::decision::Change;
use crate::pool::Incompatibility;
use crate::refusal::{Listed, NotAllowed, Shortage};

/// Everything about an `AddressClaim` that decides what it reserves and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// What it reserves.
    pub want: ClaimWant,
    /// Which Services of its namespace it is for, besides those that name it; `None` selects none.
    pub selector: Option<Selector>,
    /// What its status says of it.
    pub recorded: Option<ClaimRecord>,
    /// Creation time in seconds since the Unix epoch: who came first is served first.
    pub created: u64,
}

/// What a claim reserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimWant {
    /// This address.
    Address(IpAddr),
    /// One address of a pool.
    Pool {
        /// The pool, which need not have `autoAssign`.
        pool: PoolName,
        /// The family of the address.
        family: IpFamily,
    },
    /// What it asks for cannot be read. The address that it had is given to nobody new, and reserved for nobody.
    Unreadable {
        /// What is wrong with which field.
        why: String,
    },
}

/// What was written down of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRecord {
    /// The address that it has, or had last.
    pub address: IpAddr,
    /// Whether it has it.
    pub reserved: bool,
}

impl ClaimRequest {
    /// A claim of `want` that selects no Service and has no address yet.
    #[must_use]
    pub const fn new(want: ClaimWant) -> Self {
        Self { want, selector: None, recorded: None, created: 0 }
    }

    /// The family of the address that it reserves, as far as that can be read.
    pub(crate) const fn family(&self) -> Option<IpFamily> {
        match &self.want {
            ClaimWant::Address(IpAddr::V4(_)) => Some(IpFamily::V4),
            ClaimWant::Address(IpAddr::V6(_)) => Some(IpFamily::V6),
            ClaimWant::Pool { family, .. } => Some(*family),
            ClaimWant::Unreadable { .. } => None,
        }
    }
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimDecision {
    /// It has an address.
    Reserved(Reservation),
    /// It has none (yet).
    Waiting {
        /// Why.
        why: ClaimRefusal,
        /// The address that it had last, which it gets again if it can.
        former: Option<IpAddr>,
    },
}

/// An address that only Services bound to the claim may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The address.
    pub address: IpAddr,
    /// The pool that it is from.
    pub pool: PoolName,
    /// The bound Services that have it, by name; they are of the claim's namespace.
    pub services: BTreeSet<String>,
    /// What this round did: kept it, or reserved it (`Change::Allocated`).
    pub change: Change,
}

impl ClaimDecision {
    /// The reservation, unless the claim waits.
    #[must_use]
    pub const fn reservation(&self) -> Option<&Reservation> {
        match self {
            Self::Reserved(reservation) => Some(reservation),
            Self::Waiting { .. } => None,
        }
    }

    /// The address that it has, or had last.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Reserved(reservation) => Some(reservation.address),
            Self::Waiting { former, .. } => *former,
        }
    }

    /// Why nothing is reserved, if nothing is.
    #[must_use]
    pub const fn refusal(&self) -> Option<&ClaimRefusal> {
        match self {
            Self::Reserved(_) => None,
            Self::Waiting { why, .. } => Some(why),
        }
    }
}

/// Why a claim reserves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefusal {
    /// The address is in no pool that may give it.
    #[error("{because}")]
    AddressNotInPool {
        /// Why no pool may give it.
        because: NotAllowed,
    },
    /// The pool asked for does not exist.
    #[error("unknown pool \"{pool}\": no IPAddressPool has this name; create it or correct spec.pool")]
    UnknownPool {
        /// The pool.
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
    /// The pool does not admit the claim's namespace.
    #[error("pool {pool} is not for this claim: {because}; change that or claim an address of another pool")]
    PoolNotCompatible {
        /// The pool.
        pool: PoolName,
        /// What in its specification says so.
        because: Incompatibility,
    },
    /// Services have the address that are not bound to the claim.
    #[error(
        "{address} is in use by {users}; it is reserved as soon as it is released, or as soon as all who use it are \
         bound to this claim by ferrolb.io/address-claim or spec.serviceSelector"
    )]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// Who has it.
        users: Listed<ServiceKey>,
    },
    /// Another claim has the address, or waits for it.
    #[error(
        "{address} belongs to AddressClaim {claim}, which was first; delete that or claim another address"
    )]
    AddressClaimed {
        /// The address.
        address: IpAddr,
        /// The other claim.
        claim: ObjectName,
    },
    /// Every address of the pool is in use or reserved.
    #[error("no available IPs in pool {}: {shortage}; add addresses to the pool or release one", .shortage.pool)]
    PoolExhausted {
        /// The pool.
        shortage: Shortage,
    },
    /// The pool has no addresses of the family asked for.
    #[error(
        "no available IPs in pool {}: {shortage}; add addresses of that family or change spec.family",
        .shortage.pool
    )]
    FamilyNotInPool {
        /// The pool.
        shortage: Shortage,
    },
    /// What the claim asks for cannot be read.
    #[error("the claim cannot be read: {why}")]
    ClaimUnreadable {
        /// What is wrong where.
        why: String,
    },
}

impl ClaimRefusal {
    /// The reason as a CamelCase word for conditions, Events, logs and metrics. Stable.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::AddressNotInPool { .. } => "AddressNotInPool",
            Self::UnknownPool { .. } => "UnknownPool",
            Self::PoolRejected { .. } => "PoolRejected",
            Self::PoolNotCompatible { .. } => "PoolNotCompatible",
            Self::AddressInUse { .. } => "AddressInUse",
            Self::AddressClaimed { .. } => "AddressClaimed",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::FamilyNotInPool { .. } => "FamilyNotInPool",
            Self::ClaimUnreadable { .. } => "ClaimUnreadable",
        }
    }
}
