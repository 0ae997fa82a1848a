//! Router Discovery: Router Solicitation and Router Advertisement, RFC 4861 §4.1 and §4.2.
//!
//! Of an advertisement it is kept who sends it and for how long that is a router. What hosts configure
//! themselves by (prefixes, MTU, hop limit, timers, flags) is ignored in what comes, and unspecified, which
//! is zero or absent, in what goes.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use ferrolb_vocab::MacAddr;

use super::{
    LINK_LAYER_OPTION_LENGTH, OPTION_SOURCE_LINK_LAYER, ParseError, checked, emit, link_layer_option,
};
use crate::cursor::Writer;
use crate::ipv6;

/// An IPv6 packet whose payload is a Router Discovery message. Its hop limit is 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From whom: of an advertisement a link-local address; of a solicitation any of the sender's, or the
    /// unspecified one if it has none yet.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
    /// What it says.
    pub message: Message,
}

/// A Router Discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 133.
    Solicitation(Solicitation),
    /// Type 134.
    Advertisement(Advertisement),
}

/// A Router Solicitation, RFC 4861 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// The Source Link-Layer Address option. One from the unspecified address comes without.
    pub source_link_layer: Option<MacAddr>,
}

/// A Router Advertisement, RFC 4861 §4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// For how many seconds the sender is a default router; zero if it is none.
    pub router_lifetime: u16,
    /// The Source Link-Layer Address option.
    pub source_link_layer: Option<MacAddr>,
}

impl Packet {
    /// Reads the packet off the payload of a frame. Padding after it is ignored.
    ///
    /// # Errors
    /// RFC 4861 §6.1.1 or §6.1.2 says to discard it silently.
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
    fn parse(header: &ipv6::Header, payload: &[u8]) -> Result<Self, ParseError> {
        let (icmp_type, mut reader) =
            checked(header, payload, [TYPE_ROUTER_SOLICITATION, TYPE_ROUTER_ADVERTISEMENT])?;
        if icmp_type == TYPE_ROUTER_SOLICITATION {
            let _reserved = reader.u32()?;
            let source_link_layer = link_layer_option(reader, OPTION_SOURCE_LINK_LAYER)?;
            if header.source.is_unspecified() && source_link_layer.is_some() {
                return Err(ParseError::UnspecifiedSourceLinkLayer);
            }
            return Ok(Self::Solicitation(Solicitation { source_link_layer }));
        }
        if !header.source.is_unicast_link_local() {
            return Err(ParseError::NotLinkLocal(header.source));
        }
        let _hop_limit_and_flags = reader.u16()?;
        let router_lifetime = reader.u16()?;
        let _reachable_time_and_retrans_timer = reader.u64()?;
        let source_link_layer = link_layer_option(reader, OPTION_SOURCE_LINK_LAYER)?;
        Ok(Self::Advertisement(Advertisement { router_lifetime, source_link_layer }))
    }

    const fn icmp_type(&self) -> u8 {
        match self {
            Self::Solicitation(_) => TYPE_ROUTER_SOLICITATION,
            Self::Advertisement(_) => TYPE_ROUTER_ADVERTISEMENT,
        }
    }

    const fn source_link_layer(&self) -> Option<MacAddr> {
        match self {
            Self::Solicitation(Solicitation { source_link_layer })
            | Self::Advertisement(Advertisement { source_link_layer, .. }) => *source_link_layer,
        }
    }

    const fn length(&self) -> u16 {
        let without = match self {
            Self::Solicitation(_) => SOLICITATION_LENGTH,
            Self::Advertisement(_) => ADVERTISEMENT_LENGTH,
        };
        match self.source_link_layer() {
            Some(_) => without + LINK_LAYER_OPTION_LENGTH,
            None => without,
        }
    }

    /// What follows the checksum.
    fn body(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Solicitation(_) => writer.u32(0),
            Self::Advertisement(Advertisement { router_lifetime, .. }) => {
                writer.u16(0).u16(*router_lifetime).u64(0)
            }
        };
        if let Some(mac) = self.source_link_layer() {
            writer.u8(OPTION_SOURCE_LINK_LAYER).u8(1).mac(mac);
        }
        writer.finish()
    }
}

/// Octets of an advertisement without options, RFC 4861 §4.2.
const ADVERTISEMENT_LENGTH: u16 = 16;
/// Octets of a solicitation without options, RFC 4861 §4.1.
const SOLICITATION_LENGTH: u16 = 8;
const TYPE_ROUTER_ADVERTISEMENT: u8 = 134;
const TYPE_ROUTER_SOLICITATION: u8 = 133;

#[cfg(test)]
mod tests;
