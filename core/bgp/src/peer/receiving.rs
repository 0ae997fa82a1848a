//! What comes from the peer: RFC 4271 §8.2.2, events 19 to 28.

use alloc::vec::Vec;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{
    Decoding, Error, Frame, FsmSubcode, MessageType, Notification, RouteRefresh, Subtype, Update,
};

use super::Peer;
use super::ending::Farewell;
use super::events::{Event, Reason, State};
use crate::connection::{ConnectionId, Direction, Phase};

impl Peer {
    pub(super) fn take_octets(
        &mut self,
        direction: Direction,
        id: ConnectionId,
        octets: &[u8],
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        let mut stream = core::mem::take(&mut connection.received);
        stream.extend_from_slice(octets);
        let mut rest = stream.as_slice();
        loop {
            match Frame::next(rest) {
                Ok(Some((frame, length))) => {
                    self.record.received.count(frame.message_type);
                    self.take_message(direction, frame, now);
                    if self.direction_of(id).is_none() {
                        return;
                    }
                    rest = rest.get(length..).unwrap_or_default();
                }
                Ok(None) => break,
                Err(error) => {
                    // RFC 4271 §6.4: of an error in a NOTIFICATION the peer is not told.
                    let is_notification = rest.get(TYPE_AT) == Some(&MessageType::Notification.code());
                    let farewell = if is_notification { None } else { Some(error.notification()) };
                    let farewell = farewell.map_or(Farewell::Close, Farewell::Notify);
                    return self.end(direction, Reason::MessageRefused(error), farewell, now);
                }
            }
        }
        let rest = Vec::from(rest);
        if let Some(connection) = self.connections.get_mut(&direction) {
            connection.received = rest;
        }
    }

    /// The table of RFC 4271 §8.2.2, with the errors of RFC 6608.
    fn take_message(&mut self, direction: Direction, frame: Frame<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        let Frame { message_type, body } = frame;
        let (state, subcode) = match (&connection.phase, message_type) {
            (Phase::OpenSent, MessageType::Open) => return self.take_open(direction, body, now),
            (Phase::OpenSent | Phase::OpenConfirm(_) | Phase::Established(..), MessageType::Notification) => {
                return self.take_notification(direction, body, now);
            }
            (Phase::OpenConfirm(_), MessageType::Keepalive) => return self.establish(direction, now),
            (Phase::Established(..), MessageType::Keepalive) => return connection.restart_hold(now),
            (Phase::Established(..), MessageType::Update) => {
                return self.take_update(direction, body, now);
            }
            (Phase::Established(..), MessageType::RouteRefresh) => {
                return self.take_route_refresh(direction, body, now);
            }
            (Phase::OpenSent, MessageType::Update | MessageType::Keepalive | MessageType::RouteRefresh) => {
                (State::OpenSent, FsmSubcode::UnexpectedInOpenSent(message_type))
            }
            (Phase::OpenConfirm(_), MessageType::Open | MessageType::Update | MessageType::RouteRefresh) => {
                (State::OpenConfirm, FsmSubcode::UnexpectedInOpenConfirm(message_type))
            }
            (Phase::Established(..), MessageType::Open) => {
                (State::Established, FsmSubcode::UnexpectedInEstablished(message_type))
            }
        };
        let farewell = Farewell::Notify(Notification::fsm_error(subcode));
        self.end(direction, Reason::UnexpectedMessage { message_type, state }, farewell, now);
    }

    /// Ends the connection for a message that cannot be taken.
    pub(super) fn refuse_message(&mut self, direction: Direction, error: Error, now: Instant) {
        let farewell = Farewell::Notify(error.notification());
        self.end(direction, Reason::MessageRefused(error), farewell, now);
    }

    /// The peer's last word, to which there is no answer: RFC 4271 §6.
    fn take_notification(&mut self, direction: Direction, body: &[u8], now: Instant) {
        let notification = match Notification::parse(body) {
            Ok(notification) => notification,
            Err(error) => {
                return self.end(direction, Reason::MessageRefused(error), Farewell::Close, now);
            }
        };
        self.record.note_notification_received(notification.clone(), now);
        let is_early =
            self.connections.get(&direction).is_some_and(|connection| connection.established().is_none());
        let is_optional_parameter =
            (notification.code, notification.subcode) == UNSUPPORTED_OPTIONAL_PARAMETER;
        // RFC 5492 §3: a peer that cannot read capabilities may do without. It then means IPv4. What
        // else it objects to may be for want of them.
        self.is_plain = is_early && is_optional_parameter && self.config.families.ipv4;
        self.end(direction, Reason::NotificationReceived(notification), Farewell::Close, now);
    }

    /// What the peer knows is checked and counted: RFC 7606. An UPDATE that only its routes suffer
    /// from ends nothing.
    fn take_update(&mut self, direction: Direction, body: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        let Some(negotiated) = connection.negotiated() else { return };
        let decoding = Decoding {
            four_octet_as: negotiated.four_octet_as,
            is_internal: negotiated.is_internal(),
            local_asn: negotiated.local_asn,
            families: negotiated.families,
        };
        match Update::parse(body, &decoding) {
            Ok(update) => {
                connection.restart_hold(now);
                if let Some(family) = self.record.routes.count(&update) {
                    self.events.push_back(Event::EndOfRib { at: now, family });
                }
            }
            Err(error) => self.refuse_message(direction, error, now),
        }
    }

    /// RFC 2918 §4, RFC 7313 §4. What is not for this side to answer is ignored: a family that was
    /// not agreed on, marks around routes that nobody keeps, and what has no meaning yet.
    fn take_route_refresh(&mut self, direction: Direction, body: &[u8], now: Instant) {
        let Some(negotiated) =
            self.connections.get(&direction).and_then(|connection| connection.negotiated())
        else {
            return;
        };
        match RouteRefresh::parse(body, negotiated.enhanced_route_refresh) {
            Ok(RouteRefresh { family: Some(family), subtype: Subtype::Request })
                if negotiated.families.contains(family) =>
            {
                self.rib_out.refresh(family, negotiated.enhanced_route_refresh);
                self.flush(now);
            }
            Ok(_ignored) => {}
            Err(error) => self.refuse_message(direction, error, now),
        }
    }
}

/// OPEN Message Error, Unsupported Optional Parameter.
const UNSUPPORTED_OPTIONAL_PARAMETER: (u8, u8) = (2, 4);

/// Where a header has the type.
const TYPE_AT: usize = 18;
