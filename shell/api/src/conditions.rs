//! Condition types and reasons, and the status that configuration kinds share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Configuration objects: the object was read and makes sense. False: it is ignored, or in part;
/// the message says which field, why, and what to write instead.
pub const ACCEPTED: &str = "Accepted";
/// Configuration objects: what the object asks for happens, somewhere. False: the message says
/// what is missing.
pub const READY: &str = "Ready";
/// Services: every address the Service asks for is allocated. False: the message says why not, and
/// what to do.
pub const ADDRESS_ALLOCATED: &str = "ferrolb.io/AddressAllocated";
/// Services: another host has or claims an address of the Service. Absent if none does; the message names
/// the host, and says what to do.
pub const ADDRESS_CONFLICT: &str = "ferrolb.io/AddressConflict";
/// `AddressClaim`s: the address belongs to the claim. False: the message says why not, and what to do.
pub const RESERVED: &str = "Reserved";
/// `AddressClaim`s: a Service has the address.
pub const BOUND: &str = "Bound";

/// `ConfigurationState` of the controller: pools, communities and namespaces could be used.
pub const POOL_RECONCILER_VALID: &str = "poolReconcilerValid";
/// `ConfigurationState` of a speaker: the objects that concern its node could be used.
pub const CONFIG_RECONCILER_VALID: &str = "configReconcilerValid";

/// Reasons of the conditions of a `ConfigurationState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationReason {
    /// The configuration is in use.
    Reconciled,
    /// An object cannot be used.
    ConfigurationError,
    /// The configuration could not be read at all.
    UnknownError,
}

impl ConfigurationReason {
    /// The reason as written in the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reconciled => "Reconciled",
            Self::ConfigurationError => "ConfigurationError",
            Self::UnknownError => "UnknownError",
        }
    }
}

/// The prefix of each message of a condition with [`ConfigurationReason::ConfigurationError`].
pub const CONFIGURATION_ERROR_PREFIX: &str = "configuration error: ";

/// The status of a configuration object.
#[derive(KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct ConfigStatus {
    /// Whether the object is accepted and in effect, and if not, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
