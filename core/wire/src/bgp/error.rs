//! Why a message cannot be taken.

use alloc::vec::Vec;

use super::notification::codes;
use super::path_attribute::{AttributeType, Defect, Malformed};
use super::{HEADER_LENGTH, Notification};

/// Why a message cannot be taken, so that the connection must be closed. In an UPDATE only what
/// RFC 7606 leaves no other way for is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The marker is not all ones.
    #[error("the marker of the message is not all ones")]
    NotSynchronized,
    /// No message of its type has this length.
    #[error("no message of its type has a length of {0} octets")]
    MessageLength(u16),
    /// The type is none that this speaker knows.
    #[error("message type {0} is unknown")]
    MessageType(u8),
    /// The peer speaks another version of BGP.
    #[error("the peer speaks version {0} of BGP, expected {VERSION}")]
    Version(u8),
    /// The peer's autonomous system number is zero.
    #[error("the peer's AS number is 0")]
    PeerAs,
    /// The peer's BGP Identifier is zero.
    #[error("the peer's BGP Identifier is 0.0.0.0")]
    BgpIdentifier,
    /// The hold time is one or two seconds.
    #[error("the peer's hold time is {0} s, expected 0 or at least 3 s")]
    HoldTime(u16),
    /// An optional parameter of the OPEN message is none that this speaker knows.
    #[error("optional parameter {0} is unknown")]
    OptionalParameter(u8),
    /// The OPEN message is cut short, or longer than its parameters, or a capability without
    /// which the session would be misread has a length it cannot have.
    #[error("the lengths within the OPEN message do not agree")]
    MalformedOpen,
    /// The withdrawn routes and the path attributes are longer than the UPDATE message.
    #[error("the withdrawn routes and path attributes are longer than the message")]
    MalformedAttributeList,
    /// A prefix in the UPDATE message is too long, or cut short.
    #[error("a prefix of the message is too long or cut short")]
    NetworkField,
    /// An attribute that leaves open which routes the UPDATE message is about.
    #[error("{malformed}")]
    Attribute {
        /// Which attribute, and what is wrong with it.
        malformed: Malformed,
        /// The attribute, or what came of it.
        octets: Vec<u8>,
    },
    /// A mark in a route refresh has a length it cannot have; with it the whole message.
    #[error("a mark of a route refresh has a length of {} octets, expected 23", .0.len())]
    RouteRefreshLength(Vec<u8>),
}

impl Error {
    /// What the peer is told: code, subcode and data of RFC 4271 §6.1 to §6.3, RFC 7313 §5.
    #[must_use]
    pub fn notification(&self) -> Notification {
        let with = |code, subcode, data: &[u8]| Notification { code, subcode, data: Vec::from(data) };
        match self {
            Self::NotSynchronized => Notification::bare(codes::MESSAGE_HEADER, codes::NOT_SYNCHRONIZED),
            Self::MessageLength(length) => {
                with(codes::MESSAGE_HEADER, codes::BAD_MESSAGE_LENGTH, &length.to_be_bytes())
            }
            Self::MessageType(code) => with(codes::MESSAGE_HEADER, codes::BAD_MESSAGE_TYPE, &[*code]),
            Self::Version(_) => {
                with(codes::OPEN, codes::UNSUPPORTED_VERSION, &u16::from(VERSION).to_be_bytes())
            }
            Self::PeerAs => Notification::bad_peer_as(),
            Self::BgpIdentifier => Notification::bad_bgp_identifier(),
            Self::HoldTime(_) => Notification::unacceptable_hold_time(),
            Self::OptionalParameter(_) => {
                Notification::bare(codes::OPEN, codes::UNSUPPORTED_OPTIONAL_PARAMETER)
            }
            Self::MalformedOpen => Notification::bare(codes::OPEN, 0),
            Self::MalformedAttributeList => {
                Notification::bare(codes::UPDATE, codes::MALFORMED_ATTRIBUTE_LIST)
            }
            Self::NetworkField => Notification::bare(codes::UPDATE, codes::INVALID_NETWORK_FIELD),
            Self::Attribute { malformed, octets } => match subcode(*malformed) {
                // RFC 4271 §6.3 gives these no data.
                subcode @ (codes::MALFORMED_ATTRIBUTE_LIST | codes::MALFORMED_AS_PATH) => {
                    Notification::bare(codes::UPDATE, subcode)
                }
                subcode => with(codes::UPDATE, subcode, octets),
            },
            Self::RouteRefreshLength(message) => {
                with(codes::ROUTE_REFRESH, codes::INVALID_MESSAGE_LENGTH, message)
            }
        }
    }

    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotSynchronized => "not_synchronized",
            Self::MessageLength(_) => "message_length",
            Self::MessageType(_) => "message_type",
            Self::Version(_) => "version",
            Self::PeerAs => "peer_as_zero",
            Self::BgpIdentifier => "bgp_identifier_zero",
            Self::HoldTime(_) => "hold_time",
            Self::OptionalParameter(_) => "optional_parameter",
            Self::MalformedOpen => "malformed_open",
            Self::MalformedAttributeList => "malformed_attribute_list",
            Self::NetworkField => "network_field",
            Self::Attribute { .. } => "attribute",
            Self::RouteRefreshLength(_) => "route_refresh_length",
        }
    }

    /// The message of this body has a length that it cannot have.
    pub(super) fn of_length(body: &[u8]) -> Self {
        Self::MessageLength(u16::try_from(HEADER_LENGTH + body.len()).unwrap_or(u16::MAX))
    }
}

/// The subcode of RFC 4271 §6.3 for an attribute; RFC 4760 §7 for those that carry routes.
const fn subcode(malformed: Malformed) -> u8 {
    match (malformed.defect, malformed.attribute) {
        (Defect::Duplicate, _) => codes::MALFORMED_ATTRIBUTE_LIST,
        (Defect::Unrecognized, _) => codes::UNRECOGNIZED_WELL_KNOWN,
        (_, AttributeType::MP_REACH_NLRI | AttributeType::MP_UNREACH_NLRI) => codes::OPTIONAL_ATTRIBUTE,
        (Defect::Missing, _) => codes::MISSING_WELL_KNOWN,
        (Defect::Truncated, _) => codes::MALFORMED_ATTRIBUTE_LIST,
        (Defect::Flags, _) => codes::ATTRIBUTE_FLAGS,
        (Defect::Length, _) => codes::ATTRIBUTE_LENGTH,
        (Defect::Value, AttributeType::ORIGIN) => codes::INVALID_ORIGIN,
        (Defect::Value, AttributeType::NEXT_HOP) => codes::INVALID_NEXT_HOP,
        (Defect::Value, AttributeType::AS_PATH) => codes::MALFORMED_AS_PATH,
        (Defect::Value, _) => codes::OPTIONAL_ATTRIBUTE,
    }
}

/// The version of BGP (RFC 4271 §4.2).
pub(super) const VERSION: u8 = 4;

#[cfg(test)]
mod tests;
