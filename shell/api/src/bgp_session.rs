//! `BGPSession`: how the session of a node with a BGP peer is.
//!
//! An observation like `NodeState`, written by the speaker of the node, and an object of its own because
//! it changes oftener than anything else of a node, and nobody but people and the controller reads it
//! (docs/adr/0020-report-bgp-sessions-in-a-kind-of-their-own.md).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Empty: the kind only reports.
#[derive(CustomResource, JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1alpha1",
    kind = "BGPSession",
    root = "BgpSession",
    plural = "bgpsessions",
    namespaced,
    doc = "How the session of a node with a BGP peer is.",
    status = "BgpSessionStatus",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(true, serde(default))",
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Peer", type_ = "string", json_path = ".status.peer"),
    printcolumn(name = "Caller", type_ = "string", json_path = ".status.caller"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.since"),
    printcolumn(name = "BFD", type_ = "string", json_path = ".status.bfd.state"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 10)
)]
pub struct BgpSessionSpec {}

/// The session. Node and peer never change: another session is another object.
#[derive(KubeSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BgpSessionStatus {
    /// The node of this side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "Value is immutable"))]
    pub node: Option<String>,
    /// The BGPPeer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "Value is immutable"))]
    pub peer: Option<String>,
    /// The BGPPeer's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "Value is immutable"))]
    pub peer_namespace: Option<String>,
    /// The peer's address where the BGPPeer is a range: there is an object for each peer that has connected, and one without
    /// this for the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "Value is immutable"))]
    pub caller: Option<String>,
    /// Idle, Connect, Active, OpenSent, OpenConfirm or Established: RFC 4271 §8.2.2. Idle too where there can be no session, and
    /// Listening for a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Since when it is in that state. While there is no session, this and what is below may be some seconds old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why there is no session, in one word; absent while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why there is no session, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// This side's address and port of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    /// The peer's address and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// What both sides have agreed on; absent while there is no session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiated: Option<Negotiated>,
    /// What the peer has been told, by address family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["family".into()]))]
    pub prefixes: Vec<Prefixes>,
    /// The last NOTIFICATION that the peer was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<Notification>,
    /// The last NOTIFICATION that the peer sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received: Option<Notification>,
    /// How BFD sees the path to the peer; absent where it does not watch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<Bfd>,
}

/// What the OPENs of both sides agree on.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Negotiated {
    /// This side's AS number, as the peer sees it.
    #[serde(rename = "localASN")]
    pub local_asn: u32,
    /// The peer's AS number.
    #[serde(rename = "remoteASN")]
    pub remote_asn: u32,
    /// The peer's BGP Identifier.
    #[serde(rename = "remoteID")]
    pub remote_id: String,
    /// The longest silence of either side, in seconds; 0 for any.
    pub hold_time_seconds: u32,
    /// The time between KEEPALIVEs of this side, in seconds; 0 for none.
    pub keepalive_time_seconds: u32,
    /// The address families of the routes.
    pub families: Vec<String>,
    /// What else both sides can: FourOctetAS, RouteRefresh, EnhancedRouteRefresh, ExtendedNextHop, GracefulRestart, GracefulNotification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What the peer calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// Prefixes of one address family.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct Prefixes {
    /// The family.
    pub family: String,
    /// How many the peer is to know.
    pub wanted: u32,
    /// How many it has been told, by a count that may be some seconds old.
    pub advertised: u32,
    /// Why it is told none of this family, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

/// A NOTIFICATION: RFC 4271 §4.5.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, PartialEq)]
pub struct Notification {
    /// When it was sent or came.
    pub at: Time,
    /// The error code.
    pub code: u8,
    /// The error subcode.
    pub subcode: u8,
    /// Their names, and the words of the other side's operator.
    pub text: String,
}

/// A BFD session: RFC 5880.
#[derive(JsonSchema, Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
pub struct Bfd {
    /// AdminDown, Down, Init or Up: RFC 5880 §6.2. AdminDown too where the peer's operator holds its session down.
    pub state: String,
    /// Since when it is Up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why it is not Up, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it does not run, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
