//! Questions to the lab's API server, and waiting until the answer is the wanted one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use tower::{BoxError, ServiceBuilder};

/// Pause between two looks at the cluster.
const POLL: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVE: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// A client of the lab's API server, on the caller's runtime.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let shown = kubeconfig.display();
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {shown}"))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("use {shown}"))?;
    connect(&config).with_context(|| format!("make a client from {shown}"))
}

/// A client whose connections notice within seconds that a node has lost power: nobody is left to
/// end them, and a watch may be silent for minutes.
pub(crate) fn connect(config: &Config) -> anyhow::Result<Client> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE));
    http.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    http.set_tcp_user_timeout(Some(CONNECT_TIMEOUT));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(
            HttpClient::builder(TokioExecutor::new())
                .build(config.rustls_https_connector_with_connector(http)?),
        );
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// Runs a conversation with the API server to its end, on a runtime and a thread of its own, so that
/// callers with and without a runtime may call it.
pub(crate) fn converse<T: Send>(
    kubeconfig: &Path,
    conversation: impl AsyncFnOnce(Client) -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("start a runtime")?;
            runtime.block_on(async { conversation(client(kubeconfig).await?).await })
        });
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Looks until the answer is there. `Ok(Err(reason))` and errors both mean not yet; the last one is
/// told when the deadline passes.
pub(crate) async fn wait_until(
    deadline: Instant,
    look: impl AsyncFn() -> anyhow::Result<Result<(), String>>,
) -> anyhow::Result<()> {
    loop {
        let reason = match look().await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= deadline {
            bail!("{reason}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether the API server says it is ready.
pub(crate) async fn api_ready(client: &Client) -> anyhow::Result<Result<(), String>> {
    let request = http_get("/readyz")?;
    // Not ready is an HTTP status of its own, and an error here.
    client.request_text(request).await.context("ask kube-apiserver whether it is ready")?;
    Ok(Ok(()))
}

fn http_get(path: &str) -> anyhow::Result<hyper::Request<Vec<u8>>> {
    hyper::Request::get(path).body(Vec::new()).with_context(|| format!("make a request for {path}"))
}

/// Whether all these nodes are `Ready` and renewed their Lease after `since`: a node that just came
/// back is still `Ready` from before.
pub(crate) async fn nodes_ready(
    client: &Client,
    names: &[String],
    since: Timestamp,
) -> anyhow::Result<Result<(), String>> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await.context("list nodes")?;
    let leases = Api::<Lease>::namespaced(client.clone(), LEASE_NAMESPACE)
        .list(&ListParams::default())
        .await
        .context("list node Leases")?;
    let ready: BTreeMap<String, bool> = nodes.iter().map(|node| (node.name_any(), is_ready(node))).collect();
    let renewed: BTreeMap<String, bool> = leases
        .iter()
        .map(|lease| {
            let renewed_at = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
            (lease.name_any(), renewed_at.is_some_and(|time| time.0 >= since))
        })
        .collect();
    for name in names {
        match (ready.get(name), renewed.get(name)) {
            (Some(true), Some(true)) => {}
            (None, _) => return Ok(Err(format!("node {name} has not registered"))),
            (Some(false), _) => return Ok(Err(format!("node {name} is not Ready"))),
            (Some(true), _) => return Ok(Err(format!("node {name} has not renewed its Lease"))),
        }
    }
    Ok(Ok(()))
}

/// Sets labels of a node that its kubelet may not set itself.
pub(crate) async fn label_node(
    client: &Client,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let nodes = Api::<Node>::all(client.clone());
    nodes
        .patch_metadata(name, &PatchParams::default(), &patch)
        .await
        .with_context(|| format!("label node {name}"))?;
    Ok(())
}

/// Whether the node's `Ready` condition is true.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether Pods can be created in `default`: they need its ServiceAccount.
pub(crate) async fn default_service_account(client: &Client) -> anyhow::Result<Result<(), String>> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    let account = accounts.get_opt("default").await.context("get ServiceAccount default/default")?;
    Ok(account.map(drop).ok_or_else(|| "ServiceAccount default/default does not exist".to_owned()))
}

/// Whether every Deployment and DaemonSet of the namespace runs in full in its newest revision.
pub(crate) async fn workloads_ready(client: &Client, namespace: &str) -> anyhow::Result<Result<(), String>> {
    let everything = ListParams::default();
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace).list(&everything).await?;
    let daemon_sets = Api::<DaemonSet>::namespaced(client.clone(), namespace).list(&everything).await?;
    if deployments.items.is_empty() && daemon_sets.items.is_empty() {
        return Ok(Err(format!("namespace {namespace} has no Deployment and no DaemonSet")));
    }
    for deployment in &deployments {
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let observed = status.observed_generation >= deployment.metadata.generation;
        let (updated, ready) = (status.updated_replicas.unwrap_or(0), status.ready_replicas.unwrap_or(0));
        if !observed || updated != wanted || ready != wanted || status.replicas != Some(wanted) {
            return Ok(Err(format!(
                "Deployment {} has {ready} of {wanted} Pods ready",
                deployment.name_any()
            )));
        }
    }
    for set in &daemon_sets {
        let status = set.status.clone().unwrap_or_default();
        let wanted = status.desired_number_scheduled;
        let observed = status.observed_generation >= set.metadata.generation;
        let updated = status.updated_number_scheduled.unwrap_or(0);
        if !observed || wanted == 0 || updated != wanted || status.number_ready != wanted {
            let ready = status.number_ready;
            return Ok(Err(format!("DaemonSet {} has {ready} of {wanted} Pods ready", set.name_any())));
        }
    }
    Ok(Ok(()))
}
