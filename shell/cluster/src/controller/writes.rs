//! What the controller writes: the status of Services and of configuration objects.

use std::net::IpAddr;

use ferrolb_api::CONTROLLER;
use ferrolb_api::annotations::{ALLOCATED_ADDRESSES, Annotation};
use ferrolb_api::ip_address_pool::IpAddressPoolStatus;
use ferrolb_vocab::PoolName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, ObjectReference, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, Time};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};

use super::view::ConfigObject;

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

/// What we say about a Service. Everything else in its status is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its addresses, in order.
    pub addresses: Vec<IpAddr>,
    /// Those of the addresses it was read with that are ours; `addresses` take their place.
    pub former: Vec<IpAddr>,
    /// The pool they are from.
    pub pool: Option<PoolName>,
    /// Why it has them, or has none.
    pub condition: Option<Condition>,
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

    /// Makes `service` say `status`; false when it says so already.
    ///
    /// The write carries the resourceVersion that was read, so that it never undoes what
    /// another wrote meanwhile: the list of addresses is atomic for the API server.
    ///
    /// # Errors
    /// The API server refused the write (409: the Service changed meanwhile) or cannot be reached.
    pub async fn write_service(
        &self,
        service: &Service,
        status: &ServiceStatus,
    ) -> Result<bool, kube::Error> {
        let Some(updated) = updated(service, status, Timestamp::now()) else { return Ok(false) };
        let api: Api<Service> =
            Api::namespaced(self.client.clone(), &service.namespace().unwrap_or_default());
        api.replace_status(&service.name_any(), &PostParams::default(), &updated).await?;
        Ok(true)
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
        object.conditions.iter().any(|current| {
            current.type_ == condition.type_
                && current.status == truth(condition.holds)
                && current.reason == condition.reason
                && current.message == condition.message
                && current.observed_generation == object.generation
        })
    };
    let counters = |status: &IpAddressPoolStatus| {
        (status.assigned_ipv4, status.assigned_ipv6, status.available_ipv4, status.available_ipv6)
    };
    conditions.iter().all(same) && usage.map(counters) == object.usage.as_ref().map(counters)
}

/// The Service as it should be; `None` when it is.
fn updated(service: &Service, status: &ServiceStatus, now: Timestamp) -> Option<Service> {
    let mut updated = service.clone();
    set_addresses(&mut updated, status);
    let listed: Vec<String> = status.addresses.iter().map(IpAddr::to_string).collect();
    let listed = (!listed.is_empty()).then(|| listed.join(","));
    set_annotation(&mut updated, ALLOCATED_ADDRESSES, listed);
    let pool = status.pool.as_ref().map(ToString::to_string);
    set_annotation(&mut updated, Annotation::IpAllocatedFromPool.key(), pool);
    // MetalLB's former spelling of the same would go on to name a pool that may be wrong by now.
    set_annotation(&mut updated, Annotation::IpAllocatedFromPool.deprecated_key(), None);
    set_condition(&mut updated, status.condition.as_ref(), now);
    // An empty map or list and an absent one are the same to the API server.
    let normal = |service: &Service| {
        let status = service.status.clone().unwrap_or_default();
        let ingress = status.load_balancer.and_then(|balancer| balancer.ingress).unwrap_or_default();
        (service.annotations().clone(), ingress, status.conditions.unwrap_or_default())
    };
    (normal(service) != normal(&updated)).then_some(updated)
}

/// Puts our addresses where ours were, and what is more behind; entries of others stay where
/// they are.
fn set_addresses(service: &mut Service, status: &ServiceStatus) {
    let balancer = service.status.get_or_insert_default().load_balancer.get_or_insert_default();
    let current = balancer.ingress.take().unwrap_or_default();
    let address = |entry: &LoadBalancerIngress| entry.ip.as_deref()?.parse::<IpAddr>().ok();
    let is_ours = |address: &IpAddr| status.former.contains(address) || status.addresses.contains(address);
    // An entry that is kept keeps its ipMode and ports.
    let entry = |wanted: &IpAddr| {
        let kept = current.iter().find(|entry| address(entry).as_ref() == Some(wanted));
        let new = || LoadBalancerIngress { ip: Some(wanted.to_string()), ..LoadBalancerIngress::default() };
        kept.cloned().unwrap_or_else(new)
    };
    let mut ours = status.addresses.iter().map(entry);
    let mut ingress: Vec<_> = current
        .iter()
        .filter_map(
            |old| if address(old).as_ref().is_some_and(is_ours) { ours.next() } else { Some(old.clone()) },
        )
        .collect();
    ingress.extend(ours);
    balancer.ingress = Some(ingress);
}

fn set_annotation(service: &mut Service, key: &str, value: Option<String>) {
    match value {
        Some(value) => service.annotations_mut().insert(key.into(), value),
        None => service.annotations_mut().remove(key),
    };
}

fn set_condition(service: &mut Service, wanted: Option<&Condition>, now: Timestamp) {
    let conditions = service.status.get_or_insert_default().conditions.get_or_insert_default();
    let ours = ferrolb_api::conditions::ADDRESS_ALLOCATED;
    let current: Vec<meta::Condition> = conditions.clone();
    conditions.retain(|condition| condition.type_ != ours);
    conditions.extend(timed(wanted, &current, None, now));
}

/// Conditions with the time of their last transition, kept where the truth is as it was.
pub(super) fn timed<'a>(
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
