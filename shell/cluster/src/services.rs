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

/// Services of one page of a list: whole objects are in memory while a page is read, at 6 KiB each.
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
        let mut copy = Copy { seen: Arc::clone(&services.seen), listed: BTreeMap::new(), tell };
        let config = watcher::Config::default().page_size(PAGE_SIZE);
        watches.follow_events(Api::all(client.clone()), config, move |event| copy.apply(event));
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
        // An error would be the end of the process.
        let complete = async { drop(has_seen_all.wait_for(|complete| *complete).await) };
        said_when_late::<Service>(complete).await;
    }
}

/// What keeps the copy.
struct Copy {
    seen: Arc<Mutex<BTreeMap<ServiceKey, Arc<SeenService>>>>,
    /// What a new list has brought so far. It takes the copy's place when it is complete.
    listed: BTreeMap<ServiceKey, Arc<SeenService>>,
    tell: watch::Sender<bool>,
}

impl Copy {
    fn apply(&mut self, event: &Event<Service>) {
        let read = |service| {
            let seen = SeenService::of(service);
            (seen.key.clone(), Arc::new(seen))
        };
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(service) => self.listed.extend([read(service)]),
            Event::InitDone => {
                *lock(&self.seen) = mem::take(&mut self.listed);
                self.tell.send_replace(true);
            }
            Event::Apply(service) => lock(&self.seen).extend([read(service)]),
            Event::Delete(service) => drop(lock(&self.seen).remove(&key(service))),
        }
    }
}

/// A map is whole whoever panicked with it in hand: each change is one call.
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
        let mut copy = Copy { seen: Arc::clone(&services.seen), listed: BTreeMap::new(), tell };
        let names = || -> Vec<String> {
            let text = |seen: &Arc<SeenService>| format!("{}@{}", seen.key.name, seen.resource_version);
            services.state().iter().map(text).collect()
        };
        copy.apply(&Event::Init);
        copy.apply(&Event::InitApply(service("web", "1")));
        assert!(names().is_empty() && !*services.has_seen_all.borrow(), "not before it is complete");
        copy.apply(&Event::InitDone);
        assert_eq!((names(), *services.has_seen_all.borrow()), (vec!["web@1".to_owned()], true));
        copy.apply(&Event::Apply(service("api", "2")));
        copy.apply(&Event::Apply(service("web", "3")));
        assert_eq!(names(), ["api@2", "web@3"]);
        copy.apply(&Event::Delete(service("api", "4")));
        assert_eq!(names(), ["web@3"]);
        copy.apply(&Event::Init);
        copy.apply(&Event::InitApply(service("lost", "5")));
        copy.apply(&Event::Init);
        copy.apply(&Event::InitApply(service("api", "6")));
        assert_eq!(names(), ["web@3"], "the old copy serves while there is no other");
        copy.apply(&Event::InitDone);
        assert_eq!(names(), ["api@6"], "a list that was broken off counts for nothing");
    }
}
