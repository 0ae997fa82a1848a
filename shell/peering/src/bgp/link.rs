//! The connection of this side's to one peer, from the attempt at it to its end.

use std::future::pending;
use std::io;

use ferrolb_bgp::ConnectionId;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::socket::Attempt;

/// As the core wants it: one at most.
pub(super) enum Link {
    None,
    Opening(ConnectionId, Attempt),
    Open(Connection),
}

impl Link {
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The connection that is open, if it is of that name.
    pub(super) fn open_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        match self {
            Self::Open(connection) if connection.id == id => Some(connection),
            Self::None | Self::Opening(..) | Self::Open(_) => None,
        }
    }

    /// What there is of that name, and is no more.
    pub(super) fn take(&mut self, id: ConnectionId) -> Self {
        let is_it = match self {
            Self::None => false,
            Self::Opening(opening, _) => *opening == id,
            Self::Open(connection) => connection.id == id,
        };
        if is_it { std::mem::replace(self, Self::None) } else { Self::None }
    }

    /// Waits until there is something to do. What has become of an attempt, which then is over.
    pub(super) async fn ready(&mut self) -> Option<(ConnectionId, io::Result<TcpStream>)> {
        match self {
            Self::None => pending().await,
            Self::Opening(id, attempt) => {
                let (id, connected) = (*id, attempt.await);
                *self = Self::None;
                Some((id, connected))
            }
            Self::Open(connection) => {
                connection.ready().await;
                None
            }
        }
    }
}
