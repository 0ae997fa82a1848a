use super::*;
use crate::speaker::peering::tests::external_peer;
use ferrolb_link::Routers;
use ferrolb_vocab::{Asn, IpPrefix, Link, LinkAddress, LinkFlag, NodeName};
use std::slice::from_ref;

/// A peer 192.0.2.1 of AS 64513, of a node of AS 64512.
fn peer() -> BgpPeer {
    let remote = plan::RemoteAsn::Exactly(Asn(64_513));
    BgpPeer { remote, ..external_peer(Endpoint::Address("192.0.2.1".parse().unwrap())) }
}

fn at(address: &str) -> BgpPeer {
    BgpPeer { endpoint: Endpoint::Address(address.parse().unwrap()), ..peer() }
}

/// An interface that carries and has these addresses.
fn link(index: u32, name: &str, addresses: &[(&str, u8)]) -> Link {
    let address = |(text, length): &(&str, u8)| {
        let address = text.parse().unwrap();
        LinkAddress { address, prefix: IpPrefix::containing(address, *length).unwrap() }
    };
    Link {
        index,
        name: name.into(),
        mac: None,
        flags: [LinkFlag::Up, LinkFlag::Carrier].into(),
        addresses: addresses.iter().map(address).collect(),
    }
}

/// One that has no carrier.
fn dead(link: &Link) -> Link {
    Link { flags: [LinkFlag::Up].into(), ..link.clone() }
}

fn eth0() -> Link {
    link(2, "eth0", &[("192.0.2.7", 24), ("2001:db8::7", 64), ("fe80::7", 64)])
}

/// What is sought of `peer` by a node with these links, one that hears these routers.
fn on(
    links: &[Link],
    routers: &[(&str, &str)],
    peer: &BgpPeer,
    before: Option<&Sought>,
) -> Result<Sought, CannotPeer> {
    let heard = |(interface, router): &(&str, &str)| ((*interface).into(), router.parse().unwrap());
    let routers: Routers = routers.iter().map(heard).collect();
    let node = NodeName::from("worker1");
    let internal_ips = ["192.0.2.7".parse().unwrap()];
    let host = Host { node: &node, internal_ips: &internal_ips, links, routers: &routers };
    sought(peer, &host, true, before)
}

/// What is sought of `peer` by a node with 192.0.2.7/24 and 2001:db8::7/64 on its link.
fn of(peer: &BgpPeer) -> Sought {
    on(&[eth0()], &[], peer, None).unwrap()
}

#[test]
fn what_a_peer_leaves_open_the_node_fills_in() {
    let Sought { config, options, bfd, .. } = of(&peer());
    assert_eq!(config.bgp_id.to_string(), "192.0.2.7");
    assert_eq!(
        (config.transport.remote, config.families),
        ("192.0.2.1:179".parse().unwrap(), Families::IPV4)
    );
    assert_eq!((config.hold_time.seconds(), config.keepalive_time.map(NonZeroU16::get)), (90, Some(30)));
    assert_eq!((config.graceful_restart, config.bfd, bfd), (None, BfdPolicy::Ignore, None));
    assert_eq!((options.ttl.get(), options.password), (1, None));
    assert_eq!(config.hostname.as_deref(), Some("worker1"));
}

#[test]
fn over_one_family_the_next_hop_of_the_other_is_the_nodes_own() {
    let dual = |address| of(&BgpPeer { dual_stack: true, ..at(address) }).config;
    let (v4, v6) = (dual("192.0.2.1"), dual("2001:db8::1"));
    for config in [&v4, &v6] {
        assert_eq!(config.families, Families::ALL);
        assert_eq!(config.next_hop_ipv4, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(config.next_hop_ipv6, Some("2001:db8::7".parse().unwrap()));
    }
    assert_eq!((v4.extended_next_hop, v6.extended_next_hop), (false, true));
    assert!(!of(&at("2001:db8::1")).config.extended_next_hop, "it takes no IPv4 prefixes");
}

#[test]
fn a_passive_peer_is_listened_for_on_its_port_and_nobody_else_is() {
    let Sought { config, options, .. } = of(&BgpPeer { passive: true, port: 1_790, ..peer() });
    assert_eq!((config.role, options.listen_port), (Role::Passive, NonZeroU16::new(1_790)));
    let Sought { config, options, .. } = of(&peer());
    assert_eq!((config.role, options.listen_port), (Role::Active, None));
}

#[test]
fn how_far_packets_go_is_what_the_peer_is_and_what_the_operator_says() {
    use plan::RemoteAsn::{Exactly, External, Internal};
    let alias = BgpPeer { local_asn: Some(Asn(64_513)), ..peer() };
    for (name, peer, ttl, weight) in [
        ("external", peer(), 1, Transitivity::Transitive),
        ("external, any", BgpPeer { remote: External, ..peer() }, 1, Transitivity::Transitive),
        ("far", BgpPeer { ebgp_multihop: true, ..peer() }, 255, Transitivity::Transitive),
        ("internal", BgpPeer { remote: Exactly(Asn(64_512)), ..peer() }, 255, Transitivity::NonTransitive),
        ("internal, any", BgpPeer { remote: Internal, ..peer() }, 255, Transitivity::NonTransitive),
        ("internal to the alias", alias, 255, Transitivity::NonTransitive),
    ] {
        assert_eq!((of(&peer).options.ttl.get(), transitivity(&peer)), (ttl, weight), "{name}");
    }
}

#[test]
fn bfd_runs_over_several_hops_where_the_session_does() {
    let internal = |address| BgpPeer { remote: plan::RemoteAsn::Internal, ..at(address) };
    for (name, peer, is_multihop) in [
        ("external", peer(), false),
        ("external, wherever it is", at("203.0.113.1"), false),
        ("external and far", BgpPeer { ebgp_multihop: true, ..peer() }, true),
        ("internal and on the link", internal("192.0.2.1"), false),
        ("internal and elsewhere", internal("203.0.113.1"), true),
    ] {
        let (path, config) = of(&BgpPeer { bfd: Some(BfdProfile::default()), ..peer }).bfd.unwrap();
        assert_eq!(path.is_multihop, is_multihop, "{name}");
        assert_eq!((config.timing, config.minimum_ttl), (bfd::Timing::default(), 254), "{name}");
    }
}

#[test]
fn a_profile_is_taken_as_it_is() {
    let profile = BfdProfile {
        receive_interval: Duration::from_millis(50),
        transmit_interval: Duration::from_millis(60),
        detect_multiplier: NonZeroU8::MAX,
        echo_interval: None,
        passive: true,
        minimum_ttl: 7,
    };
    let local = Some("192.0.2.7".parse().unwrap());
    let Sought { config, bfd, .. } = of(&BgpPeer { bfd: Some(profile), source_address: local, ..peer() });
    let (path, wanted) = bfd.unwrap();
    assert_eq!((config.bfd, config.transport.source, path.local), (BfdPolicy::Follow, local, local));
    let (timing, ms) = (wanted.timing, Interval::from_millis);
    assert_eq!((timing.desired_min_tx(), timing.required_min_rx()), (ms(60), ms(50)));
    assert_eq!(
        (timing.detect_mult(), wanted.role, wanted.minimum_ttl),
        (NonZeroU8::MAX, bfd::Role::Passive, 7)
    );
}

#[test]
fn forwarding_is_claimed_only_where_it_was_kept() {
    let restarts = BgpPeer { graceful_restart: true, ..peer() };
    let node = NodeName::from("a");
    let host = Host { node: &node, internal_ips: &[], links: &[], routers: &Routers::new() };
    for (forwards, expected) in [(true, Families::IPV4), (false, Families::EMPTY)] {
        let restart = sought(&restarts, &host, forwards, None).unwrap().config.graceful_restart.unwrap();
        assert_eq!((restart.forwarding, restart.restart_time, restart.notification), (expected, 120, true));
    }
}

#[test]
fn a_session_over_a_link_without_a_carrier_ends_if_there_is_no_other_way() {
    let external = peer;
    let far = || BgpPeer { ebgp_multihop: true, ..peer() };
    let internal = || BgpPeer { remote: plan::RemoteAsn::Internal, ..peer() };
    let other = link(3, "eth1", &[("192.0.2.8", 24)]);
    let elsewhere = link(3, "eth1", &[("198.51.100.8", 24)]);
    let down = Link { flags: [].into(), ..eth0() };
    for (name, peer, links, expected) in [
        ("it carries", external(), vec![eth0()], None),
        ("it does not", external(), vec![dead(&eth0())], Some("eth0")),
        ("over IPv6", at("2001:db8::1"), vec![dead(&eth0())], Some("eth0")),
        ("it is down", external(), vec![down], Some("eth0")),
        ("another carries", external(), vec![dead(&eth0()), other.clone()], None),
        ("none carries", external(), vec![dead(&eth0()), dead(&other)], Some("eth0")),
        ("another link", external(), vec![eth0(), dead(&elsewhere)], None),
        ("the node's own", at("2001:db8::7"), vec![dead(&eth0())], None),
        ("on no link", at("203.0.113.1"), vec![dead(&eth0())], None),
        ("routers between", far(), vec![dead(&eth0())], None),
        ("internal", internal(), vec![dead(&eth0())], None),
    ] {
        let found = on(&links, &[], &peer, None).unwrap().options.dead_link;
        assert_eq!(found, expected.map(Into::into), "{name}");
    }
}

#[test]
fn an_interface_that_takes_its_addresses_along_is_dead_all_the_same() {
    let before = of(&at("2001:db8::1"));
    let bare = |flags: &[LinkFlag]| Link { flags: flags.iter().copied().collect(), ..link(2, "eth0", &[]) };
    let up = [LinkFlag::Up, LinkFlag::Carrier];
    for (name, links, peer, expected) in [
        ("down", vec![bare(&[])], at("2001:db8::1"), Some("eth0")),
        ("gone", vec![], at("2001:db8::1"), Some("eth0")),
        ("reached by a route", vec![bare(&up)], at("2001:db8::1"), None),
        ("another peer", vec![bare(&[])], at("2001:db8::2"), None),
    ] {
        let found = on(&links, &[], &peer, Some(&before)).unwrap();
        assert_eq!(found.options.dead_link, expected.map(Into::into), "{name}");
        let is_told = [Some(&before), Some(&found)].map(|before| found.lost_link(before).is_some());
        assert_eq!(is_told, [expected.is_some(), false], "{name}: told once");
        let again = on(&[eth0()], &[], &peer, Some(&found)).unwrap();
        assert_eq!(again.options.dead_link, None, "{name}, and back");
    }
}

/// A peer behind `eth1`, whatever its address.
fn behind() -> BgpPeer {
    BgpPeer { endpoint: Endpoint::Interface("eth1".into()), bfd: Some(BfdProfile::default()), ..peer() }
}

#[test]
fn the_router_that_is_heard_behind_an_interface_is_the_peer() {
    let eth1 = link(9, "eth1", &[("fe80::9", 64)]);
    let Sought { config, options, bfd, .. } =
        on(&[eth0(), eth1], &[("eth1", "fe80::fe")], &behind(), None).unwrap();
    let remote = SocketAddrV6::new("fe80::fe".parse().unwrap(), 179, 0, 9);
    assert_eq!(config.transport.remote, remote.into());
    assert_eq!((config.families, config.extended_next_hop), (Families::ALL, true));
    // What is on other links is out of its reach: the session's own end is the next hop.
    assert_eq!((config.next_hop_ipv4, config.next_hop_ipv6), (None, None));
    assert_eq!((options.ttl.get(), options.dead_link), (1, None));
    let (path, _) = bfd.unwrap();
    assert_eq!((path.peer, path.is_multihop), ("fe80::fe".parse().unwrap(), false));
    assert_eq!((path.interface, config.transport.interface), (Some("eth1".into()), None));

    let internal = BgpPeer { remote: plan::RemoteAsn::Internal, ..behind() };
    let eth1 = link(9, "eth1", &[("fe80::9", 64), ("2001:db8:1::9", 64), ("10.0.0.9", 31)]);
    let found = on(&[eth0(), eth1], &[("eth1", "fe80::fe")], &internal, None).unwrap();
    assert_eq!(found.config.next_hop_ipv4, Some("10.0.0.9".parse().unwrap()));
    assert_eq!(found.config.next_hop_ipv6, Some("2001:db8:1::9".parse().unwrap()));
    assert!(!found.bfd.unwrap().0.is_multihop, "an internal one is on the link too");
}

#[test]
fn without_a_router_behind_its_interface_there_is_no_peer_and_it_is_said_why() {
    let eth1 = || link(9, "eth1", &[("fe80::9", 64)]);
    for (links, expected) in [
        (vec![eth0()], CannotPeer::NoInterface),
        (vec![eth0(), dead(&eth1())], CannotPeer::LinkDown),
        (vec![eth0(), link(9, "eth1", &[("10.0.0.9", 31)])], CannotPeer::NoLinkLocalAddress),
        (vec![eth0(), eth1()], CannotPeer::NoRouter),
    ] {
        let error = on(&links, &[("eth0", "fe80::fe")], &behind(), None).unwrap_err();
        assert_eq!(error, expected);
        assert!(error.to_string().starts_with("spec.interface: "), "{error}");
    }
    assert_eq!(CannotPeer::NoRouter.reason(), "NoRouterHeard");
}

#[test]
fn a_router_that_was_heard_before_its_link_went_stays_the_peer_until_another_is() {
    let eth1 = link(9, "eth1", &[("fe80::9", 64)]);
    let before = on(from_ref(&eth1), &[("eth1", "fe80::fe")], &behind(), None).unwrap();
    let cut = on(&[dead(&eth1)], &[], &behind(), Some(&before)).unwrap();
    assert_eq!(cut.config, before.config);
    assert_eq!(cut.options.dead_link, Some("eth1".into()));
    let back = on(from_ref(&eth1), &[], &behind(), Some(&cut)).unwrap();
    assert_eq!(back, before);
    let other = on(from_ref(&eth1), &[("eth1", "fe80::fd")], &behind(), Some(&back)).unwrap();
    assert_eq!(other.config.transport.remote.ip(), "fe80::fd".parse::<IpAddr>().unwrap());
    // What was sought of another object, or of this one when it had an address, is no router.
    for former in [at("2001:db8::1"), at("fe80::1")] {
        let former = on(&[eth0()], &[], &former, None).unwrap();
        let links = [link(9, "eth1", &[("fe80::9", 64)])];
        assert_eq!(on(&links, &[], &behind(), Some(&former)), Err(CannotPeer::NoRouter));
    }
}
