//! The keys that speakers know each other by.

use alloc::vec::Vec;
use core::fmt;

use ferrolb_wire::mesh::{Datagram, KeyId, Received, Tag};
use hmac::digest::Output;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Octets of the shortest secret: below 128 bits, guessing would be easier than forging the tag.
pub const SECRET_MIN: usize = 16;

/// Keys accepted beside the one that is sent with. A rotation has one; more are a forgotten one.
pub const ACCEPTED_MAX: usize = 7;

/// A secret that all speakers of a cluster share.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    mac: Hmac<Sha256>,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It could be guessed.
    #[error("a key of {0} octets: expected at least {SECRET_MIN}; take 32 random octets, in base64")]
    TooShort(usize),
    /// More keys than a rotation needs.
    #[error(
        "{0} keys: expected at most {max}; remove those that no speaker sends with any more",
        max = ACCEPTED_MAX + 1
    )]
    TooMany(usize),
}

impl Key {
    /// The key of `secret`'s octets, as they are.
    ///
    /// # Errors
    /// There are too few.
    pub fn new(secret: &[u8]) -> Result<Self, KeyError> {
        let too_short = KeyError::TooShort(secret.len());
        if secret.len() < SECRET_MIN {
            return Err(too_short);
        }
        let mac = Hmac::new_from_slice(secret).map_err(|_any_length_is_right| too_short)?;
        Ok(Self { id: key_id(&Sha256::digest(secret)), mac })
    }

    /// The name that goes with each datagram: the first 32 bits of the secret's SHA-256.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// HMAC-SHA-256 (RFC 2104), the first 128 bits (RFC 4868 §2.1).
    fn tag(&self, octets: &[u8]) -> Tag {
        let digest = self.mac.clone().chain_update(octets).finalize().into_bytes();
        let mut tag = Tag([0; _]);
        tag.0.iter_mut().zip(digest).for_each(|(octet, of_digest)| *octet = of_digest);
        tag
    }

    /// Whether `tag` is that of `octets`, in a time that does not say how much of it is.
    fn verifies(&self, octets: &[u8], tag: Tag) -> bool {
        self.mac.clone().chain_update(octets).verify_truncated_left(&tag.0).is_ok()
    }
}

fn key_id(digest: &Output<Sha256>) -> KeyId {
    KeyId(digest.iter().take(4).fold(0, |id, octet| id << 8 | u32::from(*octet)))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:08x}, ***)", self.id.0)
    }
}

/// The key to send with, and those to accept.
///
/// A rotation without a gap has three steps, each once the one before has reached every node:
/// accept the new key too, send with it, forget the old one.
#[derive(Clone, Debug)]
pub struct KeyRing {
    send: Key,
    accept: Vec<Key>,
}

impl KeyRing {
    /// Sends with `send`, and accepts it and `accept`.
    ///
    /// # Errors
    /// There are more than [`ACCEPTED_MAX`] to accept.
    pub fn new(send: Key, accept: Vec<Key>) -> Result<Self, KeyError> {
        if accept.len() > ACCEPTED_MAX {
            return Err(KeyError::TooMany(accept.len() + 1));
        }
        Ok(Self { send, accept })
    }

    /// The ids of all keys, the one that is sent with first, for the log.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys().map(Key::id)
    }

    pub(crate) const fn send_id(&self) -> KeyId {
        self.send.id
    }

    /// The octets of `datagram`, which bears [`KeyRing::send_id`].
    pub(crate) fn seal(&self, datagram: &Datagram) -> Vec<u8> {
        datagram.emit(|octets| self.send.tag(octets))
    }

    /// Whether a key that is accepted made the tag.
    pub(crate) fn is_authentic(&self, received: &Received<'_>) -> bool {
        let named = self.keys().filter(|key| key.id == received.datagram.key);
        named.into_iter().any(|key| key.verifies(received.covered, received.tag))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        core::iter::once(&self.send).chain(&self.accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use std::format;
    use std::vec;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        core::array::from_fn(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap())
    }

    /// RFC 4231 §4.2 and §4.7 (a key longer than a block); the tag is the first 128 bits of each.
    #[test]
    fn tags_are_those_of_the_rfc() {
        let key = Key::new(&[0x0b; 20]).unwrap();
        assert_eq!(key.tag(b"Hi There"), Tag(octets("b0344c61d8db38535ca8afceaf0bf12b")));
        let key = Key::new(&[0xaa; 131]).unwrap();
        let tag = key.tag(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(tag, Tag(octets("60e431591ee0b67f0d8a26aacbf5b77f")));
    }

    /// FIPS 180-4: SHA-256 of "abc…" as published by NIST for 56 octets begins with 248d6a61.
    #[test]
    fn the_id_is_the_beginning_of_the_secrets_hash() {
        let key = Key::new(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").unwrap();
        assert_eq!(key.id(), KeyId(0x248d_6a61));
    }

    #[test]
    fn secrets_that_are_too_short_and_rings_that_are_too_long_are_refused_with_what_to_do() {
        assert!(Key::new(&[7; 15]).unwrap_err().to_string().contains("at least 16"));
        let key = Key::new(&[7; 16]).unwrap();
        assert!(KeyRing::new(key.clone(), vec![key.clone(); ACCEPTED_MAX]).is_ok());
        let error = KeyRing::new(key.clone(), vec![key; ACCEPTED_MAX + 1]).unwrap_err();
        assert!(error.to_string().contains("at most 8"), "{error}");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = b"correct horse battery staple";
        let ring = KeyRing::new(Key::new(secret).unwrap(), vec![]).unwrap();
        let printed = format!("{ring:?}");
        assert!(printed.contains("***") && !printed.contains("horse"), "{printed}");
    }
}
