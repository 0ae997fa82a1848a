use super::*;
use crate::route::{COMMUNITIES_OCTETS_MAX, LinkBandwidth, Transitivity};
use alloc::format;
use alloc::string::ToString;
use core::net::Ipv6Addr;
use core::num::NonZeroU32;
use ferrolb_vocab::{Asn, Community, LargeCommunity};
use ferrolb_wire::bgp::{ExtendedCommunity, Families, NextHop};
use peer::Line;

mod encoding;
mod markers;
mod packing;
mod peer;
mod property;
mod resuming;

const LOCAL_ASN: Asn = Asn(64_512);
const PEER_ASN: Asn = Asn(64_513);

/// Of a session with a router on the link, in another AS, for both families.
fn external() -> Encoding {
    Encoding {
        four_octet_as: true,
        is_internal: false,
        local_asn: LOCAL_ASN,
        local_address: "192.0.2.1".parse().unwrap(),
        next_hop_ipv4: None,
        next_hop_ipv6: Some("2001:db8::1".parse().unwrap()),
        families: Families::ALL,
        extended_next_hop: false,
    }
}

fn prefix(text: &str) -> IpPrefix {
    text.parse().unwrap()
}

/// A route that is known by its community.
fn route(community: u32) -> Arc<Route> {
    Arc::new(Route { communities: [Community(community)].into(), ..Route::default() })
}

fn wanted<'a>(routes: impl IntoIterator<Item = (&'a str, u32)>) -> BTreeMap<IpPrefix, Arc<Route>> {
    routes.into_iter().map(|(text, community)| (prefix(text), route(community))).collect()
}

/// A session in which End-of-RIB has been sent.
fn idle_line() -> Line {
    let mut line = Line::established(external());
    assert_eq!(line.drain(), ["end of ipv4_unicast", "end of ipv6_unicast"]);
    line
}

/// A session in which the peer knows 10.0.0.1 to 10.0.0.3.
fn busy_line() -> Line {
    let mut line = idle_line();
    line.rib.set_wanted(&wanted([("10.0.0.1/32", 1), ("10.0.0.2/32", 1), ("10.0.0.3/32", 1)]));
    assert_eq!(line.drain(), ["announce 10.0.0.1/32 10.0.0.2/32 10.0.0.3/32"]);
    line
}

#[test]
fn what_is_announced_and_withdrawn_before_it_is_sent_is_not_sent() {
    let mut line = idle_line();
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    line.rib.withdraw(prefix("10.0.0.1/32"));
    assert!(!line.rib.has_pending());
    assert_eq!(line.take(), None);
}

#[test]
fn what_changes_twice_before_it_is_sent_is_sent_once() {
    let mut line = idle_line();
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    line.rib.announce(prefix("10.0.0.1/32"), &route(2));
    assert_eq!(line.drain(), ["announce 10.0.0.1/32"]);
    assert_eq!(line.table[&prefix("10.0.0.1/32")].communities, [Community(2)]);
}

#[test]
fn what_changes_and_changes_back_is_not_sent() {
    let mut line = busy_line();
    line.rib.announce(prefix("10.0.0.1/32"), &route(2));
    line.rib.withdraw(prefix("10.0.0.2/32"));
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    line.rib.announce(prefix("10.0.0.2/32"), &route(1));
    assert_eq!(line.take(), None);
}

#[test]
fn only_what_was_announced_is_withdrawn() {
    let mut line = busy_line();
    line.rib.announce(prefix("10.0.0.4/32"), &route(1));
    for last in 2..6 {
        line.rib.withdraw(prefix(&format!("10.0.0.{last}/32")));
    }
    assert_eq!(line.drain(), ["withdraw 10.0.0.2/32 10.0.0.3/32"]);
}

#[test]
fn withdrawals_go_before_announcements_of_any_family() {
    let mut line = idle_line();
    line.rib.announce(prefix("2001:db8:1::1/128"), &route(1));
    line.drain();
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    line.rib.withdraw(prefix("2001:db8:1::1/128"));
    assert_eq!(line.drain(), ["withdraw 2001:db8:1::1/128", "announce 10.0.0.1/32"]);
}

#[test]
fn prefixes_share_an_update_if_they_share_attributes_and_family() {
    let mut line = idle_line();
    line.rib.set_wanted(&wanted([
        ("10.0.0.1/32", 1),
        ("10.0.0.2/32", 2),
        ("10.0.0.3/32", 1),
        ("2001:db8:1::/64", 1),
        ("2001:db8:2::/64", 1),
    ]));
    assert_eq!(
        line.drain(),
        [
            "announce 10.0.0.1/32 10.0.0.3/32",
            "announce 10.0.0.2/32",
            "announce 2001:db8:1::/64 2001:db8:2::/64",
        ]
    );
}

#[test]
fn of_a_new_set_only_the_difference_is_sent() {
    let mut line = busy_line();
    line.rib.set_wanted(&wanted([("10.0.0.1/32", 1), ("10.0.0.2/32", 1), ("10.0.0.3/32", 1)]));
    assert_eq!(line.take(), None);
    line.rib.set_wanted(&wanted([("10.0.0.0/32", 1), ("10.0.0.1/32", 1), ("10.0.0.3/32", 2)]));
    assert_eq!(line.drain(), ["withdraw 10.0.0.2/32", "announce 10.0.0.0/32", "announce 10.0.0.3/32"]);
}

#[test]
fn a_new_session_is_told_what_is_wanted_by_then() {
    let mut line = busy_line();
    line.lose();
    line.rib.withdraw(prefix("10.0.0.2/32"));
    line.rib.announce(prefix("10.0.0.3/32"), &route(2));
    assert!(!line.rib.has_pending(), "there is nobody to tell");
    assert_eq!(line.rib.statistics(Family::Ipv4Unicast).advertised, 0);
    line.establish(external());
    assert_eq!(
        line.drain(),
        ["announce 10.0.0.1/32", "announce 10.0.0.3/32", "end of ipv4_unicast", "end of ipv6_unicast"]
    );
}

#[test]
fn a_session_that_takes_the_place_of_another_begins_anew() {
    let mut line = busy_line();
    line.rib.withdraw(prefix("10.0.0.2/32"));
    line.establish(external());
    assert_eq!(line.take().as_deref(), Some("announce 10.0.0.1/32 10.0.0.3/32"));
}

#[test]
fn statistics_say_why_a_peer_is_told_nothing_of_a_family() {
    let mut rib = RibOut::new();
    rib.set_wanted(&wanted([("10.0.0.1/32", 1), ("2001:db8:1::1/128", 1)]));
    let mut withheld = |encoding: Option<Encoding>| {
        if let Some(encoding) = encoding {
            rib.established(&encoding);
        }
        Family::ALL.map(|family| {
            let Statistics { wanted, pending, withheld, .. } = rib.statistics(family);
            assert_eq!((wanted, pending), (1, usize::from(withheld.is_none())));
            withheld.map(Withheld::reason)
        })
    };
    assert_eq!(withheld(None), [Some("not_established"); 2]);
    assert_eq!(withheld(Some(external())), [None, None]);
    let only = Encoding { families: Families::IPV6, ..external() };
    assert_eq!(withheld(Some(only)), [Some("family_not_negotiated"), None]);
    let no_address = Encoding { next_hop_ipv6: None, ..external() };
    assert_eq!(withheld(Some(no_address)), [None, Some("no_next_hop")]);
}

#[test]
fn what_the_peer_knows_can_be_looked_at() {
    let mut line = busy_line();
    line.rib.withdraw(prefix("10.0.0.2/32"));
    line.rib.announce(prefix("10.0.0.4/32"), &route(4));
    let advertised: Vec<_> = line.rib.advertised(Family::Ipv4Unicast).collect();
    let one = route(1);
    assert_eq!(advertised, ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"].map(|text| (prefix(text), &*one)));
    assert_eq!(line.rib.advertised(Family::Ipv6Unicast).count(), 0);
    let attributes = line.rib.attributes(Family::Ipv4Unicast, &one).unwrap();
    assert_eq!(attributes.next_hop, NextHop::Ipv4("192.0.2.1".parse().unwrap()));
    line.lose();
    assert_eq!(line.rib.attributes(Family::Ipv4Unicast, &one), None);
}
