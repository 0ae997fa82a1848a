//! What the Echo function sends: RFC 5881 §4.
//!
//! An Echo packet goes to its sender's own address, in a frame to the peer, whose forwarding sends
//! it back. The kernel takes no datagram from an address of this host's that comes from outside,
//! and none to a peer's: packet sockets do, which see frames.

use alloc::vec::Vec;
use core::mem;
use core::net::Ipv4Addr;
use core::num::NonZeroU32;

use ferrolb_vocab::MacAddr;

use crate::cursor::{Reader, Truncated, Writer};
use crate::ethernet::{self, EtherType};

/// The UDP port that Echo packets go to: RFC 5881 §4.
pub const ECHO_PORT: u16 = 3785;

/// What this side's Echo packets say. Nobody else reads it: RFC 5880 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The sender's name of the session.
    pub discriminator: NonZeroU32,
    /// Where the packet stands among the session's.
    pub sequence: u32,
}

/// A UDP datagram in an IPv4 packet in an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The link-layer address that it goes to.
    pub to: MacAddr,
    /// The link-layer address that it comes from.
    pub from: MacAddr,
    /// Whom the packet is from.
    pub source: Ipv4Addr,
    /// Whom the packet is to.
    pub destination: Ipv4Addr,
    /// Its Time to Live.
    pub ttl: u8,
    /// The UDP port that it goes to; what is sent comes from the same.
    pub port: u16,
    /// What the datagram carries.
    pub payload: &'a [u8],
}

impl Echo {
    /// Octets of what an Echo packet says.
    pub const LENGTH: usize = 8;

    /// Reads what this side wrote. `None`: this is another's.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[a, b, c, d, e, f, g, h] = <&[u8; Self::LENGTH]>::try_from(payload).ok()?;
        let discriminator = NonZeroU32::new(u32::from_be_bytes([a, b, c, d]))?;
        Some(Self { discriminator, sequence: u32::from_be_bytes([e, f, g, h]) })
    }

    /// The octets.
    #[must_use]
    pub const fn emit(&self) -> [u8; Self::LENGTH] {
        let [a, b, c, d] = self.discriminator.get().to_be_bytes();
        let [e, f, g, h] = self.sequence.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

impl<'a> Frame<'a> {
    /// Reads a frame. `None` if it holds no UDP datagram of IPv4, or one in fragments, with options
    /// or with a header that was damaged on the way. The datagram's checksum is not looked at.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        Self::read(octets).ok().flatten()
    }

    fn read(octets: &'a [u8]) -> Result<Option<Self>, Truncated> {
        let mut reader = Reader::new(octets);
        let link = ethernet::Header::parse(&mut reader)?;
        let header = reader.rest().get(..IPV4_HEADER).unwrap_or_default();
        let ([version, _tos], total_length) = (reader.array()?, reader.u16()?);
        let (_identification, fragment) = (reader.u16()?, reader.u16()?);
        let (ttl, protocol, _checksum) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let (source, destination) = (reader.ipv4()?, reader.ipv4()?);
        let mut packet = reader.nested(usize::from(total_length).saturating_sub(IPV4_HEADER))?;
        let is_datagram = link.ether_type == IPV4
            && version == VERSION_AND_LENGTH
            && fragment & MORE_OR_OFFSET == 0
            && protocol == UDP
            && checksum(&[header]) == 0;
        if !is_datagram {
            return Ok(None);
        }
        let (_source_port, port) = (packet.u16()?, packet.u16()?);
        let (length, _checksum) = (packet.u16()?, packet.u16()?);
        let payload = packet.octets(usize::from(length).saturating_sub(UDP_HEADER))?;
        Ok(Some(Self { to: link.destination, from: link.source, source, destination, ttl, port, payload }))
    }

    /// The octets, as network control traffic. A payload of a datagram's length is cut.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let payload = self.payload.get(..PAYLOAD_MAX).unwrap_or(self.payload);
        let datagram_length = u16::try_from(UDP_HEADER.saturating_add(payload.len())).unwrap_or(u16::MAX);
        let mut datagram = Writer::with_capacity(usize::from(datagram_length));
        let pseudo_header = self.pseudo_header(datagram_length);
        datagram.u16(self.port).u16(self.port).u16(datagram_length);
        // A sum of zero goes as all ones, RFC 768: zero says that there is none.
        let sum = match checksum(&[&pseudo_header, datagram.written(), payload]) {
            0 => u16::MAX,
            sum => sum,
        };
        datagram.u16(sum).octets(payload);

        let mut packet = Writer::with_capacity(IPV4_HEADER.saturating_add(usize::from(datagram_length)));
        let total_length = datagram_length.saturating_add(20);
        packet.u8(VERSION_AND_LENGTH).u8(NETWORK_CONTROL).u16(total_length).u32(0).u8(self.ttl).u8(UDP);
        let addresses = [self.source.octets(), self.destination.octets()];
        let sum = checksum(&[packet.written(), addresses.as_flattened()]);
        packet.u16(sum).octets(addresses.as_flattened()).octets(datagram.written());
        let header = ethernet::Header { destination: self.to, source: self.from, ether_type: IPV4 };
        header.frame(packet.written())
    }

    /// RFC 768.
    fn pseudo_header(&self, datagram_length: u16) -> [u8; 12] {
        let ([a, b, c, d], [e, f, g, h]) = (self.source.octets(), self.destination.octets());
        let [high, low] = datagram_length.to_be_bytes();
        [a, b, c, d, e, f, g, h, 0, UDP, high, low]
    }

    /// Turns the octets of a frame round, as a router does with a packet that goes back where it
    /// came from: one hop less to live, and all that the sender wrote beside that as it was.
    /// `None`, and the octets as they were, if they are no such frame or have no hop left.
    pub fn turn_round(octets: &mut [u8]) -> Option<()> {
        let ttl = Frame::parse(octets)?.ttl.checked_sub(1)?;
        let (to, rest) = octets.split_first_chunk_mut::<6>()?;
        let (from, rest) = rest.split_first_chunk_mut::<6>()?;
        // The type, and the packet's header before its Time to Live.
        let (_unchanged, rest) = rest.split_first_chunk_mut::<10>()?;
        let ([its_ttl, _protocol, high, low], _) = rest.split_first_chunk_mut::<4>()?;
        mem::swap(to, from);
        *its_ttl = ttl;
        [*high, *low] = one_less(u16::from_be_bytes([*high, *low])).to_be_bytes();
        Some(())
    }
}

/// The checksum of a header whose Time to Live has become one less: RFC 1141.
const fn one_less(checksum: u16) -> u16 {
    let (sum, has_carried) = checksum.overflowing_add(0x0100);
    if has_carried { sum.wrapping_add(1) } else { sum }
}

/// The Internet checksum, RFC 1071, of parts that have an even number of octets but for the last:
/// the value of the field where it is missing or zero, zero where it is right.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = parts.iter().map(|part| words(part)).fold(0, u64::saturating_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The sum of the 16-bit numbers.
fn words(octets: &[u8]) -> u64 {
    let (pairs, odd) = octets.as_chunks::<2>();
    let last = odd.first().map_or(0, |octet| u64::from(*octet) << 8);
    pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).fold(last, u64::saturating_add)
}

const IPV4: EtherType = EtherType(0x0800);

/// Version 4, and a header of five words: without options.
const VERSION_AND_LENGTH: u8 = 0x45;

/// Octets of such a header.
const IPV4_HEADER: usize = 20;

/// More Fragments, and the offset of one.
const MORE_OR_OFFSET: u16 = 0x3fff;

const UDP: u8 = 17;

/// Octets of a datagram's header.
const UDP_HEADER: usize = 8;

/// Octets that a packet has room for beside both headers.
const PAYLOAD_MAX: usize = 65_535 - IPV4_HEADER - UDP_HEADER;

/// Class Selector 6 (RFC 4594 §3.1), in the octet that has it.
const NETWORK_CONTROL: u8 = 0xc0;

#[cfg(test)]
mod tests;
