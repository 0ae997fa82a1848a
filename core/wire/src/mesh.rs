//! The speakers' protocol: who is up, who leaves, and who owns which address.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                         Magic, "FLBm"                         |
//! +---------------+---------------+-------------------------------+
//! |  Version, 2   |     Kind      |        Key id, 32 bits …      |
//! +---------------+---------------+---------------+---------------+
//! |        … Key id               |  Name length  |  Node name …  |
//! +---------------+---------------+---------------+---------------+
//! |            Incarnation of the sender, 64 bits                 |
//! |            Sequence, 64 bits                                  |
//! |            Echo, 64 bits                                      |
//! |            Body, by kind                                      |
//! |            Tag, 128 bits                                      |
//! +---------------------------------------------------------------+
//! ```
//!
//! The node name, 1 to 253 octets, stands between its length and the incarnation. The echo is the
//! incarnation of the receiver as the sender heard it last, 0 if never: whoever finds its own
//! there knows that the datagram is no recording from before its start. The tag covers everything
//! before it: HMAC-SHA-256 (RFC 2104) of the key that the key id names, truncated to its first
//! 128 bits as in RFC 4868. This codec carries key id and tag; it knows no keys.

use alloc::vec::Vec;

use crate::cursor::{Reader, Truncated, Writer};

mod body;
mod name;

pub use body::{Body, ClaimsPage, Heartbeat, Kind, PAGE_ENTRIES_MAX, PAGES_MAX, Suspect};
pub use name::{MemberName, NAME_MAX, NameError};

/// The first octets of every datagram.
const MAGIC: [u8; 4] = *b"FLBm";

/// The version this codec speaks. Magic and version stay where they are in every version.
const VERSION: u8 = 2;

/// Octets of a tag.
pub const TAG_LEN: usize = 16;

/// Octets before the body, with the longest name.
const HEADER_MAX: usize = MAGIC.len() + 2 + 4 + 1 + NAME_MAX + 3 * 8;

/// Octets of the longest datagram. What the smallest IPv6 path carries unfragmented, 1280 octets
/// (RFC 8200 §5), less the headers of IPv6 and UDP.
pub const DATAGRAM_MAX: usize = 1_232;

/// Octets that a datagram other than a page of claims rarely exceeds.
const USUAL_LEN: usize = 128;

const _: () = assert!(HEADER_MAX + body::CLAIMS_MAX_LEN + TAG_LEN <= DATAGRAM_MAX, "a full page fits");

/// Names a key without giving it away, so that a receiver of several finds the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// What shows that a datagram comes from someone who has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub [u8; TAG_LEN]);

/// One message of a speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The key that it is authenticated with.
    pub key: KeyId,
    /// Who says it.
    pub sender: MemberName,
    /// Which run of the sender's process; a later run has a larger one.
    pub incarnation: u64,
    /// Counts the sender's heartbeats, Leaves and Suspects to this receiver within the incarnation,
    /// so that copies and stragglers show. The other kinds bear the number of the one before them.
    pub sequence: u64,
    /// The receiver's incarnation as the sender heard it last, 0 if never.
    pub echo: u64,
    /// What it says.
    pub body: Body,
}

/// A datagram as it came, to be believed only if the tag is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What it says.
    pub datagram: Datagram,
    /// The octets that the tag covers.
    pub covered: &'a [u8],
    /// The tag that came with it.
    pub tag: Tag,
}

/// Why octets are no datagram of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends inside a field.
    #[error("the datagram is cut short")]
    Truncated(#[from] Truncated),
    /// It does not begin with the magic: some other program's.
    #[error("the datagram does not begin with {MAGIC:02x?}")]
    Magic,
    /// It is of a version that this program does not know.
    #[error("version {0} is unknown, expected {VERSION}; the sender runs another version of ferrolb")]
    Version(u8),
    /// The kind is unknown.
    #[error("kind {0} is unknown")]
    Kind(u8),
    /// The node name is empty, too long, or holds other characters than a node's name can.
    #[error("the name is no node's")]
    Name,
    /// A flag that has no meaning.
    #[error("flags {0:#04x} are unknown")]
    Flags(u8),
    /// A page of claims that cannot be one of so many, or with more entries than fit.
    #[error("page {page} of {pages} with {entries} entries cannot be")]
    Page {
        /// Its number.
        page: u16,
        /// Of how many.
        pages: u16,
        /// How many addresses it lists.
        entries: u8,
    },
    /// Octets follow the tag.
    #[error("{0} octets follow the tag")]
    Trailing(usize),
}

impl DecodeError {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated(_) => "truncated",
            Self::Magic => "magic",
            Self::Version(_) => "version",
            Self::Kind(_) => "kind",
            Self::Name => "name",
            Self::Flags(_) => "flags",
            Self::Page { .. } => "page",
            Self::Trailing(_) => "trailing",
        }
    }
}

impl Datagram {
    /// Takes a datagram apart. Nothing in it is true before its tag is found right.
    ///
    /// # Errors
    /// The octets are not exactly one datagram of version 2.
    pub fn parse(octets: &[u8]) -> Result<Received<'_>, DecodeError> {
        let mut reader = Reader::new(octets);
        if reader.array()? != MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let code = reader.u8()?;
        let kind = Kind::of_code(code).ok_or(DecodeError::Kind(code))?;
        let key = KeyId(reader.u32()?);
        let sender = MemberName::read(&mut reader)?;
        let (incarnation, sequence, echo) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let body = Body::parse(kind, &mut reader)?;
        let covered = octets.strip_suffix(reader.rest()).unwrap_or_default();
        let tag = Tag(reader.array()?);
        if !reader.is_empty() {
            return Err(DecodeError::Trailing(reader.rest().len()));
        }
        let datagram = Self { key, sender, incarnation, sequence, echo, body };
        Ok(Received { datagram, covered, tag })
    }

    /// The datagram's octets, at most [`DATAGRAM_MAX`], with the tag that `authenticate` gives to
    /// everything before it.
    #[must_use]
    pub fn emit(&self, authenticate: impl FnOnce(&[u8]) -> Tag) -> Vec<u8> {
        let capacity = if self.body.kind() == Kind::Claims { DATAGRAM_MAX } else { USUAL_LEN };
        let mut writer = Writer::with_capacity(capacity);
        writer.octets(&MAGIC).u8(VERSION).u8(self.body.kind().code()).u32(self.key.0);
        self.sender.emit(&mut writer);
        writer.u64(self.incarnation).u64(self.sequence).u64(self.echo);
        self.body.emit(&mut writer);
        let Tag(tag) = authenticate(writer.written());
        writer.octets(&tag);
        writer.finish()
    }
}

#[cfg(test)]
mod tests;
