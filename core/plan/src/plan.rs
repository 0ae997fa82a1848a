//! Snapshot to plan: for every Service, whether this node announces it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{Epoch, Instant, InterfaceName, IpFamily, NodeName, ServiceKey};

use crate::diff::Announcements;
use crate::ownership::{Court, Holding, Overruled, YIELD_MAX};
use crate::snapshot::Snapshot;
use crate::standby;
use crate::unit::{Announceable, Unit};
use crate::verdict::{Announcement, Verdict, Withheld};
use crate::watchers;

/// What this node should do, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The decision about every Service of the snapshot.
    pub verdicts: BTreeMap<ServiceKey, Verdict>,
    /// What this node owns from now on.
    pub held: BTreeMap<IpAddr, Holding>,
    /// What others took from it lately.
    pub overruled: BTreeMap<IpAddr, Overruled>,
    /// When it may take something of that back.
    pub retakes: Option<Instant>,
    /// What it may own and cannot announce.
    pub stands_back: BTreeSet<IpAddr>,
    /// Who has to know at once when this node dies.
    pub watchers: BTreeSet<NodeName>,
    /// Where it may have to answer for an address at any moment.
    pub standby: BTreeSet<(InterfaceName, IpFamily)>,
}

impl Plan {
    /// The addresses to announce. An address shared by several Services is announced on the
    /// interfaces of all of them.
    #[must_use]
    pub fn announcements(&self) -> Announcements {
        let mut announcements = Announcements::new();
        for verdict in self.verdicts.values() {
            let Verdict::Announce(announcement) = verdict else { continue };
            for (address, interfaces) in &announcement.interfaces {
                announcements.entry(*address).or_default().extend(interfaces.iter().cloned());
            }
        }
        announcements
    }

    /// What to tell the other speakers.
    #[must_use]
    pub fn claims(&self) -> BTreeMap<IpAddr, Epoch> {
        let owned = self.held.iter().map(|(address, holding)| (*address, holding.epoch));
        self.stands_back.iter().map(|address| (*address, Epoch::STANDS_BACK)).chain(owned).collect()
    }

    /// When the same snapshot would give another plan.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        let yielding = self.held.values().filter_map(|holding| holding.yielding);
        let yielding = yielding.map(|since| since + YIELD_MAX);
        yielding.chain(self.retakes).min()
    }
}

/// Decides about every Service of `snapshot`.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let (units, withheld) = units(snapshot);
    let mut plan = Plan {
        verdicts: withheld.into_iter().map(|(key, why)| (key, Verdict::Withhold(why))).collect(),
        standby: standby::of(snapshot),
        ..Plan::default()
    };
    let mut court = Court::new(snapshot);
    let me = snapshot.nodes.get(&snapshot.me);
    for unit in &units {
        if me.is_some_and(|me| unit.admits(&snapshot.me, me)) {
            plan.stands_back.extend(&unit.missing);
        }
        let judged = match court.judge(unit) {
            _ if snapshot.ownership.is_cut_off => Err(Withheld::CutOff),
            // Where all stand back, one of them has to say so.
            Ok(_) if !unit.is_announceable() => Err(Withheld::NoUsableInterface { address: unit.key }),
            judged => judged,
        };
        if let Some(overruled) = court.overruled(unit) {
            plan.overruled.insert(unit.key, overruled);
            let retakes = Some(overruled.until()).filter(|until| *until > snapshot.now);
            plan.retakes = plan.retakes.into_iter().chain(retakes).min();
        }
        if let Ok(holding) = judged {
            let others = unit.addresses.iter().filter(|address| **address != unit.key);
            for address in others.filter(|address| !unit.missing.contains(address)) {
                let held = snapshot.ownership.held.get(address);
                let epoch = held.map_or_else(|| court.next_epoch(*address), |held| held.epoch);
                plan.held.insert(*address, Holding { epoch, ..holding });
            }
            plan.held.insert(unit.key, holding);
            court.hold(unit.key, holding.epoch);
            plan.watchers.extend(watchers::of(&court, unit));
        }
        for one in &unit.services {
            let verdict = match &judged {
                Ok(_) => announcement(snapshot, unit, one),
                Err(Withheld::NoUsableInterface { .. }) => Verdict::Withhold(no_usable_interface(unit, one)),
                Err(why) => Verdict::Withhold(why.clone()),
            };
            match (plan.verdicts.get_mut(one.key), verdict) {
                // Its addresses have owners of their own: what this node announces counts.
                (Some(Verdict::Announce(all)), Verdict::Announce(more)) => {
                    all.interfaces.extend(more.interfaces)
                }
                (Some(Verdict::Announce(_)), Verdict::Withhold(_)) => {}
                (Some(Verdict::Withhold(_)) | None, verdict) => {
                    plan.verdicts.insert(one.key.clone(), verdict);
                }
            }
        }
    }
    plan
}

/// The node that should announce each Service, or why none does, as every node sees it that knows
/// the same. [`Snapshot::me`] and what it has or holds do not matter.
#[must_use]
pub fn owners(snapshot: &Snapshot) -> BTreeMap<ServiceKey, Result<NodeName, Withheld>> {
    let (units, withheld) = units(snapshot);
    let mut owners: BTreeMap<ServiceKey, _> =
        withheld.into_iter().map(|(key, why)| (key, Err(why))).collect();
    let court = Court::new(snapshot);
    for unit in &units {
        let owner = court.owner(unit).cloned();
        // Where its addresses are spread, the first stands for the Service.
        let holds_first = |one: &&Announceable<'_>| {
            one.service.addresses.first().is_some_and(|first| unit.addresses.contains(first))
        };
        let services = unit.services.iter().filter(holds_first);
        owners.extend(services.map(|one| (one.key.clone(), owner.clone())));
    }
    owners
}

type WithheldServices = Vec<(ServiceKey, Withheld)>;

fn units(snapshot: &Snapshot) -> (Vec<Unit<'_>>, WithheldServices) {
    let mut withheld = Vec::new();
    let mut announceable = Vec::new();
    for (key, service) in &snapshot.services {
        match Announceable::new(snapshot, (key, &**service)) {
            Ok(one) => announceable.push(one),
            Err(why) => withheld.push((key.clone(), why)),
        }
    }
    (Unit::all(snapshot, announceable), withheld)
}

fn announcement(snapshot: &Snapshot, unit: &Unit<'_>, one: &Announceable<'_>) -> Verdict {
    let interfaces: BTreeMap<_, _> = unit
        .addresses_of(one.service)
        .map(|address| (address, one.covering.interfaces(snapshot, address)))
        .filter(|(_, interfaces)| !interfaces.is_empty())
        .collect();
    if interfaces.is_empty() {
        return Verdict::Withhold(no_usable_interface(unit, one));
    }
    let is_restricted = one.covering.wanted_interfaces(snapshot).is_some();
    Verdict::Announce(Announcement { interfaces, is_restricted })
}

/// Told of an address that the Service has itself, whichever the election is about.
fn no_usable_interface(unit: &Unit<'_>, one: &Announceable<'_>) -> Withheld {
    Withheld::NoUsableInterface { address: unit.addresses_of(one.service).next().unwrap_or(unit.key) }
}
