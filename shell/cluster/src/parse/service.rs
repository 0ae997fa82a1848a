//! Service objects, for the controller and for the speakers.

mod wish;

use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_api::annotations::{ALLOCATED_ADDRESSES, Annotation};
use ferrolb_api::conditions::ADDRESS_ALLOCATED;
use ferrolb_ipam::{
    BackendKey, Families, FamilyPolicy, PoolSet, Port, Protocol, ServiceRequest, SharingKey, Terms,
};
use ferrolb_plan::{self as plan, ServingEndpoints, TrafficPolicy};
use ferrolb_vocab::{Labels, ServiceKey};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, ObjectReference, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

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

/// What FerroLB reads of a Service, once. It is kept in place of the object, which would take two
/// to three times as much, and nothing is parsed again in a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenService {
    /// Its namespace and name.
    pub key: ServiceKey,
    /// The resourceVersion that was read.
    pub resource_version: Box<str>,
    /// Its cluster IPs.
    pub cluster_ips: Box<[IpAddr]>,
    /// The keys of its annotations with `MetalLB`'s former prefix, as far as they mean something.
    pub deprecated: Box<[&'static str]>,
    /// What was written to it.
    pub written: Written,
    uid: Box<str>,
    class: Class,
    traffic_policy: TrafficPolicy,
    /// With the addresses that are ours whatever pools there are.
    request: Arc<ServiceRequest>,
    /// Whether it is known which addresses are ours: FerroLB recorded them, or `MetalLB` gave them all.
    /// Otherwise those are that lie in a pool.
    is_recorded: bool,
}

/// What a Service's status and the controllers' annotations say.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The entries of `status.loadBalancer`, whoever wrote them.
    pub ingress: Box<[LoadBalancerIngress]>,
    /// All conditions.
    pub conditions: Box<[Condition]>,
    /// `ferrolb.io/allocated-addresses`.
    pub addresses: Option<Box<str>>,
    /// `metallb.io/ip-allocated-from-pool`.
    pub pool: Option<Box<str>>,
    /// Whether the same is there with the former prefix.
    pub has_former_pool: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Class {
    NotLoadBalanced,
    /// Of type `LoadBalancer`, with this class.
    LoadBalanced(Option<Box<str>>),
}

impl SeenService {
    /// Reads `service`.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let written = Written::of(service);
        let recorded = written.recorded();
        let traffic_policy = traffic_policy(service);
        let cluster_ips = cluster_ips(service);
        Self {
            key: key(service),
            resource_version: service.resource_version().unwrap_or_default().into(),
            deprecated: deprecated(service),
            uid: service.uid().unwrap_or_default().into(),
            class: class(service),
            traffic_policy,
            is_recorded: recorded.is_some(),
            request: Arc::new(request(service, (&cluster_ips, traffic_policy), recorded.unwrap_or_default())),
            cluster_ips,
            written,
        }
    }

    /// Whose business it is, when we handle `lb_class`
    /// (docs/reference/metallb-contract.md, "loadBalancerClass").
    #[must_use]
    pub fn ownership(&self, lb_class: Option<&str>) -> Ownership {
        match &self.class {
            Class::NotLoadBalanced => Ownership::NotLoadBalanced,
            Class::LoadBalanced(class) if class.as_deref() == lb_class => Ownership::Ours,
            Class::LoadBalanced(class) => {
                Ownership::ForeignClass(class.as_deref().unwrap_or("<none>").into())
            }
        }
    }

    /// What it asks the allocator for. `pools` tell which of the addresses it has may be ours.
    #[must_use]
    pub fn request(&self, pools: &PoolSet) -> Arc<ServiceRequest> {
        let recorded = self.unrecorded_addresses(pools);
        if recorded.is_empty() {
            return Arc::clone(&self.request);
        }
        Arc::new(ServiceRequest { recorded, ..ServiceRequest::clone(&self.request) })
    }

    /// The addresses in `status.loadBalancer` that are ours, in order (D6 in
    /// docs/reference/metallb-contract.md): those that FerroLB recorded. Without a record, all that
    /// `MetalLB` gave, or else those that lie in a pool. Every other entry is another's.
    #[must_use]
    pub fn allocated_addresses(&self, pools: &PoolSet) -> Vec<IpAddr> {
        if self.is_recorded { self.request.recorded.clone() } else { self.unrecorded_addresses(pools) }
    }

    /// The addresses that are ours without a record.
    fn unrecorded_addresses(&self, pools: &PoolSet) -> Vec<IpAddr> {
        let frozen =
            |address| pools.frozen().flat_map(|pool| &pool.ranges).any(|range| range.contains(address));
        let is_pools = |address: &IpAddr| pools.containing(*address).is_some() || frozen(*address);
        if self.is_recorded { Vec::new() } else { self.written.listed().filter(is_pools).collect() }
    }

    /// Whether it carries something that we, or `MetalLB` before us, wrote for its addresses.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        let Written { addresses, pool, has_former_pool, .. } = &self.written;
        self.is_judged() || addresses.is_some() || pool.is_some() || *has_former_pool
    }

    /// Whether `MetalLB` gave it its addresses, and FerroLB has not taken them over yet.
    #[must_use]
    pub fn is_metallbs(&self) -> bool {
        self.written.is_metallbs()
    }

    /// Whether FerroLB has said something about its addresses before.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.written.is_judged()
    }

    /// The Service as the plan sees it, with the endpoints that can serve it. Of its addresses those
    /// that FerroLB recorded count. Without a record, or where it names none of them, all do, whoever
    /// gave them: until the controller has judged the Service anew, what works goes on working.
    #[must_use]
    pub fn planned(&self, endpoints: ServingEndpoints) -> plan::Service {
        let recorded = &self.request.recorded;
        plan::Service {
            labels: self.request.labels.clone(),
            addresses: if recorded.is_empty() { self.written.listed().collect() } else { recorded.clone() },
            traffic_policy: self.traffic_policy,
            shares_address: self.request.terms.sharing.is_some(),
            endpoints,
        }
    }

    /// Where Events about it belong.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(Service::api_version(&()).into()),
            kind: Some(Service::kind(&()).into()),
            namespace: Some((*self.key.namespace).into()),
            name: Some((*self.key.name).into()),
            uid: Some((*self.uid).into()),
            resource_version: None,
            field_path: None,
        }
    }
}

impl Written {
    fn of(service: &Service) -> Self {
        let status = service.status.as_ref();
        let balancer = status.and_then(|status| status.load_balancer.as_ref());
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let annotation = |key| service.annotations().get(key).map(|value| value.as_str().into());
        Self {
            ingress: balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default().into(),
            conditions: conditions.unwrap_or_default().into(),
            addresses: annotation(ALLOCATED_ADDRESSES),
            pool: annotation(Annotation::IpAllocatedFromPool.key()),
            has_former_pool: service
                .annotations()
                .contains_key(Annotation::IpAllocatedFromPool.deprecated_key()),
        }
    }

    /// The addresses in the status, in order, whoever gave them.
    pub fn listed(&self) -> impl Iterator<Item = IpAddr> {
        self.ingress.iter().filter_map(address)
    }

    /// The addresses that are ours whatever pools there are, if that is known. An annotation alone is no record: whoever
    /// copies a Service copies its annotations too, but not its conditions. One that names none of the entries is
    /// outdated and counts as none: `MetalLB` may have been back in between and have given others.
    fn recorded(&self) -> Option<Vec<IpAddr>> {
        let record = self.addresses.as_deref().filter(|_| self.is_judged());
        let record: Vec<IpAddr> =
            record.into_iter().flat_map(|list| list.split(',')).filter_map(|one| one.parse().ok()).collect();
        let recorded: Vec<IpAddr> = self.listed().filter(|address| record.contains(address)).collect();
        if recorded.is_empty() { self.is_metallbs().then(|| self.listed().collect()) } else { Some(recorded) }
    }

    fn is_metallbs(&self) -> bool {
        !self.is_judged() && (self.pool.is_some() || self.has_former_pool)
    }

    fn is_judged(&self) -> bool {
        self.conditions.iter().any(|condition| condition.type_ == ADDRESS_ALLOCATED)
    }
}

/// The address of an entry of `status.loadBalancer`, if it has one.
#[must_use]
pub fn address(entry: &LoadBalancerIngress) -> Option<IpAddr> {
    entry.ip.as_deref()?.parse().ok()
}

/// The Service's key.
#[must_use]
pub fn key(service: &Service) -> ServiceKey {
    ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any())
}

fn class(service: &Service) -> Class {
    let spec = service.spec.as_ref();
    if spec.and_then(|spec| spec.type_.as_deref()) != Some("LoadBalancer") {
        return Class::NotLoadBalanced;
    }
    Class::LoadBalanced(spec.and_then(|spec| spec.load_balancer_class.as_deref()).map(Into::into))
}

fn cluster_ips(service: &Service) -> Box<[IpAddr]> {
    let Some(spec) = &service.spec else { return Box::default() };
    let listed = spec.cluster_ips.as_deref().unwrap_or(spec.cluster_ip.as_slice());
    listed.iter().filter_map(|address| address.parse().ok()).collect()
}

fn deprecated(service: &Service) -> Box<[&'static str]> {
    let found = Annotation::ALL.into_iter().filter_map(|annotation| annotation.find(service.annotations()));
    found.filter(|found| found.deprecated).map(|found| found.key).collect()
}

fn request(
    service: &Service,
    (cluster_ips, traffic_policy): (&[IpAddr], TrafficPolicy),
    recorded: Vec<IpAddr>,
) -> ServiceRequest {
    let spec = service.spec.as_ref();
    let selector = spec.and_then(|spec| spec.selector.as_ref());
    let backend = match traffic_policy {
        TrafficPolicy::Local => BackendKey::local(&selector.map(Labels::from).unwrap_or_default()),
        TrafficPolicy::Cluster => BackendKey::default(),
    };
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    ServiceRequest {
        labels: Labels::from(service.labels()),
        families: Families::of(cluster_ips),
        policy: match spec.and_then(|spec| spec.ip_family_policy.as_deref()) {
            Some("PreferDualStack") => FamilyPolicy::PreferDualStack,
            Some("RequireDualStack") => FamilyPolicy::RequireDualStack,
            _ => FamilyPolicy::SingleStack,
        },
        wanted: wish::wanted(service),
        terms: Arc::new(Terms {
            sharing: value(service, Annotation::AllowSharedIp).and_then(SharingKey::new),
            backend,
            ports: ports.iter().filter_map(port).collect(),
        }),
        recorded,
        created: service
            .creation_timestamp()
            .and_then(|created| u64::try_from(created.0.as_second()).ok())
            .unwrap_or(0),
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

fn traffic_policy(service: &Service) -> TrafficPolicy {
    match service.spec.as_ref().and_then(|spec| spec.external_traffic_policy.as_deref()) {
        Some("Local") => TrafficPolicy::Local,
        _ => TrafficPolicy::Cluster,
    }
}

#[cfg(test)]
mod tests;
