//! `BGPPeer`: a router to peer with.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::ConfigStatus;
use crate::schema;

pub mod v1beta1;

/// The router, the session, and the nodes that hold it.
#[derive(CustomResource, KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta2",
    kind = "BGPPeer",
    root = "BgpPeer",
    plural = "bgppeers",
    namespaced,
    doc = "A BGP router to peer with.",
    status = "ConfigStatus",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(true, serde(default))",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.peerAddress"),
    printcolumn(name = "ASN", type_ = "string", json_path = ".spec.peerASN"),
    printcolumn(name = "BFD Profile", type_ = "string", json_path = ".spec.bfdProfile"),
    printcolumn(name = "Multi Hops", type_ = "string", json_path = ".spec.ebgpMultiHop")
)]
#[x_kube(
    validation = remote_asn_is_given(),
    validation = remote_asn_is_given_once(),
    validation = endpoint_is_given(),
    validation = endpoint_is_given_once(),
    validation = multi_hop_is_external(),
    validation = keepalive_fits_hold_time(),
    validation = password_is_given_once()
)]
#[serde(rename_all = "camelCase")]
pub struct BgpPeerSpec {
    /// The AS number of the local end.
    #[serde(rename = "myASN")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    #[x_kube(validation = ("self != 0", "missing local ASN: write the AS number of this cluster's end of the session"))]
    pub my_asn: u32,
    /// The AS number of the peer; exactly one of peerASN and dynamicASN is needed.
    #[serde(default, rename = "peerASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub peer_asn: Option<u32>,
    /// Accept the peer's AS number as it comes, as long as it is the same as ours (internal) or another (external).
    #[serde(default, rename = "dynamicASN", skip_serializing_if = "Option::is_none")]
    pub dynamic_asn: Option<DynamicAsn>,
    /// Another AS number to appear as to this peer, in place of myASN.
    #[serde(default, rename = "localASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub local_asn: Option<u32>,
    /// The address of the peer; exactly one of peerAddress and interface is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::address_or_empty("invalid BGPPeer address"))]
    pub peer_address: Option<String>,
    /// The host's interface to peer over without addresses (unnumbered BGP, RFC 5549).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The local address of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::address_or_empty("invalid source IP"))]
    pub source_address: Option<String>,
    /// The peer's TCP port.
    #[serde(default = "bgp_port")]
    #[schemars(range(min = 1, max = 16384))]
    pub peer_port: u16,
    /// The hold time to propose, 0s or at least 3s. RFC 4271 §4.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::duration(), validation = hold_time_is_allowed())]
    pub hold_time: Option<String>,
    /// How often to send a keepalive, at most the hold time; a third of it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::duration())]
    pub keepalive_time: Option<String>,
    /// How long to wait between attempts to connect, in whole seconds from 1s to 65535s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = schema::duration(),
        validation = connect_time_is_in_range(),
        validation = connect_time_is_whole_seconds()
    )]
    pub connect_time: Option<String>,
    /// The BGP identifier of the local end, written like an IPv4 address.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::address_or_empty("invalid router ID"))]
    pub router_id: Option<String>,
    /// The nodes that peer, by label. One match is enough; none listed: all nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub node_selectors: Vec<LabelSelector>,
    /// The TCP-MD5 password, RFC 2385. Better keep it in a Secret and name that in passwordSecret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The Secret, of type kubernetes.io/basic-auth and in this object's namespace, whose key `password` is the TCP-MD5 password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = StructMerge::Atomic)]
    pub password_secret: Option<SecretReference>,
    /// The BFDProfile of the session, by name. None: no BFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd_profile: Option<String>,
    /// Keep forwarding while a session restarts, RFC 4724. Fixed at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "EnableGracefulRestart cannot be changed after creation"))]
    pub enable_graceful_restart: Option<bool>,
    /// Whether an external peer is more than one hop away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebgp_multi_hop: Option<bool>,
    /// The host's VRF the session runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,
    /// Deprecated and without effect; use dualStackAddressFamily.
    #[serde(default, rename = "disableMP")]
    pub disable_mp: bool,
    /// Exchange both IPv4 and IPv6 prefixes on the session, whatever family its addresses are of.
    #[serde(default)]
    pub dual_stack_address_family: bool,
}

/// How a peer's AS number must relate to ours.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DynamicAsn {
    /// The same.
    Internal,
    /// Another.
    External,
}

/// The Secret that holds a password.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct SecretReference {
    /// The Secret's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Not used: the Secret is in the BGPPeer's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

const fn bgp_port() -> u16 {
    179
}

const HAS_PEER_ASN: &str = "(has(self.peerASN) && self.peerASN != 0)";
const HAS_DYNAMIC_ASN: &str = "has(self.dynamicASN)";
const HAS_ADDRESS: &str = "(has(self.peerAddress) && self.peerAddress != '')";
const HAS_INTERFACE: &str = "(has(self.interface) && self.interface != '')";

fn remote_asn_is_given() -> Rule {
    Rule::new(format!("{HAS_PEER_ASN} || {HAS_DYNAMIC_ASN}"))
        .message("missing peer ASN and dynamicASN: set peerASN, or dynamicASN to internal or external")
}

fn remote_asn_is_given_once() -> Rule {
    Rule::new(format!("!({HAS_PEER_ASN} && {HAS_DYNAMIC_ASN})"))
        .message("both peer ASN and dynamicASN specified: remove one of them")
}

fn endpoint_is_given() -> Rule {
    Rule::new(format!("{HAS_ADDRESS} || {HAS_INTERFACE}"))
        .message("peer has no Address or Interface specified: set peerAddress, or interface")
}

fn endpoint_is_given_once() -> Rule {
    Rule::new(format!("!({HAS_ADDRESS} && {HAS_INTERFACE})"))
        .message("peer has both Address and Interface specified: remove one of them")
}

fn multi_hop_is_external() -> Rule {
    Rule::new(
        "!(has(self.ebgpMultiHop) && self.ebgpMultiHop && has(self.peerASN) && self.peerASN == self.myASN)",
    )
    .message("invalid ebgp-multihop parameter set for an ibgp peer: remove ebgpMultiHop, or correct peerASN")
}

fn hold_time_is_allowed() -> Rule {
    schema::if_duration("duration(self).getSeconds() == 0 || duration(self).getSeconds() >= 3")
        .message("invalid hold time: must be 0 or >=3s")
}

fn connect_time_is_in_range() -> Rule {
    schema::if_duration("duration(self).getSeconds() >= 1 && duration(self).getSeconds() <= 65535")
        .message("connect time should be between 1 seconds to 65535")
}

fn connect_time_is_whole_seconds() -> Rule {
    schema::if_duration("duration(self).getMilliseconds() % 1000 == 0")
        .message("connect time should contain a whole number of seconds")
}

fn keepalive_fits_hold_time() -> Rule {
    let is_duration = |field: &str| schema::IS_DURATION.replace("self", field);
    Rule::new(format!(
        "!has(self.holdTime) || !has(self.keepaliveTime) || !({}) || !({}) || \
         duration(self.keepaliveTime) <= duration(self.holdTime)",
        is_duration("self.holdTime"),
        is_duration("self.keepaliveTime")
    ))
    .message("invalid keepaliveTime, must be lower than holdTime: lower it to a third of holdTime")
}

fn password_is_given_once() -> Rule {
    Rule::new(
        "!(has(self.password) && self.password != '' && has(self.passwordSecret) && \
          has(self.passwordSecret.name) && self.passwordSecret.name != '')",
    )
    .message("both password and passwordSecret specified: remove one of them")
}
