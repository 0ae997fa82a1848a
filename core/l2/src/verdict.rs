//! What the announcer says: about a packet, to the network, and to its driver.

use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{InterfaceName, IpFamily, MacAddr};
use ferrolb_wire::{arp, cursor, ndp};

/// The protocol that resolves addresses of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// IPv4, RFC 826.
    Arp,
    /// IPv6, RFC 4861.
    Ndp,
}

impl From<IpFamily> for Protocol {
    fn from(family: IpFamily) -> Self {
        match family {
            IpFamily::V4 => Self::Arp,
            IpFamily::V6 => Self::Ndp,
        }
    }
}

impl Protocol {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Ndp => "ndp",
        }
    }
}

/// What became of a packet that concerned an address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// A request or solicitation, answered.
    Request(Protocol),
    /// Another station claims one of our addresses. If the packet asked for an address of
    /// ours as well, it is answered too.
    Conflict(Protocol),
}

/// Why a packet had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The frame is shorter than its header.
    Ethernet(cursor::Truncated),
    /// It is not ARP to be believed.
    Arp(arp::ParseError),
    /// It is not Neighbor Discovery to be believed.
    Ndp(ndp::ParseError),
    /// The frame carries neither ARP nor IPv6.
    EtherType,
    /// It came from an interface that is down or gone.
    UnknownInterface,
    /// It is for another station.
    OtherDestination,
    /// We sent it ourselves.
    Own,
    /// It concerns no address of ours.
    NotOwned,
    /// It concerns an address of ours that is not announced on this interface.
    OtherInterface,
    /// The interface has no IPv6 link-local address: it does not speak IPv6.
    NoLinkLocal,
    /// More requests than [`crate::announcer::REPLIES_PER_SECOND`] on this interface.
    RateLimited,
    /// The transmit queue is full: the driver does not drain it.
    QueueFull,
}

impl Dropped {
    /// The name of the reason in metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Ethernet(_) => "EthernetTruncated",
            Self::Arp(error) => error.reason(),
            Self::Ndp(error) => error.reason(),
            Self::EtherType => "EtherType",
            Self::UnknownInterface => "UnknownInterface",
            Self::OtherDestination => "OtherDestination",
            Self::Own => "Own",
            Self::NotOwned => "NotOwned",
            Self::OtherInterface => "OtherInterface",
            Self::NoLinkLocal => "NoLinkLocal",
            Self::RateLimited => "RateLimited",
            Self::QueueFull => "QueueFull",
        }
    }
}

/// A frame to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Through which interface.
    pub interface: InterfaceName,
    /// The address it is about.
    pub address: IpAddr,
    /// What it is.
    pub kind: TransmitKind,
    /// The Ethernet frame.
    pub frame: Vec<u8>,
}

/// What a frame to send is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransmitKind {
    /// A reply to an ARP request.
    ArpReply,
    /// An ARP Announcement in the request form.
    ArpAnnouncement,
    /// An ARP Announcement in the reply form.
    ArpAnnouncementReply,
    /// An answer to a Neighbor Solicitation.
    Advertisement,
    /// An unsolicited Neighbor Advertisement.
    UnsolicitedAdvertisement,
}

impl TransmitKind {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ArpReply => "arp-reply",
            Self::ArpAnnouncement => "arp-announcement",
            Self::ArpAnnouncementReply => "arp-announcement-reply",
            Self::Advertisement => "advertisement",
            Self::UnsolicitedAdvertisement => "unsolicited-advertisement",
        }
    }

    /// Whether nobody asked for it.
    #[must_use]
    pub const fn is_announcement(self) -> bool {
        match self {
            Self::ArpReply | Self::Advertisement => false,
            Self::ArpAnnouncement | Self::ArpAnnouncementReply | Self::UnsolicitedAdvertisement => true,
        }
    }
}

/// What the driver's owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another station claims an address of ours.
    Conflict(Conflict),
}

/// Another station's claim to an address that is announced here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The address claimed.
    pub address: IpAddr,
    /// Who claims it.
    pub mac: MacAddr,
    /// Where the claim was heard.
    pub interface: InterfaceName,
}

/// Why the announcer wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// An address was gained a moment ago.
    Announce,
    /// The network's tables want refreshing.
    Refresh,
}
