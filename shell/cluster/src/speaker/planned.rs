//! Services as the plan sees them, of which those are read anew that have changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ferrolb_plan as plan;
use ferrolb_vocab::ServiceKey;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::parse::endpoints::{service_of, serving_endpoints};
use crate::parse::service::SeenService;

/// The Services of the last pass, and what they were read from.
#[derive(Debug, Default)]
pub(super) struct PlannedServices(BTreeMap<ServiceKey, Planned>);

#[derive(Debug)]
struct Planned {
    seen: Arc<SeenService>,
    slices: Vec<Arc<EndpointSlice>>,
    service: plan::Service,
}

impl PlannedServices {
    /// The Services, whose endpoints are among `slices`. A pass comes with each change of one of thousands.
    pub(super) fn update(
        &mut self,
        services: &[Arc<SeenService>],
        slices: &[Arc<EndpointSlice>],
    ) -> BTreeMap<ServiceKey, plan::Service> {
        let mut slices_of: HashMap<_, Vec<_>> = HashMap::with_capacity(slices.len());
        for slice in slices {
            slices_of.entry(service_of(slice)).or_default().push(slice);
        }
        let planned = services.iter().map(|seen| {
            let ServiceKey { namespace, name } = &seen.key;
            let slices = slices_of.remove(&Some((&**namespace, &**name))).unwrap_or_default();
            let before = self.0.remove(&seen.key).filter(|before| before.is_of(seen, &slices));
            (seen.key.clone(), before.unwrap_or_else(|| Planned::new(seen, &slices)))
        });
        self.0 = planned.collect();
        self.0.iter().map(|(key, planned)| (key.clone(), planned.service.clone())).collect()
    }
}

impl Planned {
    fn new(seen: &Arc<SeenService>, slices: &[&Arc<EndpointSlice>]) -> Self {
        let slices: Vec<_> = slices.iter().copied().map(Arc::clone).collect();
        let endpoints = serving_endpoints(&slices).remove(&seen.key).unwrap_or_default();
        Self { seen: Arc::clone(seen), slices, service: seen.planned(endpoints) }
    }

    /// Whether it was read from the same. Slices in another order are read again.
    fn is_of(&self, seen: &Arc<SeenService>, slices: &[&Arc<EndpointSlice>]) -> bool {
        let same = |(one, other): (&Arc<EndpointSlice>, &&Arc<EndpointSlice>)| Arc::ptr_eq(one, other);
        Arc::ptr_eq(&self.seen, seen)
            && self.slices.len() == slices.len()
            && self.slices.iter().zip(slices).all(same)
    }
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
    fn shown(services: &BTreeMap<ServiceKey, plan::Service>, name: &str) -> String {
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
        let first = planned.update(&[Arc::clone(&shop), Arc::clone(&web)], &slices);
        assert_eq!(
            [shown(&first, "web"), shown(&first, "shop")],
            ["10.0.0.1 worker1 worker2", "10.0.0.2 worker1"]
        );
        // Nobody else could know it.
        let mark = |planned: &mut PlannedServices| {
            planned.0.values_mut().for_each(|one| one.service.shares_address = true);
        };
        let is_read = |services: &BTreeMap<ServiceKey, plan::Service>, name| {
            !services[&ServiceKey::new("default", name)].shares_address
        };
        mark(&mut planned);
        let again = planned.update(&[Arc::clone(&shop), Arc::clone(&web)], &slices);
        assert!(!is_read(&again, "web") && !is_read(&again, "shop"));

        mark(&mut planned);
        let moved = planned.update(&[Arc::clone(&shop), service("web", "10.0.0.3")], &slices);
        assert_eq!(shown(&moved, "web"), "10.0.0.3 worker1 worker2");
        assert!(is_read(&moved, "web") && !is_read(&moved, "shop"));

        mark(&mut planned);
        let [a, _, c] = slices;
        let scaled = planned.update(&[shop, web], &[a, slice("b", "shop", "worker2"), c]);
        assert_eq!(shown(&scaled, "shop"), "10.0.0.2 worker2");
        assert!(is_read(&scaled, "shop"));

        let gone = planned.update(&[], &[]);
        assert!(gone.is_empty() && planned.0.is_empty());
    }
}
