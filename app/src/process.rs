//! What both processes need to live: logs, a client, a way to stop, and the admin endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use ferrolb_telemetry::{AdminServer, Health, Heartbeat, Readiness, Registry, log, metrics};
use kube::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::CommonConfig;

/// The version in logs, metrics and `NodeState`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A loop that has not come round for so long is stuck, and the kubelet restarts the process.
const LOOP_STALL_BOUND: Duration = Duration::from_secs(60);

/// A started process: logging, with a client and the parts of its admin endpoint.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Process {
    /// Talks to the API server.
    pub client: Client,
    /// The metrics of all parts.
    pub registry: Registry,
    /// What `/readyz` checks.
    pub readiness: Readiness,
    /// Bumped by the process's loop, checked by `/healthz`.
    pub heartbeat: Heartbeat,
    health: Health,
    stop: watch::Receiver<bool>,
}

impl Process {
    /// Starts logging and finds the API server.
    ///
    /// # Errors
    /// The log filter does not parse, or neither a kubeconfig nor a service account is there.
    pub async fn start(config: &CommonConfig) -> anyhow::Result<Self> {
        log::init(config.log_format.into(), &config.log_level)?;
        let client = ferrolb_cluster::client::connect().await?;
        let health = Health::default();
        Ok(Self {
            client,
            registry: metrics::registry(VERSION),
            readiness: Readiness::default(),
            heartbeat: health.register("loop", LOOP_STALL_BOUND),
            health,
            stop: stop_signal().context("listening for SIGTERM was refused")?,
        })
    }

    /// Resolves when the process is asked to end.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.clone();
        async move {
            // The sender lives as long as the process.
            drop(stop.wait_for(|stopped| *stopped).await);
        }
    }

    /// Serves the admin endpoints on `address` until the process ends. The registry is complete
    /// by then: it is moved.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn serve_admin(&mut self, address: SocketAddr) -> anyhow::Result<JoinHandle<()>> {
        let registry = std::mem::take(&mut self.registry);
        let server =
            AdminServer::bind(address, registry, self.health.clone(), self.readiness.clone()).await?;
        tracing::info!(address = %server.address(), "the admin endpoints are served");
        Ok(tokio::spawn(server.serve(self.stopped())))
    }
}

/// Becomes true at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate: Signal = signal(SignalKind::terminate())?;
    let mut interrupt: Signal = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        sender.send_replace(true);
        // Keeps the receivers from seeing a closed channel before they have looked.
        sender.closed().await;
    });
    Ok(receiver)
}
