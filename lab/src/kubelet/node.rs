//! The Node object: registered, its Lease renewed, its status kept fresh.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::DaemonEndpoint;
use k8s_openapi::api::core::v1::{
    ContainerImage, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::events::Severity;
use super::{API_PORT, Kubelet, answer};
use crate::node::NodeConfig;

const STATUS_INTERVAL: Duration = Duration::from_secs(10);
const LEASE_INTERVAL: Duration = Duration::from_secs(2);
/// Until registration is tried again.
const RETRY: Duration = Duration::from_millis(500);
const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const PODS_MAX: u32 = 110;

/// Label names of the Kubernetes domains that NodeRestriction lets a node set on itself.
const OWN_LABELS: [&str; 9] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const OWN_LABEL_PREFIXES: [&str; 2] = ["kubelet.kubernetes.io/", "node.kubernetes.io/"];

/// Registers the node, as often as it takes, and then keeps its status fresh.
pub(super) async fn keep_registered(kubelet: Arc<Kubelet>) {
    let boot_id = read("/proc/sys/kernel/random/uuid");
    kubelet.events.node((Severity::Normal, "Starting", "Starting kubelet.".to_owned()));
    loop {
        match register(&kubelet).await {
            Ok(node) => {
                tracing::info!(node = node.name_any(), "node registered");
                keep_status(&kubelet, node, &boot_id).await;
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "node not registered yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Writes the status until the Node object is gone.
async fn keep_status(kubelet: &Kubelet, mut node: Node, boot_id: &str) {
    let api: Api<Node> = Api::all(kubelet.client.clone());
    let mut ticks = tokio::time::interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let patch = status_patch(&kubelet.node, node.status.as_ref(), boot_id, Timestamp::now());
        let patch = Patch::Strategic(patch);
        match answer(api.patch_status(&kubelet.node.name, &PatchParams::default(), &patch)).await {
            Ok(stored) => node = stored,
            Err(error) if is_not_found(&error) => return,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "node status not written");
                ticks.reset_after(RETRY);
            }
        }
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if status.code == 404)
}

/// Creates the Node, or adopts the one of an earlier run.
async fn register(kubelet: &Kubelet) -> anyhow::Result<Node> {
    let config = &kubelet.node;
    let api: Api<Node> = Api::all(kubelet.client.clone());
    let wanted = node(config)?;
    let Some(known) = answer(api.get_opt(&config.name)).await? else {
        return answer(api.create(&PostParams::default(), &wanted)).await;
    };
    let labels_agree = wanted.labels().iter().all(|(key, value)| known.labels().get(key) == Some(value));
    let has_prefixes = known.spec.as_ref().is_some_and(|spec| spec.pod_cidrs.is_some());
    if labels_agree && has_prefixes {
        return Ok(known);
    }
    let mut patch = json!({ "metadata": { "labels": wanted.labels() } });
    if let (false, Some(spec), Some(fields)) = (has_prefixes, &wanted.spec, patch.as_object_mut()) {
        fields.insert("spec".to_owned(), json!({ "podCIDR": spec.pod_cidr, "podCIDRs": spec.pod_cidrs }));
    }
    answer(api.patch(&config.name, &PatchParams::default(), &Patch::Merge(patch))).await
}

fn node(config: &NodeConfig) -> anyhow::Result<Node> {
    let taints = config.taints.iter().map(|taint| parse_taint(taint)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Node {
        metadata: ObjectMeta {
            name: Some(config.name.clone()),
            labels: Some(labels(config)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: config.pod_cidrs.first().cloned(),
            pod_cidrs: Some(config.pod_cidrs.clone()),
            taints: (!taints.is_empty()).then_some(taints),
            ..NodeSpec::default()
        }),
        status: None,
    })
}

/// The labels the node may set itself. Others of the Kubernetes domains, such as `node-role.kubernetes.io/…`,
/// are an administrator's to set, as `kubeadm` does.
fn labels(config: &NodeConfig) -> BTreeMap<String, String> {
    let arch = go_arch();
    let defaults = [
        ("kubernetes.io/hostname", config.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch),
    ];
    let defaults = defaults.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let own = config.labels.clone().into_iter().filter(|(key, _)| is_own_label(key));
    defaults.into_iter().chain(own).collect()
}

fn is_own_label(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let is_reserved = ["kubernetes.io", "k8s.io"]
        .iter()
        .any(|name| domain == *name || domain.ends_with(&format!(".{name}")));
    !is_reserved
        || OWN_LABELS.contains(&key)
        || OWN_LABEL_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

fn parse_taint(text: &str) -> anyhow::Result<Taint> {
    let (rest, effect) =
        text.rsplit_once(':').with_context(|| format!("taint {text}: expected key=value:Effect"))?;
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    Ok(Taint {
        key: key.to_owned(),
        value: (!value.is_empty()).then(|| value.to_owned()),
        effect: effect.to_owned(),
        time_added: None,
    })
}

/// The status, as a patch that leaves the conditions of others alone.
fn status_patch(config: &NodeConfig, known: Option<&NodeStatus>, boot_id: &str, now: Timestamp) -> Value {
    let images = config.images.iter().map(|image| ContainerImage {
        names: Some(vec![image.image.clone()]),
        size_bytes: std::fs::metadata(&image.program).ok().and_then(|file| file.len().try_into().ok()),
    });
    let addresses = config.internal_ips.iter().map(|ip| ("InternalIP", ip.to_string()));
    let addresses = addresses.chain([("Hostname", config.name.clone())]);
    let status = NodeStatus {
        addresses: Some(
            addresses.map(|(type_, address)| NodeAddress { type_: type_.to_owned(), address }).collect(),
        ),
        capacity: Some(capacity()),
        allocatable: Some(capacity()),
        conditions: Some(conditions(known, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: API_PORT.into() }),
        }),
        images: Some(images.collect()),
        node_info: Some(node_info(config, boot_id)),
        ..NodeStatus::default()
    };
    let mut status = json!(status);
    // Addresses are merged by type, of which a dual-stack node has one twice.
    if let Some(Value::Array(addresses)) = status.get_mut("addresses") {
        addresses.insert(0, json!({ "$patch": "replace" }));
    }
    json!({ "status": status })
}

fn conditions(known: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let healthy = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ];
    let conditions = healthy.map(|(type_, status, reason, message)| {
        let mut before = known.and_then(|known| known.conditions.as_ref()).into_iter().flatten();
        let same = before.find(|condition| condition.type_ == type_ && condition.status == status);
        let since = same.and_then(|condition| condition.last_transition_time.clone());
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: Some(since.unwrap_or(Time(now))),
        }
    });
    conditions.into()
}

fn node_info(config: &NodeConfig, boot_id: &str) -> NodeSystemInfo {
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os_image = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    NodeSystemInfo {
        architecture: go_arch().to_owned(),
        boot_id: boot_id.to_owned(),
        container_runtime_version: format!("ferrolb-lab://{}", env!("CARGO_PKG_VERSION")),
        kernel_version: read("/proc/sys/kernel/osrelease"),
        kube_proxy_version: String::new(),
        kubelet_version: config.kubernetes_version.clone(),
        machine_id: read("/etc/machine-id"),
        operating_system: "linux".to_owned(),
        os_image: os_image.unwrap_or("Linux").trim_matches('"').to_owned(),
        system_uuid: config.name.clone(),
        ..NodeSystemInfo::default()
    }
}

/// What the node offers: the whole machine, as every node of the lab does.
pub(super) fn capacity() -> BTreeMap<String, Quantity> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = read("/proc/meminfo");
    let memory_kib = memory.split_whitespace().nth(1).unwrap_or("0").to_owned();
    let resources = [
        ("cpu", cpus.to_string()),
        ("memory", format!("{memory_kib}Ki")),
        ("pods", PODS_MAX.to_string()),
        ("ephemeral-storage", "10Gi".to_owned()),
    ];
    resources.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount))).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The architecture as Go names it, which the labels of Kubernetes use.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Renews the node's Lease, by which the control plane knows that it lives.
pub(super) async fn renew_lease(kubelet: Arc<Kubelet>) {
    let api: Api<Lease> = Api::namespaced(kubelet.client.clone(), LEASE_NAMESPACE);
    let name = kubelet.node.name.as_str();
    let mut ticks = tokio::time::interval(LEASE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let spec = LeaseSpec {
            holder_identity: Some(name.to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        };
        let patch = Patch::Merge(json!({ "spec": spec }));
        let renewed = answer(api.patch(name, &PatchParams::default(), &patch)).await;
        let result = match renewed {
            Err(error) if is_not_found(&error) => create_lease(&kubelet, &api, spec).await,
            other => other.map(drop),
        };
        if let Err(error) = result {
            tracing::debug!(error = format!("{error:#}"), "lease not renewed");
        }
    }
}

async fn create_lease(kubelet: &Kubelet, api: &Api<Lease>, spec: LeaseSpec) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(kubelet.client.clone());
    let name = &kubelet.node.name;
    // Without its owner the Lease would outlive the Node.
    let Some(node) = answer(nodes.get_opt(name)).await? else { return Ok(()) };
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.clone(),
        uid: node.uid().unwrap_or_default(),
        ..OwnerReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(LEASE_NAMESPACE.to_owned()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    };
    answer(api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) })).await.map(drop)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::api::core::v1::NodeStatus;

    use super::{conditions, is_own_label, parse_taint};

    #[test]
    fn only_labels_that_node_restriction_allows_are_the_nodes_own() {
        for key in
            ["rack", "example.com/rack", "topology.kubernetes.io/zone", "node.kubernetes.io/exclude-from-x"]
        {
            assert!(is_own_label(key), "{key}");
        }
        for key in
            ["node-role.kubernetes.io/control-plane", "node-restriction.kubernetes.io/x", "kubernetes.io/x"]
        {
            assert!(!is_own_label(key), "{key}");
        }
    }

    #[test]
    fn a_taint_has_key_value_and_effect() {
        let taint = parse_taint("node-role.kubernetes.io/control-plane=:NoSchedule").unwrap();
        assert_eq!(
            (taint.key.as_str(), taint.value, taint.effect.as_str()),
            ("node-role.kubernetes.io/control-plane", None, "NoSchedule")
        );
        assert_eq!(parse_taint("a=b:NoExecute").unwrap().value.as_deref(), Some("b"));
        assert!(parse_taint("a=b").is_err());
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_change() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = NodeStatus { conditions: Some(conditions(None, at(1))), ..NodeStatus::default() };
        let later = conditions(Some(&first), at(9));
        let ready = later.iter().find(|condition| condition.type_ == "Ready").unwrap();
        let seconds = [&ready.last_transition_time, &ready.last_heartbeat_time]
            .map(|time| time.as_ref().unwrap().0.as_second());
        assert_eq!(seconds, [1, 9]);
    }
}
