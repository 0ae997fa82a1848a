//! OPEN messages: RFC 4271 §4.2 and §6.2, RFC 5492 §4, RFC 9072 §2.
//!
//! ```text
//! Version u8, My Autonomous System u16, Hold Time u16, BGP Identifier u32,
//! length of the parameters u8, then per parameter: type u8, length u8, value
//! ```
//!
//! In the extended form of RFC 9072 the length is followed by an octet of ones and the true length,
//! u16, and lengths of parameters are u16. Such a message is read and never sent: what this speaker
//! says of itself fits the other form.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use ferrolb_vocab::{Asn, BgpId};

use super::error::VERSION;
use super::frame::{self, MessageType};
use super::{Capabilities, Error};
use crate::cursor::{Reader, Truncated, Writer};

/// Who a speaker is and what it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The autonomous system: what the capability of RFC 6793 says, if there is one.
    pub asn: Asn,
    /// The hold time that it would like, in seconds: 0 or at least 3.
    pub hold_time: u16,
    /// Its identifier.
    pub bgp_id: BgpId,
    /// What it can.
    pub capabilities: Capabilities,
}

impl Open {
    /// Reads the body of a message.
    ///
    /// # Errors
    /// The peer cannot be talked to, whatever is configured: RFC 4271 §6.2.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let version = reader.u8().map_err(malformed)?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let my_as = reader.u16().map_err(malformed)?;
        let hold_time = reader.u16().map_err(malformed)?;
        let identifier = reader.u32().map_err(malformed)?;
        let capabilities = Parameters::read(&mut reader)?.capabilities()?;
        let asn = capabilities.four_octet_asn.unwrap_or(Asn::from(my_as));
        // RFC 7607 §2: zero is nobody's, in whichever field.
        if my_as == 0 || asn == Asn(0) {
            return Err(Error::PeerAs);
        }
        let bgp_id = NonZeroU32::new(identifier).map(BgpId::new).ok_or(Error::BgpIdentifier)?;
        if matches!(hold_time, 1 | 2) {
            return Err(Error::HoldTime(hold_time));
        }
        Ok(Self { asn, hold_time, bgp_id, capabilities })
    }

    /// The whole message.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let capabilities = self.capabilities.emit();
        let mut body = Writer::with_capacity(BODY_MIN + 2 + capabilities.len());
        body.u8(VERSION).u16(self.asn.two_octets_or_trans()).u16(self.hold_time).u32(self.bgp_id.get());
        if capabilities.is_empty() {
            body.u8(0);
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "capabilities have at most 253 octets")]
            let length = capabilities.len() as u8;
            body.u8(length.saturating_add(2)).u8(CAPABILITIES).u8(length).octets(&capabilities);
        }
        frame::message(MessageType::Open, body.written())
    }
}

/// The optional parameters, in whichever form.
struct Parameters<'a> {
    rest: Reader<'a>,
    is_extended: bool,
}

impl<'a> Parameters<'a> {
    /// RFC 9072 §2: the type after a length other than zero tells the form. What follows the
    /// parameters is nothing.
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let mut length = usize::from(reader.u8().map_err(malformed)?);
        let is_extended = length != 0 && reader.rest().first() == Some(&EXTENDED);
        if is_extended {
            reader.u8().map_err(malformed)?;
            length = usize::from(reader.u16().map_err(malformed)?);
        }
        let rest = reader.nested(length).map_err(malformed)?;
        if !reader.is_empty() {
            return Err(Error::MalformedOpen);
        }
        Ok(Self { rest, is_extended })
    }

    /// What all the capabilities say, be they in one parameter or in many (RFC 5492 §4).
    fn capabilities(mut self) -> Result<Capabilities, Error> {
        let mut capabilities = Capabilities::default();
        while !self.rest.is_empty() {
            let parameter = self.rest.u8().map_err(malformed)?;
            let length = if self.is_extended {
                usize::from(self.rest.u16().map_err(malformed)?)
            } else {
                usize::from(self.rest.u8().map_err(malformed)?)
            };
            let mut value = self.rest.nested(length).map_err(malformed)?;
            if parameter != CAPABILITIES {
                return Err(Error::OptionalParameter(parameter));
            }
            while !value.is_empty() {
                let code = value.u8().map_err(malformed)?;
                let length = usize::from(value.u8().map_err(malformed)?);
                capabilities.take(code, value.octets(length).map_err(malformed)?)?;
            }
        }
        Ok(capabilities)
    }
}

const fn malformed(_truncated: Truncated) -> Error {
    Error::MalformedOpen
}

/// Octets of a body without parameters.
const BODY_MIN: usize = 10;

/// The optional parameter that holds capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;

/// Where the type of the first parameter would be, in the extended form (RFC 9072 §2).
const EXTENDED: u8 = 255;

#[cfg(test)]
mod tests;
