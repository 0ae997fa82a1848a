//! The IPv6 header and what Neighbor Discovery needs of it: checksum and multicast groups.

use core::net::Ipv6Addr;

use crate::cursor::{Reader, Truncated, Writer};

/// All nodes on the link, RFC 4291 §2.7.1.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// All routers on the link, RFC 4291 §2.7.1.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// The number of ICMPv6 as a next header, RFC 4443 §1.
pub const NEXT_HEADER_ICMPV6: u8 = 58;

/// The solicited-node multicast group of `address`: ff02::1:ff00:0/104 and the last 24 bits,
/// RFC 4291 §2.7.1.
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: u128 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits();
    Ipv6Addr::from_bits(PREFIX | (address.to_bits() & 0x00ff_ffff))
}

/// The fixed header, RFC 8200 §3. Traffic class and flow label are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets after the header.
    pub payload_length: u16,
    /// What the payload is.
    pub next_header: u8,
    /// How many hops are left.
    pub hop_limit: u8,
    /// From whom.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
}

/// Why an IPv6 packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It ends early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// Not version 6.
    #[error("version {0}, expected 6")]
    Version(u8),
    /// A group cannot send, RFC 4291 §2.7.
    #[error("source address {0} is multicast")]
    MulticastSource(Ipv6Addr),
}

impl ParseError {
    /// The name of the reason in metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "Ipv6Truncated",
            Self::Version(_) => "Ipv6Version",
            Self::MulticastSource(_) => "Ipv6MulticastSource",
        }
    }
}

impl Header {
    /// Octets in the header.
    pub const LENGTH: usize = 40;

    /// Reads the header off `packet`; the second value is its payload, without a frame's padding.
    ///
    /// # Errors
    /// The packet ends before its payload does, is of another version, or comes from a group.
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let mut reader = Reader::new(packet);
        let version = reader.array::<4>()?[0] >> 4;
        if version != 6 {
            return Err(ParseError::Version(version));
        }
        let header = Self {
            payload_length: reader.u16()?,
            next_header: reader.u8()?,
            hop_limit: reader.u8()?,
            source: reader.ipv6()?,
            destination: reader.ipv6()?,
        };
        if header.source.is_multicast() {
            return Err(ParseError::MulticastSource(header.source));
        }
        Ok((header, reader.octets(header.payload_length.into())?))
    }

    /// Appends the header; the payload comes after it.
    pub fn emit(&self, writer: &mut Writer) {
        writer
            .u32(6 << 28)
            .u16(self.payload_length)
            .u8(self.next_header)
            .u8(self.hop_limit)
            .ipv6(self.source)
            .ipv6(self.destination);
    }
}

/// The checksum over `message` and the pseudo-header, RFC 4443 §2.3: the value of the checksum
/// field if the field is zero in `message`, zero if the field is right.
#[must_use]
pub fn icmpv6_checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |octets: &[u8]| -> u64 {
        let (pairs, odd) = octets.as_chunks::<2>();
        let last = odd.first().map_or(0, |octet| u64::from(*octet) << 8);
        pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>() + last
    };
    let pseudo_header = words(&source.octets())
        + words(&destination.octets())
        + message.len() as u64
        + u64::from(NEXT_HEADER_ICMPV6);
    let mut sum = pseudo_header + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits above")]
    let folded = sum as u16;
    !folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_solicited_node_group_keeps_the_last_24_bits() {
        let group = |text: &str| solicited_node(text.parse().unwrap());
        // The example of rfc4291 2.7.1.
        assert_eq!(group("4037::01:800:200e:8c6c"), "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap());
        assert_eq!(group("2001:db8::50"), "ff02::1:ff00:50".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn other_versions_groups_as_source_and_short_packets_are_refused() {
        let mut packet = [0; 40];
        packet[0] = 0x45;
        assert_eq!(Header::parse(&packet), Err(ParseError::Version(4)));
        packet[0] = 0x60;
        packet[5] = 1;
        assert_eq!(Header::parse(&packet), Err(ParseError::Truncated(Truncated { wanted: 1, left: 0 })));
        packet[8] = 0xff;
        assert_eq!(Header::parse(&packet).unwrap_err().reason(), "Ipv6MulticastSource");
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_back(
            next_header: u8, hop_limit: u8, source in 0..0xff_u128 << 120, destination: u128,
            payload in proptest::collection::vec(any::<u8>(), 0..64), padding in 0_usize..20,
        ) {
            let header = Header {
                payload_length: u16::try_from(payload.len()).unwrap(),
                next_header,
                hop_limit,
                source: Ipv6Addr::from_bits(source),
                destination: Ipv6Addr::from_bits(destination),
            };
            let mut writer = Writer::default();
            header.emit(&mut writer);
            writer.octets(&payload).octets(&std::vec![0; padding]);
            let packet = writer.finish();
            prop_assert_eq!(Header::parse(&packet), Ok((header, &payload[..])));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>) {
            if let Ok((header, payload)) = Header::parse(&octets) {
                prop_assert_eq!(usize::from(header.payload_length), payload.len());
            }
        }

        #[test]
        fn a_message_with_its_checksum_in_place_sums_to_zero(
            source: u128, destination: u128, mut message in proptest::collection::vec(any::<u8>(), 4..80),
        ) {
            let (source, destination) = (Ipv6Addr::from_bits(source), Ipv6Addr::from_bits(destination));
            message[2..4].fill(0);
            let checksum = icmpv6_checksum(source, destination, &message);
            message[2..4].copy_from_slice(&checksum.to_be_bytes());
            prop_assert_eq!(icmpv6_checksum(source, destination, &message), 0);
        }
    }
}
