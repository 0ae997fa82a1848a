//! Ethernet II frames.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use ferrolb_vocab::MacAddr;

use crate::cursor::{Reader, Truncated, Writer};

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EtherType(pub u16);

impl EtherType {
    /// Address Resolution Protocol.
    pub const ARP: Self = Self(0x0806);
    /// Internet Protocol version 6.
    pub const IPV6: Self = Self(0x86dd);
}

/// The header of an Ethernet II frame, without a VLAN tag: the kernel takes tags off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// To whom.
    pub destination: MacAddr,
    /// From whom.
    pub source: MacAddr,
    /// What the payload is.
    pub ether_type: EtherType,
}

impl Header {
    /// Octets in a header.
    pub const LENGTH: usize = 14;

    /// Reads a header, leaving `reader` at the payload.
    ///
    /// # Errors
    /// The frame is shorter than a header.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        Ok(Self { destination: reader.mac()?, source: reader.mac()?, ether_type: EtherType(reader.u16()?) })
    }

    /// The frame of this header and `payload`. The driver of the interface pads it to the minimum.
    #[must_use]
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LENGTH + payload.len());
        writer.mac(self.destination).mac(self.source).u16(self.ether_type.0).octets(payload);
        writer.finish()
    }
}

/// Where a frame for an IPv6 multicast group goes: 33:33 and the group's last 32 bits, RFC 2464 §7.
#[must_use]
pub const fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_multicast_group_has_the_mac_of_rfc_2464() {
        let mac = |group: &str| multicast_mac(group.parse().unwrap());
        assert_eq!(mac("ff02::1"), MacAddr([0x33, 0x33, 0, 0, 0, 1]));
        assert_eq!(mac("ff02::1:ff12:3456"), MacAddr([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]));
    }

    #[test]
    fn a_frame_shorter_than_its_header_is_refused() {
        assert_eq!(Header::parse(&mut Reader::new(&[0; 13])), Err(Truncated { wanted: 2, left: 1 }));
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_back(
            destination: [u8; 6], source: [u8; 6], ether_type: u16, payload: Vec<u8>,
        ) {
            let header = Header {
                destination: MacAddr(destination),
                source: MacAddr(source),
                ether_type: EtherType(ether_type),
            };
            let frame = header.frame(&payload);
            let mut reader = Reader::new(&frame);
            prop_assert_eq!(Header::parse(&mut reader), Ok(header));
            prop_assert_eq!(reader.rest(), &payload[..]);
        }
    }
}
