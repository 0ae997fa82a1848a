//! What happens to an address before it is used for the first time.

use super::*;
use crate::schedule::{PROBE_RETRY, REPROBE_INTERVAL};

const BOTH: [IpAddr; 2] = [IpAddr::V4(V4), IpAddr::V6(V6)];

/// One that has begun to probe for `addresses` on eth0 and sent the first probes.
fn probing(addresses: &[IpAddr]) -> Announcer {
    let mut announcer = announcer();
    for address in addresses {
        announcer.announce(*address, &on(&["eth0"]), Start::Probe, at(0));
    }
    elapse(&mut announcer);
    announcer
}

/// Lets timers pass until the next would be later than `until`, and returns all that is sent, with
/// the time.
fn elapse_until(announcer: &mut Announcer, until: u64) -> Vec<(Instant, TransmitKind)> {
    let mut sent = Vec::new();
    while announcer.poll_timeout().is_some_and(|(due, _)| due <= at(until)) {
        let (due, transmits) = elapse(announcer);
        sent.extend(transmits.iter().map(|transmit| (due, transmit.kind)));
    }
    sent
}

fn by_arp(packet: &arp::Packet) -> Vec<u8> {
    arp_to(MacAddr::BROADCAST, packet)
}

/// A station's packets that say that it has the address, or wants it as well.
fn claims_and_probes(mac: MacAddr) -> [(IpAddr, Vec<u8>); 7] {
    let v4 = IpAddr::V4(V4);
    let v6 = IpAddr::V6(V6);
    let question = Packet {
        source: V6,
        destination: solicited_node(HOST_V6),
        message: Message::Solicitation(Solicitation { target: HOST_V6, source_link_layer: Some(mac) }),
    };
    [
        // rfc5227 2.1.1: "any ARP packet (Request *or* Reply) … where the packet's 'sender IP
        // address' is the address being probed for"
        (v4, arp_to(ETH0_MAC, &arp::Packet::probe(ETH0_MAC, V4).reply(mac))),
        (v4, by_arp(&arp::Packet::request(mac, V4, HOST_V4))),
        (v4, by_arp(&arp::Packet::announcement(mac, V4))),
        // rfc5227 2.1.1: "any ARP Probe where the packet's 'target IP address' is the address
        // being probed for, and the packet's 'sender hardware address' is not [ours]"
        (v4, by_arp(&arp::Packet::probe(mac, V4))),
        // rfc4862 5.4.4
        (v6, ndp_from(mac, &advertisement(V6, Some(mac)))),
        (v6, ndp_from(mac, &question)),
        // rfc4862 5.4.3: "If the source address of the Neighbor Solicitation is the unspecified
        // address, the solicitation is from a node performing Duplicate Address Detection."
        (v6, ndp_from(mac, &Packet::duplicate_address_detection(V6))),
    ]
}

#[test]
fn a_new_address_is_probed_for_before_it_is_answered_for_and_announced() {
    let questions = [
        by_arp(&arp::Packet::request(HOST_MAC, HOST_V4, V4)),
        ndp_from(HOST_MAC, &solicitation(HOST_V6, solicited_node(V6), Some(HOST_MAC))),
    ];
    let kinds_of = [
        (TransmitKind::ArpProbe, TransmitKind::ArpAnnouncement),
        (TransmitKind::DuplicateAddressDetection, TransmitKind::UnsolicitedAdvertisement),
    ];
    for ((address, question), (probe, announcement)) in BOTH.into_iter().zip(questions).zip(kinds_of) {
        let mut announcer = announcer();
        announcer.announce(address, &on(&["eth0"]), Start::Probe, at(0));
        let listening = announcer.listening().remove(&name("eth0")).unwrap();
        assert!(listening.arp || listening.groups.contains(&solicited_node(V6)), "answers are heard");
        for ms in [0, 250, 500] {
            assert_eq!(announcer.poll_timeout(), Some((at(ms), Timer::Probe)));
            assert_eq!(hear(&mut announcer, &question, ms), Err(Dropped::NotAnnounced));
            assert_eq!(only(&elapse(&mut announcer).1).kind, probe);
        }
        assert_eq!(announcer.poll_timeout(), Some((at(800), Timer::Probe)));
        assert_eq!(elapse(&mut announcer).1[0].kind, announcement);
        assert_eq!(announcer.poll_timeout(), Some((at(900), Timer::Announce)), "with its burst");
        assert!(matches!(hear(&mut announcer, &question, 801), Ok(Handled::Request(_))));
        assert_eq!(
            (events(&mut announcer), announcer.occupied()),
            (vec![], vec![]),
            "all is as it should be"
        );
    }
}

#[test]
fn probes_pollute_no_cache() {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::Probe, at(0));
    let (header, probe) = parsed_arp(only(&elapse(&mut announcer).1));
    // rfc5227 2.1.1
    assert_eq!((header.destination, header.source), (MacAddr::BROADCAST, ETH0_MAC));
    assert_eq!(probe, arp::Packet::probe(ETH0_MAC, V4));
    announcer.withdraw(V4.into());
    announcer.announce(V6.into(), &on(&["eth0"]), Start::Probe, at(0));
    let (header, probe) = parsed_ndp(only(&elapse(&mut announcer).1));
    // rfc4862 5.4.2: from the unspecified address to the solicited-node group; rfc4861 4.3: without
    // the option.
    assert_eq!((header.destination, header.source), (multicast_mac(solicited_node(V6)), ETH0_MAC));
    assert_eq!(probe, solicitation(Ipv6Addr::UNSPECIFIED, solicited_node(V6), None));
}

#[test]
fn whoever_has_or_wants_the_address_occupies_it() {
    for (address, frame) in claims_and_probes(OTHER_MAC) {
        let mut announcer = probing(&[address]);
        assert!(matches!(hear(&mut announcer, &frame, 100), Ok(Handled::Occupied(_))), "{frame:x?}");
        assert_eq!(events(&mut announcer), [Event::Occupied(conflict(address, OTHER_MAC))]);
        assert_eq!(announcer.occupied(), [conflict(address, OTHER_MAC)]);
        assert_eq!(drain(&mut announcer), [], "not answered");
        assert_eq!(announcer.poll_timeout(), Some((at(100) + REPROBE_INTERVAL, Timer::Probe)));
    }
    for (address, frame) in claims_and_probes(ETH1_MAC) {
        let mut announcer = probing(&[address]);
        assert_eq!(hear(&mut announcer, &frame, 100), Err(Dropped::Own), "{frame:x?}");
        assert_eq!(announcer.poll_timeout(), Some((at(250), Timer::Probe)));
    }
    for (address, _) in claims_and_probes(OTHER_MAC) {
        let mut announcer = probing(&[address]);
        let elsewhere = by_arp(&arp::Packet::announcement(OTHER_MAC, HOST_V4));
        assert_eq!(hear(&mut announcer, &elsewhere, 100), Err(Dropped::NotOwned));
        assert_eq!(announcer.occupied(), []);
    }
}

#[test]
fn an_occupied_address_is_probed_for_again_and_announced_once_it_is_free() {
    let has = |mac| by_arp(&arp::Packet::announcement(mac, V4));
    let mut announcer = probing(&[V4.into()]);
    assert!(hear(&mut announcer, &has(OTHER_MAC), 100).is_ok());
    assert_eq!(
        hear(&mut announcer, &has(HOST_MAC), 200),
        Err(Dropped::NotAnnounced),
        "not before it is asked"
    );
    assert_eq!(events(&mut announcer), [Event::Occupied(conflict(V4, OTHER_MAC))]);
    // The same station again, then another: only that is news.
    for (ms, mac, news) in [(30_100, OTHER_MAC, None), (60_100, HOST_MAC, Some(HOST_MAC))] {
        assert_eq!(elapse_until(&mut announcer, ms), [(at(ms), TransmitKind::ArpProbe)]);
        assert!(hear(&mut announcer, &has(mac), ms).is_ok());
        let news: Vec<_> = news.map(|mac| Event::Occupied(conflict(V4, mac))).into_iter().collect();
        assert_eq!(events(&mut announcer), news);
        assert_eq!(announcer.occupied(), [conflict(V4, mac)]);
    }
    let probes: Vec<_> = [90_100, 90_350, 90_600].map(|ms| (at(ms), TransmitKind::ArpProbe)).into();
    assert_eq!(elapse_until(&mut announcer, 90_899), probes);
    assert_eq!(announcer.occupied(), [conflict(V4, HOST_MAC)], "until that is known");
    assert_eq!(elapse_until(&mut announcer, 90_900)[0], (at(90_900), TransmitKind::ArpAnnouncement));
    let free = Event::Free { address: V4.into(), interface: name("eth0") };
    assert_eq!((events(&mut announcer), announcer.occupied()), (vec![free], vec![]));
}

#[test]
fn a_late_driver_shortens_no_wait_for_an_answer() {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::Probe, at(0));
    for (late, next) in [(5000, 5250), (7000, 7250), (9000, 9300)] {
        announcer.handle_timeout(at(late));
        assert_eq!(only(&drain(&mut announcer)).kind, TransmitKind::ArpProbe);
        assert_eq!(announcer.poll_timeout(), Some((at(next), Timer::Probe)));
    }
}

#[test]
fn a_probe_that_could_not_be_sent_proves_nothing() {
    let mut announcer = probing(&[V4.into()]);
    let (_, transmits) = elapse(&mut announcer);
    announcer.handle_unsent(only(&transmits), at(250));
    let again = at(250) + PROBE_RETRY;
    assert_eq!(announcer.poll_timeout(), Some((again, Timer::Probe)));
    assert_eq!(elapse_until(&mut announcer, 999).len(), 2, "with the first that is three");
    // An announcement that could not be sent is made up for by the schedule.
    let (due, transmits) = elapse(&mut announcer);
    assert_eq!(due, at(1000), "a second in all");
    announcer.handle_unsent(&transmits[0], at(1000));
    assert_eq!(announcer.poll_timeout(), Some((at(1100), Timer::Announce)));
}

#[test]
fn a_probe_that_was_not_sent_after_all_changes_nothing_about_what_is_known_of_the_address() {
    let mut announcer = probing(&[V4.into()]);
    let (_, transmits) = elapse(&mut announcer);
    assert!(hear(&mut announcer, &by_arp(&arp::Packet::announcement(OTHER_MAC, V4)), 250).is_ok());
    announcer.handle_unsent(only(&transmits), at(250));
    assert_eq!(announcer.poll_timeout(), Some((at(250) + REPROBE_INTERVAL, Timer::Probe)));
}

#[test]
fn a_fellow_that_probes_too_does_not_occupy_the_address() {
    for frame in [
        by_arp(&arp::Packet::probe(OTHER_MAC, V4)),
        ndp_from(OTHER_MAC, &Packet::duplicate_address_detection(V6)),
    ] {
        let mut announcer = with_fellow(probing(&BOTH));
        assert_eq!(hear(&mut announcer, &frame, 100), Err(Dropped::NotAnnounced));
        assert_eq!(announcer.poll_timeout(), Some((at(250), Timer::Probe)));
    }
}

#[test]
fn a_fellow_that_has_the_address_is_given_a_second_and_then_told() {
    let answer = arp_to(ETH0_MAC, &arp::Packet::probe(ETH0_MAC, V4).reply(OTHER_MAC));
    let of_node = Conflict { node: Some("worker-2".into()), ..conflict(V4, OTHER_MAC) };
    for lasts in [false, true] {
        let mut announcer = with_fellow(probing(&[V4.into()]));
        assert_eq!(hear(&mut announcer, &answer, 1), Err(Dropped::Fellow));
        assert_eq!(announcer.occupied(), []);
        assert_eq!(hear(&mut announcer, &answer, 500), Err(Dropped::NotOwned), "it is not being probed for");
        assert_eq!(elapse_until(&mut announcer, 1001), [(at(1001), TransmitKind::ArpProbe)]);
        if lasts {
            assert_eq!(hear(&mut announcer, &answer, 1002), Ok(Handled::Occupied(Protocol::Arp)));
            assert_eq!(events(&mut announcer), [Event::Occupied(of_node.clone())]);
            assert_eq!(announcer.occupied(), core::slice::from_ref(&of_node));
        } else {
            let sent = elapse_until(&mut announcer, 1801);
            assert_eq!(sent[2], (at(1801), TransmitKind::ArpAnnouncement));
            assert_eq!(events(&mut announcer), []);
        }
    }
}

#[test]
fn several_fellows_that_have_the_address_are_told_whichever_answers_first() {
    let mut announcer = probing(&[V4.into()]);
    let fellows = [(OTHER_MAC, "worker-2"), (HOST_MAC, "worker-3")];
    announcer.set_fellows(fellows.map(|(mac, node)| (mac, NodeName::from(node))).into());
    let answer = |mac| arp_to(ETH0_MAC, &arp::Packet::probe(ETH0_MAC, V4).reply(mac));
    assert_eq!(hear(&mut announcer, &answer(OTHER_MAC), 1), Err(Dropped::Fellow));
    elapse_until(&mut announcer, 1001);
    assert_eq!(hear(&mut announcer, &answer(HOST_MAC), 1002), Ok(Handled::Occupied(Protocol::Arp)));
    let of_node = Conflict { node: Some("worker-3".into()), ..conflict(V4, HOST_MAC) };
    assert_eq!(announcer.occupied(), [of_node]);
}

#[test]
fn what_is_not_known_to_be_free_is_shown_until_it_is() {
    let unproven = |announcer: &Announcer| -> Vec<IpAddr> {
        announcer.unproven().iter().map(|(address, _)| *address).collect()
    };
    let mut announcer = probing(&BOTH);
    assert_eq!(unproven(&announcer), BOTH);
    assert!(hear(&mut announcer, &by_arp(&arp::Packet::announcement(OTHER_MAC, V4)), 100).is_ok());
    elapse_until(&mut announcer, 799);
    assert_eq!(unproven(&announcer), BOTH);
    elapse_until(&mut announcer, 900);
    assert_eq!(unproven(&announcer), [IpAddr::V4(V4)], "another has it");
    announcer.set_links(BTreeMap::new(), at(1000));
    assert_eq!(unproven(&announcer), [IpAddr::V4(V4)], "nobody can be asked");
    announcer.set_links([eth0()].into(), at(2000));
    elapse_until(&mut announcer, 2800);
    assert!(unproven(&announcer).is_empty());

    announcer.announce(V4.into(), &on(&["eth0", "eth1"]), Start::Probe, at(3000));
    assert_eq!(unproven(&announcer), [IpAddr::V4(V4)], "on the other interface");
    announcer.withdraw(V4.into());
    assert!(unproven(&announcer).is_empty());
}

#[test]
fn to_announce_again_changes_nothing_however_it_is_said() {
    let mut owned = settled();
    let mut unproven = probing(&[V4.into()]);
    for how in [Start::Probe, Start::TakeOver] {
        for announcer in [&mut owned, &mut unproven] {
            let before = announcer.poll_timeout();
            announcer.announce(V4.into(), &on(&["eth0"]), how, at(9000));
            assert_eq!(announcer.poll_timeout(), before);
        }
    }
    for (how, timer) in [(Start::Probe, Timer::Probe), (Start::TakeOver, Timer::Announce)] {
        let mut announcer = settled();
        announcer.announce(V4.into(), &on(&["eth0", "eth1"]), how, at(9000));
        assert_eq!(announcer.poll_timeout(), Some((at(9000), timer)), "another interface begins as told");
    }
}

#[test]
fn an_interface_that_comes_late_is_listened_to_and_probed_on() {
    let mut announcer = Announcer::default();
    for address in BOTH {
        announcer.announce(address, &on(&["eth0"]), Start::Probe, at(0));
    }
    assert_eq!((announcer.poll_timeout(), announcer.listening().len()), (None, 0));
    announcer.set_links([eth0()].into(), at(5000));
    let listening = announcer.listening().remove(&name("eth0")).unwrap();
    assert_eq!(listening, Listening { index: 2, arp: true, ndp: true, groups: [solicited_node(V6)].into() });
    let probes = [TransmitKind::ArpProbe, TransmitKind::DuplicateAddressDetection];
    let (due, transmits) = elapse(&mut announcer);
    assert_eq!((due, kinds(&transmits)), (at(5000), probes.into()));

    // It went before the address was proven free, and comes again.
    announcer.set_links(BTreeMap::new(), at(5400));
    announcer.set_links([eth0()].into(), at(6000));
    let (due, transmits) = elapse(&mut announcer);
    assert_eq!((due, kinds(&transmits)), (at(6000), probes.into()));

    // And after: the address is ours there.
    elapse_until(&mut announcer, 20_000);
    announcer.set_links(BTreeMap::new(), at(20_000));
    announcer.set_links([eth0()].into(), at(21_000));
    assert_eq!(announcer.poll_timeout(), Some((at(21_000), Timer::Announce)));
}

#[test]
fn what_a_failed_socket_could_not_hear_is_probed_for_again() {
    let mut announcer = probing(&[V4.into()]);
    elapse_until(&mut announcer, 500);
    announcer.reannounce(&name("eth0"), Protocol::Arp, at(600));
    assert_eq!(announcer.poll_timeout(), Some((at(600), Timer::Probe)));
    assert_eq!(elapse_until(&mut announcer, 1399).len(), 3);
}

#[test]
fn an_occupant_is_remembered_while_the_interface_is_away_and_forgotten_with_the_address() {
    let mut announcer = probing(&[V4.into()]);
    assert!(hear(&mut announcer, &by_arp(&arp::Packet::announcement(OTHER_MAC, V4)), 100).is_ok());
    events(&mut announcer);
    announcer.set_links(BTreeMap::new(), at(200));
    assert_eq!(announcer.occupied(), []);
    announcer.set_links([eth0()].into(), at(300));
    assert_eq!(announcer.occupied(), [conflict(V4, OTHER_MAC)]);
    announcer.withdraw(V4.into());
    assert_eq!((announcer.occupied(), announcer.poll_timeout()), (vec![], None));
    announcer.announce(V4.into(), &on(&["eth0"]), Start::Probe, at(400));
    elapse_until(&mut announcer, 1200);
    assert_eq!(events(&mut announcer), []);
}

#[test]
fn a_thousand_addresses_are_probed_for_and_announced_within_a_second() {
    let mut announcer = announcer();
    for host in 0..1000 {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host));
        announcer.announce(address, &on(&["eth0"]), Start::Probe, at(0));
    }
    let sent = elapse_until(&mut announcer, 1000);
    let count = |kind| sent.iter().filter(|(_, sent)| *sent == kind).count();
    assert_eq!(count(TransmitKind::ArpProbe), 3000);
    assert!(count(TransmitKind::ArpAnnouncement) >= 1000);
}

#[test]
fn what_another_node_had_is_taken_over_when_that_lets_go_and_a_hosts_or_nobodys_is_not() {
    let answer = |mac| arp_to(ETH0_MAC, &arp::Packet::probe(ETH0_MAC, V4).reply(mac));
    let reasserted = |heard: &[(MacAddr, u64)]| {
        let mut announcer = with_fellow(probing(&[V4.into()]));
        for (mac, ms) in heard {
            elapse_until(&mut announcer, *ms);
            hear(&mut announcer, &answer(*mac), *ms).ok();
        }
        announcer.reassert(V4.into(), at(1_500));
        announcer.poll_timeout()
    };
    let at_once = Some((at(1_500), Timer::Announce));
    assert_eq!(reasserted(&[(OTHER_MAC, 1)]), at_once, "heard once");
    assert_eq!(reasserted(&[(OTHER_MAC, 1), (OTHER_MAC, 1_010)]), at_once, "found to have it");
    assert_eq!(reasserted(&[(HOST_MAC, 1)]), Some((at(1) + REPROBE_INTERVAL, Timer::Probe)), "a host has it");
    assert_eq!(reasserted(&[]).map(|(_, timer)| timer), Some(Timer::Probe), "it is still asked for");
}
