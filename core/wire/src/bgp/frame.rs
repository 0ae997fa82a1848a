//! Messages within a stream: RFC 4271 §4.1 and §6.1.

use alloc::vec::Vec;

use super::{Error, HEADER_LENGTH, MESSAGE_MAX};
use crate::cursor::Reader;

/// One message as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the body is.
    pub message_type: MessageType,
    /// The message without its header.
    pub body: &'a [u8],
}

/// The kinds of messages (RFC 4271 §4.1, RFC 2918 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// Who the sender is and what it can.
    Open,
    /// Routes, or that there are none any more.
    Update,
    /// Why the sender closes the connection.
    Notification,
    /// The sender is there.
    Keepalive,
    /// The sender would like to be told all routes again, or is about to tell them.
    RouteRefresh,
}

impl<'a> Frame<'a> {
    /// The first message of a stream and how many octets it takes; `None` if it is not there as a
    /// whole yet.
    ///
    /// # Errors
    /// The stream is not one of BGP messages: RFC 4271 §6.1. It is told as soon as a header is
    /// there.
    pub fn next(octets: &'a [u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((header, _rest)) = octets.split_first_chunk::<HEADER_LENGTH>() else {
            return Ok(None);
        };
        let (length, message_type) = parse_header(header)?;
        let Some(message) = octets.get(..length) else {
            return Ok(None);
        };
        let body = message.get(HEADER_LENGTH..).unwrap_or_default();
        Ok(Some((Self { message_type, body }, length)))
    }
}

impl MessageType {
    /// Every type.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Update, Self::Notification, Self::Keepalive, Self::RouteRefresh];

    /// The number in the header.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }

    /// The name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Notification => "notification",
            Self::Keepalive => "keepalive",
            Self::RouteRefresh => "route_refresh",
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|message_type| message_type.code() == code)
    }

    /// The lengths that a message can have: RFC 4271 §6.1, RFC 2918 §3 (a request with entries of
    /// a filter is longer, RFC 5291 §4).
    const fn can_have(self, length: usize) -> bool {
        match self {
            Self::Open => length >= 29,
            Self::Update | Self::RouteRefresh => length >= 23,
            Self::Notification => length >= 21,
            Self::Keepalive => length == HEADER_LENGTH,
        }
    }
}

/// A KEEPALIVE message: a header alone (RFC 4271 §4.4).
#[must_use]
pub const fn keepalive() -> [u8; HEADER_LENGTH] {
    let mut message = [0xff; HEADER_LENGTH];
    let [.., length_high, length_low, message_type] = &mut message;
    *length_high = 0;
    *length_low = 19;
    *message_type = MessageType::Keepalive.code();
    message
}

/// Checks a header in the order of RFC 4271 §6.1: synchronization, length, type.
fn parse_header(header: &[u8; HEADER_LENGTH]) -> Result<(usize, MessageType), Error> {
    let mut reader = Reader::new(header);
    let no_header = |_truncated| Error::NotSynchronized;
    if reader.array().map_err(no_header)? != MARKER {
        return Err(Error::NotSynchronized);
    }
    let length = reader.u16().map_err(no_header)?;
    let code = reader.u8().map_err(no_header)?;
    let octets = usize::from(length);
    if !(HEADER_LENGTH..=MESSAGE_MAX).contains(&octets) {
        return Err(Error::MessageLength(length));
    }
    let message_type = MessageType::of_code(code).ok_or(Error::MessageType(code))?;
    if !message_type.can_have(octets) {
        return Err(Error::MessageLength(length));
    }
    Ok((octets, message_type))
}

/// The message of a body that fits one.
pub(super) fn message(message_type: MessageType, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_LENGTH + body.len());
    let start = begin(message_type, &mut message);
    message.extend_from_slice(body);
    end(start, &mut message);
    message
}

/// Appends a header without a length, and says where it starts.
pub(super) fn begin(message_type: MessageType, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0, 0, message_type.code()]);
    start
}

/// Gives the message that [`begin`] began at `start`, and that ends here, its length.
pub(super) fn end(start: usize, out: &mut [u8]) {
    let length = out.len() - start;
    debug_assert!(length <= MESSAGE_MAX, "a message has {length} octets");
    set_u16(start + MARKER.len(), length, out);
}

/// Writes a length over the two octets at `at`.
pub(super) fn set_u16(at: usize, length: usize, out: &mut [u8]) {
    if let Some(field) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        #[expect(clippy::cast_possible_truncation, reason = "no message has more than 4096 octets")]
        let length = length as u16;
        *field = length.to_be_bytes();
    }
}

const MARKER: [u8; 16] = [0xff; 16];

#[cfg(test)]
mod tests;
