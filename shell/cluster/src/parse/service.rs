//! Service objects, for the controller and for the speakers.

use std::net::IpAddr;

use ferrolb_api::annotations::{ADDRESS_CLAIM, ALLOCATED_ADDRESSES, Annotation};
use ferrolb_api::conditions::ADDRESS_ALLOCATED;
use ferrolb_ipam::{
    BackendKey, Families, FamilyPolicy, PoolSet, Port, Protocol, ServiceRequest, SharingKey, Terms, Wanted,
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

/// What the Service asks the allocator for. `pools` tell which of the addresses it has may be ours.
#[must_use]
pub fn request(service: &Service, pools: &PoolSet) -> ServiceRequest {
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
        recorded: allocated_addresses(service, pools),
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
    let single = single.filter(|single| !single.is_empty());
    let claims = claims(service);
    if !claims.is_empty() {
        return match (&pool, listed, single) {
            (None, None, None) => Wanted::Claims(claims),
            (Some(_), ..) | (_, Some(_), _) | (.., Some(_)) => Wanted::Unreadable {
                why: "ferrolb.io/address-claim names claims, and metallb.io/loadBalancerIPs, \
                      metallb.io/address-pool or spec.loadBalancerIP asks for addresses too; ask by claim or by \
                      address, not both"
                    .into(),
            },
        };
    }
    let text = match (listed, single) {
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

/// The claims that the Service names, each once.
fn claims(service: &Service) -> Vec<String> {
    let listed = service.annotations().get(ADDRESS_CLAIM).map(String::as_str).unwrap_or_default();
    let mut claims: Vec<String> = Vec::new();
    for name in listed.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !claims.iter().any(|claim| claim == name) {
            claims.push(name.into());
        }
    }
    claims
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

/// The addresses in `status.loadBalancer` that are ours, in order (D6 in
/// docs/reference/metallb-contract.md): those that FerroLB recorded. Without a record, all that
/// `MetalLB` gave, or else those that lie in a pool. Every other entry is another's.
#[must_use]
pub fn allocated_addresses(service: &Service, pools: &PoolSet) -> Vec<IpAddr> {
    let mut addresses = ingress_addresses(service);
    let recorded = recorded_addresses(service);
    if !recorded.is_empty() {
        return recorded;
    }
    if is_metallbs(service) {
        return addresses;
    }
    let frozen = |address| pools.frozen().flat_map(|pool| &pool.ranges).any(|range| range.contains(address));
    addresses.retain(|address| pools.containing(*address).is_some() || frozen(*address));
    addresses
}

/// Whether the Service carries something that we, or `MetalLB` before us, wrote for its addresses.
#[must_use]
pub fn is_marked(service: &Service) -> bool {
    is_judged(service)
        || service.annotations().contains_key(ALLOCATED_ADDRESSES)
        || Annotation::IpAllocatedFromPool.find(service.annotations()).is_some()
}

/// Whether `MetalLB` gave the Service its addresses, and FerroLB has not taken them over yet.
#[must_use]
pub fn is_metallbs(service: &Service) -> bool {
    !is_judged(service) && Annotation::IpAllocatedFromPool.find(service.annotations()).is_some()
}

/// Whether FerroLB has said something about the Service's addresses before.
#[must_use]
pub fn is_judged(service: &Service) -> bool {
    let conditions = service.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == ADDRESS_ALLOCATED)
}

/// The addresses in the status that the record names. An annotation alone is no record: whoever
/// copies a Service copies its annotations too, but not its conditions.
fn recorded_addresses(service: &Service) -> Vec<IpAddr> {
    let record = service.annotations().get(ALLOCATED_ADDRESSES).filter(|_| is_judged(service));
    let record: Vec<IpAddr> =
        record.into_iter().flat_map(|list| list.split(',')).filter_map(|one| one.parse().ok()).collect();
    let mut addresses = ingress_addresses(service);
    addresses.retain(|address| record.contains(address));
    addresses
}

/// The addresses in `status.loadBalancer`, in order, whoever gave them.
#[must_use]
pub fn ingress_addresses(service: &Service) -> Vec<IpAddr> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect()
}

/// The Service as the plan sees it, with the endpoints that can serve it. Of its addresses those
/// that FerroLB recorded count; without a record all do, whoever gave them.
#[must_use]
pub fn planned(service: &Service, endpoints: ServingEndpoints) -> plan::Service {
    let recorded = recorded_addresses(service);
    plan::Service {
        labels: service.labels().clone(),
        addresses: if recorded.is_empty() { ingress_addresses(service) } else { recorded },
        traffic_policy: traffic_policy(service),
        shares_address: value(service, Annotation::AllowSharedIp).and_then(SharingKey::new).is_some(),
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
