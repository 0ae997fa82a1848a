//! `AddressClaim`: an address reserved in a namespace, for Services that are bound to it.

use std::net::IpAddr;

use ferrolb_vocab::IpFamily;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What is reserved, and for which Services.
#[derive(CustomResource, KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1alpha1",
    kind = "AddressClaim",
    plural = "addressclaims",
    namespaced,
    doc = "An address reserved in this namespace. Only LoadBalancer Services bound to the claim receive it, and it outlives them.",
    status = "AddressClaimStatus",
    derive = "PartialEq",
    printcolumn(name = "Address", type_ = "string", json_path = ".status.address"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".status.pool"),
    printcolumn(name = "Services", type_ = "string", json_path = ".status.services"),
    printcolumn(
        name = "Reserved",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reserved\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = one_is_asked_for(), validation = family_is_of_a_pool())]
#[serde(rename_all = "camelCase")]
pub struct AddressClaimSpec {
    /// The address to reserve, which must be in a pool; exactly one of address and pool is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = address_is_one())]
    pub address: Option<String>,
    /// The IPAddressPool to reserve an address of, whether or not it has autoAssign; exactly one of address and pool is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The family of the address of the pool; IPv4 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// The Services of this namespace, by label, that are bound to the claim beside those that name it in annotation ferrolb.io/address-claim. None if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub service_selector: Option<LabelSelector>,
}

/// The family of an address.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    #[default]
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

impl From<Family> for IpFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

/// What is reserved. It is also the record by which a reservation outlives the controller.
#[derive(KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct AddressClaimStatus {
    /// The address. While the condition Reserved is not True, the one that was reserved last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The pool that it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The bound Services that have it; at most 16 are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub services: Vec<String>,
    /// Whether the address is reserved, and whether a Service has it, and if not, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl AddressClaimStatus {
    /// The recorded address, if it is one, and whether it is reserved.
    #[must_use]
    pub fn recorded(&self) -> Option<(IpAddr, bool)> {
        let address = self.address.as_deref()?.parse().ok()?;
        let reserved = self
            .conditions
            .iter()
            .any(|condition| condition.type_ == crate::conditions::RESERVED && condition.status == "True");
        Some((address, reserved))
    }
}

fn one_is_asked_for() -> Rule {
    Rule::new("has(self.address) != has(self.pool)")
        .message("ask for an address or for a pool: write exactly one of spec.address and spec.pool")
}

fn family_is_of_a_pool() -> Rule {
    Rule::new("!has(self.family) || has(self.pool)")
        .message("an address has its family already: write spec.family only beside spec.pool")
}

fn address_is_one() -> Rule {
    Rule::new("isIP(self)")
        .message("not an IP address: write one IPv4 or IPv6 address, like 192.0.2.1 or 2001:db8::1")
}
