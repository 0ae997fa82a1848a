//! Watches that keep a local copy of a kind and mark the world dirty when it changes.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::errors::{brief_watch, is_absent};

/// A local copy whose unreadable objects do not hide the readable ones.
pub type GuardedStore<K> = Store<DeserializeGuard<K>>;

/// The signal that something a decision depends on has changed. Many changes make one signal.
#[derive(Clone, Debug, Default)]
pub struct Dirty(Arc<Notify>);

impl Dirty {
    /// Asks for another pass.
    pub fn mark(&self) {
        self.0.notify_one();
    }

    /// Waits until something was marked since the last wait ended. Cancel-safe.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// The watches of one process.
#[derive(Debug, Default)]
pub struct Watches {
    dirty: Dirty,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Watches that mark `dirty`.
    #[must_use]
    pub fn new(dirty: Dirty) -> Self {
        Self { dirty, tasks: JoinSet::new() }
    }

    /// Follows all objects of `api` that `config` selects, and returns their local copy. `strip`
    /// removes what is never read, to save memory.
    ///
    /// The copy stays as it was while the API server is away, and is replaced as a whole after
    /// a gap; errors are retried for ever with the client's backoff.
    pub fn follow<K>(&mut self, api: Api<K>, config: watcher::Config, strip: fn(&mut K)) -> Store<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let dirty = self.dirty.clone();
        self.follow_telling((api, config), strip, dirty, |error| report(&K::plural(&()), error))
    }

    /// Follows objects that no decision depends on, which are only written: a change marks nothing.
    pub fn follow_written<K>(&mut self, api: Api<K>, config: watcher::Config) -> Store<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let nobody = Dirty::default();
        self.follow_telling((api, config), |_| (), nobody, |error| report(&K::plural(&()), error))
    }

    /// Follows all objects of a kind that an API server may be too old to know.
    pub fn follow_if_known<K>(&mut self, api: Api<K>) -> OptionalStore<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let (tell, unknown) = watch::channel(false);
        let store = self.follow_telling(
            (api, watcher::Config::default()),
            |_| (),
            self.dirty.clone(),
            move |error| {
                if matches!(error, watcher::Error::InitialListFailed(error) if is_absent(error)) {
                    tell.send_replace(true);
                } else {
                    report(&K::plural(&()), error);
                }
            },
        );
        OptionalStore { store, unknown }
    }

    fn follow_telling<K>(
        &mut self,
        (api, config): (Api<K>, watcher::Config),
        strip: fn(&mut K),
        dirty: Dirty,
        tell: impl Fn(&watcher::Error) + Send + 'static,
    ) -> Store<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let (reader, mut writer) = reflector::store();
        let stream = watcher(api, config).default_backoff().modify(move |object| {
            object.meta_mut().managed_fields = None;
            strip(object);
        });
        self.tasks.spawn(run(stream, dirty, move |event| writer.apply_watcher_event(event), tell));
        reader
    }

    /// Hands every event of a watch to `keep`, which keeps a copy of its own.
    pub(crate) fn follow_events<K>(
        &mut self,
        api: Api<K>,
        config: watcher::Config,
        keep: impl FnMut(&watcher::Event<K>) + Send + 'static,
    ) where
        K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let stream = watcher(api, config).default_backoff();
        self.tasks.spawn(run(stream, self.dirty.clone(), keep, |error| report(&K::plural(&()), error)));
    }

    /// Follows a configuration kind in each of `namespaces`.
    pub fn follow_config<K>(&mut self, client: &kube::Client, namespaces: &[String]) -> Vec<GuardedStore<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let mut follow = |namespace: &String| {
            self.follow(Api::namespaced(client.clone(), namespace), watcher::Config::default(), |_| ())
        };
        namespaces.iter().map(&mut follow).collect()
    }
}

/// Keeps a copy, and marks `dirty` when it has changed. Ends with the process.
async fn run<K>(
    stream: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    dirty: Dirty,
    mut keep: impl FnMut(&watcher::Event<K>),
    tell: impl Fn(&watcher::Error),
) {
    let mut stream = pin!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                keep(&event);
                match event {
                    watcher::Event::Init | watcher::Event::InitApply(_) => {}
                    watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone => {
                        dirty.mark();
                    }
                }
            }
            Err(error) => tell(&error),
        }
    }
}

/// A local copy of a kind that the API server may not know; it is empty then.
#[derive(Debug)]
pub struct OptionalStore<K: kube::Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    unknown: watch::Receiver<bool>,
}

impl<K: kube::Resource<DynamicType = ()> + Clone + 'static> OptionalStore<K> {
    /// The objects now.
    #[must_use]
    pub fn state(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Waits for the first complete list, or the word that there will be none.
    pub async fn synced(&self) {
        let mut unknown = self.unknown.clone();
        tokio::select! {
            () = synced(&self.store) => {}
            _ = unknown.wait_for(|unknown| *unknown) => {}
        }
    }
}

/// Waits until `store` holds a first complete list, and says every ten seconds what it waits for.
pub async fn synced<K>(store: &Store<K>)
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    // An error means that the writer is gone: only when the process ends.
    said_when_late::<K>(async { drop(store.wait_until_ready().await) }).await;
}

/// Waits for the first complete list of a kind, and says every ten seconds what it waits for.
pub(crate) async fn said_when_late<K: kube::Resource<DynamicType = ()>>(listed: impl Future<Output = ()>) {
    let mut listed = pin!(listed);
    loop {
        match within(SYNC_REPORT_INTERVAL, listed.as_mut()).await {
            Some(()) => return,
            None => tracing::warn!(kind = %K::plural(&()), "waiting for the first list from the API server"),
        }
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

fn report(kind: &str, error: &watcher::Error) {
    if let watcher::Error::InitialListFailed(error) = error
        && is_absent(error)
    {
        tracing::error!(
            kind,
            "the API server does not know this kind; install FerroLB's CustomResourceDefinitions \
             (deploy/ferrolb.yaml)"
        );
        return;
    }
    tracing::warn!(kind, error = brief_watch(error), "a watch was interrupted and is retried");
}

/// How long a start may wait in silence for the API server.
const SYNC_REPORT_INTERVAL: Duration = Duration::from_secs(10);
