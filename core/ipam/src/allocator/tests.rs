//! A small cluster to ask questions of, and the questions by subject.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::IpAddr;
use std::string::{String, ToString};
use std::vec::Vec;

use ferrolb_vocab::{IpFamily, IpRange, ObjectName, Operator, PoolName, Requirement, Selector, ServiceKey};

use crate::*;

mod claims;
mod dual_stack;
mod memory;
mod messages;
mod pools;
mod property;
mod scale;
mod sharing;

/// What the controller sees, and the allocator that it runs.
#[derive(Default)]
struct Cluster {
    pools: PoolSet,
    claims: BTreeMap<ObjectName, ClaimRequest>,
    services: BTreeMap<ServiceKey, ServiceRequest>,
    allocator: Allocator,
    created: u64,
}

impl Cluster {
    fn with(pools: impl IntoIterator<Item = Pool>) -> Self {
        let mut cluster = Self::default();
        cluster.set_pools(pools);
        cluster
    }

    fn set_pools(&mut self, pools: impl IntoIterator<Item = Pool>) {
        self.pools = PoolSet::new(pools).0;
    }

    /// Creates Service `default/name`, or `namespace/name`, younger than all before.
    fn create(&mut self, name: &str, request: ServiceRequest) {
        self.created += 1;
        self.services.insert(key(name), ServiceRequest { created: self.created, ..request });
    }

    /// Creates Services that ask for the same, one after the other.
    fn create_all<const N: usize>(&mut self, names: [&str; N], request: &ServiceRequest) {
        for name in names {
            self.create(name, request.clone());
        }
    }

    /// Creates claim `default/name`, or `namespace/name`, younger than all before.
    fn claim(&mut self, name: &str, claim: ClaimRequest) {
        self.created += 1;
        self.claims.insert(claim_name(name), ClaimRequest { created: self.created, ..claim });
    }

    fn edit(&mut self, name: &str) -> &mut ServiceRequest {
        self.services.get_mut(&key(name)).unwrap()
    }

    fn edit_terms(&mut self, name: &str) -> &mut Terms {
        Arc::make_mut(&mut self.edit(name).terms)
    }

    fn delete(&mut self, name: &str) {
        self.services.remove(&key(name)).unwrap();
    }

    /// One round, whose decisions are then recorded, as the controller does.
    fn settle(&mut self) -> &mut Self {
        for (service, decision) in self.allocator.reconcile(&self.pools, &self.claims, &self.services) {
            self.services.get_mut(service).unwrap().recorded = decision.addresses().to_vec();
        }
        for (claim, decision) in self.allocator.claims() {
            self.claims.get_mut(claim).unwrap().recorded = record(decision);
        }
        self
    }

    fn restart(&mut self) -> &mut Self {
        self.allocator = Allocator::default();
        self
    }

    fn decision(&self, name: &str) -> &Decision {
        &self.allocator.decisions()[&key(name)]
    }

    fn allocation(&self, name: &str) -> &Allocation {
        self.decision(name).allocation().unwrap()
    }

    /// The address that is reserved, or the reason why there is none.
    fn claimed(&self, name: &str) -> String {
        match &self.allocator.claims()[&claim_name(name)] {
            ClaimDecision::Reserved(reservation) => reservation.address.to_string(),
            ClaimDecision::Waiting { why, .. } => why.reason().into(),
        }
    }

    /// The addresses with a blank between, or the reason why there are none.
    fn outcome(&self, name: &str) -> String {
        match self.decision(name) {
            Decision::Allocated(allocation) => text(&allocation.addresses),
            Decision::Refused(refused) => refused.why.reason().into(),
        }
    }

    /// Outcomes of several Services after a round.
    fn settled<const N: usize>(&mut self, names: [&str; N]) -> [String; N] {
        self.settle();
        names.map(|name| self.outcome(name))
    }

    fn refusal(&self, name: &str) -> String {
        self.decision(name).refusal().unwrap().to_string()
    }

    fn pool_of(&self, name: &str) -> &str {
        self.allocation(name).pool.as_str()
    }

    fn cleared(&self, name: &str) -> Option<&'static str> {
        self.decision(name).cleared().map(|cleared| cleared.why.reason())
    }
}

fn record(decision: &ClaimDecision) -> Option<ClaimRecord> {
    let reserved = decision.reservation().is_some();
    decision.address().map(|address| ClaimRecord { address, reserved })
}

fn key(name: &str) -> ServiceKey {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    ServiceKey::new(namespace, name)
}

fn text(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(text: &str) -> Vec<IpAddr> {
    text.split(' ').map(ip).collect()
}

fn pool(name: &str, ranges: &str) -> Pool {
    Pool::new(name, ranges.split(' ').map(|range| range.parse::<IpRange>().unwrap()))
}

fn pinned(name: &str, ranges: &str, allocation: ServiceAllocation) -> Pool {
    Pool { service_allocation: Some(allocation), ..pool(name, ranges) }
}

fn namespaces(names: &[&str], priority: u32) -> ServiceAllocation {
    let namespaces = Some(names.iter().map(ToString::to_string).collect());
    ServiceAllocation { priority, namespaces, service_selectors: Vec::new() }
}

fn label_exists(label: &str) -> Selector {
    Selector { requirements: [Requirement { key: label.into(), operator: Operator::Exists }].into() }
}

fn v4() -> ServiceRequest {
    ServiceRequest::new(Families::V4)
}

fn v6() -> ServiceRequest {
    ServiceRequest::new(Families::V6)
}

fn prefer() -> ServiceRequest {
    let families = Families::Dual { primary: IpFamily::V4 };
    ServiceRequest { policy: FamilyPolicy::PreferDualStack, ..ServiceRequest::new(families) }
}

fn require() -> ServiceRequest {
    ServiceRequest { policy: FamilyPolicy::RequireDualStack, ..prefer() }
}

fn wants(addresses: &str, request: ServiceRequest) -> ServiceRequest {
    ServiceRequest { wanted: Wanted::Addresses { addresses: ips(addresses), pool: None }, ..request }
}

fn wants_pool(pool: &str, request: ServiceRequest) -> ServiceRequest {
    ServiceRequest { wanted: Wanted::Pool(pool.into()), ..request }
}

fn tcp(port: u16) -> Port {
    Port { protocol: Protocol::Tcp, port }
}

fn shares(sharing: &str, ports: &[Port], request: ServiceRequest) -> ServiceRequest {
    let terms = Terms {
        sharing: SharingKey::new(sharing),
        backend: BackendKey::default(),
        ports: ports.iter().copied().collect(),
    };
    ServiceRequest { terms: Arc::new(terms), ..request }
}

fn local(app: &str) -> BackendKey {
    BackendKey::local(&[("app", app)].into())
}

fn claims(address: &str) -> ClaimRequest {
    ClaimRequest::new(ClaimWant::Address(ip(address)))
}

fn claims_of(pool: &str, family: IpFamily) -> ClaimRequest {
    ClaimRequest::new(ClaimWant::Pool { pool: pool.into(), family })
}

fn selecting(label: &str, claim: ClaimRequest) -> ClaimRequest {
    ClaimRequest { selector: Some(label_exists(label)), ..claim }
}

fn labelled(label: &str, request: ServiceRequest) -> ServiceRequest {
    ServiceRequest { labels: [(label, "")].into(), ..request }
}

fn names_claims(claims: &str, request: ServiceRequest) -> ServiceRequest {
    let claims = claims.split(' ').map(String::from).collect();
    ServiceRequest { wanted: Wanted::Claims(claims), ..request }
}

fn claim_name(name: &str) -> ObjectName {
    let key = key(name);
    ObjectName::new(&*key.namespace, &*key.name)
}
