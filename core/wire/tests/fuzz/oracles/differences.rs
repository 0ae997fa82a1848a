//! What becomes of UPDATEs, malformed ones above all, here and in another codec.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::{Decoding, Disposition, Update};

use super::{Told, rustbgpd};
use crate::inputs::{UPDATES, bodies, decoding};

mod cases;

/// What becomes of an UPDATE. Whether attributes were discarded, is not told: both do so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The session ends.
    Reset,
    /// The routes are as if withdrawn: all of them.
    Withdrawn(Vec<IpPrefix>),
    /// The routes are as told.
    Usable(Box<Told>),
}

/// Why the two do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// The other reads more types, and checks them. An optional one that is not known is ignored
    /// (RFC 4271 §5); a well-known one ends the session here (§6.3), and not there.
    OtherType,
    /// The other minds the Partial bit. RFC 7606 §3 c names Optional and Transitive alone.
    Partial,
    /// The other looks for AS 0 and sets in a path that is there twice. RFC 7606 §3 g has all but
    /// the first discarded.
    SecondPath,
    /// LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST of an external peer are discarded whatever they are
    /// (RFC 7606 §7.5, §7.9, §7.10), AS4_PATH and AS4_AGGREGATOR of one that writes four octets too
    /// (RFC 6793 §4.1). The other minds their flags, and sets in AS4_PATH.
    NotThisPeers,
    /// The other knows no confederations. From an internal peer they are in place (RFC 5065 §5).
    Confederation,
    /// RFC 9774 §3 has routes withdrawn for a set in AS4_PATH, RFC 6793 §6 a malformed AS4_PATH
    /// discarded. The other looks for sets first.
    SetInAs4Path,
    /// The other takes no address of 127.0.0.0/8, which peers on one host have, and minds a NEXT_HOP
    /// that no route has, which is ignored here (RFC 4760 §3).
    NextHopValue,
    /// Routes of a family that is not in use are not looked at here (RFC 4760 §8), and end the
    /// session there.
    OtherFamily,
    /// RFC 7606 §7.11 is about the length of a next hop in MP_REACH_NLRI. The other has it be a global
    /// unicast address, with a link-local one behind it.
    MultiprotocolNextHop,
    /// The other has internal peers leave out NEXT_HOP and LOCAL_PREF, which RFC 4271 §5.1.3, §5.1.5
    /// and RFC 7606 §3 d have mandatory.
    MandatoryOfInternal,
}

impl Difference {
    const ALL: [Self; 10] = [
        Self::OtherType,
        Self::Partial,
        Self::SecondPath,
        Self::NotThisPeers,
        Self::Confederation,
        Self::SetInAs4Path,
        Self::NextHopValue,
        Self::OtherFamily,
        Self::MultiprotocolNextHop,
        Self::MandatoryOfInternal,
    ];
}

/// What becomes of an UPDATE of this body, if both agree on it; or why they need not.
pub(crate) fn compare(body: &[u8], decoding: &Decoding) -> Result<Outcome, BTreeSet<Difference>> {
    let expected = differences(body, decoding);
    let (ours, theirs) = (outcome(body, decoding), rustbgpd::outcome(body, decoding));
    if ours == theirs {
        return Ok(ours);
    }
    assert!(!expected.is_empty(), "{decoding:?}\n  ours: {ours:?}\ntheirs: {theirs:?}");
    Err(expected)
}

fn outcome(body: &[u8], decoding: &Decoding) -> Outcome {
    let Ok(update) = Update::parse(body, decoding) else { return Outcome::Reset };
    match update.disposition() {
        Disposition::Accept => Outcome::Usable(Box::new(Told::of(&update))),
        Disposition::TreatAsWithdraw(_) => Outcome::Withdrawn(update.withdrawn().collect()),
    }
}

/// An attribute as it stands there.
struct Attribute<'a> {
    flags: u8,
    kind: u8,
    value: &'a [u8],
}

/// The whole attributes of a body, and its reachable routes. Nothing of a body that has no such parts.
fn parts(body: &[u8]) -> (Vec<Attribute<'_>>, &[u8]) {
    let field = |octets: &[u8]| octets.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
    let split = || {
        let after_withdrawn = body.get(2 + field(body)?..)?;
        after_withdrawn.get(2..)?.split_at_checked(field(after_withdrawn)?)
    };
    let (mut rest, reachable) = split().unwrap_or_default();
    let mut attributes = Vec::new();
    while let [flags, kind, after @ ..] = rest {
        let (length, octets) = if flags & 0x10 == 0 {
            (after.first().map(|length| usize::from(*length)), 1)
        } else {
            (field(after), 2)
        };
        let value = length.and_then(|length| after.get(octets..octets + length));
        let Some(value) = value else { break };
        attributes.push(Attribute { flags: *flags, kind: *kind, value });
        rest = &after[octets + value.len()..];
    }
    (attributes, reachable)
}

/// Why the two may differ over a body.
fn differences(body: &[u8], decoding: &Decoding) -> BTreeSet<Difference> {
    let (attributes, reachable) = parts(body);
    let has = |kind| attributes.iter().any(|attribute| attribute.kind == kind);
    let mut found: BTreeSet<_> = attributes
        .iter()
        .flat_map(|attribute| of_attribute(attribute, decoding, reachable.is_empty()))
        .collect();
    let times = |kind| attributes.iter().filter(|attribute| attribute.kind == kind).count();
    if times(2) > 1 || times(17) > 1 {
        found.insert(Difference::SecondPath);
    }
    let lacks_next_hop = !reachable.is_empty() && !has(3);
    let lacks_local_pref = (!reachable.is_empty() || has(14)) && !has(5);
    if decoding.is_internal && (lacks_next_hop || lacks_local_pref) {
        found.insert(Difference::MandatoryOfInternal);
    }
    found
}

/// Types that both read, and one that neither does.
const KINDS: [u8; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 32, 200];

fn of_attribute(
    attribute: &Attribute<'_>,
    decoding: &Decoding,
    is_without_body_routes: bool,
) -> Vec<Difference> {
    let Attribute { flags, kind, value } = *attribute;
    let is_optional = flags & 0x80 != 0;
    let segments = |width| segment_types(value, width);
    let width = if decoding.four_octet_as { 4 } else { 2 };
    let is_not_this_peers = match kind {
        5 | 9 | 10 => !decoding.is_internal,
        17 | 18 => decoding.four_octet_as,
        _other => false,
    };
    let class = match kind {
        5 => 0x40,
        9 | 10 => 0x80,
        _seventeen_or_eighteen => 0xc0,
    };
    let holds = [
        (Difference::OtherType, !KINDS.contains(&kind) || kind == 200 && !is_optional),
        (Difference::Partial, matches!(kind, 4 | 9 | 10 | 14 | 15) && flags & 0x20 != 0),
        (Difference::NotThisPeers, is_not_this_peers && (flags & 0xc0 != class || kind == 17)),
        (Difference::Confederation, kind == 2 && decoding.is_internal && segments(width).contains(&3)),
        (Difference::SetInAs4Path, kind == 17 && segments(4).iter().any(|segment| matches!(segment, 1 | 4))),
        (Difference::NextHopValue, kind == 3 && is_odd_next_hop(value, is_without_body_routes)),
        (
            Difference::OtherFamily,
            matches!(kind, 14 | 15) && !matches!(value, [0, 1 | 2, 1, ..] | [] | [_] | [_, _]),
        ),
        (Difference::MultiprotocolNextHop, kind == 14 && is_odd_multiprotocol_next_hop(value)),
    ];
    holds.into_iter().filter_map(|(difference, holds)| holds.then_some(difference)).collect()
}

/// The types of the segments that a path begins with.
fn segment_types(mut path: &[u8], width: usize) -> Vec<u8> {
    let mut types = Vec::new();
    while let [segment_type, count, rest @ ..] = path {
        types.push(*segment_type);
        path = rest.get(usize::from(*count) * width..).unwrap_or_default();
    }
    types
}

fn is_odd_next_hop(value: &[u8], is_without_routes: bool) -> bool {
    let Ok(address) = <[u8; 4]>::try_from(value).map(Ipv4Addr::from) else { return false };
    let is_no_host = address.is_unspecified() || address.is_multicast() || address.is_broadcast();
    address.is_loopback() || is_without_routes && is_no_host
}

fn is_odd_multiprotocol_next_hop(value: &[u8]) -> bool {
    let Some((length, octets)) = value.get(3..).and_then(<[u8]>::split_first) else { return false };
    let Some(next_hop) = octets.get(..usize::from(*length)) else { return false };
    let is_link_local = |address: Ipv6Addr| address.is_unicast_link_local();
    match next_hop.as_chunks::<16>() {
        ([], octets) => <[u8; 4]>::try_from(octets).is_ok_and(|octets| {
            let address = Ipv4Addr::from(octets);
            address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || address.is_broadcast()
        }),
        ([global, others @ ..], _rest) => {
            let global = Ipv6Addr::from(*global);
            global.is_unspecified()
                || global.is_loopback()
                || global.is_multicast()
                || is_link_local(global)
                || others.iter().any(|other| !is_link_local(Ipv6Addr::from(*other)))
        }
    }
}

#[test]
fn malformed_updates_have_the_disposition_that_another_codec_gives_them() {
    let (mut agreed, mut differed) = (0, BTreeSet::new());
    let updates = bodies(UPDATES);
    for settings in 0..4 {
        let decoding = decoding(settings);
        for body in updates.iter().cloned().chain(cases::bodies(&decoding)) {
            match compare(&body, &decoding) {
                Ok(_outcome) => agreed += 1,
                Err(expected) if expected.len() == 1 => differed.extend(expected),
                Err(_several) => {}
            }
        }
    }
    assert!(agreed > 50_000, "{agreed} cases");
    assert_eq!(differed, BTreeSet::from(Difference::ALL), "each difference is one");
}
