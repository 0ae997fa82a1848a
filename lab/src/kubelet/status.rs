//! `status` of a Pod, computed from what its containers do.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec,
    PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// What is known about a Pod's sandbox and containers.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) init: Vec<ContainerStatus>,
    pub(super) main: Vec<ContainerStatus>,
    /// Empty until the network is there.
    pub(super) pod_ips: Vec<IpAddr>,
    pub(super) host_ips: Vec<IpAddr>,
    pub(super) start_time: Timestamp,
    /// Whether the Pod has been told to end and nothing of it runs any more.
    pub(super) ended: bool,
}

const READY: &str = "Ready";
const CONTAINERS_READY: &str = "ContainersReady";
const INITIALIZED: &str = "Initialized";
const SCHEDULED: &str = "PodScheduled";
const READY_TO_START: &str = "PodReadyToStartContainers";

/// The status to publish; `published` is the one the API server has.
pub(super) fn compute(pod: &Pod, published: &PodStatus, observed: &Observed, now: Timestamp) -> PodStatus {
    let spec = pod.spec.clone().unwrap_or_default();
    let phase = phase(&spec, observed);
    let conditions = conditions(&spec, published, observed, phase)
        .into_iter()
        .map(|wanted| PodCondition {
            observed_generation: pod.metadata.generation,
            ..with_transition_time(wanted, published, now)
        })
        .collect();
    PodStatus {
        phase: Some(phase.to_owned()),
        observed_generation: pod.metadata.generation,
        conditions: Some(conditions),
        init_container_statuses: (!observed.init.is_empty()).then(|| observed.init.clone()),
        container_statuses: Some(observed.main.clone()),
        host_ip: observed.host_ips.first().map(ToString::to_string),
        host_ips: Some(observed.host_ips.iter().map(|ip| HostIP { ip: ip.to_string() }).collect()),
        pod_ip: observed.pod_ips.first().map(ToString::to_string),
        // Without a sandbox the Pod keeps the addresses it had.
        pod_ips: (!observed.pod_ips.is_empty())
            .then(|| observed.pod_ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect()),
        start_time: Some(Time(observed.start_time)),
        ..PodStatus::default()
    }
}

/// The patch that turns `published` into `wanted`, or none if they agree.
pub(super) fn patch(uid: &str, published: &PodStatus, wanted: &PodStatus) -> Option<Value> {
    let conditions_agree = wanted
        .conditions
        .iter()
        .flatten()
        .all(|wanted| published.conditions.iter().flatten().any(|published| published == wanted));
    let agree = conditions_agree
        && published.phase == wanted.phase
        && published.observed_generation == wanted.observed_generation
        && published.host_ips == wanted.host_ips
        && (wanted.pod_ips.is_none() || published.pod_ips == wanted.pod_ips)
        && published.start_time == wanted.start_time
        && published.init_container_statuses == wanted.init_container_statuses
        && published.container_statuses == wanted.container_statuses;
    if agree {
        return None;
    }
    let mut status = json!(wanted);
    // Both lists are merged by address, so an address that is gone would stay.
    for list in ["podIPs", "hostIPs"] {
        if let Some(Value::Array(items)) = status.get_mut(list) {
            items.insert(0, json!({ "$patch": "replace" }));
        }
    }
    // A condition is merged into the one of its type, whose reason and message would stay.
    if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            for field in ["reason", "message"] {
                condition.entry(field).or_insert(Value::Null);
            }
        }
    }
    // The uid makes the patch fail on another Pod of the same name.
    Some(json!({ "metadata": { "uid": uid }, "status": status }))
}

/// A time as the API stores it.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A container that does not run yet.
pub(super) fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn exit_code(state: &ContainerState) -> Option<i32> {
    state.terminated.as_ref().map(|terminated| terminated.exit_code)
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

/// The exit code of a container that does not run and has run before.
fn last_exit_code(status: &ContainerStatus) -> Option<i32> {
    let of = |state: &Option<ContainerState>| state.as_ref().and_then(exit_code);
    of(&status.state).or_else(|| of(&status.last_state))
}

fn is_initialized(observed: &Observed) -> bool {
    observed.init.iter().all(|status| status.state.as_ref().and_then(exit_code) == Some(0))
}

/// As the kubelet's `getPhase`.
fn phase(spec: &PodSpec, observed: &Observed) -> &'static str {
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let init_failed = observed
        .init
        .iter()
        .any(|status| status.state.as_ref().and_then(exit_code).is_some_and(|code| code != 0));
    if init_failed && (policy == "Never" || observed.ended) {
        return "Failed";
    }
    let main = &observed.main;
    let exit_codes: Vec<i32> =
        main.iter().filter(|status| !is_running(status)).filter_map(last_exit_code).collect();
    let all_succeeded = exit_codes.iter().all(|code| *code == 0);
    if observed.ended {
        // Every Pod that ends has a final phase, or Jobs would wait for it for ever.
        return if exit_codes.len() == main.len() && all_succeeded { "Succeeded" } else { "Failed" };
    }
    if !is_initialized(observed) && exit_codes.is_empty() && !main.iter().any(is_running) {
        return "Pending";
    }
    if main.iter().any(is_running) {
        let never_ran = main.iter().any(|status| !is_running(status) && last_exit_code(status).is_none());
        return if never_ran { "Pending" } else { "Running" };
    }
    if exit_codes.len() < main.len() {
        return "Pending";
    }
    match policy {
        "Always" => "Running",
        _ if all_succeeded => "Succeeded",
        "Never" => "Failed",
        _ => "Running",
    }
}

fn conditions(spec: &PodSpec, published: &PodStatus, observed: &Observed, phase: &str) -> Vec<PodCondition> {
    let is_over = matches!(phase, "Succeeded" | "Failed");
    let has_sandbox = !observed.pod_ips.is_empty() && !observed.ended && !is_over;
    let initialized = if is_initialized(observed) || phase == "Succeeded" {
        Verdict::yes(if phase == "Succeeded" { Some("PodCompleted") } else { None })
    } else {
        let names = names(&observed.init, |status| status.state.as_ref().and_then(exit_code) != Some(0));
        Verdict::no("ContainersNotInitialized", format!("containers with incomplete status: [{names}]"))
    };
    let containers_ready = match phase {
        "Succeeded" => Verdict { status: false, reason: Some("PodCompleted"), message: None },
        "Failed" => Verdict { status: false, reason: Some("PodFailed"), message: None },
        _ if observed.main.iter().all(|status| status.ready) => Verdict::yes(None),
        _ => {
            let names = names(&observed.main, |status| !status.ready);
            Verdict::no("ContainersNotReady", format!("containers with unready status: [{names}]"))
        }
    };
    let ready = readiness_gates(spec, published).filter(|_| containers_ready.status);
    let mut conditions = vec![
        Verdict { status: has_sandbox, reason: None, message: None }.condition(READY_TO_START),
        initialized.condition(INITIALIZED),
        ready.unwrap_or_else(|| containers_ready.clone()).condition(READY),
        containers_ready.condition(CONTAINERS_READY),
    ];
    // The scheduler's own stays; a Pod that names its node has no scheduler.
    if !published.conditions.iter().flatten().any(|condition| condition.type_ == SCHEDULED) {
        conditions.push(Verdict::yes(None).condition(SCHEDULED));
    }
    conditions
}

/// Why the Pod's readiness gates do not let it be ready, if they do not.
fn readiness_gates(spec: &PodSpec, published: &PodStatus) -> Option<Verdict> {
    let is_true = |name: &str| {
        let mut conditions = published.conditions.iter().flatten();
        conditions.any(|condition| condition.type_ == name && condition.status == "True")
    };
    let gates = spec.readiness_gates.iter().flatten();
    let closed: Vec<String> = gates
        .filter(|gate| !is_true(&gate.condition_type))
        .map(|gate| format!("the status of pod readiness gate \"{}\" is not \"True\"", gate.condition_type))
        .collect();
    (!closed.is_empty()).then(|| Verdict::no("ReadinessGatesNotReady", closed.join(", ")))
}

fn names(statuses: &[ContainerStatus], which: impl Fn(&ContainerStatus) -> bool) -> String {
    statuses
        .iter()
        .filter(|status| which(status))
        .map(|status| status.name.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[derive(Clone, Debug)]
struct Verdict {
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    fn yes(reason: Option<&'static str>) -> Self {
        Self { status: true, reason, message: None }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self { status: false, reason: Some(reason), message: Some(message) }
    }

    fn condition(self, type_: &str) -> PodCondition {
        PodCondition {
            type_: type_.to_owned(),
            status: if self.status { "True" } else { "False" }.to_owned(),
            reason: self.reason.map(str::to_owned),
            message: self.message,
            ..PodCondition::default()
        }
    }
}

/// The time of the last change of `status`, which is not now if it did not change.
fn with_transition_time(wanted: PodCondition, published: &PodStatus, now: Timestamp) -> PodCondition {
    let same = published
        .conditions
        .iter()
        .flatten()
        .find(|known| known.type_ == wanted.type_ && known.status == wanted.status);
    let time = same.and_then(|known| known.last_transition_time.clone()).unwrap_or(Time(now));
    PodCondition { last_transition_time: Some(time), ..wanted }
}

#[cfg(test)]
mod tests;
