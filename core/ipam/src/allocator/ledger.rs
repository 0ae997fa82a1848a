//! Who uses which address in this round. It only grows: what is refused once stays refused until the next round,
//! so a search goes on where the last one for the same thing ended, and a round walks each address once.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, IpRange, ServiceKey};

use super::applicant::Applicant;
use super::claimed::Claimed;
use super::free::FreeFrom;
use crate::pool::Pool;
use crate::refusal::{Listed, Refusal};
use crate::request::{BackendKey, Port, SharingKey, Terms};

/// The addresses in use and by whom. Memory is proportional to these, not to the pools.
pub(super) struct Ledger<'a> {
    /// What belongs to claims: nobody gets it without asking for it.
    claimed: Claimed<'a>,
    tenancies: BTreeMap<IpAddr, Tenancy<'a>>,
    /// The addresses that are shared, by the two keys that must be equal to join.
    shared: BTreeMap<(&'a SharingKey, &'a BackendKey), BTreeSet<IpAddr>>,
    free_from: FreeFrom,
    /// By start of range and terms, the lowest address whose sharing was not yet seen to be refused.
    shareable_from: BTreeMap<(IpAddr, &'a Terms), IpAddr>,
}

/// The users of one address. All share it on the terms of the first, ports aside. Most have only one, which
/// therefore costs nothing.
struct Tenancy<'a> {
    first: Applicant<'a>,
    /// The other users.
    joined: BTreeSet<&'a ServiceKey>,
    /// The ports of the other users.
    joined_ports: BTreeMap<Port, &'a ServiceKey>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(claimed: Claimed<'a>) -> Self {
        Self {
            claimed,
            tenancies: BTreeMap::new(),
            shared: BTreeMap::new(),
            free_from: FreeFrom::default(),
            shareable_from: BTreeMap::new(),
        }
    }

    pub(super) const fn claimed(&self) -> &Claimed<'a> {
        &self.claimed
    }

    /// Whether `applicant` may use `address` beside its users, by "Assign and sharing rules" of
    /// docs/reference/metallb-contract.md.
    pub(super) fn check(&self, applicant: Applicant<'a>, address: IpAddr) -> Result<(), Refusal> {
        let Some(tenancy) = self.tenancies.get(&address) else { return Ok(()) };
        let terms = &applicant.request.terms;
        if !tenancy.is_joinable_with(terms) {
            let service = applicant.service.clone();
            let users = tenancy.users();
            return Err(match (&tenancy.terms().sharing, &terms.sharing) {
                (Some(_), Some(_)) => Refusal::SharingMismatch { service, address, users },
                (None, _) | (_, None) => Refusal::AddressInUse { service, address, users },
            });
        }
        match tenancy.collision(terms) {
            Some((port, user)) => Err(Refusal::PortConflict { address, port, user: user.clone() }),
            None => Ok(()),
        }
    }

    /// Records that `applicant` uses `address`, which [`Ledger::check`] allowed.
    pub(super) fn occupy(&mut self, applicant: Applicant<'a>, address: IpAddr) {
        let terms = &applicant.request.terms;
        match self.tenancies.entry(address) {
            Entry::Vacant(vacant) => {
                let (joined, joined_ports) = (BTreeSet::new(), BTreeMap::new());
                vacant.insert(Tenancy { first: applicant, joined, joined_ports });
            }
            Entry::Occupied(mut tenancy) => tenancy.get_mut().join(applicant),
        }
        if let Some(sharing) = &terms.sharing {
            self.shared.entry((sharing, &terms.backend)).or_default().insert(address);
        }
    }

    /// The lowest address of `family` in the first range of `pool` that has one to give on `terms`: free, or shared
    /// on the same terms with the ports free.
    pub(super) fn lowest(&mut self, pool: &Pool, family: IpFamily, terms: &'a Terms) -> Option<IpAddr> {
        pool.ranges_of(family).find_map(|range| {
            let free = self.lowest_free(pool, range);
            self.lowest_shareable(pool, range, terms, free).or(free)
        })
    }

    fn lowest_free(&mut self, pool: &Pool, range: IpRange) -> Option<IpAddr> {
        self.free_from.lowest(pool, range, (&self.tenancies, self.claimed.addresses()))
    }

    /// The lowest address below `limit` that is shared on `terms` and has the ports free.
    fn lowest_shareable(
        &mut self,
        pool: &Pool,
        range: IpRange,
        terms: &'a Terms,
        limit: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let shared = self.shared.get(&(terms.sharing.as_ref()?, &terms.backend))?;
        let last = limit.unwrap_or(range.end());
        let position = (range.start(), terms);
        let from = self.shareable_from.get(&position).copied().unwrap_or(range.start());
        if from > last {
            return None;
        }
        let found = shared.range(from..=last).copied().find(|address| {
            let tenancy = self.tenancies.get(address);
            !pool.avoids(*address)
                && self.claimed.by(*address).is_none()
                && tenancy.is_some_and(|tenancy| tenancy.collision(terms).is_none())
        });
        self.shareable_from.insert(position, found.unwrap_or(last));
        found
    }
}

impl<'a> Tenancy<'a> {
    fn terms(&self) -> &'a Terms {
        &self.first.request.terms
    }

    /// Whether a Service with `terms` may join, its ports aside.
    fn is_joinable_with(&self, terms: &Terms) -> bool {
        let own = self.terms();
        own.sharing.is_some() && own.sharing == terms.sharing && own.backend == terms.backend
    }

    fn join(&mut self, applicant: Applicant<'a>) {
        self.joined.insert(applicant.service);
        let ports = applicant.request.terms.ports.iter();
        self.joined_ports.extend(ports.map(|port| (*port, applicant.service)));
    }

    /// The first port of `terms` that a user has, and who.
    fn collision(&self, terms: &Terms) -> Option<(Port, &'a ServiceKey)> {
        let user_of = |port| match self.terms().ports.contains(port) {
            true => Some(self.first.service),
            false => self.joined_ports.get(port).copied(),
        };
        terms.ports.iter().find_map(|port| Some((*port, user_of(port)?)))
    }

    /// The users in the order of their names, whoever came first.
    fn users(&self) -> Listed<ServiceKey> {
        let mut users = self.joined.clone();
        users.insert(self.first.service);
        Listed::of(users.into_iter(), ServiceKey::clone)
    }
}
