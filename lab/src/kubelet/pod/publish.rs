//! Writing the Pod's status, whenever it differs from what the API server has.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use tokio::sync::watch;

use super::super::status::{self, Observed};
use super::super::{Kubelet, REQUEST_TIMEOUT};
use super::{Assignment, Fate};

/// Until a status that could not be written is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Writes the status of one Pod.
pub(super) struct Publisher {
    client: Client,
    uid: String,
    /// The newest status the API server is known to have, and its version.
    published: (PodStatus, u64),
}

impl Publisher {
    pub(super) fn new(kubelet: &Kubelet, pod: &Pod) -> Self {
        Self {
            client: kubelet.client.clone(),
            uid: pod.uid().unwrap_or_default(),
            published: (pod.status.clone().unwrap_or_default(), version(pod)),
        }
    }

    /// Writes the status at every change, until dropped.
    pub(super) async fn keep_published(
        &mut self,
        mut latest: watch::Receiver<Arc<Pod>>,
        mut observed: watch::Receiver<Observed>,
    ) {
        loop {
            let pod = Arc::clone(&latest.borrow_and_update());
            let now = observed.borrow_and_update().clone();
            let is_written = self.publish(&pod, &now).await;
            let retry = async {
                if is_written {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(RETRY).await;
            };
            tokio::select! {
                // Both senders outlive this loop.
                changed = latest.changed() => drop(changed),
                changed = observed.changed() => drop(changed),
                () = retry => {}
            }
        }
    }

    /// Writes the status if it changed; returns whether the API server has it.
    async fn publish(&mut self, pod: &Pod, observed: &Observed) -> bool {
        // The watch may lag behind our own last write.
        if version(pod) > self.published.1 {
            self.published = (pod.status.clone().unwrap_or_default(), version(pod));
        }
        let now = status::whole_seconds(Timestamp::now());
        let wanted = status::compute(pod, &self.published.0, observed, now);
        let Some(patch) = status::patch(&self.uid, &self.published.0, &wanted) else { return true };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let (name, params, patch) = (pod.name_any(), PatchParams::default(), Patch::Strategic(patch));
        match tokio::time::timeout(REQUEST_TIMEOUT, api.patch_status(&name, &params, &patch)).await {
            Ok(Ok(stored)) => {
                self.published = (stored.status.clone().unwrap_or_default(), version(&stored));
                true
            }
            // Gone, as the watch will tell.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => true,
            Ok(Err(error)) => {
                tracing::debug!(pod = name, %error, "status of the Pod not written");
                false
            }
            Err(_elapsed) => {
                tracing::debug!(pod = name, "status of the Pod not written: no answer");
                false
            }
        }
    }

    /// Writes the status, again and again, unless the Pod is gone or the node stops.
    pub(super) async fn publish_last(
        &mut self,
        pod: &Pod,
        observed: &Observed,
        assignment: &mut watch::Receiver<Assignment>,
    ) {
        while !self.publish(pod, observed).await {
            if assignment.borrow().fate != Fate::Present {
                return;
            }
            // Either end of the wait is a reason to look again.
            drop(tokio::time::timeout(RETRY, assignment.changed()).await);
        }
    }
}

/// Versions grow within one cluster, so the larger one is the newer one.
fn version(pod: &Pod) -> u64 {
    pod.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}
