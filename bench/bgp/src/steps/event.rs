//! The whole load balancer in a lab: from the API server's event until the last node's UPDATE is in the
//! receiver's table.
//!
//! It runs on the lab's router. Its watch is one like the speakers', on the same network, and a change
//! begins when that has its event: what the write, and the controller before it, took is not measured.

use std::fmt::Debug;
use std::path::Path;
use std::pin::pin;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ferrolb_api::{BgpAdvertisement, BgpPeer, ServiceBgpStatus};
use ferrolb_vocab::Community;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{SETTLING_TIME, Sample, milliseconds};
use crate::receiver::{Arrival, Receiver};
use crate::{CONTENDER_ASN, Kind, RECEIVER_ASN};

/// Of the lab, as `lab/lab.yaml` has them.
const NODES: usize = 3;
const ROUTER: &str = "192.168.100.1";
const API_SERVER: &str = "https://192.168.100.200:6443";

/// The Services that have an address all the time.
const ROUTES: u16 = 1_000;
/// One more, which has an address now and then, and its namespace.
const SERVICE: (&str, &str) = ("event", "default");
/// The only BGPAdvertisement, the BGPPeer for the receiver, and their namespace.
const ADVERTISEMENT: &str = "bench";
const PEER: &str = "bench";
const METALLB: &str = "metallb-system";

/// Nobody writes statuses any more if none has come in this time.
const CALM_TIME: Duration = Duration::from_secs(5);
const CALM_ATTEMPTS: usize = 30;

/// How long an event is waited for, in seconds.
const EVENT_DEADLINE: u32 = 30;

/// Who makes changes and hears of them, and who hears the routes.
struct Scene {
    runtime: Runtime,
    services: Api<Service>,
    advertisements: Api<BgpAdvertisement>,
    receiver: Receiver,
}

pub(super) fn measure(contender: Kind, runs: usize, kubeconfig: &Path) -> Result<Vec<Sample>> {
    let scene = Scene::new(kubeconfig)?;
    let sample = |measure| Sample::new(measure, contender, Vec::new());
    let [mut added, mut withdrawn] = ["event: 1 Service", "event: 1 Service withdrawn"].map(sample);
    let [mut all, mut first] = ["event: 1,000 routes", "event: 1,000 routes: first node"].map(sample);
    for number in 1..=runs {
        added.figures.push(scene.added()?.last);
        withdrawn.figures.push(scene.withdrawn()?.last);
        let told = scene.marked(number)?;
        all.figures.push(told.last);
        first.figures.push(told.first);
    }
    Ok(vec![added, withdrawn, all, first])
}

/// In milliseconds from the event: when the first node was done, and when the last.
struct Done {
    first: f64,
    last: f64,
}

impl Scene {
    /// Has the load balancer's speakers peer with a new receiver, and waits for all routes.
    fn new(kubeconfig: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("start a runtime")?;
        let client = runtime.block_on(client(kubeconfig))?;
        let receiver = Receiver::here();
        runtime.block_on(create_peer(&client))?;
        receiver.wait(NODES, ROUTES)?;
        runtime.block_on(calm(&client))?;
        let services = Api::namespaced(client.clone(), SERVICE.1);
        let advertisements = Api::namespaced(client, METALLB);
        Ok(Self { runtime, services, advertisements, receiver })
    }

    /// The Service gets an address.
    fn added(&self) -> Result<Done> {
        let change = json!({ "spec": { "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false } });
        let event = self.change(&self.services, SERVICE.0, &change, has_address)?;
        Ok(Done::since(event, &self.receiver.wait(NODES, ROUTES + 1)?))
    }

    /// The Service is no load balancer any more.
    fn withdrawn(&self) -> Result<Done> {
        let change = json!({ "spec": { "type": "ClusterIP", "allocateLoadBalancerNodePorts": null } });
        let event = self.change(&self.services, SERVICE.0, &change, |service| !has_address(service))?;
        Ok(Done::since(event, &self.receiver.wait(NODES, ROUTES)?))
    }

    /// All routes get another community, a new one for each number.
    fn marked(&self, number: usize) -> Result<Done> {
        let written = format!("{CONTENDER_ASN}:{number}");
        let community: Community = written.parse().with_context(|| format!("{written} is no community"))?;
        let wanted = [written];
        let change = json!({ "spec": { "communities": &wanted } });
        let has_it = |advertisement: &BgpAdvertisement| advertisement.spec.communities == wanted;
        let event = self.change(&self.advertisements, ADVERTISEMENT, &change, has_it)?;
        Ok(Done::since(event, &self.receiver.wait_marked(NODES, ROUTES, community)?))
    }

    /// Changes an object when all is quiet; returns when the event was read that `is_cause`.
    fn change<K>(
        &self,
        api: &Api<K>,
        name: &str,
        change: &Value,
        is_cause: impl Fn(&K) -> bool,
    ) -> Result<Instant>
    where
        K: Clone + Debug + DeserializeOwned + ResourceExt,
    {
        sleep(SETTLING_TIME);
        self.receiver.forget_times();
        let event = self.runtime.block_on(changed(api, name, change, is_cause));
        event.with_context(|| format!("change {name}"))
    }
}

impl Done {
    fn since(event: Instant, arrivals: &[Arrival]) -> Self {
        let times = arrivals.iter().filter_map(|arrival| arrival.last);
        // Less than nothing if we heard of it too late: whoever reads the figures is to see that.
        let times = times.map(|last| match last.checked_duration_since(event) {
            Some(after) => milliseconds(after),
            None => -milliseconds(event.saturating_duration_since(last)),
        });
        let none = (f64::INFINITY, f64::NEG_INFINITY);
        let (first, last) = times.fold(none, |(first, last), time| (first.min(time), last.max(time)));
        Self { first, last }
    }
}

fn has_address(service: &Service) -> bool {
    let is_load_balancer =
        service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref());
    is_load_balancer && ingress.is_some_and(|ingress| !ingress.is_empty())
}

/// Changes an object, and returns when the event was read that `is_cause`.
async fn changed<K>(
    api: &Api<K>,
    name: &str,
    change: &Value,
    is_cause: impl Fn(&K) -> bool,
) -> Result<Instant>
where
    K: Clone + Debug + DeserializeOwned + ResourceExt,
{
    let version = api.get(name).await?.resource_version().context("the object has no version")?;
    let only = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(EVENT_DEADLINE);
    let mut events = pin!(api.watch(&only, &version).await?);
    let heard = async {
        while let Some(event) = events.try_next().await? {
            let now = Instant::now();
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) if is_cause(&object) => {
                    return Ok(now);
                }
                WatchEvent::Error(status) => bail!("the watch has failed: {status:?}"),
                WatchEvent::Added(_)
                | WatchEvent::Modified(_)
                | WatchEvent::Deleted(_)
                | WatchEvent::Bookmark(_) => {}
            }
        }
        bail!("no event says so within {EVENT_DEADLINE} s")
    };
    let (keep, merge) = (PatchParams::default(), Patch::Merge(change));
    let written = async { api.patch(name, &keep, &merge).await.context("write") };
    let (_object, event) = tokio::try_join!(written, heard)?;
    Ok(event)
}

/// A client that needs no way from the machine into the lab: this is in it.
async fn client(kubeconfig: &Path) -> Result<Client> {
    let shown = kubeconfig.display();
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {shown}"))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("use {shown}"))?;
    config.cluster_url = API_SERVER.parse().context("the API server's URL")?;
    Client::try_from(config).with_context(|| format!("make a client from {shown}"))
}

/// Waits until all has been written that there is to say of so many Services, which takes processors too.
async fn calm(client: &Client) -> Result<()> {
    let statuses: Api<ServiceBgpStatus> = Api::all(client.clone());
    let mut before = None;
    for _attempt in 0..CALM_ATTEMPTS {
        let count = match statuses.list_metadata(&ListParams::default()).await {
            Ok(list) => list.items.len(),
            // Not everybody has them.
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) => return Err(error).context("list ServiceBGPStatuses"),
        };
        if before == Some(count) {
            return Ok(());
        }
        before = Some(count);
        tokio::time::sleep(CALM_TIME).await;
    }
    bail!("ServiceBGPStatuses are still written: {before:?} so far")
}

/// Not before the receiver listens: who was refused for long tries again only after long.
async fn create_peer(client: &Client) -> Result<()> {
    let peer = json!({
        "apiVersion": "metallb.io/v1beta2",
        "kind": "BGPPeer",
        "metadata": { "name": PEER },
        "spec": { "myASN": CONTENDER_ASN, "peerASN": RECEIVER_ASN, "peerAddress": ROUTER },
    });
    let peers: Api<BgpPeer> = Api::namespaced(client.clone(), METALLB);
    let created = peers.patch(PEER, &PatchParams::apply("bench"), &Patch::Apply(&peer)).await;
    created.map(drop).context("create the BGPPeer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_done_when_the_last_node_is() {
        let event = Instant::now();
        let arrival =
            |after| Arrival { last: Some(event + Duration::from_millis(after)), ..Arrival::default() };
        let done = Done::since(event, &[arrival(4), arrival(9), arrival(7)]);
        assert_eq!((done.first, done.last), (4.0, 9.0));
        let late = Done::since(event + Duration::from_millis(5), &[arrival(4), arrival(9)]);
        assert_eq!((late.first, late.last), (-1.0, 4.0));
    }

    #[test]
    fn a_service_has_an_address_only_as_a_load_balancer() {
        let service = |kind: &str, ingress: Value| -> Service {
            let status = json!({ "loadBalancer": { "ingress": ingress } });
            serde_json::from_value(json!({ "spec": { "type": kind }, "status": status })).unwrap()
        };
        let address = json!([{ "ip": "198.18.0.1" }]);
        assert!(has_address(&service("LoadBalancer", address.clone())));
        assert!(!has_address(&service("LoadBalancer", json!([]))));
        assert!(!has_address(&service("ClusterIP", address)));
    }
}
