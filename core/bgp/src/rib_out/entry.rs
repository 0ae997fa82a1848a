//! What is wanted of one prefix, and what the peer has been told.

use alloc::sync::Arc;
use core::mem;

use ferrolb_vocab::IpPrefix;

use super::routes::{RouteId, Routes};
use crate::route::Route;

/// See the module. Ids are references, held by whoever stores them: see [`Routes`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) prefix: IpPrefix,
    /// What was advertised is to be sent once more.
    pub(super) is_stale: bool,
    /// Something is wanted for which no message has room.
    pub(super) is_too_large: bool,
    pub(super) wanted: Option<RouteId>,
    pub(super) advertised: Option<RouteId>,
}

const _: () = assert!(size_of::<Entry>() == 28, "the memory of a peer is told in the module's head");

/// What the peer must be told of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Withdraw,
    Announce(RouteId),
}

impl Entry {
    pub(super) fn new(prefix: IpPrefix, route: &Arc<Route>, routes: &mut Routes) -> Self {
        let mut entry = Self::unwanted(prefix);
        entry.want(Some(route), routes);
        entry
    }

    /// A prefix that the peer was told all the same, with this route.
    pub(super) fn told(prefix: IpPrefix, advertised: RouteId, routes: &mut Routes) -> Self {
        let mut entry = Self::unwanted(prefix);
        entry.set_advertised(Some(advertised), routes);
        entry
    }

    const fn unwanted(prefix: IpPrefix) -> Self {
        Self { prefix, is_stale: false, is_too_large: false, wanted: None, advertised: None }
    }

    pub(super) fn want(&mut self, route: Option<&Arc<Route>>, routes: &mut Routes) {
        let is_known = self.wanted.is_some() && self.wanted.and_then(|id| routes.get(id)) == route;
        if is_known {
            return;
        }
        let wanted = route.filter(|route| route.fits()).map(|route| routes.intern(route));
        self.is_too_large = route.is_some() && wanted.is_none();
        routes.release(mem::replace(&mut self.wanted, wanted));
    }

    pub(super) fn set_advertised(&mut self, advertised: Option<RouteId>, routes: &mut Routes) {
        if let Some(route) = advertised {
            routes.retain(route);
        }
        routes.release(mem::replace(&mut self.advertised, advertised));
        self.is_stale = false;
    }

    /// If the peer `is_told` of the family, and to be told nothing otherwise.
    pub(super) fn change(&self, is_told: bool) -> Option<Change> {
        match (self.wanted.filter(|_| is_told), self.advertised) {
            (None, None) => None,
            (None, Some(_)) => Some(Change::Withdraw),
            (Some(wanted), Some(advertised)) if wanted == advertised && !self.is_stale => None,
            (Some(wanted), _) => Some(Change::Announce(wanted)),
        }
    }

    pub(super) fn is_needed(&self) -> bool {
        self.wanted.is_some() || self.advertised.is_some() || self.is_too_large
    }
}
