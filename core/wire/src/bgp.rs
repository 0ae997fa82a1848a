//! BGP-4 messages: RFC 4271 §4, for IPv4 and IPv6 unicast routes.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                    Marker, 16 octets of ones                  |
//! +-------------------------------+---------------+---------------+
//! |            Length             |     Type      |    Body …     |
//! +-------------------------------+---------------+---------------+
//! ```
//!
//! [`Frame::next`] finds a message in a stream; [`Open`], [`Update`], [`Notification`] and
//! [`RouteRefresh`] are bodies. What comes in is borrowed: an [`Update`] is checked once, as RFC
//! 7606 says, and then read in place, however many routes it has. What goes out is made of
//! [`Attributes`], encoded once ([`EncodedAttributes`]) and put before as many prefixes as fit one
//! message: [`emit_reachable`], [`emit_withdrawn`], [`emit_end_of_rib`].
//!
//! What is absent: state, negotiation, policy. Messages are never longer than 4096 octets:
//! Extended Messages (RFC 8654) are not offered.

mod attributes;
mod capability;
mod emit;
mod error;
mod family;
mod frame;
mod nlri;
mod notification;
mod open;
mod path_attribute;
mod route_refresh;
mod text;
mod update;

pub use attributes::{Attributes, EncodedAttributes, ExtendedCommunity, NextHop, Origin, TooLong};
pub use capability::{Capabilities, GracefulRestart};
pub use emit::{emit_end_of_rib, emit_reachable, emit_withdrawn};
pub use error::Error;
pub use family::{Families, Family};
pub use frame::{Frame, MessageType, keepalive};
pub use notification::{Cease, FsmSubcode, Notification};
pub use open::Open;
pub use path_attribute::{AsPath, AttributeType, AttributeTypes, Defect, Malformed, Segment, SegmentType};
pub use route_refresh::{RouteRefresh, Subtype};
pub use update::{Decoding, Disposition, Update};

/// Octets of the longest message (RFC 4271 §4).
pub const MESSAGE_MAX: usize = 4_096;

/// Octets of marker, length and type (RFC 4271 §4.1).
pub const HEADER_LENGTH: usize = 19;

/// The TCP port of BGP.
pub const PORT: u16 = 179;
