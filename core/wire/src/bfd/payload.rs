//! Room for the octets of a packet.

use core::fmt;
use core::ops::Deref;

use super::LENGTH;
use super::authentication::SECTION_MAX;

/// Octets of the longest packet that is sent.
const LENGTH_MAX: usize = LENGTH + SECTION_MAX;

/// The octets of a packet that is sent, kept where it is: to send takes no allocation.
#[derive(Clone, Copy)]
pub struct Payload {
    octets: [u8; LENGTH_MAX],
    length: usize,
}

impl Payload {
    /// Appends octets; those that [`LENGTH_MAX`] leaves no room for are none of a packet's.
    pub(super) fn append(&mut self, octets: &[u8]) {
        for (room, octet) in self.octets.iter_mut().skip(self.length).zip(octets) {
            *room = *octet;
        }
        self.length = self.length.saturating_add(octets.len()).min(LENGTH_MAX);
    }
}

impl From<[u8; LENGTH]> for Payload {
    /// A packet without an authentication section, or the beginning of one with it.
    fn from(header: [u8; LENGTH]) -> Self {
        let mut payload = Self { octets: [0; LENGTH_MAX], length: 0 };
        payload.append(&header);
        payload
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or(&self.octets)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    /// Without the octets, of which some may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} octets)", self.length)
    }
}
