//! How sessions are, in the words of `BGPSession`. No IO.

use std::time::Duration;

use ferrolb_api::bgp_session::{Bfd, BgpSessionStatus, Negotiated, Notification, Prefixes};
use ferrolb_bgp::{self as bgp, State, Statistics, Told};
use ferrolb_peering::bfd::{BfdView, SessionStatus};
use ferrolb_peering::bgp::PeerStatus;
use ferrolb_telemetry::chain;
use ferrolb_vocab::Instant;
use ferrolb_wire::bfd;
use ferrolb_wire::bgp::Family;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::callers::LISTENING;
use super::sought::CannotPeer;

/// A point on the process's clock and on the wall's. It is taken once: what was so since a time is told
/// with the same one for ever.
#[derive(Clone, Copy, Debug)]
pub(in crate::speaker) struct WallClock {
    instant: Instant,
    timestamp: Timestamp,
}

impl WallClock {
    pub(in crate::speaker) const fn new(instant: Instant, timestamp: Timestamp) -> Self {
        Self { instant, timestamp }
    }

    /// A time as objects have it, in whole seconds. A session that was taken over began before the point.
    pub(in crate::speaker) fn time(&self, at: Instant) -> Time {
        let (later, earlier) = (at.saturating_since(self.instant), self.instant.saturating_since(at));
        let time = self.timestamp.checked_add(later).and_then(|time| time.checked_sub(earlier));
        let time = time.unwrap_or(self.timestamp);
        Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
    }
}

/// How a session is, as far as the drivers say.
pub(in crate::speaker) fn session(
    peer: Option<&PeerStatus>,
    bfd: Option<&SessionStatus>,
    clock: &WallClock,
) -> BgpSessionStatus {
    let bfd = bfd.map(|bfd| bfd_status(bfd, clock));
    let Some(PeerStatus { session, error, .. }) = peer else {
        return BgpSessionStatus { state: Some(State::Idle.to_string()), bfd, ..BgpSessionStatus::default() };
    };
    let why = match (session.state, error, &session.last_lost) {
        (State::Established, _, _) | (_, None, None) => None,
        (_, Some(error), _) => Some((error.reason(), chain(error).to_string())),
        (_, None, Some(lost)) => Some((lost.reason.reason(), lost.reason.to_string())),
    };
    let (reason, message) = why.map(|(reason, message)| (reason.to_owned(), message)).unzip();
    let addresses = session.addresses.map(|both| both.map(|address| address.to_string()));
    let [local_address, remote_address] = addresses.map_or([None, None], |both| both.map(Some));
    BgpSessionStatus {
        state: Some(session.state.to_string()),
        since: session.since.map(|since| clock.time(since)),
        reason,
        message,
        local_address,
        remote_address,
        negotiated: session.negotiated.as_deref().map(negotiated),
        prefixes: prefixes(session),
        last_sent: session.last_sent.as_ref().map(|told| notification(told, clock)),
        last_received: session.last_received.as_ref().map(|told| notification(told, clock)),
        bfd,
        ..BgpSessionStatus::default()
    }
}

/// Whether BFD keeps short intervals on this node, where it watches anybody.
pub(super) fn realtime(view: &BfdView, clock: &WallClock) -> Option<Condition> {
    if view.sessions.is_empty() {
        return None;
    }
    let (status, reason, message) = match &view.refused {
        None => ("True", "RunsFirst", "the BFD thread runs before all others of the host".to_owned()),
        Some(error) => ("False", "SchedulingRefused", chain(error).to_string()),
    };
    Some(Condition {
        type_: REALTIME_BFD.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        // It is so as long as the process runs.
        last_transition_time: clock.time(clock.instant),
        observed_generation: None,
    })
}

/// The type of a node's condition: BFD keeps intervals below 50 ms, and any beside busy processes.
const REALTIME_BFD: &str = "RealtimeBFD";

/// How it is where there can be no session.
pub(super) fn impossible(why: CannotPeer) -> BgpSessionStatus {
    BgpSessionStatus {
        state: Some(State::Idle.to_string()),
        reason: Some(why.reason().to_owned()),
        message: Some(why.to_string()),
        ..BgpSessionStatus::default()
    }
}

/// Whether the two say the same of what somebody waits for.
pub(super) fn is_like(one: &BgpSessionStatus, other: &BgpSessionStatus) -> bool {
    let established = State::Established.to_string();
    let [one, other] = [one, other].map(|status| {
        let up_since = status.since.as_ref().filter(|_| status.state.as_ref() == Some(&established));
        let listens = status.state.as_deref() == Some(LISTENING);
        (up_since, listens, status.bfd.as_ref().map(|bfd| &bfd.state))
    });
    one == other
}

fn negotiated(agreed: &bgp::Negotiated) -> Negotiated {
    let capabilities = [
        ("FourOctetAS", agreed.four_octet_as),
        ("RouteRefresh", agreed.route_refresh),
        ("EnhancedRouteRefresh", agreed.enhanced_route_refresh),
        ("ExtendedNextHop", agreed.extended_next_hop),
        ("GracefulRestart", agreed.graceful_restart.is_some()),
        ("GracefulNotification", agreed.notification),
    ];
    let capabilities = capabilities.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned());
    Negotiated {
        local_asn: agreed.local_asn.0,
        remote_asn: agreed.remote_asn.0,
        remote_id: agreed.remote_id.to_string(),
        hold_time_seconds: seconds(agreed.hold_time),
        keepalive_time_seconds: seconds(agreed.keepalive_time),
        families: agreed.families.iter().map(|family| family.name().to_owned()).collect(),
        capabilities: capabilities.collect(),
        hostname: agreed.hostname.as_deref().map(ToOwned::to_owned),
    }
}

fn seconds(time: Option<Duration>) -> u32 {
    time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
}

/// Of the families that the session has, or should have.
fn prefixes(session: &bgp::Status) -> Vec<Prefixes> {
    let has = |family| session.negotiated.as_ref().is_some_and(|agreed| agreed.families.contains(family));
    let of = |(family, statistics): (Family, &Statistics)| {
        let withheld = statistics.withheld.filter(|why| *why != bgp::Withheld::NotEstablished);
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        (has(family) || statistics.wanted > 0).then(|| Prefixes {
            family: family.name().to_owned(),
            wanted: count(statistics.wanted),
            advertised: count(statistics.advertised),
            withheld: withheld.map(|why| why.reason().to_owned()),
        })
    };
    [(Family::Ipv4Unicast, &session.ipv4), (Family::Ipv6Unicast, &session.ipv6)]
        .into_iter()
        .filter_map(of)
        .collect()
}

fn notification(told: &Told, clock: &WallClock) -> Notification {
    let Told { at, notification } = told;
    Notification {
        at: clock.time(*at),
        code: notification.code,
        subcode: notification.subcode,
        text: notification.to_string(),
    }
}

fn bfd_status(status: &SessionStatus, clock: &WallClock) -> Bfd {
    let is_up = status.state == bfd::State::Up;
    let why = match (&status.error, status.down) {
        (Some(error), _) => Some((error.reason(), Some(chain(error).to_string()))),
        (None, Some(down)) if !is_up => Some((down.reason(), None)),
        (None, Some(_) | None) => None,
    };
    let (reason, message) = why.map_or((None, None), |(reason, message)| (Some(reason.to_owned()), message));
    Bfd {
        state: bfd_state(status).to_owned(),
        since: status.up_since.map(|since| clock.time(since)),
        reason,
        message,
    }
}

/// The names of RFC 5880 §6.2; that of the peer's operator who holds its session down comes first.
const fn bfd_state(status: &SessionStatus) -> &'static str {
    match (status.state, status.remote_state) {
        (bfd::State::AdminDown, _) | (bfd::State::Down, bfd::State::AdminDown) => "AdminDown",
        (bfd::State::Down, bfd::State::Down | bfd::State::Init | bfd::State::Up) => "Down",
        (bfd::State::Init, _) => "Init",
        (bfd::State::Up, _) => "Up",
    }
}

#[cfg(test)]
mod tests;
