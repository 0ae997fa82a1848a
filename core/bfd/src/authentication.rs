//! Whether a packet is the peer's own and new: RFC 5880 §6.7.

use core::fmt;
use core::time::Duration;

use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{
    AuthType, Control, MD5_LENGTH, PASSWORD_MAX, Password, Payload, Received, SHA1_LENGTH, Section,
    SectionError,
};
use md5::Md5;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// How the packets of a session are authenticated, in both directions.
///
/// A change of the key without a gap has three steps, each on both sides before the next: accept
/// the new key too, send with it, forget the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    auth_type: AuthType,
    send: Key,
    accept: Option<Key>,
}

/// A secret that both sides have, with the number that they call it by (Auth Key ID).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    id: u8,
    length: u8,
    /// Followed by zeros.
    secret: [u8; SHA1_LENGTH],
}

/// Why packets cannot be authenticated so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The section has no room for it, or it is none.
    #[error("key {id} has {length} octets: expected 1 to {maximum}")]
    Length {
        /// Which key.
        id: u8,
        /// Its octets.
        length: usize,
        /// As many as the type of authentication has room for.
        maximum: usize,
    },
    /// Nobody could tell two keys from each other.
    #[error("two keys are called {0}; give one of them another id")]
    SameId(u8),
}

/// Why a packet is not taken for the peer's, RFC 5880 §6.7, §6.8.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inauthentic {
    /// It is authenticated, which the session does not use.
    #[error("it is authenticated; configure the peer without BFD authentication")]
    Unexpected,
    /// It is not, which the session requires.
    #[error("it is not authenticated; configure the peer with BFD authentication")]
    Missing,
    /// It is authenticated in no way that there is.
    #[error(transparent)]
    Malformed(#[from] SectionError),
    /// It is authenticated in another way.
    #[error(
        "its authentication type is {}, expected {}; configure one on both sides",
        .found.code(), .expected.code()
    )]
    Type {
        /// Its own.
        found: AuthType,
        /// The session's.
        expected: AuthType,
    },
    /// The session has no such key.
    #[error("its authentication key is {0}, which the session does not have")]
    KeyId(u8),
    /// It was seen before, or is too far from what was.
    #[error(
        "its sequence number {found} does not follow {last}: an old packet, or of a peer that began anew"
    )]
    Sequence {
        /// Its own.
        found: u32,
        /// That of the last packet (bfd.RcvAuthSeq).
        last: u32,
    },
    /// The password or the digest is another.
    #[error("its authentication is not that of key {0}; configure the same secret on both sides")]
    Mismatch(u8),
}

impl Inauthentic {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unexpected => "authentication_unexpected",
            Self::Missing => "authentication_missing",
            Self::Malformed(error) => error.reason(),
            Self::Type { .. } => "authentication_type",
            Self::KeyId(_) => "authentication_key_id",
            Self::Sequence { .. } => "authentication_sequence",
            Self::Mismatch(_) => "authentication_mismatch",
        }
    }
}

impl Authentication {
    /// Packets are sent with the key `send`; those are taken that come with it or with `accept`.
    ///
    /// # Errors
    /// A secret is longer than packets of the type have room for, or both keys have one id.
    pub fn new(auth_type: AuthType, send: Key, accept: Option<Key>) -> Result<Self, KeyError> {
        let maximum = match auth_type {
            AuthType::SimplePassword => PASSWORD_MAX,
            AuthType::KeyedMd5 | AuthType::MeticulousKeyedMd5 => MD5_LENGTH,
            AuthType::KeyedSha1 | AuthType::MeticulousKeyedSha1 => SHA1_LENGTH,
        };
        for Key { id, length, .. } in [Some(send), accept].into_iter().flatten() {
            let length = usize::from(length);
            if length > maximum {
                return Err(KeyError::Length { id, length, maximum });
            }
        }
        match accept {
            Some(accept) if accept.id == send.id => Err(KeyError::SameId(send.id)),
            Some(_) | None => Ok(Self { auth_type, send, accept }),
        }
    }

    fn key(&self, id: u8) -> Option<&Key> {
        [Some(&self.send), self.accept.as_ref()].into_iter().flatten().find(|key| key.id == id)
    }

    /// The section that a packet with `key` has. `packet` are the packet's octets with anything in
    /// the place of the digest: it is made of what comes before it, and the key, §6.7.3, §6.7.4.
    fn section(&self, key: &Key, sequence: u32, packet: &[u8]) -> Section {
        let (key_id, is_meticulous) = (key.id, self.auth_type.is_meticulous());
        let before = |digest: usize| packet.get(..packet.len().saturating_sub(digest)).unwrap_or_default();
        match self.auth_type {
            AuthType::SimplePassword => {
                Section::SimplePassword { key_id, password: Password::new(key.first_16(), key.length) }
            }
            AuthType::KeyedMd5 | AuthType::MeticulousKeyedMd5 => {
                let hash = Md5::new().chain_update(before(MD5_LENGTH)).chain_update(key.first_16());
                Section::KeyedMd5 { is_meticulous, key_id, sequence, digest: hash.finalize().into() }
            }
            AuthType::KeyedSha1 | AuthType::MeticulousKeyedSha1 => {
                let hash = Sha1::new().chain_update(before(SHA1_LENGTH)).chain_update(key.secret);
                Section::KeyedSha1 { is_meticulous, key_id, sequence, digest: hash.finalize().into() }
            }
        }
    }
}

impl Key {
    /// The key of `secret`'s octets, as they are.
    ///
    /// # Errors
    /// There are none, or more than packets of any type have room for.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, KeyError> {
        let wrong_length = KeyError::Length { id, length: secret.len(), maximum: SHA1_LENGTH };
        let length = u8::try_from(secret.len()).ok().filter(|length| *length > 0).ok_or(wrong_length)?;
        let mut room = [0; SHA1_LENGTH];
        room.get_mut(..secret.len()).ok_or(wrong_length)?.copy_from_slice(secret);
        Ok(Self { id, length, secret: room })
    }

    /// All that a password and an MD5 digest have room for.
    const fn first_16(&self) -> [u8; 16] {
        let [first @ .., _, _, _, _] = self.secret;
        first
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ***)", self.id)
    }
}

/// Where a session's packets stand, so that none is taken twice: RFC 5880 §6.8.1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    /// That of the last packet that was sent (bfd.XmitAuthSeq); `None` before the first.
    sent: Option<u32>,
    /// That of the last packet that was taken (bfd.RcvAuthSeq), and when that was. `None` is
    /// bfd.AuthSeqKnown of zero.
    received: Option<(u32, Instant)>,
    /// The session's, as long as it had one.
    detection_time: Duration,
}

/// The numbers of the last packets, for a session that goes on in another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SequenceNumbers {
    /// bfd.XmitAuthSeq.
    pub(crate) sent: Option<u32>,
    /// bfd.RcvAuthSeq.
    pub(crate) received: Option<u32>,
}

impl Sequences {
    /// Where those of another session have ended. The last packet counts as taken now, so that none
    /// from before is taken again.
    pub(crate) fn resume(numbers: SequenceNumbers, now: Instant) -> Self {
        let received = numbers.received.map(|last| (last, now));
        Self { sent: numbers.sent, received, detection_time: Duration::ZERO }
    }

    /// The last numbers.
    pub(crate) fn numbers(&self) -> SequenceNumbers {
        SequenceNumbers { sent: self.sent, received: self.received.map(|(last, _)| last) }
    }

    /// The octets of a packet that is sent. Each has a sequence number of its own, which all types
    /// allow; `draw` gives the first.
    pub(crate) fn seal(
        &mut self,
        control: &Control,
        authentication: &Authentication,
        draw: impl FnOnce() -> u32,
    ) -> Payload {
        let sequence = self.sent.map_or_else(draw, |last| last.wrapping_add(1));
        self.sent = Some(sequence);
        let section = |packet: &[u8]| authentication.section(&authentication.send, sequence, packet);
        // The digest covers the lengths as well, which are right only with a digest in place.
        let blank = control.emit_authenticated(&section(&[]));
        control.emit_authenticated(&section(&blank))
    }

    /// Whether a packet is the peer's, by what the session requires: §6.8.6, §6.7.
    pub(crate) fn admit(
        &mut self,
        authentication: Option<&Authentication>,
        packet: &Received<'_>,
        now: Instant,
    ) -> Result<(), Inauthentic> {
        let (authentication, octets) = match (authentication, packet.authentication) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(Inauthentic::Unexpected),
            (Some(_), None) => return Err(Inauthentic::Missing),
            (Some(authentication), Some(octets)) => (authentication, octets),
        };
        let section = Section::parse(octets)?;
        let (found, expected) = (section.auth_type(), authentication.auth_type);
        if found != expected {
            return Err(Inauthentic::Type { found, expected });
        }
        let key = authentication.key(section.key_id()).ok_or(Inauthentic::KeyId(section.key_id()))?;
        let sequence = section.sequence();
        if let (Some(found), Some(last)) = (sequence, self.last_received(now)) {
            let ahead =
                u32::from(expected.is_meticulous())..=WINDOW * u32::from(packet.control.detect_mult.get());
            if !ahead.contains(&found.wrapping_sub(last)) {
                return Err(Inauthentic::Sequence { found, last });
            }
        }
        let right = authentication.section(key, sequence.unwrap_or_default(), packet.octets);
        if !bool::from(section.proof().ct_eq(right.proof())) {
            return Err(Inauthentic::Mismatch(key.id));
        }
        // Not before: a stranger's packet must not move the window.
        self.received = sequence.map(|sequence| (sequence, now));
        Ok(())
    }

    /// The session has this Detection Time. Without one the last counts.
    pub(crate) fn note_detection_time(&mut self, detection_time: Option<Duration>) {
        self.detection_time = detection_time.unwrap_or(self.detection_time);
    }

    /// bfd.RcvAuthSeq, unless no packet was taken for twice the Detection Time.
    fn last_received(&self, now: Instant) -> Option<u32> {
        let (last, heard) = self.received?;
        (now < heard + self.detection_time.saturating_mul(2)).then_some(last)
    }
}

/// How many times the sender's Detect Mult a sequence number may be ahead: §6.7.3, §6.7.4.
const WINDOW: u32 = 3;

#[cfg(test)]
mod tests;
