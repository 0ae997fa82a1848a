//! The speakers' liveness protocol: one datagram says "I am here" or "I am leaving".
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                         Magic, "FLBm"                         |
//! +---------------+---------------+---------------+---------------+
//! |  Version, 1   |     Kind      |  Name length  |  Node name …  |
//! +---------------+---------------+---------------+---------------+
//! |                    Incarnation, 64 bits                       |
//! |                    Sequence, 64 bits                          |
//! +---------------------------------------------------------------+
//! ```
//!
//! The node name, 1 to 253 octets, stands between its length and the incarnation. Nothing
//! follows the sequence. There is no authentication in version 1: a receiver can only check that
//! the source address is one of the named node's.

use alloc::string::String;
use alloc::vec::Vec;

use ferrolb_vocab::NodeName;

use crate::cursor::{Reader, Truncated, Writer};

/// The first octets of every datagram.
const MAGIC: [u8; 4] = *b"FLBm";

/// The version this codec speaks. Magic and version stay where they are in every version.
const VERSION: u8 = 1;

/// Octets of a node name: a Kubernetes object name is a DNS subdomain (RFC 1123), at most 253.
pub const NAME_MAX: usize = 253;

/// Octets of the longest datagram.
pub const DATAGRAM_MAX: usize = MAGIC.len() + 3 + NAME_MAX + 16;

/// What a datagram says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The speaker is up and may own addresses.
    Heartbeat,
    /// The speaker is leaving: this incarnation sends no heartbeat after it.
    Leave,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Heartbeat, Self::Leave];

    /// The kind's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Leave => "leave",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Heartbeat => 1,
            Self::Leave => 2,
        }
    }
}

/// A node name that fits a datagram.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberName(NodeName);

/// The name cannot stand in a datagram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "node name {0:?}: expected 1 to {NAME_MAX} lower-case letters, digits, hyphens and dots; give the name of this host's Node object"
)]
pub struct NameError(pub String);

impl MemberName {
    /// The name as the rest of the program knows it.
    #[must_use]
    pub const fn node(&self) -> &NodeName {
        &self.0
    }
}

impl TryFrom<NodeName> for MemberName {
    type Error = NameError;

    fn try_from(name: NodeName) -> Result<Self, NameError> {
        if is_member_name(name.as_str().as_bytes()) {
            Ok(Self(name))
        } else {
            Err(NameError(name.as_str().into()))
        }
    }
}

impl From<MemberName> for NodeName {
    fn from(name: MemberName) -> Self {
        name.0
    }
}

/// The characters of a DNS subdomain; where dots and hyphens may stand is the API server's business.
fn is_member_name(octets: &[u8]) -> bool {
    let allowed = |octet: &u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (1..=NAME_MAX).contains(&octets.len()) && octets.iter().all(allowed)
}

/// One message of a speaker about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// What it says.
    pub kind: Kind,
    /// Whom it is about: the sender.
    pub sender: MemberName,
    /// Which run of the sender's process; a later run has a larger one.
    pub incarnation: u64,
    /// Counts the sender's messages within its incarnation, so that copies and stragglers show.
    pub sequence: u64,
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
    /// Octets follow the last field.
    #[error("{0} octets follow the sequence")]
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
            Self::Trailing(_) => "trailing",
        }
    }
}

impl Datagram {
    /// Takes a datagram apart.
    ///
    /// # Errors
    /// The octets are not exactly one datagram of version 1.
    pub fn parse(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        if reader.array()? != MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let code = reader.u8()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == code).ok_or(DecodeError::Kind(code))?;
        let name_length = reader.u8()?;
        let sender = parse_name(reader.octets(usize::from(name_length))?)?;
        let (incarnation, sequence) = (reader.u64()?, reader.u64()?);
        if !reader.is_empty() {
            return Err(DecodeError::Trailing(reader.rest().len()));
        }
        Ok(Self { kind, sender, incarnation, sequence })
    }

    /// The datagram's octets, at most [`DATAGRAM_MAX`].
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let name = self.sender.node().as_str().as_bytes();
        #[expect(clippy::cast_possible_truncation, reason = "a MemberName has at most 253 octets")]
        let name_length = name.len() as u8;
        let mut writer = Writer::with_capacity(DATAGRAM_MAX);
        writer
            .octets(&MAGIC)
            .u8(VERSION)
            .u8(self.kind.code())
            .u8(name_length)
            .octets(name)
            .u64(self.incarnation)
            .u64(self.sequence);
        writer.finish()
    }
}

fn parse_name(octets: &[u8]) -> Result<MemberName, DecodeError> {
    if !is_member_name(octets) {
        return Err(DecodeError::Name);
    }
    let text = core::str::from_utf8(octets).map_err(|_not_utf8| DecodeError::Name)?;
    Ok(MemberName(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec;

    fn heartbeat() -> Datagram {
        Datagram {
            kind: Kind::Heartbeat,
            sender: NodeName::from("node1").try_into().unwrap(),
            incarnation: 0x0102_0304_0506_0708,
            sequence: 42,
        }
    }

    #[test]
    fn the_octets_are_the_documented_ones() {
        let mut expected = b"FLBm\x01\x01\x05node1\x01\x02\x03\x04\x05\x06\x07\x08".to_vec();
        expected.extend([0, 0, 0, 0, 0, 0, 0, 42]);
        assert_eq!(heartbeat().emit(), expected);
    }

    #[test]
    fn what_is_emitted_parses_back() {
        let longest: NodeName = "a".repeat(NAME_MAX).into();
        for kind in Kind::ALL {
            for name in [NodeName::from("n"), "worker-3.example.org".into(), longest.clone()] {
                for number in [0, 1, u64::MAX] {
                    let sender = name.clone().try_into().unwrap();
                    let datagram = Datagram { kind, sender, incarnation: number, sequence: number };
                    let octets = datagram.emit();
                    assert!(octets.len() <= DATAGRAM_MAX);
                    assert_eq!(Datagram::parse(&octets), Ok(datagram));
                }
            }
        }
    }

    #[test]
    fn every_prefix_of_a_datagram_is_refused_as_truncated() {
        let octets = heartbeat().emit();
        for length in 0..octets.len() {
            let error = Datagram::parse(&octets[..length]).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated(_)), "{length}: {error:?}");
        }
    }

    #[test]
    fn each_defect_has_its_own_reason() {
        let with = |index: usize, octet: u8| {
            let mut octets = heartbeat().emit();
            octets[index] = octet;
            Datagram::parse(&octets).unwrap_err()
        };
        assert_eq!(with(0, b'X'), DecodeError::Magic);
        assert_eq!(with(4, 2), DecodeError::Version(2));
        assert_eq!(with(5, 0), DecodeError::Kind(0));
        assert_eq!(with(5, 3), DecodeError::Kind(3));
        assert_eq!(with(6, 0), DecodeError::Name);
        assert_eq!(with(6, 4), DecodeError::Trailing(1));
        assert_eq!(with(7, b'\n'), DecodeError::Name);
        assert_eq!(with(7, 0xff), DecodeError::Name);
        assert_eq!(with(7, b'N'), DecodeError::Name);
        let overlong = [b"FLBm\x01\x01\xfe".as_slice(), &vec![b'a'; 254 + 16]].concat();
        assert_eq!(Datagram::parse(&overlong), Err(DecodeError::Name));
    }

    #[test]
    fn names_that_do_not_fit_cannot_be_built() {
        for name in ["".to_string(), "a".repeat(NAME_MAX + 1), "Node1".into(), "a b".into(), "ä".into()] {
            let error = MemberName::try_from(NodeName::from(name.as_str())).unwrap_err();
            assert!(error.to_string().contains("1 to 253 lower-case letters"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_is_emitted_as_it_came(
            head in proptest::sample::select(vec![&b""[..], b"FLBm", b"FLBm\x01\x01\x05node1", b"FLBm\x01\x02\x01a"]),
            tail in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let octets = [head, &tail].concat();
            if let Ok(datagram) = Datagram::parse(&octets) {
                proptest::prop_assert_eq!(datagram.emit(), octets);
            }
        }
    }

    #[test]
    fn the_property_above_meets_datagrams_that_parse() {
        let octets = [&b"FLBm\x01\x02\x01a"[..], &[7; 16]].concat();
        assert_eq!(Datagram::parse(&octets).unwrap().emit(), octets);
    }
}
