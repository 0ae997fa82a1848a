//! What a datagram says, by kind.
//!
//! ```text
//! Heartbeat  claims version u64, interval u32, detection time u32 (both in microseconds, as in
//!            RFC 5880 §4.1), flags u8 (1 = leaving, 2 = herald, 4 = followed, the others 0)
//! Leave      nothing
//! Claims     version u64, page u16, pages u16, entries u8, then per entry:
//!            address, 16 octets (IPv4 as in RFC 4291 §2.5.5.2), epoch u64
//! Ask        version u64
//! Suspect    name length u8, node name, incarnation u64
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use ferrolb_vocab::Epoch;

use super::{DecodeError, MemberName};
use crate::cursor::{Reader, Truncated, Writer};

/// Addresses on one page: as many as fit beside the longest node name.
pub const PAGE_ENTRIES_MAX: usize = 38;

/// Pages of one version of claims: enough for 65,536 addresses.
pub const PAGES_MAX: u16 = 1_725;

/// Octets of an entry of a page.
const ENTRY_LEN: usize = 16 + 8;

/// Octets of a full page.
pub(super) const CLAIMS_MAX_LEN: usize = 8 + 2 + 2 + 1 + PAGE_ENTRIES_MAX * ENTRY_LEN;

/// The flag of a speaker that is about to leave.
const LEAVING: u8 = 1;

/// The flag for a receiver that is to tell the others of the sender's death.
const HERALD: u8 = 2;

/// The flag of a speaker that hands over to another process on its node.
const FOLLOWED: u8 = 4;

/// The kinds of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The speaker is up and may own addresses.
    Heartbeat,
    /// The speaker is gone: this incarnation sends no heartbeat after it.
    Leave,
    /// A part of what the speaker owns.
    Claims,
    /// The speaker does not know what the receiver owns, or whether it is up.
    Ask,
    /// The speaker takes another for dead.
    Suspect,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Heartbeat, Self::Leave, Self::Claims, Self::Ask, Self::Suspect];

    /// The kind's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Leave => "leave",
            Self::Claims => "claims",
            Self::Ask => "ask",
            Self::Suspect => "suspect",
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Heartbeat => 1,
            Self::Leave => 2,
            Self::Claims => 3,
            Self::Ask => 4,
            Self::Suspect => 5,
        }
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The sender is up.
    Heartbeat(Heartbeat),
    /// The sender is gone.
    Leave,
    /// A part of what the sender owns.
    Claims(ClaimsPage),
    /// The sender wants the receiver's claims, and to hear it.
    Ask {
        /// The version of them that it has, 0 for none.
        version: u64,
    },
    /// The sender takes another node for dead.
    Suspect(Suspect),
}

/// "I am up, this is the version of my claims, and so soon you hear me again."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The version of what the sender owns; 0 until it has decided for the first time.
    pub claims_version: u64,
    /// How soon the receiver gets the next one, in whole microseconds.
    pub interval: Duration,
    /// For how long without one the receiver may not take the sender for dead, in whole
    /// microseconds.
    pub detection: Duration,
    /// Whether the receiver is to tell the others when it takes the sender for dead.
    pub is_herald: bool,
    /// Whether the sender's addresses are up for taking: it still answers for them, and ends soon.
    pub is_leaving: bool,
    /// Whether another process on the sender's node takes its place now: for a moment nobody
    /// listens on its port, and that means nothing.
    pub is_followed: bool,
}

/// "I do not hear this node any more, which was to be heard."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Which node.
    pub node: MemberName,
    /// Which run of its process.
    pub incarnation: u64,
}

/// A part of what a speaker owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsPage {
    /// The version that the page belongs to.
    pub version: u64,
    /// Which page, from 0.
    pub page: u16,
    /// How many pages the version has, at least 1.
    pub pages: u16,
    /// The addresses, each with the epoch under which the sender owns it; at most
    /// [`PAGE_ENTRIES_MAX`].
    pub entries: Vec<(IpAddr, Epoch)>,
}

impl Body {
    /// The kind of the datagram.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Leave => Kind::Leave,
            Self::Claims(_) => Kind::Claims,
            Self::Ask { .. } => Kind::Ask,
            Self::Suspect(_) => Kind::Suspect,
        }
    }

    pub(super) fn parse(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            Kind::Heartbeat => Heartbeat::parse(reader).map(Self::Heartbeat),
            Kind::Leave => Ok(Self::Leave),
            Kind::Claims => ClaimsPage::parse(reader).map(Self::Claims),
            Kind::Ask => Ok(Self::Ask { version: reader.u64()? }),
            Kind::Suspect => Suspect::parse(reader).map(Self::Suspect),
        }
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        match self {
            Self::Heartbeat(heartbeat) => heartbeat.emit(writer),
            Self::Leave => {}
            Self::Claims(page) => page.emit(writer),
            Self::Ask { version } => {
                writer.u64(*version);
            }
            Self::Suspect(suspect) => suspect.emit(writer),
        }
    }
}

impl Heartbeat {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let claims_version = reader.u64()?;
        let [interval, detection] = [reader.u32()?, reader.u32()?];
        let flags = reader.u8()?;
        if flags & !(LEAVING | HERALD | FOLLOWED) != 0 {
            return Err(DecodeError::Flags(flags));
        }
        Ok(Self {
            claims_version,
            interval: Duration::from_micros(interval.into()),
            detection: Duration::from_micros(detection.into()),
            is_herald: flags & HERALD != 0,
            is_leaving: flags & LEAVING != 0,
            is_followed: flags & FOLLOWED != 0,
        })
    }

    fn emit(self, writer: &mut Writer) {
        let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags =
            flag(self.is_leaving, LEAVING) | flag(self.is_herald, HERALD) | flag(self.is_followed, FOLLOWED);
        writer.u64(self.claims_version).u32(micros(self.interval)).u32(micros(self.detection)).u8(flags);
    }
}

impl Suspect {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { node: MemberName::read(reader)?, incarnation: reader.u64()? })
    }

    fn emit(&self, writer: &mut Writer) {
        self.node.emit(writer);
        writer.u64(self.incarnation);
    }
}

impl ClaimsPage {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u64()?;
        let (page, pages, count) = (reader.u16()?, reader.u16()?, reader.u8()?);
        if page >= pages || pages > PAGES_MAX || usize::from(count) > PAGE_ENTRIES_MAX {
            return Err(DecodeError::Page { page, pages, entries: count });
        }
        let entries = (0..count).map(|_| entry(reader)).collect::<Result<_, _>>()?;
        Ok(Self { version, page, pages, entries })
    }

    fn emit(&self, writer: &mut Writer) {
        let entries = self.entries.get(..PAGE_ENTRIES_MAX).unwrap_or(&self.entries);
        #[expect(clippy::cast_possible_truncation, reason = "at most PAGE_ENTRIES_MAX")]
        let count = entries.len() as u8;
        writer.u64(self.version).u16(self.page).u16(self.pages).u8(count);
        for &(address, epoch) in entries {
            let address = match address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            writer.ipv6(address).u64(epoch.0);
        }
    }
}

fn entry(reader: &mut Reader<'_>) -> Result<(IpAddr, Epoch), Truncated> {
    let address: Ipv6Addr = reader.ipv6()?;
    Ok((address.to_canonical(), Epoch(reader.u64()?)))
}
