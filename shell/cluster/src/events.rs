//! Kubernetes Events: what `kubectl describe` shows below an object.

use std::collections::BTreeMap;
use std::time::Duration;

use ferrolb_api::events::EventReason;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::errors::{brief, is_absent};

/// Something worth telling at an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The Event's reason and type, MetalLB's.
    pub reason: EventReason,
    /// One sentence for a person; cut at 340 characters.
    pub message: String,
}

impl Notice {
    /// A notice with `reason`.
    pub fn new(reason: EventReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The way to a task that writes Events, so that nobody waits for the API server.
#[derive(Debug)]
pub struct EventQueue {
    waiting: mpsc::Sender<(ObjectReference, Notice)>,
    task: JoinHandle<()>,
}

impl EventQueue {
    /// Starts the task for `writer`, for which at most `capacity` Events wait.
    #[must_use]
    pub fn start(writer: EventWriter, capacity: usize) -> Self {
        let (waiting, notices) = mpsc::channel(capacity);
        Self { waiting, task: tokio::spawn(write(writer, notices)) }
    }

    /// Queues `notices`. What the queue does not take is dropped, and their number logged: an
    /// Event tells what the objects' statuses say anyway.
    pub fn tell(&self, notices: impl IntoIterator<Item = (ObjectReference, Notice)>) {
        let dropped = notices.into_iter().filter_map(|notice| self.waiting.try_send(notice).err()).count();
        if dropped > 0 {
            tracing::warn!(dropped, "the API server takes Events too slowly, some are dropped");
        }
    }

    /// Writes what still waits, for at most `limit`.
    pub async fn finish(self, limit: Duration) {
        drop(self.waiting);
        if tokio::time::timeout(limit, self.task).await.is_err() {
            tracing::warn!("the process ends, and some Events were not written");
        }
    }
}

async fn write(mut writer: EventWriter, mut notices: mpsc::Receiver<(ObjectReference, Notice)>) {
    while let Some(first) = notices.recv().await {
        tokio::time::sleep(WRITE_DELAY).await;
        let mut next = Some(first);
        while let Some((object, notice)) = next {
            write_one(&mut writer, &object, &notice).await;
            next = notices.try_recv().ok();
        }
    }
}

async fn write_one(writer: &mut EventWriter, object: &ObjectReference, notice: &Notice) {
    let reason = notice.reason.as_str();
    match tokio::time::timeout(WRITE_TIMEOUT, writer.tell(object, notice)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = brief(&error), reason, "an Event was not written"),
        Err(_elapsed) => {
            tracing::warn!(reason, "the API server does not answer, an Event was not written");
        }
    }
}

/// Writes Events, counting repetitions in one Event instead of making a new one.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct EventWriter {
    client: Client,
    component: String,
    instance: String,
    recent: BTreeMap<Repeated, Written>,
}

/// What makes two notices the same: the object's UID, the reason, the message.
type Repeated = (String, &'static str, String);

#[derive(Clone, Debug)]
struct Written {
    namespace: String,
    name: String,
    count: i32,
    at: Timestamp,
}

impl EventWriter {
    /// A writer for `component` (`ferrolb-controller`, `ferrolb-speaker`), running as pod `instance`.
    #[must_use]
    pub fn new(client: Client, component: &str, instance: &str) -> Self {
        Self { client, component: component.into(), instance: instance.into(), recent: BTreeMap::new() }
    }

    /// Tells `notice` at `regarding`.
    ///
    /// # Errors
    /// The API server refused the Event or cannot be reached.
    pub async fn tell(&mut self, regarding: &ObjectReference, notice: &Notice) -> Result<(), kube::Error> {
        let now = Timestamp::now();
        let key = (regarding.uid.clone().unwrap_or_default(), notice.reason.as_str(), notice.message.clone());
        if let Some(written) = self.recent.get(&key).cloned()
            && self.repeat(&written, now).await?
        {
            self.remember(key, Written { count: written.count + 1, at: now, ..written });
            return Ok(());
        }
        let event = self.event(regarding, notice, now);
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".into());
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        api.create(&PostParams::default(), &event).await?;
        let name = event.metadata.name.unwrap_or_default();
        self.remember(key, Written { namespace, name, count: 1, at: now });
        Ok(())
    }

    /// Counts `written` up; false when the API server has forgotten it.
    async fn repeat(&self, written: &Written, now: Timestamp) -> Result<bool, kube::Error> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &written.namespace);
        let series = EventSeries { count: written.count + 1, last_observed_time: MicroTime(now) };
        let patch = Patch::Merge(serde_json::json!({ "series": series }));
        match api.patch(&written.name, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn event(&self, regarding: &ObjectReference, notice: &Notice, now: Timestamp) -> Event {
        let name = regarding.name.as_deref().unwrap_or(&self.component);
        Event {
            action: Some(ACTION.into()),
            event_time: Some(MicroTime(now)),
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".into())),
                ..ObjectMeta::default()
            },
            note: Some(bounded(&notice.message)),
            reason: Some(notice.reason.as_str().into()),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(self.component.clone()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(notice.reason.event_type().as_str().into()),
            ..Event::default()
        }
    }

    fn remember(&mut self, key: Repeated, written: Written) {
        self.recent.insert(key, written);
        if self.recent.len() > RECENT_EVENTS_MAX {
            let oldest = self.recent.iter().min_by_key(|(_, written)| written.at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.recent.remove(&oldest);
            }
        }
    }
}

/// The API server refuses notes above 1 KiB (`NoteLengthLimit`).
fn bounded(message: &str) -> String {
    match message.char_indices().nth(NOTE_CHARS_MAX) {
        None => message.into(),
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
    }
}

/// What the reporter did when the Event happened; `kubectl` does not show it.
const ACTION: &str = "Reconcile";
/// 340 characters fit into 1 KiB however many octets each takes in UTF-8, up to three, with the ellipsis.
const NOTE_CHARS_MAX: usize = 340;
/// Events that may still be counted up; beyond that a repetition becomes an Event of its own.
const RECENT_EVENTS_MAX: usize = 1024;
/// What is new to tell waits so long: for more to be told with it, and because what is done goes before what is
/// said of it. On a busy machine writes keep the processors from routes.
pub const WRITE_DELAY: Duration = Duration::from_millis(100);
/// The API server has this long for one Event.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
