//! What became of a request.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::PoolName;

use crate::refusal::Refusal;
use crate::request::Terms;

/// What became of a Service's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has addresses.
    Allocated(Allocation),
    /// It has none.
    Refused(Refused),
}

impl Decision {
    /// The addresses for `status.loadBalancer.ingress`, in order; none when refused.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Allocated(allocation) => &allocation.addresses,
            Self::Refused(_) => &[],
        }
    }

    /// The allocation, unless refused.
    #[must_use]
    pub const fn allocation(&self) -> Option<&Allocation> {
        match self {
            Self::Allocated(allocation) => Some(allocation),
            Self::Refused(_) => None,
        }
    }

    /// Why there is no address, if there is none.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Allocated(_) => None,
            Self::Refused(refused) => Some(&refused.why),
        }
    }

    /// What a Service with addresses lacks of what it asks for, and why.
    #[must_use]
    pub fn lack(&self) -> Option<&Refusal> {
        let allocation = self.allocation()?;
        allocation.unmet.as_deref().or(allocation.missing.as_deref())
    }

    /// What was taken away in this round, and why (Event `ClearAssignment`).
    #[must_use]
    pub fn cleared(&self) -> Option<&Cleared> {
        match self {
            Self::Allocated(allocation) => allocation.cleared.as_deref(),
            Self::Refused(refused) => refused.cleared.as_deref(),
        }
    }
}

/// Addresses of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The pool that they are all from.
    pub pool: PoolName,
    /// One or two, of different families. A new pair is IPv4 first, unless asked for otherwise; an address added
    /// later comes second.
    pub addresses: Vec<IpAddr>,
    /// On what terms the Service uses them.
    pub terms: Arc<Terms>,
    /// What this round did.
    pub change: Change,
    /// Why a `PreferDualStack` Service with cluster IPs of both families has an address of only one, as long as
    /// it has.
    pub missing: Option<Box<Refusal>>,
    /// Why it keeps these without having what it asks for, as long as that cannot be given or read.
    pub unmet: Option<Box<Refusal>>,
    /// What this round took away before it gave these.
    pub cleared: Option<Box<Cleared>>,
}

/// What a round did to a Service's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it had them.
    Kept,
    /// Gave them (Event `IPAllocated`).
    Allocated,
    /// Added this one to the one it had (Event `IPAllocated`, "Assigned additional IP").
    Added(IpAddr),
}

/// A Service without an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why it gets none.
    pub why: Refusal,
    /// What this round took away.
    pub cleared: Option<Box<Cleared>>,
}

/// Addresses that a Service had and may not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Why it may not keep them.
    pub why: Refusal,
}
