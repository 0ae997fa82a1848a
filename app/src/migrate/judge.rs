//! What FerroLB does otherwise with the objects than MetalLB did, found with the code that the
//! controller runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use ferrolb_api::METALLB_NAMESPACE;
use ferrolb_api::annotations::DEPRECATED_PREFIX;
use ferrolb_cluster::config::Guarded;
use ferrolb_cluster::controller::view::listed;
use ferrolb_cluster::controller::{ConfigObject, ControllerObjects, ControllerView};
use ferrolb_ipam::Allocator;
use ferrolb_vocab::PoolName;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};

use super::combine::Combined;
use super::kinds::Kind;
use super::resources::Resources;

/// Which objects FerroLB's processes take as theirs.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The namespaces that they read configuration from.
    pub(super) namespaces: &'a [String],
    /// The class of Services that they handle.
    pub(super) lb_class: Option<&'a str>,
}

/// Adds to the report of `combined`; `cluster` is what else there is, when a cluster was read.
pub(super) fn tell(combined: &mut Combined, cluster: Option<&ControllerObjects>, scope: &Scope<'_>) {
    let mut objects = cluster.cloned().unwrap_or_default();
    objects.config.pools = guarded(&combined.resources.pools, scope.namespaces);
    objects.config.l2_advertisements = guarded(&combined.resources.l2_advertisements, scope.namespaces);
    objects.config.bgp_advertisements = guarded(&combined.resources.bgp_advertisements, scope.namespaces);
    objects.communities = guarded(&combined.resources.communities, scope.namespaces);
    objects.peers = guarded(&combined.resources.peers, scope.namespaces);
    objects.profiles = guarded(&combined.resources.bfd_profiles, scope.namespaces);
    let view = objects.view(scope.lb_class);
    for object in &view.config {
        tell_verdict(combined, object);
    }
    tell_pools(combined, &view, cluster.is_some());
    if cluster.is_some() {
        tell_services(combined, &view);
    }
    let notes = general(&combined.resources, &view, scope);
    combined.report.notes.extend(notes);
}

/// Those that the processes would read.
fn guarded<K: Resource + Clone>(objects: &[K], namespaces: &[String]) -> Vec<Guarded<K>> {
    let is_read = |object: &&K| object.namespace().is_some_and(|namespace| namespaces.contains(&namespace));
    objects.iter().filter(is_read).map(|object| Arc::new(DeserializeGuard(Ok(object.clone())))).collect()
}

/// What the controller would say at the object.
fn tell_verdict(combined: &mut Combined, object: &ConfigObject) {
    let [kind, namespace, name] =
        [&object.reference.kind, &object.reference.namespace, &object.reference.name]
            .map(|part| part.as_deref().unwrap_or_default());
    let key = format!("{kind} {namespace}/{name}");
    for error in &object.errors {
        combined.report.note_at(&key, format!("is not accepted: {}", error.message));
    }
    if !object.withheld.is_empty() && object.errors.iter().all(|error| error.reason != "AddressesWithheld") {
        let note = format!("not all of its addresses are given: {}", listed(&object.withheld));
        combined.report.note_at(&key, note);
    }
    for pool in &object.unknown_pools {
        let note = format!("names pool {pool}, which its namespace does not have; it says so from now on");
        combined.report.note_at(&key, note);
    }
}

/// What the addresses of a pool will not do. What the ConfigMap says of its pools is told there.
fn tell_pools(combined: &mut Combined, view: &ControllerView, namespaces_are_known: bool) {
    let mut notes = Vec::new();
    for key in combined.resources.keys().iter().filter(|key| key.kind == Kind::IpAddressPool) {
        let name = PoolName::from(key.name.as_str());
        let is_read = view.announced_pools.get(&name).is_some_and(|pool| pool.namespace == key.namespace);
        if is_read && namespaces_are_known && admits_nobody(view, &name) {
            let note = "its serviceAllocation selects no namespace that exists, so nobody gets its addresses; \
                        MetalLB gave them to whoever asked for one";
            notes.push((key.to_string(), note));
        }
    }
    notes.into_iter().for_each(|(key, note)| combined.report.note_at(&key, note.into()));
}

fn admits_nobody(view: &ControllerView, pool: &PoolName) -> bool {
    let allocation = view.pools.get(pool).and_then(|pool| pool.service_allocation.as_ref());
    allocation.and_then(|allocation| allocation.namespaces.as_ref()).is_some_and(BTreeSet::is_empty)
}

/// Services that do not keep what they have.
fn tell_services(combined: &mut Combined, view: &ControllerView) {
    let mut allocator = Allocator::default();
    for (service, decision) in allocator.reconcile(&view.pools, &view.claim_requests(), &view.requests()) {
        let Some(cleared) = decision.cleared() else { continue };
        let lost: Vec<String> = cleared.addresses.iter().map(ToString::to_string).collect();
        let note = format!("loses {}: {}", lost.join(", "), cleared.why);
        combined.report.note_at(&format!("Service {service}"), note);
    }
    let deprecated: Vec<String> = view
        .services
        .iter()
        .filter(|(_, service)| !service.deprecated.is_empty())
        .map(|(service, _)| service.to_string())
        .collect();
    if !deprecated.is_empty() {
        combined.report.notes.push(format!(
            "{} Services have annotations {DEPRECATED_PREFIX}…, which are read and told once in an Event; write \
             metallb.io/… instead ({})",
            deprecated.len(),
            first_few(&deprecated)
        ));
    }
}

fn first_few(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(LISTED_MAX).map(String::as_str).collect();
    let more = if names.len() > LISTED_MAX { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}

/// What concerns all objects.
fn general(resources: &Resources, view: &ControllerView, scope: &Scope<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if resources.is_empty() {
        notes.push("nothing is configured, so there are no objects".into());
    }
    let automatic: BTreeSet<String> = resources
        .pools
        .iter()
        .filter(|pool| pool.spec.auto_assign && pool.spec.service_allocation.is_none())
        .map(ResourceExt::name_any)
        .collect();
    if let Some(first) = automatic.first().filter(|_| automatic.len() > 1) {
        notes.push(format!(
            "Services that ask for no pool get addresses of the first by name that has one, {first} before \
             the others; MetalLB took any"
        ));
    }
    if !view.advertisements.any_object && !view.announced_pools.is_empty() {
        notes.push(
            "there is no advertisement, so FerroLB announces by layer 2 what lies in a node's subnet; MetalLB \
             announced nothing"
                .into(),
        );
    }
    let read = scope.namespaces.join(" and ");
    let used: BTreeSet<String> = resources.keys().into_iter().map(|key| key.namespace).collect();
    for namespace in used.iter().filter(|namespace| !scope.namespaces.contains(namespace)) {
        notes.push(format!(
            "FerroLB reads {read}; migrate with --namespace={METALLB_NAMESPACE}, or give its processes \
             --config-namespaces={namespace} and the right to read there"
        ));
    }
    notes
}

/// As many Services as a person reads.
const LISTED_MAX: usize = 5;
