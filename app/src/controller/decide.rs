//! What to write, given what is seen: allocation decisions turned into statuses, conditions and
//! notices. No IO.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_api::conditions::{ACCEPTED, ADDRESS_ALLOCATED, READY};
use ferrolb_api::ip_address_pool::IpAddressPoolStatus;
use ferrolb_cluster::Notice;
use ferrolb_cluster::controller::view::listed;
use ferrolb_cluster::controller::writes::says;
use ferrolb_cluster::controller::{
    ClaimStatus, Condition, ConfigObject, ControllerView, ServiceStatus, is_said,
};
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_ipam::{Allocator, Decision, Usage};
use ferrolb_plan::coverage;
use ferrolb_vocab::{ObjectName, PoolName, ServiceKey};
use k8s_openapi::api::core::v1::ObjectReference;

mod claims;
mod coexistence;
mod configuration;
mod conflicts;
mod deprecated;
mod objects;
mod sessions;
mod told;

/// Decides, and remembers what was decided and told.
#[derive(Debug, Default)]
pub struct Decider {
    allocator: Allocator,
    told: told::Told,
    foreign: BTreeMap<ServiceKey, String>,
    claims: claims::Told,
    coexistence: coexistence::Told,
    deprecated: deprecated::Told,
    conflicts: conflicts::Told,
    objects: objects::Told,
    /// What was written to each configuration object, by UID. MetalLB's CRDs prune conditions:
    /// what was written may not be there, and is not written again until somebody changes the
    /// object or there is something new to say.
    written: BTreeMap<String, Written>,
}

/// What one pass found to do.
#[derive(Debug)]
pub struct Decisions {
    /// Services that do not say what they should, with what that is.
    pub services: Vec<(Arc<SeenService>, ServiceStatus)>,
    /// The status that each claim should have.
    pub claims: BTreeMap<ObjectName, ClaimStatus>,
    /// Configuration objects whose status has to change.
    pub config: Vec<ConfigWrite>,
    /// The verdict on the configuration as a whole, for the `ConfigurationState`.
    pub configuration: Condition,
    /// Events to tell.
    pub notices: Vec<(ObjectReference, Notice)>,
    /// How full each pool is.
    pub usage: BTreeMap<PoolName, Usage>,
    /// How many Services have no address, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// How many Services have addresses and lack something that they ask for, by reason.
    pub lacking: BTreeMap<&'static str, u64>,
    /// How many claims are reserved, or wait, and why.
    pub claimed: BTreeMap<(&'static str, &'static str), u64>,
    /// How many Services have an address that another host has, by what that means.
    pub conflicts: BTreeMap<&'static str, u64>,
}

/// A status that was written.
#[derive(Debug)]
struct Written {
    /// The object's resourceVersion after the write.
    version: Option<String>,
    conditions: Vec<Condition>,
    usage: Option<IpAddressPoolStatus>,
}

/// A status to write.
#[derive(Debug)]
pub struct ConfigWrite {
    /// The object.
    pub object: ConfigObject,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// A pool's counters.
    pub usage: Option<IpAddressPoolStatus>,
}

impl Decisions {
    /// Nothing about Services yet.
    fn none(view: &ControllerView, usage: BTreeMap<PoolName, Usage>) -> Self {
        Self {
            services: Vec::new(),
            claims: BTreeMap::new(),
            config: Vec::new(),
            configuration: configuration::verdict(&view.config),
            notices: Vec::new(),
            usage,
            refused: BTreeMap::new(),
            lacking: BTreeMap::new(),
            claimed: BTreeMap::new(),
            conflicts: BTreeMap::new(),
        }
    }
}

impl Decider {
    /// Decides about everything in `view`.
    pub fn decide(&mut self, view: &ControllerView) -> Decisions {
        self.coexistence.mention(view);
        if !view.metallb.is_empty() {
            return self.stand_back(view);
        }
        let requests = view.requests();
        let decided = self.allocator.reconcile(&view.pools, &view.claim_requests(), &requests);
        let mut services = Vec::new();
        let mut say = |service: &Arc<SeenService>, status: ServiceStatus| {
            if !is_said(service, &status) {
                services.push((Arc::clone(service), status));
            }
        };
        let mut notices = Vec::new();
        let (mut refused, mut lacking) = (BTreeMap::new(), BTreeMap::new());
        for (key, decision) in decided {
            let (Some(service), Some(request)) = (view.services.get(key), requests.get(key)) else {
                continue;
            };
            if let Some(refusal) = decision.refusal() {
                *refused.entry(refusal.reason()).or_default() += 1;
            } else if let Some(lack) = decision.lack() {
                *lacking.entry(lack.reason()).or_default() += 1;
            }
            let mut status = ServiceStatus { former: request.recorded.clone(), ..status(decision) };
            let mut own = self.told.notices(key, decision);
            own.extend(self.deprecated.notices(service));
            own.extend(self.conflicts.judge(service, &view.conflicts, &mut status));
            notices.extend(own.into_iter().map(|notice| (service.reference(), notice)));
            say(service, status);
        }
        for service in view.others.iter().filter(|service| service.is_marked()) {
            let former = service.allocated_addresses(&view.pools);
            say(service, ServiceStatus { former, ..ServiceStatus::default() });
        }
        let usage = self.allocator.usage(&view.pools);
        let mut decisions = Decisions { services, notices, refused, lacking, ..Decisions::none(view, usage) };
        let claims = self.allocator.claims();
        self.claims.add(view, claims, &mut decisions);
        self.told.forget_all_but(&view.services);
        self.deprecated.forget_all_but(&view.services);
        self.conflicts.forget_all_but(&view.services);
        decisions.conflicts = self.conflicts.counts();
        self.mention_foreign(view);
        self.decide_config(view, &mut decisions);
        decisions
    }

    /// Remembers that `write` was carried out, and the resourceVersion it gave the object.
    pub fn config_written(&mut self, write: &ConfigWrite, version: Option<String>) {
        let uid = write.object.reference.uid.clone().unwrap_or_default();
        let (conditions, usage) = (write.conditions.clone(), write.usage.clone());
        self.written.insert(uid, Written { version, conditions, usage });
    }

    /// A Service of another class is not touched; only the log says so, once.
    fn mention_foreign(&mut self, view: &ControllerView) {
        for (key, class) in &view.foreign {
            if self.foreign.get(key) != Some(class) {
                tracing::info!(service = %key, class, "a Service of another loadBalancerClass is left alone");
            }
        }
        self.foreign.clone_from(&view.foreign);
    }

    fn decide_config(&mut self, view: &ControllerView, decisions: &mut Decisions) {
        for object in &view.config {
            let computed = object.pool.as_ref().and_then(|pool| decisions.usage.get(pool)).map(pool_status);
            let usage = coexistence::counters(object, view).or(computed);
            let conditions = conditions(object, view);
            let accepted = conditions.iter().find(|condition| condition.type_ == ACCEPTED);
            let notice = accepted.and_then(|accepted| self.objects.notice(object, accepted));
            decisions.notices.extend(notice.map(|notice| (object.reference.clone(), notice)));
            let uid = object.reference.uid.as_deref().unwrap_or_default();
            let is_written = self.written.get(uid).is_some_and(|written| {
                written.version == object.reference.resource_version
                    && written.conditions == conditions
                    && written.usage == usage
            });
            if is_written || says(object, &conditions, usage.as_ref()) {
                continue;
            }
            decisions.config.push(ConfigWrite { object: object.clone(), conditions, usage });
        }
        let exists =
            |uid: &String| view.config.iter().any(|object| object.reference.uid.as_ref() == Some(uid));
        self.written.retain(|uid, _| exists(uid));
        self.objects.forget_all_but(&view.config);
    }
}

fn status(decision: &Decision) -> ServiceStatus {
    let (pool, condition) = match decision {
        Decision::Allocated(allocation) => {
            let given = format!("{} from pool {}", quoted(&allocation.addresses), allocation.pool);
            let (holds, reason, message) = match (&allocation.unmet, &allocation.missing) {
                (Some(unmet), _) => (
                    false,
                    unmet.reason(),
                    format!("The Service keeps {given}, but asks for others: {unmet}."),
                ),
                (None, Some(missing)) => {
                    (false, missing.reason(), format!("The Service has {given} only: {missing}."))
                }
                (None, None) => (true, "Allocated", format!("The Service has {given}.")),
            };
            (Some(allocation.pool.clone()), Condition { type_: ADDRESS_ALLOCATED, holds, reason, message })
        }
        Decision::Refused(refused) => {
            let (reason, message) = (refused.why.reason(), format!("{}.", refused.why));
            (None, Condition { type_: ADDRESS_ALLOCATED, holds: false, reason, message })
        }
    };
    let addresses = decision.addresses().to_vec();
    ServiceStatus { addresses, former: Vec::new(), pool, conditions: vec![condition] }
}

/// The reason of Accepted when there is nothing to say against the object.
const VALID: &str = "Valid";

/// What is said at `object`: whether it is accepted, and whether it is in effect.
pub(crate) fn conditions(object: &ConfigObject, view: &ControllerView) -> Vec<Condition> {
    let accepted = match object.errors.first() {
        None if object.withheld.is_empty() => Condition {
            type_: ACCEPTED,
            holds: true,
            reason: VALID,
            message: "The object is valid and in use.".into(),
        },
        None => Condition {
            type_: ACCEPTED,
            holds: true,
            reason: "PartlyWithheld",
            message: format!(
                "The pool is in use, but some of its addresses are not given: {}; take them out of spec.addresses{}.",
                listed(&object.withheld),
                object
                    .withheld
                    .iter()
                    .find(|withheld| withheld.is_hosts())
                    .map_or("", |_| " or from the hosts"),
            ),
        },
        Some(first) => {
            let messages: Vec<&str> = object.errors.iter().map(|error| error.message.as_str()).collect();
            Condition { type_: ACCEPTED, holds: false, reason: first.reason, message: messages.join("; ") }
        }
    };
    let ready = if !accepted.holds {
        let message = "The object is not accepted; see the condition Accepted.".into();
        Condition { type_: READY, holds: false, reason: "NotAccepted", message }
    } else if let Some(waiting) = coexistence::condition(view) {
        waiting
    } else if let Some(sessions) = sessions::condition(object, view) {
        sessions
    } else if let Some((name, pool)) =
        object.pool.as_ref().and_then(|name| view.announced_pools.get_key_value(name))
    {
        let coverage = coverage(name, pool, &view.advertisements, &view.nodes);
        let message = format!("{coverage}.");
        Condition { type_: READY, holds: coverage.is_announced(), reason: coverage.reason(), message }
    } else if let Some(unknown) = object.unknown_pools.first() {
        let namespace = object.reference.namespace.as_deref().unwrap_or_default();
        let message = format!(
            "spec.ipAddressPools names {unknown}, but namespace {namespace} has no IPAddressPool of that name; \
             correct the name or create the pool."
        );
        Condition { type_: READY, holds: false, reason: "UnknownPool", message }
    } else {
        Condition { type_: READY, holds: true, reason: "InUse", message: "All that it names exists.".into() }
    };
    vec![accepted, ready]
}

fn pool_status(usage: &Usage) -> IpAddressPoolStatus {
    IpAddressPoolStatus {
        assigned_ipv4: usage.assigned_v4,
        assigned_ipv6: usage.assigned_v6,
        available_ipv4: usage.available_v4,
        available_ipv6: usage.available_v6,
        conditions: Vec::new(),
    }
}

/// Addresses as MetalLB writes them into Events: `["192.0.2.1" "2001:db8::1"]`.
fn quoted(addresses: &[std::net::IpAddr]) -> String {
    let quoted: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests;
