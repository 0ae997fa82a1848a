//! What a change of the configuration does to a session.

use core::net::SocketAddr;

use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::{Cease, GracefulRestart, Notification, Open};

use super::ending::Farewell;
use super::events::Reason;
use super::{DIRECTIONS, Peer};
use crate::config::{Config, Transport};
use crate::connection::{Connection, Direction, Phase};
use crate::negotiation::{Circumstances, Negotiated, OpenRefused, keepalive_time, negotiate, offer};
use crate::rib_out::Encoding;

/// What of a change of the configuration a session cannot follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetCause {
    /// Where the peer is, or from where to connect.
    Transport,
    /// This side's AS number, as the peer sees it.
    LocalAsn,
    /// This side's BGP Identifier.
    BgpId,
    /// The peer is not in the AS that it should be in.
    RemoteAsn,
    /// The peer would agree to other families.
    Families,
    /// The peer would agree to another hold time.
    HoldTime,
    /// The peer would agree otherwise on graceful restart.
    GracefulRestart,
    /// The peer would agree otherwise on IPv6 next hops for IPv4.
    ExtendedNextHop,
}

impl Peer {
    /// Replaces the configuration. A session goes on unless the two sides would have agreed on
    /// something else than they did: then it is reset, for the reason that is returned, and so is a
    /// connection on the way to one.
    ///
    /// | changed | what happens |
    /// |---|---|
    /// | `transport` | reset, after which the peer keeps no routes; not by a `source` that it has, or none |
    /// | `local_asn`, `local_as` | reset, if the peer sees another AS number than before |
    /// | `bgp_id` | reset |
    /// | `remote_asn` | reset, if the peer is not in it |
    /// | `families`, `extended_next_hop` | reset, if the peer has offered the same |
    /// | `hold_time` | reset, if the lesser of the two is another |
    /// | `graceful_restart` on, off, or its N bit | reset, if the peer has offered the same |
    /// | `next_hop_ipv4`, `next_hop_ipv6` | counts at once: routes that have it are announced again |
    /// | `keepalive_time`, `bfd` | counts at once |
    /// | `connect_retry_time`, `role` | counts at once, for the next attempt |
    /// | Restart Time and F bits of `graceful_restart`, `hostname` | counts from the next session |
    ///
    /// Whoever waits to connect with what was wrong does so no longer.
    pub fn set_config(&mut self, config: Config, now: Instant) -> Option<ResetCause> {
        if self.config == config {
            return None;
        }
        let old = core::mem::replace(&mut self.config, config);
        let reset = self.reset_changed(&old.transport, now);
        for direction in DIRECTIONS {
            self.follow_keepalive_time(direction, now);
        }
        self.follow_next_hops(now);
        if self.config.transport != old.transport {
            self.give_up_attempt();
        }
        if reset.is_none() && self.is_alone() {
            self.failures = 0;
            self.retry = None;
        }
        self.settle(now);
        reset
    }

    /// Ends the connections that came about by `transport` and do not fit the configuration. Why, if
    /// there are any.
    pub(super) fn reset_changed(&mut self, transport: &Transport, now: Instant) -> Option<ResetCause> {
        let mut reset = None;
        for direction in DIRECTIONS {
            let Some(connection) = self.connections.get(&direction) else { continue };
            let Some(cause) = self.reset_cause(connection, transport) else { continue };
            reset = reset.or(Some(cause));
            let farewell = if cause == ResetCause::Transport {
                // The router may be a peer no longer: it is to keep no routes.
                self.final_cease(direction, Notification::cease(Cease::PeerDeconfigured, None))
            } else {
                Notification::cease(Cease::OtherConfigurationChange, None)
            };
            self.end(direction, Reason::ConfigChanged(cause), Farewell::Notify(farewell), now);
        }
        reset
    }

    /// Why a connection that came about by `transport` cannot go on, if so.
    fn reset_cause(&self, connection: &Connection, transport: &Transport) -> Option<ResetCause> {
        let is_plain = connection.offer.capabilities.families.is_none();
        let new = offer(&self.config, Circumstances { is_plain, ..Circumstances::default() });
        if self.config.transport.moves(transport, connection.local.ip()) {
            return Some(ResetCause::Transport);
        }
        if new.asn != connection.offer.asn {
            return Some(ResetCause::LocalAsn);
        }
        if new.bgp_id != connection.offer.bgp_id {
            return Some(ResetCause::BgpId);
        }
        let Some(agreed) = connection.agreed() else { return offers_differ(&connection.offer, &new) };
        match negotiate(&self.config, &new, &agreed.received) {
            Err(OpenRefused::BadPeerAs { .. }) => Some(ResetCause::RemoteAsn),
            Err(OpenRefused::BadBgpId(_)) => Some(ResetCause::BgpId),
            Err(OpenRefused::NoCommonFamily { .. }) => Some(ResetCause::Families),
            Ok(negotiated) => agreements_differ(&agreed.negotiated, &negotiated),
        }
    }

    /// The time between KEEPALIVEs is this side's alone.
    fn follow_keepalive_time(&mut self, direction: Direction, now: Instant) {
        let Some(connection) = self.connections.get_mut(&direction) else { return };
        let (Phase::OpenConfirm(agreed) | Phase::Established(agreed, _)) = &mut connection.phase else {
            return;
        };
        let hold_time = connection.offer.hold_time.min(agreed.received.hold_time);
        let time = keepalive_time(&self.config, hold_time);
        if agreed.negotiated.keepalive_time != time {
            agreed.negotiated.keepalive_time = time;
            self.restart_keepalive(direction, now);
        }
    }

    /// So are next hops, whatever was agreed on.
    fn follow_next_hops(&mut self, now: Instant) {
        let Some((_, connection)) = self.established() else { return };
        let Some(negotiated) = connection.negotiated() else { return };
        let encoding = self.encoding(negotiated, connection.local);
        self.rib_out.set_encoding(&encoding);
        self.flush(now);
    }

    /// What UPDATEs of a session depend on.
    pub(super) fn encoding(&self, negotiated: &Negotiated, local: SocketAddr) -> Encoding {
        Encoding {
            four_octet_as: negotiated.four_octet_as,
            is_internal: negotiated.is_internal(),
            local_asn: negotiated.local_asn,
            local_address: local.ip(),
            next_hop_ipv4: self.config.next_hop_ipv4,
            next_hop_ipv6: self.config.next_hop_ipv6,
            families: negotiated.families,
            extended_next_hop: negotiated.extended_next_hop,
        }
    }
}

impl ResetCause {
    /// The reason's name, for logs, metrics and conditions.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::LocalAsn => "local_asn",
            Self::BgpId => "bgp_id",
            Self::RemoteAsn => "remote_asn",
            Self::Families => "families",
            Self::HoldTime => "hold_time",
            Self::GracefulRestart => "graceful_restart",
            Self::ExtendedNextHop => "extended_next_hop",
        }
    }
}

/// What the two sides would agree on otherwise.
fn agreements_differ(old: &Negotiated, new: &Negotiated) -> Option<ResetCause> {
    let restarts = |of: &Negotiated| (of.graceful_restart.is_some(), of.notification);
    first([
        (ResetCause::Families, old.families != new.families),
        (ResetCause::HoldTime, old.hold_time != new.hold_time),
        (ResetCause::GracefulRestart, restarts(old) != restarts(new)),
        (ResetCause::ExtendedNextHop, old.extended_next_hop != new.extended_next_hop),
    ])
}

/// What the peer, whose OPEN has not come, has been told otherwise.
fn offers_differ(old: &Open, new: &Open) -> Option<ResetCause> {
    let restarts = |of: &Open| {
        let restart = of.capabilities.graceful_restart.as_ref();
        restart.map(|restart: &GracefulRestart| restart.notification)
    };
    let (old_can, new_can) = (&old.capabilities, &new.capabilities);
    first([
        (ResetCause::Families, old_can.families != new_can.families),
        (ResetCause::HoldTime, old.hold_time != new.hold_time),
        (ResetCause::GracefulRestart, restarts(old) != restarts(new)),
        (ResetCause::ExtendedNextHop, old_can.extended_next_hop != new_can.extended_next_hop),
    ])
}

fn first(causes: [(ResetCause, bool); 4]) -> Option<ResetCause> {
    causes.into_iter().find_map(|(cause, is_so)| is_so.then_some(cause))
}
