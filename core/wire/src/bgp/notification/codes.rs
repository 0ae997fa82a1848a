//! Error codes and subcodes and their names: RFC 4271 §4.5 and its registries.

use crate::bgp::MessageType;

/// Why a connection is closed without an error: RFC 4486, RFC 8538, RFC 9384.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cease {
    /// The peer told more prefixes than it may.
    MaximumPrefixes,
    /// An operator ends the session.
    AdministrativeShutdown,
    /// The session is no longer configured.
    PeerDeconfigured,
    /// An operator ends the session, and it may begin again.
    AdministrativeReset,
    /// The connection is not wanted.
    ConnectionRejected,
    /// The configuration changed.
    OtherConfigurationChange,
    /// Another connection to the same peer stays.
    CollisionResolution,
    /// Something is used up.
    OutOfResources,
    /// The session ends, whatever was agreed on of graceful restart.
    HardReset,
    /// BFD says that the path is down.
    BfdDown,
}

/// What came in a state that has no place for it (RFC 6608 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FsmSubcode {
    /// No message: some other event.
    Unspecified,
    /// This message, in `OpenSent`.
    UnexpectedInOpenSent(MessageType),
    /// This message, in `OpenConfirm`.
    UnexpectedInOpenConfirm(MessageType),
    /// This message, in Established.
    UnexpectedInEstablished(MessageType),
}

impl Cease {
    /// Every reason, in the order of the subcodes.
    pub const ALL: [Self; 10] = [
        Self::MaximumPrefixes,
        Self::AdministrativeShutdown,
        Self::PeerDeconfigured,
        Self::AdministrativeReset,
        Self::ConnectionRejected,
        Self::OtherConfigurationChange,
        Self::CollisionResolution,
        Self::OutOfResources,
        Self::HardReset,
        Self::BfdDown,
    ];

    /// The number in the message.
    #[must_use]
    pub const fn subcode(self) -> u8 {
        match self {
            Self::MaximumPrefixes => 1,
            Self::AdministrativeShutdown => 2,
            Self::PeerDeconfigured => 3,
            Self::AdministrativeReset => 4,
            Self::ConnectionRejected => 5,
            Self::OtherConfigurationChange => 6,
            Self::CollisionResolution => 7,
            Self::OutOfResources => 8,
            Self::HardReset => 9,
            Self::BfdDown => 10,
        }
    }

    /// The name in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaximumPrefixes => "Maximum Number of Prefixes Reached",
            Self::AdministrativeShutdown => "Administrative Shutdown",
            Self::PeerDeconfigured => "Peer De-configured",
            Self::AdministrativeReset => "Administrative Reset",
            Self::ConnectionRejected => "Connection Rejected",
            Self::OtherConfigurationChange => "Other Configuration Change",
            Self::CollisionResolution => "Connection Collision Resolution",
            Self::OutOfResources => "Out of Resources",
            Self::HardReset => "Hard Reset",
            Self::BfdDown => "BFD Down",
        }
    }

    /// Whether an operator's words can go with it (RFC 9003 §2).
    pub(super) const fn has_text(self) -> bool {
        matches!(self, Self::AdministrativeShutdown | Self::AdministrativeReset)
    }

    pub(super) fn of_subcode(subcode: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cease| cease.subcode() == subcode)
    }
}

impl FsmSubcode {
    /// The number in the message.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::UnexpectedInOpenSent(_) => 1,
            Self::UnexpectedInOpenConfirm(_) => 2,
            Self::UnexpectedInEstablished(_) => 3,
        }
    }

    pub(super) const fn message_type(self) -> Option<MessageType> {
        match self {
            Self::Unspecified => None,
            Self::UnexpectedInOpenSent(message_type)
            | Self::UnexpectedInOpenConfirm(message_type)
            | Self::UnexpectedInEstablished(message_type) => Some(message_type),
        }
    }
}

/// The name of an error code.
pub(super) const fn code_name(code: u8) -> &'static str {
    match code {
        MESSAGE_HEADER => "Message Header Error",
        OPEN => "OPEN Message Error",
        UPDATE => "UPDATE Message Error",
        HOLD_TIMER_EXPIRED => "Hold Timer Expired",
        FINITE_STATE_MACHINE => "Finite State Machine Error",
        CEASE => "Cease",
        ROUTE_REFRESH => "ROUTE-REFRESH Message Error",
        SEND_HOLD_TIMER_EXPIRED => "Send Hold Timer Expired",
        _unassigned => "Unknown Error",
    }
}

/// The name of an error subcode, empty where there is none.
pub(super) fn subcode_name(code: u8, subcode: u8) -> &'static str {
    match (code, subcode) {
        (MESSAGE_HEADER, NOT_SYNCHRONIZED) => "Connection Not Synchronized",
        (MESSAGE_HEADER, BAD_MESSAGE_LENGTH) => "Bad Message Length",
        (MESSAGE_HEADER, BAD_MESSAGE_TYPE) => "Bad Message Type",
        (OPEN, UNSUPPORTED_VERSION) => "Unsupported Version Number",
        (OPEN, BAD_PEER_AS) => "Bad Peer AS",
        (OPEN, BAD_BGP_IDENTIFIER) => "Bad BGP Identifier",
        (OPEN, UNSUPPORTED_OPTIONAL_PARAMETER) => "Unsupported Optional Parameter",
        (OPEN, UNACCEPTABLE_HOLD_TIME) => "Unacceptable Hold Time",
        (OPEN, UNSUPPORTED_CAPABILITY) => "Unsupported Capability",
        (OPEN, ROLE_MISMATCH) => "Role Mismatch",
        (UPDATE, MALFORMED_ATTRIBUTE_LIST) => "Malformed Attribute List",
        (UPDATE, UNRECOGNIZED_WELL_KNOWN) => "Unrecognized Well-known Attribute",
        (UPDATE, MISSING_WELL_KNOWN) => "Missing Well-known Attribute",
        (UPDATE, ATTRIBUTE_FLAGS) => "Attribute Flags Error",
        (UPDATE, ATTRIBUTE_LENGTH) => "Attribute Length Error",
        (UPDATE, INVALID_ORIGIN) => "Invalid ORIGIN Attribute",
        (UPDATE, INVALID_NEXT_HOP) => "Invalid NEXT_HOP Attribute",
        (UPDATE, OPTIONAL_ATTRIBUTE) => "Optional Attribute Error",
        (UPDATE, INVALID_NETWORK_FIELD) => "Invalid Network Field",
        (UPDATE, MALFORMED_AS_PATH) => "Malformed AS_PATH",
        (FINITE_STATE_MACHINE, 1) => "Receive Unexpected Message in OpenSent State",
        (FINITE_STATE_MACHINE, 2) => "Receive Unexpected Message in OpenConfirm State",
        (FINITE_STATE_MACHINE, 3) => "Receive Unexpected Message in Established State",
        (CEASE, subcode) => Cease::of_subcode(subcode).map_or("", Cease::name),
        (ROUTE_REFRESH, INVALID_MESSAGE_LENGTH) => "Invalid Message Length",
        _unassigned => "",
    }
}

pub(crate) const MESSAGE_HEADER: u8 = 1;
pub(crate) const NOT_SYNCHRONIZED: u8 = 1;
pub(crate) const BAD_MESSAGE_LENGTH: u8 = 2;
pub(crate) const BAD_MESSAGE_TYPE: u8 = 3;

pub(crate) const OPEN: u8 = 2;
pub(crate) const UNSUPPORTED_VERSION: u8 = 1;
pub(crate) const BAD_PEER_AS: u8 = 2;
pub(crate) const BAD_BGP_IDENTIFIER: u8 = 3;
pub(crate) const UNSUPPORTED_OPTIONAL_PARAMETER: u8 = 4;
pub(crate) const UNACCEPTABLE_HOLD_TIME: u8 = 6;
pub(crate) const UNSUPPORTED_CAPABILITY: u8 = 7;
const ROLE_MISMATCH: u8 = 11;

pub(crate) const UPDATE: u8 = 3;
pub(crate) const MALFORMED_ATTRIBUTE_LIST: u8 = 1;
pub(crate) const UNRECOGNIZED_WELL_KNOWN: u8 = 2;
pub(crate) const MISSING_WELL_KNOWN: u8 = 3;
pub(crate) const ATTRIBUTE_FLAGS: u8 = 4;
pub(crate) const ATTRIBUTE_LENGTH: u8 = 5;
pub(crate) const INVALID_ORIGIN: u8 = 6;
pub(crate) const INVALID_NEXT_HOP: u8 = 8;
pub(crate) const OPTIONAL_ATTRIBUTE: u8 = 9;
pub(crate) const INVALID_NETWORK_FIELD: u8 = 10;
pub(crate) const MALFORMED_AS_PATH: u8 = 11;

pub(crate) const HOLD_TIMER_EXPIRED: u8 = 4;
pub(crate) const FINITE_STATE_MACHINE: u8 = 5;
pub(crate) const CEASE: u8 = 6;
pub(crate) const ROUTE_REFRESH: u8 = 7;
pub(crate) const INVALID_MESSAGE_LENGTH: u8 = 1;
pub(crate) const SEND_HOLD_TIMER_EXPIRED: u8 = 8;
