//! The local copy of all Services, of each only what FerroLB reads.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Service;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::watch;

use crate::parse::service::{SeenService, key};
use crate::watches::{Watches, said_when_late};
use ferrolb_vocab::ServiceKey;

/// Services of one page of a list: whole objects, managedFields and all, are in memory while a page is read.
const PAGE_SIZE: u32 = 100;

/// All Services, as far as they are known.
#[derive(Clone, Debug)]
pub struct Services {
    seen: Arc<Mutex<BTreeMap<ServiceKey, Arc<SeenService>>>>,
    has_seen_all: watch::Receiver<bool>,
}

impl Services {
    /// Follows them.
    pub fn start(watches: &mut Watches, client: &Client) -> Self {
        let (tell, has_seen_all) = watch::channel(false);
        let services = Self { seen: Arc::default(), has_seen_all };
        let mut keeper = Keeper { seen: Arc::clone(&services.seen), listed: BTreeMap::new(), tell };
        let config = watcher::Config::default().page_size(PAGE_SIZE);
        watches.follow_events(Api::all(client.clone()), config, move |event| keeper.apply(event));
        services
    }

    /// The Services now, in the order of their keys.
    #[must_use]
    pub fn state(&self) -> Vec<Arc<SeenService>> {
        lock(&self.seen).values().cloned().collect()
    }

    /// Waits for the first complete copy.
    pub async fn synced(&self) {
        let mut has_seen_all = self.has_seen_all.clone();
        // An error means that the writer is gone: only when the process ends.
        let complete = async { drop(has_seen_all.wait_for(|complete| *complete).await) };
        said_when_late::<Service>(complete).await;
    }
}

/// What keeps the copy.
struct Keeper {
    seen: Arc<Mutex<BTreeMap<ServiceKey, Arc<SeenService>>>>,
    /// What a new list has brought so far. It takes the copy's place when it is complete.
    listed: BTreeMap<ServiceKey, Arc<SeenService>>,
    tell: watch::Sender<bool>,
}

impl Keeper {
    fn apply(&mut self, event: &Event<Service>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(service) => {
                let seen = self.read(service);
                self.listed.insert(seen.key.clone(), seen);
            }
            Event::InitDone => {
                let former = mem::replace(&mut *lock(&self.seen), mem::take(&mut self.listed));
                // Not while others wait for the lock.
                drop(former);
                self.tell.send_replace(true);
            }
            Event::Apply(service) => {
                let seen = self.read(service);
                lock(&self.seen).insert(seen.key.clone(), seen);
            }
            Event::Delete(service) => drop(lock(&self.seen).remove(&key(service))),
        }
    }

    /// What is read of `service`. One that is known keeps the text of its key, which others share.
    fn read(&self, service: &Service) -> Arc<SeenService> {
        let mut seen = SeenService::of(service);
        let known = lock(&self.seen).get(&seen.key).map(|known| known.key.clone());
        seen.key = known.unwrap_or(seen.key);
        Arc::new(seen)
    }
}

/// A map is whole whoever panicked with it in hand: each change of it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, version: &str) -> Service {
        let json = serde_json::json!({
            "metadata": { "namespace": "default", "name": name, "resourceVersion": version }
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_new_list_takes_the_place_of_the_copy_when_it_is_complete() {
        let (tell, has_seen_all) = watch::channel(false);
        let services = Services { seen: Arc::default(), has_seen_all };
        let mut keeper = Keeper { seen: Arc::clone(&services.seen), listed: BTreeMap::new(), tell };
        let names = || -> Vec<String> {
            let text = |seen: &Arc<SeenService>| format!("{}@{}", seen.key.name, seen.resource_version);
            services.state().iter().map(text).collect()
        };
        keeper.apply(&Event::Init);
        keeper.apply(&Event::InitApply(service("web", "1")));
        assert!(names().is_empty() && !*services.has_seen_all.borrow(), "not before it is complete");
        keeper.apply(&Event::InitDone);
        assert_eq!((names(), *services.has_seen_all.borrow()), (vec!["web@1".to_owned()], true));
        keeper.apply(&Event::Apply(service("api", "2")));
        keeper.apply(&Event::Apply(service("web", "3")));
        assert_eq!(names(), ["api@2", "web@3"]);
        keeper.apply(&Event::Delete(service("api", "4")));
        assert_eq!(names(), ["web@3"]);
        keeper.apply(&Event::Init);
        keeper.apply(&Event::InitApply(service("lost", "5")));
        keeper.apply(&Event::Init);
        keeper.apply(&Event::InitApply(service("api", "6")));
        assert_eq!(names(), ["web@3"], "the old copy serves while there is no other");
        keeper.apply(&Event::InitDone);
        assert_eq!(names(), ["api@6"], "a list that was broken off counts for nothing");
    }
}
