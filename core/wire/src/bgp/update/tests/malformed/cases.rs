//! Attributes, right and wrong, and what becomes of a route that has one: RFC 7606 §7.

use super::Outcome::{self, Accepted, Discarded, Reset, Withdrawn};
use crate::bgp::path_attribute::Defect::{Flags, Length, Value};

/// Flags, type and value of an attribute, and what becomes of the message from an external and
/// from an internal peer.
pub(super) type Case = (u8, u8, &'static [u8], Outcome, Outcome);

pub(super) const CASES: &[Case] = &[
    // ORIGIN: §7.1, flags §3 c.
    (0x40, 1, &[0], Accepted, Accepted),
    (0x40, 1, &[2], Accepted, Accepted),
    (0x40, 1, &[], Withdrawn(Length), Withdrawn(Length)),
    (0x40, 1, &[0, 0], Withdrawn(Length), Withdrawn(Length)),
    (0x40, 1, &[3], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 1, &[255], Withdrawn(Value), Withdrawn(Value)),
    (0xc0, 1, &[0], Withdrawn(Flags), Withdrawn(Flags)),
    (0x80, 1, &[0], Withdrawn(Flags), Withdrawn(Flags)),
    (0x00, 1, &[0], Withdrawn(Flags), Withdrawn(Flags)),
    // Partial, and bits without a meaning, are not looked at.
    (0x60, 1, &[0], Accepted, Accepted),
    (0x4f, 1, &[0], Accepted, Accepted),
    // AS_PATH: §7.2, RFC 7607 §2 for zero, RFC 5065 §5 for confederations, RFC 9774 §3 for sets.
    (0x40, 2, &[], Accepted, Accepted),
    (0x40, 2, &[1, 1, 0, 0, 0, 9], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 1, 0, 0, 0, 9, 1, 2, 0, 0, 0, 8, 0, 0, 0, 7], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[0, 1, 0, 0, 0, 9], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[5, 1, 0, 0, 0, 9], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 0], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 1, 0, 0, 0, 9, 1, 0], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 2, 0, 0, 0, 9], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 255, 0, 0, 0, 9], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 1, 0, 9], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 1, 0, 0, 0, 9, 2], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[2, 1, 0, 0, 0, 0], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[1, 2, 0, 0, 0, 9, 0, 0, 0, 0], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 2, &[3, 1, 0, 0, 0, 9], Withdrawn(Value), Accepted),
    (0x40, 2, &[2, 1, 0, 0, 0, 9, 4, 1, 0, 0, 0, 8], Withdrawn(Value), Withdrawn(Value)),
    (0xc0, 2, &[2, 1, 0, 0, 0, 9], Withdrawn(Flags), Withdrawn(Flags)),
    (0x00, 2, &[], Withdrawn(Flags), Withdrawn(Flags)),
    // NEXT_HOP: §7.3, RFC 4271 §6.3 for its value.
    (0x40, 3, &[127, 0, 0, 1], Accepted, Accepted),
    (0x40, 3, &[], Withdrawn(Length), Withdrawn(Length)),
    (0x40, 3, &[192, 0, 2], Withdrawn(Length), Withdrawn(Length)),
    (0x40, 3, &[192, 0, 2, 1, 0], Withdrawn(Length), Withdrawn(Length)),
    (0x40, 3, &[0, 0, 0, 0], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 3, &[224, 0, 0, 1], Withdrawn(Value), Withdrawn(Value)),
    (0x40, 3, &[255, 255, 255, 255], Withdrawn(Value), Withdrawn(Value)),
    (0xc0, 3, &[192, 0, 2, 1], Withdrawn(Flags), Withdrawn(Flags)),
    // MULTI_EXIT_DISC: §7.4.
    (0x80, 4, &[0, 0, 0, 9], Accepted, Accepted),
    (0x80, 4, &[], Withdrawn(Length), Withdrawn(Length)),
    (0x80, 4, &[0, 0, 9], Withdrawn(Length), Withdrawn(Length)),
    (0x80, 4, &[0, 0, 0, 9, 0], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 4, &[0, 0, 0, 9], Withdrawn(Flags), Withdrawn(Flags)),
    (0x40, 4, &[0, 0, 0, 9], Withdrawn(Flags), Withdrawn(Flags)),
    // LOCAL_PREF: §7.5.
    (0x40, 5, &[0, 0, 0, 9], Discarded, Accepted),
    (0x40, 5, &[], Discarded, Withdrawn(Length)),
    (0x40, 5, &[0, 0, 9], Discarded, Withdrawn(Length)),
    (0x40, 5, &[0, 0, 0, 9, 0], Discarded, Withdrawn(Length)),
    (0xc0, 5, &[0, 0, 0, 9], Discarded, Withdrawn(Flags)),
    // ATOMIC_AGGREGATE: §7.6.
    (0x40, 6, &[], Accepted, Accepted),
    (0x40, 6, &[0], Discarded, Discarded),
    (0xc0, 6, &[], Withdrawn(Flags), Withdrawn(Flags)),
    // AGGREGATOR: §7.7, RFC 7607 §2.
    (0xc0, 7, &[0, 0, 0, 9, 192, 0, 2, 9], Accepted, Accepted),
    (0xc0, 7, &[], Discarded, Discarded),
    (0xc0, 7, &[0, 9, 192, 0, 2, 9], Discarded, Discarded),
    (0xc0, 7, &[0, 0, 0, 9, 192, 0, 2], Discarded, Discarded),
    (0xc0, 7, &[0, 0, 0, 9, 192, 0, 2, 9, 0], Discarded, Discarded),
    (0xc0, 7, &[0, 0, 0, 0, 192, 0, 2, 9], Discarded, Discarded),
    (0x80, 7, &[0, 0, 0, 9, 192, 0, 2, 9], Withdrawn(Flags), Withdrawn(Flags)),
    // COMMUNITIES: §7.8.
    (0xc0, 8, &[0, 1, 0, 2, 0, 3, 0, 4], Accepted, Accepted),
    (0xe0, 8, &[0, 1, 0, 2], Accepted, Accepted),
    (0xc0, 8, &[], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 8, &[0, 1, 0], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 8, &[0, 1, 0, 2, 0], Withdrawn(Length), Withdrawn(Length)),
    (0x80, 8, &[0, 1, 0, 2], Withdrawn(Flags), Withdrawn(Flags)),
    // ORIGINATOR_ID: §7.9.
    (0x80, 9, &[192, 0, 2, 9], Discarded, Accepted),
    (0x80, 9, &[], Discarded, Withdrawn(Length)),
    (0x80, 9, &[192, 0, 2], Discarded, Withdrawn(Length)),
    (0x80, 9, &[192, 0, 2, 9, 0], Discarded, Withdrawn(Length)),
    (0xc0, 9, &[192, 0, 2, 9], Discarded, Withdrawn(Flags)),
    // CLUSTER_LIST: §7.10.
    (0x80, 10, &[192, 0, 2, 9, 192, 0, 2, 8], Discarded, Accepted),
    (0x80, 10, &[], Discarded, Withdrawn(Length)),
    (0x80, 10, &[192, 0, 2, 9, 0], Discarded, Withdrawn(Length)),
    (0xc0, 10, &[192, 0, 2, 9], Discarded, Withdrawn(Flags)),
    // EXTENDED COMMUNITIES: §7.14.
    (0xc0, 16, &[0, 2, 0, 9, 0, 0, 0, 1], Accepted, Accepted),
    (0xc0, 16, &[0xff; 16], Accepted, Accepted),
    (0xc0, 16, &[], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 16, &[0, 2, 0, 9, 0, 0, 0], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 16, &[0, 2, 0, 9, 0, 0, 0, 1, 0], Withdrawn(Length), Withdrawn(Length)),
    (0x80, 16, &[0, 2, 0, 9, 0, 0, 0, 1], Withdrawn(Flags), Withdrawn(Flags)),
    // AS4_PATH and AS4_AGGREGATOR, where numbers have four octets: RFC 6793 §4.1.
    (0xc0, 17, &[2, 1, 0, 0, 0, 9], Discarded, Discarded),
    (0xc0, 17, &[9], Discarded, Discarded),
    (0x80, 17, &[2, 1, 0, 0, 0, 9], Discarded, Discarded),
    (0xc0, 18, &[0, 0, 0, 9, 192, 0, 2, 9], Discarded, Discarded),
    (0xc0, 18, &[0, 0, 0, 9, 192, 0, 2], Discarded, Discarded),
    // IPv6 EXTENDED COMMUNITIES: §7.15.
    (0xc0, 25, &[0; 20], Accepted, Accepted),
    (0xc0, 25, &[], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 25, &[0; 21], Withdrawn(Length), Withdrawn(Length)),
    (0x80, 25, &[0; 20], Withdrawn(Flags), Withdrawn(Flags)),
    // LARGE_COMMUNITY: RFC 8092 §6.
    (0xc0, 32, &[0; 24], Accepted, Accepted),
    (0xc0, 32, &[], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 32, &[0; 11], Withdrawn(Length), Withdrawn(Length)),
    (0xc0, 32, &[0; 13], Withdrawn(Length), Withdrawn(Length)),
    (0x80, 32, &[0; 12], Withdrawn(Flags), Withdrawn(Flags)),
    // Unknown ones: optional ones are ignored, well-known ones cannot be, RFC 4271 §6.3.
    (0xc0, 200, &[1, 2, 3], Accepted, Accepted),
    (0x80, 253, &[], Accepted, Accepted),
    (0xe0, 0, &[1], Accepted, Accepted),
    (0x40, 200, &[1, 2, 3], Reset(2), Reset(2)),
    (0x00, 11, &[], Reset(2), Reset(2)),
];

/// The same, from a peer whose numbers have two octets.
pub(super) const TWO_OCTET_CASES: &[(u8, u8, &[u8], Outcome)] = &[
    (0x40, 2, &[2, 1, 0, 9], Accepted),
    (0x40, 2, &[2, 1, 0, 0, 0, 9], Withdrawn(Value)),
    (0x40, 2, &[2, 1, 0, 0], Withdrawn(Value)),
    (0xc0, 7, &[0, 9, 192, 0, 2, 9], Accepted),
    (0xc0, 7, &[0, 0, 0, 9, 192, 0, 2, 9], Discarded),
    (0xc0, 7, &[0, 0, 192, 0, 2, 9], Discarded),
    // AS4_PATH: RFC 6793 §6, RFC 7607 §2.
    (0xc0, 17, &[2, 1, 0, 1, 0, 0], Accepted),
    (0xc0, 17, &[1, 1, 0, 1, 0, 0], Withdrawn(Value)),
    (0xc0, 17, &[], Discarded),
    (0xc0, 17, &[2, 0], Discarded),
    (0xc0, 17, &[2, 1, 0, 9], Discarded),
    (0xc0, 17, &[0, 1, 0, 1, 0, 0], Discarded),
    (0xc0, 17, &[2, 2, 0, 1, 0, 0], Discarded),
    (0xc0, 17, &[2, 1, 0, 1, 0, 0, 2], Discarded),
    (0xc0, 17, &[2, 1, 0, 0, 0, 0], Discarded),
    (0x80, 17, &[2, 1, 0, 1, 0, 0], Withdrawn(Flags)),
    // AS4_AGGREGATOR: RFC 6793 §6.
    (0xc0, 18, &[0, 1, 0, 0, 192, 0, 2, 9], Accepted),
    (0xc0, 18, &[0, 1, 0, 0, 192, 0, 2], Discarded),
    (0xc0, 18, &[0, 1, 0, 0, 192, 0, 2, 9, 0], Discarded),
    (0xc0, 18, &[0, 0, 0, 0, 192, 0, 2, 9], Discarded),
    (0x80, 18, &[0, 1, 0, 0, 192, 0, 2, 9], Withdrawn(Flags)),
];
