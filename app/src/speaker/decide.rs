//! What this node should do, given what it sees: plan, difference, and what is new to tell. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::conditions::CONFIG_RECONCILER_VALID;
use ferrolb_api::node_state::{LinkState, NodeStateStatus, SpeakerState};
use ferrolb_cluster::Notice;
use ferrolb_cluster::coexistence::MetalLbPods;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_cluster::speaker::{AnnouncedService, Known, Report, SpeakerView};
use ferrolb_l2::Conflict;
use ferrolb_l2::schedule::PROBING_MIN;
use ferrolb_liveness::{Heard, Isolation};
use ferrolb_plan::interfaces::{announceable, subnets};
use ferrolb_plan::{
    Action, Announcements, BgpPeer, Exclusions, Holding, Overruled, Ownership, Plan, Snapshot, Verdict,
    Withheld, bgp, diff, plan,
};
use ferrolb_vocab::{
    Epoch, Instant, InterfaceName, IpFamily, Link, LinkFlag, NodeName, ObjectName, ServiceKey,
};
use k8s_openapi::api::core::v1::ObjectReference;

use super::conflicts::Conflicts;
use crate::configuration::verdict;
use crate::process::VERSION;
use advertising::Advertising;
pub use advertising::Sessions;

mod advertising;
mod telling;

/// Decides, and remembers what is announced and what was told.
#[derive(Debug)]
pub struct Decider {
    me: NodeName,
    exclusions: Exclusions,
    ignore_exclude_lb: bool,
    actual: Announcements,
    held: BTreeMap<IpAddr, Holding>,
    overruled: BTreeMap<IpAddr, Overruled>,
    verdicts: BTreeMap<ServiceKey, Verdict>,
    announced: BTreeSet<ServiceKey>,
    /// Since when what the driver may not have begun to probe for is to be probed for.
    asked: BTreeMap<(IpAddr, InterfaceName), Instant>,
    known: Known,
    /// Whether the last pass left everything to MetalLB's speakers.
    waits: bool,
    conflicts: Conflicts,
    isolation: Isolation,
    is_cut_off: bool,
    /// What this node holds and another one claims too.
    rivalled: BTreeSet<IpAddr>,
    /// [`Facts::returns`] as far as it has been acted upon.
    returns: u64,
    advertising: Advertising,
}

/// What the node itself knows, without the API server.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The time.
    pub now: Instant,
    /// The node's interfaces.
    pub links: Vec<Link>,
    /// The nodes whose speakers are alive, or not yet known to be dead.
    pub alive: BTreeSet<NodeName>,
    /// What the others own. What this node holds is the decider's own knowledge.
    pub ownership: Ownership,
    /// How often a speaker that was taken for dead, and was not, has come back.
    pub returns: u64,
    /// Where addresses are not used although announced, because nobody knows yet that they are free.
    pub unproven: BTreeSet<(IpAddr, InterfaceName)>,
    /// Of those, the addresses that another host has.
    pub occupied: Vec<Conflict>,
    /// Since when the default gateway is silent, if it used to answer.
    pub gateway_silent_since: Option<Instant>,
    /// The name of this Pod.
    pub pod: String,
}

impl Facts {
    /// Whether another node says that it owns `address`.
    fn is_claimed(&self, address: IpAddr) -> bool {
        let mut epochs = self.ownership.claims.values().filter_map(|claims| claims.get(&address));
        epochs.any(|epoch| *epoch > Epoch::STANDS_BACK)
    }
}

/// What one pass found to do.
#[derive(Debug)]
pub struct Pass {
    /// For the drivers, in this order.
    pub actions: Vec<Action>,
    /// What to tell the other speakers, once the actions are carried out: who hears that this
    /// node has an address stops answering for it.
    pub claims: BTreeMap<IpAddr, Epoch>,
    /// The nodes that have to know at once when this one dies.
    pub watchers: BTreeSet<NodeName>,
    /// Where this node may have to answer for an address at any moment.
    pub standby: BTreeSet<(InterfaceName, IpFamily)>,
    /// Of the addresses to announce, those to ask for first, because no speaker was ever known to announce
    /// them there: nobody ever owned them, the owner found another host, or this node had them on other
    /// interfaces only.
    pub to_probe: BTreeSet<IpAddr>,
    /// Of the addresses that stay announced, those that hosts may have learned another node's hardware
    /// address for meanwhile.
    pub regained: BTreeSet<IpAddr>,
    /// Whether there were peers and none is alive, so that it matters whether the gateway answers.
    pub is_alone: bool,
    /// What is to be of the sessions with BGP peers.
    pub sessions: Sessions,
    /// When another pass is due, whatever happens.
    pub expires: Option<Instant>,
    /// What the API server's objects should say.
    pub report: Report,
    /// Events to tell.
    pub notices: Vec<(ObjectReference, Notice)>,
}

impl Decider {
    /// A decider for node `me` that announces nothing yet.
    #[must_use]
    pub fn new(me: NodeName, exclusions: Exclusions, ignore_exclude_lb: bool) -> Self {
        Self {
            me,
            exclusions,
            ignore_exclude_lb,
            actual: Announcements::new(),
            held: BTreeMap::new(),
            overruled: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            announced: BTreeSet::new(),
            asked: BTreeMap::new(),
            known: Known::default(),
            waits: false,
            conflicts: Conflicts::default(),
            isolation: Isolation::default(),
            is_cut_off: false,
            rivalled: BTreeSet::new(),
            returns: 0,
            advertising: Advertising::default(),
        }
    }

    /// Takes note of another host's claim to an address that is announced. Returns whether that is
    /// news, so that another pass tells it.
    pub fn contested(&mut self, conflict: &Conflict, now: Instant) -> bool {
        self.conflicts.contested(conflict, now)
    }

    /// Owns what the speaker before this one owned: nothing has to be asked or taken over.
    pub fn inherit(&mut self, estate: impl IntoIterator<Item = (IpAddr, Epoch)>) {
        let holding = |(address, epoch)| (address, Holding { epoch, yielding: None });
        self.held.extend(estate.into_iter().map(holding));
    }

    /// What this node owns.
    #[must_use]
    pub fn estate(&self) -> BTreeMap<IpAddr, Epoch> {
        self.held.iter().map(|(address, holding)| (*address, holding.epoch)).collect()
    }

    /// What the last pass saw of objects that may not be readable in the next.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// How many Services this node announces.
    #[must_use]
    pub fn announced(&self) -> usize {
        self.announced.len()
    }

    /// The last verdicts.
    #[must_use]
    pub fn verdicts(&self) -> &BTreeMap<ServiceKey, Verdict> {
        &self.verdicts
    }

    /// The last verdicts about BGP; none where nobody uses it.
    #[must_use]
    pub const fn advertising(&self) -> &BTreeMap<ServiceKey, bgp::Verdict> {
        self.advertising.verdicts()
    }

    /// Since when this node asks its BGP peers to prefer others, if it does.
    #[must_use]
    pub const fn shutdown_since(&self) -> Option<Instant> {
        self.advertising.shutdown_since()
    }

    /// Decides about everything in `view`. The actions are taken as carried out.
    pub fn decide(&mut self, mut view: SpeakerView, facts: &Facts) -> Pass {
        let mut peers = std::mem::take(&mut view.peers);
        if self.waits_for(&view.metallb) {
            view.services.clear();
            // A router that has a session with MetalLB's speaker takes no second one from this node.
            peers.clear();
        }
        self.known.pools.clone_from(&view.pools);
        self.known.advertisements.clone_from(&view.advertisements);
        self.known.peering = Arc::clone(&view.peering);
        let seen = std::mem::take(&mut view.seen);
        let occupied = std::mem::take(&mut view.occupied);
        let node_uid = view.node_uids.get(&self.me).cloned();
        let valid = "No object that concerns this node has an error.";
        let errors = view.errors.iter().map(|error| (error.object.as_ref(), error.message.as_str()));
        let configuration = verdict(CONFIG_RECONCILER_VALID, errors, valid);
        self.judge_isolation(&view, facts);
        let snapshot = self.snapshot(view, peers, facts);
        let planned = plan(&snapshot);
        let actions = diff(&planned.announcements(), &self.actual);
        let to_probe = self.to_probe(&planned, occupied);
        self.carry_out(&actions, &to_probe, facts.now);
        let unproven = self.unproven(facts);
        self.conflicts.update(&facts.occupied, &unproven, &self.actual, facts.now);
        self.conflicts.leave_to_others(|address| facts.is_claimed(address));
        let announced = announced(&planned, &snapshot, &unproven);
        let mut notices = self.notices(&planned, &announced, &seen);
        self.announced = announced.keys().cloned().collect();
        let advertised = self.advertising.decide(&snapshot);
        let told = advertised.notices.into_iter();
        notices.extend(told.filter_map(|(service, notice)| Some((reference(&seen, &service)?, notice))));
        let (claims, expires) = (planned.claims(), planned.expires());
        let report = Report {
            node_state: self.node_state(&snapshot, facts),
            node_uid,
            announced,
            advertised: advertised.services,
            configuration: Some(configuration),
            // The drivers' to say.
            sessions: BTreeMap::new(),
            alive: facts.alive.union(&facts.ownership.leaving).cloned().collect(),
        };
        let regained = self.regained(&planned.held, facts);
        self.held = planned.held;
        self.overruled = planned.overruled;
        self.verdicts = planned.verdicts;
        let (watchers, standby) = (planned.watchers, planned.standby);
        let is_alone = self.isolation.is_alone();
        // Before that a Service is not told, although the driver may answer for it already.
        let asked = self.asked.values().map(|since| *since + PROBING_MIN);
        let expires = [expires, self.isolation.expires(), advertised.expires];
        let expires = expires.into_iter().flatten().chain(asked).min();
        let sessions = advertised.sessions;
        Pass {
            actions,
            claims,
            watchers,
            standby,
            to_probe,
            regained,
            is_alone,
            sessions,
            expires,
            report,
            notices,
        }
    }

    /// The addresses to ask for before they are announced where they were not before, when other
    /// speakers found those in `occupied` to be another host's.
    fn to_probe(&self, planned: &Plan, occupied: BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let is_first = |(address, holding): &(&IpAddr, &Holding)| {
            holding.epoch == Epoch::FIRST && !self.held.contains_key(*address)
        };
        let never_owned = planned.held.iter().filter(is_first).map(|(address, _)| *address);
        let elsewhere = self.actual.keys().copied();
        never_owned.chain(occupied).chain(self.conflicts.avoided()).chain(elsewhere).collect()
    }

    /// Takes note of `actions` as carried out.
    fn carry_out(&mut self, actions: &[Action], to_probe: &BTreeSet<IpAddr>, now: Instant) {
        for action in actions {
            if let Action::Announce { address, interfaces } = action
                && to_probe.contains(address)
            {
                let before = self.actual.get(address);
                let joined = interfaces.iter().filter(|one| before.is_none_or(|all| !all.contains(*one)));
                self.asked.extend(joined.map(|interface| ((*address, interface.clone()), now)));
            }
            diff::apply(&mut self.actual, action);
        }
    }

    /// Where nothing is announced yet although it should be: what the driver says, and what it was asked so
    /// lately that it may not have heard.
    fn unproven(&mut self, facts: &Facts) -> BTreeSet<(IpAddr, InterfaceName)> {
        self.asked.retain(|(address, interface), since| {
            let is_wanted = self.actual.get(address).is_some_and(|interfaces| interfaces.contains(interface));
            is_wanted && facts.now.saturating_since(*since) < PROBING_MIN
        });
        facts.unproven.iter().chain(self.asked.keys()).cloned().collect()
    }

    /// Of what this node holds as before, what another one claimed too and does no more, or may have answered
    /// for unheard.
    fn regained(&mut self, held: &BTreeMap<IpAddr, Holding>, facts: &Facts) -> BTreeSet<IpAddr> {
        // Before it is known what a speaker that came back owns, this node may be the one that has to yield.
        let has_returned = facts.ownership.is_settled && self.returns != facts.returns;
        if has_returned {
            self.returns = facts.returns;
        }
        let (rivalled, undisputed): (BTreeSet<_>, BTreeSet<_>) =
            held.keys().copied().partition(|address| facts.is_claimed(*address));
        let before = std::mem::replace(&mut self.rivalled, rivalled);
        let is_regained =
            |address: &IpAddr| self.held.contains_key(address) && (has_returned || before.contains(address));
        undisputed.into_iter().filter(is_regained).collect()
    }

    /// Whether this node is cut off from the network. The log says when that changes.
    fn judge_isolation(&mut self, view: &SpeakerView, facts: &Facts) {
        // A peer that is only presumed alive is not heard.
        let heard = &facts.ownership.claims;
        let mut others = view.nodes.keys().filter(|node| **node != self.me);
        let heard = match heard.is_empty() {
            true => Heard::Nobody,
            false if facts.ownership.is_settled && others.all(|node| heard.contains_key(node)) => Heard::All,
            false => Heard::Some,
        };
        let is_cut_off = self.isolation.judge(heard, facts.gateway_silent_since, facts.now);
        match (self.is_cut_off, is_cut_off) {
            (false, true) => tracing::warn!(
                reason = Withheld::CutOff.reason(),
                "all other speakers and the default gateway fell silent together, so this node gives up what it owns"
            ),
            (true, false) => tracing::info!("this node is on the network again"),
            (true, true) | (false, false) => {}
        }
        self.is_cut_off = is_cut_off;
    }

    /// Whether there are speakers of MetalLB, on whatever node: they would answer for the same
    /// addresses. The log says when that changes.
    fn waits_for(&mut self, metallb: &MetalLbPods) -> bool {
        let first = metallb.speakers.first();
        match (self.waits, first) {
            (false, Some(first)) => {
                tracing::warn!(
                    object = %first,
                    count = metallb.speakers.len(),
                    reason = "MetalLBRuns",
                    "MetalLB's own speakers run, so nothing is announced until they are gone"
                );
            }
            (true, None) => tracing::info!("MetalLB's own speakers are gone, this one announces"),
            (true, Some(_)) | (false, None) => {}
        }
        self.waits = first.is_some();
        self.waits
    }

    fn snapshot(&self, view: SpeakerView, peers: BTreeMap<ObjectName, BgpPeer>, facts: &Facts) -> Snapshot {
        let mut nodes = view.nodes;
        if let Some(me) = nodes.get_mut(&self.me) {
            // Our own NodeState may not have come back from the API server yet.
            me.subnets = announceable(&facts.links, &self.exclusions).flat_map(subnets).collect();
        }
        if self.ignore_exclude_lb {
            nodes.values_mut().for_each(|node| node.excluded = false);
        }
        let mut ownership = Ownership {
            held: self.held.clone(),
            overruled: self.overruled.clone(),
            is_cut_off: self.is_cut_off,
            ..facts.ownership.clone()
        };
        if self.isolation.is_returning() {
            // If all were cut off, the others stand back for a moment only.
            let claims = ownership.claims.values_mut();
            claims.for_each(|claims| claims.retain(|_, epoch| *epoch > Epoch::STANDS_BACK));
        }
        Snapshot {
            me: self.me.clone(),
            nodes,
            now: facts.now,
            alive: facts.alive.clone(),
            ownership,
            services: view.services,
            pools: view.pools,
            advertisements: view.advertisements,
            links: facts.links.clone(),
            exclusions: self.exclusions.clone(),
            peering: self.advertising.peering(peers),
        }
    }

    fn node_state(&self, snapshot: &Snapshot, facts: &Facts) -> NodeStateStatus {
        let link_state = |link: &Link| LinkState {
            name: link.name.to_string(),
            up: link.is(LinkFlag::Carrier),
            mac: link.mac.map(|mac| mac.to_string()),
            addresses: link.addresses.iter().map(|address| address.address.to_string()).collect(),
            subnets: subnets(link)
                .map(|subnet| subnet.to_string())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            conflicts: self.conflicts.on(&link.name),
            conditions: Vec::new(),
        };
        NodeStateStatus {
            observed_at: None,
            speaker: Some(SpeakerState {
                version: VERSION.into(),
                ready: true,
                pod: Some(facts.pod.clone()),
            }),
            links: announceable(&snapshot.links, &self.exclusions).map(link_state).collect(),
            conditions: Vec::new(),
        }
    }
}

/// Where Events about a Service belong. `seen` is in the order of the keys.
fn reference(seen: &[Arc<SeenService>], service: &ServiceKey) -> Option<ObjectReference> {
    let index = seen.binary_search_by(|one| one.key.cmp(service)).ok()?;
    Some(seen.get(index)?.reference())
}

/// The Services that this node announces, with the interfaces that were asked for by name; not one of
/// which everything is still `unproven`.
fn announced(
    planned: &Plan,
    snapshot: &Snapshot,
    unproven: &BTreeSet<(IpAddr, InterfaceName)>,
) -> BTreeMap<ServiceKey, AnnouncedService> {
    let announced = |(service, verdict): (&ServiceKey, &Verdict)| {
        let Verdict::Announce(announcement) = verdict else { return None };
        let mut places = announcement
            .interfaces
            .iter()
            .flat_map(|(address, all)| all.iter().map(|interface| (*address, interface.clone())));
        if places.all(|place| unproven.contains(&place)) {
            return None;
        }
        let interfaces = announcement.interfaces.values().flatten().cloned();
        let named = if announcement.is_restricted { interfaces.collect() } else { BTreeSet::new() };
        let is_held = |address: &IpAddr| planned.held.contains_key(address);
        let addresses = snapshot.services.get(service).map(|service| service.addresses.as_slice());
        let is_whole = addresses.unwrap_or_default().iter().all(is_held);
        Some((service.clone(), AnnouncedService { interfaces: named, is_whole }))
    };
    planned.verdicts.iter().filter_map(announced).collect()
}

#[cfg(test)]
mod tests;
