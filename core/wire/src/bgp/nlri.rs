//! Prefixes as they travel: a length in bits, then as many octets as hold them (RFC 4271 §4.3, RFC
//! 4760 §5).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::{IpFamily, IpPrefix};

use super::Family;
use crate::cursor::Reader;

/// The prefixes of one field, read one after the other. Bits after a prefix's length mean nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefixes<'a> {
    family: IpFamily,
    rest: Reader<'a>,
}

impl<'a> Prefixes<'a> {
    /// No prefixes.
    pub(super) const NONE: Self = Self { family: IpFamily::V4, rest: Reader::new(&[]) };

    /// The prefixes of `family` that `octets` hold; `None` if they are syntactically incorrect:
    /// longer than an address, or cut short (RFC 7606 §5.3).
    pub(super) fn parse(octets: &'a [u8], family: Family) -> Option<Self> {
        let family = family.ip_family();
        let mut reader = Reader::new(octets);
        while !reader.is_empty() {
            read(&mut reader, family)?;
        }
        Some(Self { family, rest: Reader::new(octets) })
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl Iterator for Prefixes<'_> {
    type Item = IpPrefix;

    fn next(&mut self) -> Option<IpPrefix> {
        let (length, octets) = read(&mut self.rest, self.family)?;
        let address = match self.family {
            IpFamily::V4 => IpAddr::V4(Ipv4Addr::from(padded(octets))),
            IpFamily::V6 => IpAddr::V6(Ipv6Addr::from(padded(octets))),
        };
        IpPrefix::containing(address, length)
    }
}

/// A length that the family has, and the octets that go with it.
fn read<'a>(reader: &mut Reader<'a>, family: IpFamily) -> Option<(u8, &'a [u8])> {
    let length = reader.u8().ok().filter(|length| *length <= family.bits())?;
    Some((length, reader.octets(usize::from(length.div_ceil(8))).ok()?))
}

/// `octets` and zeros.
fn padded<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (to, from) in padded.iter_mut().zip(octets) {
        *to = *from;
    }
    padded
}

/// Octets of `prefix`.
pub(super) fn length(prefix: IpPrefix) -> usize {
    1 + usize::from(prefix.length().div_ceil(8))
}

/// Appends `prefix`.
pub(super) fn append(prefix: IpPrefix, out: &mut Vec<u8>) {
    out.push(prefix.length());
    let significant = usize::from(prefix.length().div_ceil(8));
    match prefix.network() {
        IpAddr::V4(address) => out.extend(address.octets().iter().take(significant)),
        IpAddr::V6(address) => out.extend(address.octets().iter().take(significant)),
    }
}

#[cfg(test)]
mod tests;
