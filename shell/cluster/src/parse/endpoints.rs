//! EndpointSlices: who can serve a Service.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_plan::ServingEndpoints;
use ferrolb_vocab::{NodeName, ServiceKey};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::ResourceExt;

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Collects the endpoints that can serve, per Service.
#[must_use]
pub fn serving_endpoints(slices: &[Arc<EndpointSlice>]) -> BTreeMap<ServiceKey, ServingEndpoints> {
    let mut services: BTreeMap<ServiceKey, ServingEndpoints> = BTreeMap::new();
    for slice in slices {
        let Some((namespace, name)) = service_of(slice) else { continue };
        let serving = services.entry(ServiceKey::new(namespace, name)).or_default();
        for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| can_serve(endpoint)) {
            serving.any = true;
            if let Some(node) = &endpoint.node_name {
                *serving.nodes.entry(NodeName::from(node)).or_default() += u32::from(is_ready(endpoint));
            }
        }
    }
    services
}

/// The namespace and name of the Service whose endpoints are in a slice, if they are one's.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<(&str, &str)> {
    let name = slice.labels().get(SERVICE_NAME)?;
    Some((slice.metadata.namespace.as_deref().unwrap_or_default(), name))
}

/// Ready (or not said to be unready), or terminating and still serving
/// (docs/reference/metallb-contract.md, "Election").
fn can_serve(endpoint: &Endpoint) -> bool {
    let serves = endpoint.conditions.as_ref().and_then(|conditions| conditions.serving);
    !endpoint.addresses.is_empty() && (is_ready(endpoint) || serves.unwrap_or(false))
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::discovery::v1::EndpointConditions;
    use kube::api::ObjectMeta;

    fn endpoint(ready: Option<bool>, serving: Option<bool>, node: &str) -> Endpoint {
        Endpoint {
            addresses: vec!["10.233.64.2".into()],
            conditions: Some(EndpointConditions { ready, serving, terminating: None }),
            node_name: Some(node.into()),
            ..Endpoint::default()
        }
    }

    fn slice(name: &str, endpoints: Vec<Endpoint>) -> Arc<EndpointSlice> {
        Arc::new(EndpointSlice {
            metadata: ObjectMeta {
                namespace: Some("default".into()),
                name: Some(name.into()),
                labels: Some([(SERVICE_NAME.into(), "web".into())].into()),
                ..ObjectMeta::default()
            },
            endpoints: Some(endpoints),
            ..EndpointSlice::default()
        })
    }

    #[test]
    fn ready_unknown_and_serving_endpoints_count_and_others_do_not() {
        let cases = [
            (Some(true), None, true),
            (None, None, true),
            (Some(false), Some(true), true),
            (Some(false), Some(false), false),
            (Some(false), None, false),
        ];
        for (ready, serving, counts) in cases {
            let services = serving_endpoints(&[slice("a", vec![endpoint(ready, serving, "worker1")])]);
            let found = &services[&ServiceKey::new("default", "web")];
            assert_eq!(found.any, counts, "ready {ready:?}, serving {serving:?}");
            assert_eq!(found.nodes.contains_key(&NodeName::from("worker1")), counts);
        }
    }

    #[test]
    fn slices_of_one_service_add_up() {
        let first = slice("a", vec![endpoint(Some(true), None, "worker1")]);
        let second = slice("b", vec![endpoint(Some(true), None, "worker2")]);
        let services = serving_endpoints(&[first, second]);
        assert_eq!(services[&ServiceKey::new("default", "web")].nodes.len(), 2);
    }

    #[test]
    fn of_the_endpoints_of_a_node_those_that_are_ready_are_counted() {
        let of = |ready, serving| endpoint(Some(ready), Some(serving), "worker1");
        let first = slice("a", vec![of(true, true), of(false, true), of(false, false)]);
        let second = slice("b", vec![of(true, true), endpoint(Some(false), Some(true), "worker2")]);
        let services = serving_endpoints(&[first, second]);
        let nodes = &services[&ServiceKey::new("default", "web")].nodes;
        assert_eq!(*nodes, [("worker1".into(), 2), ("worker2".into(), 0)].into());
    }

    #[test]
    fn an_endpoint_without_address_serves_nobody() {
        let empty = Endpoint { addresses: Vec::new(), ..endpoint(Some(true), None, "worker1") };
        assert!(!serving_endpoints(&[slice("a", vec![empty])])[&ServiceKey::new("default", "web")].any);
    }
}
