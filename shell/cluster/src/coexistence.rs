//! `MetalLB`'s own Pods: while they run, the Services that they handle are theirs.
//!
//! `MetalLB` knows nothing of FerroLB, so FerroLB is the one that stands back. A Pod counts from
//! its creation until its object is gone, whether it is ready or not: one answer too few for a
//! moment is repaired by the next, two hosts that answer for one address are not.
//!
//! Labels are anybody's to write, and a Pod that counts stops FerroLB. So a speaker counts only on
//! the host's network, without which it announces nothing and which is not every tenant's to have,
//! and a controller only beside such a speaker or in `MetalLB`'s own namespace.

use std::collections::BTreeSet;
use std::sync::Arc;

use ferrolb_api::METALLB_NAMESPACE;
use ferrolb_vocab::ObjectName;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use crate::watches::{Watches, synced};

/// The Pods of `MetalLB` that handle the same Services as we do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetalLbPods {
    /// Those that give addresses.
    pub controllers: BTreeSet<ObjectName>,
    /// Those that announce them.
    pub speakers: BTreeSet<ObjectName>,
}

impl MetalLbPods {
    /// Those of `pods` that are `MetalLB`'s, have not ended, and handle Services of `lb_class`.
    pub fn of<'a>(pods: impl IntoIterator<Item = &'a Pod>, lb_class: Option<&str>) -> Self {
        let mut found = Self::default();
        let mut namespaces = BTreeSet::from([METALLB_NAMESPACE.to_owned()]);
        for pod in pods {
            let Some(component) = component(pod).filter(|component| acts(pod, *component)) else { continue };
            let name = ObjectName::new(pod.namespace().unwrap_or_default(), pod.name_any());
            if component == Component::Speaker {
                namespaces.insert(name.namespace.clone());
            }
            if argument(pod, "lb-class").filter(|class| !class.is_empty()) != lb_class {
                continue;
            }
            match component {
                Component::Controller => found.controllers.insert(name),
                Component::Speaker => found.speakers.insert(name),
            };
        }
        found.controllers.retain(|controller| namespaces.contains(&controller.namespace));
        found
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.controllers.is_empty() && self.speakers.is_empty()
    }

    /// All of them, those that give addresses first.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectName> {
        self.controllers.iter().chain(&self.speakers)
    }
}

/// What a Pod of `MetalLB` does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Component {
    Controller,
    Speaker,
}

fn component(pod: &Pod) -> Option<Component> {
    let label = |key: &str| pod.labels().get(key).map(String::as_str);
    let is = |role| {
        LABELS
            .iter()
            .any(|(product, component)| label(product) == Some("metallb") && label(component) == Some(role))
    };
    let role = |(role, component)| is(role).then_some(component);
    [("controller", Component::Controller), ("speaker", Component::Speaker)].into_iter().find_map(role)
}

/// Whether the Pod runs, or may begin to, and then gives or announces addresses: a controller may
/// also be there for its webhooks only.
fn acts(pod: &Pod, component: Component) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
    let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
    let can = match component {
        Component::Controller => argument(pod, "webhook-mode") != Some("onlywebhook"),
        Component::Speaker => on_host,
    };
    !has_ended && can
}

/// The value of a flag of any container, in the forms that Go's flag package takes: `--flag=value`,
/// `--flag value`, each with one or two dashes. The last one counts, as for Go.
fn argument<'a>(pod: &'a Pod, flag: &str) -> Option<&'a str> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.filter_map(|container| argument_of(container, flag)).next_back()
}

fn argument_of<'a>(container: &'a Container, flag: &str) -> Option<&'a str> {
    let mut words = container.command.iter().chain(&container.args).flatten();
    let mut value = None;
    while let Some(word) = words.next() {
        let Some(written) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
        match written.split_once('=') {
            Some((name, given)) if name == flag => value = Some(given),
            None if written == flag => value = words.next().map(String::as_str),
            Some(_) | None => {}
        }
    }
    value
}

/// Local copies of `MetalLB`'s Pods, wherever it is installed.
#[derive(Debug)]
pub(crate) struct MetalLbWatch(Vec<Store<Pod>>);

impl MetalLbWatch {
    pub(crate) fn start(watches: &mut Watches, client: &Client) -> Self {
        let mut follow = |(product, component)| {
            let labels = format!("{product}=metallb,{component} in (controller,speaker)");
            watches.follow(Api::all(client.clone()), watcher::Config::default().labels(&labels), strip)
        };
        Self(LABELS.into_iter().map(&mut follow).collect())
    }

    pub(crate) async fn synced(&self) {
        for store in &self.0 {
            synced(store).await;
        }
    }

    /// Those that run now and handle Services of `lb_class`.
    pub(crate) fn pods(&self, lb_class: Option<&str>) -> MetalLbPods {
        let pods: Vec<Arc<Pod>> = self.0.iter().flat_map(Store::state).collect();
        MetalLbPods::of(pods.iter().map(Arc::as_ref), lb_class)
    }
}

/// The labels that say product and component: of its manifests and its operator, and of its Helm chart.
const LABELS: [(&str, &str); 2] =
    [("app", "component"), ("app.kubernetes.io/name", "app.kubernetes.io/component")];

/// Only names, labels, phase and the words of the command are read. What a Pod's environment
/// says is nobody's business.
fn strip(pod: &mut Pod) {
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    if let Some(spec) = &mut pod.spec {
        let words = |container: &Container| Container {
            name: container.name.clone(),
            command: container.command.clone(),
            args: container.args.clone(),
            ..Container::default()
        };
        let containers = spec.containers.iter().map(words).collect();
        let host_network = spec.host_network;
        *spec = k8s_openapi::api::core::v1::PodSpec { containers, host_network, ..Default::default() };
    }
    if let Some(status) = &mut pod.status {
        *status = k8s_openapi::api::core::v1::PodStatus { phase: status.phase.take(), ..Default::default() };
    }
}

#[cfg(test)]
mod tests;
