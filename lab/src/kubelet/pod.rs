//! One Pod on this node, from its assignment to its end.
//!
//! One task owns it. It runs three things side by side: the *life* of the Pod (network, volumes, init
//! containers, containers), the publication of its status, and the reaction to changes of its object.
//! Containers write what they do into [`Observed`]; told to end, they find it in the [`Stop`] channel.

mod publish;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStatus, Pod, PodSpec};
use kube::api::{Api, DeleteParams, Preconditions};
use kube::{Client, ResourceExt as _};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::container::{Outcome, Role, Runner, Stop};
use super::env::{Facts, Sources};
use super::events::Severity;
use super::launch::PodSandbox;
use super::network::PodNetwork;
use super::pods::NODE_STOP_GRACE;
use super::status::{Observed, waiting, whole_seconds};
use super::volumes::Volumes;
use super::{Kubelet, support};
use publish::Publisher;

/// How often ConfigMaps, Secrets and tokens in volumes are looked at again.
const VOLUME_RESYNC: Duration = Duration::from_secs(10);
/// Until a network or volume that could not be set up is tried again, doubled each time.
const SETUP_RETRY_INITIAL: Duration = Duration::from_millis(500);
const SETUP_RETRY_MAX: Duration = Duration::from_secs(5);
/// Until the deletion of the Pod's object is tried again.
const DELETE_RETRY: Duration = Duration::from_secs(1);
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// A Pod as the API server has it, and whether it still has it.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) pod: Arc<Pod>,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Present,
    /// Its object is deleted.
    Gone,
    /// The node goes down; the Pod stays in the API.
    NodeStops,
}

/// Runs a Pod until its object is gone or the node stops.
pub(super) async fn run(kubelet: Arc<Kubelet>, mut assignment: watch::Receiver<Assignment>) {
    let pod = Arc::clone(&assignment.borrow_and_update().pod);
    let task = PodTask::new(kubelet, Arc::clone(&pod));
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if !matches!(phase, Some("Succeeded" | "Failed")) {
        task.live(&mut assignment).await;
    }
    task.finish(&mut assignment).await;
}

struct PodTask {
    kubelet: Arc<Kubelet>,
    /// As first seen.
    pod: Arc<Pod>,
    spec: PodSpec,
    dir: PathBuf,
    observed: watch::Sender<Observed>,
    stop: watch::Sender<Option<Stop>>,
}

impl PodTask {
    fn new(kubelet: Arc<Kubelet>, pod: Arc<Pod>) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let dir = kubelet.pod_dir(&pod.uid().unwrap_or_default());
        let observed = first_observation(&pod, &spec, &kubelet);
        Self { kubelet, pod, spec, dir, observed: watch::channel(observed).0, stop: watch::channel(None).0 }
    }

    /// Runs the Pod and keeps its status, until all its containers have ended for good.
    async fn live(&self, assignment: &mut watch::Receiver<Assignment>) {
        let mut publisher = Publisher::new(&self.kubelet, &self.pod);
        let latest = watch::channel(Arc::clone(&self.pod)).0;
        let mut network = None;
        tokio::select! {
            () = self.life(&latest, &mut network) => {}
            () = publisher.keep_published(latest.subscribe(), self.observed.subscribe()) => {}
            () = self.follow(assignment, &latest) => {}
        }
        if assignment.borrow().fate != Fate::NodeStops {
            self.observed.send_modify(|observed| observed.ended = self.stop.borrow().is_some());
            let (pod, observed) = (Arc::clone(&assignment.borrow().pod), self.observed.borrow().clone());
            publisher.publish_last(&pod, &observed, assignment).await;
        }
        if let Some(network) = network {
            self.kubelet.network.detach(&self.pod.uid().unwrap_or_default(), &network);
        }
    }

    /// Follows the Pod's object, until dropped.
    async fn follow(&self, assignment: &mut watch::Receiver<Assignment>, latest: &watch::Sender<Arc<Pod>>) {
        loop {
            self.take_over(assignment, latest);
            if assignment.changed().await.is_err() {
                // The sender outlives this task.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes over the newest object, and tells the containers if the Pod is to end.
    fn take_over(&self, assignment: &mut watch::Receiver<Assignment>, latest: &watch::Sender<Arc<Pod>>) {
        let Assignment { pod, fate } = assignment.borrow_and_update().clone();
        self.report_unsupported_change(&pod, &latest.borrow());
        latest.send_replace(Arc::clone(&pod));
        let grace = match fate {
            Fate::Gone => Some(Duration::ZERO),
            Fate::NodeStops => Some(grace(&pod).min(NODE_STOP_GRACE)),
            Fate::Present => pod.metadata.deletion_timestamp.is_some().then(|| grace(&pod)),
        };
        let Some(grace) = grace else { return };
        let kill_at = Instant::now() + grace;
        self.stop.send_if_modified(|stop| {
            // Told again, the Pod may have less time than before, never more.
            let is_sooner = stop.is_none_or(|stop| kill_at < stop.kill_at);
            if is_sooner {
                *stop = Some(Stop { kill_at });
            }
            is_sooner
        });
    }

    /// The changes of a running Pod that a real kubelet acts on and this one does not.
    fn report_unsupported_change(&self, pod: &Pod, before: &Pod) {
        let images = |pod: &Pod| {
            let containers = pod.spec.iter().flat_map(|spec| spec.containers.clone());
            containers.map(|container| container.image).collect::<Vec<_>>()
        };
        let debuggers = |pod: &Pod| {
            pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_ref()).map_or(0, Vec::len)
        };
        if images(pod) != images(before) || debuggers(pod) != debuggers(before) {
            let message =
                "the lab neither replaces the image of a running Pod nor adds ephemeral containers; \
                           delete the Pod instead"
                    .to_owned();
            self.kubelet.events.pod(pod, None, (Severity::Warning, "Unsupported", message));
        }
    }

    /// From an empty node to the end of the last container.
    async fn life(&self, latest: &watch::Sender<Arc<Pod>>, network: &mut Option<PodNetwork>) {
        if let Some(field) = support::unsupported(&self.pod) {
            self.refuse(&field).await;
            return;
        }
        let Some(sandbox) = self.set_up(network).await else { return };
        for (index, container) in self.spec.init_containers.iter().flatten().enumerate() {
            if self.runner(&sandbox, (Role::Init, index), container).run().await != Outcome::Succeeded {
                return;
            }
        }
        let containers = self.spec.containers.iter().enumerate();
        let all =
            containers.map(|(index, container)| self.runner(&sandbox, (Role::Main, index), container).run());
        tokio::select! {
            _ = join_all(all) => {}
            () = self.keep_volumes(&sandbox, latest) => {}
        }
    }

    fn runner<'a>(
        &'a self,
        sandbox: &'a PodSandbox,
        (role, index): (Role, usize),
        container: &'a Container,
    ) -> Runner<'a> {
        Runner { sandbox, container, role, index, observed: &self.observed, stop: self.stop.subscribe() }
    }

    async fn refuse(&self, field: &str) {
        let message = format!("{field} is not supported by the lab");
        self.kubelet.events.pod(&self.pod, None, (Severity::Warning, "Unsupported", message.clone()));
        self.observed.send_modify(|observed| {
            for status in observed.init.iter_mut().chain(&mut observed.main) {
                status.state = Some(waiting("Unsupported", Some(message.clone())));
            }
        });
        self.stopped().await;
    }

    async fn stopped(&self) {
        // The sender is our own, so the wait ends only with the request to stop.
        drop(self.stop.subscribe().wait_for(Option::is_some).await);
    }

    /// Makes network and volumes, as often as it takes; none if the Pod is told to end before.
    async fn set_up(&self, network: &mut Option<PodNetwork>) -> Option<PodSandbox> {
        let mut delay = SETUP_RETRY_INITIAL;
        let attached = loop {
            match self.attach().await {
                Ok(attached) => break attached,
                Err(cause) => {
                    let message = format!("Failed to create pod sandbox: {cause:#}");
                    self.retry_later("FailedCreatePodSandBox", message, &mut delay).await?;
                }
            }
        };
        *network = Some(attached.clone());
        self.observed.send_modify(|observed| observed.pod_ips.clone_from(&attached.ips));
        let facts = Facts { host_ips: self.kubelet.node.internal_ips.clone(), pod_ips: attached.ips.clone() };
        let sources = Sources {
            client: self.kubelet.client.clone(),
            namespace: self.pod.namespace().unwrap_or_default(),
        };
        let mut volumes = Volumes::new(&self.kubelet, sources.clone(), &self.pod, &self.dir);
        let mut delay = SETUP_RETRY_INITIAL;
        while let Err(error) = volumes.sync(&self.pod, &facts).await {
            self.retry_later("FailedMount", error.to_string(), &mut delay).await?;
        }
        Some(PodSandbox {
            kubelet: Arc::clone(&self.kubelet),
            pod: Arc::clone(&self.pod),
            dir: self.dir.clone(),
            sources,
            network: attached,
            facts,
            volumes: Mutex::new(volumes),
        })
    }

    async fn attach(&self) -> anyhow::Result<PodNetwork> {
        std::fs::create_dir_all(&self.dir)?;
        if self.spec.host_network == Some(true) {
            return Ok(self.kubelet.network.host());
        }
        let (kubelet, dir) = (Arc::clone(&self.kubelet), self.dir.clone());
        let uid = self.pod.uid().unwrap_or_default();
        tokio::task::spawn_blocking(move || kubelet.network.attach(&uid, &dir)).await?
    }

    /// Tells what failed and waits; none if the Pod is told to end meanwhile.
    async fn retry_later(&self, reason: &str, message: String, delay: &mut Duration) -> Option<()> {
        self.kubelet.events.pod(&self.pod, None, (Severity::Warning, reason, message));
        let stopped = tokio::time::timeout(*delay, self.stopped()).await;
        *delay = (*delay * 2).min(SETUP_RETRY_MAX);
        stopped.is_err().then_some(())
    }

    /// Brings the contents of volumes up to date, until dropped.
    async fn keep_volumes(&self, sandbox: &PodSandbox, latest: &watch::Sender<Arc<Pod>>) {
        let mut ticks = tokio::time::interval(VOLUME_RESYNC);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let pod = Arc::clone(&latest.borrow());
            if let Err(error) = sandbox.volumes.lock().await.sync(&pod, &sandbox.facts).await {
                // The volume keeps what it has.
                tracing::debug!(pod = pod.name_any(), %error, "volume not brought up to date");
            }
        }
    }

    /// Waits for the deletion of the Pod, does it once the Pod has ended, and removes what it left.
    async fn finish(&self, assignment: &mut watch::Receiver<Assignment>) {
        loop {
            let Assignment { pod, fate } = assignment.borrow_and_update().clone();
            match fate {
                Fate::NodeStops => return,
                Fate::Gone => break,
                Fate::Present if pod.metadata.deletion_timestamp.is_some() => {
                    if let Err(error) = delete(&self.kubelet.client, &pod).await {
                        tracing::debug!(pod = pod.name_any(), %error, "Pod not deleted yet");
                    }
                    // Its object may wait for a finalizer; either way the watch tells.
                    drop(tokio::time::timeout(DELETE_RETRY, assignment.changed()).await);
                }
                Fate::Present => drop(assignment.changed().await),
            }
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %self.dir.display(), %error, "directory of the Pod not removed");
        }
    }
}

/// Removes the object of a Pod that has ended.
async fn delete(client: &Client, pod: &Pod) -> kube::Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: pod.uid(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(&pod.name_any(), &params).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result.map(drop),
    }
}

/// Time the Pod has from the request to end to SIGKILL.
fn grace(pod: &Pod) -> Duration {
    let spec = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    let seconds = pod.metadata.deletion_grace_period_seconds.or(spec).unwrap_or(DEFAULT_GRACE_SECONDS);
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// What is known at first sight: what the API says an earlier kubelet did, and containers still to come.
fn first_observation(pod: &Pod, spec: &PodSpec, kubelet: &Kubelet) -> Observed {
    let status = pod.status.clone().unwrap_or_default();
    let known = |list: Option<Vec<ContainerStatus>>, container: &Container, reason: &str| {
        let known = list.into_iter().flatten().find(|status| status.name == container.name);
        known.unwrap_or_else(|| ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            state: Some(waiting(reason, None)),
            last_state: Some(ContainerState::default()),
            started: Some(false),
            ..ContainerStatus::default()
        })
    };
    let init = spec.init_containers.iter().flatten();
    let reason = if spec.init_containers.as_ref().is_some_and(|init| !init.is_empty()) {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    let fresh = |status: ContainerStatus| ContainerStatus { ready: false, started: Some(false), ..status };
    Observed {
        init: init
            .map(|container| ContainerStatus {
                // Initialized anew, also after a restart of the node.
                state: Some(waiting("PodInitializing", None)),
                ..fresh(known(status.init_container_statuses.clone(), container, reason))
            })
            .collect(),
        main: spec
            .containers
            .iter()
            .map(|container| fresh(known(status.container_statuses.clone(), container, reason)))
            .collect(),
        pod_ips: Vec::new(),
        host_ips: kubelet.node.internal_ips.clone(),
        start_time: status.start_time.map_or_else(|| whole_seconds(Timestamp::now()), |time| time.0),
        ended: false,
    }
}
