//! What claims may have, and what they mean for Services.

use super::*;

/// What a claim had before the round.
pub(super) struct Had {
    /// What it had reserved, and whether the allocator remembers that.
    reserved: Option<(IpAddr, bool)>,
}

pub(super) fn had(cluster: &Cluster) -> BTreeMap<ObjectName, Had> {
    let had = |(name, request): (&ObjectName, &ClaimRequest)| {
        let reserved = match cluster.allocator.claims().get(name) {
            Some(decision) => decision.reservation().map(|had| (had.address, true)),
            None => request.recorded.filter(|record| record.reserved).map(|record| (record.address, false)),
        };
        (name.clone(), Had { reserved })
    };
    cluster.claims.iter().map(had).collect()
}

/// The claim that has `address` or waits for it, and whether it has it.
pub(super) fn of(cluster: &Cluster, address: IpAddr) -> Option<(&ObjectName, bool)> {
    let awaits = |decision: &ClaimDecision| {
        let is_asked_for = matches!(
            decision.refusal(),
            Some(ClaimRefusal::AddressInUse { address: asked, .. }) if *asked == address
        );
        let is_kept = matches!(decision.refusal(), Some(ClaimRefusal::ClaimUnreadable { .. }));
        is_asked_for || is_kept && decision.address() == Some(address)
    };
    let has = |decision: &ClaimDecision| decision.reservation().is_some_and(|has| has.address == address);
    let mut claims = cluster.allocator.claims().iter();
    let reserved = claims.clone().find(|(_, decision)| has(decision)).map(|(name, _)| (name, true));
    reserved.or_else(|| claims.find(|(_, decision)| awaits(decision)).map(|(name, _)| (name, false)))
}

/// The claims of a Service, by name or by selector.
fn bound<'a>(
    cluster: &'a Cluster,
    service: &ServiceKey,
    request: &ServiceRequest,
) -> Vec<(&'a ObjectName, &'a ClaimRequest)> {
    let of_namespace = cluster.claims.iter().filter(|(name, _)| *name.namespace == *service.namespace);
    let binds = |name: &ObjectName, claim: &ClaimRequest| match &request.wanted {
        Wanted::Claims(names) => names.contains(&name.name),
        Wanted::Any | Wanted::Pool(_) | Wanted::Addresses { .. } | Wanted::Unreadable { .. } => {
            claim.selector.as_ref().is_some_and(|selector| selector.matches(&request.labels))
        }
    };
    of_namespace.filter(|(name, claim)| binds(name, claim)).collect()
}

pub(super) fn check(cluster: &Cluster, before: &Before) {
    assert!(cluster.allocator.claims().keys().eq(cluster.claims.keys()), "one decision for each claim");
    for (name, request) in &cluster.claims {
        let one = Subject { cluster, name, request, before };
        one.check_continuity();
        match &cluster.allocator.claims()[name] {
            ClaimDecision::Reserved(reservation) => one.check_reservation(reservation),
            ClaimDecision::Waiting { .. } => one.check_that_nothing_would_do(),
        }
    }
}

struct Subject<'a> {
    cluster: &'a Cluster,
    name: &'a ObjectName,
    request: &'a ClaimRequest,
    before: &'a Before,
}

impl Subject<'_> {
    /// Whoever had an address reserved has it still, unless it may not, or another has it with at least its right.
    fn check_continuity(&self) {
        let Some((address, remembered)) = self.before.claims[self.name].reserved else { return };
        if !self.fits(address, true) {
            return;
        }
        let (claim, has) = of(self.cluster, address).expect("reserved or awaited");
        let theirs = self.before.claims[claim].reserved;
        assert!(
            has && theirs.is_some_and(|(had, known)| had == address && (known || !remembered)),
            "{} lost {address} to {claim}",
            self.name
        );
    }

    fn check_reservation(&self, reservation: &Reservation) {
        let address = reservation.address;
        assert_eq!(of(self.cluster, address), Some((self.name, true)), "one claim for {address}");
        let is_new = reservation.change == Change::Allocated;
        assert!(self.fits(address, !is_new), "{} has {address}", self.name);
        let decisions = self.cluster.allocator.decisions().iter();
        let users = decisions.filter(|(_, decision)| decision.addresses().contains(&address));
        let mut names = BTreeSet::new();
        for (user, _) in users {
            assert!(self.binds(user), "{user} has {address} of {}", self.name);
            names.insert(String::from(&*user.name));
        }
        assert_eq!(reservation.services, names, "users of {address}");
        if is_new {
            assert!(self.strangers_before(address).is_empty(), "{} took {address} from a Service", self.name);
        }
    }

    fn check_that_nothing_would_do(&self) {
        let all = UNIVERSE.iter().flat_map(|range| addresses(range.parse().unwrap()));
        for address in all.filter(|address| self.fits(*address, false)) {
            let taken = of(self.cluster, address).is_some_and(|(claim, has)| has || claim != self.name);
            let in_use = !self.strangers_before(address).is_empty();
            assert!(taken || in_use, "{} could have {address}", self.name);
        }
    }

    /// Whether, others aside, it asks for `address` and a pool gives it.
    fn fits(&self, address: IpAddr, also_frozen: bool) -> bool {
        let frozen = self.cluster.pools.frozen().filter(|_| also_frozen);
        self.cluster.pools.iter().chain(frozen).any(|pool| {
            let asked = match &self.request.want {
                ClaimWant::Address(asked) => *asked == address,
                ClaimWant::Pool { pool: asked, family } => {
                    *asked == pool.name && *family == IpFamily::of(address)
                }
                ClaimWant::Unreadable { .. } => false,
            };
            let allocation = pool.service_allocation.as_ref();
            let namespaces = allocation.and_then(|allocation| allocation.namespaces.as_ref());
            asked
                && gives(pool).contains(&address)
                && namespaces.is_none_or(|admitted| admitted.contains(&self.name.namespace))
        })
    }

    fn binds(&self, service: &ServiceKey) -> bool {
        let request = &self.cluster.services[service];
        bound(self.cluster, service, request).iter().any(|(claim, _)| *claim == self.name)
    }

    /// The Services that had `address` and are not bound to the claim.
    fn strangers_before(&self, address: IpAddr) -> Vec<&ServiceKey> {
        let had = self.before.services.iter().filter(|(_, had)| had.addresses.contains(&address));
        had.map(|(service, _)| service).filter(|service| !self.binds(service)).collect()
    }
}

/// What a Service asks for, claims considered.
pub(super) enum Wish {
    Any,
    Pool(PoolName),
    Addresses(Vec<IpAddr>, Option<PoolName>),
    Claimed(Vec<IpAddr>),
    Nothing,
}

impl super::Subject<'_> {
    pub(super) fn wish(&self) -> Wish {
        let mut bound = bound(self.cluster, self.service, self.request);
        let meant: Vec<ObjectName> = match &self.request.wanted {
            Wanted::Pool(pool) => return Wish::Pool(pool.clone()),
            Wanted::Addresses { addresses, pool } => return Wish::Addresses(addresses.clone(), pool.clone()),
            Wanted::Unreadable { .. } => return Wish::Nothing,
            Wanted::Claims(names) => {
                names.iter().map(|name| ObjectName::new(&*self.service.namespace, name)).collect()
            }
            Wanted::Any => {
                bound.sort_by_key(|(name, claim)| (claim.created, *name));
                let first = |family| bound.iter().find(|(_, claim)| claim.family() == Some(family));
                self.families().into_iter().filter_map(first).map(|(name, _)| (*name).clone()).collect()
            }
        };
        if meant.is_empty() {
            return Wish::Any;
        }
        let reserved = |claim| self.cluster.allocator.claims().get(claim)?.reservation();
        let addresses = meant.iter().map(|claim| Some(reserved(claim)?.address));
        addresses.collect::<Option<Vec<_>>>().map_or(Wish::Nothing, Wish::Claimed)
    }

    /// Whether a claim that the Service is not bound to has `address`.
    pub(super) fn is_reserved_for_others(&self, address: IpAddr) -> bool {
        of(self.cluster, address).is_some_and(|(claim, has)| has && !self.is_bound_to(claim))
    }

    /// Whether a claim that the Service is not bound to has `address`, or waits for it.
    pub(super) fn is_claimed_by_others(&self, address: IpAddr) -> bool {
        of(self.cluster, address).is_some_and(|(claim, _)| !self.is_bound_to(claim))
    }

    /// Whether the Service might be given `address`.
    pub(super) fn is_free(&self, address: IpAddr) -> bool {
        self.conflicts(address).is_empty() && !self.was_left(address) && !self.is_claimed_by_others(address)
    }

    fn is_bound_to(&self, claim: &ObjectName) -> bool {
        let bound = bound(self.cluster, self.service, self.request);
        bound.iter().any(|(name, _)| *name == claim)
    }
}
