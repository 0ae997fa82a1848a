//! Neighbor Discovery: Neighbor Solicitation and Neighbor Advertisement, RFC 4861.
//!
//! Its other half, Router Discovery, is [`router`]. Redirects are not FerroLB's and are dropped by type.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use ferrolb_vocab::MacAddr;

use crate::cursor::{Reader, Truncated, Writer};
use crate::ipv6::{self, NEXT_HEADER_ICMPV6, icmpv6_checksum, solicited_node};

pub mod router;

/// An IPv6 packet whose payload is a Neighbor Discovery message. Its hop limit is 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From whom; unspecified in a solicitation for Duplicate Address Detection.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
    /// What it says.
    pub message: Message,
}

/// A Neighbor Discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 135.
    Solicitation(Solicitation),
    /// Type 136.
    Advertisement(Advertisement),
}

/// A Neighbor Solicitation, RFC 4861 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// The address asked about.
    pub target: Ipv6Addr,
    /// The Source Link-Layer Address option. A unicast solicitation (Neighbor Unreachability
    /// Detection) may come without it, one for Duplicate Address Detection must.
    pub source_link_layer: Option<MacAddr>,
}

/// A Neighbor Advertisement, RFC 4861 §4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// R: the sender is a router.
    pub router: bool,
    /// S: the answer to a solicitation.
    pub solicited: bool,
    /// O: replaces what a cache holds.
    pub override_flag: bool,
    /// The address advertised.
    pub target: Ipv6Addr,
    /// The Target Link-Layer Address option.
    pub target_link_layer: Option<MacAddr>,
}

/// Why a packet is no valid message of Neighbor or Router Discovery: RFC 4861 §6.1, §7.1.1 and §7.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The IPv6 header is wrong.
    #[error(transparent)]
    Ipv6(#[from] ipv6::ParseError),
    /// The message is shorter than one of its type, or an option runs over the end.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// The packet carries something else, or extension headers, which no sender needs here.
    #[error("next header {0}, expected 58 (ICMPv6)")]
    NextHeader(u8),
    /// A router has forwarded the packet: it comes from another link.
    #[error("hop limit {0}, expected 255")]
    HopLimit(u8),
    /// The checksum does not match.
    #[error("checksum does not match")]
    Checksum,
    /// Another message than those that are waited for.
    #[error("ICMPv6 type {0} is none of those that are read here")]
    Type(u8),
    /// The code is not zero.
    #[error("ICMPv6 code {0}, expected 0")]
    Code(u8),
    /// A group has no neighbour.
    #[error("target {0} is multicast")]
    MulticastTarget(Ipv6Addr),
    /// An option would never end.
    #[error("option of length zero")]
    ZeroLengthOption,
    /// A link-layer address option does not hold 6 octets, RFC 2464 §6.
    #[error("link-layer address option of {0} octets, expected 6")]
    LinkLayerLength(usize),
    /// A link-layer address option names a group: to answer it would multiply one
    /// solicitation into one frame for everyone.
    #[error("link-layer address {0} is a group")]
    GroupLinkLayer(MacAddr),
    /// A solicitation from the unspecified address goes elsewhere than to the solicited-node group.
    #[error("unspecified source and destination {0}, expected the solicited-node group")]
    UnspecifiedSource(Ipv6Addr),
    /// A solicitation from the unspecified address has a Source Link-Layer Address option.
    #[error("unspecified source with a source link-layer address")]
    UnspecifiedSourceLinkLayer,
    /// An advertisement to a group claims to answer a solicitation.
    #[error("solicited advertisement to group {0}")]
    SolicitedToGroup(Ipv6Addr),
    /// A router advertises itself from an address by which it cannot be told apart.
    #[error("router advertisement from {0}, expected a link-local address")]
    NotLinkLocal(Ipv6Addr),
}

impl ParseError {
    /// The name of the reason in metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Ipv6(error) => error.reason(),
            Self::Truncated(_) => "NdpTruncated",
            Self::NextHeader(_) => "NdpNextHeader",
            Self::HopLimit(_) => "NdpHopLimit",
            Self::Checksum => "NdpChecksum",
            Self::Type(_) => "NdpType",
            Self::Code(_) => "NdpCode",
            Self::MulticastTarget(_) => "NdpMulticastTarget",
            Self::ZeroLengthOption => "NdpZeroLengthOption",
            Self::LinkLayerLength(_) => "NdpLinkLayerLength",
            Self::GroupLinkLayer(_) => "NdpGroupLinkLayer",
            Self::UnspecifiedSource(_) => "NdpUnspecifiedSource",
            Self::UnspecifiedSourceLinkLayer => "NdpUnspecifiedSourceLinkLayer",
            Self::SolicitedToGroup(_) => "NdpSolicitedToGroup",
            Self::NotLinkLocal(_) => "NdpNotLinkLocal",
        }
    }
}

impl Packet {
    /// Asks whether anyone has `target` without polluting a cache: Duplicate Address Detection,
    /// RFC 4862 §5.4.2, from the unspecified address and therefore without a link-layer option.
    #[must_use]
    pub const fn duplicate_address_detection(target: Ipv6Addr) -> Self {
        Self {
            source: Ipv6Addr::UNSPECIFIED,
            destination: solicited_node(target),
            message: Message::Solicitation(Solicitation { target, source_link_layer: None }),
        }
    }

    /// Reads the packet off the payload of a frame. Padding after it is ignored.
    ///
    /// # Errors
    /// RFC 4861 §7.1.1 or §7.1.2 says to discard it silently.
    pub fn parse(packet: &[u8]) -> Result<Self, ParseError> {
        let (header, payload) = ipv6::Header::parse(packet)?;
        let message = Message::parse(&header, payload)?;
        Ok(Self { source: header.source, destination: header.destination, message })
    }

    /// The packet's octets, from the IPv6 header on.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let ends = (self.source, self.destination);
        emit((self.message.icmp_type(), self.message.length()), ends, &self.message.body())
    }
}

impl Message {
    /// Reads the message that is the payload of an IPv6 packet with this header.
    ///
    /// # Errors
    /// RFC 4861 §7.1.1 or §7.1.2 says to discard it silently.
    pub fn parse(header: &ipv6::Header, payload: &[u8]) -> Result<Self, ParseError> {
        let (icmp_type, mut reader) = checked(header, payload, [TYPE_SOLICITATION, TYPE_ADVERTISEMENT])?;
        let flags = reader.u32()?;
        let target = reader.ipv6()?;
        if target.is_multicast() {
            return Err(ParseError::MulticastTarget(target));
        }
        if icmp_type == TYPE_SOLICITATION {
            let source_link_layer = link_layer_option(reader, OPTION_SOURCE_LINK_LAYER)?;
            return Solicitation { target, source_link_layer }.validated(header).map(Self::Solicitation);
        }
        let advertisement = Advertisement {
            router: flags & FLAG_ROUTER != 0,
            solicited: flags & FLAG_SOLICITED != 0,
            override_flag: flags & FLAG_OVERRIDE != 0,
            target,
            target_link_layer: link_layer_option(reader, OPTION_TARGET_LINK_LAYER)?,
        };
        if header.destination.is_multicast() && advertisement.solicited {
            return Err(ParseError::SolicitedToGroup(header.destination));
        }
        Ok(Self::Advertisement(advertisement))
    }

    const fn icmp_type(&self) -> u8 {
        match self {
            Self::Solicitation(_) => TYPE_SOLICITATION,
            Self::Advertisement(_) => TYPE_ADVERTISEMENT,
        }
    }

    const fn length(&self) -> u16 {
        let (Self::Solicitation(Solicitation { source_link_layer: link_layer, .. })
        | Self::Advertisement(Advertisement { target_link_layer: link_layer, .. })) = self;
        match link_layer {
            Some(_) => MESSAGE_LENGTH + LINK_LAYER_OPTION_LENGTH,
            None => MESSAGE_LENGTH,
        }
    }

    /// What follows the checksum.
    fn body(&self) -> Vec<u8> {
        let (flags, target, option_type, link_layer) = match self {
            Self::Solicitation(Solicitation { target, source_link_layer }) => {
                (0, target, OPTION_SOURCE_LINK_LAYER, source_link_layer)
            }
            Self::Advertisement(advertisement) => (
                advertisement.flags(),
                &advertisement.target,
                OPTION_TARGET_LINK_LAYER,
                &advertisement.target_link_layer,
            ),
        };
        let mut writer = Writer::default();
        writer.u32(flags).ipv6(*target);
        if let Some(mac) = link_layer {
            writer.u8(option_type).u8(1).mac(*mac);
        }
        writer.finish()
    }
}

impl Solicitation {
    /// The rules of RFC 4861 §7.1.1 for Duplicate Address Detection.
    fn validated(self, header: &ipv6::Header) -> Result<Self, ParseError> {
        if !header.source.is_unspecified() {
            return Ok(self);
        }
        if header.destination != solicited_node(self.target) {
            return Err(ParseError::UnspecifiedSource(header.destination));
        }
        if self.source_link_layer.is_some() {
            return Err(ParseError::UnspecifiedSourceLinkLayer);
        }
        Ok(self)
    }
}

impl Advertisement {
    fn flags(&self) -> u32 {
        [(self.router, FLAG_ROUTER), (self.solicited, FLAG_SOLICITED), (self.override_flag, FLAG_OVERRIDE)]
            .into_iter()
            .filter(|(set, _)| *set)
            .fold(0, |flags, (_, flag)| flags | flag)
    }
}

/// The type of an ICMPv6 message, one of `types`, and what follows its checksum: the rules that RFC 4861
/// §6.1, §7.1.1 and §7.1.2 share.
fn checked<'a>(
    header: &ipv6::Header,
    payload: &'a [u8],
    types: [u8; 2],
) -> Result<(u8, Reader<'a>), ParseError> {
    if header.next_header != NEXT_HEADER_ICMPV6 {
        return Err(ParseError::NextHeader(header.next_header));
    }
    let mut reader = Reader::new(payload);
    let (icmp_type, code, _checksum) = (reader.u8()?, reader.u8()?, reader.u16()?);
    if !types.contains(&icmp_type) {
        return Err(ParseError::Type(icmp_type));
    }
    if header.hop_limit != HOP_LIMIT {
        return Err(ParseError::HopLimit(header.hop_limit));
    }
    if icmpv6_checksum(header.source, header.destination, payload) != 0 {
        return Err(ParseError::Checksum);
    }
    if code != 0 {
        return Err(ParseError::Code(code));
    }
    Ok((icmp_type, reader))
}

/// The packet, from the IPv6 header on, of an ICMPv6 message of this type and length in octets, whose `body`
/// follows the checksum.
fn emit((icmp_type, length): (u8, u16), (source, destination): (Ipv6Addr, Ipv6Addr), body: &[u8]) -> Vec<u8> {
    let icmp = |checksum: u16| {
        let mut writer = Writer::default();
        writer.u8(icmp_type).u8(0).u16(checksum).octets(body);
        writer.finish()
    };
    let message = icmp(icmpv6_checksum(source, destination, &icmp(0)));
    let header = ipv6::Header {
        payload_length: length,
        next_header: NEXT_HEADER_ICMPV6,
        hop_limit: HOP_LIMIT,
        source,
        destination,
    };
    let mut writer = Writer::with_capacity(ipv6::Header::LENGTH + message.len());
    header.emit(&mut writer);
    writer.octets(&message);
    writer.finish()
}

/// The first link-layer address option of type `wanted`. Options of other types are skipped,
/// RFC 4861 §7.1.1: "Options not recognized … MUST be ignored".
fn link_layer_option(mut reader: Reader<'_>, wanted: u8) -> Result<Option<MacAddr>, ParseError> {
    let mut found = None;
    while !reader.is_empty() {
        let (option_type, units) = (reader.u8()?, usize::from(reader.u8()?));
        // The length counts units of 8 octets and includes the two octets just read.
        let length = (units * 8).checked_sub(2).ok_or(ParseError::ZeroLengthOption)?;
        let mut option = reader.nested(length)?;
        if option_type != wanted || found.is_some() {
            continue;
        }
        if length != MAC_LENGTH {
            return Err(ParseError::LinkLayerLength(length));
        }
        let mac = option.mac()?;
        if mac.is_multicast() {
            return Err(ParseError::GroupLinkLayer(mac));
        }
        found = Some(mac);
    }
    Ok(found)
}

const FLAG_OVERRIDE: u32 = 1 << 29;
const FLAG_ROUTER: u32 = 1 << 31;
const FLAG_SOLICITED: u32 = 1 << 30;
/// No router can forge it: forwarding decrements, RFC 4861 §3.1.
const HOP_LIMIT: u8 = 255;
/// Octets of a link-layer address option with its type and length, RFC 2464 §6.
const LINK_LAYER_OPTION_LENGTH: u16 = 8;
const MAC_LENGTH: usize = 6;
/// Octets of a message without options, RFC 4861 §4.3 and §4.4.
const MESSAGE_LENGTH: u16 = 24;
const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;
const TYPE_ADVERTISEMENT: u8 = 136;
const TYPE_SOLICITATION: u8 = 135;

#[cfg(test)]
mod tests;
