//! NOTIFICATION messages, the last word on a connection: RFC 4271 §4.5, RFC 4486, RFC 9003, RFC
//! 8538, RFC 6608.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::family::Families;
use super::frame::{self, MessageType};
use super::text::harmless;
use super::{Error, HEADER_LENGTH, MESSAGE_MAX};
use crate::cursor::Reader;

pub(super) mod codes;

pub use codes::{Cease, FsmSubcode};

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The error code.
    pub code: u8,
    /// The error subcode; 0 where there is none.
    pub subcode: u8,
    /// What goes with it: at most 4075 octets are sent.
    pub data: Vec<u8>,
}

/// Octets of data in the longest message.
const DATA_MAX: usize = MESSAGE_MAX - HEADER_LENGTH - 2;

/// Octets of the longest text that says why a session is shut down (RFC 9003 §2).
const TEXT_MAX: usize = 255;

impl Notification {
    /// Reads the body of a message. Codes that have no name are as good as others.
    ///
    /// # Errors
    /// It is shorter than two octets, which a frame's body is not.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let too_short = |_truncated| Error::of_length(body);
        Ok(Self {
            code: reader.u8().map_err(too_short)?,
            subcode: reader.u8().map_err(too_short)?,
            data: reader.rest().iter().copied().take(DATA_MAX).collect(),
        })
    }

    /// The whole message.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        frame::message(MessageType::Notification, &self.body())
    }

    /// Code, subcode and data.
    fn body(&self) -> Vec<u8> {
        [self.code, self.subcode].into_iter().chain(self.data.iter().copied().take(DATA_MAX)).collect()
    }

    /// A notification without data.
    pub(super) const fn bare(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// The connection is closed without an error (RFC 4486). `text` is for the peer's operator and
    /// goes only with the two subcodes that have one (RFC 9003 §2), its first 255 octets.
    #[must_use]
    pub fn cease(cease: Cease, text: Option<&str>) -> Self {
        let mut notification = Self::bare(codes::CEASE, cease.subcode());
        if let (Some(text), true) = (text, cease.has_text()) {
            let text = text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, reason = "a text has at most 255 octets")]
            notification.data.push(text.len() as u8);
            notification.data.extend_from_slice(text.as_bytes());
        }
        notification
    }

    /// The session is to end for good, whatever was agreed on of graceful restart, because of
    /// `inner` (RFC 8538 §3.1).
    #[must_use]
    pub fn hard_reset(inner: &Self) -> Self {
        let mut notification = Self::bare(codes::CEASE, Cease::HardReset.subcode());
        notification.data = inner.body();
        notification.data.truncate(DATA_MAX);
        notification
    }

    /// The peer took nothing for the send hold time (RFC 9687).
    #[must_use]
    pub const fn send_hold_timer_expired() -> Self {
        Self::bare(codes::SEND_HOLD_TIMER_EXPIRED, 0)
    }

    /// Nothing was heard for the hold time (RFC 4271 §6.5).
    #[must_use]
    pub const fn hold_timer_expired() -> Self {
        Self::bare(codes::HOLD_TIMER_EXPIRED, 0)
    }

    /// A message that has no place in the state (RFC 6608 §4).
    #[must_use]
    pub fn fsm_error(subcode: FsmSubcode) -> Self {
        let mut notification = Self::bare(codes::FINITE_STATE_MACHINE, subcode.code());
        notification.data.extend(subcode.message_type().map(MessageType::code));
        notification
    }

    /// The peer is of another autonomous system than it should be (RFC 4271 §6.2).
    #[must_use]
    pub const fn bad_peer_as() -> Self {
        Self::bare(codes::OPEN, codes::BAD_PEER_AS)
    }

    /// The peer's identifier cannot be (RFC 6286 §2.2): in one autonomous system it is this
    /// speaker's own.
    #[must_use]
    pub const fn bad_bgp_identifier() -> Self {
        Self::bare(codes::OPEN, codes::BAD_BGP_IDENTIFIER)
    }

    /// The peer's hold time is shorter than this speaker takes (RFC 4271 §6.2).
    #[must_use]
    pub const fn unacceptable_hold_time() -> Self {
        Self::bare(codes::OPEN, codes::UNACCEPTABLE_HOLD_TIME)
    }

    /// The peer has none of `families`; the data is the capabilities that it should have (RFC 5492
    /// §5).
    #[must_use]
    pub fn unsupported_capability(families: Families) -> Self {
        let mut notification = Self::bare(codes::OPEN, codes::UNSUPPORTED_CAPABILITY);
        for family in families.iter() {
            notification.data.extend(super::capability::multiprotocol(family));
        }
        notification
    }

    /// Which Cease it is, if it is one with a name.
    #[must_use]
    pub fn as_cease(&self) -> Option<Cease> {
        if self.code == codes::CEASE { Cease::of_subcode(self.subcode) } else { None }
    }

    /// What a Hard Reset is because of (RFC 8538 §3.1).
    #[must_use]
    pub fn encapsulated(&self) -> Option<Self> {
        if self.as_cease() == Some(Cease::HardReset) { Self::parse(&self.data).ok() } else { None }
    }

    /// What the peer's operator says about a shutdown (RFC 9003), without characters that a
    /// terminal would obey.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        if !self.as_cease().is_some_and(Cease::has_text) {
            return None;
        }
        let mut reader = Reader::new(&self.data);
        let length = reader.u8().ok()?;
        let text = reader.octets(usize::from(length)).ok()?;
        if text.is_empty() { None } else { Some(harmless(text)) }
    }

    /// The name of the error code, for logs and metrics.
    #[must_use]
    pub const fn code_name(&self) -> &'static str {
        codes::code_name(self.code)
    }

    /// The name of the error subcode; empty where there is none.
    #[must_use]
    pub fn subcode_name(&self) -> &'static str {
        codes::subcode_name(self.code, self.subcode)
    }

    fn fmt_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_name())?;
        match (self.subcode_name(), self.subcode) {
            ("", 0) => Ok(()),
            ("", number) => write!(f, "/{number}"),
            (name, _number) => write!(f, "/{name}"),
        }
    }
}

/// The names, of a Hard Reset also those of what it carries, and an operator's words.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_names(f)?;
        let text = match self.encapsulated() {
            Some(inner) => {
                f.write_str(": ")?;
                inner.fmt_names(f)?;
                inner.text()
            }
            None => self.text(),
        };
        text.map_or(Ok(()), |text| write!(f, ": {text}"))
    }
}

#[cfg(test)]
mod tests;
