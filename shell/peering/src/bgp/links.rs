//! The connections of one peer, from the attempt at them to their end.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use ferrolb_bgp::ConnectionId;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::socket::Attempt;
use super::{PeerError, TransportOptions};

/// As the core wants them: one attempt at most, and of connections one that each side has opened, or for
/// a moment two of the peer's, of which the core keeps one.
#[derive(Default)]
pub(super) struct Links {
    attempt: Option<(ConnectionId, Attempt)>,
    open: BTreeMap<ConnectionId, Connection>,
}

impl Links {
    pub(super) fn is_empty(&self) -> bool {
        self.attempt.is_none() && self.open.is_empty()
    }

    /// Begins an attempt, in place of whatever other there was.
    pub(super) fn begin(&mut self, id: ConnectionId, attempt: Attempt) {
        self.attempt = Some((id, attempt));
    }

    /// Gives up the attempt, if it is of that name. Whether it was.
    pub(super) fn give_up(&mut self, id: ConnectionId) -> bool {
        self.attempt.take_if(|(opening, _)| *opening == id).is_some()
    }

    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.open.insert(id, connection);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.open.remove(&id)
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.open.get_mut(&id)
    }

    /// The names of the connections that are open.
    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.open.keys().copied().collect()
    }

    /// Whether all that was sent on a connection is written, and that was not told before.
    pub(super) fn are_writable(&self) -> bool {
        self.open.values().any(Connection::is_writable)
    }

    /// Has what is open take on these options. Whether that is all that there is: an attempt cannot.
    pub(super) fn apply(&self, options: &TransportOptions) -> Result<bool, PeerError> {
        self.open.values().try_for_each(|connection| connection.apply(options))?;
        Ok(self.attempt.is_none() && !self.open.is_empty())
    }

    /// Waits until there is something to do. What has become of an attempt, which then is over.
    pub(super) async fn ready(&mut self) -> Option<(ConnectionId, io::Result<TcpStream>)> {
        poll_fn(|context| {
            if let Some((id, attempt)) = &mut self.attempt
                && let Poll::Ready(connected) = attempt.as_mut().poll(context)
            {
                let id = *id;
                self.attempt = None;
                return Poll::Ready(Some((id, connected)));
            }
            let mut open = self.open.values();
            if open.any(|connection| connection.poll_ready(context).is_ready()) {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}
