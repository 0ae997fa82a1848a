//! How connections end.

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{Cease, MessageType, Notification};

use super::events::{Event, Reason, Stop, Transmit};
use super::{DIRECTIONS, Peer};
use crate::connection::{ConnectionId, Direction};

/// What the peer is told at the end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Why, RFC 4271 §4.5.
    Notify(Notification),
    /// Nothing: the connection is closed.
    Close,
    /// Nothing: the connection is dropped with what waits to be written.
    Abort,
    /// Nothing: the connection is gone.
    None,
}

impl Peer {
    /// Ends the session: ManualStop, RFC 4271 §8.1.2. All but [`Stop::Reset`] lets nobody connect
    /// before [`Peer::start`].
    pub fn stop(&mut self, stop: Stop, now: Instant) {
        if stop == Stop::Reset && self.is_alone() {
            // There is nothing to wait for that the operator does not know.
            self.failures = 0;
            self.retry = None;
        }
        self.is_started &= stop == Stop::Reset;
        self.give_up_attempt();
        for direction in DIRECTIONS {
            let farewell = self.farewell(direction, &stop);
            self.end(direction, Reason::Stopped(stop.clone()), farewell, now);
        }
        self.settle(now);
    }

    /// What a stop has the peer do: keep the routes, forget them, or come again.
    fn farewell(&self, direction: Direction, stop: &Stop) -> Farewell {
        let negotiated = self.connections.get(&direction).and_then(|connection| connection.negotiated());
        let restarts = negotiated.is_some_and(|negotiated| negotiated.graceful_restart.is_some());
        let cease = match stop {
            // RFC 4724 §4: a NOTIFICATION would make the peer forget the routes, unless both sides
            // know RFC 8538.
            Stop::Restart if restarts && !negotiated.is_some_and(|negotiated| negotiated.notification) => {
                return Farewell::Close;
            }
            Stop::Restart | Stop::Reset => Notification::cease(Cease::AdministrativeReset, None),
            Stop::Shutdown(text) => {
                let cease = Notification::cease(Cease::AdministrativeShutdown, text.as_deref());
                self.final_cease(direction, cease)
            }
            Stop::PeerRemoved => {
                self.final_cease(direction, Notification::cease(Cease::PeerDeconfigured, None))
            }
        };
        Farewell::Notify(cease)
    }

    /// A Cease after which the peer keeps no routes: RFC 8538 §3.
    pub(super) fn final_cease(&self, direction: Direction, cease: Notification) -> Notification {
        let negotiated = self.connections.get(&direction).and_then(|connection| connection.negotiated());
        if negotiated.is_some_and(|negotiated| negotiated.notification) {
            Notification::hard_reset(&cease)
        } else {
            cease
        }
    }

    /// Ends a connection, if there is one, and with it a session.
    pub(super) fn end(&mut self, direction: Direction, reason: Reason, farewell: Farewell, now: Instant) {
        let Some(connection) = self.connections.remove(&direction) else { return };
        self.part(connection.id, farewell, now);
        let is_wanted = matches!(reason, Reason::ConfigChanged(_) | Reason::Stopped(_));
        if is_wanted {
            // What failed before is no reason to make the operator wait.
            self.failures = 0;
        }
        if let Some(since) = connection.established() {
            self.rib_out.lost();
            self.packed_until = None;
            let lasted = now.saturating_since(since);
            let hold_time = connection.negotiated().and_then(|negotiated| negotiated.hold_time);
            // A session that lasts no longer than that may be one of a series that fails.
            if lasted > hold_time.unwrap_or(super::OPEN_HOLD_TIME) {
                self.failures = 0;
            }
            self.record.note_lost(reason.clone(), now);
            self.events.push_back(Event::Down { at: now, reason, lasted });
            self.back_off(now);
        } else if self.retry.is_some() && connection.is_silent(direction) && !is_wanted {
            // This side waits for its own attempt, which this neither holds up nor puts off.
            self.record.note_lost(reason.clone(), now);
            self.events.push_back(Event::Failed { at: now, reason });
        } else {
            self.fail(reason, now);
        }
    }

    /// Refuses a connection of the peer's: RFC 4486 §4.
    pub(super) fn refuse(&mut self, id: ConnectionId, cease: Cease, now: Instant) {
        self.part(id, Farewell::Notify(Notification::cease(cease, None)), now);
        self.events.push_back(Event::Refused { at: now, cease });
    }

    fn part(&mut self, id: ConnectionId, farewell: Farewell, now: Instant) {
        let transmit = match farewell {
            Farewell::Notify(notification) => {
                self.transmits.push_back(Transmit::Send { id, octets: notification.emit() });
                self.record.sent.count(MessageType::Notification);
                self.record.note_notification_sent(notification, now);
                Transmit::Close { id }
            }
            Farewell::Close => Transmit::Close { id },
            Farewell::Abort => Transmit::Abort { id },
            Farewell::None => return,
        };
        self.transmits.push_back(transmit);
    }
}
