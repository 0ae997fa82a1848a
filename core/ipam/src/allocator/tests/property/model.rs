//! What may be, said as plainly as possible and without regard to speed.

use ferrolb_vocab::prefix::address_value;

use super::*;

mod claims;

use claims::Wish;

use crate::request::other;

/// The ranges of which pools are made. Some overlap, so that pools are rejected and frozen.
pub(super) const UNIVERSE: [&str; 8] = [
    "10.0.0.254-10.0.1.1",
    "10.0.1.1-10.0.1.2",
    "10.0.2.0/30",
    "10.0.3.7/32",
    "10.0.4.0/31",
    "fd00::/127",
    "fd00::1/128",
    "fd01::4/126",
];

pub(super) fn pool_name(number: usize) -> PoolName {
    PoolName::from(format!("pool-{number}"))
}

pub(super) fn addresses(range: IpRange) -> Vec<IpAddr> {
    (address_value(range.start())..=address_value(range.end()))
        .map(|value| range.family().address(value))
        .collect()
}

/// What each Service and each claim had before the round.
pub(super) struct Before {
    services: BTreeMap<ServiceKey, Had>,
    claims: BTreeMap<ObjectName, claims::Had>,
}

struct Had {
    addresses: Vec<IpAddr>,
    /// On what terms, as far as the allocator remembers.
    terms: Option<Arc<Terms>>,
}

impl Before {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let had = |(service, request): (&ServiceKey, &ServiceRequest)| {
            let had = match cluster.allocator.decisions().get(service) {
                Some(Decision::Allocated(allocation)) => Had {
                    addresses: allocation.addresses.clone(),
                    terms: Some(Arc::clone(&allocation.terms)),
                },
                Some(Decision::Refused(_)) => Had { addresses: Vec::new(), terms: None },
                None => Had { addresses: request.recorded.clone(), terms: None },
            };
            (service.clone(), had)
        };
        let services = cluster.services.iter().map(had).collect();
        Self { services, claims: claims::had(cluster) }
    }
}

pub(super) fn check_round(cluster: &Cluster, before: &Before) {
    let decisions = cluster.allocator.decisions();
    assert!(decisions.keys().eq(cluster.services.keys()), "one decision for each Service");
    claims::check(cluster, before);
    for (service, request) in &cluster.services {
        let one = Subject { cluster, service, request, before };
        match &decisions[service] {
            Decision::Allocated(allocation) => one.check_allocation(allocation),
            Decision::Refused(_) => one.check_that_nothing_would_do(),
        }
        one.check_continuity(&before.services[service]);
    }
}

struct Subject<'a> {
    cluster: &'a Cluster,
    service: &'a ServiceKey,
    request: &'a ServiceRequest,
    before: &'a Before,
}

impl Subject<'_> {
    fn check_allocation(&self, allocation: &Allocation) {
        assert_eq!(allocation.terms, self.request.terms);
        assert!(self.may_have(&allocation.addresses), "{} has {:?}", self.service, allocation.addresses);
        for address in &allocation.addresses {
            assert_eq!(self.conflicts(*address), Vec::<&ServiceKey>::new(), "{} and {address}", self.service);
        }
        assert_eq!(
            allocation.unmet.is_some(),
            self.lacks_what_it_asks_for(&allocation.addresses),
            "{}",
            self.service
        );
        if allocation.unmet.is_some() {
            assert_eq!(allocation.change, Change::Kept);
            self.check_that_nothing_would_do();
        }
        if allocation.change == Change::Allocated {
            self.check_choice(allocation);
        }
    }

    /// A new allocation is of a usable pool, and no lower address of it would do.
    fn check_choice(&self, allocation: &Allocation) {
        let any = match self.wish() {
            // Its pool may be frozen by now.
            Wish::Claimed(_) => return,
            Wish::Addresses(..) => false,
            Wish::Any | Wish::Pool(_) => true,
            Wish::Nothing => panic!("{} was given something", self.service),
        };
        let pool = self.cluster.pools.get(&allocation.pool).expect("usable");
        if !any {
            return;
        }
        for address in &allocation.addresses {
            let lowest = self.available(pool, IpFamily::of(*address)).first().copied();
            assert_eq!(lowest, Some(*address), "the lowest of {} for {}", pool.name, self.service);
        }
        let would_do = |pool: &&Pool| {
            allocation
                .addresses
                .iter()
                .all(|address| !self.available(pool, IpFamily::of(*address)).is_empty())
        };
        let first = self.candidates().into_iter().find(would_do);
        assert_eq!(first.map(|pool| &pool.name), Some(&pool.name), "the first pool for {}", self.service);
        if let Some(missing) = &allocation.missing {
            assert!(self.families().len() == 2 && allocation.addresses.len() == 1, "{missing}");
        }
    }

    /// Whether it keeps what it has although its claims mean something else, or nothing.
    fn lacks_what_it_asks_for(&self, addresses: &[IpAddr]) -> bool {
        match self.wish() {
            Wish::Nothing => true,
            Wish::Claimed(claimed) => claimed.iter().any(|claimed| !addresses.contains(claimed)),
            Wish::Any | Wish::Pool(_) | Wish::Addresses(..) => false,
        }
    }

    /// A refused Service could not be given anything, not even now that the round is over.
    fn check_that_nothing_would_do(&self) {
        let free = |addresses: &[IpAddr]| addresses.iter().all(|address| self.is_free(*address));
        let fits = match self.wish() {
            Wish::Nothing => false,
            Wish::Addresses(addresses, _) => {
                let usable = self.holders(&addresses, false).any(|pool| self.accepts(pool, &addresses));
                usable && self.has_exactly_its_families(&addresses) && free(&addresses)
            }
            Wish::Claimed(addresses) => {
                let partly = self.families().len() == 2 && addresses.len() == 1;
                let complete = |pool: &Pool| {
                    self.request.policy == FamilyPolicy::PreferDualStack
                        || self.cluster.pools.get(&pool.name) == Some(pool)
                            && !self.available(pool, other(IpFamily::of(addresses[0]))).is_empty()
                };
                let mut pools = self.holders(&addresses, true).filter(|pool| self.accepts(pool, &addresses));
                let first = pools.next();
                let fits = match partly {
                    true => first.is_some_and(complete),
                    false => first.is_some() && self.has_exactly_its_families(&addresses),
                };
                fits && free(&addresses)
            }
            Wish::Any | Wish::Pool(_) => self.candidates().iter().any(|pool| {
                let mut each =
                    self.families().into_iter().map(|family| !self.available(pool, family).is_empty());
                match self.request.policy {
                    FamilyPolicy::PreferDualStack => each.any(|available| available),
                    FamilyPolicy::SingleStack | FamilyPolicy::RequireDualStack => {
                        each.all(|available| available)
                    }
                }
            }),
        };
        assert!(!(fits && self.has_enough_cluster_ips()), "{} could be served", self.service);
    }

    /// Who had addresses has them still, unless they may not be had any more, or unless someone who had them too
    /// was in the right.
    fn check_continuity(&self, had: &Had) {
        let decision = &self.cluster.allocator.decisions()[self.service];
        let kept = decision.addresses().starts_with(&had.addresses);
        assert!(kept || decision.cleared().is_some(), "{} lost {:?} unheard", self.service, had.addresses);
        for new in decision.addresses().iter().filter(|address| !had.addresses.contains(address)) {
            assert!(!self.is_claimed_by_others(*new), "{} was given {new}", self.service);
        }
        if decision.cleared().is_none() || self.has_moved() || !self.may_have(&had.addresses) {
            return;
        }
        let rightful = |other: &&ServiceKey| {
            let theirs = &self.before.services[*other];
            theirs.addresses.iter().any(|address| had.addresses.contains(address))
                && (theirs.terms.is_some() || had.terms.is_none())
        };
        assert!(
            had.addresses.iter().flat_map(|address| self.conflicts(*address)).any(|other| rightful(&other))
                || had.addresses.iter().any(|address| self.was_left(*address)),
            "{} lost {:?} to nobody with an older right",
            self.service,
            had.addresses
        );
        assert_ne!(had.terms.as_ref(), Some(&self.request.terms), "{} changed no terms", self.service);
    }

    /// Whether, others aside, the Service may go on having `addresses`.
    fn may_have(&self, addresses: &[IpAddr]) -> bool {
        let prefers = self.request.policy == FamilyPolicy::PreferDualStack && self.families().len() == 2;
        self.has_enough_cluster_ips()
            && (self.has_exactly_its_families(addresses) || prefers && addresses.len() == 1)
            && self.holders(addresses, true).any(|pool| self.accepts(pool, addresses))
            && addresses.iter().all(|address| !self.is_reserved_for_others(*address))
    }

    /// Whether a pool that holds `addresses` and the request agree.
    fn accepts(&self, pool: &Pool, addresses: &[IpAddr]) -> bool {
        let asked = match self.wish() {
            Wish::Any | Wish::Nothing => true,
            Wish::Pool(asked) => asked == pool.name,
            Wish::Claimed(_) => true,
            Wish::Addresses(asked, asked_pool) => {
                asked.iter().all(|asked| addresses.contains(asked))
                    && addresses.iter().all(|address| asked.contains(address))
                    && asked_pool.is_none_or(|asked| asked == pool.name)
            }
        };
        asked && pool.admits(&self.service.namespace, &self.request.labels).is_ok()
    }

    fn holders(&self, wanted: &[IpAddr], also_frozen: bool) -> impl Iterator<Item = &Pool> {
        let frozen = self.cluster.pools.frozen().filter(move |_| also_frozen);
        self.cluster
            .pools
            .iter()
            .chain(frozen)
            .filter(|pool| wanted.iter().all(|address| gives(pool).contains(address)))
    }

    /// The pools that would serve the Service, best first.
    fn candidates(&self) -> Vec<&Pool> {
        let pools = self.cluster.pools.iter();
        let mut candidates: Vec<&Pool> = pools
            .filter(|pool| match self.wish() {
                Wish::Pool(asked) => pool.name == asked,
                Wish::Any | Wish::Addresses(..) | Wish::Claimed(_) | Wish::Nothing => pool.auto_assign,
            })
            .filter(|pool| pool.admits(&self.service.namespace, &self.request.labels).is_ok())
            .collect();
        candidates.sort_by_key(|pool| match pool.service_allocation.as_ref().map(|pinned| pinned.priority) {
            Some(0) => (1, 0),
            Some(priority) => (0, priority),
            None => (2, 0),
        });
        candidates
    }

    /// The addresses of `pool` that the Service could use beside all others, in the order they are given.
    fn available(&self, pool: &Pool, family: IpFamily) -> Vec<IpAddr> {
        let own = self.cluster.allocator.decisions()[self.service].addresses();
        let usable = |address: &IpAddr| {
            own.contains(address)
                || self.conflicts(*address).is_empty()
                    && !self.was_left(*address)
                    && claims::of(self.cluster, *address).is_none()
        };
        gives(pool).into_iter().filter(|address| IpFamily::of(*address) == family).filter(usable).collect()
    }

    /// The other Services that have `address` and cannot share it with this one.
    fn conflicts(&self, address: IpAddr) -> Vec<&ServiceKey> {
        let decisions = self.cluster.allocator.decisions();
        let has = |service: &ServiceKey| decisions[service].addresses().contains(&address);
        let shares = |other: &Terms| {
            let own = &self.request.terms;
            own.sharing.is_some()
                && own.sharing == other.sharing
                && own.backend == other.backend
                && own.ports.is_disjoint(&other.ports)
        };
        let others = self.cluster.services.iter().filter(|(other, _)| *other != self.service && has(other));
        others.filter(|(_, request)| !shares(&request.terms)).map(|(other, _)| other).collect()
    }

    /// Whether the Service was given what its claims mean, in exchange for what it had.
    fn has_moved(&self) -> bool {
        let decision = &self.cluster.allocator.decisions()[self.service];
        decision.cleared().is_some()
            && !decision.addresses().is_empty()
            && matches!(self.wish(), Wish::Claimed(_))
            && self.may_have(&self.before.services[self.service].addresses)
    }

    /// Whether a Service may have moved away from `address` in this round: then it is free from the next on.
    fn was_left(&self, address: IpAddr) -> bool {
        let had = self.before.services.iter().filter(|(_, had)| had.addresses.contains(&address));
        let leaves = |service: &ServiceKey| {
            service != self.service
                && Subject { service, request: &self.cluster.services[service], ..*self }.has_moved()
        };
        had.map(|(service, _)| service).any(leaves)
    }

    fn families(&self) -> Vec<IpFamily> {
        match self.request.families {
            Families::None => std::vec![],
            Families::V4 => std::vec![IpFamily::V4],
            Families::V6 => std::vec![IpFamily::V6],
            Families::Dual { .. } => std::vec![IpFamily::V4, IpFamily::V6],
        }
    }

    fn has_enough_cluster_ips(&self) -> bool {
        self.families().len() >= if self.request.policy == FamilyPolicy::RequireDualStack { 2 } else { 1 }
    }

    fn has_exactly_its_families(&self, addresses: &[IpAddr]) -> bool {
        let mut families: Vec<IpFamily> = addresses.iter().map(|address| IpFamily::of(*address)).collect();
        families.sort();
        families == self.families()
    }
}

/// All addresses that `pool` can give, in the order it gives them.
fn gives(pool: &Pool) -> Vec<IpAddr> {
    let buggy = |address: &IpAddr| address.is_ipv4() && [0, 255].contains(&(address_value(*address) % 256));
    let all = pool.ranges.iter().flat_map(|range| addresses(*range));
    all.filter(|address| !(pool.avoid_buggy_ips && buggy(address))).collect()
}
