//! What is sent while there is a connection.

use alloc::vec::Vec;
use core::time::Duration;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{MessageType, keepalive};

use super::Peer;
use super::dialling::jittered;
use super::events::Transmit;
use crate::connection::Direction;

/// Octets of UPDATEs that are written at once, plus one message at most: KEEPALIVEs wait no longer
/// than these take, and what is not written yet can still change.
const BATCH: usize = 65_536;

/// After all was told, the next announcements wait so long for others to share UPDATEs with: a burst of
/// changes is a few packed UPDATEs, and a single change goes at once.
pub(super) const UPDATE_INTERVAL: Duration = Duration::from_millis(5);

impl Peer {
    /// Sends what the peer is to know, if the connection can take it: withdrawals at once, as traffic is
    /// lost until they are heard; announcements at once too, or 5 ms after the last, with all that has come
    /// until then. To be called after [`Peer::rib_out_mut`].
    pub fn flush(&mut self, now: Instant) {
        let Some((direction, connection)) = self.established() else { return };
        if connection.unwritten.is_some() {
            return;
        }
        let is_packing = self.packed_until.is_some_and(|until| now < until);
        let mut octets = Vec::new();
        let mut has_more = true;
        while has_more && octets.len() < BATCH {
            has_more = if is_packing {
                self.rib_out.next_withdrawal(&mut octets)
            } else {
                self.rib_out.next_message(&mut octets)
            };
        }
        if octets.is_empty() {
            return;
        }
        if !is_packing {
            // What a batch has no room for waits for nothing but the connection.
            self.packed_until = (!has_more).then(|| now + UPDATE_INTERVAL);
        }
        self.count_messages(&octets);
        self.send(direction, octets, now);
        self.restart_keepalive(direction, now);
    }

    /// RFC 4271 §4.4.
    pub(super) fn send_keepalive(&mut self, direction: Direction, now: Instant) {
        self.send(direction, keepalive().into(), now);
        self.record.sent.count(MessageType::Keepalive);
        self.restart_keepalive(direction, now);
    }

    /// Something was sent by which the peer hears that this side is there: RFC 4271 §8.2.2.
    pub(super) fn restart_keepalive(&mut self, direction: Direction, now: Instant) {
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        let time = connection.negotiated().and_then(|negotiated| negotiated.keepalive_time);
        // RFC 4271 §4.4: no more than one in a second, jitter or not.
        let time = time.map(|time| jittered(time, &mut self.random).max(KEEPALIVE_TIME_MIN));
        connection.keepalive = time.map(|time| now + time);
    }

    pub(super) fn send(&mut self, direction: Direction, octets: Vec<u8>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        connection.unwritten.get_or_insert(now);
        self.transmits.push_back(Transmit::Send { id: connection.id, octets });
    }

    /// Counts what RIB-out has to say by the types of the messages.
    fn count_messages(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Ok(Some((frame, length))) = ferrolb_wire::bgp::Frame::next(rest) {
            self.record.sent.count(frame.message_type);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

const KEEPALIVE_TIME_MIN: Duration = Duration::from_secs(1);
