//! Back to an empty cluster between two tests, without restarting it.
//!
//! Deleted is what a test can have made: admission webhooks, every object in `default` and in namespaces
//! that are not the lab's, and the configuration objects of MetalLB and FerroLB. Nodes get the labels, taints and
//! conditions they had after `up`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Context;
use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Namespace, Node, Service, Taint};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy,
};
use kube::core::ApiResource;
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cluster::wait_until;

/// Namespace of whoever does not choose one: emptied, never deleted.
const DEFAULT_NAMESPACE: &str = "default";
/// Namespaces that `up` leaves behind.
const SYSTEM_NAMESPACES: [&str; 5] =
    ["kube-system", "kube-public", "kube-node-lease", "ferrolb-system", "metallb-system"];
/// Namespaces configuration objects are read from, and their groups.
const CONFIG_NAMESPACES: [&str; 2] = ["ferrolb-system", "metallb-system"];
const CONFIG_GROUPS: [&str; 2] = ["ferrolb.io", "metallb.io"];
/// Objects of `default` that belong to the cluster: resource and name.
const CLUSTERS_OWN: [(&str, &str); 5] = [
    ("services", "kubernetes"),
    ("endpoints", "kubernetes"),
    ("endpointslices", "kubernetes"),
    ("configmaps", "kube-root-ca.crt"),
    ("serviceaccounts", "default"),
];
/// Events are deleted like the rest, but the deletions themselves cause new ones: not waited for.
const EVENTS: &str = "events";
/// Requests to the API server at one time.
const CONCURRENCY: usize = 16;
/// A Pod of a test has nothing to finish.
const GRACE_SECONDS: u32 = 1;
/// Taints and labels of this prefix are the node lifecycle controller's.
const LIFECYCLE_PREFIX: &str = "node.kubernetes.io/";
const CORDON_TAINT: &str = "node.kubernetes.io/unschedulable";

/// What `reset` gives back to a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
    conditions: Vec<String>,
}

/// Objects to delete: all of one resource, in one namespace or cluster-wide.
struct Collection {
    resource: ApiResource,
    namespace: Option<String>,
}

/// Reads the baseline of every node.
pub(crate) async fn baselines(client: &Client) -> anyhow::Result<BTreeMap<String, Baseline>> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await.context("list nodes")?;
    Ok(nodes.iter().map(|node| (node.name_any(), Baseline::of(node))).collect())
}

/// Deletes what tests made and waits until it is gone.
pub(crate) async fn delete_objects(client: &Client, deadline: Instant) -> anyhow::Result<()> {
    delete_webhooks(client).await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    let mut foreign = Vec::new();
    for namespace in namespaces.list(&ListParams::default()).await.context("list namespaces")? {
        let name = namespace.name_any();
        if name != DEFAULT_NAMESPACE && !SYSTEM_NAMESPACES.contains(&name.as_str()) {
            ignore_absence(namespaces.delete(&name, &DeleteParams::default()).await)
                .with_context(|| format!("delete namespace {name}"))?;
            foreign.push(name);
        }
    }
    let collections = collections(client, &foreign).await?;
    wait_until(deadline, async || delete_round(client, &collections).await)
        .await
        .context("objects of the last test do not go away")?;
    for namespace in &foreign {
        wait_until(deadline, async || finalize(&namespaces, namespace).await)
            .await
            .with_context(|| format!("namespace {namespace} does not go away"))?;
    }
    Ok(())
}

/// Ends what may refuse the deletions to come: admission webhooks, and conversions by a webhook.
async fn delete_webhooks(client: &Client) -> anyhow::Result<()> {
    let (delete, all) = (DeleteParams::default(), ListParams::default());
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    validating.delete_collection(&delete, &all).await.context("delete validating webhooks")?;
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
    mutating.delete_collection(&delete, &all).await.context("delete mutating webhooks")?;
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let none = Patch::Merge(json!({ "spec": { "conversion": { "strategy": "None", "webhook": null } } }));
    for definition in definitions.list(&all).await.context("list definitions")? {
        if definition.spec.conversion.as_ref().is_some_and(|conversion| conversion.webhook.is_some()) {
            let name = definition.name_any();
            definitions
                .patch(&name, &PatchParams::default(), &none)
                .await
                .with_context(|| format!("end the conversion of {name}"))?;
        }
    }
    Ok(())
}

/// The Services that are left, as `namespace/name`.
pub(crate) async fn services(client: &Client) -> anyhow::Result<BTreeSet<String>> {
    let all = Api::<Service>::all(client.clone());
    let list = all.list_metadata(&ListParams::default()).await.context("list Services")?;
    Ok(list.iter().map(|it| format!("{}/{}", it.namespace().unwrap_or_default(), it.name_any())).collect())
}

/// Gives every node its baseline back.
pub(crate) async fn restore_nodes(
    client: &Client,
    baselines: &BTreeMap<String, Baseline>,
) -> anyhow::Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    for node in nodes.list(&ListParams::default()).await.context("list nodes")? {
        let name = node.name_any();
        let Some(baseline) = baselines.get(&name) else { continue };
        if let Some(patch) = baseline.metadata_and_spec_patch(&node) {
            nodes
                .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .with_context(|| format!("restore labels and taints of node {name}"))?;
        }
        if let Some(patch) = baseline.status_patch(&node) {
            nodes
                .patch_status(&name, &PatchParams::default(), &Patch::Strategic(&patch))
                .await
                .with_context(|| format!("restore conditions of node {name}"))?;
        }
    }
    Ok(())
}

/// What is to be deleted where.
async fn collections(client: &Client, foreign: &[String]) -> anyhow::Result<Vec<Collection>> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await.context("discover resources")?;
    let mut collections = Vec::new();
    for group in discovery.groups() {
        // Not those of the preferred version: a kind may be served in another one only.
        for (resource, capabilities) in group.resources_by_stability() {
            if !capabilities.supports_operation(verbs::DELETE_COLLECTION) {
                continue;
            }
            let is_config = CONFIG_GROUPS.contains(&group.name()) && !is_status_kind(&resource.kind);
            let mut add = |namespace: Option<&str>| {
                let (resource, namespace) = (resource.clone(), namespace.map(str::to_owned));
                collections.push(Collection { resource, namespace });
            };
            match capabilities.scope {
                Scope::Cluster if is_config => add(None),
                Scope::Cluster => {}
                Scope::Namespaced => {
                    add(Some(DEFAULT_NAMESPACE));
                    foreign.iter().for_each(|namespace| add(Some(namespace)));
                    if is_config {
                        CONFIG_NAMESPACES.iter().for_each(|namespace| add(Some(namespace)));
                    }
                }
            }
        }
    }
    Ok(collections)
}

/// Kinds in which FerroLB itself reports are named for it and not a test's.
fn is_status_kind(kind: &str) -> bool {
    kind.ends_with("Status") || kind.ends_with("State")
}

/// Deletes every collection once; done when all were found empty.
async fn delete_round(client: &Client, collections: &[Collection]) -> anyhow::Result<Result<(), String>> {
    let rounds = stream::iter(collections).map(|collection| collection.delete(client));
    let left: Vec<anyhow::Result<usize>> = rounds.buffered(CONCURRENCY).collect().await;
    for (collection, left) in collections.iter().zip(left) {
        let left = left?;
        if left > 0 && collection.resource.plural != EVENTS {
            return Ok(Err(format!("{left} {} are left", collection.resource.plural)));
        }
    }
    Ok(Ok(()))
}

impl Collection {
    /// Deletes what is there and says how much that was.
    async fn delete(&self, client: &Client) -> anyhow::Result<usize> {
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        };
        let selected = ListParams::default().fields(&self.field_selector());
        let what =
            || format!("{} in {}", self.resource.plural, self.namespace.as_deref().unwrap_or("the cluster"));
        let found =
            api.list_metadata(&selected).await.with_context(|| format!("list {}", what()))?.items.len();
        if found > 0 {
            let params = DeleteParams {
                grace_period_seconds: Some(GRACE_SECONDS),
                propagation_policy: Some(PropagationPolicy::Background),
                ..DeleteParams::default()
            };
            ignore_absence(api.delete_collection(&params, &selected).await)
                .with_context(|| format!("delete {}", what()))?;
        }
        Ok(found)
    }

    /// Leaves out what belongs to the cluster. In a namespace that is being deleted the same names go
    /// too, and nobody can put them back.
    fn field_selector(&self) -> String {
        let is_default = self.namespace.as_deref() == Some(DEFAULT_NAMESPACE);
        let own = CLUSTERS_OWN.iter().find(|(plural, _)| is_default && *plural == self.resource.plural);
        own.map_or_else(String::new, |(_, name)| format!("metadata.name!={name}"))
    }
}

/// Ends a namespace that holds nothing any more. The namespace controller would do the same, five
/// seconds later.
async fn finalize(namespaces: &Api<Namespace>, name: &str) -> anyhow::Result<Result<(), String>> {
    let Some(mut namespace) = namespaces.get_opt(name).await.context("get namespace")? else {
        return Ok(Ok(()));
    };
    if let Some(spec) = &mut namespace.spec {
        spec.finalizers = None;
    }
    ignore_absence(
        namespaces.replace_subresource("finalize", name, &PostParams::default(), &namespace).await,
    )
    .context("finalize namespace")?;
    Ok(Err("it is still there".into()))
}

/// An object that is gone already is what deleting wants.
fn ignore_absence<T>(result: kube::Result<T>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

impl Baseline {
    fn of(node: &Node) -> Self {
        let taints = node.spec.iter().filter_map(|spec| spec.taints.clone()).flatten();
        let conditions = node.status.iter().filter_map(|status| status.conditions.clone()).flatten();
        Self {
            labels: node.labels().clone(),
            taints: taints.filter(|taint| !taint.key.starts_with(LIFECYCLE_PREFIX)).collect(),
            conditions: conditions.map(|condition| condition.type_).collect(),
        }
    }

    fn metadata_and_spec_patch(&self, node: &Node) -> Option<serde_json::Value> {
        let now = Self::of(node);
        let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
        if now.labels == self.labels && now.taints == self.taints && !cordoned {
            return None;
        }
        let mut labels: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        labels.extend(now.labels.keys().map(|key| (key.as_str(), None)));
        labels.extend(self.labels.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))));
        let current = node.spec.iter().filter_map(|spec| spec.taints.clone()).flatten();
        let lifecycle =
            current.filter(|taint| taint.key.starts_with(LIFECYCLE_PREFIX) && taint.key != CORDON_TAINT);
        let taints: Vec<Taint> = self.taints.iter().cloned().chain(lifecycle).collect();
        Some(json!({
            "metadata": { "labels": labels },
            "spec": { "taints": taints, "unschedulable": null },
        }))
    }

    fn status_patch(&self, node: &Node) -> Option<serde_json::Value> {
        let now = Self::of(node).conditions;
        let extra: Vec<_> = now
            .iter()
            .filter(|condition| !self.conditions.contains(condition))
            .map(|condition| json!({ "$patch": "delete", "type": condition }))
            .collect();
        (!extra.is_empty()).then(|| json!({ "status": { "conditions": extra } }))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use serde_json::json;

    use super::{Baseline, is_status_kind};

    fn node(labels: serde_json::Value, spec: serde_json::Value) -> Node {
        serde_json::from_value(json!({ "metadata": { "name": "n", "labels": labels }, "spec": spec }))
            .unwrap()
    }

    #[test]
    fn an_unchanged_node_is_left_alone() {
        let node = node(json!({ "a": "1" }), json!({}));
        assert_eq!(Baseline::of(&node).metadata_and_spec_patch(&node), None);
        assert_eq!(Baseline::of(&node).status_patch(&node), None);
    }

    #[test]
    fn labels_taints_and_cordon_are_taken_back_but_not_the_lifecycle_controllers_taints() {
        let baseline = Baseline::of(&node(
            json!({ "a": "1" }),
            json!({ "taints": [{ "key": "control-plane", "effect": "NoSchedule" }] }),
        ));
        let changed = node(
            json!({ "a": "2", "b": "3" }),
            json!({ "unschedulable": true, "taints": [
                { "key": "node.kubernetes.io/unreachable", "effect": "NoExecute" },
                { "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" },
                { "key": "mine", "effect": "NoSchedule" },
            ]}),
        );
        let patch = baseline.metadata_and_spec_patch(&changed).unwrap();
        assert_eq!(patch["metadata"]["labels"], json!({ "a": "1", "b": null }));
        let keys: Vec<&str> = patch["spec"]["taints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|taint| taint["key"].as_str().unwrap())
            .collect();
        assert_eq!(keys, ["control-plane", "node.kubernetes.io/unreachable"]);
        assert!(patch["spec"]["unschedulable"].is_null());
    }

    #[test]
    fn conditions_a_test_added_are_deleted() {
        let baseline = Baseline { conditions: vec!["Ready".into()], ..Baseline::default() };
        let node: Node = serde_json::from_value(json!({ "metadata": {}, "status": { "conditions": [
            { "type": "Ready", "status": "True" }, { "type": "NetworkUnavailable", "status": "True" },
        ]}}))
        .unwrap();
        let patch = baseline.status_patch(&node).unwrap();
        assert_eq!(
            patch["status"]["conditions"],
            json!([{ "$patch": "delete", "type": "NetworkUnavailable" }])
        );
    }

    #[test]
    fn only_kinds_that_configure_are_deleted() {
        assert!(is_status_kind("ServiceL2Status") && is_status_kind("NodeState"));
        assert!(!is_status_kind("IPAddressPool") && !is_status_kind("Community"));
    }
}
