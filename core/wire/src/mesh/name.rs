//! Node names that fit a datagram.

use alloc::string::String;

use ferrolb_vocab::NodeName;

use super::DecodeError;
use crate::cursor::{Reader, Writer};

/// Octets of a node name: a Kubernetes object name is a DNS subdomain (RFC 1123), at most 253.
pub const NAME_MAX: usize = 253;

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

    /// A name behind its length.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.u8()?;
        Self::parse(reader.octets(usize::from(length))?).ok_or(DecodeError::Name)
    }

    /// The name behind its length.
    pub(super) fn emit(&self, writer: &mut Writer) {
        let name = self.0.as_str().as_bytes();
        #[expect(clippy::cast_possible_truncation, reason = "a MemberName has at most 253 octets")]
        writer.u8(name.len() as u8).octets(name);
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(octets).ok()?;
        is_member_name(octets).then(|| Self(text.into()))
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
