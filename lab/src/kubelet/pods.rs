//! The Pods bound to this node: one task each, from the first sight of the Pod until it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Kubelet;
use super::pod::{self, Assignment, Fate};

/// How long a watch lasts before it is renewed. One whose API server lost its power is noticed no sooner.
const WATCH_SECONDS: u32 = 15;

/// When the node stops, Pods get this long, whatever their grace period.
pub(super) const NODE_STOP_GRACE: Duration = Duration::from_secs(5);

/// Which Pods are here, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<(String, String), String>>);

impl Names {
    /// The uid of a Pod.
    pub(super) fn uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.lock().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    fn insert(&self, pod: &Pod, uid: &str) {
        self.lock().insert((pod.namespace().unwrap_or_default(), pod.name_any()), uid.to_owned());
    }

    fn remove(&self, uid: &str) {
        self.lock().retain(|_, known| known != uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches and runs Pods until told to stop; returns when no container is left.
pub(super) async fn run(kubelet: Arc<Kubelet>, mut stop: watch::Receiver<bool>) {
    let api: Api<Pod> = Api::all(kubelet.client.clone());
    // The Node authorizer allows this list only with this selector.
    let config = watcher::Config::default()
        .fields(&format!("spec.nodeName={}", kubelet.node.name))
        .timeout(WATCH_SECONDS);
    let mut events = std::pin::pin!(watch_objects(api, config).default_backoff());
    let mut pods = Pods { kubelet, running: BTreeMap::new(), listed: BTreeSet::new(), tasks: JoinSet::new() };
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => pods.on_event(event),
                Some(Err(error)) => tracing::warn!(%error, "watch of Pods interrupted"),
                None => break,
            },
            Some(ended) = pods.tasks.join_next() => pods.on_ended(ended),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    for assignment in pods.running.values() {
        assignment.send_modify(|assignment| assignment.fate = Fate::NodeStops);
    }
    while let Some(ended) = pods.tasks.join_next().await {
        pods.on_ended(ended);
    }
}

struct Pods {
    kubelet: Arc<Kubelet>,
    /// By uid.
    running: BTreeMap<String, watch::Sender<Assignment>>,
    /// Uids seen in the list that is being received.
    listed: BTreeSet<String>,
    /// Each returns its uid.
    tasks: JoinSet<String>,
}

impl Pods {
    fn on_event(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(pod.uid());
                self.apply(pod);
            }
            Event::InitDone => self.forget_unlisted(),
            Event::Apply(pod) => self.apply(pod),
            Event::Delete(pod) => self.remove(&pod.uid().unwrap_or_default()),
        }
    }

    fn apply(&mut self, pod: Pod) {
        let Some(uid) = pod.uid() else { return };
        let pod = Arc::new(pod);
        if let Some(assignment) = self.running.get(&uid) {
            assignment.send_modify(|assignment| assignment.pod = pod);
            return;
        }
        self.kubelet.names.insert(&pod, &uid);
        let (assignment, received) = watch::channel(Assignment { pod, fate: Fate::Present });
        let kubelet = Arc::clone(&self.kubelet);
        let id = uid.clone();
        self.tasks.spawn(async move {
            pod::run(kubelet, received).await;
            id
        });
        self.running.insert(uid, assignment);
    }

    fn remove(&mut self, uid: &str) {
        if let Some(assignment) = self.running.get(uid) {
            assignment.send_modify(|assignment| assignment.fate = Fate::Gone);
        }
    }

    /// Ends Pods that are no longer in the list, and removes what earlier ones left on the disk.
    fn forget_unlisted(&mut self) {
        let gone: Vec<String> =
            self.running.keys().filter(|uid| !self.listed.contains(*uid)).cloned().collect();
        for uid in gone {
            self.remove(&uid);
        }
        for entry in std::fs::read_dir(self.kubelet.pods_dir()).into_iter().flatten().flatten() {
            let is_known = entry.file_name().to_str().is_some_and(|uid| self.running.contains_key(uid));
            if !is_known && let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "directory of a former Pod not removed");
            }
        }
    }

    fn on_ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(uid) => {
                self.running.remove(&uid);
                self.kubelet.names.remove(&uid);
            }
            // It keeps its entry: the same Pod would fail the same way.
            Err(error) => tracing::error!(%error, "task of a Pod failed"),
        }
    }
}
