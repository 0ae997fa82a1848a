//! What the announcer says: about a packet, to the network, and to its driver.

use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{InterfaceName, IpFamily, MacAddr, NodeName};
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
    /// Another station has or wants an address that is being probed for.
    Occupied(Protocol),
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
    /// It concerns an address that is probed for, or that another station has.
    NotAnnounced,
    /// Another node of the cluster claims an address of ours, which may be about to move.
    Fellow,
    /// It concerns an address of ours that is not announced on this interface.
    OtherInterface,
    /// The interface has no IPv6 link-local address: it does not speak IPv6.
    NoLinkLocal,
    /// More requests than [`crate::rate::REPLIES_PER_SECOND`] on this interface, or than the asker's
    /// share of them.
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
            Self::NotAnnounced => "NotAnnounced",
            Self::Fellow => "Fellow",
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
    /// An ARP Probe.
    ArpProbe,
    /// A Neighbor Solicitation for Duplicate Address Detection.
    DuplicateAddressDetection,
    /// An ARP Announcement that defends an address.
    ArpDefence,
    /// An unsolicited Neighbor Advertisement that defends an address.
    AdvertisementDefence,
}

/// What a frame to send is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It answers.
    Reply,
    /// It tells unasked who has an address.
    Announcement,
    /// It asks whether anyone has an address.
    Probe,
    /// It contradicts another station's claim.
    Defence,
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
            Self::ArpProbe => "arp-probe",
            Self::DuplicateAddressDetection => "duplicate-address-detection",
            Self::ArpDefence => "arp-defence",
            Self::AdvertisementDefence => "advertisement-defence",
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::ArpReply | Self::Advertisement => Purpose::Reply,
            Self::ArpAnnouncement | Self::ArpAnnouncementReply | Self::UnsolicitedAdvertisement => {
                Purpose::Announcement
            }
            Self::ArpProbe | Self::DuplicateAddressDetection => Purpose::Probe,
            Self::ArpDefence | Self::AdvertisementDefence => Purpose::Defence,
        }
    }
}

/// What the driver's owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another station claims an address of ours.
    Conflict(Conflict),
    /// Another station had an address before it was first used here: it is not used on that
    /// interface as long as that is so. Told again only for another station.
    Occupied(Conflict),
    /// Nobody has an address any more that was occupied: it is announced from now on.
    Free {
        /// The address.
        address: IpAddr,
        /// Where.
        interface: InterfaceName,
    },
}

/// Another station's claim to an address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The address claimed.
    pub address: IpAddr,
    /// Who claims it.
    pub mac: MacAddr,
    /// The node of the cluster that it is, if it is one.
    pub node: Option<NodeName>,
    /// Where the claim was heard.
    pub interface: InterfaceName,
}

/// Why the announcer wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Whether an address is free is being found out.
    Probe,
    /// An address was gained a moment ago.
    Announce,
    /// The network's tables want refreshing.
    Refresh,
}
