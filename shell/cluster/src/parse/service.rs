//! Service objects, for the controller and for the speakers.

use std::net::IpAddr;

use ferrolb_api::annotations::Annotation;
use ferrolb_ipam::{
    BackendKey, Families, FamilyPolicy, Port, Protocol, ServiceRequest, SharingKey, Terms, Wanted,
};
use ferrolb_plan::{self as plan, ServingEndpoints, TrafficPolicy};
use ferrolb_vocab::ServiceKey;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::ResourceExt;

/// Whose business a Service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours to give an address and to announce.
    Ours,
    /// Of type `LoadBalancer`, but its class names another implementation: not to be touched.
    ForeignClass(String),
    /// Not of type `LoadBalancer`.
    NotLoadBalanced,
}

/// Whose business `service` is, when we handle `lb_class`
/// (docs/reference/metallb-contract.md, "loadBalancerClass").
#[must_use]
pub fn ownership(service: &Service, lb_class: Option<&str>) -> Ownership {
    let spec = service.spec.as_ref();
    if spec.and_then(|spec| spec.type_.as_deref()) != Some("LoadBalancer") {
        return Ownership::NotLoadBalanced;
    }
    let class = spec.and_then(|spec| spec.load_balancer_class.as_deref());
    if class == lb_class {
        Ownership::Ours
    } else {
        Ownership::ForeignClass(class.unwrap_or("<none>").into())
    }
}

/// The Service's key.
#[must_use]
pub fn key(service: &Service) -> ServiceKey {
    ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any())
}

/// What the Service asks the allocator for.
#[must_use]
pub fn request(service: &Service) -> ServiceRequest {
    let spec = service.spec.clone().unwrap_or_default();
    let cluster_ips =
        spec.cluster_ips.clone().unwrap_or_else(|| spec.cluster_ip.clone().into_iter().collect());
    let cluster_ips: Vec<IpAddr> = cluster_ips.iter().filter_map(|address| address.parse().ok()).collect();
    let backend = match traffic_policy(service) {
        TrafficPolicy::Local => BackendKey::local(&spec.selector.clone().unwrap_or_default()),
        TrafficPolicy::Cluster => BackendKey::default(),
    };
    ServiceRequest {
        labels: service.labels().clone(),
        families: Families::of(&cluster_ips),
        policy: match spec.ip_family_policy.as_deref() {
            Some("PreferDualStack") => FamilyPolicy::PreferDualStack,
            Some("RequireDualStack") => FamilyPolicy::RequireDualStack,
            _ => FamilyPolicy::SingleStack,
        },
        wanted: wanted(service),
        terms: Terms {
            sharing: value(service, Annotation::AllowSharedIp).and_then(SharingKey::new),
            backend,
            ports: spec.ports.iter().flatten().filter_map(port).collect(),
        },
        recorded: ingress_addresses(service),
        created: service
            .creation_timestamp()
            .and_then(|created| u64::try_from(created.0.as_second()).ok())
            .unwrap_or(0),
    }
}

fn wanted(service: &Service) -> Wanted {
    let pool = value(service, Annotation::AddressPool).filter(|pool| !pool.is_empty()).map(Into::into);
    let listed = value(service, Annotation::LoadBalancerIps).filter(|listed| !listed.is_empty());
    let single = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.as_deref());
    let text = match (listed, single.filter(|single| !single.is_empty())) {
        (None, None) => return pool.map_or(Wanted::Any, Wanted::Pool),
        (Some(_), Some(_)) => {
            let why = "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP; remove one";
            return Wanted::Unreadable { why: why.into() };
        }
        (Some(text), None) | (None, Some(text)) => text,
    };
    let parse = |text: &str| text.trim().parse().map_err(|_no_detail| text.trim().to_owned());
    match text.split(',').map(parse).collect() {
        Ok(addresses) => Wanted::Addresses { addresses, pool },
        Err(bad) => Wanted::Unreadable { why: format!("{bad:?} is not an IP address") },
    }
}

fn value(service: &Service, annotation: Annotation) -> Option<&str> {
    annotation.find(service.annotations()).map(|found| found.value)
}

fn port(port: &ServicePort) -> Option<Port> {
    let protocol = match port.protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(_) => return None,
    };
    Some(Port { protocol, port: u16::try_from(port.port).ok()? })
}

/// The addresses in `status.loadBalancer`, in order; entries with a hostname only are another's.
#[must_use]
pub fn ingress_addresses(service: &Service) -> Vec<IpAddr> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect()
}

/// The Service as the plan sees it, with the endpoints that can serve it.
#[must_use]
pub fn planned(service: &Service, endpoints: ServingEndpoints) -> plan::Service {
    plan::Service {
        labels: service.labels().clone(),
        addresses: ingress_addresses(service),
        traffic_policy: traffic_policy(service),
        shares_address: value(service, Annotation::AllowSharedIp).is_some(),
        endpoints,
    }
}

fn traffic_policy(service: &Service) -> TrafficPolicy {
    match service.spec.as_ref().and_then(|spec| spec.external_traffic_policy.as_deref()) {
        Some("Local") => TrafficPolicy::Local,
        _ => TrafficPolicy::Cluster,
    }
}

#[cfg(test)]
mod tests;
