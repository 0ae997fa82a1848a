//! Events in the kubelet's name: written by one task, repeated ones counted instead of written again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::json;
use tokio::sync::mpsc;

/// Events waiting to be written. More than these at once are lost, as with a real kubelet's rate limit.
const QUEUE_DEPTH: usize = 256;
/// Events remembered for counting; beyond, counting starts over.
const REMEMBERED_MAX: usize = 2048;

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Normal,
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Where Events are handed in.
#[derive(Clone, Debug)]
pub(super) struct Events {
    queue: mpsc::Sender<Event>,
    source: EventSource,
}

impl Events {
    /// The hand-in, and the queue for [`run`].
    pub(super) fn new(node: &str) -> (Self, mpsc::Receiver<Event>) {
        let (queue, received) = mpsc::channel(QUEUE_DEPTH);
        let source = EventSource { component: Some("kubelet".to_owned()), host: Some(node.to_owned()) };
        (Self { queue, source }, received)
    }

    /// Tells something about a Pod, or about one of its containers.
    pub(super) fn pod(&self, pod: &Pod, container: Option<&str>, event: (Severity, &str, String)) {
        let is_init = |name| {
            let spec = pod.spec.as_ref();
            spec.and_then(|spec| spec.init_containers.as_ref())
                .is_some_and(|containers| containers.iter().any(|container| container.name == name))
        };
        let about = ObjectReference {
            field_path: container.map(|name| {
                let list = if is_init(name) { "initContainers" } else { "containers" };
                format!("spec.{list}{{{name}}}")
            }),
            ..pod.object_ref(&())
        };
        self.tell(about, event);
    }

    /// Tells something about the node.
    pub(super) fn node(&self, event: (Severity, &str, String)) {
        let name = self.source.host.clone();
        let about =
            ObjectReference { kind: Some("Node".to_owned()), uid: name.clone(), name, ..Default::default() };
        self.tell(about, event);
    }

    fn tell(&self, about: ObjectReference, (severity, reason, message): (Severity, &str, String)) {
        let now = Timestamp::now();
        let namespace = about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        // As client-go names them: the object and the time in nanoseconds.
        let name = format!("{}.{:x}", about.name.as_deref().unwrap_or_default(), now.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..Default::default() },
            involved_object: about,
            type_: Some(severity.as_str().to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            source: Some(self.source.clone()),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: self.source.host.clone(),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            ..Default::default()
        };
        if self.queue.try_send(event).is_err() {
            tracing::warn!(reason, "event lost: too many at once");
        }
    }
}

/// Object, field, reason and message: the same again is one Event with a higher count.
type Identity = (String, String, String, String);

/// Writes Events until all senders are gone.
pub(super) async fn run(client: Client, mut queue: mpsc::Receiver<Event>) {
    let mut written: BTreeMap<Identity, (String, i32)> = BTreeMap::new();
    while let Some(event) = queue.recv().await {
        let identity = identity(&event);
        let api: Api<Event> = Api::namespaced(client.clone(), &event.namespace().unwrap_or_default());
        if written.len() > REMEMBERED_MAX {
            written.clear();
        }
        let result = match written.get_mut(&identity) {
            Some((name, count)) => {
                *count += 1;
                let patch = json!({ "count": *count, "lastTimestamp": event.last_timestamp });
                api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
            }
            None => api.create(&PostParams::default(), &event).await,
        };
        match result {
            Ok(stored) => {
                written.entry(identity).or_insert((stored.name_any(), 1));
            }
            Err(error) => {
                // Expired (the next one is written anew), or its namespace is being deleted.
                written.remove(&identity);
                tracing::debug!(%error, reason = event.reason, "event not written");
            }
        }
    }
}

fn identity(event: &Event) -> Identity {
    let about = &event.involved_object;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let object = format!("{}/{}", text(&about.kind), text(&about.uid));
    (object, text(&about.field_path), text(&event.reason), text(&event.message))
}
