//! Path attributes: their headers, types and values as they come, RFC 4271 §4.3 and §5.

use alloc::vec::Vec;

use crate::cursor::{Reader, Truncated};

mod as_path;
mod malformed;
mod types;

pub use as_path::{AsPath, Segment, SegmentType};
pub use malformed::{Defect, Malformed};
pub use types::{AttributeType, AttributeTypes};

pub(super) use as_path::SEQUENCE as SEGMENT_SEQUENCE;

/// An attribute as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathAttribute<'a> {
    pub(super) flags: u8,
    pub(super) attribute: AttributeType,
    pub(super) value: &'a [u8],
    /// All of it, header included.
    pub(super) octets: &'a [u8],
}

/// What is left where the path attributes end within an attribute (RFC 7606 §4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut<'a> {
    /// Its type, 0 if not even that is there.
    pub(super) attribute: AttributeType,
    pub(super) octets: &'a [u8],
}

impl<'a> PathAttribute<'a> {
    /// The next attribute.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Cut<'a>> {
        let octets = reader.rest();
        let attribute = AttributeType(octets.get(1).copied().unwrap_or_default());
        Self::take(reader).map_err(|_truncated| Cut { attribute, octets })
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Truncated> {
        let all = reader.rest();
        let flags = reader.u8()?;
        let attribute = AttributeType(reader.u8()?);
        let length =
            if flags & EXTENDED_LENGTH == 0 { usize::from(reader.u8()?) } else { usize::from(reader.u16()?) };
        let value = reader.octets(length)?;
        let octets = all.get(..all.len() - reader.rest().len()).unwrap_or_default();
        Ok(Self { flags, attribute, value, octets })
    }

    /// Whether whoever does not know its type may ignore it.
    pub(super) const fn is_optional(&self) -> bool {
        self.flags & OPTIONAL != 0
    }

    /// Whether its Optional and Transitive bits are as `expected` (RFC 7606 §3 c). Nobody checks
    /// the others.
    pub(super) const fn has_flags(&self, expected: u8) -> bool {
        self.flags & (OPTIONAL | TRANSITIVE) == expected
    }
}

/// Appends an attribute. Its length has two octets if it needs them.
pub(super) fn append(flags: u8, attribute: AttributeType, value: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(length) => out.extend_from_slice(&[flags, attribute.0, length]),
        Err(_too_long) => {
            #[expect(clippy::cast_possible_truncation, reason = "longer ones are not sent: TooLong")]
            let [high, low] = (value.len() as u16).to_be_bytes();
            out.extend_from_slice(&[flags | EXTENDED_LENGTH, attribute.0, high, low]);
        }
    }
    out.extend_from_slice(value);
}

/// The flag of attributes that need not be known.
pub(super) const OPTIONAL: u8 = 1 << 7;
/// The flag of attributes that are passed on.
pub(super) const TRANSITIVE: u8 = 1 << 6;
/// The flag of a length of two octets.
pub(super) const EXTENDED_LENGTH: u8 = 1 << 4;
