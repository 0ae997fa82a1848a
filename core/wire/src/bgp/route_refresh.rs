//! ROUTE-REFRESH messages: RFC 2918 §3, RFC 7313 §3.2.

use alloc::vec::Vec;

use super::Error;
use super::family::Family;
use super::frame::{self, MessageType};
use crate::cursor::{Reader, Writer};

/// A request to be told all routes of a family again, or a mark around what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh {
    /// Of which routes; `None` for a family that FerroLB has none of.
    pub family: Option<Family>,
    /// What it says.
    pub subtype: Subtype,
}

/// What a ROUTE-REFRESH message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subtype {
    /// Tell all routes again.
    Request,
    /// All routes follow (BoRR).
    BeginningOfRefresh,
    /// All routes have been told (EoRR).
    EndOfRefresh,
    /// Has no meaning here: to be ignored.
    Unknown(u8),
}

impl RouteRefresh {
    /// Reads the body of a message. Without the Enhanced Route Refresh capability on both sides the
    /// octet of the subtype is reserved, and every message a request (RFC 2918 §3, RFC 7313 §5).
    /// What follows in a request is ignored: the entries of an outbound route filter (RFC 5291),
    /// which nobody offered.
    ///
    /// # Errors
    /// A mark has another length than 4 octets: RFC 7313 §5.
    pub fn parse(body: &[u8], is_enhanced: bool) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let too_short = |_truncated| Error::of_length(body);
        let afi = reader.u16().map_err(too_short)?;
        let code = reader.u8().map_err(too_short)?;
        let subtype = if is_enhanced { Subtype::of_code(code) } else { Subtype::Request };
        let safi = reader.u8().map_err(too_short)?;
        match subtype {
            Subtype::BeginningOfRefresh | Subtype::EndOfRefresh if !reader.is_empty() => {
                Err(Error::RouteRefreshLength(frame::message(MessageType::RouteRefresh, body)))
            }
            Subtype::BeginningOfRefresh | Subtype::EndOfRefresh | Subtype::Request | Subtype::Unknown(_) => {
                Ok(Self { family: Family::of_numbers(afi, safi), subtype })
            }
        }
    }

    /// The whole message. No family is the reserved AFI 0 and SAFI 0.
    #[must_use]
    pub fn emit(self) -> Vec<u8> {
        let (afi, safi) = self.family.map_or((0, 0), |family| (family.afi(), family.safi()));
        let mut body = Writer::with_capacity(BODY_LENGTH);
        body.u16(afi).u8(self.subtype.code()).u8(safi);
        frame::message(MessageType::RouteRefresh, body.written())
    }
}

impl Subtype {
    const fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Request,
            1 => Self::BeginningOfRefresh,
            2 => Self::EndOfRefresh,
            other => Self::Unknown(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::BeginningOfRefresh => 1,
            Self::EndOfRefresh => 2,
            Self::Unknown(code) => code,
        }
    }
}

/// Octets of a body without entries of a filter.
const BODY_LENGTH: usize = 4;

#[cfg(test)]
mod tests;
