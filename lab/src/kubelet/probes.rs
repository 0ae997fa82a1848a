//! Liveness, readiness and startup probes of one running container: a task each, which ends with it.
//!
//! They run in the node's network namespace, as the kubelet's do: to the Pod's address, or on the host
//! network to the node's.

mod http;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Container, ContainerPort, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::launch::Exec;

/// Reports waiting for the container's task, which takes them at once.
const REPORT_DEPTH: usize = 16;
/// A real kubelet sees a container some time after it started; before, few listen.
const FIRST_PROBE_DELAY: Duration = Duration::from_millis(250);
const DEFAULT_PERIOD: Duration = Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_FAILURE_THRESHOLD: u32 = 3;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    /// As Events say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// What a probe found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// One try failed.
    Failed(Kind, String),
    /// Enough tries in a row had the same result.
    Verdict(Kind, bool),
}

/// Where a container listens.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) ip: IpAddr,
    pub(super) ports: Vec<ContainerPort>,
}

impl Target {
    pub(super) fn new(ip: IpAddr, container: &Container) -> Self {
        Self { ip, ports: container.ports.clone().unwrap_or_default() }
    }

    /// The address of a port given by number or by its name in the container.
    fn address(&self, host: Option<&str>, port: &IntOrString) -> anyhow::Result<SocketAddr> {
        let number = match port {
            IntOrString::Int(number) => *number,
            IntOrString::String(name) => {
                let named = self.ports.iter().find(|port| port.name.as_ref() == Some(name));
                match named {
                    Some(port) => port.container_port,
                    None => {
                        name.parse().with_context(|| format!("the container has no port named {name}"))?
                    }
                }
            }
        };
        let port = u16::try_from(number).with_context(|| format!("port {number} is out of range"))?;
        let ip = match host.filter(|host| !host.is_empty()) {
            Some(host) => host.parse().with_context(|| format!("host {host} is not an address"))?,
            None => self.ip,
        };
        Ok(SocketAddr::new(ip, port))
    }
}

/// The probes of a running container; dropping them ends them.
#[derive(Debug)]
pub(super) struct Probes {
    reports: mpsc::Receiver<Report>,
    started: watch::Sender<bool>,
    has_startup: bool,
    has_readiness: bool,
    _tasks: JoinSet<()>,
}

impl Probes {
    pub(super) fn start(container: &Container, target: &Target, exec: &Arc<Exec>) -> Self {
        let (sender, reports) = mpsc::channel(REPORT_DEPTH);
        let has_startup = container.startup_probe.is_some();
        let (started, is_started) = watch::channel(!has_startup);
        let mut tasks = JoinSet::new();
        let probes = [
            (Kind::Startup, &container.startup_probe),
            (Kind::Readiness, &container.readiness_probe),
            (Kind::Liveness, &container.liveness_probe),
        ];
        for (kind, probe) in probes {
            let Some(probe) = probe.clone() else { continue };
            let (target, exec, sender) = (target.clone(), Arc::clone(exec), sender.clone());
            let mut is_started = is_started.clone();
            tasks.spawn(async move {
                let begin =
                    Instant::now() + seconds(probe.initial_delay_seconds).unwrap_or(FIRST_PROBE_DELAY);
                if kind != Kind::Startup && is_started.wait_for(|started| *started).await.is_err() {
                    return;
                }
                tokio::time::sleep_until(begin).await;
                run(kind, &probe, (&target, &exec), &sender).await;
            });
        }
        let has_readiness = container.readiness_probe.is_some();
        Self { reports, started, has_startup, has_readiness, _tasks: tasks }
    }

    /// Whether the container counts as started before any probe ran.
    pub(super) fn initially_started(&self) -> bool {
        !self.has_startup
    }

    /// Whether the container is ready as soon as it is started.
    pub(super) fn ready_when_started(&self) -> bool {
        !self.has_readiness
    }

    /// Lets the other probes begin.
    pub(super) fn set_started(&self) {
        self.started.send_replace(true);
    }

    /// The next report; never, if there is no probe. Cancel-safe.
    pub(super) async fn next(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }
}

async fn run(kind: Kind, probe: &Probe, (target, exec): (&Target, &Exec), reports: &mpsc::Sender<Report>) {
    let period = seconds(probe.period_seconds).unwrap_or(DEFAULT_PERIOD);
    let mut threshold = Threshold::new(probe);
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = attempt(probe, target, exec).await;
        let verdict = threshold.record(result.is_ok());
        if let Err(cause) = result
            && reports.send(Report::Failed(kind, format!("{cause:#}"))).await.is_err()
        {
            return;
        }
        if let Some(is_healthy) = verdict {
            if reports.send(Report::Verdict(kind, is_healthy)).await.is_err() {
                return;
            }
            // A startup probe has said all it can, a container that is to die too.
            if kind == Kind::Startup || (kind == Kind::Liveness && !is_healthy) {
                return;
            }
        }
    }
}

async fn attempt(probe: &Probe, target: &Target, exec: &Exec) -> anyhow::Result<()> {
    let limit = seconds(probe.timeout_seconds).unwrap_or(DEFAULT_TIMEOUT);
    timeout(limit, probe_once(probe, target, exec))
        .await
        .with_context(|| format!("timed out after {limit:?}"))?
}

async fn probe_once(probe: &Probe, target: &Target, exec: &Exec) -> anyhow::Result<()> {
    if let Some(action) = &probe.http_get {
        let status = http_get(action, target).await?;
        if !(200..400).contains(&status) {
            bail!("HTTP probe failed with statuscode: {status}");
        }
    } else if let Some(action) = &probe.tcp_socket {
        tcp_connect(action, target).await?;
    } else if let Some(action) = &probe.exec {
        let output = exec.run("probe", action.command.as_deref().unwrap_or_default()).await?;
        if output.code != 0 {
            bail!("command exited with {}: {}", output.code, output.text.trim_end());
        }
    }
    Ok(())
}

async fn tcp_connect(action: &TCPSocketAction, target: &Target) -> anyhow::Result<()> {
    let address = target.address(action.host.as_deref(), &action.port)?;
    TcpStream::connect(address).await.map(drop).with_context(|| format!("dial tcp {address}"))
}

/// The status code of an HTTP request; certificates are not verified, as with a real kubelet.
pub(super) async fn http_get(action: &HTTPGetAction, target: &Target) -> anyhow::Result<u16> {
    let address = target.address(action.host.as_deref(), &action.port)?;
    http::get(address, action).await.with_context(|| {
        let scheme = action.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        format!("Get \"{scheme}://{address}{}\"", action.path.as_deref().unwrap_or("/"))
    })
}

fn seconds(value: Option<i32>) -> Option<Duration> {
    let value = u64::try_from(value?).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(value))
}

/// Counts equal results in a row.
#[derive(Debug)]
struct Threshold {
    success: u32,
    failure: u32,
    last: bool,
    run: u32,
    verdict: Option<bool>,
}

impl Threshold {
    fn new(probe: &Probe) -> Self {
        let at_least_one =
            |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).filter(|v| *v > 0);
        Self {
            success: at_least_one(probe.success_threshold).unwrap_or(1),
            failure: at_least_one(probe.failure_threshold).unwrap_or(DEFAULT_FAILURE_THRESHOLD),
            last: false,
            run: 0,
            verdict: None,
        }
    }

    /// The new verdict, if this result changes it.
    fn record(&mut self, is_success: bool) -> Option<bool> {
        self.run = if is_success == self.last { self.run.saturating_add(1) } else { 1 };
        self.last = is_success;
        let needed = if is_success { self.success } else { self.failure };
        if self.run < needed || self.verdict == Some(is_success) {
            return None;
        }
        self.verdict = Some(is_success);
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ContainerPort, Probe};
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::{Target, Threshold};

    fn verdicts(success: i32, failure: i32, results: &str) -> Vec<Option<bool>> {
        let probe =
            Probe { success_threshold: Some(success), failure_threshold: Some(failure), ..Probe::default() };
        let mut threshold = Threshold::new(&probe);
        results.chars().map(|result| threshold.record(result == '+')).collect()
    }

    #[test]
    fn a_verdict_needs_its_threshold_of_equal_results_and_is_told_once() {
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(verdicts(1, 3, "+--+---"), [yes, None, None, None, None, None, no]);
        assert_eq!(verdicts(2, 1, "+-++-"), [None, no, None, yes, no]);
        assert_eq!(verdicts(1, 2, "---+"), [None, no, None, yes]);
    }

    #[test]
    fn a_port_is_a_number_or_the_name_of_a_container_port() {
        let port =
            ContainerPort { name: Some("web".to_owned()), container_port: 8080, ..ContainerPort::default() };
        let target = Target { ip: "10.0.0.2".parse().unwrap(), ports: vec![port] };
        let address = |host: Option<&str>, port: IntOrString| {
            target.address(host, &port).map(|address| address.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(address(None, IntOrString::String("web".to_owned())), Ok("10.0.0.2:8080".to_owned()));
        assert_eq!(address(Some("127.0.0.1"), IntOrString::Int(7473)), Ok("127.0.0.1:7473".to_owned()));
        assert!(address(None, IntOrString::String("metrics".to_owned())).unwrap_err().contains("metrics"));
    }
}
