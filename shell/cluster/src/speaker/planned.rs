//! Services as the plan sees them, of which those are read anew that have changed.

use std::cell::LazyCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;

use ferrolb_plan as plan;
use ferrolb_vocab::ServiceKey;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::parse::endpoints::{service_of, serving_endpoints};
use crate::parse::service::SeenService;

/// The Services of the last pass, and what they were read from. There are thousands, and a pass comes with
/// each change of one.
#[derive(Debug, Default)]
pub(super) struct PlannedServices {
    /// In the order of their keys.
    services: Vec<Planned>,
    slices: Vec<Arc<EndpointSlice>>,
}

#[derive(Debug)]
struct Planned {
    seen: Arc<SeenService>,
    slices: Vec<Arc<EndpointSlice>>,
    service: Arc<plan::Service>,
}

impl PlannedServices {
    /// What `services`, in the order of their keys, are to the plan. Their endpoints are among `slices`.
    pub(super) fn update(
        &mut self,
        services: &[Arc<SeenService>],
        slices: Vec<Arc<EndpointSlice>>,
    ) -> BTreeMap<ServiceKey, Arc<plan::Service>> {
        let has_new_slices = !is_same(&self.slices, &slices);
        self.slices = slices;
        let slices_of = LazyCell::new(|| by_service(&self.slices));
        let slices_of = |ServiceKey { namespace, name }: &ServiceKey| {
            slices_of.get(&(&**namespace, &**name)).cloned().unwrap_or_default()
        };
        let mut before = mem::take(&mut self.services).into_iter().peekable();
        let planned = services.iter().map(|seen| {
            while before.next_if(|one| one.order(seen) == Ordering::Less).is_some() {}
            let known = before.next_if(|one| one.order(seen) == Ordering::Equal);
            let is_known = |one: &Planned| {
                let has_same_slices = || !has_new_slices || is_same(&one.slices, &slices_of(&seen.key));
                Arc::ptr_eq(&one.seen, seen) && has_same_slices()
            };
            known.filter(is_known).unwrap_or_else(|| Planned::new(seen, slices_of(&seen.key)))
        });
        self.services = planned.collect();
        self.services.iter().map(|one| (one.seen.key.clone(), Arc::clone(&one.service))).collect()
    }
}

impl Planned {
    fn new(seen: &Arc<SeenService>, slices: Vec<Arc<EndpointSlice>>) -> Self {
        let endpoints = serving_endpoints(&slices).remove(&seen.key).unwrap_or_default();
        Self { seen: Arc::clone(seen), slices, service: Arc::new(seen.planned(endpoints)) }
    }

    /// Whether its Service comes before that one. Mostly it is the same, and no text is to be compared.
    fn order(&self, seen: &Arc<SeenService>) -> Ordering {
        if Arc::ptr_eq(&self.seen, seen) { Ordering::Equal } else { self.seen.key.cmp(&seen.key) }
    }
}

/// Whether all are the same copies, in the same order.
fn is_same(some: &[Arc<EndpointSlice>], others: &[Arc<EndpointSlice>]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| Arc::ptr_eq(one, other))
}

fn by_service(slices: &[Arc<EndpointSlice>]) -> HashMap<(&str, &str), Vec<Arc<EndpointSlice>>> {
    let mut by_service: HashMap<_, Vec<_>> = HashMap::with_capacity(slices.len());
    for slice in slices {
        if let Some(service) = service_of(slice) {
            by_service.entry(service).or_default().push(Arc::clone(slice));
        }
    }
    by_service
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str, address: &str) -> Arc<SeenService> {
        let status = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        let metadata = json!({"namespace": "default", "name": name});
        let object = json!({"metadata": metadata, "spec": {"type": "LoadBalancer"}, "status": status});
        Arc::new(SeenService::of(&serde_json::from_value(object).unwrap()))
    }

    fn slice(name: &str, service: &str, node: &str) -> Arc<EndpointSlice> {
        let labels = json!({"kubernetes.io/service-name": service});
        let metadata = json!({"namespace": "default", "name": name, "labels": labels});
        let endpoints = json!([{"addresses": ["10.233.64.2"], "nodeName": node}]);
        let object = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints});
        Arc::new(serde_json::from_value(object).unwrap())
    }

    /// Its address, and where it has endpoints.
    fn shown(services: &BTreeMap<ServiceKey, Arc<plan::Service>>, name: &str) -> String {
        services.get(&ServiceKey::new("default", name)).map_or_else(String::new, |service| {
            let nodes: Vec<_> = service.endpoints.nodes.keys().map(ToString::to_string).collect();
            format!("{} {}", service.addresses[0], nodes.join(" "))
        })
    }

    #[test]
    fn what_has_changed_is_read_anew_and_nothing_else() {
        let mut planned = PlannedServices::default();
        let (web, shop) = (service("web", "10.0.0.1"), service("shop", "10.0.0.2"));
        let slices =
            [slice("a", "web", "worker1"), slice("b", "shop", "worker1"), slice("c", "web", "worker2")];
        let first = planned.update(&[Arc::clone(&shop), Arc::clone(&web)], slices.to_vec());
        assert_eq!(
            [shown(&first, "web"), shown(&first, "shop")],
            ["10.0.0.1 worker1 worker2", "10.0.0.2 worker1"]
        );
        // Nobody else could know it.
        let mark = |planned: &mut PlannedServices| {
            planned.services.iter_mut().for_each(|one| Arc::make_mut(&mut one.service).shares_address = true);
        };
        let is_read = |services: &BTreeMap<ServiceKey, Arc<plan::Service>>, name| {
            !services[&ServiceKey::new("default", name)].shares_address
        };
        mark(&mut planned);
        let again = planned.update(&[Arc::clone(&shop), Arc::clone(&web)], slices.to_vec());
        assert!(!is_read(&again, "web") && !is_read(&again, "shop"));

        mark(&mut planned);
        let moved = planned.update(&[Arc::clone(&shop), service("web", "10.0.0.3")], slices.to_vec());
        assert_eq!(shown(&moved, "web"), "10.0.0.3 worker1 worker2");
        assert!(is_read(&moved, "web") && !is_read(&moved, "shop"));

        mark(&mut planned);
        let [a, _, c] = slices;
        let scaled = planned.update(&[shop, web], vec![a, slice("b", "shop", "worker2"), c]);
        assert_eq!(shown(&scaled, "shop"), "10.0.0.2 worker2");
        assert!(is_read(&scaled, "shop"));

        let gone = planned.update(&[], Vec::new());
        assert!(gone.is_empty() && planned.services.is_empty());
    }
}
