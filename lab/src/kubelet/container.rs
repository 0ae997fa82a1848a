//! One container of a Pod: started, watched, and started again as its restart policy says.

mod running;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::events::Severity;
use super::launch::{Exec, Launch, PodSandbox};
use super::logs;
use super::process::ContainerProcess;
use super::status::{Observed, waiting, whole_seconds};
use crate::node::ImageConfig;
use running::Running;

/// First delay of `CrashLoopBackOff`, doubled at every crash; shorter than a real kubelet's 10 s.
const BACKOFF_INITIAL: Duration = Duration::from_millis(500);
/// Longest delay; shorter than a real kubelet's 5 min.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A container that ran this long crashes for the first time again.
const BACKOFF_RESET: Duration = Duration::from_secs(60);
/// Until a missing ConfigMap, Secret or program is looked for again.
const CONFIG_RETRY: Duration = Duration::from_secs(2);
/// A termination message is at most this long, and its log excerpt this many lines.
const TERMINATION_MESSAGE_BYTES_MAX: usize = 4096;
const TERMINATION_LOG_LINES: usize = 80;

/// Tells all containers of a Pod to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// When SIGKILL is due.
    pub(super) kill_at: Instant,
}

/// How a container ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Failed,
    Stopped,
}

/// Which list of the Pod it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Init,
    Main,
}

/// A container and what it needs to run.
pub(super) struct Runner<'a> {
    pub(super) sandbox: &'a PodSandbox,
    pub(super) container: &'a Container,
    pub(super) role: Role,
    pub(super) index: usize,
    pub(super) observed: &'a watch::Sender<Observed>,
    pub(super) stop: watch::Receiver<Option<Stop>>,
}

/// Why a container is not running after an attempt to start it.
enum Attempt {
    /// It ran; its exit code and how long.
    Exited(i32, Duration),
    /// It could not be prepared; worth another try.
    NotPrepared,
    /// Its image is not known, which no try changes.
    NoImage,
}

impl Runner<'_> {
    /// Runs the container until it has ended for good.
    pub(super) async fn run(mut self) -> Outcome {
        if let Some(outcome) = self.inherit() {
            return outcome;
        }
        let mut backoff = Backoff::default();
        loop {
            if self.stop.borrow().is_some() {
                return Outcome::Stopped;
            }
            match self.attempt().await {
                Attempt::NoImage => {
                    // Its error is only dropped with the Pod, which also ends the wait.
                    drop(self.stop.wait_for(Option::is_some).await);
                }
                Attempt::NotPrepared => self.pause(CONFIG_RETRY).await,
                Attempt::Exited(code, ran) => {
                    if self.stop.borrow().is_some() {
                        return Outcome::Stopped;
                    }
                    if !self.restarts_after(code) {
                        return if code == 0 { Outcome::Succeeded } else { Outcome::Failed };
                    }
                    let delay = backoff.next(ran);
                    if !delay.is_zero() {
                        self.report_backoff(delay);
                        self.pause(delay).await;
                    }
                }
            }
        }
    }

    /// Takes over from a kubelet before this one, whose containers died with it; the outcome, if that one
    /// had brought the container to its end.
    fn inherit(&self) -> Option<Outcome> {
        if self.role == Role::Init {
            // A new sandbox is initialized anew.
            return None;
        }
        let mut outcome = None;
        self.update(|status| {
            if let Some(state) = &status.state
                && state.running.is_some()
            {
                status.state = Some(lost(status));
            }
            let code = status.state.as_ref().and_then(|state| Some(state.terminated.as_ref()?.exit_code));
            match code {
                Some(code) if !self.restarts_after(code) => {
                    outcome = Some(if code == 0 { Outcome::Succeeded } else { Outcome::Failed });
                }
                Some(_) => {
                    status.last_state = status.state.replace(waiting("ContainerCreating", None));
                }
                None => {}
            }
        });
        outcome
    }

    fn restarts_after(&self, code: i32) -> bool {
        let policy = self.sandbox.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        match (policy, self.role) {
            (Some("Never"), _) => false,
            (Some("OnFailure"), _) | (_, Role::Init) => code != 0,
            (_, Role::Main) => true,
        }
    }

    async fn attempt(&mut self) -> Attempt {
        let wanted = self.container.image.clone().unwrap_or_default();
        let Some(image) = self.sandbox.kubelet.images.find(&wanted).cloned() else {
            self.report_unknown_image(&wanted).await;
            return Attempt::NoImage;
        };
        self.event(
            Severity::Normal,
            "Pulled",
            format!("Container image \"{wanted}\" already present on machine"),
        );
        if !image.program.is_file() {
            let program = image.program.display();
            let message = format!("image {wanted} is the program {program}, which does not exist: build it");
            self.not_prepared("CreateContainerError", message);
            return Attempt::NotPrepared;
        }
        let launch = match self.sandbox.prepare(self.container, &image).await {
            Ok(launch) => launch,
            Err(cause) => {
                self.not_prepared("CreateContainerConfigError", format!("{cause:#}"));
                return Attempt::NotPrepared;
            }
        };
        self.start(&image, launch).await
    }

    async fn start(&mut self, image: &ImageConfig, launch: Launch) -> Attempt {
        let id = container_id();
        let name = &self.container.name;
        self.event(Severity::Normal, "Created", format!("Container created: {name}"));
        let kubelet = &self.sandbox.kubelet;
        let log = logs::path(&self.sandbox.dir, name);
        let started = ContainerProcess::start(
            &kubelet.program,
            (&launch.spec, &launch.spec_path),
            (&kubelet.open_logs, log),
        )
        .await;
        let began = (Instant::now(), Timestamp::now());
        self.update(|status| {
            // It has an id only if it ran before.
            if status.container_id.replace(id.clone()).is_some() {
                status.restart_count += 1;
            }
            status.image_id = format!("{}@{}", status.image, image.program.display());
        });
        let process = match started {
            Ok(process) => process,
            Err(cause) => {
                let message = format!("{cause:#}");
                self.event(Severity::Warning, "Failed", format!("Error: {message}"));
                let code = crate::sandbox::START_FAILED;
                self.report_end((code, Some(("StartError", message))), began.1, &id);
                return Attempt::Exited(code, Duration::ZERO);
            }
        };
        self.event(Severity::Normal, "Started", format!("Container started: {name}"));
        let exec = Arc::new(Exec {
            program: kubelet.program.clone(),
            process: launch.spec.process,
            pid: process.pid(),
            dir: self.sandbox.dir.join("containers").join(name),
            count: 0.into(),
        });
        let code = Running::new(self, process, exec, began.1).until_exit().await;
        let message = self.termination_message(&launch.termination_log, code);
        let explained = message.map(|message| (if code == 0 { "Completed" } else { "Error" }, message));
        self.report_end((code, explained), began.1, &id);
        Attempt::Exited(code, began.0.elapsed())
    }

    /// What the container left in its termination log, or printed last if it wants that.
    fn termination_message(&self, termination_log: &std::path::Path, code: i32) -> Option<String> {
        let mut text = std::fs::read_to_string(termination_log).unwrap_or_default();
        let falls_back =
            self.container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        if text.is_empty() && code != 0 && falls_back {
            text = logs::tail(&logs::path(&self.sandbox.dir, &self.container.name), TERMINATION_LOG_LINES);
        }
        text.truncate(text.floor_char_boundary(TERMINATION_MESSAGE_BYTES_MAX));
        (!text.is_empty()).then_some(text)
    }

    fn report_end(&self, (code, explained): (i32, Option<(&str, String)>), began: Timestamp, id: &str) {
        let default_reason = if code == 0 { "Completed" } else { "Error" };
        let (reason, message) =
            explained.map_or((default_reason, None), |(reason, text)| (reason, Some(text)));
        let terminated = ContainerStateTerminated {
            exit_code: code,
            reason: Some(reason.to_owned()),
            message,
            started_at: Some(Time(whole_seconds(began))),
            finished_at: Some(Time(whole_seconds(Timestamp::now()))),
            container_id: Some(id.to_owned()),
            ..ContainerStateTerminated::default()
        };
        self.update(|status| {
            let ended = ContainerState { terminated: Some(terminated.clone()), ..ContainerState::default() };
            status.state = Some(ended);
            status.ready = self.role == Role::Init && code == 0;
            status.started = Some(false);
        });
    }

    fn report_running(&self, began: Timestamp) {
        self.update(|status| {
            if let Some(state) = &status.state
                && state.terminated.is_some()
            {
                status.last_state.clone_from(&status.state);
            }
            let running = ContainerStateRunning { started_at: Some(Time(whole_seconds(began))) };
            status.state = Some(ContainerState { running: Some(running), ..ContainerState::default() });
        });
    }

    fn report_backoff(&self, delay: Duration) {
        let pod = &self.sandbox.pod;
        let name = &self.container.name;
        let about = format!(
            "restarting failed container {name} in pod {}_{}({})",
            pod.name_any(),
            pod.namespace().unwrap_or_default(),
            pod.uid().unwrap_or_default()
        );
        self.event(Severity::Warning, "BackOff", format!("Back-off {about}"));
        self.report_waiting("CrashLoopBackOff", format!("back-off {delay:?} {about}"));
    }

    fn report_waiting(&self, reason: &str, message: String) {
        self.update(|status| {
            let before = status.state.replace(waiting(reason, Some(message)));
            if before.as_ref().is_some_and(|state| state.terminated.is_some()) {
                status.last_state = before;
            }
        });
    }

    fn not_prepared(&self, reason: &str, message: String) {
        self.event(Severity::Warning, "Failed", format!("Error: {message}"));
        self.report_waiting(reason, message);
    }

    async fn report_unknown_image(&mut self, image: &str) {
        let known = self.sandbox.kubelet.images.names().join(", ");
        let message =
            format!("image \"{image}\" is not mapped to a program of this machine; the lab knows {known}");
        self.event(Severity::Warning, "Failed", format!("Failed to pull image \"{image}\": {message}"));
        self.event(Severity::Warning, "Failed", "Error: ErrImagePull".to_owned());
        self.report_waiting("ErrImagePull", message.clone());
        self.pause(CONFIG_RETRY).await;
        self.event(Severity::Normal, "BackOff", format!("Back-off pulling image \"{image}\""));
        self.report_waiting("ImagePullBackOff", format!("Back-off pulling image \"{image}\": {message}"));
    }

    /// Waits, but not longer than until the Pod is told to end.
    async fn pause(&mut self, time: Duration) {
        // A timeout is the usual end.
        drop(tokio::time::timeout(time, self.stop.wait_for(Option::is_some)).await);
    }

    fn event(&self, severity: Severity, reason: &str, message: String) {
        let sandbox = self.sandbox;
        sandbox.kubelet.events.pod(&sandbox.pod, Some(&self.container.name), (severity, reason, message));
    }

    /// Changes this container's status.
    fn update(&self, change: impl FnOnce(&mut ContainerStatus)) {
        self.observed.send_modify(|observed| {
            let list = match self.role {
                Role::Init => &mut observed.init,
                Role::Main => &mut observed.main,
            };
            if let Some(status) = list.get_mut(self.index) {
                change(status);
            }
        });
    }
}

/// The end of a container that was running when its node went down.
fn lost(status: &ContainerStatus) -> ContainerState {
    let began = status.state.as_ref().and_then(|state| state.running.as_ref()?.started_at.clone());
    let terminated = ContainerStateTerminated {
        exit_code: 255,
        reason: Some("Unknown".to_owned()),
        started_at: began,
        finished_at: Some(Time(whole_seconds(Timestamp::now()))),
        container_id: status.container_id.clone(),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// A new container id, 64 hexadecimal digits as a runtime makes them.
fn container_id() -> String {
    let uuid = || std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let digits: String = (uuid() + &uuid()).chars().filter(char::is_ascii_hexdigit).collect();
    format!("ferrolb-lab://{digits}")
}

/// Delays between restarts: none after the first end, then doubled each time.
#[derive(Debug, Default)]
struct Backoff {
    next: Option<Duration>,
}

impl Backoff {
    fn next(&mut self, ran: Duration) -> Duration {
        if ran >= BACKOFF_RESET {
            self.next = None;
        }
        let delay = self.next;
        self.next =
            Some(delay.map_or(BACKOFF_INITIAL, |delay| (delay.max(BACKOFF_INITIAL) * 2).min(BACKOFF_MAX)));
        delay.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn the_first_restart_is_immediate_and_the_delay_doubles_up_to_its_limit() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> = (0..8).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(delays, [0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.next(Duration::from_secs(90)), Duration::ZERO);
        assert_eq!(backoff.next(Duration::ZERO), Duration::from_millis(500));
    }
}
