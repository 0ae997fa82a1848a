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
mod decide;
mod liveness_keys;
mod metrics;
mod report;

pub use decide::{Decider, Facts, Pass};

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ferrolb_cluster::speaker::{SpeakerView, SpeakerWatches};
use ferrolb_cluster::{Dirty, Watches};
use ferrolb_l2::{Intervals, Start};
use ferrolb_link::{DriverGone, L2Driver, L2Handle, L2Metrics};
use ferrolb_liveness::{Event as LivenessEvent, KeyRing, Timing};
use ferrolb_peering::{Liveness, LivenessConfig, LivenessHandle, LivenessMetrics, LivenessView, liveness};
use ferrolb_plan::{Action, Exclusions, Ownership};
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, Link, NodeName};
use tokio::sync::{mpsc, watch};

use crate::config::SpeakerConfig;
use crate::process::Process;
use conflict_log::ConflictLog;
use liveness_keys::KeyFile;
use metrics::Metrics;
use report::ReportTask;

/// A pass without cause, so that the loop shows it is alive.
const IDLE_PASS: Duration = Duration::from_secs(20);
/// After the farewell to the other speakers, this one answers on until they have taken over.
const LEAVE_OVERLAP: Duration = Duration::from_millis(500);
/// Where the API server does not say which address the node has.
const ANY_ADDRESS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// Runs the speaker until SIGTERM.
///
/// # Errors
/// It cannot start: the API server is not configured, the exclusions do not parse, a port is
/// taken, or a socket is refused. It cannot go on: a driver has ended.
pub async fn run(config: SpeakerConfig) -> anyhow::Result<()> {
    let mut process = Process::start(&config.common).await?;
    let me = NodeName::from(config.node_name.as_str());
    let decider = Decider::new(me.clone(), read_exclusions(&config.exclude_l2)?, config.ignore_exclude_lb);
    let dirty = Dirty::default();
    let mut watches = Watches::new(dirty.clone());
    let common = &config.common;
    let local = SpeakerWatches::start(
        &mut watches,
        &process.client,
        &common.namespace,
        &common.scope.config_namespaces,
    );
    let synced = process.readiness.register("synced");
    let announcing = process.readiness.register("announcing");
    let metrics = Metrics::register(&mut process.registry);
    let l2_metrics = L2Metrics::register(&mut process.registry);
    let liveness_metrics = LivenessMetrics::register(&mut process.registry);
    let admin = process.serve_admin(config.admin_address).await?;
    let mut stopped = std::pin::pin!(process.stopped());

    let links = ferrolb_link::follow().await.context("the host's interfaces cannot be followed")?;
    let intervals = Intervals { refresh: config.l2_refresh_interval, ..Intervals::default() };
    let L2Driver { handle: l2, events: l2_events, task: _ } =
        L2Driver::spawn(links.clone(), intervals, l2_metrics);
    tokio::select! {
        () = local.synced() => {}
        () = &mut stopped => return Ok(()),
    }
    synced.set(true);
    let mut key_file = KeyFile::new(config.liveness_key_file.clone());
    let keys = tokio::select! {
        keys = key_file.changed() => keys,
        () = &mut stopped => return Ok(()),
    };
    let view = local.view(common.scope.lb_class.as_deref(), &BTreeMap::new());
    let Liveness { handle: mesh, view: mut alive, events: liveness_events } =
        start_liveness((&config, keys), &me, &view, liveness_metrics)?;
    mesh.set_peers(view.internal_ips.clone());
    // Before the mesh knows its peers, this node would believe itself alone and announce everything.
    alive.changed().await.context("the liveness driver has ended")?;
    let report = ReportTask::start(&process.client, &config, &local);
    let mut speaker = Speaker {
        decider,
        l2,
        mesh,
        links,
        alive,
        report,
        metrics,
        pod: common.pod_name.clone(),
        expires: None,
    };
    speaker.pass(view).await?;
    speaker.mesh.start();
    let mut sockets = speaker.l2.status();
    let mut events =
        DriverEvents { liveness: liveness_events, l2: l2_events, conflicts: ConflictLog::new() };
    announcing.set(true);
    tracing::info!(node = %me, "the speaker takes part");

    loop {
        let idle = speaker.idle();
        tokio::select! {
            () = dirty.wait() => {}
            changed = speaker.links.changed() => changed.context("the host's interfaces are not followed any more")?,
            changed = speaker.alive.changed() => changed.context("the liveness driver has ended")?,
            changed = sockets.changed() => {
                changed.context("the layer 2 driver has ended")?;
                announcing.set(sockets.borrow_and_update().is_up());
                continue;
            }
            () = events.log_next() => continue,
            keys = key_file.changed() => {
                speaker.mesh.set_keys(keys);
                continue;
            }
            () = tokio::time::sleep(idle) => {}
            () = &mut stopped => break,
        }
        process.heartbeat.bump();
        let view = local.view(common.scope.lb_class.as_deref(), speaker.decider.pools());
        speaker.pass(view).await?;
    }
    announcing.set(false);
    speaker.mesh.leave().await;
    tokio::time::sleep(LEAVE_OVERLAP).await;
    drop(admin.await);
    Ok(())
}

/// The deciding value, and the ends of everything it needs.
struct Speaker {
    decider: Decider,
    l2: L2Handle,
    mesh: LivenessHandle,
    links: watch::Receiver<Vec<Link>>,
    alive: watch::Receiver<LivenessView>,
    report: ReportTask,
    metrics: Metrics,
    pod: String,
    /// When the next pass is due, whatever happens.
    expires: Option<Instant>,
}

impl Speaker {
    /// How long until the next pass if nothing happens.
    fn idle(&self) -> Duration {
        self.expires.map_or(IDLE_PASS, |expires| expires.saturating_since(clock::now()).min(IDLE_PASS))
    }

    async fn pass(&mut self, view: SpeakerView) -> Result<(), DriverGone> {
        self.mesh.set_peers(view.internal_ips.clone());
        let metallb_speakers = view.metallb.speakers.len();
        let speakers = self.alive.borrow_and_update().clone();
        let facts = Facts {
            now: clock::now(),
            links: self.links.borrow_and_update().clone(),
            alive: speakers.alive,
            ownership: Ownership {
                held: BTreeMap::new(),
                claims: speakers.claims.as_ref().clone(),
                highest: speakers.highest_epochs.as_ref().clone(),
                leaving: speakers.leaving,
                is_settled: speakers.settled,
            },
            pod: self.pod.clone(),
        };
        let pass = self.decider.decide(view, &facts);
        for action in pass.actions {
            match action {
                Action::Announce { address, interfaces } => {
                    self.l2.announce(address, interfaces, Start::TakeOver).await?;
                }
                Action::Withdraw(address) => self.l2.withdraw(address).await?,
            }
        }
        self.mesh.set_claims(pass.claims);
        self.expires = pass.expires;
        self.metrics.record(self.decider.verdicts(), metallb_speakers);
        self.report.publish(pass.report, pass.notices);
        Ok(())
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
        keys,
        bind: internal_ips.unwrap_or_else(|| ANY_ADDRESS.into()),
        port: config.liveness_port,
    };
    liveness::spawn(config, metrics)
}

/// What the drivers have to say, for the log.
struct DriverEvents {
    liveness: mpsc::Receiver<LivenessEvent>,
    l2: mpsc::Receiver<ferrolb_l2::Event>,
    conflicts: ConflictLog,
}

impl DriverEvents {
    /// Logs the next event. Cancel-safe.
    async fn log_next(&mut self) {
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
            Some(event) = self.l2.recv() => self.conflicts.log(&event),
            else => std::future::pending().await,
        }
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
