//! `ferrolb speaker`: announces the addresses that its node owns.
//!
//! One loop, and the only place that decides: something changed → snapshot → plan → actions.
//!
//! ```text
//! watches ──dirty──┐                                  ┌─> L2Handle (bounded, never waits for a peer)
//! links ───watch───┼─> view + facts ─> plan ─> diff ──┤
//! liveness ─watch──┘                                  └─> Report (latest wins) ─> writer task ─> API server
//! ```
//!
//! Nothing between a fact and an action waits for the API server: statuses and Events are
//! written by a task of their own, and a speaker whose API server is away goes on with what it
//! last saw.

mod conflict_log;
mod conflicts;
mod decide;
mod fast_liveness;
mod liveness_keys;
mod metrics;
mod report;

pub use decide::{Decider, Facts, Pass};

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ferrolb_cluster::speaker::{SpeakerView, SpeakerWatches};
use ferrolb_cluster::{Dirty, Watches};
use ferrolb_l2::{Conflict, Event as L2Event, Intervals, Start};
use ferrolb_link::{L2Driver, L2Handle, L2Metrics, L2Status, gateways};
use ferrolb_liveness::{Event as LivenessEvent, KeyRing, Timing};
use ferrolb_peering::handover::{self, Estate, Handover, Predecessor, Successor};
use ferrolb_peering::{Liveness, LivenessConfig, LivenessHandle, LivenessMetrics, LivenessView, liveness};
use ferrolb_plan::{Action, Exclusions, Ownership};
use ferrolb_telemetry::{Registry, clock};
use ferrolb_vocab::{Instant, Link, NodeName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{LivenessProfile, SpeakerConfig};
use crate::process::Process;
use conflict_log::ConflictLog;
use liveness_keys::KeyFile;
use metrics::Metrics;
use report::ReportTask;

/// A pass without cause, so that the loop shows it is alive.
const IDLE_PASS: Duration = Duration::from_secs(20);
/// A speaker that was asked to end, while its successor gets ready, waits so long for it.
const SUCCESSOR_MAX: Duration = Duration::from_secs(10);
/// Without one it waits so long for a successor to show up. The kubelet may call the next Pod
/// ready before its process has said a word, since it is this one that answers its probes.
const SUCCESSOR_GRACE: Duration = Duration::from_secs(2);
/// A speaker that leaves answers so long for what no other takes over.
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// Where the API server does not say which address the node has.
const ANY_ADDRESS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// Runs the speaker until SIGTERM.
///
/// A speaker that runs on this node already is followed: what it owns moves to this process, and
/// not to another node.
///
/// # Errors
/// It cannot start: the API server is not configured, the exclusions do not parse, a port is
/// taken, or a socket is refused. It cannot go on: a driver has ended.
pub async fn run(config: SpeakerConfig) -> anyhow::Result<()> {
    let predecessor = Predecessor::meet(handover::NAME)?;
    let mut process = Process::start(&config.common).await?;
    let metrics = AllMetrics::register(&mut process.registry);
    let synced = process.readiness.register("synced");
    let announcing = process.readiness.register("announcing");
    // A predecessor answers on the admin port until it has stopped.
    let mut admin = match predecessor {
        None => Some(process.serve_admin(config.admin_address).await?),
        Some(_) => None,
    };
    let dirty = Dirty::default();
    let mut watches = Watches::new(dirty.clone());
    let common = &config.common;
    let local = SpeakerWatches::start(
        &mut watches,
        &process.client,
        &common.namespace,
        &common.scope.config_namespaces,
    );
    let mut key_file = KeyFile::new(config.liveness_key_file.clone());
    let keys = tokio::select! {
        ((), keys) = async { tokio::join!(local.synced(), key_file.changed()) } => keys,
        () = process.stopped() => return Ok(()),
    };
    synced.set(true);

    let estate = take_over(predecessor).await;
    if admin.is_none() {
        admin = Some(process.serve_admin(config.admin_address).await?);
    }
    let successors = Handover::listen(handover::NAME)?;
    let parts = Parts { config: &config, process: &process, local, dirty, metrics };
    let (mut speaker, events) = Speaker::start(parts, keys, estate).await?;
    let mut inputs = Inputs { events, key_file, successors, patience: Patience::Running };
    announcing.set(true);
    tracing::info!(node = config.node_name, "the speaker takes part");
    let end = loop {
        match speaker.turn(&mut inputs, &process).await? {
            Turn::Changed => speaker.pass().await?,
            Turn::Sockets(are_up) => {
                announcing.set(are_up);
                speaker.pass().await?;
            }
            Turn::End(end) => break end,
        }
    };
    announcing.set(false);
    // Whoever follows takes the names and ports.
    let Inputs { successors, .. } = inputs;
    drop(successors);
    match end {
        End::Leave => speaker.leave().await,
        End::Follow(successor) => {
            release(admin).await;
            speaker.hand_over(successor).await;
            process.stopped().await;
            Ok(())
        }
    }
}

/// What the speaker before this one owned. If there is none, or it ends before it says, other
/// nodes have it or will.
async fn take_over(predecessor: Option<Predecessor>) -> Estate {
    let Some(predecessor) = predecessor else { return Estate::new() };
    match predecessor.take().await {
        Ok(estate) => {
            tracing::info!(count = estate.len(), "this speaker follows another on its node");
            estate
        }
        Err(error) => {
            let error = ferrolb_telemetry::chain(&error);
            tracing::warn!(%error, "the speaker before this one could not be followed");
            Estate::new()
        }
    }
}

/// Ends the admin endpoints at once, so that the port is free.
async fn release(admin: Option<JoinHandle<()>>) {
    if let Some(admin) = admin {
        admin.abort();
        // It ends by being aborted, which is no error here.
        drop(admin.await);
    }
}

/// The metrics of all parts.
struct AllMetrics {
    own: Metrics,
    l2: L2Metrics,
    liveness: LivenessMetrics,
}

impl AllMetrics {
    fn register(registry: &mut Registry) -> Self {
        Self {
            own: Metrics::register(registry),
            l2: L2Metrics::register(registry),
            liveness: LivenessMetrics::register(registry),
        }
    }
}

/// What a speaker is made of.
struct Parts<'a> {
    config: &'a SpeakerConfig,
    process: &'a Process,
    local: SpeakerWatches,
    dirty: Dirty,
    metrics: AllMetrics,
}

/// What can happen to a speaker, besides what its own parts tell.
struct Inputs {
    events: DriverEvents,
    key_file: KeyFile,
    successors: Handover,
    patience: Patience,
}

/// How long a speaker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Until it is asked to end.
    Running,
    /// It was asked to end, and goes on until then, should a successor show up.
    Hoping(tokio::time::Instant),
    /// One has shown up and gets ready; it has until then.
    Waiting(tokio::time::Instant),
}

impl Patience {
    async fn runs_out(self) {
        match self {
            Self::Running => std::future::pending().await,
            Self::Hoping(until) | Self::Waiting(until) => tokio::time::sleep_until(until).await,
        }
    }
}

/// What one turn of the loop found.
enum Turn {
    /// Something that a plan depends on.
    Changed,
    /// Whether the sockets for what is announced are up.
    Sockets(bool),
    /// The end.
    End(End),
}

/// How a speaker ends.
enum End {
    /// Others take over what it owns.
    Leave,
    /// The next speaker on this node does.
    Follow(Successor),
}

/// The deciding value, and the ends of everything it needs.
struct Speaker {
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
    report: ReportTask,
    metrics: Metrics,
    pod: String,
    /// Of the node, as long as this process runs.
    conditions: Vec<Condition>,
    /// When the next pass is due, whatever happens.
    expires: Option<Instant>,
}

impl Speaker {
    /// Starts the drivers; owns `estate` and decides for the first time.
    async fn start(parts: Parts<'_>, keys: KeyRing, estate: Estate) -> anyhow::Result<(Self, DriverEvents)> {
        let Parts { config, process, local, dirty, metrics } = parts;
        let me = NodeName::from(config.node_name.as_str());
        let mut decider =
            Decider::new(me.clone(), read_exclusions(&config.exclude_l2)?, config.ignore_exclude_lb);
        decider.inherit(estate);
        let lb_class = config.common.scope.lb_class.clone();
        let links = ferrolb_link::follow().await.context("the host's interfaces cannot be followed")?;
        let intervals = Intervals { refresh: config.l2_refresh_interval, ..Intervals::default() };
        let L2Driver { handle: l2, events: l2_events, task: l2_task } =
            L2Driver::spawn(links.clone(), intervals, metrics.l2);
        let view = local.view(lb_class.as_deref(), &BTreeMap::new());
        let Liveness { handle: mesh, view: mut alive, events: liveness_events, refused } =
            start_liveness((config, keys), &me, &view, metrics.liveness)?;
        mesh.set_peers(view.internal_ips);
        // Before the mesh knows its peers, this node would believe itself alone.
        alive.changed().await.context("the liveness driver has ended")?;
        let report = ReportTask::start(&process.client, config, &local);
        let (is_alone, gateway_is_urgent) = watch::channel(false);
        let mut speaker = Self {
            gateway: gateways::follow(links.clone(), gateway_is_urgent),
            is_alone,
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
            report,
            metrics: metrics.own,
            pod: config.common.pod_name.clone(),
            conditions: fast_liveness::condition(config.liveness_profile, refused.as_ref())
                .into_iter()
                .collect(),
            expires: None,
        };
        speaker.pass().await?;
        speaker.mesh.start();
        let events = DriverEvents { liveness: liveness_events, l2: l2_events, conflicts: ConflictLog::new() };
        Ok((speaker, events))
    }

    /// Waits until something happens.
    async fn turn(&mut self, inputs: &mut Inputs, process: &Process) -> anyhow::Result<Turn> {
        loop {
            let idle = self.idle();
            let patience = inputs.patience;
            tokio::select! {
                () = self.dirty.wait() => {}
                changed = self.links.changed() => {
                    changed.context("the host's interfaces are not followed any more")?;
                }
                changed = self.alive.changed() => changed.context("the liveness driver has ended")?,
                changed = self.gateway.changed() => changed.context("the gateways are not followed any more")?,
                changed = self.sockets.changed() => {
                    changed.context("the layer 2 driver has ended")?;
                    return Ok(Turn::Sockets(self.sockets.borrow_and_update().is_up()));
                }
                conflict = inputs.events.log_next() => match conflict {
                    Some(conflict) if self.decider.contested(&conflict, clock::now()) => {}
                    Some(_) | None => continue,
                },
                keys = inputs.key_file.changed() => {
                    self.mesh.set_keys(keys);
                    continue;
                }
                successor = inputs.successors.asked() => return Ok(Turn::End(End::Follow(successor))),
                () = tokio::time::sleep(idle) => {}
                () = process.stopped(), if patience == Patience::Running => {
                    inputs.patience = Patience::Hoping(tokio::time::Instant::now() + SUCCESSOR_GRACE);
                    continue;
                }
                () = patience.runs_out() => {
                    if matches!(patience, Patience::Hoping(_)) && inputs.successors.is_expected() {
                        inputs.patience = Patience::Waiting(tokio::time::Instant::now() + SUCCESSOR_MAX);
                        continue;
                    }
                    return Ok(Turn::End(End::Leave));
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

    async fn pass(&mut self) -> anyhow::Result<()> {
        let view = self.local.view(self.lb_class.as_deref(), self.decider.pools());
        self.mesh.set_peers(view.internal_ips.clone());
        self.l2.set_fellows(view.fellows.clone()).await?;
        let metallb_speakers = view.metallb.speakers.len();
        let speakers = self.alive.borrow_and_update().clone();
        let facts = Facts {
            now: clock::now(),
            links: self.links.borrow_and_update().clone(),
            alive: speakers.alive,
            // What this node holds, and whether it is cut off, is the decider's to say.
            ownership: Ownership {
                held: BTreeMap::new(),
                claims: speakers.claims.as_ref().clone(),
                highest: speakers.highest_epochs.as_ref().clone(),
                leaving: speakers.leaving,
                is_settled: speakers.settled,
                is_cut_off: false,
            },
            occupied: self.sockets.borrow().occupied.clone(),
            gateway_silent_since: *self.gateway.borrow_and_update(),
            pod: self.pod.clone(),
        };
        let mut pass = self.decider.decide(view, &facts);
        pass.report.node_state.conditions.extend(self.conditions.iter().cloned());
        self.carry_out(pass.actions, &pass.never_announced).await?;
        self.mesh.set_watchers(pass.watchers);
        // Who hears this stops answering, so it comes after the announcement.
        self.mesh.set_claims(pass.claims);
        self.is_alone.send_if_modified(|known| std::mem::replace(known, pass.is_alone) != pass.is_alone);
        self.expires = pass.expires;
        self.metrics.record(self.decider.verdicts(), metallb_speakers);
        self.report.publish(pass.report, pass.notices);
        Ok(())
    }

    async fn carry_out(
        &self,
        actions: Vec<Action>,
        never_announced: &BTreeSet<IpAddr>,
    ) -> anyhow::Result<()> {
        for action in actions {
            match action {
                Action::Announce { address, interfaces } => {
                    let start =
                        if never_announced.contains(&address) { Start::Probe } else { Start::TakeOver };
                    self.l2.announce(address, interfaces, start).await?;
                }
                Action::Withdraw(address) => self.l2.withdraw(address).await?,
            }
        }
        Ok(())
    }

    /// Gives everything up, and ends when others have it, or nobody takes it in time.
    async fn leave(mut self) -> anyhow::Result<()> {
        self.mesh.set_leaving(true);
        let end = tokio::time::Instant::now() + LEAVE_MAX;
        while !self.decider.estate().is_empty() && tokio::time::Instant::now() < end {
            tokio::select! {
                () = self.dirty.wait() => {}
                changed = self.alive.changed() => changed.context("the liveness driver has ended")?,
                () = tokio::time::sleep_until(end) => {}
            }
            self.pass().await?;
        }
        self.mesh.leave().await;
        Ok(())
    }

    /// Stops without a word to the other nodes, and says to the next process what it owned.
    async fn hand_over(self, successor: Successor) {
        let estate = self.decider.estate();
        drop(self.l2);
        // Its sockets are closed when it ends; an error would be a panic in it, told already.
        drop(self.l2_task.await);
        self.mesh.stop().await;
        match successor.give(&estate).await {
            Ok(()) => tracing::info!(count = estate.len(), "the next speaker on this node goes on"),
            Err(error) => tracing::warn!(%error, "the next speaker on this node is gone"),
        }
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

/// What the drivers have to say, for the log.
struct DriverEvents {
    liveness: mpsc::Receiver<LivenessEvent>,
    l2: mpsc::Receiver<L2Event>,
    conflicts: ConflictLog,
}

impl DriverEvents {
    /// Logs the next event, and returns it if it is a conflict about an address that is announced.
    /// Cancel-safe.
    async fn log_next(&mut self) -> Option<Conflict> {
        tokio::select! {
            Some(event) = self.liveness.recv() => match event {
                LivenessEvent::Alive(node) => tracing::info!(%node, "a speaker is alive"),
                LivenessEvent::Leaving(node) => tracing::info!(%node, "a speaker is about to leave"),
                LivenessEvent::Staying(node) => tracing::info!(%node, "a speaker stays"),
                LivenessEvent::ClaimsChanged(node) => tracing::debug!(%node, "a speaker owns something else"),
                LivenessEvent::Dead { node, why } => {
                    tracing::warn!(%node, reason = ?why, "a speaker is dead, its addresses move");
                }
            },
            Some(event) = self.l2.recv() => {
                self.conflicts.log(&event);
                if let L2Event::Conflict(conflict) = event {
                    return Some(conflict);
                }
            }
            else => std::future::pending().await,
        }
        None
    }
}

/// The file that MetalLB calls `excludel2.yaml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExcludeL2 {
    announced_interfaces_to_exclude: Vec<String>,
}

fn read_exclusions(path: &Path) -> anyhow::Result<Exclusions> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Exclusions::default()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let file: ExcludeL2 =
        serde_saphyr::from_str(&text).with_context(|| format!("{} does not parse", path.display()))?;
    let patterns = file.announced_interfaces_to_exclude.iter().map(String::as_str);
    Exclusions::new(patterns).with_context(|| format!("{}: announcedInterfacesToExclude", path.display()))
}
