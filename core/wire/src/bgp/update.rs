//! UPDATE messages that come in: RFC 4271 §4.3 and §6.3, RFC 4760, RFC 7606.
//!
//! ```text
//! length of the withdrawn routes u16, withdrawn routes (IPv4),
//! length of the path attributes u16, path attributes,
//! reachable routes (IPv4)
//! ```

use core::net::Ipv4Addr;

use ferrolb_vocab::{Asn, Community, IpPrefix, LargeCommunity};

use super::attributes::{ExtendedCommunity, NextHop, Origin};
use super::nlri::Prefixes;
use super::path_attribute::{AsPath, AttributeTypes, Malformed};
use super::{Error, Families, Family};

mod parse;
mod value;

/// What was agreed on with the peer that an UPDATE comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoding {
    /// AS numbers have four octets: both sides have the capability (RFC 6793).
    pub four_octet_as: bool,
    /// The peer is of this speaker's own autonomous system.
    pub is_internal: bool,
    /// This speaker's autonomous system, as the peer knows it.
    pub local_asn: Asn,
    /// The families that both sides have. Routes of others are ignored.
    pub families: Families,
}

/// An UPDATE whose octets have been checked, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The body's own withdrawn and reachable routes.
    withdrawn: Prefixes<'a>,
    reachable: Prefixes<'a>,
    multiprotocol_withdrawn: Prefixes<'a>,
    multiprotocol_reachable: Prefixes<'a>,
    multiprotocol_next_hop: Option<(Family, NextHop)>,
    end_of_rib: Option<Family>,
    disposition: Disposition,
    discarded: AttributeTypes,
    local_asn: Asn,
    values: Values<'a>,
}

/// What becomes of the routes of an UPDATE (RFC 7606 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// They are as told.
    Accept,
    /// They are as if withdrawn: this attribute cannot be believed.
    TreatAsWithdraw(Malformed),
}

/// What the attributes other than those with routes say.
#[derive(Clone, Copy, Debug, Default)]
struct Values<'a> {
    origin: Option<Origin>,
    as_path: AsPath<'a>,
    next_hop: Option<Ipv4Addr>,
    multi_exit_disc: Option<u32>,
    local_pref: Option<u32>,
    communities: &'a [[u8; 4]],
    large_communities: &'a [[u8; 12]],
    extended_communities: &'a [[u8; 8]],
}

impl<'a> Update<'a> {
    /// Reads the body of a message. Nothing is copied or allocated, however many routes it has.
    ///
    /// # Errors
    /// It cannot be told which routes the message is about, or a well-known attribute is not known:
    /// the session must be reset (RFC 4271 §6.3, RFC 7606 §3, §5).
    pub fn parse(body: &'a [u8], decoding: &Decoding) -> Result<Self, Error> {
        parse::parse(body, decoding)
    }

    /// The routes that are no more. To be applied before [`Self::reachable`]: a prefix that is in
    /// both is reachable (RFC 4271 §4.3). When routes are treated as withdrawn, they are here.
    pub fn withdrawn(&self) -> impl Iterator<Item = IpPrefix> + use<'a> {
        let [told, multiprotocol_told] = match self.disposition {
            Disposition::Accept => [Prefixes::NONE; 2],
            Disposition::TreatAsWithdraw(_) => [self.reachable, self.multiprotocol_reachable],
        };
        self.withdrawn.chain(self.multiprotocol_withdrawn).chain(told).chain(multiprotocol_told)
    }

    /// The routes that are told. There are none when they are treated as withdrawn.
    pub fn reachable(&self) -> impl Iterator<Item = IpPrefix> + use<'a> {
        let [told, multiprotocol_told] = match self.disposition {
            Disposition::Accept => [self.reachable, self.multiprotocol_reachable],
            Disposition::TreatAsWithdraw(_) => [Prefixes::NONE; 2],
        };
        told.chain(multiprotocol_told)
    }

    /// The family whose routes have all been told, if the message says that (RFC 4724 §2).
    #[must_use]
    pub const fn end_of_rib(&self) -> Option<Family> {
        self.end_of_rib
    }

    /// What becomes of the routes.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        self.disposition
    }

    /// The types of attributes that were discarded: malformed and of no weight, not a peer's of
    /// this kind to send, or there before.
    #[must_use]
    pub const fn discarded(&self) -> AttributeTypes {
        self.discarded
    }

    /// Where the routes come from.
    #[must_use]
    pub const fn origin(&self) -> Option<Origin> {
        self.values.origin
    }

    /// The systems that they came through, nearest first.
    #[must_use]
    pub const fn as_path(&self) -> AsPath<'a> {
        self.values.as_path
    }

    /// Whether they came through this speaker's own system, and so must not be used (RFC 4271
    /// §9.1.2).
    #[must_use]
    pub fn has_loop(&self) -> bool {
        self.values.as_path.contains(self.local_asn)
    }

    /// Where to send packets of routes of `family`.
    #[must_use]
    pub fn next_hop(&self, family: Family) -> Option<NextHop> {
        match family {
            Family::Ipv4Unicast if !self.reachable.is_empty() => self.values.next_hop.map(NextHop::Ipv4),
            Family::Ipv4Unicast | Family::Ipv6Unicast => {
                self.multiprotocol_next_hop.filter(|(of, _)| *of == family).map(|(_, next_hop)| next_hop)
            }
        }
    }

    /// Which of several links the peer's system would like to be used: the lowest.
    #[must_use]
    pub const fn multi_exit_disc(&self) -> Option<u32> {
        self.values.multi_exit_disc
    }

    /// How much an internal peer prefers the routes: more is better.
    #[must_use]
    pub const fn local_pref(&self) -> Option<u32> {
        self.values.local_pref
    }

    /// Communities, as they came.
    pub fn communities(&self) -> impl Iterator<Item = Community> + use<'a> {
        self.values.communities.iter().map(|octets| Community(u32::from_be_bytes(*octets)))
    }

    /// Large communities, as they came.
    pub fn large_communities(&self) -> impl Iterator<Item = LargeCommunity> + use<'a> {
        self.values.large_communities.iter().map(|octets| {
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *octets;
            LargeCommunity {
                global_administrator: u32::from_be_bytes([a, b, c, d]),
                local_data_1: u32::from_be_bytes([e, f, g, h]),
                local_data_2: u32::from_be_bytes([i, j, k, l]),
            }
        })
    }

    /// Extended communities, as they came.
    pub fn extended_communities(&self) -> impl Iterator<Item = ExtendedCommunity> + use<'a> {
        self.values.extended_communities.iter().copied().map(ExtendedCommunity)
    }
}

#[cfg(test)]
mod tests;
