//! A container that runs: its probes, its hooks, and its end on request.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LifecycleHandler, Probe};
use tokio::time::{Instant, sleep_until};

use super::super::events::Severity;
use super::super::launch::Exec;
use super::super::lifecycle;
use super::super::probes::{Kind, Probes, Report, Target};
use super::super::process::ContainerProcess;
use super::{Role, Runner};

/// After a preStop hook that used up its time the container gets this much more, as in the kubelet.
const MINIMUM_GRACE: Duration = Duration::from_secs(2);
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

type Hook = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// How far the container is on its way to its end.
enum Phase {
    /// It is to run.
    Live,
    /// `preStop` runs until the deadline.
    PreStop { hook: Hook, kill_at: Instant },
    /// It has got SIGTERM and gets SIGKILL at the deadline.
    Terminating { kill_at: Instant },
    /// It has got SIGKILL.
    Killed,
}

/// What happened to a running container.
enum Occurrence {
    Exited(i32),
    Probed(Report),
    Told,
    Hooked(anyhow::Result<()>),
    Due,
}

pub(super) struct Running<'a, 'b> {
    runner: &'a mut Runner<'b>,
    process: ContainerProcess,
    exec: Arc<Exec>,
    target: Option<Target>,
    probes: Option<Probes>,
    post_start: Option<Hook>,
    phase: Phase,
    is_ready: bool,
    is_started: bool,
}

impl<'a, 'b> Running<'a, 'b> {
    pub(super) fn new(
        runner: &'a mut Runner<'b>,
        process: ContainerProcess,
        exec: Arc<Exec>,
        began: Timestamp,
    ) -> Self {
        let container = runner.container;
        let ip = runner.sandbox.facts.pod_ips.first();
        let target = ip.map(|ip| Target::new(*ip, container));
        // Init containers have no probes, and are ready by ending well.
        let probes = target
            .as_ref()
            .filter(|_| runner.role == Role::Main)
            .map(|target| Probes::start(container, target, &exec));
        let is_started = probes.as_ref().is_none_or(Probes::initially_started);
        let is_ready = is_started && probes.as_ref().is_some_and(Probes::ready_when_started);
        let handler = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
        let post_start = handler.zip(target.clone()).map(|(handler, target)| hook(handler, target, &exec));
        runner.report_running(began);
        let running = Self {
            runner,
            process,
            exec,
            target,
            probes,
            post_start,
            phase: Phase::Live,
            is_ready,
            is_started,
        };
        running.publish();
        running
    }

    /// Watches over the container until it ends, and returns its exit code.
    pub(super) async fn until_exit(mut self) -> i32 {
        // The Pod may have been told to end while the container started.
        self.follow_stop();
        loop {
            match self.next().await {
                Occurrence::Exited(code) => return code,
                Occurrence::Probed(report) => self.on_report(report),
                Occurrence::Told => self.follow_stop(),
                Occurrence::Hooked(result) => self.on_hooked(result),
                Occurrence::Due => self.on_due(),
            }
        }
    }

    async fn next(&mut self) -> Occurrence {
        let Self { runner, process, probes, post_start, phase, .. } = self;
        let report = async {
            match probes {
                Some(probes) => probes.next().await,
                None => std::future::pending().await,
            }
        };
        let due = phase.kill_at();
        let due = async {
            match due {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let hooked = async {
            match (phase, post_start) {
                (Phase::PreStop { hook, .. }, _) | (Phase::Live, Some(hook)) => hook.await,
                (Phase::Live | Phase::Terminating { .. } | Phase::Killed, _) => std::future::pending().await,
            }
        };
        let told = async {
            if runner.stop.changed().await.is_err() {
                // The Pod's task is gone, and drops this future with it.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            code = process.wait() => Occurrence::Exited(code),
            () = told => Occurrence::Told,
            result = hooked => Occurrence::Hooked(result),
            report = report => Occurrence::Probed(report),
            () = due => Occurrence::Due,
        }
    }

    /// Begins to end the container if the Pod ends, or shortens its time.
    fn follow_stop(&mut self) {
        let Some(stop) = *self.runner.stop.borrow_and_update() else { return };
        match &mut self.phase {
            Phase::Live => {
                let message = format!("Stopping container {}", self.runner.container.name);
                self.begin_end(message, stop.kill_at);
            }
            Phase::PreStop { kill_at, .. } | Phase::Terminating { kill_at } => {
                *kill_at = stop.kill_at.min(*kill_at);
            }
            Phase::Killed => {}
        }
    }

    fn begin_end(&mut self, message: String, kill_at: Instant) {
        self.runner.event(Severity::Normal, "Killing", message);
        let lifecycle = self.runner.container.lifecycle.as_ref();
        let handler = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.clone());
        self.phase = match handler.zip(self.target.clone()) {
            Some((handler, target)) if kill_at > Instant::now() => {
                Phase::PreStop { hook: hook(handler, target, &self.exec), kill_at }
            }
            Some(_) | None => {
                self.process.terminate();
                Phase::Terminating { kill_at }
            }
        };
    }

    fn on_hooked(&mut self, result: anyhow::Result<()>) {
        match self.phase {
            Phase::PreStop { kill_at, .. } => {
                if let Err(cause) = result {
                    let message = format!("PreStopHook failed: {cause:#}");
                    self.runner.event(Severity::Warning, "FailedPreStopHook", message);
                }
                self.process.terminate();
                self.phase = Phase::Terminating { kill_at: kill_at.max(Instant::now() + MINIMUM_GRACE) };
            }
            Phase::Live | Phase::Terminating { .. } | Phase::Killed => {
                self.post_start = None;
                if let Err(cause) = result {
                    let message = format!("PostStartHook failed: {cause:#}");
                    self.runner.event(Severity::Warning, "FailedPostStartHook", message);
                    let killing = "FailedPostStartHook".to_owned();
                    self.begin_end(killing, Instant::now() + self.grace(None));
                }
            }
        }
    }

    fn on_due(&mut self) {
        if let Phase::PreStop { .. } = self.phase {
            let message = "PreStopHook not finished within the grace period".to_owned();
            self.runner.event(Severity::Warning, "FailedPreStopHook", message);
            self.process.terminate();
            self.phase = Phase::Terminating { kill_at: Instant::now() + MINIMUM_GRACE };
            return;
        }
        self.process.kill();
        self.phase = Phase::Killed;
    }

    fn on_report(&mut self, report: Report) {
        let name = &self.runner.container.name;
        match report {
            Report::Failed(kind, cause) => {
                let message = format!("{} probe failed: {cause}", kind.name());
                self.runner.event(Severity::Warning, "Unhealthy", message);
            }
            Report::Verdict(Kind::Readiness, is_ready) => {
                self.is_ready = is_ready;
                self.publish();
            }
            Report::Verdict(Kind::Startup, true) => {
                if let Some(probes) = &self.probes {
                    probes.set_started();
                    self.is_ready = probes.ready_when_started();
                }
                self.is_started = true;
                self.publish();
            }
            Report::Verdict(Kind::Liveness, true) => {}
            Report::Verdict(kind @ (Kind::Startup | Kind::Liveness), false) => {
                if !matches!(self.phase, Phase::Live) {
                    return;
                }
                let kind_name = kind.name().to_lowercase();
                let message = format!("Container {name} failed {kind_name} probe, will be restarted");
                let container = self.runner.container;
                let probe = match kind {
                    Kind::Startup => &container.startup_probe,
                    Kind::Liveness | Kind::Readiness => &container.liveness_probe,
                };
                let kill_at = Instant::now() + self.grace(probe.as_ref());
                self.begin_end(message, kill_at);
            }
        }
    }

    /// Time between SIGTERM and SIGKILL: the probe's own, or the Pod's.
    fn grace(&self, probe: Option<&Probe>) -> Duration {
        let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
        let spec = self.runner.sandbox.pod.spec.as_ref();
        let seconds = own.or_else(|| spec.and_then(|spec| spec.termination_grace_period_seconds));
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DEFAULT_GRACE, Duration::from_secs)
    }

    fn publish(&self) {
        let (is_ready, is_started) = (self.is_ready, self.is_started);
        self.runner.update(|status| {
            status.ready = is_ready && is_started;
            status.started = Some(is_started);
        });
    }
}

impl Phase {
    fn kill_at(&self) -> Option<Instant> {
        match self {
            Self::PreStop { kill_at, .. } | Self::Terminating { kill_at } => Some(*kill_at),
            Self::Live | Self::Killed => None,
        }
    }
}

fn hook(handler: LifecycleHandler, target: Target, exec: &Arc<Exec>) -> Hook {
    let exec = Arc::clone(exec);
    Box::pin(async move { lifecycle::run(&handler, &target, &exec).await })
}
