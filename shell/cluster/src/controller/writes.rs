//! What the controller writes: the status of Services and of configuration objects.

use std::net::IpAddr;

use ferrolb_api::CONTROLLER;
use ferrolb_api::annotations::{ALLOCATED_ADDRESSES, Annotation};
use ferrolb_api::conditions::{ADDRESS_ALLOCATED, ADDRESS_CONFLICT};
use ferrolb_api::ip_address_pool::IpAddressPoolStatus;
use ferrolb_vocab::{PoolName, ServiceKey};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, ObjectReference, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, Time};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::{GroupVersionKind, PartialObjectMeta};
use kube::{Api, Client};

use super::view::ConfigObject;
use crate::parse::service::{SeenService, address};

/// A condition of an object, before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The condition's type.
    pub type_: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The stable name of the reason.
    pub reason: &'static str,
    /// A full sentence for a person.
    pub message: String,
}

impl Condition {
    /// Whether `written` says this, whenever it was written.
    #[must_use]
    pub fn is_said_by(&self, written: &meta::Condition) -> bool {
        written.type_ == self.type_
            && written.status == truth(self.holds)
            && written.reason == self.reason
            && written.message == self.message
    }
}

/// The types of the conditions that the controller writes to Services.
pub const OUR_CONDITIONS: [&str; 2] = [ADDRESS_ALLOCATED, ADDRESS_CONFLICT];

/// What we say about a Service. Everything else in its status is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its addresses, in order.
    pub addresses: Vec<IpAddr>,
    /// Those of the addresses it was read with that are ours; `addresses` take their place.
    pub former: Vec<IpAddr>,
    /// The pool they are from.
    pub pool: Option<PoolName>,
    /// Its conditions of [`OUR_CONDITIONS`]; those that are not here are removed.
    pub conditions: Vec<Condition>,
}

impl ServiceStatus {
    /// Whether `address` is one of ours, before or after.
    fn has(&self, address: &IpAddr) -> bool {
        self.former.contains(address) || self.addresses.contains(address)
    }
}

/// Writes statuses, and only when something changes.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct StatusWriter {
    client: Client,
}

impl StatusWriter {
    /// A writer through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes `service` say `status`, unless it changed since it was read.
    ///
    /// # Errors
    /// The API server refused the write (409: the Service changed meanwhile) or cannot be reached.
    pub async fn write_service(
        &self,
        service: &SeenService,
        status: &ServiceStatus,
    ) -> Result<(), kube::Error> {
        let ServiceKey { namespace, name } = &service.key;
        // What comes back is the whole object, which the watch brings too: only its metadata is parsed.
        let api: Api<PartialObjectMeta<Service>> = Api::namespaced(self.client.clone(), namespace);
        let patch = Patch::Merge(patch(service, status, Timestamp::now()));
        api.patch_status(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Applies conditions, and for a pool its counters, to a configuration object. Returns the
    /// object's resourceVersion after the write.
    ///
    /// # Errors
    /// The API server refused the write or cannot be reached.
    pub async fn write_config(
        &self,
        object: &ConfigObject,
        conditions: &[Condition],
        usage: Option<&IpAddressPoolStatus>,
    ) -> Result<Option<String>, kube::Error> {
        let conditions = timed(conditions, &object.conditions, object.generation, Timestamp::now());
        let mut status = serde_json::to_value(usage).map_err(kube::Error::SerdeError)?;
        if !status.is_object() {
            status = serde_json::json!({});
        }
        if let Some(fields) = status.as_object_mut() {
            fields.insert("conditions".into(), serde_json::json!(conditions));
        }
        let reference = &object.reference;
        let apply = serde_json::json!({
            "apiVersion": reference.api_version,
            "kind": reference.kind,
            "metadata": { "name": reference.name },
            "status": status,
        });
        let parameters = PatchParams::apply(CONTROLLER).force();
        let name = reference.name.as_deref().unwrap_or_default();
        let written = self.api_of(reference).patch_status(name, &parameters, &Patch::Apply(apply)).await?;
        Ok(written.metadata.resource_version)
    }

    fn api_of(&self, reference: &ObjectReference) -> Api<DynamicObject> {
        let api_version = reference.api_version.as_deref().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = GroupVersionKind::gvk(group, version, reference.kind.as_deref().unwrap_or_default());
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(
            self.client.clone(),
            reference.namespace.as_deref().unwrap_or_default(),
            &resource,
        )
    }
}

/// Whether `object` already carries these conditions and counters.
#[must_use]
pub fn says(object: &ConfigObject, conditions: &[Condition], usage: Option<&IpAddressPoolStatus>) -> bool {
    let same = |condition: &Condition| {
        object
            .conditions
            .iter()
            .any(|current| condition.is_said_by(current) && current.observed_generation == object.generation)
    };
    let counters = |status: &IpAddressPoolStatus| {
        (status.assigned_ipv4, status.assigned_ipv6, status.available_ipv4, status.available_ipv6)
    };
    conditions.iter().all(same) && usage.map(counters) == object.usage.as_ref().map(counters)
}

/// Whether `service` says `status` already. Of thousands nearly all do.
#[must_use]
pub fn is_said(service: &SeenService, status: &ServiceStatus) -> bool {
    let Recorded { addresses, pool } = Recorded::of(status);
    service.written.listed().filter(|address| status.has(address)).eq(status.addresses.iter().copied())
        && are_said(&service.written.conditions, &status.conditions)
        && service.written.addresses.as_deref() == addresses.as_deref()
        && service.written.pool.as_deref() == pool
        && !service.written.has_former_pool
}

/// The JSON merge patch (RFC 7396) that makes `service` say `status`. It carries the resourceVersion
/// that was read, so that it never undoes what another wrote meanwhile: a list is replaced as a whole.
fn patch(service: &SeenService, status: &ServiceStatus, now: Timestamp) -> serde_json::Value {
    let Recorded { addresses, pool } = Recorded::of(status);
    serde_json::json!({
        "metadata": {
            "resourceVersion": service.resource_version,
            "annotations": {
                ALLOCATED_ADDRESSES: addresses,
                (Annotation::IpAllocatedFromPool.key()): pool,
                // MetalLB's former spelling of the same would go on to name a pool that may be wrong by now.
                (Annotation::IpAllocatedFromPool.deprecated_key()): null,
            },
        },
        "status": {
            "loadBalancer": { "ingress": ingress(&service.written.ingress, status) },
            "conditions": conditions(&service.written.conditions, &status.conditions, now),
        },
    })
}

/// Our addresses where ours were, and what is more behind; entries of others stay where they
/// are, and an entry that is kept keeps its ipMode and ports.
fn ingress(current: &[LoadBalancerIngress], status: &ServiceStatus) -> Vec<LoadBalancerIngress> {
    let entry = |wanted: &IpAddr| {
        let kept = current.iter().find(|entry| address(entry).as_ref() == Some(wanted));
        let new = || LoadBalancerIngress { ip: Some(wanted.to_string()), ..LoadBalancerIngress::default() };
        kept.cloned().unwrap_or_else(new)
    };
    let mut ours = status.addresses.iter().map(entry);
    let mut ingress: Vec<_> = current
        .iter()
        .filter_map(|old| {
            if address(old).is_some_and(|address| status.has(&address)) {
                ours.next()
            } else {
                Some(old.clone())
            }
        })
        .collect();
    ingress.extend(ours);
    ingress
}

/// Whether `current` has exactly the conditions `wanted` of ours.
fn are_said(current: &[meta::Condition], wanted: &[Condition]) -> bool {
    let ours = current.iter().filter(|condition| is_ours(condition)).count();
    ours == wanted.len() && wanted.iter().all(|one| current.iter().any(|other| one.is_said_by(other)))
}

/// Our conditions where they were, or behind those of others.
fn conditions(current: &[meta::Condition], wanted: &[Condition], now: Timestamp) -> Vec<meta::Condition> {
    let mut ours = timed(wanted, current, None, now);
    let mut conditions: Vec<_> = current
        .iter()
        .filter_map(|old| match ours.iter().position(|new| new.type_ == old.type_) {
            Some(position) => Some(ours.remove(position)),
            None => (!is_ours(old)).then(|| old.clone()),
        })
        .collect();
    conditions.extend(ours);
    conditions
}

fn is_ours(condition: &meta::Condition) -> bool {
    OUR_CONDITIONS.contains(&condition.type_.as_str())
}

/// What our annotations should be; `None` is absent.
struct Recorded<'a> {
    addresses: Option<String>,
    pool: Option<&'a str>,
}

impl<'a> Recorded<'a> {
    fn of(status: &'a ServiceStatus) -> Self {
        let listed: Vec<String> = status.addresses.iter().map(IpAddr::to_string).collect();
        Self {
            addresses: (!listed.is_empty()).then(|| listed.join(",")),
            pool: status.pool.as_ref().map(PoolName::as_str),
        }
    }
}

/// Conditions with the time of their last transition, kept where the truth is as it was.
pub(crate) fn timed<'a>(
    wanted: impl IntoIterator<Item = &'a Condition>,
    current: &[meta::Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<meta::Condition> {
    let with_time = |condition: &Condition| {
        let status = truth(condition.holds);
        let same = current.iter().find(|old| old.type_ == condition.type_ && old.status == status);
        meta::Condition {
            type_: condition.type_.into(),
            status: status.into(),
            reason: condition.reason.into(),
            message: condition.message.clone(),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    wanted.into_iter().map(with_time).collect()
}

const fn truth(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

#[cfg(test)]
mod tests;
