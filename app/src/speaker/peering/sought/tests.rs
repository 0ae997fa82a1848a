use super::*;
use crate::speaker::peering::tests::external_peer;
use ferrolb_vocab::{Asn, IpPrefix, Link, LinkAddress, NodeName};

/// A peer 192.0.2.1 of AS 64513, of a node of AS 64512.
fn peer() -> BgpPeer {
    let remote = plan::RemoteAsn::Exactly(Asn(64_513));
    BgpPeer { remote, ..external_peer(Endpoint::Address("192.0.2.1".parse().unwrap())) }
}

fn at(address: &str) -> BgpPeer {
    BgpPeer { endpoint: Endpoint::Address(address.parse().unwrap()), ..peer() }
}

/// What is sought of `peer` by a node with 192.0.2.7/24 and 2001:db8::7/64 on its link.
fn of(peer: &BgpPeer) -> Sought {
    let address = |text: &str, length| {
        let address = text.parse().unwrap();
        LinkAddress { address, prefix: IpPrefix::containing(address, length).unwrap() }
    };
    let eth0 = Link {
        index: 2,
        name: "eth0".into(),
        mac: None,
        flags: [].into(),
        addresses: vec![address("192.0.2.7", 24), address("2001:db8::7", 64)],
    };
    let node = NodeName::from("worker1");
    let internal_ips = ["192.0.2.7".parse().unwrap()];
    let host = Host { node: &node, internal_ips: &internal_ips, links: &[eth0] };
    sought(peer, &host, true).unwrap()
}

#[test]
fn what_a_peer_leaves_open_the_node_fills_in() {
    let Sought { config, options, bfd } = of(&peer());
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
    let host = Host { node: &node, internal_ips: &[], links: &[] };
    for (forwards, expected) in [(true, Families::IPV4), (false, Families::EMPTY)] {
        let restart = sought(&restarts, &host, forwards).unwrap().config.graceful_restart.unwrap();
        assert_eq!((restart.forwarding, restart.restart_time, restart.notification), (expected, 120, true));
    }
}

#[test]
fn a_peer_without_an_address_is_none_yet() {
    let unnumbered = BgpPeer { endpoint: Endpoint::Interface("eth1".into()), ..peer() };
    let node = NodeName::from("a");
    let host = Host { node: &node, internal_ips: &[], links: &[] };
    let error = sought(&unnumbered, &host, true).unwrap_err();
    assert_eq!(error.reason(), "UnnumberedNotSupported");
    assert!(error.to_string().contains("spec.peerAddress"), "{error}");
}
