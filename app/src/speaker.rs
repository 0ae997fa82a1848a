//! `ferrolb speaker`: announces the addresses that its node owns.
//!
//! One loop, and the only place that decides: something changed → snapshot → plan → actions.
//!
//! ```text
//! watches ──dirty──┐                                  ┌─> L2Handle (bounded, never waits for a peer)
//! links ───watch───┼─> view + facts ─> plan ─> diff ──┼─> Peering: BGP and BFD (latest wins)
//! liveness ─watch──┘                                  └─> Report (latest wins) ─> writer task ─> API server
//! ```
//!
//! Nothing between a fact and an action waits for the API server: statuses and Events are
//! written by a task of their own, and a speaker whose API server is away goes on with what it
//! last saw.
//!
//! # Layout
//! `running` is the loop's body, `ending` is how long it goes on and for whose sake, `decide` what
//! it decides, `peering` the sessions with BGP peers, `inspect` what it says to who asks on its node; the
//! others are what it says and hears.

mod conflict_log;
mod conflicts;
mod decide;
mod driver_events;
mod ending;
mod exclusions;
mod fast_liveness;
mod inspect;
mod liveness_keys;
mod metallb_metrics;
mod metrics;
mod peering;
mod report;
mod running;

pub use decide::{Decider, Facts, Pass, Sessions};

use anyhow::Context;
use ferrolb_cluster::speaker::SpeakerWatches;
use ferrolb_cluster::{Component, ConfigurationStateWriter, Dirty, Watches};
use ferrolb_peering::handover::{self, Handover, Legacy, Predecessor};
use ferrolb_peering::inspection;
use tokio::task::JoinHandle;

use crate::config::SpeakerConfig;
use crate::process::Process;
use ending::{End, Inputs, Patience, Turn};
use liveness_keys::KeyFile;
use running::{AllMetrics, Parts, Speaker};

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
    let metrics = AllMetrics::register(&mut process.registry, config.metallb_metrics);
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
        &config.node(),
        &common.namespace,
        &common.scope.config_namespaces,
    );
    let component = Component::Speaker { node: config.node(), owner: config.pod_owner() };
    let (client, namespace) = (&process.client, &common.namespace);
    let configuration_state = ConfigurationStateWriter::start(&mut watches, client, namespace, component);
    let mut key_file = KeyFile::new(config.liveness_key_file.clone());
    let keys = tokio::select! {
        ((), (), keys) =
            async { tokio::join!(local.synced(), configuration_state.synced(), key_file.changed()) } => keys,
        () = process.stopped() => return Ok(()),
    };
    synced.set(true);
    let exclusions = exclusions::read(&config.exclude_l2)?;
    let links = ferrolb_link::follow().await.context("the host's interfaces cannot be followed")?;

    // From here until the sockets are open, this node says nothing to the others.
    let legacy = take_over(predecessor).await;
    if admin.is_none() {
        admin = Some(process.serve_admin(config.admin_address).await?);
    }
    let successors = Handover::listen(handover::NAME)?;
    let watched = (local, configuration_state);
    let parts = Parts { config: &config, process: &process, watched, dirty, links, exclusions, metrics };
    let (mut speaker, events) = Speaker::start(parts, keys, legacy).await?;
    let inspected = inspect::serve(speaker.inspector(), inspection::NAME.to_owned());
    let mut inputs = Inputs { events, key_file, successors, patience: Patience::Running };
    // The sessions that were handed over and the first plan are the drivers'. Whether routers answer is no
    // condition: one that is down would keep a rollout waiting for ever.
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
    drop((successors, inspected));
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

/// What the speaker before this one owned, and its sessions. If there is none, or it ends before it
/// says, other nodes have the addresses or will, and the sessions begin anew.
async fn take_over(predecessor: Option<Predecessor>) -> Legacy {
    let Some(predecessor) = predecessor else { return Legacy::default() };
    match predecessor.take().await {
        Ok(legacy) => {
            tracing::info!(count = legacy.estate.len(), "this speaker follows another on its node");
            if !legacy.bgp.is_empty() {
                tracing::info!(count = legacy.bgp.len(), "its BGP sessions go on with this speaker");
            }
            legacy
        }
        Err(error) => {
            let error = ferrolb_telemetry::chain(&error);
            tracing::warn!(%error, "the speaker before this one could not be followed");
            Legacy::default()
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
