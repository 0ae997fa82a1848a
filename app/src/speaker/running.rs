//! The loop's body: what can happen, what is decided, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Context;
use ferrolb_cluster::speaker::{SpeakerView, SpeakerWatches};
use ferrolb_cluster::{ConfigurationStateWriter, Dirty};
use ferrolb_l2::{Intervals, Start};
use ferrolb_link::{L2Driver, L2Handle, L2Metrics, L2Status, Routers, gateways, routers};
use ferrolb_liveness::{KeyRing, Timing};
use ferrolb_peering::handover::{Legacy, Successor};
use ferrolb_peering::{
    BfdMetrics, BgpMetrics, BmpMetrics, Liveness, LivenessConfig, LivenessHandle, LivenessMetrics,
    LivenessView, liveness,
};
use ferrolb_plan::bgp::GRACEFUL_SHUTDOWN_WAIT;
use ferrolb_plan::{Action, Exclusions, Ownership};
use ferrolb_telemetry::{Registry, clock};
use ferrolb_vocab::{Instant, InterfaceName, Link, NodeName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::driver_events::{DriverEvents, News};
use super::ending::{End, Inputs, Patience, Turn};
use super::inspect::Inspector;
use super::metallb_metrics::{MetalLbMetrics, addresses};
use super::metrics::Metrics;
use super::peering::{Host, Peering};
use super::report::ReportTask;
use super::{Decider, Facts, fast_liveness};
use crate::config::{LivenessProfile, SpeakerConfig};
use crate::process::Process;

/// A pass without cause, so that the loop shows it is alive.
const IDLE_PASS: Duration = Duration::from_secs(20);
/// A speaker that leaves answers so long for what no other takes over.
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// A speaker that is followed answers so long, while the next opens its sockets: both have the
/// same hardware addresses, so it does not matter who does.
const HANDOVER_OVERLAP: Duration = Duration::from_millis(500);
/// Where the API server does not say which address the node has.
const ANY_ADDRESS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// The metrics of all parts.
pub(super) struct AllMetrics {
    own: Metrics,
    l2: L2Metrics,
    liveness: LivenessMetrics,
    bgp: BgpMetrics,
    bfd: BfdMetrics,
    bmp: BmpMetrics,
    metallb: Option<MetalLbMetrics>,
}

impl AllMetrics {
    /// `as_metallb`: those of the sessions under MetalLB's names too.
    pub(super) fn register(registry: &mut Registry, as_metallb: bool) -> Self {
        Self {
            own: Metrics::register(registry),
            l2: L2Metrics::register(registry),
            liveness: LivenessMetrics::register(registry),
            bgp: BgpMetrics::register(registry),
            bfd: BfdMetrics::register(registry),
            bmp: BmpMetrics::register(registry),
            metallb: as_metallb.then(|| MetalLbMetrics::register(registry)),
        }
    }
}

/// What a speaker is made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a SpeakerConfig,
    pub(super) process: &'a Process,
    /// What is read of the API server, and what writes the verdict on it.
    pub(super) watched: (SpeakerWatches, ConfigurationStateWriter),
    pub(super) dirty: Dirty,
    pub(super) links: watch::Receiver<Vec<Link>>,
    pub(super) exclusions: Exclusions,
    pub(super) metrics: AllMetrics,
}

/// The deciding value, and the ends of everything it needs.
pub(super) struct Speaker {
    me: NodeName,
    decider: Decider,
    local: SpeakerWatches,
    dirty: Dirty,
    lb_class: Option<String>,
    l2: L2Handle,
    l2_task: JoinHandle<()>,
    sockets: watch::Receiver<L2Status>,
    mesh: LivenessHandle,
    links: watch::Receiver<Vec<Link>>,
    alive: watch::Receiver<LivenessView>,
    gateway: watch::Receiver<Option<Instant>>,
    /// Whether it matters now if the gateway answers.
    is_alone: watch::Sender<bool>,
    routers: watch::Receiver<Routers>,
    /// The interfaces of peers that have no address.
    unnumbered: watch::Sender<BTreeSet<InterfaceName>>,
    peering: Peering,
    report: ReportTask,
    metrics: Metrics,
    metallb_metrics: Option<MetalLbMetrics>,
    pod: String,
    /// Of the node, as long as this process runs.
    conditions: Vec<Condition>,
    /// When the next pass is due, whatever happens.
    expires: Option<Instant>,
}

impl Speaker {
    /// Starts the drivers, goes on with what `legacy` has and decides for the first time.
    pub(super) async fn start(
        parts: Parts<'_>,
        keys: KeyRing,
        legacy: Legacy,
    ) -> anyhow::Result<(Self, DriverEvents)> {
        let Parts { config, process, watched, dirty, links, exclusions, metrics } = parts;
        let Legacy { estate, bgp, bfd } = legacy;
        // Before all that takes time: the peers of BFD have heard nothing since the speaker before this
        // one ended.
        let (peering, peering_events) = Peering::start(metrics.bgp, metrics.bfd, bgp, &bfd)?;
        peering.export(config.bmp(), &metrics.bmp);
        let (mut local, configuration_state) = watched;
        let me = config.node();
        let mut decider = Decider::new(me.clone(), exclusions, config.ignore_exclude_lb);
        decider.inherit(estate);
        let lb_class = config.common.scope.lb_class.clone();
        let intervals = Intervals { refresh: config.l2_refresh_interval, ..Intervals::default() };
        let L2Driver { handle: l2, events: l2_events, task: l2_task } =
            L2Driver::spawn(links.clone(), intervals, metrics.l2);
        let view = local.view(&me, lb_class.as_deref(), decider.known());
        let Liveness { handle: mesh, view: mut alive, events: liveness_events, refused } =
            start_liveness((config, keys), &me, &view, metrics.liveness)?;
        mesh.set_peers(view.internal_ips);
        // Before the mesh knows its peers, this node would believe itself alone.
        alive.changed().await.context("the liveness driver has ended")?;
        let report = ReportTask::start(&process.client, config, &local, configuration_state);
        let (is_alone, gateway_is_urgent) = watch::channel(false);
        let (unnumbered, listened_on) = watch::channel(BTreeSet::new());
        let mut speaker = Self {
            gateway: gateways::follow(links.clone(), gateway_is_urgent),
            is_alone,
            routers: routers::follow(links.clone(), listened_on),
            unnumbered,
            me,
            decider,
            local,
            dirty,
            lb_class,
            sockets: l2.status(),
            l2,
            l2_task,
            mesh,
            links,
            alive,
            peering,
            report,
            metrics: metrics.own,
            metallb_metrics: metrics.metallb,
            pod: config.common.pod_name.clone(),
            conditions: fast_liveness::condition(config.liveness_profile, refused.as_ref())
                .into_iter()
                .collect(),
            expires: None,
        };
        speaker.pass().await?;
        speaker.mesh.start();
        Ok((speaker, DriverEvents::new(liveness_events, l2_events, peering_events)))
    }

    /// What the speaker is looked into with.
    pub(super) fn inspector(&self) -> Inspector {
        self.peering.inspector(&self.me)
    }

    /// Waits until something happens.
    pub(super) async fn turn(&mut self, inputs: &mut Inputs, process: &Process) -> anyhow::Result<Turn> {
        // One time for all that is waited for: who has something to say again and again keeps no pass waiting.
        let due = tokio::time::Instant::now() + self.idle();
        loop {
            let patience = inputs.patience;
            tokio::select! {
                () = self.dirty.wait() => {}
                changed = self.links.changed() => {
                    changed.context("the host's interfaces are not followed any more")?;
                }
                changed = self.alive.changed() => changed.context("the liveness driver has ended")?,
                changed = self.gateway.changed() => changed.context("the gateways are not followed any more")?,
                changed = self.routers.changed() => changed.context("routers are not listened for any more")?,
                changed = self.sockets.changed() => {
                    changed.context("the layer 2 driver has ended")?;
                    return Ok(Turn::Sockets(self.sockets.borrow_and_update().is_up()));
                }
                changed = self.peering.changed() => {
                    changed?;
                    self.peering.reconcile();
                    // Only a plan says what they are told.
                    if !self.peering.has_other_callers() {
                        self.report.publish_sessions(self.peering.statuses(clock::now()));
                        self.show_as_metallb();
                        continue;
                    }
                }
                news = inputs.events.log_next() => match news {
                    Some(News::Conflict(conflict)) if self.decider.contested(&conflict, clock::now()) => {}
                    Some(News::PathLost(path)) => {
                        self.peering.lose(path);
                        continue;
                    }
                    Some(News::Conflict(_)) | None => continue,
                },
                keys = inputs.key_file.changed() => {
                    self.mesh.set_keys(keys);
                    continue;
                }
                successor = inputs.successors.asked() => return Ok(Turn::End(End::Follow(successor))),
                () = tokio::time::sleep_until(due) => {}
                () = process.stopped(), if patience == Patience::Running => {
                    inputs.patience = Patience::asked();
                    continue;
                }
                () = patience.runs_out() => {
                    match patience.next(inputs.successors.is_expected()) {
                        Some(next) => inputs.patience = next,
                        None => return Ok(Turn::End(End::Leave)),
                    }
                    continue;
                }
            }
            process.heartbeat.bump();
            return Ok(Turn::Changed);
        }
    }

    /// How long until the next pass if nothing happens.
    fn idle(&self) -> Duration {
        self.expires.map_or(IDLE_PASS, |expires| expires.saturating_since(clock::now()).min(IDLE_PASS))
    }

    pub(super) async fn pass(&mut self) -> anyhow::Result<()> {
        let view = self.local.view(&self.me, self.lb_class.as_deref(), self.decider.known());
        self.mesh.set_peers(view.internal_ips.clone());
        let internal_ips = view.internal_ips.get(&self.me).cloned().unwrap_or_default();
        self.l2.set_fellows(view.fellows.clone()).await?;
        let metallb_speakers = view.metallb.speakers.len();
        let speakers = self.alive.borrow_and_update().clone();
        let L2Status { unproven, occupied, .. } = self.sockets.borrow().clone();
        let facts = Facts {
            now: clock::now(),
            links: self.links.borrow_and_update().clone(),
            alive: speakers.alive,
            // What this node holds, and whether it is cut off, is the decider's to say.
            ownership: Ownership {
                held: BTreeMap::new(),
                overruled: BTreeMap::new(),
                claims: speakers.claims.as_ref().clone(),
                highest: speakers.highest_epochs.as_ref().clone(),
                leaving: speakers.leaving,
                is_settled: speakers.settled,
                is_cut_off: false,
            },
            returns: speakers.returns,
            unproven,
            occupied,
            gateway_silent_since: *self.gateway.borrow_and_update(),
            pod: self.pod.clone(),
        };
        let addresses = self.metallb_metrics.as_ref().map(|_| addresses(&view.services));
        let mut pass = self.decider.decide(view, &facts);
        let conditions = self.conditions.iter().cloned().chain(self.peering.condition());
        pass.report.node_state.conditions.extend(conditions);
        self.l2.stand_by(pass.standby).await?;
        self.peering.note_decided(facts.now, &pass.actions);
        self.carry_out(pass.actions, &pass.to_probe).await?;
        for address in pass.regained {
            self.l2.reassert(address).await?;
        }
        self.mesh.set_watchers(pass.watchers);
        // Who hears this stops answering, so it comes after the announcement.
        self.mesh.set_claims(pass.claims);
        let interfaces = pass.sessions.interfaces();
        self.unnumbered.send_if_modified(|known| {
            let is_new = *known != interfaces;
            *known = interfaces;
            is_new
        });
        let routers = self.routers.borrow_and_update().clone();
        let host =
            Host { node: &self.me, internal_ips: &internal_ips, links: &facts.links, routers: &routers };
        self.peering.follow(&pass.sessions, &host);
        pass.report.sessions = self.peering.statuses(facts.now);
        self.is_alone.send_if_modified(|known| std::mem::replace(known, pass.is_alone) != pass.is_alone);
        self.expires = pass.expires;
        self.metrics.record(&self.decider, metallb_speakers);
        self.show_as_metallb();
        if let Some((metrics, addresses)) = self.metallb_metrics.as_ref().zip(addresses) {
            metrics.show_announced(&self.me, &pass.report, self.decider.verdicts(), &addresses);
        }
        self.report.publish(pass.report, pass.notices);
        Ok(())
    }

    fn show_as_metallb(&self) {
        if let Some(metrics) = &self.metallb_metrics {
            metrics.show(&self.peering);
        }
    }

    async fn carry_out(&self, actions: Vec<Action>, to_probe: &BTreeSet<IpAddr>) -> anyhow::Result<()> {
        for action in actions {
            match action {
                Action::Announce { address, interfaces } => {
                    let start = if to_probe.contains(&address) { Start::Probe } else { Start::TakeOver };
                    self.l2.announce(address, interfaces, start).await?;
                }
                Action::Withdraw(address) => self.l2.withdraw(address).await?,
            }
        }
        Ok(())
    }

    /// Gives everything up, and ends when others have it, or nobody takes it in time: addresses by layer 2,
    /// and what routers send here once they had the time to choose others.
    pub(super) async fn leave(mut self) -> anyhow::Result<()> {
        self.mesh.set_leaving(true);
        let begun = tokio::time::Instant::now();
        loop {
            let owns = !self.decider.estate().is_empty();
            let end = match (owns, self.peering.advertises()) {
                (_, true) => begun + GRACEFUL_SHUTDOWN_WAIT,
                (true, false) => begun + LEAVE_MAX,
                (false, false) => break,
            };
            if tokio::time::Instant::now() >= end {
                break;
            }
            tokio::select! {
                () = self.dirty.wait() => {}
                changed = self.alive.changed() => changed.context("the liveness driver has ended")?,
                changed = self.peering.changed() => {
                    changed?;
                    self.peering.reconcile();
                    if !self.peering.has_other_callers() {
                        continue;
                    }
                }
                () = tokio::time::sleep_until(end) => {}
            }
            self.pass().await?;
        }
        self.mesh.leave().await;
        self.peering.leave(format!("node {} leaves: its FerroLB speaker was asked to end", self.me)).await;
        Ok(())
    }

    /// Tells the other nodes that they need not mind, and the next process what this one owned. It
    /// answers until that one does.
    pub(super) async fn hand_over(self, successor: Successor) {
        let estate = self.decider.estate();
        let count = estate.len();
        self.mesh.hand_over().await;
        // Last, as peers that hear nothing meanwhile wait no longer than a Detection Time.
        let (bgp, bfd) = self.peering.hand_over().await;
        match successor.give(Legacy { estate, bgp, bfd }).await {
            Ok(()) => tracing::info!(count, "the next speaker on this node goes on"),
            Err(error) => tracing::warn!(%error, "the next speaker on this node is gone"),
        }
        tokio::time::sleep(HANDOVER_OVERLAP).await;
        drop(self.l2);
        // Its sockets are closed when it ends; an error would be a panic in it, told already.
        drop(self.l2_task.await);
    }
}

fn start_liveness(
    (config, keys): (&SpeakerConfig, KeyRing),
    me: &NodeName,
    view: &SpeakerView,
    metrics: LivenessMetrics,
) -> Result<Liveness, liveness::SpawnError> {
    let internal_ips = view.internal_ips.get(me).filter(|addresses| !addresses.is_empty()).cloned();
    let config = LivenessConfig {
        node: me.clone(),
        timing: Timing::default(),
        fast: config.liveness_profile == LivenessProfile::Fast,
        keys,
        bind: internal_ips.unwrap_or_else(|| ANY_ADDRESS.into()),
        port: config.liveness_port,
    };
    liveness::spawn(config, metrics)
}
