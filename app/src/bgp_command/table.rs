//! Answers as tables.

use ferrolb_api::bgp_session::BgpSessionStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::answer::{Advertised, AdvertisedTo, LastError, LinkBandwidth, Route, Session, Sessions};

/// Where there is nothing to say.
const NOTHING: &str = "-";

/// How each session is.
pub(super) fn sessions(answer: &Sessions) -> String {
    let titles = ["PEER", "ADDRESS", "ASN", "STATE", "SINCE", "BFD", "ADVERTISED", "RECEIVED", "LAST ERROR"];
    let row = |session: &Session| {
        let BgpSessionStatus { state, since, bfd, .. } = &session.status;
        let advertised = match session.pending {
            0 => session.advertised.to_string(),
            pending => format!("{} ({pending} pending)", session.advertised),
        };
        [
            session.peer.clone(),
            or_nothing(session.address.clone()),
            or_nothing(session.asn.map(|asn| asn.to_string())),
            or_nothing(state.clone()),
            or_nothing(since.as_ref().map(written)),
            or_nothing(bfd.as_ref().map(|bfd| bfd.state.clone())),
            advertised,
            session.received.reachable.to_string(),
            or_nothing(session.last_error.as_ref().map(told)),
        ]
    };
    table(titles, answer.sessions.iter().map(row)) + none(&answer.sessions, &answer.node).as_str()
}

/// The routes that each peer has been told.
pub(super) fn advertised(answer: &Advertised) -> String {
    let titles = ["PEER", "PREFIX", "NEXT HOP", "LOCAL PREF", "COMMUNITIES", "BANDWIDTH"];
    let row = |peer: &str, route: &Route| {
        let next_hop = match &route.next_hop_link_local {
            Some(link_local) => format!("{} {link_local}", route.next_hop),
            None => route.next_hop.clone(),
        };
        let communities: Vec<&str> =
            route.communities.iter().chain(&route.large_communities).map(String::as_str).collect();
        [
            peer.to_owned(),
            route.prefix.clone(),
            next_hop,
            or_nothing(route.local_pref.map(|local_pref| local_pref.to_string())),
            or_nothing((!communities.is_empty()).then(|| communities.join(","))),
            or_nothing(route.link_bandwidth.as_ref().map(bandwidth)),
        ]
    };
    let rows = answer.peers.iter().flat_map(|to| to.routes.iter().map(|route| row(&to.peer, route)));
    let mut text = table(titles, rows);
    for AdvertisedTo { peer, pending, .. } in answer.peers.iter().filter(|to| to.pending > 0) {
        let line = format!("{peer}: prefixes that are yet to be told, told anew or withdrawn: {pending}\n");
        text.push_str(&line);
    }
    text + none(&answer.peers, &answer.node).as_str()
}

/// What each peer has told.
pub(super) fn received(answer: &Sessions) -> String {
    let titles = [
        "PEER",
        "UPDATES",
        "REACHABLE",
        "WITHDRAWN",
        "TREATED AS WITHDRAW",
        "ATTRIBUTES DISCARDED",
        "LOOPED",
        "END OF RIB",
    ];
    let row = |session: &Session| {
        let received = &session.received;
        let families = (!received.end_of_rib.is_empty()).then(|| received.end_of_rib.join(","));
        [
            session.peer.clone(),
            received.updates.to_string(),
            received.reachable.to_string(),
            received.withdrawn.to_string(),
            received.treated_as_withdraw.to_string(),
            received.attributes_discarded.to_string(),
            received.looped.to_string(),
            or_nothing(families),
        ]
    };
    let text = table(titles, answer.sessions.iter().map(row));
    text + NOT_KEPT + none(&answer.sessions, &answer.node).as_str()
}

/// What an operator of routers would look for in vain.
const NOT_KEPT: &str = "What peers tell is checked and counted, and neither kept nor used.\n";

/// That there is nobody to show.
fn none<T>(peers: &[T], node: &str) -> String {
    if peers.is_empty() {
        return format!("node {node} has no BGPPeer; their nodeSelectors may select others\n");
    }
    String::new()
}

/// Columns as wide as what is in them, two blanks apart.
fn table<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn or_nothing(text: Option<String>) -> String {
    text.unwrap_or_else(|| NOTHING.to_owned())
}

fn written(time: &Time) -> String {
    time.0.to_string()
}

fn told(LastError { at, message, .. }: &LastError) -> String {
    match at {
        Some(at) => format!("{message} ({})", written(at)),
        None => message.clone(),
    }
}

/// In the unit in which FerroLB says one for each endpoint.
fn bandwidth(LinkBandwidth { octets_per_second, .. }: &LinkBandwidth) -> String {
    format!("{} Mbit/s", octets_per_second / OCTETS_PER_MEGABIT)
}

const OCTETS_PER_MEGABIT: f32 = 125_000.0;
