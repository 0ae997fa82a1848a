//! `ferrolb controller`: gives every LoadBalancer Service its address.
//!
//! One loop: something changed → view of the cluster → [`Decider::decide`] → writes. Every
//! replica watches; only the leader decides and writes.
//!
//! Tasks: the watches, the election, the admin endpoint, the webhook if asked for, one that makes
//! the speakers' key and ends, and this loop, which owns the allocator. They share a dirty signal
//! and a watch channel; no queue can fill up.

mod claims;
mod decide;
mod metrics;
mod webhook;

pub(crate) use decide::conditions;
pub use decide::{Decider, Decisions};
pub use webhook::converted_bgp_peer;
pub(crate) use webhook::{SERVICE as WEBHOOK_SERVICE, convert_bgp_peer};

use std::sync::Arc;
use std::time::Duration;

use ferrolb_api::CONTROLLER;
use ferrolb_cluster::controller::{ClaimWriter, ControllerWatches, ServiceStatus, StatusWriter};
use ferrolb_cluster::errors::{brief, is_absent, is_conflict};
use ferrolb_cluster::lease::Elector;
use ferrolb_cluster::liveness_key;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_cluster::{Component, ConfigurationStateWriter, Dirty, EventQueue, EventWriter, Watches};
use ferrolb_vocab::ServiceKey;
use futures::StreamExt;
use futures::future::OptionFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::ControllerConfig;
use crate::process::Process;
use metrics::Metrics;

/// A pass without cause: what is pending is tried again, and the loop shows it is alive.
const IDLE_PASS: Duration = Duration::from_secs(30);
/// After a pass, changes gather for so long: the echoes of its own writes, and thousands of
/// Services created at once. A first change is acted on at once.
const PASS_PAUSE: Duration = Duration::from_millis(100);
/// After writes that were refused, the next pass comes after so long at the latest: twice as long each
/// time in a row, up to [`IDLE_PASS`].
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Status writes in flight: enough for thousands of Services at a start, few for the API server.
const WRITES_IN_FLIGHT: usize = 16;
/// Status writes of one pass, less than a second. With thousands to write, what changes meanwhile is
/// looked at between.
const WRITES_PER_PASS: usize = 250;
/// Two for each of some thousand Services that lose their pool at once.
const WAITING_EVENTS_MAX: usize = 16_384;
/// At the end, what is not yet told has so long.
const EVENTS_GRACE: Duration = Duration::from_secs(2);

/// Runs the controller until SIGTERM.
///
/// # Errors
/// It cannot start: see [`Process::start`] and [`Process::serve_admin`].
pub async fn run(config: ControllerConfig) -> anyhow::Result<()> {
    let common = &config.common;
    let mut process = Process::start(common).await?;
    let dirty = Dirty::default();
    let mut watches = Watches::new(dirty.clone());
    let (client, namespace) = (&process.client, &common.namespace);
    let namespaces = &common.scope.config_namespaces;
    let local = Arc::new(ControllerWatches::start(&mut watches, client, namespace, namespaces));
    let configuration_state =
        ConfigurationStateWriter::start(&mut watches, client, namespace, Component::Controller);
    let ready = process.readiness.register("synced");
    let metrics = Metrics::register(&mut process.registry);
    let admin = process.serve_admin(config.admin_address).await?;
    let (seen, has_seen) = watch::channel(false);
    let webhook = webhook::start(&process, &config, (&local, has_seen)).await?;

    tokio::spawn(liveness_key::ensure(process.client.clone(), common.namespace.clone(), process.stopped()));
    let (leads, mut leading) = watch::channel(false);
    let elector =
        Elector::new(process.client.clone(), &common.namespace, ferrolb_api::LEADER_LEASE, &common.pod_name);
    let election = tokio::spawn(elector.run(leads, process.stopped()));

    let mut leader = Leader {
        decider: None,
        writer: StatusWriter::new(process.client.clone()),
        claim_writer: ClaimWriter::new(process.client.clone()),
        configuration_state,
        events: EventQueue::start(
            EventWriter::new(process.client.clone(), CONTROLLER, &common.pod_name),
            WAITING_EVENTS_MAX,
        ),
        metrics,
        retry_after: RETRY_AFTER,
        last_written: None,
    };
    let mut stopped = std::pin::pin!(process.stopped());
    tokio::select! {
        _ = async { tokio::join!(local.synced(), leader.configuration_state.synced()) } => {}
        () = &mut stopped => return Ok(()),
    }
    ready.set(true);
    seen.send_replace(true);
    tracing::info!("the controller has seen the cluster");

    let mut next_pass = Instant::now();
    let mut earliest_pass = Instant::now();
    loop {
        tokio::select! {
            () = dirty.wait() => {}
            _ = leading.changed() => {}
            () = tokio::time::sleep_until(next_pass) => {}
            () = &mut stopped => break,
        }
        tokio::time::sleep_until(earliest_pass).await;
        process.heartbeat.bump();
        let wait = if *leading.borrow_and_update() {
            leader.pass(&local, common.scope.lb_class.as_deref()).await
        } else {
            (leader.decider, leader.retry_after) = (None, RETRY_AFTER);
            IDLE_PASS
        };
        earliest_pass = Instant::now() + PASS_PAUSE;
        next_pass = Instant::now() + wait;
    }
    leader.events.finish(EVENTS_GRACE).await;
    drop(tokio::join!(election, admin, OptionFuture::from(webhook)));
    Ok(())
}

/// What the leader carries from pass to pass.
struct Leader {
    /// Absent while another replica leads: what it would remember is outdated then.
    decider: Option<Decider>,
    writer: StatusWriter,
    claim_writer: ClaimWriter,
    configuration_state: ConfigurationStateWriter,
    events: EventQueue,
    metrics: Metrics,
    /// How long after the next refusal.
    retry_after: Duration,
    /// The last Service that was written: the next pass goes on behind it, so that those that are
    /// refused again and again keep nobody from being written.
    last_written: Option<ServiceKey>,
}

impl Leader {
    /// One pass; returns when the next is due, whatever happens meanwhile.
    async fn pass(&mut self, local: &ControllerWatches, lb_class: Option<&str>) -> Duration {
        let view = local.view(lb_class);
        let decider = self.decider.get_or_insert_with(|| {
            tracing::info!("this replica leads");
            Decider::default()
        });
        let decisions = decider.decide(&view);
        self.metrics.record(&view, &decisions);
        // Side by side, so that an error in the configuration is told at once, however many
        // Services it concerns.
        let (services_written, claims_written, config_written, state_written) = tokio::join!(
            write_services(&self.writer, &mut self.last_written, &decisions),
            claims::write(&self.claim_writer, &view, &decisions),
            write_config(&self.writer, decider, &decisions),
            write_state(&mut self.configuration_state, &decisions),
        );
        self.events.tell(decisions.notices);
        let complete =
            services_written.complete && claims_written.complete && config_written && state_written;
        let more = services_written.more || claims_written.more;
        if complete {
            self.retry_after = RETRY_AFTER;
            return if more { PASS_PAUSE } else { IDLE_PASS };
        }
        let wait = self.retry_after;
        self.retry_after = (2 * wait).min(IDLE_PASS);
        wait
    }
}

async fn write_state(writer: &mut ConfigurationStateWriter, decisions: &Decisions) -> bool {
    let Err(error) = writer.write(&decisions.configuration).await else { return true };
    tracing::warn!(error = brief(&error), "the ConfigurationState was not written and is retried");
    false
}

async fn write_config(writer: &StatusWriter, decider: &mut Decider, decisions: &Decisions) -> bool {
    let mut complete = true;
    for write in &decisions.config {
        match writer.write_config(&write.object, &write.conditions, write.usage.as_ref()).await {
            Ok(version) => decider.config_written(write, version),
            // Deleted meanwhile: there is nobody left to tell.
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                let object = write.object.reference.name.as_deref().unwrap_or_default();
                tracing::warn!(object, error = brief(&error), "a status was not written and is retried");
                complete = false;
            }
        }
    }
    complete
}

/// How far a pass came with the Services, or with the claims.
struct Written {
    /// No write has to be tried again.
    complete: bool,
    /// There are more to write.
    more: bool,
}

async fn write_services(
    writer: &StatusWriter,
    last_written: &mut Option<ServiceKey>,
    decisions: &Decisions,
) -> Written {
    let services = &decisions.services;
    let is_behind =
        |(service, _): &(Arc<SeenService>, ServiceStatus)| Some(&service.key) > last_written.as_ref();
    let first = services.iter().position(is_behind).unwrap_or(0);
    let batch = services.iter().cycle().skip(first).take(services.len().min(WRITES_PER_PASS));
    *last_written = batch.clone().last().map(|(service, _)| service.key.clone());
    let writes = batch.map(|(service, status)| write_service(writer, service, status));
    let writes = futures::stream::iter(writes).buffer_unordered(WRITES_IN_FLIGHT);
    let complete = writes.fold(true, |complete, written| async move { complete && written }).await;
    Written { complete, more: services.len() > WRITES_PER_PASS }
}

/// Whether nothing has to be tried again.
async fn write_service(writer: &StatusWriter, service: &SeenService, status: &ServiceStatus) -> bool {
    match writer.write_service(service, status).await {
        Ok(()) => true,
        // The Service changed meanwhile; the watch brings the change and the next pass.
        Err(error) if is_conflict(&error) || is_absent(&error) => true,
        Err(error) => {
            let service = &service.key;
            tracing::warn!(%service, error = brief(&error), "a status was not written and is retried");
            false
        }
    }
}
