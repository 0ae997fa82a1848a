//! The stand-in for the kubelet on a real control plane: one lab, one scenario after the other. Needs root,
//! and says so where it is not.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests, as in tests")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for any one condition; a busy machine needs a part of it.
const DEADLINE: &str = "60s";

/// A lab of this test, removed at its end.
struct Lab {
    name: String,
}

impl Lab {
    fn up() -> Option<Self> {
        if !nix::unistd::Uid::effective().is_root() {
            println!("skipped: a lab needs root");
            return None;
        }
        let lab = Self { name: format!("kubelet{}", std::process::id()) };
        lab.run(&["up", "--nodes", "2", "--without-ferrolb"]);
        Some(lab)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb-lab"));
        command.args(["--name", &self.name]).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> String {
        succeed(self.command(args).output().unwrap(), args)
    }

    fn kubectl(&self, args: &[&str]) -> String {
        self.run(&[&["kubectl", "--"], args].concat())
    }

    fn apply(&self, manifest: &str) {
        let args = ["kubectl", "--", "apply", "-f", "-"];
        let mut child = self.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        succeed(child.wait_with_output().unwrap(), &args);
    }

    /// Waits until a JSONPath of an object has a value.
    fn wait(&self, object: &str, path: &str, value: &str) {
        let condition = format!("--for=jsonpath={{{path}}}={value}");
        self.kubectl(&["wait", object, &condition, "--timeout", DEADLINE]);
    }

    fn get(&self, object: &str, path: &str) -> String {
        self.kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")])
    }

    fn events(&self, pod: &str) -> String {
        let selector = format!("--field-selector=involvedObject.name={pod}");
        self.kubectl(&[
            "get",
            "events",
            &selector,
            "-o",
            "jsonpath={range .items[*]}{.reason} {.message}{\"\\n\"}{end}",
        ])
    }

    fn curl(&self, url: &str) -> Option<String> {
        let output = self.command(&["exec", "client", "--", "curl", "-sS", "-m", "2", url]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn succeed(output: Output, args: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} ended with {}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "no {what} within 60 s");
    }
}

const STATE: &str = ".status.containerStatuses[0].state";

#[test]
fn a_node_runs_pods_as_a_kubelet_does() {
    let Some(lab) = Lab::up() else { return };
    volumes_environment_and_privileges(&lab);
    crashes_are_restarted_with_a_growing_delay(&lab);
    probes_decide_readiness_and_restart(&lab);
    what_cannot_run_says_why(&lab);
    a_pod_ends_in_its_grace_period(&lab);
    services_reach_pods_through_a_rolling_update(&lab);
    a_node_comes_back_with_its_pods(&lab);
    let name = lab.name.clone();
    drop(lab);
    let namespaces = String::from_utf8(Command::new("ip").arg("netns").output().unwrap().stdout).unwrap();
    assert!(!namespaces.contains(&name), "{namespaces}");
}

fn volumes_environment_and_privileges(lab: &Lab) {
    lab.apply(include_str!("kubelet/kitchen.yaml"));
    lab.wait("pod/kitchen", ".status.phase", "Running");
    lab.kubectl(&["patch", "configmap", "settings", "--type=merge", "-p", r#"{"data":{"color":"green"}}"#]);
    // It ends when it sees the new color in its volume.
    lab.wait("pod/kitchen", ".status.phase", "Succeeded");
    let log = lab.kubectl(&["logs", "kitchen"]);
    let address = lab.get("pod/kitchen", ".status.podIP");
    for expected in [
        "color blue password s3cret all blue expanded blue-worker1 cpu 2".to_owned(),
        format!("address {address}"),
        "host kitchen".to_owned(),
        "prepared by init".to_owned(),
        "CapEff:\t0000000000002000".to_owned(),
        "NoNewPrivs:\t1".to_owned(),
        "labels app=\"kitchen\"".to_owned(),
        "token for vault".to_owned(),
        "groups 0 2000".to_owned(),
        "read-only root".to_owned(),
        "api says kitchen is forbidden".to_owned(),
    ] {
        assert!(log.contains(&expected), "no \"{expected}\" in:\n{log}");
    }
    lab.kubectl(&["delete", "pod", "kitchen"]);
}

fn crashes_are_restarted_with_a_growing_delay(lab: &Lab) {
    lab.apply(include_str!("kubelet/crash.yaml"));
    lab.wait("pod/crash", ".status.containerStatuses[0].restartCount", "3");
    lab.wait("pod/crash", &format!("{STATE}.waiting.reason"), "CrashLoopBackOff");
    let last = ".status.containerStatuses[0].lastState.terminated";
    assert_eq!(lab.get("pod/crash", &format!("{last}.exitCode")), "3");
    assert_eq!(lab.get("pod/crash", &format!("{last}.message")).trim(), "why");
    assert_eq!(lab.kubectl(&["logs", "crash", "--previous"]), "oops\n");
    assert!(
        lab.events("crash").contains("BackOff Back-off restarting failed container c in pod crash_default")
    );
    lab.kubectl(&["delete", "pod", "crash"]);
}

fn probes_decide_readiness_and_restart(lab: &Lab) {
    lab.apply(include_str!("kubelet/probes.yaml"));
    lab.kubectl(&["wait", "pod/web", "pod/command", "--for=condition=Ready", "--timeout", DEADLINE]);
    lab.wait("pod/dead", ".status.containerStatuses[0].restartCount", "1");
    assert!(lab.events("dead").contains("Killing Container c failed liveness probe, will be restarted"));
    assert_eq!(lab.get("pod/web", ".status.containerStatuses[0].restartCount"), "0");
    assert_eq!(lab.get("pod/web", ".status.podIP"), lab.get("pod/web", ".status.hostIP"));
    lab.kubectl(&["delete", "pod", "web", "command", "dead"]);
}

fn what_cannot_run_says_why(lab: &Lab) {
    lab.apply(include_str!("kubelet/refused.yaml"));
    let reason = format!("{STATE}.waiting.reason");
    lab.wait("pod/no-image", &reason, "ImagePullBackOff");
    lab.wait("pod/no-config", &reason, "CreateContainerConfigError");
    lab.wait("pod/unsupported", &reason, "Unsupported");
    let message = |pod: &str| lab.get(pod, &format!("{STATE}.waiting.message"));
    assert!(message("pod/no-image").contains("whatwant/node-web"), "{}", message("pod/no-image"));
    assert_eq!(message("pod/no-config"), "env A: configmap \"later\" not found");
    assert_eq!(message("pod/unsupported"), "spec.hostPID is not supported by the lab");
    let mount_error = "FailedMount MountVolume.SetUp failed for volume \"v\" : secret \"later\" not found";
    eventually("FailedMount", || lab.events("no-volume").contains(mount_error).then_some(()));
    // What was missing comes, and they run.
    lab.kubectl(&["create", "configmap", "later", "--from-literal=a=1"]);
    lab.kubectl(&["create", "secret", "generic", "later", "--from-literal=b=1"]);
    lab.kubectl(&["wait", "pod/no-config", "pod/no-volume", "--for=condition=Ready", "--timeout", DEADLINE]);
    lab.kubectl(&["delete", "pod", "no-image", "no-config", "no-volume", "unsupported"]);
}

fn a_pod_ends_in_its_grace_period(lab: &Lab) {
    lab.apply(include_str!("kubelet/grace.yaml"));
    lab.kubectl(&["wait", "pod/obedient", "pod/stubborn", "--for=condition=Ready", "--timeout", DEADLINE]);
    let mut follow = lab.command(&["kubectl", "--", "logs", "-f", "obedient"]);
    let follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let ended = |pod: &str| {
        let begin = Instant::now();
        lab.kubectl(&["delete", "pod", pod]);
        begin.elapsed()
    };
    assert!(ended("obedient") < Duration::from_secs(20), "SIGTERM did not arrive");
    let log = String::from_utf8(follow.wait_with_output().unwrap().stdout).unwrap();
    assert!(log.ends_with("preStop\nSIGTERM\n"), "{log}");
    let stubborn = ended("stubborn");
    assert!((Duration::from_secs(2)..Duration::from_secs(20)).contains(&stubborn), "{stubborn:?}");
}

fn services_reach_pods_through_a_rolling_update(lab: &Lab) {
    lab.apply(include_str!("kubelet/web.yaml"));
    lab.kubectl(&["rollout", "status", "deployment/web", "--timeout", DEADLINE]);
    let url = "http://192.168.100.200:30001";
    let answers = |wanted: fn(&str) -> bool| {
        eventually("such an answer", || lab.curl(url).filter(|answer| wanted(answer)));
    };
    answers(|answer| answer.starts_with("You've hit web-") && !answer.contains("Ver2.0"));
    lab.kubectl(&["set", "image", "deployment/web", "node-web=whatwant/node-web:2.0"]);
    lab.kubectl(&["rollout", "status", "deployment/web", "--timeout", DEADLINE]);
    answers(|answer| answer.ends_with("(Ver2.0)\n"));
}

fn a_node_comes_back_with_its_pods(lab: &Lab) {
    lab.apply(include_str!("kubelet/pinned.yaml"));
    lab.kubectl(&["wait", "pod/pinned", "pod/once", "--for=condition=Ready", "--timeout", DEADLINE]);
    lab.run(&["kill-node", "worker1"]);
    lab.kubectl(&["wait", "node/worker1", "--for=condition=Ready=Unknown", "--timeout", DEADLINE]);
    lab.run(&["start-node", "worker1"]);
    lab.wait("pod/pinned", ".status.containerStatuses[0].restartCount", "1");
    lab.kubectl(&["wait", "pod/pinned", "--for=condition=Ready", "--timeout", DEADLINE]);
    assert_eq!(lab.get("pod/pinned", ".status.containerStatuses[0].lastState.terminated.exitCode"), "255");
    // What must not be restarted has failed.
    lab.wait("pod/once", ".status.phase", "Failed");
}
