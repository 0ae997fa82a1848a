//! What stands under the key `config` of MetalLB's ConfigMap.
//!
//! Unknown keys are errors, as they were for the MetalLB that read it (its converter drops them):
//! a misspelt `auto-assign` must not become a pool that everybody gets addresses from.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) peers: Vec<Peer>,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) bgp_communities: BTreeMap<String, String>,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) address_pools: Vec<AddressPool>,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) bfd_profiles: Vec<BfdProfile>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Peer {
    pub(super) my_asn: u32,
    pub(super) peer_asn: u32,
    pub(super) peer_address: String,
    pub(super) source_address: String,
    pub(super) peer_port: u16,
    pub(super) hold_time: String,
    pub(super) keepalive_time: String,
    pub(super) router_id: String,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) node_selectors: Vec<NodeSelector>,
    pub(super) password: String,
    pub(super) bfd_profile: String,
    pub(super) ebgp_multihop: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NodeSelector {
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) match_expressions: Vec<MatchExpression>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MatchExpression {
    pub(super) key: String,
    pub(super) operator: String,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) values: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AddressPool {
    pub(super) name: String,
    /// `layer2` or `bgp`.
    pub(super) protocol: String,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) addresses: Vec<String>,
    pub(super) auto_assign: Option<bool>,
    pub(super) avoid_buggy_ips: Option<bool>,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) bgp_advertisements: Vec<BgpAdvertisement>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BgpAdvertisement {
    pub(super) aggregation_length: Option<i32>,
    pub(super) aggregation_length_v6: Option<i32>,
    pub(super) localpref: u32,
    #[serde(deserialize_with = "empty_if_null")]
    pub(super) communities: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BfdProfile {
    pub(super) name: String,
    pub(super) receive_interval: Option<u32>,
    pub(super) transmit_interval: Option<u32>,
    pub(super) detect_multiplier: Option<u32>,
    pub(super) echo_interval: Option<u32>,
    pub(super) echo_mode: bool,
    pub(super) passive_mode: bool,
    pub(super) minimum_ttl: Option<u32>,
}

/// A key without a value is an empty list, as Go reads it.
fn empty_if_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}
