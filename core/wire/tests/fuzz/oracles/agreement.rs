//! What we say and other codecs read, and what they say and we read.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::{Asn, BgpId, Community, IpFamily, IpPrefix, LargeCommunity};
use ferrolb_wire::bgp::{
    Attributes, Capabilities, Decoding, EncodedAttributes, ExtendedCommunity, Families, Family, Frame,
    GracefulRestart, HEADER_LENGTH, NextHop, Open, Origin, Update, emit_end_of_rib, emit_reachable,
    emit_withdrawn, keepalive,
};
use netgauze_bgp_pkt::BgpMessage;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use rustbgpd_wire::Message;

use super::differences::Outcome;
use super::{Told, netgauze, rustbgpd};
use crate::inputs::{NOTIFICATIONS, ROUTE_REFRESHES, bodies, message, messages};
use crate::round_trip::said;

/// An external or internal peer.
fn decoding(four_octet_as: bool, is_internal: bool) -> Decoding {
    Decoding { four_octet_as, is_internal, local_asn: Asn(64_512), families: Families::ALL }
}

/// What each codec reads in an UPDATE. What it makes of that, we read as it was.
fn agreed(octets: &[u8], decoding: &Decoding) -> Told {
    let body = &octets[HEADER_LENGTH..];
    let told = Told::of(&Update::parse(body, decoding).unwrap());
    assert_eq!(rustbgpd::outcome(body, decoding), Outcome::Usable(Box::new(told.clone())));
    let mut all_said = Vec::from([rustbgpd::said_again(body, decoding)]);
    if decoding.four_octet_as {
        let message = netgauze::message(octets);
        let BgpMessage::Update(update) = &message else { panic!("{message:?} is no UPDATE") };
        let without_extended = Told { extended_communities: BTreeSet::new(), ..told.clone() };
        assert_eq!(netgauze::told(update), without_extended);
        all_said.push(netgauze::octets(&message));
    }
    for said in all_said {
        let (frame, length) = Frame::next(&said).unwrap().unwrap();
        assert_eq!(length, said.len());
        assert_eq!(Told::of(&Update::parse(frame.body, decoding).unwrap()), told);
    }
    told
}

/// What is to be read of routes that are told with these attributes.
fn expected(attributes: &Attributes, family: Family) -> Told {
    let next_hop = match (family, attributes.next_hop) {
        (Family::Ipv4Unicast, NextHop::Ipv4(address)) => (IpAddr::V4(address), None),
        (Family::Ipv6Unicast, NextHop::Ipv4(address)) => (IpAddr::V6(address.to_ipv6_mapped()), None),
        (_, NextHop::Ipv6 { global, link_local }) => (IpAddr::V6(global), link_local),
    };
    let large = |community: &LargeCommunity| {
        [community.global_administrator, community.local_data_1, community.local_data_2]
    };
    let extended = |community: &ExtendedCommunity| u64::from_be_bytes(community.0);
    Told {
        withdrawn: Vec::new(),
        reachable: Vec::new(),
        origin: Some(attributes.origin.code()),
        as_path: attributes.as_path.iter().map(|asn| asn.0).collect(),
        next_hops: [(family, next_hop)].into(),
        multi_exit_disc: attributes.multi_exit_disc,
        local_pref: attributes.local_pref,
        communities: attributes.communities.iter().map(|community| community.0).collect(),
        large_communities: attributes.large_communities.iter().map(large).collect(),
        extended_communities: attributes.extended_communities.iter().map(extended).collect(),
    }
}

/// Unicast: `netgauze` refuses other prefixes.
fn routes(family: Family) -> impl Strategy<Value = Vec<IpPrefix>> {
    let family = family.ip_family();
    let route = (any::<u128>(), 0..=family.bits()).prop_map(move |(value, length)| {
        let value = match family {
            IpFamily::V4 => value & 0x7fff_ffff,
            IpFamily::V6 => value >> 3 | 1 << 125,
        };
        IpPrefix::containing(family.address(value), length).unwrap()
    });
    vec(route, 1..300)
}

/// Addresses of hosts: `rustbgpd` takes no others.
fn next_hop() -> impl Strategy<Value = NextHop> {
    let global = |low: u64| Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(low));
    let link_local = |low: u64| Ipv6Addr::from_bits(0xfe80_u128 << 112 | u128::from(low));
    prop_oneof![
        any::<[u8; 3]>().prop_map(|[b, c, d]| NextHop::Ipv4(Ipv4Addr::new(10, b, c, d))),
        (any::<u64>(), of(any::<u64>())).prop_map(move |(low, beside)| NextHop::Ipv6 {
            global: global(low),
            link_local: beside.map(link_local),
        }),
    ]
}

fn bandwidth() -> impl Strategy<Value = ExtendedCommunity> {
    (any::<u16>(), 1_u16.., any::<bool>()).prop_map(|(asn, bandwidth, is_transitive)| {
        ExtendedCommunity::link_bandwidth(Asn::from(asn), f32::from(bandwidth), is_transitive)
    })
}

prop_compose! {
    fn attributes()(
        origin in proptest::sample::select(&[Origin::Igp, Origin::Egp, Origin::Incomplete][..]),
        as_path in prop_oneof![vec(1_u32.., 0..8), vec(1_u32..=65_535, 0..300)],
        next_hop in next_hop(),
        multi_exit_disc: Option<u32>,
        local_pref: Option<u32>,
        communities in vec(any::<u32>().prop_map(Community), 0..50),
        large_communities in vec(any::<[u32; 3]>(), 0..20),
        extended_communities in vec(bandwidth(), 0..4),
    ) -> Attributes {
        let large = |[global_administrator, local_data_1, local_data_2]: [u32; 3]| {
            LargeCommunity { global_administrator, local_data_1, local_data_2 }
        };
        Attributes {
            origin,
            as_path: as_path.into_iter().map(Asn).collect(),
            next_hop,
            multi_exit_disc,
            local_pref,
            communities,
            large_communities: large_communities.into_iter().map(large).collect(),
            extended_communities,
        }
    }
}

prop_compose! {
    fn open()(
        asn in 1_u32..,
        hold_time in prop_oneof![Just(0), 3_u16..],
        last in 1_u8..,
        [ipv4, ipv6, route_refresh, enhanced_route_refresh, extended_next_hop] in any::<[bool; 5]>(),
        [has_restart, restarted, notification, is_forwarding] in any::<[bool; 4]>(),
        restart_time in 0_u16..=4_095,
        fqdn in of(vec(proptest::char::range('a', 'z'), 1..60)),
    ) -> Open {
        let families = Families { ipv4, ipv6 };
        let entries = families.iter().map(|family| (family, is_forwarding)).collect();
        let restart = GracefulRestart { restarted, notification, restart_time, families: entries };
        let capabilities = Capabilities {
            families: Some(families).filter(|families| !families.is_empty()),
            four_octet_asn: Some(Asn(asn)),
            route_refresh,
            enhanced_route_refresh,
            graceful_restart: has_restart.then_some(restart),
            extended_next_hop,
            extended_message: false,
            fqdn: fqdn.map(|name| name.into_iter().collect()),
            unknown: Vec::new(),
        };
        let bgp_id = BgpId::from_ipv4(Ipv4Addr::new(10, 0, 0, last)).unwrap();
        Open { asn: Asn(asn), hold_time, bgp_id, capabilities }
    }
}

fn family() -> impl Strategy<Value = Family> {
    proptest::sample::select(&Family::ALL[..])
}

proptest! {
    #[test]
    fn other_codecs_read_the_routes_that_we_tell(
        attributes in attributes(),
        (family, routes) in family().prop_flat_map(|family| (Just(family), routes(family))),
        four_octet_as: bool,
    ) {
        let decoding = decoding(four_octet_as, attributes.local_pref.is_some());
        let encoded = EncodedAttributes::new(&attributes, four_octet_as).unwrap();
        let octets = said(&routes, |rest, out| emit_reachable(&encoded, family, rest, out));
        let mut reachable = Vec::new();
        for message in messages(&octets) {
            let mut told = agreed(message, &decoding);
            reachable.append(&mut told.reachable);
            prop_assert_eq!(told, expected(&attributes, family));
        }
        prop_assert_eq!(reachable, routes);
    }

    #[test]
    fn other_codecs_read_the_routes_that_we_withdraw(
        (family, routes) in family().prop_flat_map(|family| (Just(family), routes(family))),
    ) {
        let octets = said(&routes, |rest, out| emit_withdrawn(family, rest, out));
        let mut withdrawn = Vec::new();
        for message in messages(&octets) {
            let mut told = agreed(message, &decoding(true, false));
            withdrawn.append(&mut told.withdrawn);
            prop_assert_eq!(told, Told::default());
        }
        prop_assert_eq!(withdrawn, routes);
    }

    #[test]
    fn other_codecs_read_the_open_that_we_send(open in open()) {
        let octets = open.emit();
        let theirs = rustbgpd::message(&octets);
        let Message::Open(read) = &theirs else { panic!("{theirs} is no OPEN") };
        prop_assert_eq!((read.four_byte_as(), read.hold_time), (open.asn.0, open.hold_time));
        prop_assert_eq!(u32::from(read.bgp_identifier), open.bgp_id.get());
        prop_assert_eq!(Open::parse(&rustbgpd::octets(&theirs)[HEADER_LENGTH..]), Ok(open.clone()));
        let theirs = netgauze::message(&octets);
        let BgpMessage::Open(read) = &theirs else { panic!("{theirs:?} is no OPEN") };
        prop_assert_eq!((read.my_asn4(), read.hold_time()), (open.asn.0, open.hold_time));
        prop_assert_eq!(u32::from(read.bgp_id()), open.bgp_id.get());
        prop_assert_eq!(Open::parse(&netgauze::octets(&theirs)[HEADER_LENGTH..]), Ok(open));
    }
}

#[test]
fn other_codecs_read_the_end_of_rib_that_we_send() {
    for family in Family::ALL {
        let mut octets = Vec::new();
        emit_end_of_rib(family, &mut octets);
        assert_eq!(agreed(&octets, &decoding(true, false)), Told::default());
        assert_eq!(netgauze::octets(&netgauze::message(&octets)), octets);
        assert_eq!(rustbgpd::said_again(&octets[HEADER_LENGTH..], &decoding(true, false)), octets);
    }
}

#[test]
fn another_codec_writes_all_other_messages_as_they_were() {
    let notifications = bodies(NOTIFICATIONS).into_iter().map(|body| message(3, &body));
    // One is a mark of more than four octets, which neither takes for one.
    let refreshes = bodies(ROUTE_REFRESHES).into_iter().filter(|body| body.len() == 4);
    let refreshes = refreshes.map(|body| message(5, &body));
    for octets in notifications.chain(refreshes).chain([keepalive().to_vec()]) {
        assert_eq!(rustbgpd::octets(&rustbgpd::message(&octets)), octets);
    }
}
