//! What `ferrolb-peer` is told and what it tells, both a line of JSON each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A line of `ferrolb-peer`'s standard input. When that ends, the process does too, in silence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Have this session, instead of what was wanted before.
    Speak(Description),
    /// End the session with this text for the router's operator (RFC 9003), and then the process.
    Leave(String),
}

/// A session with one router, and all that it is to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// This side's AS number.
    pub local_asn: u32,
    /// The router's.
    pub remote_asn: u32,
    /// The address to connect from.
    pub local: IpAddr,
    /// The router's address.
    pub remote: IpAddr,
    /// The next hop of IPv4 prefixes over IPv6, and the BGP Identifier.
    pub next_hop_ipv4: Ipv4Addr,
    /// The next hop of IPv6 prefixes over IPv4.
    pub next_hop_ipv6: Ipv6Addr,
    /// The hold time to offer, in seconds.
    pub hold_time: u16,
    /// Whether the router may still have routes of a process before this one: RFC 4724 §4.1.
    pub has_restarted: bool,
    /// The key of TCP-MD5, RFC 2385.
    pub password: Option<String>,
    /// The BFD session beside it.
    pub bfd: Option<BfdTiming>,
    /// What the router is to know.
    pub routes: Vec<RouteDescription>,
}

/// How often BFD packets go and must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdTiming {
    /// In both directions, in milliseconds.
    pub interval_ms: u32,
    /// How many of them may be missed; not zero.
    pub detect_mult: u8,
}

/// A prefix, in the words of `BGPAdvertisement`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RouteDescription {
    /// The prefix.
    pub prefix: String,
    /// `A:B`, RFC 1997.
    pub communities: Vec<String>,
    /// `A:B:C`, RFC 8092.
    pub large_communities: Vec<String>,
    /// LOCAL_PREF, for an internal peer.
    pub local_pref: Option<u32>,
}

/// A line of `ferrolb-peer`'s standard output: how things are when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The state of RFC 4271 §8.2.2.
    pub state: String,
    /// How often there was a session.
    pub established: u64,
    /// The name of the reason for which the last session or attempt ended.
    pub last_lost: Option<String>,
    /// Why no connection can be opened.
    pub error: Option<String>,
    /// Whether AS numbers have four octets: RFC 6793. Of the session that there is, like what follows.
    pub four_octet_as: bool,
    /// Whether the router can keep routes through a restart: RFC 4724.
    pub graceful_restart: bool,
    /// The hold time that was agreed on, in seconds.
    pub hold_time: Option<u64>,
    /// The families of which the router has told all, by name.
    pub end_of_rib: Vec<String>,
    /// Prefixes that the router has told as reachable, each as often as it was told.
    pub reachable: u64,
    /// UPDATEs of the router's in which there was an error: RFC 7606.
    pub erroneous: u64,
    /// ROUTE-REFRESHes of the router's: RFC 2918.
    pub route_refreshes: u64,
    /// UPDATEs to the router.
    pub updates_sent: u64,
    /// Prefixes that are still to be sent.
    pub pending: usize,
    /// The BFD session, if there is to be one.
    pub bfd: Option<BfdView>,
}

/// How the BFD session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdView {
    /// This side's state.
    pub state: String,
    /// What the router says of its own.
    pub remote_state: String,
    /// How often it has left Up.
    pub downs: u64,
    /// Why it did last.
    pub down: Option<String>,
    /// How long the router may be silent, in microseconds.
    pub detection_time_us: Option<u128>,
    /// Why it does not run.
    pub error: Option<String>,
}
