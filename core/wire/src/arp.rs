//! ARP for IPv4 over Ethernet: RFC 826, with the probes and announcements of RFC 5227.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use ferrolb_vocab::MacAddr;

use crate::cursor::{Reader, Truncated, Writer};

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply (`ar$op`).
    pub operation: Operation,
    /// The sender hardware address (`ar$sha`).
    pub sender_hardware: MacAddr,
    /// The sender IP address (`ar$spa`).
    pub sender_ip: Ipv4Addr,
    /// The target hardware address (`ar$tha`), meaningless in a request.
    pub target_hardware: MacAddr,
    /// The target IP address (`ar$tpa`).
    pub target_ip: Ipv4Addr,
}

/// What an ARP packet asks or says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target IP address?
    Request,
    /// The sender has the sender IP address.
    Reply,
}

/// Why an ARP packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It ends early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// `ar$hrd` is not Ethernet.
    #[error("hardware type {0}, expected 1 (Ethernet)")]
    HardwareType(u16),
    /// `ar$pro` is not IPv4.
    #[error("protocol type {0:#06x}, expected 0x0800 (IPv4)")]
    ProtocolType(u16),
    /// `ar$hln` and `ar$pln` are not those of Ethernet and IPv4.
    #[error("address lengths {hardware} and {protocol}, expected 6 and 4")]
    AddressLength {
        /// `ar$hln`.
        hardware: u8,
        /// `ar$pln`.
        protocol: u8,
    },
    /// Neither a request nor a reply: RARP and others.
    #[error("operation {0}, expected 1 (request) or 2 (reply)")]
    Operation(u16),
    /// The sender claims a group as its own hardware address. RFC 1812 §3.3.2 forbids to
    /// believe it; to answer it would multiply one request into one frame for everyone.
    #[error("sender hardware address {0} is a group")]
    GroupSender(MacAddr),
}

impl ParseError {
    /// The name of the reason in metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "ArpTruncated",
            Self::HardwareType(_) => "ArpHardwareType",
            Self::ProtocolType(_) => "ArpProtocolType",
            Self::AddressLength { .. } => "ArpAddressLength",
            Self::Operation(_) => "ArpOperation",
            Self::GroupSender(_) => "ArpGroupSender",
        }
    }
}

impl Packet {
    /// Octets in a packet, without the frame's padding.
    pub const LENGTH: usize = 28;

    /// Asks who has `target_ip`.
    #[must_use]
    pub const fn request(sender_hardware: MacAddr, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Request,
            sender_hardware,
            sender_ip,
            target_hardware: MacAddr::ZERO,
            target_ip,
        }
    }

    /// Asks whether anyone has `target_ip` without polluting a cache: the sender IP address is
    /// zero, RFC 5227 §2.1.1.
    #[must_use]
    pub const fn probe(sender_hardware: MacAddr, target_ip: Ipv4Addr) -> Self {
        Self::request(sender_hardware, Ipv4Addr::UNSPECIFIED, target_ip)
    }

    /// Says that `sender_hardware` has `address`: a request for one's own address, RFC 5227 §2.3.
    #[must_use]
    pub const fn announcement(sender_hardware: MacAddr, address: Ipv4Addr) -> Self {
        Self::request(sender_hardware, address, address)
    }

    /// The reply form of [`Packet::announcement`], RFC 5944 §4.6: the target hardware address is
    /// the sender's, without which Linux takes it for an ordinary reply.
    #[must_use]
    pub const fn announcement_reply(sender_hardware: MacAddr, address: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Reply,
            sender_hardware,
            sender_ip: address,
            target_hardware: sender_hardware,
            target_ip: address,
        }
    }

    /// The answer to this request from `sender_hardware`, which has the address asked for:
    /// fields swapped as RFC 826 "Packet Reception" says.
    #[must_use]
    pub const fn reply(&self, sender_hardware: MacAddr) -> Self {
        Self {
            operation: Operation::Reply,
            sender_hardware,
            sender_ip: self.target_ip,
            target_hardware: self.sender_hardware,
            target_ip: self.sender_ip,
        }
    }

    /// Whether this is an ARP Probe, RFC 5227 §1.1: its sender wants the target IP address and
    /// does not have it yet.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        matches!(self.operation, Operation::Request) && self.sender_ip.is_unspecified()
    }

    /// Whether this is an ARP Announcement in the request form, which asks nothing.
    #[must_use]
    pub const fn is_announcement(&self) -> bool {
        matches!(self.operation, Operation::Request) && self.sender_ip.to_bits() == self.target_ip.to_bits()
    }

    /// Reads the packet off the payload of a frame. Padding after it is ignored.
    ///
    /// # Errors
    /// It is not ARP for IPv4 over Ethernet, or not a packet to believe.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let hardware_type = reader.u16()?;
        if hardware_type != HARDWARE_ETHERNET {
            return Err(ParseError::HardwareType(hardware_type));
        }
        let protocol_type = reader.u16()?;
        if protocol_type != PROTOCOL_IPV4 {
            return Err(ParseError::ProtocolType(protocol_type));
        }
        let (hardware, protocol) = (reader.u8()?, reader.u8()?);
        if (hardware, protocol) != (HARDWARE_LENGTH, PROTOCOL_LENGTH) {
            return Err(ParseError::AddressLength { hardware, protocol });
        }
        let operation = match reader.u16()? {
            OPERATION_REQUEST => Operation::Request,
            OPERATION_REPLY => Operation::Reply,
            other => return Err(ParseError::Operation(other)),
        };
        let packet = Self {
            operation,
            sender_hardware: reader.mac()?,
            sender_ip: reader.ipv4()?,
            target_hardware: reader.mac()?,
            target_ip: reader.ipv4()?,
        };
        if packet.sender_hardware.is_multicast() {
            return Err(ParseError::GroupSender(packet.sender_hardware));
        }
        Ok(packet)
    }

    /// The packet's octets.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LENGTH);
        writer
            .u16(HARDWARE_ETHERNET)
            .u16(PROTOCOL_IPV4)
            .u8(HARDWARE_LENGTH)
            .u8(PROTOCOL_LENGTH)
            .u16(match self.operation {
                Operation::Request => OPERATION_REQUEST,
                Operation::Reply => OPERATION_REPLY,
            })
            .mac(self.sender_hardware)
            .ipv4(self.sender_ip)
            .mac(self.target_hardware)
            .ipv4(self.target_ip);
        writer.finish()
    }
}

const HARDWARE_ETHERNET: u16 = 1;
const HARDWARE_LENGTH: u8 = 6;
const OPERATION_REPLY: u16 = 2;
const OPERATION_REQUEST: u16 = 1;
const PROTOCOL_IPV4: u16 = 0x0800;
const PROTOCOL_LENGTH: u8 = 4;

#[cfg(test)]
mod tests;
