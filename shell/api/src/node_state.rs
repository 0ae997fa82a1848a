//! `NodeState`: what only a node can see, written by its speaker and judged by the controller.
//!
//! The object is an observation, so everything is under `status` and there is no `spec`. It has one
//! writer, the speaker of the node it is named after, and therefore no status *subresource*: one
//! server-side apply creates or updates the whole. The speaker writes only when
//! [`NodeStateStatus::same_observation`] is false, so an idle cluster writes nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Empty: the kind has no `spec`.
#[derive(CustomResource, JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1alpha1",
    kind = "NodeState",
    plural = "nodestates",
    no_spec,
    doc = "What the speaker of the node with this name can see of its node.",
    status = "NodeStateStatus",
    derive = "PartialEq",
    derive = "Default",
    printcolumn(name = "Ready", type_ = "boolean", json_path = ".status.speaker.ready"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.speaker.version"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.speaker.pod", priority = 10),
    printcolumn(name = "Observed", type_ = "date", json_path = ".status.observedAt")
)]
pub struct NodeStateFields {}

/// The observation.
#[derive(KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NodeStateStatus {
    /// When anything else in this status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Time>,
    /// The speaker that wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<SpeakerState>,
    /// The host's interfaces that can carry announcements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub links: Vec<LinkState>,
    /// What concerns the node as a whole, such as a driver that cannot start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl NodeStateStatus {
    /// Whether `other` observed the same: equal in all but the time.
    #[must_use]
    pub fn same_observation(&self, other: &Self) -> bool {
        let Self { observed_at: _, speaker, links, conditions } = self;
        (speaker, links, conditions) == (&other.speaker, &other.links, &other.conditions)
    }
}

/// The process that observes.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct SpeakerState {
    /// The speaker's version, as in `ferrolb --version`.
    pub version: String,
    /// Whether it has seen the whole configuration and its drivers are up.
    pub ready: bool,
    /// The name of its Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// One interface of the host.
#[derive(KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct LinkState {
    /// The interface's name.
    pub name: String,
    /// Whether it is up and has carrier.
    pub up: bool,
    /// Its link-layer address, six hexadecimal octets separated by colons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The node's own addresses on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The prefixes that are on-link through it, as CIDRs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Load-balanced addresses that another host on this link has or claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["address".into()]))]
    pub conflicts: Vec<AddressConflict>,
    /// What the speaker found on this link as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The most [`LinkState::conflicts`]: more are no single host's mistake, and no person reads them. The schema
/// has the same number.
pub const CONFLICTS_MAX: usize = 64;

/// Another host that has or claims a load-balanced address.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, PartialEq)]
pub struct AddressConflict {
    /// The address.
    pub address: String,
    /// The other host's link-layer address, six hexadecimal octets separated by colons.
    pub mac: String,
    /// The node of the cluster that the other host is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What that means here.
    pub state: ConflictState,
}

/// How a node stands to an address that another host has.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// The other host had it first: the node does not announce it, and asks again every 30 s.
    Occupied,
    /// The other host claimed it lately, while the node announced it: the node goes on.
    Contested,
    /// The other host had it first when the node was last to announce it, lately: nobody asks any more, and
    /// who is to announce it next asks before.
    Avoided,
    /// The other host claimed it lately, while the node announced it, which it does no more: nobody asks.
    Released,
}
