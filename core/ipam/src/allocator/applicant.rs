//! A Service that asks, and what it asks for once claims are considered.

use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, ObjectName, PoolName, ServiceKey};

use super::binding::{Binding, ClaimedWish};
use crate::refusal::Refusal;
use crate::request::{Families, FamilyPolicy, ServiceRequest, Wanted};

/// A Service and what it asks for.
#[derive(Clone, Copy)]
pub(super) struct Applicant<'a> {
    pub(super) service: &'a ServiceKey,
    pub(super) request: &'a ServiceRequest,
    /// What claims mean for it; most have none.
    pub(super) binding: Option<&'a Binding<'a>>,
}

/// What a Service asks for, claims considered.
#[derive(Clone, Copy)]
pub(super) enum Wish<'a> {
    Any,
    Pool(&'a PoolName),
    Addresses {
        addresses: &'a [IpAddr],
        pool: Option<&'a PoolName>,
    },
    /// The addresses of its claims; of a family that those leave out, any of the same pool.
    Claimed(&'a [IpAddr]),
    /// It keeps what it has, and gets nothing.
    Unreadable {
        why: &'a str,
    },
    /// It keeps what it has, and gets nothing as long as this is so of one of its claims.
    Unmet(&'a Refusal),
}

impl<'a> Applicant<'a> {
    /// Who was created first is senior; of two created in the same second, the first by namespace and name.
    pub(super) const fn seniority(self) -> (u64, &'a ServiceKey) {
        (self.request.created, self.service)
    }

    /// The families of the cluster IPs.
    pub(super) const fn families(self) -> &'static [IpFamily] {
        self.request.families.each()
    }

    pub(super) fn wish(self) -> Wish<'a> {
        match &self.request.wanted {
            Wanted::Any | Wanted::Claims(_) => match self.binding.map(|binding| &binding.wish) {
                None | Some(ClaimedWish::Own) => Wish::Any,
                Some(ClaimedWish::Addresses(addresses)) => Wish::Claimed(addresses),
                Some(ClaimedWish::Unmet(why)) => Wish::Unmet(why),
            },
            Wanted::Pool(pool) => Wish::Pool(pool),
            Wanted::Addresses { addresses, pool } => Wish::Addresses { addresses, pool: pool.as_ref() },
            Wanted::Unreadable { why } => Wish::Unreadable { why },
        }
    }

    /// Why it is given nothing new whatever there is, if so.
    pub(super) fn unmet(self) -> Option<Refusal> {
        match self.wish() {
            Wish::Unreadable { why } => Some(Refusal::RequestUnreadable { why: why.into() }),
            Wish::Unmet(why) => Some(why.clone()),
            Wish::Any | Wish::Pool(_) | Wish::Addresses { .. } | Wish::Claimed(_) => None,
        }
    }

    /// Whether it may have what is reserved by `claim`.
    pub(super) fn is_bound_to(self, claim: &ObjectName) -> bool {
        self.binding.is_some_and(|binding| binding.is_to(claim))
    }

    /// The address, if it is the only one and the Service would like another of the other family: cluster IPs of
    /// both families, `PreferDualStack`, and no certain addresses asked for.
    pub(super) fn lone_address(self, addresses: &[IpAddr]) -> Option<IpAddr> {
        let ([lone], Families::Dual { .. }, FamilyPolicy::PreferDualStack) =
            (addresses, self.request.families, self.request.policy)
        else {
            return None;
        };
        match self.wish() {
            Wish::Any | Wish::Pool(_) | Wish::Claimed(_) => Some(*lone),
            Wish::Addresses { .. } | Wish::Unreadable { .. } | Wish::Unmet(_) => None,
        }
    }
}
