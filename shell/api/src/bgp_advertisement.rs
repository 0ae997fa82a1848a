//! `BGPAdvertisement`: which pools are advertised to which BGP peers, with what attributes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::conditions::ConfigStatus;
use crate::schema;

/// What an advertisement selects, every empty list selecting all, and the attributes it sets.
#[derive(CustomResource, KubeSchema, Deserialize, Serialize, Clone, Debug, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BGPAdvertisement",
    root = "BgpAdvertisement",
    plural = "bgpadvertisements",
    namespaced,
    doc = "Advertises the addresses of pools to BGP peers.",
    status = "ConfigStatus",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(true, serde(default))",
    printcolumn(name = "IPAddressPools", type_ = "string", json_path = ".spec.ipAddressPools"),
    printcolumn(
        name = "IPAddressPool Selectors",
        type_ = "string",
        json_path = ".spec.ipAddressPoolSelectors"
    ),
    printcolumn(name = "Peers", type_ = "string", json_path = ".spec.peers"),
    printcolumn(name = "Node Selectors", type_ = "string", json_path = ".spec.nodeSelectors", priority = 10)
)]
#[x_kube(validation = (
    "!has(self.serviceSelectors) || self.serviceSelectors.size() == 0 || \
     ((!has(self.aggregationLength) || self.aggregationLength == 32) && \
      (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",
    "serviceSelectors and aggregationLength are mutually exclusive, can only be used together with \
     default aggregationLength (32) and aggregationLengthV6 (128)"
))]
#[serde(rename_all = "camelCase")]
pub struct BgpAdvertisementSpec {
    /// The length of the IPv4 prefixes to advertise: 32 advertises each address by itself.
    #[serde(default = "host_prefix_v4")]
    #[schemars(range(min = 1, max = 32))]
    pub aggregation_length: i32,
    /// The length of the IPv6 prefixes to advertise: 128 advertises each address by itself.
    #[serde(default = "host_prefix_v6")]
    #[schemars(range(max = 128))]
    pub aggregation_length_v6: i32,
    /// The LOCAL_PREF attribute for internal peers; 0 leaves it to the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Communities to attach: 64500:1, large:64500:1:2, or the name of an alias in a Community object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::advertised_communities")]
    pub communities: Vec<String>,
    /// The pools to advertise, by name, beside those selected by label. No name and no selector: all pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ip_address_pools: Vec<String>,
    /// The pools to advertise, by label. One match is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// The nodes that advertise themselves as next hop, by label. One match is enough; none listed: all nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub node_selectors: Vec<LabelSelector>,
    /// The BGPPeer objects to advertise to, by name. None listed: all peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub peers: Vec<String>,
    /// The Services, by label, whose addresses are advertised. One match is enough; none listed: all Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub service_selectors: Vec<LabelSelector>,
}

impl Default for BgpAdvertisementSpec {
    fn default() -> Self {
        Self {
            aggregation_length: host_prefix_v4(),
            aggregation_length_v6: host_prefix_v6(),
            local_pref: None,
            communities: Vec::new(),
            ip_address_pools: Vec::new(),
            ip_address_pool_selectors: Vec::new(),
            node_selectors: Vec::new(),
            peers: Vec::new(),
            service_selectors: Vec::new(),
        }
    }
}

const fn host_prefix_v4() -> i32 {
    32
}

const fn host_prefix_v6() -> i32 {
    128
}
