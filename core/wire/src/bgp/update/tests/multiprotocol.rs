//! Routes in `MP_REACH_NLRI` and `MP_UNREACH_NLRI`: RFC 4760, RFC 2545, RFC 8950.

use super::*;

const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// 2001:db8:5::/48.
const ROUTE6: &[u8] = &[48, 0x20, 0x01, 0x0d, 0xb8, 0, 5];

/// `MP_REACH_NLRI` of this AFI, unicast.
fn reach(afi: u8, next_hop: &[u8], routes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(next_hop.len()).unwrap();
    attribute(0x80, 14, &[&[0, afi, 1, length], next_hop, &[0], routes].concat())
}

/// `MP_UNREACH_NLRI` of this AFI, unicast.
fn unreach(afi: u8, routes: &[u8]) -> Vec<u8> {
    attribute(0x80, 15, &[&[0, afi, 1], routes].concat())
}

#[test]
fn a_next_hop_is_shown_with_its_link_local_address() {
    assert_eq!(ipv6(GLOBAL, None).to_string(), "2001:db8::1");
    assert_eq!(ipv6(GLOBAL, Some(LINK_LOCAL)).to_string(), "2001:db8::1 (fe80::1)");
}

fn ipv6(global: Ipv6Addr, link_local: Option<Ipv6Addr>) -> NextHop {
    NextHop::Ipv6 { global, link_local }
}

#[test]
fn routes_in_the_attribute_need_no_next_hop_attribute() {
    let octets = body(&[], &[&reach(2, &GLOBAL.octets(), ROUTE6), ORIGIN, AS_PATH], &[]);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    assert_eq!(update.disposition(), Disposition::Accept);
    assert_eq!(texts(update.reachable()), ["2001:db8:5::/48"]);
    assert_eq!(update.next_hop(Family::Ipv6Unicast), Some(ipv6(GLOBAL, None)));
    assert_eq!(update.next_hop(Family::Ipv4Unicast), None);
}

#[test]
fn every_form_of_a_next_hop_that_routers_send_is_taken() {
    let both = [GLOBAL.octets(), LINK_LOCAL.octets()].concat();
    let unspecified = [Ipv6Addr::UNSPECIFIED.octets(), LINK_LOCAL.octets()].concat();
    let alone = LINK_LOCAL.octets();
    let cases = [
        (1, &[192, 0, 2, 1][..], NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 1))),
        (1, &both, ipv6(GLOBAL, Some(LINK_LOCAL))), // FRR
        (1, &unspecified, ipv6(Ipv6Addr::UNSPECIFIED, Some(LINK_LOCAL))), // BIRD
        (1, &alone, ipv6(LINK_LOCAL, None)),        // GoBGP
        (2, &both, ipv6(GLOBAL, Some(LINK_LOCAL))),
        (2, &unspecified, ipv6(Ipv6Addr::UNSPECIFIED, Some(LINK_LOCAL))),
        (2, &alone, ipv6(LINK_LOCAL, None)),
    ];
    for (afi, octets, next_hop) in cases {
        let family = if afi == 1 { Family::Ipv4Unicast } else { Family::Ipv6Unicast };
        let octets = body(&[], &[&reach(afi, octets, &[8, 10]), ORIGIN, AS_PATH], &[]);
        let update = Update::parse(&octets, &EXTERNAL).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        assert_eq!(update.next_hop(family), Some(next_hop));
        assert_eq!(update.reachable().count(), 1);
    }
}

#[test]
fn a_next_hop_of_another_length_resets_the_session() {
    for (afi, length) in [(1, 0), (1, 3), (1, 8), (1, 24), (2, 0), (2, 4), (2, 15), (2, 24), (2, 48)] {
        let attribute = reach(afi, &[1; 48][..length], &[8, 10]);
        let octets = body(&[], &[&attribute, ORIGIN, AS_PATH], &[]);
        let error = Update::parse(&octets, &EXTERNAL).unwrap_err();
        assert_eq!(told(&error), (3, 9, attribute), "AFI {afi}, {length} octets");
    }
}

#[test]
fn attributes_of_routes_that_cannot_be_read_reset_the_session() {
    let whole = reach(2, &GLOBAL.octets(), ROUTE6);
    let cases = [
        (attribute(0x80, 14, &[0, 2, 1, 0]), "four octets"),
        (attribute(0x80, 14, &[0, 2, 1, 64, 1, 2, 3]), "a next hop beyond the attribute"),
        (attribute(0x80, 14, &whole[3..3 + 4 + 16]), "no reserved octet"),
        (reach(2, &GLOBAL.octets(), &[129, 1]), "a prefix of 129 bits"),
        (reach(2, &GLOBAL.octets(), &[64, 1, 2, 3]), "a prefix cut short"),
        (reach(1, &[192, 0, 2, 1], &[33, 1, 2, 3, 4, 5]), "an IPv4 prefix of 33 bits"),
        (attribute(0xc0, 14, &whole[3..]), "transitive"),
        (attribute(0x40, 14, &whole[3..]), "well-known"),
        (attribute(0x80, 15, &[0, 2]), "withdrawn: two octets"),
        (attribute(0x80, 15, &[]), "withdrawn: nothing"),
        (unreach(2, &[129, 1]), "withdrawn: a prefix of 129 bits"),
        (unreach(2, &[64, 1, 2, 3]), "withdrawn: a prefix cut short"),
        (unreach(1, &[33, 1, 2, 3, 4, 5]), "withdrawn: an IPv4 prefix of 33 bits"),
        (attribute(0xc0, 15, &[0, 2, 1]), "withdrawn: transitive"),
    ];
    for (wrong, case) in cases {
        for octets in [
            body(&[], &[&wrong, ORIGIN, AS_PATH], &[]),
            body(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &wrong], ROUTE),
        ] {
            let error = Update::parse(&octets, &EXTERNAL).unwrap_err();
            assert_eq!(told(&error), (3, 9, wrong.clone()), "{case}");
        }
    }
}

#[test]
fn an_attribute_of_routes_that_is_there_twice_resets_the_session() {
    let reach = reach(2, &GLOBAL.octets(), ROUTE6);
    let unreach = unreach(2, ROUTE6);
    for twice in [&reach, &unreach] {
        let octets = body(&[], &[twice, ORIGIN, AS_PATH, twice], &[]);
        assert_eq!(told(&Update::parse(&octets, &EXTERNAL).unwrap_err()), (3, 1, Vec::new()));
    }
    let octets = body(&[], &[&reach, &unreach, ORIGIN, AS_PATH], &[]);
    assert!(Update::parse(&octets, &EXTERNAL).is_ok(), "one of each is no duplicate");
}

#[test]
fn both_forms_of_end_of_rib_of_ipv6_are_known() {
    let short = body(&[], &[&unreach(2, &[])], &[]);
    let long = body(&[], &[&[0x90, 15, 0, 3, 0, 2, 1]], &[]);
    assert_eq!((short.len() + 19, long.len() + 19), (29, 30));
    for octets in [short, long] {
        let update = Update::parse(&octets, &EXTERNAL).unwrap();
        assert_eq!(update.end_of_rib(), Some(Family::Ipv6Unicast));
        assert_eq!((update.withdrawn().next(), update.reachable().next()), (None, None));
    }
    let ipv4 = body(&[], &[&unreach(1, &[])], &[]);
    assert_eq!(Update::parse(&ipv4, &EXTERNAL).unwrap().end_of_rib(), Some(Family::Ipv4Unicast));
}

#[test]
fn routes_of_the_body_and_of_attributes_may_come_in_one_message() {
    let octets = body(
        &[8, 10],
        &[ORIGIN, AS_PATH, NEXT_HOP, &reach(2, &GLOBAL.octets(), ROUTE6), &unreach(2, &[0])],
        ROUTE,
    );
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    assert_eq!(texts(update.withdrawn()), ["10.0.0.0/8", "::/0"]);
    assert_eq!(texts(update.reachable()), ["198.51.100.0/24", "2001:db8:5::/48"]);
    assert_eq!(update.next_hop(Family::Ipv4Unicast).unwrap().to_string(), "192.0.2.1");
    assert_eq!(update.next_hop(Family::Ipv6Unicast), Some(ipv6(GLOBAL, None)));
}

#[test]
fn a_wrong_attribute_withdraws_the_routes_of_both() {
    let octets = body(&[], &[AS_PATH, NEXT_HOP, &reach(2, &GLOBAL.octets(), ROUTE6)], ROUTE);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    assert_eq!(texts(update.withdrawn()), ["198.51.100.0/24", "2001:db8:5::/48"]);
    assert_eq!(update.reachable().next(), None);
}

#[test]
fn a_wrong_attribute_withdraws_routes_that_are_in_the_attribute_alone() {
    let with = |routes: &[u8]| {
        let octets = body(&[], &[&reach(2, &GLOBAL.octets(), routes), &[0x40, 1, 1, 9], AS_PATH], &[]);
        Update::parse(&octets, &EXTERNAL).map(|update| texts(update.withdrawn()))
    };
    assert_eq!(with(ROUTE6).unwrap(), ["2001:db8:5::/48"]);
    assert_eq!(told(&with(&[]).unwrap_err()).1, 6, "an attribute without routes");
}

#[test]
fn routes_in_attributes_of_a_family_that_is_not_in_use_are_not_looked_at() {
    let vpn = [0, 1, 128, 2, 9, 9, 0, 255, 255];
    let wrong = [0, 2, 1, 3, 9, 9, 9, 0, 255, 255];
    for value in [&vpn[..], &wrong] {
        let octets = body(
            &[],
            &[ORIGIN, AS_PATH, &attribute(0x80, 14, value), &attribute(0x80, 15, &[0, 25, 70, 255])],
            &[],
        );
        let update = Update::parse(&octets, &Decoding { families: Families::IPV4, ..EXTERNAL }).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        assert_eq!((update.withdrawn().next(), update.reachable().next()), (None, None));
        assert_eq!(update.next_hop(Family::Ipv6Unicast), None);
    }
    // There are routes, so that a wrong attribute does not leave open which.
    let octets = body(&[], &[&attribute(0x80, 14, &vpn), &[0x40, 1, 1, 9], AS_PATH], &[]);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    assert_ne!(update.disposition(), Disposition::Accept);
    let none = body(&[], &[&attribute(0x80, 14, &[0, 1, 128, 2, 9, 9, 0]), &[0x40, 1, 1, 9], AS_PATH], &[]);
    assert!(Update::parse(&none, &EXTERNAL).is_err(), "no routes of another family");
    let short = body(&[], &[&attribute(0x80, 14, &[0, 1, 128, 0]), ORIGIN, AS_PATH], &[]);
    assert!(Update::parse(&short, &EXTERNAL).is_err(), "four octets of another family");
    let shortest = body(&[], &[&attribute(0x80, 14, &[0, 1, 128, 0, 0]), ORIGIN, AS_PATH], &[]);
    assert!(Update::parse(&shortest, &EXTERNAL).is_ok(), "five octets of another family");
    let empty = Update::parse(&body(&[], &[&attribute(0x80, 15, &[0, 25, 70])], &[]), &EXTERNAL)
        .unwrap()
        .end_of_rib();
    assert_eq!(empty, None, "End-of-RIB of another family");
}

#[test]
fn the_next_hop_of_a_message_without_ipv4_routes_of_its_own_is_ignored() {
    let unspecified = attribute(0x40, 3, &[0; 4]);
    let octets = body(&[], &[&reach(2, &GLOBAL.octets(), ROUTE6), ORIGIN, AS_PATH, &unspecified], &[]);
    assert_eq!(Update::parse(&octets, &EXTERNAL).unwrap().disposition(), Disposition::Accept);
}
