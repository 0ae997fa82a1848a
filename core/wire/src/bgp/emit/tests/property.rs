//! What is sent, read back.

use super::*;
use crate::bgp::{Decoding, Disposition, ExtendedCommunity, Families, Update};
use alloc::collections::BTreeSet;
use ferrolb_vocab::LargeCommunity;
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use std::string::{String, ToString};

fn family() -> impl Strategy<Value = Family> {
    proptest::sample::select(&Family::ALL[..])
}

fn routes(family: Family) -> impl Strategy<Value = BTreeSet<IpPrefix>> {
    let family = family.ip_family();
    let route = (any::<u128>(), 0..=family.bits())
        .prop_map(move |(value, length)| IpPrefix::containing(family.address(value), length).unwrap());
    btree_set(route, 1..1_500)
}

fn next_hop() -> impl Strategy<Value = NextHop> {
    prop_oneof![
        any::<[u8; 3]>().prop_map(|[b, c, d]| NextHop::Ipv4(Ipv4Addr::new(10, b, c, d))),
        (any::<u128>(), of(any::<u128>())).prop_map(|(global, link_local)| NextHop::Ipv6 {
            global: Ipv6Addr::from_bits(global),
            link_local: link_local.map(Ipv6Addr::from_bits),
        }),
    ]
}

fn large_community() -> impl Strategy<Value = LargeCommunity> {
    any::<[u32; 3]>().prop_map(|[global_administrator, local_data_1, local_data_2]| LargeCommunity {
        global_administrator,
        local_data_1,
        local_data_2,
    })
}

prop_compose! {
    fn attributes()(
        origin in proptest::sample::select(&[Origin::Igp, Origin::Egp, Origin::Incomplete][..]),
        as_path in prop_oneof![vec(1_u32.., 0..8), vec(1_u32..=65_535, 0..300)],
        next_hop in next_hop(),
        multi_exit_disc: Option<u32>,
        local_pref: Option<u32>,
        communities in vec(any::<u32>().prop_map(Community), 0..100),
        large_communities in vec(large_community(), 0..40),
        extended_communities in vec(any::<[u8; 8]>().prop_map(ExtendedCommunity), 0..50),
    ) -> Attributes {
        Attributes {
            origin,
            as_path: as_path.into_iter().map(Asn).collect(),
            next_hop,
            multi_exit_disc,
            local_pref,
            communities,
            large_communities,
            extended_communities,
        }
    }
}

/// Messages behind each other, and how many routes each of them has.
#[derive(Default)]
struct Messages {
    octets: Vec<u8>,
    counts: Vec<usize>,
}

/// Everything that `emit` has to say of `routes`.
fn messages(
    routes: &BTreeSet<IpPrefix>,
    mut emit: impl FnMut(&mut Peekable<std::vec::IntoIter<IpPrefix>>, &mut Vec<u8>) -> usize,
) -> Messages {
    let mut rest = routes.iter().copied().collect::<Vec<_>>().into_iter().peekable();
    let mut messages = Messages::default();
    while rest.peek().is_some() {
        messages.counts.push(emit(&mut rest, &mut messages.octets));
    }
    messages
}

fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    values.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

proptest! {
    #[test]
    fn what_is_told_reads_back(
        attributes in attributes(),
        (family, routes) in family().prop_flat_map(|family| (Just(family), routes(family))),
        four_octet_as: bool,
    ) {
        let decoding = Decoding {
            four_octet_as,
            is_internal: attributes.local_pref.is_some(),
            local_asn: Asn(u32::MAX),
            families: Families::ALL,
        };
        let encoded = EncodedAttributes::new(&attributes, four_octet_as).unwrap();
        let path: Vec<String> = attributes.as_path.iter().map(Asn::to_string).collect();
        let next_hop = match (family, attributes.next_hop) {
            (Family::Ipv6Unicast, NextHop::Ipv4(address)) => {
                NextHop::Ipv6 { global: address.to_ipv6_mapped(), link_local: None }
            }
            (_, next_hop) => next_hop,
        };
        let mut told = Vec::new();
        let messages = messages(&routes, |rest, out| emit_reachable(&encoded, family, rest, out));
        let bodies = bodies(&messages.octets);
        prop_assert_eq!(bodies.len(), messages.counts.len());
        for (body, count) in bodies.into_iter().zip(messages.counts) {
            let update = Update::parse(body, &decoding).unwrap();
            prop_assert_eq!(update.disposition(), Disposition::Accept);
            prop_assert!(update.discarded().is_empty());
            prop_assert_eq!(update.withdrawn().next(), None);
            prop_assert_eq!(update.end_of_rib(), None);
            prop_assert_eq!(update.reachable().count(), count);
            prop_assert_eq!(update.origin(), Some(attributes.origin));
            prop_assert_eq!(update.as_path().to_string(), path.join(" "));
            prop_assert_eq!(update.as_path().length(), path.len());
            prop_assert_eq!(update.next_hop(family), Some(next_hop));
            prop_assert_eq!(update.multi_exit_disc(), attributes.multi_exit_disc);
            prop_assert_eq!(update.local_pref(), attributes.local_pref);
            prop_assert_eq!(update.communities().collect::<Vec<_>>(), sorted(&attributes.communities));
            let large: Vec<_> = update.large_communities().collect();
            prop_assert_eq!(large, sorted(&attributes.large_communities));
            let extended: Vec<_> = update.extended_communities().collect();
            prop_assert_eq!(extended, sorted(&attributes.extended_communities));
            told.extend(update.reachable());
        }
        prop_assert_eq!(told, routes.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_withdrawn_reads_back(
        (family, routes) in family().prop_flat_map(|family| (Just(family), routes(family))),
    ) {
        let decoding = Decoding {
            four_octet_as: true,
            is_internal: false,
            local_asn: Asn(64_512),
            families: Families::ALL,
        };
        let messages = messages(&routes, |rest, out| emit_withdrawn(family, rest, out));
        let bodies = bodies(&messages.octets);
        prop_assert_eq!(bodies.len(), messages.counts.len());
        let mut withdrawn = Vec::new();
        for (body, count) in bodies.into_iter().zip(messages.counts) {
            let update = Update::parse(body, &decoding).unwrap();
            prop_assert_eq!(update.disposition(), Disposition::Accept);
            prop_assert_eq!(update.end_of_rib(), None);
            prop_assert_eq!(update.reachable().next(), None);
            prop_assert_eq!(update.withdrawn().count(), count);
            withdrawn.extend(update.withdrawn());
        }
        prop_assert_eq!(withdrawn, routes.into_iter().collect::<Vec<_>>());
    }
}
