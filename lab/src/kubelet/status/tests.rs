use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use serde_json::{Value, json};

use super::{Observed, compute, patch};

fn container(name: &str, state: &Value) -> ContainerStatus {
    let ready = state.get("running").is_some();
    serde_json::from_value(json!({
        "name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": 0, "state": state,
    }))
    .unwrap()
}

fn running() -> Value {
    json!({"running": {}})
}

fn exited(code: i32) -> Value {
    json!({"terminated": {"exitCode": code}})
}

fn new() -> Value {
    json!({"waiting": {"reason": "ContainerCreating"}})
}

fn pod(restart_policy: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"containers": [], "restartPolicy": restart_policy},
    }))
    .unwrap()
}

fn observed(init: &[Value], main: &[Value]) -> Observed {
    let named = |prefix: &str, states: &[Value]| {
        states.iter().enumerate().map(|(i, state)| container(&format!("{prefix}{i}"), state)).collect()
    };
    Observed {
        init: named("init", init),
        main: named("c", main),
        pod_ips: vec!["10.0.0.2".parse().unwrap()],
        host_ips: vec!["192.168.0.1".parse().unwrap()],
        start_time: at(0),
        ended: false,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn status(policy: &str, observed: &Observed) -> PodStatus {
    compute(&pod(policy), &PodStatus::default(), observed, at(100))
}

fn phase(policy: &str, init: &[Value], main: &[Value]) -> String {
    status(policy, &observed(init, main)).phase.unwrap()
}

fn condition(status: &PodStatus, name: &str) -> (String, Option<String>) {
    let conditions = status.conditions.as_ref().unwrap();
    let found = conditions.iter().find(|condition| condition.type_ == name).unwrap();
    (found.status.clone(), found.reason.clone())
}

#[test]
fn phase_follows_containers_and_restart_policy() {
    let mut crashed = new();
    crashed["waiting"]["reason"] = json!("CrashLoopBackOff");
    let cases = [
        ("Always", vec![], vec![new(), running()], "Pending"),
        ("Always", vec![], vec![running(), running()], "Running"),
        ("Always", vec![], vec![exited(0)], "Running"),
        ("OnFailure", vec![], vec![exited(1)], "Running"),
        ("OnFailure", vec![], vec![exited(0), exited(0)], "Succeeded"),
        ("Never", vec![], vec![exited(0), exited(3)], "Failed"),
        ("Never", vec![], vec![exited(0), running()], "Running"),
        ("Always", vec![running()], vec![new()], "Pending"),
        ("Always", vec![exited(1)], vec![new()], "Pending"),
        ("Never", vec![exited(1)], vec![new()], "Failed"),
        ("Always", vec![exited(0)], vec![running()], "Running"),
    ];
    for (policy, init, main, expected) in cases {
        assert_eq!(phase(policy, &init, &main), expected, "{policy} {init:?} {main:?}");
    }
    let mut looping = observed(&[], &[crashed]);
    looping.main[0].last_state = serde_json::from_value(exited(1)).unwrap();
    assert_eq!(status("Always", &looping).phase.unwrap(), "Running");
}

#[test]
fn a_pod_that_ended_has_a_final_phase() {
    for (main, expected) in [([exited(0)], "Succeeded"), ([exited(137)], "Failed"), ([new()], "Failed")] {
        let ended = Observed { ended: true, ..observed(&[], &main) };
        assert_eq!(status("Always", &ended).phase.unwrap(), expected);
    }
}

#[test]
fn readiness_names_the_containers_that_miss() {
    let status_of = |main: &[Value]| status("Always", &observed(&[], main));
    let ready = status_of(&[running()]);
    for name in ["Ready", "ContainersReady", "Initialized", "PodReadyToStartContainers"] {
        assert_eq!(condition(&ready, name), ("True".to_owned(), None), "{name}");
    }
    let unready = status_of(&[running(), exited(1)]);
    assert_eq!(condition(&unready, "Ready"), ("False".to_owned(), Some("ContainersNotReady".to_owned())));
    let message = unready.conditions.unwrap().into_iter().find_map(|condition| condition.message).unwrap();
    assert_eq!(message, "containers with unready status: [c1]");
}

#[test]
fn a_readiness_gate_keeps_a_pod_unready_until_its_condition_is_true() {
    let mut gated = pod("Always");
    gated.spec.as_mut().unwrap().readiness_gates =
        serde_json::from_value(json!([{"conditionType": "lab/gate"}])).unwrap();
    let now = observed(&[], &[running()]);
    let closed = compute(&gated, &PodStatus::default(), &now, at(1));
    assert_eq!(condition(&closed, "Ready").1.as_deref(), Some("ReadinessGatesNotReady"));
    assert_eq!(condition(&closed, "ContainersReady").0, "True");
    let opened =
        serde_json::from_value(json!({"conditions": [{"type": "lab/gate", "status": "True"}]})).unwrap();
    assert_eq!(condition(&compute(&gated, &opened, &now, at(1)), "Ready").0, "True");
}

#[test]
fn a_condition_keeps_its_time_until_it_changes_and_an_equal_status_needs_no_patch() {
    let now = observed(&[], &[running()]);
    let first = status("Always", &now);
    let later = compute(&pod("Always"), &first, &now, at(200));
    assert_eq!(patch("u", &first, &later), None);
    let unready = compute(&pod("Always"), &first, &observed(&[], &[exited(1)]), at(200));
    let times: Vec<i64> = unready
        .conditions
        .iter()
        .flatten()
        .map(|condition| condition.last_transition_time.as_ref().unwrap().0.as_second())
        .collect();
    assert_eq!(times, [100, 100, 200, 200]);
    let patch = patch("u", &first, &unready).unwrap();
    assert_eq!(patch["metadata"]["uid"], "u");
    // Ready has both, Initialized neither.
    assert_eq!(patch["status"]["conditions"][2]["reason"], "ContainersNotReady");
    assert_eq!(patch["status"]["conditions"][1].get("reason"), Some(&Value::Null));
    assert_eq!(patch["status"]["podIPs"], json!([{"$patch": "replace"}, {"ip": "10.0.0.2"}]));
}

#[test]
fn a_status_that_somebody_else_changed_is_patched_back() {
    let now = observed(&[], &[running()]);
    let ours = status("Always", &now);
    let mut changed = ours.clone();
    // As the node lifecycle controller does for the Pods of a silent node.
    changed.conditions.as_mut().unwrap()[2].status = "False".to_owned();
    assert!(patch("u", &changed, &compute(&pod("Always"), &changed, &now, at(300))).is_some());
}
