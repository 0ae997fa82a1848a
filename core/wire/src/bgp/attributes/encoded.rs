//! Attributes as they travel.

use alloc::vec::Vec;

use ferrolb_vocab::Asn;

use super::{Attributes, NextHop};
use crate::bgp::path_attribute::{AttributeType, OPTIONAL, SEGMENT_SEQUENCE, TRANSITIVE, append};
use crate::bgp::{HEADER_LENGTH, MESSAGE_MAX};

/// The octets of [`Attributes`], for all peers that are told them alike: encoded once, put before
/// any number of prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAttributes {
    /// The attributes of lower types than `NEXT_HOP`.
    before_next_hop: Vec<u8>,
    /// Those of higher types.
    after_next_hop: Vec<u8>,
    next_hop: NextHop,
}

/// The attributes leave no room for a prefix in a message. Their routes must not be advertised
/// (RFC 4271 §9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path attributes have {octets} octets, expected at most {ATTRIBUTES_MAX}; use fewer communities")]
pub struct TooLong {
    /// How many octets the attributes have.
    pub octets: usize,
}

/// Octets of attributes other than the next hop, so that the longest prefix fits beside them:
/// what a message leaves after its header, its two lengths and, of `MP_REACH_NLRI`, 4 octets of
/// header, 5 of family, length and reserved octet, 32 of next hop and 17 of a prefix.
const ATTRIBUTES_MAX: usize = MESSAGE_MAX - HEADER_LENGTH - 4 - (4 + 5 + 32 + 17);

impl EncodedAttributes {
    /// The octets of `attributes` towards peers that write AS numbers in four octets, or in two
    /// (RFC 6793 §4.2.2).
    ///
    /// # Errors
    /// They leave no room for a prefix.
    pub fn new(attributes: &Attributes, four_octet_as: bool) -> Result<Self, TooLong> {
        let mut before_next_hop = Vec::new();
        append(TRANSITIVE, AttributeType::ORIGIN, &[attributes.origin.code()], &mut before_next_hop);
        let path = as_path(&attributes.as_path, four_octet_as);
        append(TRANSITIVE, AttributeType::AS_PATH, &path, &mut before_next_hop);

        let mut after_next_hop = Vec::new();
        if let Some(value) = attributes.multi_exit_disc {
            append(OPTIONAL, AttributeType::MULTI_EXIT_DISC, &value.to_be_bytes(), &mut after_next_hop);
        }
        if let Some(value) = attributes.local_pref {
            append(TRANSITIVE, AttributeType::LOCAL_PREF, &value.to_be_bytes(), &mut after_next_hop);
        }
        let mut append_set = |attribute: AttributeType, value: Vec<u8>| {
            if !value.is_empty() {
                append(OPTIONAL | TRANSITIVE, attribute, &value, &mut after_next_hop);
            }
        };
        append_set(
            AttributeType::COMMUNITIES,
            set(&attributes.communities, |community| community.0.to_be_bytes()),
        );
        append_set(
            AttributeType::EXTENDED_COMMUNITIES,
            set(&attributes.extended_communities, |community| community.0),
        );
        if !four_octet_as && attributes.as_path.iter().any(|asn| asn.two_octets().is_none()) {
            append_set(AttributeType::AS4_PATH, as_path(&attributes.as_path, true));
        }
        append_set(
            AttributeType::LARGE_COMMUNITIES,
            set(&attributes.large_communities, |community| {
                u96(community.global_administrator, community.local_data_1, community.local_data_2)
            }),
        );
        let octets = before_next_hop.len() + after_next_hop.len();
        if octets > ATTRIBUTES_MAX {
            return Err(TooLong { octets });
        }
        Ok(Self { before_next_hop, after_next_hop, next_hop: attributes.next_hop })
    }

    /// Where to send packets.
    #[must_use]
    pub const fn next_hop(&self) -> NextHop {
        self.next_hop
    }

    /// How many octets the attributes other than the next hop have.
    pub(in crate::bgp) const fn len(&self) -> usize {
        self.before_next_hop.len() + self.after_next_hop.len()
    }

    /// Appends all attributes, with `next_hop`, an attribute as it travels, where it belongs.
    pub(in crate::bgp) fn append(&self, next_hop: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before_next_hop);
        out.extend_from_slice(next_hop);
        out.extend_from_slice(&self.after_next_hop);
    }
}

/// A path of sequences of as many numbers as a segment holds; in two octets each, numbers that
/// need four are [`Asn::TRANS`].
fn as_path(asns: &[Asn], four_octet_as: bool) -> Vec<u8> {
    let mut path = Vec::new();
    for asns in asns.chunks(SEGMENT_MAX) {
        #[expect(clippy::cast_possible_truncation, reason = "a chunk has at most 255 numbers")]
        path.extend_from_slice(&[SEGMENT_SEQUENCE, asns.len() as u8]);
        for asn in asns {
            if four_octet_as {
                path.extend_from_slice(&asn.0.to_be_bytes());
            } else {
                path.extend_from_slice(&asn.two_octets_or_trans().to_be_bytes());
            }
        }
    }
    path
}

/// The octets of `communities`, sorted and each once.
fn set<T: Copy + Ord, const N: usize>(communities: &[T], octets: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut communities = Vec::from(communities);
    communities.sort_unstable();
    communities.dedup();
    communities.into_iter().flat_map(octets).collect()
}

fn u96(high: u32, middle: u32, low: u32) -> [u8; 12] {
    let mut octets = [0; 12];
    let (words, _rest) = octets.as_chunks_mut();
    for (word, value) in words.iter_mut().zip([high, middle, low]) {
        *word = value.to_be_bytes();
    }
    octets
}

/// How many numbers a segment of a path holds.
const SEGMENT_MAX: usize = 255;

#[cfg(test)]
mod tests;
