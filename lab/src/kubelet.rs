//! A stand-in for the kubelet: registers its node, keeps its Lease and status, and runs every Pod bound to
//! it, each container a local process in a [`crate::sandbox`].
//!
//! Tasks: one for the Lease, one for the node status, one for Events, one per connection of the HTTPS API,
//! and one per Pod (`pod`), which owns everything that Pod has on this node. All end when the process is
//! told to: Pods first, so that their containers get SIGTERM.
//!
//! The API server sees the credentials of `system:node:<name>`, so the Node authorizer and NodeRestriction
//! hold as they do for a real kubelet.

mod api;
mod container;
mod env;
mod events;
mod images;
mod launch;
mod lifecycle;
mod logs;
mod network;
mod node;
mod pod;
mod pods;
mod probes;
mod process;
mod quantity;
mod status;
mod support;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::node::NodeConfig;

/// Port of the kubelet's API, as on every cluster.
const API_PORT: u16 = 10250;
/// A request that hangs longer has lost its API server and is tried again by its caller.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What all tasks of this node share.
struct Kubelet {
    node: NodeConfig,
    client: Client,
    images: images::ImageMap,
    network: network::Network,
    events: events::Events,
    open_logs: Arc<logs::OpenLogs>,
    names: pods::Names,
    /// Program that plays `sandbox-init`: this one.
    program: PathBuf,
}

impl Kubelet {
    /// Directory of everything a Pod has on this node.
    fn pod_dir(&self, uid: &str) -> PathBuf {
        self.pods_dir().join(uid)
    }

    fn pods_dir(&self) -> PathBuf {
        self.node.state_dir.join("pods")
    }
}

/// Runs the node until SIGTERM or SIGINT, then stops its containers.
///
/// Must be called in the node's network namespace.
///
/// # Errors
/// When the node cannot be set up: its kubeconfig, its bridge or its API port. What the API server refuses
/// or does not answer is logged and tried again.
pub async fn run(node: NodeConfig) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let client = client(&node).await?;
    let (events, event_queue) = events::Events::new(&node.name);
    let network = network::Network::new(&node)?;
    let kubelet = Arc::new(Kubelet {
        images: images::ImageMap::new(node.images.clone()),
        program: std::env::current_exe().context("find this program")?,
        node,
        client,
        network,
        events,
        open_logs: Arc::default(),
        names: pods::Names::default(),
    });
    std::fs::create_dir_all(kubelet.pods_dir()).context("create the directory of Pods")?;
    network::forget_stale(&kubelet.pods_dir())?;
    kubelet.network.prepare().context("prepare the Pod network")?;
    let listener = api::Listener::bind(&kubelet.node).await?;

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(events::run(kubelet.client.clone(), event_queue));
    tasks.spawn(node::keep_registered(Arc::clone(&kubelet)));
    tasks.spawn(node::renew_lease(Arc::clone(&kubelet)));
    tasks.spawn(listener.serve(Arc::clone(&kubelet)));
    let pods = tokio::spawn(pods::run(Arc::clone(&kubelet), stopped));
    tracing::info!(node = kubelet.node.name, "kubelet started");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(node = kubelet.node.name, "kubelet stopping its containers");
    stop.send_replace(true);
    pods.await.context("Pod tasks")?;
    tasks.shutdown().await;
    Ok(())
}

async fn client(node: &NodeConfig) -> anyhow::Result<Client> {
    crate::cluster::client(&node.kubeconfig).await
}

/// The API server's answer, or an error if it takes too long.
async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, request).await;
    Ok(answered.context("the API server did not answer in time")??)
}
