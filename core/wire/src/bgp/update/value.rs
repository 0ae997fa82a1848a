//! Values of attributes, and what becomes of one that is wrong: RFC 7606 §2 and §7.

use ferrolb_vocab::Asn;

use crate::bgp::path_attribute::{AsPath, Defect};
use crate::bgp::{Family, NextHop};
use crate::cursor::Reader;

/// What becomes of an attribute that is wrong, the weakest first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// The attribute is as if it was not there.
    Discard,
    /// The routes of the message are as if withdrawn.
    TreatAsWithdraw(Defect),
    /// The session ends.
    SessionReset(Defect),
}

/// A value of `N` octets.
pub(super) fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Action> {
    value.try_into().map_err(|_other_length| Action::TreatAsWithdraw(Defect::Length))
}

/// A value of elements of `N` octets, at least one.
pub(super) fn list<const N: usize>(value: &[u8]) -> Result<&[[u8; N]], Action> {
    match value.as_chunks() {
        ([], _) | (_, [_, ..]) => Err(Action::TreatAsWithdraw(Defect::Length)),
        (elements, []) => Ok(elements),
    }
}

/// Whose number is in front of an address: RFC 7606 §7.7, RFC 6793 §6; RFC 7607 §2 for zero.
pub(super) fn aggregator(value: &[u8], four_octet_as: bool) -> Result<Asn, Action> {
    let asn = match (value, four_octet_as) {
        ([high, low, _, _, _, _], false) => Asn::from(u16::from_be_bytes([*high, *low])),
        ([a, b, c, d, _, _, _, _], true) => Asn(u32::from_be_bytes([*a, *b, *c, *d])),
        _other => return Err(Action::Discard),
    };
    if asn == Asn(0) { Err(Action::Discard) } else { Ok(asn) }
}

/// RFC 6793 §6: malformed ones are discarded. One with a set is not, RFC 9774 §3.
pub(super) fn as4_path(value: &[u8]) -> Result<AsPath<'_>, Action> {
    let path = if value.is_empty() { None } else { AsPath::parse(value, true) };
    let path = path.ok_or(Action::Discard)?;
    if path.has_set() { Err(BAD_VALUE) } else { Ok(path) }
}

/// A next hop of a length that `family` can have; `None` for any other.
pub(super) fn next_hop(octets: &[u8], family: Family) -> Option<NextHop> {
    let mut reader = Reader::new(octets);
    match (octets.len(), family) {
        (4, Family::Ipv4Unicast) => reader.ipv4().ok().map(NextHop::Ipv4),
        (16, _) => reader.ipv6().ok().map(|global| NextHop::Ipv6 { global, link_local: None }),
        (32, _) => Some(NextHop::Ipv6 { global: reader.ipv6().ok()?, link_local: Some(reader.ipv6().ok()?) }),
        _other => None,
    }
}

/// What an attribute says cannot be.
pub(super) const BAD_VALUE: Action = Action::TreatAsWithdraw(Defect::Value);
