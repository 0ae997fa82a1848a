//! What goes into a peer and comes out of it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{Cease, Error, Family, MessageType, Notification};

use super::configuring::ResetCause;
use crate::connection::ConnectionId;
use crate::negotiation::{Negotiated, OpenRefused};

/// The states of RFC 4271 §8.2.2, in the order in which a session comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody connects, and who does is refused.
    #[default]
    Idle,
    /// Nobody is connected: the next attempt waits for its time, or the peer has to make it.
    Active,
    /// TCP opens a connection.
    Connect,
    /// This side's OPEN is sent.
    OpenSent,
    /// The peer's has come.
    OpenConfirm,
    /// There is a session.
    Established,
}

/// What a driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Open a connection, to and from where the configuration says at this moment. Then comes
    /// [`crate::Peer::handle_connected`] or [`crate::Peer::handle_connect_failed`].
    Connect {
        /// What it is called.
        id: ConnectionId,
    },
    /// Write octets. When all of a connection's are written: [`crate::Peer::handle_writable`].
    Send {
        /// Where.
        id: ConnectionId,
        /// Whole messages.
        octets: Vec<u8>,
    },
    /// Write what was sent, shut the connection down for writing, read and forget what comes until
    /// the peer has closed it too or a second has gone by, then close it: one that is closed with
    /// octets unread takes back the NOTIFICATION on its way.
    Close {
        /// Which.
        id: ConnectionId,
    },
    /// Drop the connection, or the attempt at it, at once.
    Abort {
        /// Which.
        id: ConnectionId,
    },
}

/// What has become of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a session.
    Established {
        /// Since when.
        at: Instant,
        /// On which connection.
        connection: ConnectionId,
        /// What was agreed on.
        negotiated: Box<Negotiated>,
    },
    /// There is none any more.
    Down {
        /// Since when.
        at: Instant,
        /// Why.
        reason: Reason,
        /// How long there was one.
        lasted: Duration,
    },
    /// An attempt at one has come to nothing.
    Failed {
        /// When.
        at: Instant,
        /// Why.
        reason: Reason,
    },
    /// A connection of the peer's was not taken.
    Refused {
        /// When.
        at: Instant,
        /// What the peer was told.
        cease: Cease,
    },
    /// The peer has told all its routes of a family, for the first time in this session.
    EndOfRib {
        /// When.
        at: Instant,
        /// Which family.
        family: Family,
    },
}

/// Why a session, or an attempt at one, came to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// TCP could not connect.
    #[error("no connection: refused or unreachable")]
    ConnectFailed,
    /// TCP could not connect in time.
    #[error("no connection: no answer")]
    ConnectTimedOut,
    /// The peer has closed the connection, and has not said why.
    #[error("the peer closed the connection")]
    ConnectionClosed,
    /// TCP has given the connection up: nothing of what was written was acknowledged in time.
    #[error("the peer acknowledged nothing of what was sent")]
    ConnectionTimedOut,
    /// The peer has said why.
    #[error("the peer sent {0}")]
    NotificationReceived(Notification),
    /// Nothing was heard of the peer for the hold time: RFC 4271 §6.5.
    #[error("nothing was heard of the peer for the hold time")]
    HoldTimerExpired,
    /// The peer reads nothing: RFC 9687.
    #[error("the peer read nothing for the send hold time")]
    SendHoldTimerExpired,
    /// A message cannot be taken: RFC 4271 §6.1 to §6.3, RFC 7606.
    #[error("the peer's message cannot be taken: {0}")]
    MessageRefused(Error),
    /// The peer's OPEN does not agree with the configuration.
    #[error(transparent)]
    OpenRefused(OpenRefused),
    /// A message came before its time or after it: RFC 4271 §6.6.
    #[error("{} came in {state}", .message_type.name())]
    UnexpectedMessage {
        /// Which.
        message_type: MessageType,
        /// In which state.
        state: State,
    },
    /// The other of two connections was kept: RFC 4271 §6.8.
    #[error("another connection to the peer was kept")]
    Collision,
    /// The peer has restarted, and has connected again: RFC 4724 §5.
    #[error("the peer restarted and connected again")]
    Replaced,
    /// BFD has lost the peer: RFC 5882 §4.2.
    #[error("BFD lost the peer")]
    BfdDown,
    /// The configuration was changed.
    #[error("the configuration was changed: {}", .0.reason())]
    ConfigChanged(ResetCause),
    /// This side wanted no more: [`crate::Peer::stop`].
    #[error("stopped: {}", .0.reason())]
    Stopped(Stop),
}

/// Why a session is to end, and with that, what the peer does with its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The speaker restarts: a peer that can is to keep the routes. [`Peer::start_restarted`] comes
    /// next, in another process.
    ///
    /// [`Peer::start_restarted`]: crate::Peer::start_restarted
    Restart,
    /// The node leaves. What the peer's operator may read: RFC 9003.
    Shutdown(Option<Box<str>>),
    /// The peer is no longer configured.
    PeerRemoved,
    /// The session is to begin anew, for which nothing more need be said.
    Reset,
}

/// What BFD says of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BfdState {
    /// The path does not work, or nobody knows yet.
    #[default]
    Down,
    /// The path works.
    Up,
    /// An operator has taken BFD away, which says nothing of the path: RFC 5882 §4.2.
    AdminDown,
}

/// Why a peer wants to be called at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to connect.
    ConnectRetry,
    /// When an attempt to connect is given up.
    Connect,
    /// When the peer has been silent for too long.
    Hold,
    /// When to send a KEEPALIVE.
    Keepalive,
    /// When the peer has read nothing for too long.
    SendHold,
    /// When announcements have waited long enough for others.
    Update,
}

impl Reason {
    /// The reason's name, for logs, metrics and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimedOut => "connect_timed_out",
            Self::ConnectionClosed => "connection_closed",
            Self::ConnectionTimedOut => "connection_timed_out",
            Self::NotificationReceived(_) => "notification_received",
            Self::HoldTimerExpired => "hold_timer_expired",
            Self::SendHoldTimerExpired => "send_hold_timer_expired",
            Self::MessageRefused(_) => "message_refused",
            Self::OpenRefused(refused) => refused.reason(),
            Self::UnexpectedMessage { .. } => "unexpected_message",
            Self::Collision => "collision",
            Self::Replaced => "replaced",
            Self::BfdDown => "bfd_down",
            Self::ConfigChanged(_) => "config_changed",
            Self::Stopped(stop) => stop.reason(),
        }
    }
}

impl Stop {
    /// The reason's name, for logs, metrics and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Shutdown(_) => "shutdown",
            Self::PeerRemoved => "peer_removed",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for State {
    /// The names of RFC 4271 §8.2.2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Active => "Active",
            Self::Connect => "Connect",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}
