//! `Community`: names for BGP communities.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::conditions::ConfigStatus;
use crate::schema;

/// The aliases this object defines.
#[derive(CustomResource, KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "Community",
    plural = "communities",
    namespaced,
    doc = "Names for BGP communities, used by BGPAdvertisement objects.",
    status = "ConfigStatus",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(true, serde(default))"
)]
#[serde(rename_all = "camelCase")]
pub struct CommunitySpec {
    /// The aliases. A name may be defined once only, in all Community objects together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::community_aliases")]
    pub communities: Vec<CommunityAlias>,
}

/// One alias. Its schema, with the bounds that its rules need, is with the other schemas that have rules.
#[derive(Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct CommunityAlias {
    /// The name that advertisements use.
    pub name: String,
    /// The community: 64500:1 or large:64500:1:2.
    pub value: String,
}
