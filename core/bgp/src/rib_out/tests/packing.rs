//! How much goes into a message, and how much memory a prefix takes.

use super::*;
use core::net::Ipv4Addr;

const PREFIXES: u32 = 10_000;

fn many(family: Family, length: u8) -> BTreeMap<IpPrefix, Arc<Route>> {
    let route = Arc::new(Route::default());
    let addresses = (0..PREFIXES).map(|index| match family {
        Family::Ipv4Unicast => Ipv4Addr::from_bits(0x0a00_0000 + index).into(),
        Family::Ipv6Unicast => Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(index)).into(),
    });
    addresses.map(|address| (IpPrefix::containing(address, length).unwrap(), Arc::clone(&route))).collect()
}

#[test]
fn ten_thousand_ipv4_addresses_take_thirteen_updates() {
    let mut line = idle_line();
    line.rib.set_wanted(&many(Family::Ipv4Unicast, 32));
    assert_eq!(line.drain().len(), 13);
    assert_eq!(line.table.len(), 10_000);
}

#[test]
fn ten_thousand_ipv6_addresses_take_forty_three_updates() {
    let mut line = idle_line();
    line.rib.set_wanted(&many(Family::Ipv6Unicast, 128));
    assert_eq!(line.drain().len(), 43);
    assert_eq!(line.table.len(), 10_000);
}

#[test]
fn ten_thousand_withdrawals_are_several_messages() {
    for (family, length, messages) in [(Family::Ipv4Unicast, 32, 13), (Family::Ipv6Unicast, 128, 42)] {
        let mut line = idle_line();
        line.rib.set_wanted(&many(family, length));
        line.drain();
        line.rib.set_wanted(&BTreeMap::new());
        assert_eq!(line.drain().len(), messages);
        assert_eq!(line.table.len(), 0);
    }
}

#[test]
fn ten_thousand_prefixes_take_280_kilobytes_and_their_route_is_kept_once() {
    let mut rib = RibOut::new();
    let wanted = many(Family::Ipv6Unicast, 128);
    rib.set_wanted(&wanted);
    assert_eq!(rib.tables.ipv6.octets(), 280_000);
    assert_eq!(rib.routes.len(), 1);
    let mut one_by_one = RibOut::new();
    for (prefix, route) in &wanted {
        one_by_one.announce(*prefix, &Arc::new((**route).clone()));
    }
    assert!(one_by_one.tables.ipv6.octets() <= 560_000);
    assert_eq!(one_by_one.routes.len(), 1);
}

#[test]
fn routes_that_nobody_has_any_more_are_forgotten() {
    let mut line = idle_line();
    for community in 0..100 {
        line.rib.announce(prefix("10.0.0.1/32"), &route(community));
        line.drain();
        assert_eq!(line.rib.routes.len(), 1);
    }
    line.rib.announce(prefix("10.0.0.1/32"), &route(100));
    assert_eq!(line.rib.routes.len(), 2, "what is wanted, and what the peer knows");
    line.rib.withdraw(prefix("10.0.0.1/32"));
    assert_eq!(line.rib.routes.len(), 1);
    line.drain();
    assert_eq!(line.rib.routes.len(), 0);
}

fn with_communities(count: u32) -> Arc<Route> {
    Arc::new(Route { communities: (0..count).map(Community).collect(), ..Route::default() })
}

fn with_large_communities(count: u32) -> Arc<Route> {
    let large = |local_data_2| LargeCommunity { global_administrator: 1, local_data_1: 2, local_data_2 };
    Arc::new(Route { large_communities: (0..count).map(large).collect(), ..Route::default() })
}

#[test]
fn the_largest_route_fits_with_all_that_a_session_can_add() {
    let encoding = Encoding {
        four_octet_as: false,
        local_asn: Asn(4_200_000_000),
        local_address: "fe80::1".parse().unwrap(),
        extended_next_hop: true,
        ..external()
    };
    let link_bandwidth =
        Some(LinkBandwidth { weight: NonZeroU32::MIN, transitivity: Transitivity::Transitive });
    for is_internal in [false, true] {
        for route in [with_communities(960), with_large_communities(320)] {
            let mut line = Line::established(Encoding { is_internal, ..encoding });
            line.rib.set_graceful_shutdown(true);
            let route = Arc::new(Route { link_bandwidth, ..(*route).clone() });
            assert!(
                route.communities.len() * 4 + route.large_communities.len() * 12 == COMMUNITIES_OCTETS_MAX
            );
            line.rib.announce(prefix("2001:db8::1/128"), &route);
            line.rib.announce(prefix("10.0.0.1/32"), &route);
            line.drain();
            assert_eq!(line.table.len(), 2);
        }
    }
}

/// RFC 4271 §9.2.
#[test]
fn a_route_with_too_many_communities_is_told_to_nobody_and_holds_nobody_up() {
    let mut line = busy_line();
    line.rib.announce(prefix("10.0.0.1/32"), &with_communities(961));
    line.rib.announce(prefix("10.0.0.4/32"), &with_large_communities(321));
    line.rib.announce(prefix("10.0.0.5/32"), &route(1));
    assert_eq!(line.drain(), ["withdraw 10.0.0.1/32", "announce 10.0.0.5/32"]);
    let Statistics { wanted, advertised, too_large, .. } = line.rib.statistics(Family::Ipv4Unicast);
    assert_eq!((wanted, advertised, too_large), (5, 3, 2));
    line.rib.announce(prefix("10.0.0.1/32"), &with_communities(960));
    line.rib.withdraw(prefix("10.0.0.4/32"));
    assert_eq!(line.drain(), ["announce 10.0.0.1/32"]);
    assert_eq!(line.rib.statistics(Family::Ipv4Unicast).too_large, 0);
}

#[test]
fn prefixes_are_in_their_order_however_they_came() {
    let mut line = idle_line();
    for last in [7, 3, 9, 1] {
        line.rib.announce(prefix(&format!("10.0.0.{last}/32")), &route(1));
    }
    line.rib.announce(prefix("10.0.0.0/8"), &route(1));
    assert_eq!(line.drain(), ["announce 10.0.0.0/8 10.0.0.1/32 10.0.0.3/32 10.0.0.7/32 10.0.0.9/32"]);
    assert!(line.rib.advertised(Family::Ipv4Unicast).is_sorted_by_key(|(prefix, _)| prefix));
}
