//! The one place that takes octets apart and puts them together.
//!
//! Every codec reads through [`Reader`] and writes through [`Writer`]; neither can panic,
//! whatever a peer sends. Numbers are in network byte order.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::MacAddr;

/// The octets end before the field that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {wanted} more octets, found {left}")]
pub struct Truncated {
    /// How many octets the field has.
    pub wanted: usize,
    /// How many octets there were.
    pub left: usize,
}

/// Reads fields off the front of a run of octets. A read that fails consumes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `octets`.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The octets not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether every octet has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` octets.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn octets(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let (head, tail) =
            self.rest.split_at_checked(count).ok_or(Truncated { wanted: count, left: self.rest.len() })?;
        self.rest = tail;
        Ok(head)
    }

    /// A reader of the next `count` octets alone, for a field that has a structure of its own.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn nested(&mut self, count: usize) -> Result<Self, Truncated> {
        self.octets(count).map(Reader::new)
    }

    /// The next `N` octets as an array.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, tail) =
            self.rest.split_first_chunk().ok_or(Truncated { wanted: N, left: self.rest.len() })?;
        self.rest = tail;
        Ok(*head)
    }

    /// One octet.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    /// A 16-bit number.
    ///
    /// # Errors
    /// Fewer than 2 octets are left.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// Fewer than 4 octets are left.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// Fewer than 8 octets are left.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// A link-layer address.
    ///
    /// # Errors
    /// Fewer than 6 octets are left.
    pub fn mac(&mut self) -> Result<MacAddr, Truncated> {
        self.array().map(MacAddr)
    }

    /// An IPv4 address.
    ///
    /// # Errors
    /// Fewer than 4 octets are left.
    pub fn ipv4(&mut self) -> Result<Ipv4Addr, Truncated> {
        self.array::<4>().map(Ipv4Addr::from)
    }

    /// An IPv6 address.
    ///
    /// # Errors
    /// Fewer than 16 octets are left.
    pub fn ipv6(&mut self) -> Result<Ipv6Addr, Truncated> {
        self.array::<16>().map(Ipv6Addr::from)
    }
}

/// Appends fields to a packet under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// A writer that need not grow before `capacity` octets.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { octets: Vec::with_capacity(capacity) }
    }

    /// What has been written so far, for a checksum or an authentication tag over it.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.octets
    }

    /// The finished packet.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.octets
    }

    /// Appends `octets` as they are.
    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.octets.extend_from_slice(octets);
        self
    }

    /// Appends one octet.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.octets(&value.to_be_bytes())
    }

    /// Appends a 16-bit number.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.octets(&value.to_be_bytes())
    }

    /// Appends a 32-bit number.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.octets(&value.to_be_bytes())
    }

    /// Appends a 64-bit number.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.octets(&value.to_be_bytes())
    }

    /// Appends a link-layer address.
    pub fn mac(&mut self, address: MacAddr) -> &mut Self {
        self.octets(&address.0)
    }

    /// Appends an IPv4 address.
    pub fn ipv4(&mut self, address: Ipv4Addr) -> &mut Self {
        self.octets(&address.octets())
    }

    /// Appends an IPv6 address.
    pub fn ipv6(&mut self, address: Ipv6Addr) -> &mut Self {
        self.octets(&address.octets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mac = MacAddr([2, 0, 0x5e, 0x10, 0, 1]);
        let v6: Ipv6Addr = "2001:db8::50".parse().unwrap();
        let mut writer = Writer::with_capacity(64);
        writer
            .u8(1)
            .u16(0x0203)
            .u32(0x0405_0607)
            .u64(0x0809_0a0b_0c0d_0e0f)
            .mac(mac)
            .ipv4(Ipv4Addr::new(192, 0, 2, 50))
            .ipv6(v6)
            .octets(b"tail");
        assert_eq!(writer.written().get(..4), Some(&[1, 2, 3, 4][..]), "network byte order");
        let packet = writer.finish();
        let mut reader = Reader::new(&packet);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0405_0607));
        assert_eq!(reader.u64(), Ok(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(reader.mac(), Ok(mac));
        assert_eq!(reader.ipv4(), Ok(Ipv4Addr::new(192, 0, 2, 50)));
        assert_eq!(reader.ipv6(), Ok(v6));
        assert_eq!(reader.nested(2).map(|nested| nested.rest()), Ok(&b"ta"[..]));
        assert_eq!(reader.rest(), b"il");
    }

    #[test]
    fn a_read_past_the_end_says_how_much_is_missing_and_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(Truncated { wanted: 4, left: 3 }));
        assert_eq!(reader.octets(usize::MAX), Err(Truncated { wanted: usize::MAX, left: 3 }));
        assert_eq!(reader.array(), Ok([1, 2, 3]));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), Err(Truncated { wanted: 1, left: 0 }));
    }
}
