//! Peers: a list there, numbered objects here.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ferrolb_api::bgp_peer::BgpPeerSpec;
use ferrolb_api::{BgpPeer, parse_selector};
use ferrolb_cluster::parse::duration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::super::legacy::{self, Peer};
use super::super::names::object_name;
use super::super::report::{Item, Problems};
use super::{Migration, READABLE_PASSWORD};

/// Converts the peers; `profiles` are the names of the `BFDProfile` objects.
pub(super) fn convert(
    peers: &[Peer],
    profiles: &[String],
    migration: &mut Migration,
    problems: &mut Problems,
) {
    for (index, peer) in peers.iter().enumerate() {
        let place = format!("peers[{index}]");
        let name = format!("peer{}", index + 1);
        let mut item = Item::new(&place, Some(&peer.peer_address));
        item.became("BGPPeer", &name);
        check(&place, peer, problems);
        let spec = BgpPeerSpec {
            bfd_profile: bfd_profile(&place, &peer.bfd_profile, profiles, problems),
            node_selectors: node_selectors(&place, &peer.node_selectors, problems),
            ..spec(peer, times(&place, peer, &mut item, problems))
        };
        migration.resources.peers.push(BgpPeer::new(&name, spec));
        if !peer.password.is_empty() {
            item.note(READABLE_PASSWORD);
        }
        migration.report.items.push(item);
    }
}

/// How long silence may last, and the pause between keepalives where it was written.
struct Times {
    hold: Duration,
    keepalive: Option<Duration>,
}

fn spec(peer: &Peer, times: Times) -> BgpPeerSpec {
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    BgpPeerSpec {
        my_asn: peer.my_asn,
        peer_asn: Some(peer.peer_asn),
        peer_address: text(&peer.peer_address),
        source_address: text(&peer.source_address),
        peer_port: if peer.peer_port == 0 { BGP_PORT } else { peer.peer_port },
        hold_time: Some(seconds(times.hold)),
        keepalive_time: times.keepalive.map(seconds),
        router_id: text(&peer.router_id),
        password: text(&peer.password),
        ebgp_multi_hop: peer.ebgp_multihop.then_some(true),
        ..BgpPeerSpec::default()
    }
}

/// The rules of `BGPPeer` that one field, or two, can break.
fn check(place: &str, peer: &Peer, problems: &mut Problems) {
    for (key, asn) in [("my-asn", peer.my_asn), ("peer-asn", peer.peer_asn)] {
        if asn == 0 {
            problems.at(format_args!("{place}.{key}"), "missing; write an AS number above 0");
        }
    }
    if peer.peer_port > PORT_MAX {
        let message = format!("expected at most {PORT_MAX}, found {}", peer.peer_port);
        problems.at(format_args!("{place}.peer-port"), message);
    }
    let not_an_address = |text: &str| format!("{text:?} is not an IP address");
    if peer.peer_address.parse::<IpAddr>().is_err() {
        problems.at(format_args!("{place}.peer-address"), not_an_address(&peer.peer_address));
    }
    if !peer.source_address.is_empty() && peer.source_address.parse::<IpAddr>().is_err() {
        problems.at(format_args!("{place}.source-address"), not_an_address(&peer.source_address));
    }
    if !peer.router_id.is_empty() && peer.router_id.parse::<Ipv4Addr>().is_err() {
        let message = format!("{:?} is not written like an IPv4 address", peer.router_id);
        problems.at(format_args!("{place}.router-id"), message);
    }
    if peer.ebgp_multihop && peer.my_asn == peer.peer_asn {
        problems.at(
            format_args!("{place}.ebgp-multihop"),
            "the peer has our AS number, so it is internal; remove it",
        );
    }
}

/// Both times in whole seconds. What is wrong with them is told.
fn times(place: &str, peer: &Peer, item: &mut Item, problems: &mut Problems) -> Times {
    let hold_time = if peer.hold_time.is_empty() {
        item.note("hold-time is not written: the object says 90s, which is what MetalLB took");
        Some(HOLD_TIME_DEFAULT)
    } else {
        whole_seconds((place, "hold-time"), &peer.hold_time, item, problems)
    };
    let hold = hold_time.unwrap_or_default();
    if hold > Duration::ZERO && hold < HOLD_TIME_MIN {
        problems.at(format_args!("{place}.hold-time"), "must be 0 or at least 3s (RFC 4271 §4.2)");
    }
    let keepalive = Some(&peer.keepalive_time)
        .filter(|text| !text.is_empty())
        .and_then(|text| whole_seconds((place, "keepalive-time"), text, item, problems));
    if hold_time.zip(keepalive).is_some_and(|(hold, keepalive)| keepalive > hold) {
        let message = "longer than hold-time; write a third of that, or remove it";
        problems.at(format_args!("{place}.keepalive-time"), message);
    }
    Times { hold, keepalive }
}

fn whole_seconds(
    (place, key): (&str, &str),
    text: &str,
    item: &mut Item,
    problems: &mut Problems,
) -> Option<Duration> {
    let parsed =
        duration::parse(text).ok_or_else(|| format!("{text:?} is not a duration; write 90s or 1m30s"));
    let time = problems.take(format_args!("{place}.{key}"), parsed)?;
    let whole = Duration::from_secs(time.as_secs());
    if whole != time {
        item.note(format!("{key} {text} is cut to {}s, as MetalLB did", whole.as_secs()));
    }
    Some(whole)
}

/// The reference follows the profile's name.
fn bfd_profile(place: &str, written: &str, profiles: &[String], problems: &mut Problems) -> Option<String> {
    if written.is_empty() {
        return None;
    }
    let name = object_name(written).filter(|name| profiles.contains(name));
    if name.is_none() {
        let message = format!("{written:?} is no name of bfd-profiles");
        problems.at(format_args!("{place}.bfd-profile"), message);
    }
    name
}

fn node_selectors(
    place: &str,
    written: &[legacy::NodeSelector],
    problems: &mut Problems,
) -> Vec<LabelSelector> {
    let selectors: Vec<LabelSelector> = written.iter().map(node_selector).collect();
    for (index, selector) in selectors.iter().enumerate() {
        problems.take(format_args!("{place}.node-selectors[{index}]"), parse_selector(selector));
    }
    selectors
}

fn node_selector(written: &legacy::NodeSelector) -> LabelSelector {
    let requirement = |expression: &legacy::MatchExpression| LabelSelectorRequirement {
        key: expression.key.clone(),
        operator: expression.operator.clone(),
        values: Some(expression.values.clone()).filter(|values| !values.is_empty()),
    };
    let expressions: Vec<_> = written.match_expressions.iter().map(requirement).collect();
    LabelSelector {
        match_labels: Some(written.match_labels.clone()).filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions).filter(|expressions| !expressions.is_empty()),
    }
}

/// Where BGP listens, RFC 4271 §4; 0 means it too.
const BGP_PORT: u16 = 179;
/// The highest port a `BGPPeer` takes.
const PORT_MAX: u16 = 16_384;
/// What MetalLB took where nothing was written.
const HOLD_TIME_DEFAULT: Duration = Duration::from_secs(90);
/// RFC 4271 §4.2.
const HOLD_TIME_MIN: Duration = Duration::from_secs(3);
