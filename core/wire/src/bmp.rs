//! BMP, by which a monitoring station is told of a speaker's sessions and routes: RFC 7854, with the
//! Adj-RIB-Out of RFC 8671.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+-----------------------------------------------+
//! |  Version, 3   |             Length, 32 bits …                 |
//! +---------------+---------------+---------------+---------------+
//! |    … Length   |     Type      |   Peer Type   |V|L|A|O|       |
//! +---------------+---------------+---------------+---------------+
//! |                Peer Distinguisher, 64 bits                    |
//! |                Peer Address, 128 bits                         |
//! |                Peer AS                                        |
//! |                Peer BGP ID                                    |
//! |                Timestamp: seconds, microseconds               |
//! +---------------------------------------------------------------+
//! ```
//!
//! What follows the type is the [`PerPeerHeader`], which messages about the speaker itself lack, and
//! what is particular to the type. A station says nothing: messages are made here and never read.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU64;
use core::time::Duration;

use ferrolb_vocab::{Asn, BgpId};

use crate::bgp::{Family, Notification};

/// What most messages are about: a session with a peer (RFC 7854 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerPeerHeader {
    /// Tells peers with the same address apart: the routing instance that this one is in (a Local
    /// Instance Peer); `None` in the global one.
    pub distinguisher: Option<NonZeroU64>,
    /// The peer's end of the connection.
    pub address: IpAddr,
    /// The peer's AS number.
    pub asn: Asn,
    /// The peer's BGP Identifier.
    pub bgp_id: BgpId,
    /// When what is told has happened, since the beginning of 1970 (UTC); zero: not known.
    pub timestamp: Duration,
}

/// A session that has come up (RFC 7854 §4.10).
#[derive(Clone, Copy, Debug)]
pub struct PeerUp<'a> {
    /// This end of the connection.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// This side's OPEN, the whole message.
    pub sent_open: &'a [u8],
    /// The body of the peer's.
    pub received_open: &'a [u8],
    /// What the speaker's operator calls the peer (Admin Label, RFC 8671 §6.3.1).
    pub admin_label: &'a str,
}

/// Why a session is told to be down (RFC 7854 §4.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerDown {
    /// This side has ended it with a NOTIFICATION.
    LocalNotification(Notification),
    /// This side has ended it in silence, for this event of RFC 4271 §8.1; zero: for none of them.
    LocalSilence {
        /// The event's number.
        fsm_event: u16,
    },
    /// The peer has ended it with a NOTIFICATION.
    RemoteNotification(Notification),
    /// The peer has ended it in silence.
    RemoteSilence,
    /// The speaker is not to tell of the peer any more.
    Deconfigured,
}

/// A number about a session (RFC 7854 §4.8, RFC 8671 §6.2). Counters wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// UPDATEs with this side's own AS in the path.
    AsPathLoops(u32),
    /// UPDATEs that counted as withdrawals for an error (RFC 7606).
    TreatedAsWithdraw(u32),
    /// Routes that the peer was told, of all families.
    AdjRibOut(u64),
    /// Routes that the peer was told, of one family.
    AdjRibOutOf(Family, u64),
}

/// Appends an Initiation message, the first of a connection: what the speaker is and what it is called
/// (RFC 7854 §4.3). Texts are cut at 65,535 octets.
pub fn emit_initiation(system_description: &str, system_name: &str, out: &mut Vec<u8>) {
    let start = begin(INITIATION, out);
    append_tlv(SYSTEM_DESCRIPTION, system_description.as_bytes(), out);
    append_tlv(SYSTEM_NAME, system_name.as_bytes(), out);
    end(start, out);
}

/// Appends a Termination message: the session is administratively closed. It is the last of a connection
/// (RFC 7854 §4.5).
pub fn emit_termination(out: &mut Vec<u8>) {
    let start = begin(TERMINATION, out);
    append_tlv(TERMINATION_REASON, &ADMINISTRATIVELY_CLOSED.to_be_bytes(), out);
    end(start, out);
}

/// Appends a Peer Up Notification (RFC 7854 §4.10).
pub fn emit_peer_up(header: &PerPeerHeader, up: &PeerUp<'_>, out: &mut Vec<u8>) {
    let start = begin(PEER_UP, out);
    header.append(0, out);
    append_address(up.local.ip(), out);
    out.extend_from_slice(&up.local.port().to_be_bytes());
    out.extend_from_slice(&up.remote.port().to_be_bytes());
    out.extend_from_slice(up.sent_open);
    append_open(up.received_open, out);
    append_tlv(ADMIN_LABEL, up.admin_label.as_bytes(), out);
    end(start, out);
}

/// Appends a Peer Down Notification, with which a station forgets the peer's routes (RFC 7854 §4.9).
pub fn emit_peer_down(header: &PerPeerHeader, down: &PeerDown, out: &mut Vec<u8>) {
    let start = begin(PEER_DOWN, out);
    header.append(0, out);
    match down {
        PeerDown::LocalNotification(notification) => {
            out.push(1);
            out.extend(notification.emit());
        }
        PeerDown::LocalSilence { fsm_event } => {
            out.push(2);
            out.extend_from_slice(&fsm_event.to_be_bytes());
        }
        PeerDown::RemoteNotification(notification) => {
            out.push(3);
            out.extend(notification.emit());
        }
        PeerDown::RemoteSilence => out.push(4),
        PeerDown::Deconfigured => out.push(5),
    }
    end(start, out);
}

/// Appends a Route Monitoring message: an UPDATE that the peer was sent, after all policy (RFC 7854
/// §4.6, RFC 8671 §5.1), with AS numbers of four octets or of two.
pub fn emit_route_monitoring(header: &PerPeerHeader, four_octet_as: bool, update: &[u8], out: &mut Vec<u8>) {
    let as_path = if four_octet_as { 0 } else { TWO_OCTET_AS_PATH };
    let start = begin(ROUTE_MONITORING, out);
    header.append(POST_POLICY | ADJ_RIB_OUT | as_path, out);
    out.extend_from_slice(update);
    end(start, out);
}

/// Appends a Statistics Report (RFC 7854 §4.8); nothing if there are no `statistics`.
pub fn emit_statistics(header: &PerPeerHeader, statistics: &[Statistic], out: &mut Vec<u8>) {
    let Some(count) = u32::try_from(statistics.len()).ok().filter(|count| *count > 0) else { return };
    let start = begin(STATISTICS_REPORT, out);
    header.append(0, out);
    out.extend_from_slice(&count.to_be_bytes());
    for statistic in statistics {
        statistic.append(out);
    }
    end(start, out);
}

impl PerPeerHeader {
    fn append(&self, flags: u8, out: &mut Vec<u8>) {
        let family = if self.address.is_ipv6() { IPV6 } else { 0 };
        let peer_type = if self.distinguisher.is_some() { LOCAL_INSTANCE } else { GLOBAL_INSTANCE };
        out.extend_from_slice(&[peer_type, flags | family]);
        out.extend_from_slice(&self.distinguisher.map_or(0, NonZeroU64::get).to_be_bytes());
        append_address(self.address, out);
        out.extend_from_slice(&self.asn.0.to_be_bytes());
        out.extend_from_slice(&self.bgp_id.get().to_be_bytes());
        let seconds = u32::try_from(self.timestamp.as_secs()).unwrap_or(u32::MAX);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&self.timestamp.subsec_micros().to_be_bytes());
    }
}

impl Statistic {
    fn append(self, out: &mut Vec<u8>) {
        match self {
            Self::AsPathLoops(count) => append_tlv(AS_PATH_LOOPS, &count.to_be_bytes(), out),
            Self::TreatedAsWithdraw(count) => append_tlv(TREATED_AS_WITHDRAW, &count.to_be_bytes(), out),
            Self::AdjRibOut(count) => append_tlv(ADJ_RIB_OUT_ROUTES, &count.to_be_bytes(), out),
            Self::AdjRibOutOf(family, count) => {
                let mut value = Vec::with_capacity(11);
                value.extend_from_slice(&family.afi().to_be_bytes());
                value.push(family.safi());
                value.extend_from_slice(&count.to_be_bytes());
                append_tlv(ADJ_RIB_OUT_ROUTES_OF_FAMILY, &value, out);
            }
        }
    }
}

/// Appends the common header without its length, and says where it starts (RFC 7854 §4.1).
fn begin(message_type: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0, message_type]);
    start
}

/// Gives the message that [`begin`] began at `start`, and that ends here, its length.
fn end(start: usize, out: &mut [u8]) {
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start + 1..).and_then(<[u8]>::first_chunk_mut) {
        *field = length.to_be_bytes();
    }
}

/// An address in 16 octets, of which one of IPv4 takes the last four.
fn append_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            out.extend_from_slice(&[0; 12]);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

/// An OPEN message of this body, as it came in one: RFC 4271 §4.1.
fn append_open(body: &[u8], out: &mut Vec<u8>) {
    #[expect(clippy::cast_possible_truncation, reason = "no message has more than 4096 octets")]
    let length = (crate::bgp::HEADER_LENGTH + body.len()) as u16;
    out.extend_from_slice(&[0xff; 16]);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(crate::bgp::MessageType::Open.code());
    out.extend_from_slice(body);
}

/// Type, length, value (RFC 7854 §4.4); what the length cannot tell is cut off.
fn append_tlv(kind: u16, value: &[u8], out: &mut Vec<u8>) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    #[expect(clippy::cast_possible_truncation, reason = "it was cut to what fits")]
    let length = value.len() as u16;
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

const VERSION: u8 = 3;

// Types of messages, RFC 7854 §4.1.
const ROUTE_MONITORING: u8 = 0;
const STATISTICS_REPORT: u8 = 1;
const PEER_DOWN: u8 = 2;
const PEER_UP: u8 = 3;
const INITIATION: u8 = 4;
const TERMINATION: u8 = 5;

// Types of peers, RFC 7854 §4.2.
const GLOBAL_INSTANCE: u8 = 0;
const LOCAL_INSTANCE: u8 = 2;

// Flags of a peer, RFC 7854 §4.2 and RFC 8671 §4.
const IPV6: u8 = 1 << 7;
const POST_POLICY: u8 = 1 << 6;
const TWO_OCTET_AS_PATH: u8 = 1 << 5;
const ADJ_RIB_OUT: u8 = 1 << 4;

// Types of information, RFC 7854 §4.4 and §4.5, RFC 8671 §6.3.1.
const SYSTEM_DESCRIPTION: u16 = 1;
const SYSTEM_NAME: u16 = 2;
const ADMIN_LABEL: u16 = 4;
const TERMINATION_REASON: u16 = 1;
const ADMINISTRATIVELY_CLOSED: u16 = 0;

// Types of statistics, RFC 7854 §4.8, RFC 8671 §6.2.
const AS_PATH_LOOPS: u16 = 4;
const TREATED_AS_WITHDRAW: u16 = 11;
const ADJ_RIB_OUT_ROUTES: u16 = 15;
const ADJ_RIB_OUT_ROUTES_OF_FAMILY: u16 = 17;

#[cfg(test)]
mod tests;
