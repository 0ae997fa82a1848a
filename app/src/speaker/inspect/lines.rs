//! A recording as JSON lines, for `ferrolb dump`. No IO.
//!
//! The first line is the [`Head`]; each of the others is a [`Line`], the oldest first. What was given to the
//! state machine of a BGP peer has all that [`ferrolb_bgp::Peer`] needs to be given it again, at the same
//! times: that is a test here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_bgp::{BfdState, Event, Route, Stop, Transitivity, Transmit};
use ferrolb_peering::bfd::BfdEvent;
use ferrolb_peering::recording::{BgpStep, Entry, Recording, WantedRoutes, What};
use ferrolb_vocab::{Instant, IpPrefix};
use jiff::Timestamp;
use serde::Serialize;

use crate::process::VERSION;
use config::ConfigLine;

mod config;

/// The version of all lines.
const FORMAT: u32 = 1;

/// What is said of the recording.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
struct Head {
    /// The version of what follows.
    format: u32,
    /// FerroLB's.
    version: String,
    /// How many entries came before the first line and are forgotten.
    lost: u64,
}

/// One thing that has happened.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
struct Line {
    /// When, in nanoseconds since the node was started.
    monotonic_nanos: u64,
    /// The same on the wall's clock as it goes now: RFC 3339.
    wall: String,
    /// Namespace and name of the `BGPPeer`, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// What.
    #[serde(flatten)]
    what: Happened,
}

/// What has happened. `connection` is what the peer's state machine calls it, `octets` are hexadecimal
/// digits.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Happened {
    /// The state machine was made, with this seed in hexadecimal digits.
    Created { seed: String, config: Box<ConfigLine> },
    /// What the peer is to know.
    Routes(RoutesLine),
    /// These are all routes.
    Complete,
    /// Whether the routes are about to go away.
    GracefulShutdown { is_shutting_down: bool },
    /// What the operator wants from now on.
    Configured { config: Box<ConfigLine> },
    /// What BFD says of the path: `down`, `up` or `adminDown`.
    Path { state: String },
    /// It was started.
    Started { has_restarted: bool },
    /// It was stopped.
    Stopped { reason: String, text: Option<String> },
    /// A connection is open.
    Connected { connection: String, direction: String, local: String, remote: String },
    /// A connection was not opened.
    ConnectFailed { connection: String },
    /// A connection is gone.
    Closed { connection: String },
    /// A connection is gone, because TCP has given it up.
    GivenUp { connection: String },
    /// It goes on with the session of the process before it.
    Resumed { connection: String, local: String, remote: String, session: String },
    /// Octets have come.
    Received { connection: String, octets: String },
    /// All that was sent is written.
    Written { connection: String },
    /// Something was due.
    TimedOut,
    /// It has a connection opened.
    Connects { connection: String },
    /// It has octets sent.
    Sends { connection: String, octets: String },
    /// It has a connection closed.
    Closes { connection: String },
    /// It has a connection dropped.
    Aborts { connection: String },
    /// What has become of the session.
    Became { event: String, text: String },
    /// A BFD session came up or left it.
    Bfd { path: String, event: String, text: String },
    /// Something else that the speaker was told or has decided.
    Speaker { kind: String, text: String },
}

/// Routes that a peer is to know.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
struct RoutesLine {
    /// How many.
    count: usize,
    /// All of them; absent when others have taken their place since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<Vec<RouteLine>>,
}

/// Prefixes that have the same attributes.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
struct RouteLine {
    prefixes: Vec<String>,
    local_pref: Option<u32>,
    communities: Vec<String>,
    large_communities: Vec<String>,
    /// The weight, and whether it goes beyond the neighbouring AS.
    link_bandwidth: Option<(u32, bool)>,
}

/// The recording as it is `now`, in `octets` octets at most: the oldest lines are left out where they would
/// take more.
pub(super) fn lines(recording: &Recording, now: (Instant, Timestamp), octets: usize) -> String {
    let mut room = octets.saturating_sub(HEAD_MAX);
    let mut lines = Vec::new();
    for entry in recording.entries.iter().rev() {
        let line = json(&Line::of(entry, now));
        let Some(rest) = room.checked_sub(line.len()) else { break };
        room = rest;
        lines.push(line);
    }
    let left_out = u64::try_from(recording.entries.len() - lines.len()).unwrap_or(u64::MAX);
    let head = Head { format: FORMAT, version: VERSION.to_owned(), lost: recording.lost + left_out };
    lines.push(json(&head));
    lines.reverse();
    lines.concat()
}

/// Octets that are kept for the head.
const HEAD_MAX: usize = 256;

/// With what ends a line.
fn json(line: &impl Serialize) -> String {
    // Only maps with odd keys and failing writers cannot be written, and there are none.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

impl Line {
    fn of(entry: &Entry, (now, timestamp): (Instant, Timestamp)) -> Self {
        let nanos = entry.at.since_origin().as_nanos();
        let wall = timestamp.checked_sub(now.saturating_since(entry.at)).unwrap_or(timestamp);
        let (peer, what) = match &entry.what {
            What::Bgp { peer, step } => (Some(peer.to_string()), Happened::of_bgp(step)),
            What::Bfd(event) => (None, Happened::of_bfd(event)),
            What::Speaker { kind, text } => {
                (None, Happened::Speaker { kind: (*kind).to_owned(), text: text.to_string() })
            }
        };
        Self { monotonic_nanos: u64::try_from(nanos).unwrap_or(u64::MAX), wall: wall.to_string(), peer, what }
    }
}

impl Happened {
    fn of_bgp(step: &BgpStep) -> Self {
        match step {
            BgpStep::Created { seed, config } => {
                Self::Created { seed: format!("{seed:016x}"), config: Box::new(ConfigLine::of(config)) }
            }
            BgpStep::Routes(routes) => Self::Routes(RoutesLine::of(routes)),
            BgpStep::Complete => Self::Complete,
            BgpStep::GracefulShutdown(is_shutting_down) => {
                Self::GracefulShutdown { is_shutting_down: *is_shutting_down }
            }
            BgpStep::Configured(config) => Self::Configured { config: Box::new(ConfigLine::of(config)) },
            BgpStep::Bfd(state) => Self::Path { state: path_state(*state).to_owned() },
            BgpStep::Started { has_restarted } => Self::Started { has_restarted: *has_restarted },
            BgpStep::Stopped(stop) => {
                let text = match stop {
                    Stop::Shutdown(text) => text.as_deref().map(ToOwned::to_owned),
                    Stop::Restart | Stop::PeerRemoved | Stop::Reset => None,
                };
                Self::Stopped { reason: stop.reason().to_owned(), text }
            }
            BgpStep::Connected { id, direction, local, remote } => Self::Connected {
                connection: id.to_string(),
                direction: direction.to_string(),
                local: local.to_string(),
                remote: remote.to_string(),
            },
            BgpStep::ConnectFailed(id) => Self::ConnectFailed { connection: id.to_string() },
            BgpStep::Closed(id) => Self::Closed { connection: id.to_string() },
            BgpStep::GivenUp(id) => Self::GivenUp { connection: id.to_string() },
            BgpStep::Resumed { id, session, local, remote } => Self::Resumed {
                connection: id.to_string(),
                local: local.to_string(),
                remote: remote.to_string(),
                session: session.to_string(),
            },
            BgpStep::Received { id, octets } => {
                Self::Received { connection: id.to_string(), octets: hexadecimal(octets) }
            }
            BgpStep::Written(id) => Self::Written { connection: id.to_string() },
            BgpStep::TimedOut => Self::TimedOut,
            BgpStep::Did(transmit) => Self::of_transmit(transmit),
            BgpStep::Became(event) => {
                Self::Became { event: name(event).to_owned(), text: format!("{event:?}") }
            }
        }
    }

    fn of_transmit(transmit: &Transmit) -> Self {
        match transmit {
            Transmit::Connect { id } => Self::Connects { connection: id.to_string() },
            Transmit::Send { id, octets } => {
                Self::Sends { connection: id.to_string(), octets: hexadecimal(octets) }
            }
            Transmit::Close { id } => Self::Closes { connection: id.to_string() },
            Transmit::Abort { id } => Self::Aborts { connection: id.to_string() },
        }
    }

    fn of_bfd(BfdEvent { path, change }: &BfdEvent) -> Self {
        let event = match change {
            ferrolb_bfd::Event::Up { .. } => "up",
            ferrolb_bfd::Event::Down { .. } => "down",
        };
        Self::Bfd { path: format!("{path:?}"), event: event.to_owned(), text: format!("{change:?}") }
    }
}

impl RoutesLine {
    fn of(routes: &WantedRoutes) -> Self {
        Self { count: routes.count, table: routes.table().map(|table| grouped(&table)) }
    }
}

fn grouped(table: &BTreeMap<IpPrefix, Arc<Route>>) -> Vec<RouteLine> {
    let mut prefixes: BTreeMap<&Route, Vec<String>> = BTreeMap::new();
    for (prefix, route) in table {
        prefixes.entry(route).or_default().push(prefix.to_string());
    }
    let line = |(route, prefixes): (&Route, Vec<String>)| RouteLine {
        prefixes,
        local_pref: route.local_pref,
        communities: route.communities.iter().map(ToString::to_string).collect(),
        large_communities: route.large_communities.iter().map(ToString::to_string).collect(),
        link_bandwidth: route
            .link_bandwidth
            .map(|share| (share.weight.get(), share.transitivity == Transitivity::Transitive)),
    };
    prefixes.into_iter().map(line).collect()
}

const fn path_state(state: BfdState) -> &'static str {
    match state {
        BfdState::Down => "down",
        BfdState::Up => "up",
        BfdState::AdminDown => "adminDown",
    }
}

const fn name(event: &Event) -> &'static str {
    match event {
        Event::Established { .. } => "established",
        Event::Down { .. } => "down",
        Event::Failed { .. } => "failed",
        Event::Refused { .. } => "refused",
        Event::EndOfRib { .. } => "endOfRib",
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests;
