//! The authentication section of a BFD Control packet: RFC 5880 §4.2 to §4.4.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+---------------+---------------+
//! | Auth Type 1   |   Auth Len    |  Auth Key ID  | a password, of 1 to 16 octets
//! +---------------+---------------+---------------+---------------+
//!
//! +---------------+---------------+---------------+---------------+
//! | Auth Type 2-5 |   Auth Len    |  Auth Key ID  |   Reserved    |
//! +---------------+---------------+---------------+---------------+
//! |                        Sequence Number                        |
//! +---------------------------------------------------------------+
//! |  a digest: 16 octets of MD5 (2, 3) or 20 of SHA1 (4, 5)       |
//! +---------------------------------------------------------------+
//! ```

use core::fmt;

use super::payload::Payload;
use crate::cursor::{Reader, Truncated};

/// Octets of the longest password: RFC 5880 §4.2.
pub const PASSWORD_MAX: usize = PASSWORD_LENGTH_MAX as usize;

/// Octets of an MD5 digest: RFC 5880 §4.3.
pub const MD5_LENGTH: usize = 16;

/// Octets of a SHA1 hash: RFC 5880 §4.4.
pub const SHA1_LENGTH: usize = 20;

/// The same as it is counted.
const PASSWORD_LENGTH_MAX: u8 = 16;

/// Octets of the longest section, that with a SHA1 hash.
pub(super) const SECTION_MAX: usize = 28;

/// How packets are authenticated (Auth Type): RFC 5880 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthType {
    /// A password that each packet shows to whoever sees it.
    SimplePassword,
    /// An MD5 digest of packet and key; a sequence number may repeat.
    KeyedMd5,
    /// The same with a sequence number of its own for each packet.
    MeticulousKeyedMd5,
    /// A SHA1 hash of packet and key; a sequence number may repeat.
    KeyedSha1,
    /// The same with a sequence number of its own for each packet.
    MeticulousKeyedSha1,
}

/// An authentication section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Simple Password: RFC 5880 §4.2.
    SimplePassword {
        /// Which password it is (Auth Key ID).
        key_id: u8,
        /// The password.
        password: Password,
    },
    /// Keyed MD5 and Meticulous Keyed MD5: RFC 5880 §4.3.
    KeyedMd5 {
        /// Which of the two.
        is_meticulous: bool,
        /// Which key was digested (Auth Key ID).
        key_id: u8,
        /// Where the packet stands among the sender's (Sequence Number).
        sequence: u32,
        /// Of the packet with the key in this place.
        digest: [u8; MD5_LENGTH],
    },
    /// Keyed SHA1 and Meticulous Keyed SHA1: RFC 5880 §4.4.
    KeyedSha1 {
        /// Which of the two.
        is_meticulous: bool,
        /// Which key was hashed (Auth Key ID).
        key_id: u8,
        /// Where the packet stands among the sender's (Sequence Number).
        sequence: u32,
        /// Of the packet with the key in this place.
        digest: [u8; SHA1_LENGTH],
    },
}

/// A password of 1 to [`PASSWORD_MAX`] octets; those after it are zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password {
    octets: [u8; PASSWORD_MAX],
    length: u8,
}

/// Why octets are no authentication section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// It ends early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A type that RFC 5880 does not have.
    #[error("authentication type {0}, expected 1 to 5")]
    Type(u8),
    /// Its length field is not that of its type, or not what the packet has left.
    #[error("authentication section of {length} octets, found {found}")]
    Length {
        /// The length field.
        length: u8,
        /// Octets after the fields that each packet has.
        found: usize,
    },
}

impl SectionError {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Type(_) => "authentication_type",
            Self::Truncated(_) | Self::Length { .. } => "authentication_length",
        }
    }
}

impl AuthType {
    const fn of_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::SimplePassword,
            2 => Self::KeyedMd5,
            3 => Self::MeticulousKeyedMd5,
            4 => Self::KeyedSha1,
            5 => Self::MeticulousKeyedSha1,
            _unassigned => return None,
        })
    }

    /// The number that travels.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::SimplePassword => 1,
            Self::KeyedMd5 => 2,
            Self::MeticulousKeyedMd5 => 3,
            Self::KeyedSha1 => 4,
            Self::MeticulousKeyedSha1 => 5,
        }
    }

    /// Whether each packet must have a sequence number of its own.
    #[must_use]
    pub const fn is_meticulous(self) -> bool {
        match self {
            Self::MeticulousKeyedMd5 | Self::MeticulousKeyedSha1 => true,
            Self::SimplePassword | Self::KeyedMd5 | Self::KeyedSha1 => false,
        }
    }
}

impl Section {
    /// Reads a section, which is all of `octets`.
    ///
    /// # Errors
    /// Its type is none of RFC 5880, or its length not that of its type.
    pub fn parse(octets: &[u8]) -> Result<Self, SectionError> {
        let mut reader = Reader::new(octets);
        let (code, length, key_id) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let wrong_length = SectionError::Length { length, found: octets.len() };
        let auth_type = AuthType::of_code(code).ok_or(SectionError::Type(code))?;
        let is_meticulous = auth_type.is_meticulous();
        let section = match auth_type {
            AuthType::SimplePassword => {
                let password = Password::read(reader.octets(reader.rest().len())?).ok_or(wrong_length)?;
                Self::SimplePassword { key_id, password }
            }
            AuthType::KeyedMd5 | AuthType::MeticulousKeyedMd5 => {
                let (_reserved, sequence, digest) = (reader.u8()?, reader.u32()?, reader.array()?);
                Self::KeyedMd5 { is_meticulous, key_id, sequence, digest }
            }
            AuthType::KeyedSha1 | AuthType::MeticulousKeyedSha1 => {
                let (_reserved, sequence, digest) = (reader.u8()?, reader.u32()?, reader.array()?);
                Self::KeyedSha1 { is_meticulous, key_id, sequence, digest }
            }
        };
        let is_whole = length == section.length() && reader.is_empty();
        if is_whole { Ok(section) } else { Err(wrong_length) }
    }

    /// How the packet is authenticated.
    #[must_use]
    pub const fn auth_type(&self) -> AuthType {
        match self {
            Self::SimplePassword { .. } => AuthType::SimplePassword,
            Self::KeyedMd5 { is_meticulous: false, .. } => AuthType::KeyedMd5,
            Self::KeyedMd5 { is_meticulous: true, .. } => AuthType::MeticulousKeyedMd5,
            Self::KeyedSha1 { is_meticulous: false, .. } => AuthType::KeyedSha1,
            Self::KeyedSha1 { is_meticulous: true, .. } => AuthType::MeticulousKeyedSha1,
        }
    }

    /// Which password or key it is (Auth Key ID).
    #[must_use]
    pub const fn key_id(&self) -> u8 {
        match self {
            Self::SimplePassword { key_id, .. }
            | Self::KeyedMd5 { key_id, .. }
            | Self::KeyedSha1 { key_id, .. } => *key_id,
        }
    }

    /// Where the packet stands among the sender's; a password does not say.
    #[must_use]
    pub const fn sequence(&self) -> Option<u32> {
        match self {
            Self::SimplePassword { .. } => None,
            Self::KeyedMd5 { sequence, .. } | Self::KeyedSha1 { sequence, .. } => Some(*sequence),
        }
    }

    /// What only those who have the secret can give: the password, or the digest. To be compared in
    /// a time that does not say how much of it is right.
    #[must_use]
    pub fn proof(&self) -> &[u8] {
        match self {
            Self::SimplePassword { password, .. } => password.octets(),
            Self::KeyedMd5 { digest, .. } => digest,
            Self::KeyedSha1 { digest, .. } => digest,
        }
    }

    /// Octets of the section (Auth Len).
    pub(super) const fn length(&self) -> u8 {
        match self {
            Self::SimplePassword { password, .. } => password.length.saturating_add(3),
            Self::KeyedMd5 { .. } => 24,
            Self::KeyedSha1 { .. } => 28,
        }
    }

    pub(super) fn emit(&self, payload: &mut Payload) {
        payload.append(&[self.auth_type().code(), self.length(), self.key_id()]);
        if let Some(sequence) = self.sequence() {
            payload.append(&[RESERVED]);
            payload.append(&sequence.to_be_bytes());
        }
        payload.append(self.proof());
    }
}

impl Password {
    /// The first `length` of `octets`, one of them at least.
    #[must_use]
    pub fn new(mut octets: [u8; PASSWORD_MAX], length: u8) -> Self {
        let length = length.clamp(1, PASSWORD_LENGTH_MAX);
        octets.iter_mut().skip(length.into()).for_each(|octet| *octet = 0);
        Self { octets, length }
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or(&self.octets)
    }

    /// `None` if there are too many, or none.
    fn read(octets: &[u8]) -> Option<Self> {
        let length = u8::try_from(octets.len()).ok().filter(|length| *length > 0)?;
        let mut room = [0; PASSWORD_MAX];
        room.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self { octets: room, length })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// The octet after the key's id, where a sequence number follows.
const RESERVED: u8 = 0;

#[cfg(test)]
mod tests;
