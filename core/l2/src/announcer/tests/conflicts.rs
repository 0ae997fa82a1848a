//! What happens when another station claims an address that is announced here.

use super::*;

#[test]
fn another_stations_claim_is_a_conflict_reported_once_in_an_interval() {
    // rfc5227 2.4
    let claims = [
        arp_to(MacAddr::BROADCAST, &arp::Packet::announcement(OTHER_MAC, V4)),
        arp_to(MacAddr::BROADCAST, &arp::Packet::announcement_reply(OTHER_MAC, V4)),
        arp_to(MacAddr::BROADCAST, &arp::Packet::request(OTHER_MAC, V4, HOST_V4)),
    ];
    for frame in claims {
        let mut announcer = settled();
        let mut hear = |ms| announcer.handle_packet(&name("eth0"), &frame, at(ms));
        assert_eq!(hear(10_000), Ok(Handled::Conflict(Protocol::Arp)));
        assert_eq!(hear(10_001), Ok(Handled::Conflict(Protocol::Arp)), "each one counts");
        assert_eq!(hear(20_000), Ok(Handled::Conflict(Protocol::Arp)));
        let conflict = Event::Conflict(conflict(V4, OTHER_MAC));
        assert_eq!(events(&mut announcer), [conflict.clone(), conflict]);
    }
}

#[test]
fn a_neighbor_discovery_claim_is_a_conflict_whoever_carries_it() {
    let cases = [
        // rfc4862 5.4.4
        (ndp_from(HOST_MAC, &advertisement(V6, Some(OTHER_MAC))), OTHER_MAC),
        (ndp_from(OTHER_MAC, &advertisement(V6, None)), OTHER_MAC),
        // rfc4861 7.2.3: the source would be entered into caches with the option's address.
        (
            ndp_from(
                HOST_MAC,
                &Packet {
                    source: V6,
                    destination: solicited_node(HOST_V6),
                    message: Message::Solicitation(Solicitation {
                        target: HOST_V6,
                        source_link_layer: Some(OTHER_MAC),
                    }),
                },
            ),
            OTHER_MAC,
        ),
    ];
    for (frame, mac) in cases {
        let mut announcer = settled();
        let handled = announcer.handle_packet(&name("eth0"), &frame, at(9000));
        assert_eq!(handled, Ok(Handled::Conflict(Protocol::Ndp)));
        assert_eq!(events(&mut announcer), [Event::Conflict(conflict(V6, mac))]);
    }
    let mut announcer = settled();
    for (mac, dropped) in [(ETH1_MAC, Dropped::Own), (OTHER_MAC, Dropped::NotOwned)] {
        let target = if mac == OTHER_MAC { HOST_V6 } else { V6 };
        let frame = ndp_from(HOST_MAC, &advertisement(target, Some(mac)));
        assert_eq!(announcer.handle_packet(&name("eth0"), &frame, at(9000)), Err(dropped));
    }
    assert_eq!(announcer.poll_event(), None);
}

#[test]
fn a_conflict_is_defended_by_one_announcement_in_an_interval() {
    // rfc5227 2.4 (c): "broadcast one single ARP Announcement … However, if … within DEFEND_INTERVAL
    // seconds, then the host MUST NOT send another".
    let cases = [
        (
            arp_to(MacAddr::BROADCAST, &arp::Packet::announcement_reply(OTHER_MAC, V4)),
            IpAddr::V4(V4),
            TransmitKind::ArpDefence,
        ),
        (
            ndp_from(OTHER_MAC, &advertisement(V6, Some(OTHER_MAC))),
            IpAddr::V6(V6),
            TransmitKind::AdvertisementDefence,
        ),
    ];
    for (claim, address, kind) in cases {
        let mut announcer = settled();
        let mut defended = Vec::new();
        for ms in [10_000, 10_001, 19_999, 20_000] {
            assert!(matches!(hear(&mut announcer, &claim, ms), Ok(Handled::Conflict(_))));
            defended.extend(drain(&mut announcer).into_iter().map(|transmit| (ms, transmit)));
        }
        let sent: Vec<_> = defended.iter().map(|(ms, sent)| (*ms, sent.address, sent.kind)).collect();
        assert_eq!(sent, [(10_000, address, kind), (20_000, address, kind)]);
        let (_, defence) = &defended[0];
        match address {
            IpAddr::V4(_) => assert_eq!(parsed_arp(defence).1, arp::Packet::announcement(ETH0_MAC, V4)),
            IpAddr::V6(_) => {
                let (header, packet) = parsed_ndp(defence);
                assert_eq!(header.destination, multicast_mac(ipv6::ALL_NODES));
                let Message::Advertisement(said) = packet.message else { panic!("{packet:?}") };
                assert!(said.override_flag && said.target_link_layer == Some(ETH0_MAC));
            }
        }
    }
}

#[test]
fn a_fellows_claim_is_a_conflict_only_if_it_lasts_and_is_told_but_not_defended() {
    let claim = arp_to(MacAddr::BROADCAST, &arp::Packet::announcement(OTHER_MAC, V4));
    let mut announcer = with_fellow(settled());
    // The new owner's burst, while we are about to learn that it is the owner.
    for ms in [10_000, 10_100, 10_300, 10_999] {
        assert_eq!(hear(&mut announcer, &claim, ms), Err(Dropped::Fellow), "at {ms}");
    }
    // That was the old owner's last word, and it is the next owner already.
    for ms in [11_000, 11_100, 11_999] {
        assert_eq!(hear(&mut announcer, &claim, ms), Err(Dropped::Fellow), "at {ms}");
    }
    assert_eq!(events(&mut announcer), []);
    assert_eq!(hear(&mut announcer, &claim, 12_000), Ok(Handled::Conflict(Protocol::Arp)));
    let of_node = Conflict { node: Some("worker-2".into()), ..conflict(V4, OTHER_MAC) };
    assert_eq!(events(&mut announcer), [Event::Conflict(of_node)]);
    // What was heard ten seconds ago was another move.
    assert_eq!(hear(&mut announcer, &claim, 20_001), Err(Dropped::Fellow));
    assert_eq!(drain(&mut announcer), [], "neither answered nor defended");
    let question = arp_to(MacAddr::BROADCAST, &arp::Packet::request(OTHER_MAC, HOST_V4, V4));
    assert_eq!(hear(&mut announcer, &question, 20_002), Ok(Handled::Request(Protocol::Arp)));
    // A stranger gets no patience from a fellow's claim.
    let strange = arp_to(MacAddr::BROADCAST, &arp::Packet::announcement(HOST_MAC, V4));
    assert_eq!(hear(&mut announcer, &strange, 30_000), Ok(Handled::Conflict(Protocol::Arp)));
    assert!(kinds(&drain(&mut announcer)).contains(&TransmitKind::ArpDefence));
}

#[test]
fn nothing_is_defended_before_the_fellows_are_known() {
    let mut announcer = Announcer::default();
    announcer.set_links([eth0()].into(), at(0));
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    let claim = arp_to(MacAddr::BROADCAST, &arp::Packet::announcement_reply(OTHER_MAC, V4));
    assert_eq!(hear(&mut announcer, &claim, 10_000), Ok(Handled::Conflict(Protocol::Arp)));
    assert_eq!(events(&mut announcer), [Event::Conflict(conflict(V4, OTHER_MAC))]);
    assert_eq!(drain(&mut announcer), []);
    announcer.set_fellows(BTreeMap::new());
    assert_eq!(hear(&mut announcer, &claim, 10_001), Ok(Handled::Conflict(Protocol::Arp)));
    assert_eq!(only(&drain(&mut announcer)).kind, TransmitKind::ArpDefence);
}

#[test]
fn the_fellows_of_a_moment_ago_are_strangers_when_they_have_left_the_cluster() {
    let mut announcer = with_fellow(settled());
    announcer.set_fellows(BTreeMap::new());
    let claim = ndp_from(OTHER_MAC, &advertisement(V6, Some(OTHER_MAC)));
    assert_eq!(hear(&mut announcer, &claim, 10_000), Ok(Handled::Conflict(Protocol::Ndp)));
}

#[test]
fn an_address_that_another_node_claimed_too_is_announced_anew_when_that_lets_go() {
    let mut announcer = settled();
    announcer.reassert(V4.into(), at(30_000));
    let begun = elapse(&mut announcer);
    assert_eq!(
        (begun.0, kinds(&begun.1)),
        (at(30_000), [TransmitKind::ArpAnnouncement, TransmitKind::ArpAnnouncementReply].into())
    );
    announcer.reassert(V4.into(), at(30_099));
    assert_eq!(announcer.poll_timeout(), Some((at(30_100), Timer::Announce)), "as it would be anyway");
    elapse(&mut announcer);
    elapse(&mut announcer);
    announcer.reassert(V4.into(), at(30_400));
    assert_eq!(announcer.poll_timeout(), Some((at(30_400), Timer::Announce)));
    announcer.withdraw(V4.into());
    announcer.reassert(V4.into(), at(30_500));
    assert_ne!(announcer.poll_timeout().map(|(_, timer)| timer), Some(Timer::Announce));
}
