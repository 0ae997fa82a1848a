//! `ConfigurationState`: whether a component could use the configuration it read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the controller's object; a speaker's is [`speaker_object_name`].
pub const CONTROLLER_OBJECT_NAME: &str = "controller";

/// The name of the object of the speaker on `node`.
#[must_use]
pub fn speaker_object_name(node: &str) -> String {
    format!("speaker-{node}")
}

/// Empty: the kind has no `spec`.
#[derive(CustomResource, JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "ConfigurationState",
    plural = "configurationstates",
    namespaced,
    no_spec,
    doc = "Whether the controller, or the speaker of a node, could use the configuration it read.",
    status = "ConfigurationStateStatus",
    derive = "PartialEq",
    derive = "Default",
    printcolumn(name = "Result", type_ = "string", json_path = ".status.result"),
    printcolumn(name = "ErrorSummary", type_ = "string", json_path = ".status.errorSummary"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ConfigurationStateFields {}

/// The verdict.
#[derive(KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStateStatus {
    /// The verdict in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ConfigurationResult>,
    /// The messages of the failing conditions, one per line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_summary: Option<String>,
    /// The verdict of each part of the component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A verdict on the configuration.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationResult {
    /// All of it is in use.
    Valid,
    /// Some of it cannot be used.
    Invalid,
    /// Nothing has been judged yet.
    Unknown,
}
