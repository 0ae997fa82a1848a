//! Messages between the routes, and what is told once more.

use super::*;

const V4: Family = Family::Ipv4Unicast;
const V6: Family = Family::Ipv6Unicast;

#[test]
fn end_of_rib_ends_the_first_announcement_of_each_family() {
    let mut line = Line::established(external());
    line.rib.set_wanted(&wanted([("10.0.0.1/32", 1), ("10.0.0.2/32", 2), ("2001:db8:1::/64", 1)]));
    assert_eq!(
        line.drain(),
        [
            "announce 10.0.0.1/32",
            "announce 10.0.0.2/32",
            "end of ipv4_unicast",
            "announce 2001:db8:1::/64",
            "end of ipv6_unicast",
        ]
    );
    line.rib.announce(prefix("10.0.0.3/32"), &route(1));
    assert_eq!(line.drain(), ["announce 10.0.0.3/32"], "once in a session");
}

#[test]
fn end_of_rib_is_sent_without_routes_and_without_an_address_for_the_next_hop() {
    assert_eq!(
        Line::established(Encoding { next_hop_ipv6: None, ..external() }).drain(),
        ["end of ipv4_unicast", "end of ipv6_unicast"]
    );
}

#[test]
fn end_of_rib_is_of_negotiated_families_alone() {
    let only = Encoding { families: Families::IPV6, ..external() };
    assert_eq!(Line::established(only).drain(), ["end of ipv6_unicast"]);
}

#[test]
fn end_of_rib_waits_until_all_is_wanted_that_there_is() {
    let mut line = Line::default();
    line.establish(external());
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    assert_eq!(line.drain(), ["announce 10.0.0.1/32"]);
    line.rib.complete();
    line.rib.announce(prefix("10.0.0.2/32"), &route(1));
    assert_eq!(line.drain(), ["announce 10.0.0.2/32", "end of ipv4_unicast", "end of ipv6_unicast"]);
    line.establish(external());
    assert_eq!(line.drain().len(), 3, "it stays complete");
}

#[test]
fn a_route_refresh_sends_all_routes_of_the_family_again() {
    let mut line = busy_line();
    line.rib.announce(prefix("2001:db8:1::/64"), &route(1));
    line.drain();
    line.rib.refresh(V6, false);
    assert_eq!(line.drain(), ["announce 2001:db8:1::/64"]);
    line.rib.refresh(V4, false);
    assert_eq!(line.drain(), ["announce 10.0.0.1/32 10.0.0.2/32 10.0.0.3/32"]);
}

#[test]
fn a_route_refresh_that_is_asked_for_again_and_again_costs_the_table_once() {
    let mut line = Line::established(external());
    let wanted: BTreeMap<_, _> = (0..20_000_u32)
        .map(|number| IpPrefix::containing(core::net::Ipv4Addr::from_bits(number).into(), 32).unwrap())
        .map(|prefix| (prefix, route(1)))
        .collect();
    line.rib.set_wanted(&wanted);
    line.drain();
    let begun = std::time::Instant::now();
    for _asked in 0..1_000_000 {
        line.rib.refresh(V4, false);
    }
    // To look at each prefix every time would take minutes.
    assert!(begun.elapsed() < core::time::Duration::from_secs(10));
    let told: usize = line.drain().iter().map(|told| told.split(' ').count() - 1).sum();
    assert_eq!(told, 20_000);
    line.rib.refresh(V4, false);
    assert_eq!(line.take().map(|told| told.starts_with("announce ")), Some(true), "and is answered anew");
}

#[test]
fn an_enhanced_route_refresh_stands_between_marks() {
    let mut line = busy_line();
    line.rib.refresh(V4, true);
    line.rib.refresh(V6, true);
    assert_eq!(
        line.drain(),
        [
            "begin refresh of ipv4_unicast",
            "announce 10.0.0.1/32 10.0.0.2/32 10.0.0.3/32",
            "end refresh of ipv4_unicast",
            "begin refresh of ipv6_unicast",
            "end refresh of ipv6_unicast",
        ]
    );
}

#[test]
fn what_changes_in_a_refresh_is_sent_as_it_has_become() {
    let mut line = busy_line();
    line.rib.refresh(V4, true);
    assert_eq!(line.take().as_deref(), Some("begin refresh of ipv4_unicast"));
    line.rib.withdraw(prefix("10.0.0.1/32"));
    line.rib.announce(prefix("10.0.0.2/32"), &route(2));
    line.rib.announce(prefix("10.0.0.2/32"), &route(1));
    line.rib.announce(prefix("10.0.0.3/32"), &route(3));
    assert_eq!(
        line.drain(),
        [
            "withdraw 10.0.0.1/32",
            "announce 10.0.0.2/32",
            "announce 10.0.0.3/32",
            "end refresh of ipv4_unicast",
        ]
    );
}

/// RFC 7313 §4.
#[test]
fn an_enhanced_refresh_waits_for_end_of_rib() {
    let mut line = Line::default();
    line.establish(external());
    line.rib.announce(prefix("10.0.0.1/32"), &route(1));
    assert_eq!(line.drain(), ["announce 10.0.0.1/32"]);
    line.rib.refresh(V4, true);
    assert_eq!(line.take(), None);
    line.rib.complete();
    assert_eq!(
        line.drain(),
        [
            "end of ipv4_unicast",
            "begin refresh of ipv4_unicast",
            "announce 10.0.0.1/32",
            "end refresh of ipv4_unicast",
            "end of ipv6_unicast",
        ]
    );
}

#[test]
fn a_peer_that_asks_again_in_a_refresh_is_answered_after_it() {
    let mut line = busy_line();
    line.rib.refresh(V4, true);
    line.rib.refresh(V4, true);
    assert_eq!(line.take().as_deref(), Some("begin refresh of ipv4_unicast"));
    line.rib.refresh(V4, true);
    let refresh = ["announce 10.0.0.1/32 10.0.0.2/32 10.0.0.3/32", "end refresh of ipv4_unicast"];
    assert_eq!(line.take().as_deref(), Some(refresh[0]));
    line.rib.refresh(V4, true);
    assert_eq!(line.drain(), [refresh[1], "begin refresh of ipv4_unicast", refresh[0], refresh[1]]);
}

/// RFC 2918 §4.
#[test]
fn a_refresh_of_what_the_session_does_not_carry_is_ignored() {
    let mut line = Line::established(Encoding { families: Families::IPV4, ..external() });
    line.rib.announce(prefix("2001:db8:1::/64"), &route(1));
    line.drain();
    line.rib.refresh(V6, true);
    line.rib.refresh(V6, false);
    assert_eq!(line.take(), None);
    line.lose();
    line.rib.refresh(V4, true);
    assert_eq!(line.take(), None);
    line.establish(external());
    assert_eq!(line.take().as_deref(), Some("end of ipv4_unicast"), "what a session asks ends with it");
}

/// RFC 8326 §4.2.
#[test]
fn graceful_shutdown_announces_all_again_with_its_community() {
    let mut line = busy_line();
    let all = ["announce 10.0.0.1/32 10.0.0.2/32 10.0.0.3/32"];
    line.rib.set_graceful_shutdown(true);
    assert_eq!(line.drain(), all);
    let one = line.table[&prefix("10.0.0.1/32")].clone();
    assert_eq!(one.communities, [Community(1), Community::GRACEFUL_SHUTDOWN]);
    assert_eq!(one.local_pref, None, "an external peer has none");
    line.rib.set_graceful_shutdown(true);
    assert_eq!(line.take(), None);
    line.rib.set_graceful_shutdown(false);
    assert_eq!(line.drain(), all);
    assert_eq!(line.table[&prefix("10.0.0.1/32")].communities, [Community(1)]);
}

#[test]
fn graceful_shutdown_lowers_the_local_preference_of_internal_peers() {
    let mut line = Line::established(Encoding { is_internal: true, ..external() });
    line.rib.announce(prefix("10.0.0.1/32"), &Arc::new(Route { local_pref: Some(300), ..Route::default() }));
    line.drain();
    assert_eq!(line.table[&prefix("10.0.0.1/32")].local_pref, Some(300));
    line.rib.set_graceful_shutdown(true);
    line.drain();
    let told = &line.table[&prefix("10.0.0.1/32")];
    assert_eq!((told.local_pref, &*told.communities), (Some(0), &[Community::GRACEFUL_SHUTDOWN][..]));
}

#[test]
fn graceful_shutdown_holds_for_sessions_to_come() {
    let mut line = busy_line();
    line.lose();
    line.rib.set_graceful_shutdown(true);
    line.establish(external());
    line.drain();
    assert!(line.table.values().all(|told| told.communities.contains(&Community::GRACEFUL_SHUTDOWN)));
    assert_eq!(line.table.len(), 3);
}
