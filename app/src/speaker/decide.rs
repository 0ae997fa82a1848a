//! What this node should do, given what it sees: plan, difference, and what is new to tell. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_api::events::EventReason;
use ferrolb_api::node_state::{LinkState, NodeStateStatus, SpeakerState};
use ferrolb_cluster::Notice;
use ferrolb_cluster::coexistence::MetalLbPods;
use ferrolb_cluster::speaker::{Report, SpeakerView};
use ferrolb_l2::Conflict;
use ferrolb_liveness::Isolation;
use ferrolb_plan::interfaces::{announceable, subnets};
use ferrolb_plan::{
    Action, Announcements, Exclusions, Holding, Ownership, Plan, Snapshot, Verdict, Withheld, diff, plan,
};
use ferrolb_vocab::{Epoch, Instant, InterfaceName, Link, LinkFlag, NodeName, PoolName, ServiceKey};
use k8s_openapi::api::core::v1::ObjectReference;

use super::conflicts::Conflicts;
use crate::process::VERSION;

/// Decides, and remembers what is announced and what was told.
#[derive(Debug)]
pub struct Decider {
    me: NodeName,
    exclusions: Exclusions,
    ignore_exclude_lb: bool,
    actual: Announcements,
    held: BTreeMap<IpAddr, Holding>,
    verdicts: BTreeMap<ServiceKey, Verdict>,
    pools: BTreeMap<PoolName, ferrolb_plan::Pool>,
    /// Whether the last pass left everything to MetalLB's speakers.
    waits: bool,
    conflicts: Conflicts,
    isolation: Isolation,
    is_cut_off: bool,
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
    /// The addresses that are not used although announced, because another host has them.
    pub occupied: Vec<Conflict>,
    /// Since when the default gateway is silent, if it used to answer.
    pub gateway_silent_since: Option<Instant>,
    /// The name of this Pod.
    pub pod: String,
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
    /// Of the addresses to announce, those that no speaker was ever known to announce: nobody ever owned
    /// them, or the owner found another host there.
    pub never_announced: BTreeSet<IpAddr>,
    /// Whether there were peers and none is alive, so that it matters whether the gateway answers.
    pub is_alone: bool,
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
            verdicts: BTreeMap::new(),
            pools: BTreeMap::new(),
            waits: false,
            conflicts: Conflicts::default(),
            isolation: Isolation::default(),
            is_cut_off: false,
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

    /// The pools as the last pass saw them.
    #[must_use]
    pub fn pools(&self) -> &BTreeMap<PoolName, ferrolb_plan::Pool> {
        &self.pools
    }

    /// The last verdicts.
    #[must_use]
    pub fn verdicts(&self) -> &BTreeMap<ServiceKey, Verdict> {
        &self.verdicts
    }

    /// Decides about everything in `view`. The actions are taken as carried out.
    pub fn decide(&mut self, mut view: SpeakerView, facts: &Facts) -> Pass {
        if self.waits_for(&view.metallb) {
            view.services.clear();
        }
        self.pools.clone_from(&view.pools);
        let references = view.references.clone();
        let occupied = std::mem::take(&mut view.occupied);
        let node_uid = view.node_uids.get(&self.me).cloned();
        self.judge_isolation(facts);
        let snapshot = self.snapshot(view, facts);
        let planned = plan(&snapshot);
        let actions = diff(&planned.announcements(), &self.actual);
        for action in &actions {
            diff::apply(&mut self.actual, action);
        }
        self.conflicts.update(&facts.occupied, &self.actual, facts.now);
        let notices = self.notices(&planned, &references);
        let (claims, expires) = (planned.claims(), planned.expires());
        let report = Report {
            node_state: self.node_state(&snapshot, facts),
            node_uid,
            announced: planned
                .verdicts
                .iter()
                .filter_map(|verdict| announced(verdict, &facts.occupied))
                .collect(),
        };
        let is_first = |(address, holding): &(&IpAddr, &Holding)| {
            holding.epoch == Epoch::FIRST && !self.held.contains_key(*address)
        };
        let never_owned = planned.held.iter().filter(is_first).map(|(address, _)| *address);
        let never_announced = never_owned.chain(occupied).collect();
        self.held = planned.held;
        self.verdicts = planned.verdicts;
        let watchers = planned.watchers;
        let is_alone = self.isolation.is_alone();
        let expires = [expires, self.isolation.expires()].into_iter().flatten().min();
        Pass { actions, claims, watchers, never_announced, is_alone, expires, report, notices }
    }

    /// Whether this node is cut off from the network. The log says when that changes.
    fn judge_isolation(&mut self, facts: &Facts) {
        let peers = facts.alive.iter().chain(&facts.ownership.leaving);
        let hears_peers = peers.into_iter().any(|node| *node != self.me);
        let is_cut_off = self.isolation.judge(hears_peers, facts.gateway_silent_since, facts.now);
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

    fn snapshot(&self, view: SpeakerView, facts: &Facts) -> Snapshot {
        let mut nodes = view.nodes;
        if let Some(me) = nodes.get_mut(&self.me) {
            // Our own NodeState may not have come back from the API server yet.
            me.subnets = announceable(&facts.links, &self.exclusions).flat_map(subnets).collect();
        }
        if self.ignore_exclude_lb {
            nodes.values_mut().for_each(|node| node.excluded = false);
        }
        Snapshot {
            me: self.me.clone(),
            nodes,
            now: facts.now,
            alive: facts.alive.clone(),
            ownership: Ownership {
                held: self.held.clone(),
                is_cut_off: self.is_cut_off,
                ..facts.ownership.clone()
            },
            services: view.services,
            pools: view.pools,
            advertisements: view.advertisements,
            links: facts.links.clone(),
            exclusions: self.exclusions.clone(),
        }
    }

    /// What changed since the last pass, told at the Service and in the log.
    fn notices(
        &self,
        planned: &Plan,
        references: &BTreeMap<ServiceKey, ObjectReference>,
    ) -> Vec<(ObjectReference, Notice)> {
        let mut notices = Vec::new();
        for (service, verdict) in &planned.verdicts {
            let before = self.verdicts.get(service);
            if before == Some(verdict) {
                continue;
            }
            let notice = match verdict {
                Verdict::Announce(_) if matches!(before, Some(Verdict::Announce(_))) => None,
                Verdict::Announce(_) => {
                    tracing::info!(%service, node = %self.me, "this node announces the Service");
                    let message = format!("announcing from node \"{}\" with protocol \"layer2\"", self.me);
                    Some(Notice::new(EventReason::NodeAssigned, message))
                }
                Verdict::Withhold(why) => {
                    log_withheld(service, why, before);
                    self.announce_failed(why)
                }
            };
            let reference = references.get(service);
            notices.extend(reference.cloned().zip(notice));
        }
        notices
    }

    fn announce_failed(&self, why: &Withheld) -> Option<Notice> {
        let Withheld::NoUsableInterface { address } = why else { return None };
        let message = format!(
            "{}: the interfaces specified by LB IP \"{address}\" doesn't exist in assigned node \"{}\" with \
             protocol \"layer2\"; correct spec.interfaces of the L2Advertisement",
            why.reason(),
            self.me
        );
        Some(Notice::new(EventReason::AnnounceFailed, message))
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

/// A Service that this node announces, with the interfaces that were asked for by name; not one
/// whose addresses all belong to other hosts, which are `occupied`.
fn announced(
    (service, verdict): (&ServiceKey, &Verdict),
    occupied: &[Conflict],
) -> Option<(ServiceKey, BTreeSet<InterfaceName>)> {
    let Verdict::Announce(announcement) = verdict else { return None };
    let is_ours = |address: IpAddr, interface: &InterfaceName| {
        !occupied.iter().any(|conflict| conflict.address == address && conflict.interface == *interface)
    };
    let mut places =
        announcement.interfaces.iter().flat_map(|(address, all)| all.iter().map(move |one| (*address, one)));
    if !places.any(|(address, interface)| is_ours(address, interface)) {
        return None;
    }
    let interfaces = announcement.interfaces.values().flatten().cloned();
    let named = if announcement.is_restricted { interfaces.collect() } else { BTreeSet::new() };
    Some((service.clone(), named))
}

/// A Service that this node stops announcing is worth a line; one that it never announced is not.
fn log_withheld(service: &ServiceKey, why: &Withheld, before: Option<&Verdict>) {
    let reason = why.reason();
    if matches!(before, Some(Verdict::Announce(_))) {
        tracing::info!(%service, reason, "this node stops announcing the Service: {why}");
    } else {
        tracing::debug!(%service, reason, "this node does not announce the Service: {why}");
    }
}

#[cfg(test)]
mod tests;
