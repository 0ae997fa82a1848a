//! UPDATE messages that are sent: RFC 4271 §4.3, RFC 4760 §3 and §4, RFC 4724 §2, RFC 8950 §3.

use alloc::vec::Vec;
use core::iter::Peekable;

use ferrolb_vocab::IpPrefix;

use super::frame::{self, MessageType};
use super::path_attribute::{self, AttributeType, EXTENDED_LENGTH, OPTIONAL, TRANSITIVE};
use super::{EncodedAttributes, Family, HEADER_LENGTH, MESSAGE_MAX, NextHop, nlri};

/// Appends one message that tells the routes to `prefixes`, as many as it holds, and says how many
/// those are. It ends before a prefix of another family than `family`; with none, nothing is
/// appended.
///
/// IPv4 prefixes with an IPv4 next hop are the body's own, all others are in `MP_REACH_NLRI`,
/// which is then the first attribute (RFC 7606 §5.1).
pub fn emit_reachable(
    attributes: &EncodedAttributes,
    family: Family,
    prefixes: &mut Peekable<impl Iterator<Item = IpPrefix>>,
    out: &mut Vec<u8>,
) -> usize {
    if !is_next_of(family, prefixes) {
        return 0;
    }
    let start = begin(out);
    let count = match (family, attributes.next_hop()) {
        (Family::Ipv4Unicast, NextHop::Ipv4(address)) => {
            let mut next_hop = Vec::with_capacity(NEXT_HOP_LENGTH);
            path_attribute::append(TRANSITIVE, AttributeType::NEXT_HOP, &address.octets(), &mut next_hop);
            attributes.append(&next_hop, out);
            end_attributes(start, out);
            append_prefixes(family, prefixes, start + MESSAGE_MAX, out)
        }
        (Family::Ipv4Unicast, NextHop::Ipv6 { .. }) | (Family::Ipv6Unicast, _) => {
            let reach_at = begin_attribute(AttributeType::MP_REACH_NLRI, family, out);
            append_next_hop(attributes.next_hop(), out);
            let limit = start + MESSAGE_MAX - attributes.len();
            let count = append_prefixes(family, prefixes, limit, out);
            end_attribute(reach_at, out);
            attributes.append(&[], out);
            end_attributes(start, out);
            count
        }
    };
    frame::end(start, out);
    count
}

/// Appends one message that withdraws the routes to `prefixes`, as many as it holds, and says how
/// many those are. It ends before a prefix of another family than `family`; with none, nothing is
/// appended.
pub fn emit_withdrawn(
    family: Family,
    prefixes: &mut Peekable<impl Iterator<Item = IpPrefix>>,
    out: &mut Vec<u8>,
) -> usize {
    if !is_next_of(family, prefixes) {
        return 0;
    }
    match family {
        Family::Ipv4Unicast => {
            let start = frame::begin(MessageType::Update, out);
            out.extend_from_slice(&[0; 2]);
            let withdrawn_at = out.len();
            let count = append_prefixes(family, prefixes, start + MESSAGE_MAX - 2, out);
            frame::set_u16(withdrawn_at - 2, out.len() - withdrawn_at, out);
            out.extend_from_slice(&[0; 2]);
            frame::end(start, out);
            count
        }
        Family::Ipv6Unicast => emit_unreachable(family, prefixes, out),
    }
}

/// Appends End-of-RIB: all routes of `family` have been told (RFC 4724 §2).
pub fn emit_end_of_rib(family: Family, out: &mut Vec<u8>) {
    match family {
        Family::Ipv4Unicast => {
            let start = begin(out);
            frame::end(start, out);
        }
        Family::Ipv6Unicast => {
            emit_unreachable(family, &mut core::iter::empty().peekable(), out);
        }
    }
}

/// A message of `MP_UNREACH_NLRI` alone (RFC 4760 §4).
fn emit_unreachable(
    family: Family,
    prefixes: &mut Peekable<impl Iterator<Item = IpPrefix>>,
    out: &mut Vec<u8>,
) -> usize {
    let start = begin(out);
    let unreach_at = begin_attribute(AttributeType::MP_UNREACH_NLRI, family, out);
    let count = append_prefixes(family, prefixes, start + MESSAGE_MAX, out);
    end_attribute(unreach_at, out);
    end_attributes(start, out);
    frame::end(start, out);
    count
}

/// Begins a message without withdrawn routes in its body; its path attributes come next.
fn begin(out: &mut Vec<u8>) -> usize {
    let start = frame::begin(MessageType::Update, out);
    out.extend_from_slice(&[0; LENGTHS]);
    start
}

/// Gives the path attributes of the message at `start`, which end here, their length.
fn end_attributes(start: usize, out: &mut [u8]) {
    let attributes_at = start + HEADER_LENGTH + LENGTHS;
    frame::set_u16(attributes_at - 2, out.len() - attributes_at, out);
}

/// Begins an attribute of routes, with a length of two octets.
fn begin_attribute(attribute: AttributeType, family: Family, out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[OPTIONAL | EXTENDED_LENGTH, attribute.0, 0, 0]);
    out.extend_from_slice(&family.afi().to_be_bytes());
    out.push(family.safi());
    at
}

/// Gives the attribute at `at`, which ends here, its length, in one octet if that will do.
fn end_attribute(at: usize, out: &mut Vec<u8>) {
    let length = out.len() - at - 4;
    frame::set_u16(at + 2, length, out);
    if let Some([flags, _type, 0, _low]) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *flags = OPTIONAL;
        out.remove(at + 2);
    }
}

/// The next hop in `MP_REACH_NLRI`, its length before and the reserved octet behind it.
fn append_next_hop(next_hop: NextHop, out: &mut Vec<u8>) {
    let (global, link_local) = match next_hop {
        NextHop::Ipv4(address) => (address.to_ipv6_mapped(), None),
        NextHop::Ipv6 { global, link_local } => (global, link_local),
    };
    out.push(if link_local.is_some() { 32 } else { 16 });
    out.extend_from_slice(&global.octets());
    out.extend(link_local.iter().flat_map(|address| address.octets()));
    out.push(0);
}

/// Whether there is a next prefix, and it is of `family`.
fn is_next_of(family: Family, prefixes: &mut Peekable<impl Iterator<Item = IpPrefix>>) -> bool {
    prefixes.peek().is_some_and(|prefix| prefix.family() == family.ip_family())
}

/// Appends prefixes of `family` while they end at `limit` or before.
fn append_prefixes(
    family: Family,
    prefixes: &mut Peekable<impl Iterator<Item = IpPrefix>>,
    limit: usize,
    out: &mut Vec<u8>,
) -> usize {
    let mut count = 0;
    while let Some(prefix) = prefixes
        .next_if(|prefix| prefix.family() == family.ip_family() && out.len() + nlri::length(*prefix) <= limit)
    {
        nlri::append(prefix, out);
        count += 1;
    }
    count
}

/// Octets of the two lengths of a body, of its withdrawn routes and of its path attributes.
const LENGTHS: usize = 4;

/// Octets of the `NEXT_HOP` attribute.
const NEXT_HOP_LENGTH: usize = 7;

#[cfg(test)]
mod tests;
