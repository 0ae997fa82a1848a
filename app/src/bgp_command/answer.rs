//! What a speaker says when it is asked: the JSON of `ferrolb bgp`.
//!
//! What is absent has no field; a field that is added later means what its name says, so that who reads
//! them need not know all.

use ferrolb_api::bgp_session::BgpSessionStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

/// The answer about sessions, and about what peers have told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// The node whose speaker answers.
    pub node: String,
    /// Each `BGPPeer` that the node is to have a session with, by name.
    pub sessions: Vec<Session>,
}

/// The session with a peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Namespace and name of the `BGPPeer`.
    pub peer: String,
    /// Where the peer is to be: address and port. Absent where there can be no session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The peer's AS number: what it has said itself while there is a session, and otherwise what the
    /// `BGPPeer` says. Absent where that allows any external one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// What the `BGPSession` of the node and the peer says, as of now.
    pub status: BgpSessionStatus,
    /// How many prefixes the peer has been told and has not been told to forget.
    pub advertised: usize,
    /// How many prefixes it is yet to be told, told anew, or told to forget.
    pub pending: usize,
    /// What the peer has told. None of it is kept or used.
    pub received: Received,
    /// Why the last session, or attempt at one, ended, or what keeps the next from beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// Counts of what a peer has told since this speaker knows it: checked as RFC 7606 says, and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// UPDATEs.
    pub updates: u64,
    /// Prefixes that were told as reachable, each as often as it was told.
    pub reachable: u64,
    /// Prefixes that were withdrawn, by word or by an error, likewise.
    pub withdrawn: u64,
    /// UPDATEs that counted as withdrawals for an error.
    pub treated_as_withdraw: u64,
    /// UPDATEs of which attributes were discarded for an error.
    pub attributes_discarded: u64,
    /// UPDATEs with this side's own AS in the path: its own routes, as a rule.
    pub looped: u64,
    /// Families of which the peer has told all in this session, by End-of-RIB.
    pub end_of_rib: Vec<String>,
}

/// Why there was an end, or is no beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// When; absent for what is so now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// In one word, which is also that of metrics and conditions.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// The answer about what peers have been told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advertised {
    /// The node whose speaker answers.
    pub node: String,
    /// Each peer that was asked about, by name.
    pub peers: Vec<AdvertisedTo>,
}

/// What a peer has been told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdvertisedTo {
    /// Namespace and name of the `BGPPeer`.
    pub peer: String,
    /// How many prefixes the peer is yet to be told, told anew, or told to forget. While there are some, the
    /// attributes of routes that are to be told anew are those that they will have.
    pub pending: usize,
    /// The routes that it has been told and has not been told to forget, by prefix, IPv4 first.
    pub routes: Vec<Route>,
}

/// A route as it was sent: RFC 4271 §5.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// In CIDR notation.
    pub prefix: String,
    /// `NEXT_HOP`, or that of `MP_REACH_NLRI`: an IPv6 one that is global, where there is one.
    pub next_hop: String,
    /// The link-local IPv6 next hop that went with it: RFC 2545 §3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop_link_local: Option<String>,
    /// `ORIGIN`: `igp`, `egp` or `incomplete`.
    pub origin: String,
    /// `AS_PATH`, nearest first; empty towards an internal peer.
    pub as_path: Vec<u32>,
    /// `MULTI_EXIT_DISC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_exit_disc: Option<u32>,
    /// `LOCAL_PREF`, which only internal peers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Communities, as `AS:VALUE`: RFC 1997.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<String>,
    /// Large communities, as `AS:VALUE:VALUE`: RFC 8092.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub large_communities: Vec<String>,
    /// Share of the traffic beside other paths: RFC 10005.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_bandwidth: Option<LinkBandwidth>,
}

/// The extended community of RFC 10005.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkBandwidth {
    /// The AS that attached it; 23456 for one of four octets.
    pub asn: u32,
    /// As it travels. FerroLB says 125,000 (1 Mbit/s) for each ready endpoint on the node.
    pub octets_per_second: f32,
    /// Whether it goes beyond the neighbouring AS.
    pub is_transitive: bool,
}
