use super::*;
use crate::rate::{REPLIES_BURST, REPLIES_PER_ASKER_BURST};
use crate::schedule::{BURST, REFRESH_INTERVAL};
use crate::verdict::{Conflict, Dropped, Handled, TransmitKind};
use core::net::Ipv4Addr;
use ferrolb_vocab::{IpPrefix, LinkAddress};
use ferrolb_wire::cursor::Reader;
use ferrolb_wire::ethernet::{EtherType, Header, multicast_mac};
use ferrolb_wire::ndp::{Advertisement, Message, Packet, Solicitation};
use ferrolb_wire::{arp, ipv6};
use std::vec;

mod conflicts;
mod probing;
mod properties;

const ETH0_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);
const ETH1_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x11]);
const HOST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x77]);
const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const HOST_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50);
const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn name(interface: &str) -> InterfaceName {
    interface.into()
}

fn on(interfaces: &[&str]) -> BTreeSet<InterfaceName> {
    interfaces.iter().map(|interface| name(interface)).collect()
}

fn eth0() -> (InterfaceName, LinkState) {
    (name("eth0"), LinkState { index: 2, mac: ETH0_MAC, has_link_local: true })
}

/// An interface without IPv6.
fn eth1() -> (InterfaceName, LinkState) {
    (name("eth1"), LinkState { index: 3, mac: ETH1_MAC, has_link_local: false })
}

fn announcer() -> Announcer {
    let mut announcer = Announcer::default();
    announcer.set_fellows(BTreeMap::new());
    announcer.set_links([eth0(), eth1()].into(), at(0));
    announcer
}

/// One that owns both addresses on eth0 and has announced them long ago.
fn settled() -> Announcer {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    announcer.announce(V6.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    while announcer.poll_timeout().is_some_and(|(_, timer)| timer == Timer::Announce) {
        elapse(&mut announcer);
    }
    announcer
}

/// Lets time pass until the next timer, and returns when that is and what is sent.
fn elapse(announcer: &mut Announcer) -> (Instant, Vec<Transmit>) {
    let (due, _) = announcer.poll_timeout().unwrap();
    announcer.handle_timeout(due);
    (due, drain(announcer))
}

fn hear(announcer: &mut Announcer, frame: &[u8], ms: u64) -> Result<Handled, Dropped> {
    announcer.handle_packet(&name("eth0"), frame, at(ms))
}

fn drain(announcer: &mut Announcer) -> Vec<Transmit> {
    core::iter::from_fn(|| announcer.poll_transmit()).collect()
}

fn events(announcer: &mut Announcer) -> Vec<Event> {
    core::iter::from_fn(|| announcer.poll_event()).collect()
}

/// What is told of the station `mac` that has `address`.
fn conflict(address: impl Into<IpAddr>, mac: MacAddr) -> Conflict {
    Conflict { address: address.into(), mac, node: None, interface: name("eth0") }
}

/// An announcer that knows `OTHER_MAC` as another node's.
fn with_fellow(mut announcer: Announcer) -> Announcer {
    announcer.set_fellows([(OTHER_MAC, NodeName::from("worker-2"))].into());
    announcer
}

fn kinds(transmits: &[Transmit]) -> Vec<TransmitKind> {
    transmits.iter().map(|transmit| transmit.kind).collect()
}

fn only(transmits: &[Transmit]) -> &Transmit {
    assert_eq!(transmits.len(), 1, "{transmits:?}");
    &transmits[0]
}

fn parsed_arp(transmit: &Transmit) -> (Header, arp::Packet) {
    let mut reader = Reader::new(&transmit.frame);
    let header = Header::parse(&mut reader).unwrap();
    assert_eq!(header.ether_type, EtherType::ARP);
    (header, arp::Packet::parse(reader.rest()).unwrap())
}

fn parsed_ndp(transmit: &Transmit) -> (Header, Packet) {
    let mut reader = Reader::new(&transmit.frame);
    let header = Header::parse(&mut reader).unwrap();
    assert_eq!(header.ether_type, EtherType::IPV6);
    (header, Packet::parse(reader.rest()).unwrap())
}

fn arp_to(destination: MacAddr, packet: &arp::Packet) -> Vec<u8> {
    Header { destination, source: packet.sender_hardware, ether_type: EtherType::ARP }.frame(&packet.emit())
}

fn ndp_from(source: MacAddr, packet: &Packet) -> Vec<u8> {
    let destination =
        if packet.destination.is_multicast() { multicast_mac(packet.destination) } else { ETH0_MAC };
    Header { destination, source, ether_type: EtherType::IPV6 }.frame(&packet.emit())
}

fn solicitation(source: Ipv6Addr, destination: Ipv6Addr, source_link_layer: Option<MacAddr>) -> Packet {
    let message = Message::Solicitation(Solicitation { target: V6, source_link_layer });
    Packet { source, destination, message }
}

fn advertisement(target: Ipv6Addr, target_link_layer: Option<MacAddr>) -> Packet {
    Packet {
        source: HOST_V6,
        destination: ipv6::ALL_NODES,
        message: Message::Advertisement(Advertisement {
            router: false,
            solicited: false,
            override_flag: true,
            target,
            target_link_layer,
        }),
    }
}

#[test]
fn a_broadcast_and_a_unicast_request_are_answered_to_the_sender() {
    // rfc826 Packet Reception: "Swap hardware and protocol fields, putting the local hardware
    // and protocol addresses in the sender fields."
    let request = arp::Packet::request(HOST_MAC, HOST_V4, V4);
    for destination in [MacAddr::BROADCAST, ETH0_MAC] {
        let mut announcer = settled();
        let handled = announcer.handle_packet(&name("eth0"), &arp_to(destination, &request), at(9000));
        assert_eq!(handled, Ok(Handled::Request(Protocol::Arp)));
        let transmits = drain(&mut announcer);
        let (header, reply) = parsed_arp(only(&transmits));
        assert_eq!(transmits[0].interface, name("eth0"));
        assert_eq!((header.destination, header.source), (HOST_MAC, ETH0_MAC));
        assert_eq!(reply, request.reply(ETH0_MAC));
    }
}

#[test]
fn a_probe_for_an_owned_address_is_answered() {
    // rfc5227 2.1.1: a reply whose sender IP address is the address probed for makes it taken.
    let mut announcer = settled();
    let probe = arp_to(MacAddr::BROADCAST, &arp::Packet::probe(HOST_MAC, V4));
    assert_eq!(announcer.handle_packet(&name("eth0"), &probe, at(9000)), Ok(Handled::Request(Protocol::Arp)));
    let transmits = drain(&mut announcer);
    let (header, reply) = parsed_arp(only(&transmits));
    assert_eq!(header.destination, HOST_MAC);
    assert_eq!((reply.sender_ip, reply.target_ip), (V4, Ipv4Addr::UNSPECIFIED));
    assert_eq!(announcer.poll_event(), None, "a probe claims nothing");
}

#[test]
fn arp_packets_that_are_not_for_us_have_no_effect() {
    let request = |target| arp::Packet::request(HOST_MAC, HOST_V4, target);
    let broadcast = MacAddr::BROADCAST;
    let cases = [
        ("eth0", arp_to(broadcast, &request(HOST_V4)), Dropped::NotOwned),
        ("eth1", arp_to(broadcast, &request(V4)), Dropped::OtherInterface),
        ("eth2", arp_to(broadcast, &request(V4)), Dropped::UnknownInterface),
        ("eth0", arp_to(OTHER_MAC, &request(V4)), Dropped::OtherDestination),
        ("eth0", arp_to(multicast_mac(ipv6::ALL_NODES), &request(V4)), Dropped::OtherDestination),
        ("eth0", arp_to(broadcast, &arp::Packet::request(ETH0_MAC, V4, V4)), Dropped::Own),
        ("eth0", arp_to(broadcast, &arp::Packet::request(ETH1_MAC, HOST_V4, V4)), Dropped::Own),
        ("eth0", arp_to(broadcast, &request(V4).reply(ETH1_MAC)), Dropped::Own),
        ("eth0", arp_to(ETH0_MAC, &request(HOST_V4).reply(OTHER_MAC)), Dropped::NotOwned),
    ];
    for (case, (interface, frame, dropped)) in cases.into_iter().enumerate() {
        let mut announcer = settled();
        assert_eq!(announcer.handle_packet(&name(interface), &frame, at(9000)), Err(dropped), "case {case}");
        assert_eq!(drain(&mut announcer), vec![], "case {case}");
        assert_eq!(announcer.poll_event(), None, "case {case}");
    }
}

#[test]
fn malformed_frames_are_dropped_with_the_reason_of_the_codec() {
    let mut announcer = settled();
    let mut reason = |frame: &[u8]| {
        announcer.handle_packet(&name("eth0"), frame, at(9000)).map_err(|dropped| dropped.reason())
    };
    let header = |ether_type| Header { destination: ETH0_MAC, source: HOST_MAC, ether_type };
    assert_eq!(reason(&[0; 13]), Err("EthernetTruncated"));
    assert_eq!(reason(&header(EtherType(0x0800)).frame(&[])), Err("EtherType"));
    assert_eq!(reason(&header(EtherType::ARP).frame(&[0, 1])), Err("ArpTruncated"));
    assert_eq!(reason(&header(EtherType::IPV6).frame(&[0x60])), Err("Ipv6Truncated"));
}

#[test]
fn a_multicast_solicitation_is_answered_with_solicited_and_override() {
    // rfc4861 7.2.4: "If the source of the solicitation is [not] the unspecified address … the
    // node MUST set the Solicited flag to one and unicast the advertisement"; Override "SHOULD
    // be set to one" for a unicast address with the Target Link-Layer Address option.
    let mut announcer = settled();
    let packet = solicitation(HOST_V6, solicited_node(V6), Some(OTHER_MAC));
    let handled = announcer.handle_packet(&name("eth0"), &ndp_from(HOST_MAC, &packet), at(9000));
    assert_eq!(handled, Ok(Handled::Request(Protocol::Ndp)));
    let transmits = drain(&mut announcer);
    let (header, answer) = parsed_ndp(only(&transmits));
    assert_eq!((header.destination, header.source), (OTHER_MAC, ETH0_MAC), "to the option's address");
    assert_eq!((answer.source, answer.destination), (V6, HOST_V6));
    let expected = Advertisement {
        router: false,
        solicited: true,
        override_flag: true,
        target: V6,
        target_link_layer: Some(ETH0_MAC),
    };
    assert_eq!(answer.message, Message::Advertisement(expected));
}

#[test]
fn a_unicast_solicitation_without_link_layer_address_is_answered_to_where_it_came_from() {
    // rfc4861 7.3.3 sends it for Neighbor Unreachability Detection; 4.3 lets it omit the option.
    let mut announcer = settled();
    let packet = solicitation(HOST_V6, V6, None);
    let handled = announcer.handle_packet(&name("eth0"), &ndp_from(HOST_MAC, &packet), at(9000));
    assert_eq!(handled, Ok(Handled::Request(Protocol::Ndp)));
    let transmits = drain(&mut announcer);
    let (header, answer) = parsed_ndp(only(&transmits));
    assert_eq!((header.destination, answer.destination), (HOST_MAC, HOST_V6));
}

#[test]
fn duplicate_address_detection_of_an_owned_address_is_answered_to_all_nodes() {
    // rfc4861 7.2.4: "If the source of the solicitation is the unspecified address, the node
    // MUST set the Solicited flag to zero and multicast the advertisement to the all-nodes
    // address."
    let mut announcer = settled();
    let packet = solicitation(Ipv6Addr::UNSPECIFIED, solicited_node(V6), None);
    let handled = announcer.handle_packet(&name("eth0"), &ndp_from(HOST_MAC, &packet), at(9000));
    assert_eq!(handled, Ok(Handled::Request(Protocol::Ndp)));
    let transmits = drain(&mut announcer);
    let (header, answer) = parsed_ndp(only(&transmits));
    assert_eq!(header.destination, multicast_mac(ipv6::ALL_NODES));
    assert_eq!(answer.destination, ipv6::ALL_NODES);
    assert!(matches!(
        answer.message,
        Message::Advertisement(Advertisement { solicited: false, override_flag: true, target: V6, .. })
    ));
    assert_eq!(announcer.poll_event(), None);
}

#[test]
fn an_address_is_announced_at_once_and_then_by_the_schedule() {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(500));
    assert_eq!(announcer.poll_timeout(), Some((at(500), Timer::Announce)));
    for offset in BURST {
        let (due, transmits) = elapse(&mut announcer);
        assert_eq!(due, at(500) + offset);
        assert_eq!(kinds(&transmits), [TransmitKind::ArpAnnouncement, TransmitKind::ArpAnnouncementReply]);
        for (transmit, expected) in transmits
            .iter()
            .zip([arp::Packet::announcement(ETH0_MAC, V4), arp::Packet::announcement_reply(ETH0_MAC, V4)])
        {
            let (header, packet) = parsed_arp(transmit);
            assert_eq!((header.destination, header.source), (MacAddr::BROADCAST, ETH0_MAC));
            assert_eq!(packet, expected);
        }
    }
    let (first, _) = announcer.poll_timeout().unwrap();
    assert!((at(4500) + REFRESH_INTERVAL / 2..=at(4500) + REFRESH_INTERVAL).contains(&first));
    for refresh in 0..3 {
        let (next, timer) = announcer.poll_timeout().unwrap();
        assert_eq!(timer, Timer::Refresh);
        assert_eq!(next, first + REFRESH_INTERVAL * refresh);
        let (_, transmits) = elapse(&mut announcer);
        assert_eq!(only(&transmits).kind, TransmitKind::ArpAnnouncement);
    }
}

#[test]
fn addresses_gained_together_are_refreshed_apart_so_that_one_gained_meanwhile_need_not_wait() {
    let numbered = [
        |host: u16| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(host))),
        |host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)),
    ];
    for address in numbered {
        let mut announcer = announcer();
        for host in 0..5000 {
            announcer.announce(address(host), &on(&["eth0"]), Start::TakeOver, at(0));
        }
        while announcer.poll_timeout().is_some_and(|(_, timer)| timer == Timer::Announce) {
            elapse(&mut announcer);
        }
        let (mut window, mut sent) = (at(0), 0);
        for _ in 0..10_000 {
            let (now, transmits) = elapse(&mut announcer);
            if now > window + ANNOUNCE_PACE {
                (window, sent) = (now, 0);
            }
            sent += transmits.len();
            assert!(sent <= ANNOUNCE_BATCH / 10, "{sent} within {ANNOUNCE_PACE:?} at {now:?}");
        }
    }
}

#[test]
fn an_ipv6_address_is_announced_by_unsolicited_advertisements() {
    // rfc4861 7.2.6: to all nodes, Solicited zero, Override one.
    let mut announcer = announcer();
    announcer.announce(V6.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    let (_, transmits) = elapse(&mut announcer);
    let (header, packet) = parsed_ndp(only(&transmits));
    assert_eq!((header.destination, header.source), (multicast_mac(ipv6::ALL_NODES), ETH0_MAC));
    assert_eq!((packet.source, packet.destination), (V6, ipv6::ALL_NODES));
    let expected = Advertisement {
        router: false,
        solicited: false,
        override_flag: true,
        target: V6,
        target_link_layer: Some(ETH0_MAC),
    };
    assert_eq!(packet.message, Message::Advertisement(expected));
}

#[test]
fn a_late_driver_announces_once_and_goes_on_with_the_schedule() {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    announcer.handle_timeout(at(1500));
    assert_eq!(drain(&mut announcer).len(), 2);
    assert_eq!(announcer.poll_timeout(), Some((at(2000), Timer::Announce)));
}

#[test]
fn to_announce_again_changes_nothing_and_another_interface_gets_its_own_burst() {
    let mut announcer = settled();
    let before = announcer.poll_timeout();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(9000));
    assert_eq!(announcer.poll_timeout(), before);
    announcer.announce(V4.into(), &on(&["eth0", "eth1"]), Start::TakeOver, at(9000));
    assert_eq!(announcer.poll_timeout(), Some((at(9000), Timer::Announce)));
    let (_, transmits) = elapse(&mut announcer);
    assert_eq!(transmits.len(), 2);
    assert!(transmits.iter().all(|transmit| transmit.interface == name("eth1")));
}

#[test]
fn an_interface_taken_from_the_set_falls_silent_and_the_others_go_on() {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0", "eth1"]), Start::TakeOver, at(0));
    announcer.handle_timeout(at(0));
    announcer.announce(V4.into(), &on(&["eth1"]), Start::TakeOver, at(0));
    assert!(drain(&mut announcer).iter().all(|transmit| transmit.interface == name("eth1")));
    let request = arp_to(MacAddr::BROADCAST, &arp::Packet::request(HOST_MAC, HOST_V4, V4));
    assert_eq!(announcer.handle_packet(&name("eth0"), &request, at(1)), Err(Dropped::OtherInterface));
    let (_, transmits) = elapse(&mut announcer);
    assert!(transmits.iter().all(|transmit| transmit.interface == name("eth1")));
}

#[test]
fn nothing_is_sent_after_a_withdrawal_not_even_what_was_queued() {
    let mut announcer = announcer();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    announcer.handle_timeout(at(0));
    announcer.withdraw(V4.into());
    assert_eq!(announcer.poll_transmit(), None);
    assert_eq!(announcer.poll_timeout(), None);
    assert!(announcer.listening().is_empty());
    let request = arp_to(MacAddr::BROADCAST, &arp::Packet::request(HOST_MAC, HOST_V4, V4));
    assert_eq!(announcer.handle_packet(&name("eth0"), &request, at(1)), Err(Dropped::NotOwned));
}

#[test]
fn a_late_interface_is_announced_on_and_listened_to() {
    let mut announcer = Announcer::default();
    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    announcer.announce(V6.into(), &on(&["eth0"]), Start::TakeOver, at(0));
    assert_eq!(announcer.poll_timeout(), None, "there is no interface yet");
    assert!(announcer.listening().is_empty());

    let without_ipv6 = LinkState { has_link_local: false, ..eth0().1 };
    announcer.set_links([(name("eth0"), without_ipv6)].into(), at(100));
    assert_eq!(only(&elapse(&mut announcer).1[..1]).address, IpAddr::V4(V4));
    let listening = announcer.listening();
    assert_eq!(
        listening[&name("eth0")],
        Listening { index: 2, arp: true, ndp: false, groups: BTreeSet::new() }
    );

    // Duplicate Address Detection of the link-local address takes its time.
    announcer.set_links([eth0()].into(), at(1150));
    announcer.handle_timeout(at(1150));
    let transmits = drain(&mut announcer);
    let v6: Vec<_> = transmits.iter().filter(|transmit| transmit.address == IpAddr::V6(V6)).collect();
    assert_eq!(v6.len(), 1, "{transmits:?}");
    let groups = BTreeSet::from([solicited_node(V6)]);
    assert_eq!(announcer.listening()[&name("eth0")], Listening { index: 2, arp: true, ndp: true, groups });
}

#[test]
fn who_stands_by_listens_although_it_owns_nothing() {
    let mut announcer = Announcer::default();
    let standby = [IpFamily::V4, IpFamily::V6].map(|family| (name("eth0"), family));
    announcer.stand_by(standby.into());
    assert!(announcer.listening().is_empty(), "there is no interface yet");
    let without_ipv6 = LinkState { has_link_local: false, ..eth0().1 };
    announcer.set_links([(name("eth0"), without_ipv6)].into(), at(0));
    let nothing = Listening { index: 2, arp: true, ndp: false, groups: BTreeSet::new() };
    assert_eq!(announcer.listening()[&name("eth0")], nothing);
    announcer.set_links([eth0()].into(), at(1));
    let waiting = Listening { ndp: true, ..nothing };
    assert_eq!(announcer.listening()[&name("eth0")], waiting);
    assert_eq!((announcer.poll_timeout(), announcer.poll_transmit()), (None, None));

    announcer.announce(V4.into(), &on(&["eth0"]), Start::TakeOver, at(2));
    assert_eq!(announcer.listening()[&name("eth0")], waiting, "nothing is opened for it");
    announcer.withdraw(V4.into());
    announcer.stand_by(BTreeSet::new());
    assert!(announcer.listening().is_empty());
}

#[test]
fn an_interface_that_comes_back_or_is_another_is_announced_on_again() {
    let cases = [
        ("carrier lost and found", None),
        ("another index", Some(LinkState { index: 9, ..eth0().1 })),
        ("another MAC", Some(LinkState { mac: OTHER_MAC, ..eth0().1 })),
    ];
    for (case, other) in cases {
        let mut announcer = settled();
        announcer.set_links(other.map(|link| (name("eth0"), link)).into_iter().collect(), at(9000));
        if other.is_none() {
            assert_eq!(announcer.poll_timeout(), None, "{case}");
            assert!(announcer.listening().is_empty(), "{case}");
            announcer.set_links([eth0()].into(), at(9000));
        }
        let (due, transmits) = elapse(&mut announcer);
        assert_eq!((due, transmits.len()), (at(9000), 3), "{case}");
        let mac = other.map_or(ETH0_MAC, |link| link.mac);
        for transmit in &transmits {
            let source = Header::parse(&mut Reader::new(&transmit.frame)).unwrap().source;
            assert_eq!(source, mac, "{case}");
        }
    }
}

#[test]
fn a_change_elsewhere_restarts_nothing() {
    let mut announcer = settled();
    let before = announcer.poll_timeout();
    announcer.set_links([eth0()].into(), at(9000));
    announcer.set_links([eth0(), eth1()].into(), at(9001));
    assert_eq!(announcer.poll_timeout(), before);
}

#[test]
fn what_a_failed_socket_lost_is_announced_again() {
    let mut announcer = settled();
    announcer.reannounce(&name("eth1"), Protocol::Arp, at(9000));
    assert!(announcer.poll_timeout().unwrap().0 > at(9000), "nothing is owned there");
    announcer.reannounce(&name("eth0"), Protocol::Ndp, at(9000));
    let (due, transmits) = elapse(&mut announcer);
    assert_eq!((due, only(&transmits).address), (at(9000), IpAddr::V6(V6)));
}

#[test]
fn a_flood_of_requests_is_answered_up_to_the_bound() {
    let mut announcer = settled();
    let mut answered = |hosts: core::ops::Range<u16>, ms| {
        let mut count = 0;
        for host in hosts {
            let [high, low] = host.to_be_bytes();
            let mac = MacAddr([2, 0, 0, 1, high, low]);
            let request = arp_to(MacAddr::BROADCAST, &arp::Packet::request(mac, HOST_V4, V4));
            for _ in 0..REPLIES_PER_ASKER_BURST + 1 {
                match announcer.handle_packet(&name("eth0"), &request, at(ms)) {
                    Ok(_) => count += u32::try_from(drain(&mut announcer).len()).unwrap(),
                    Err(dropped) => assert_eq!(dropped, Dropped::RateLimited),
                }
            }
        }
        count
    };
    assert_eq!(answered(0..1, 9000), REPLIES_PER_ASKER_BURST, "one has its share");
    assert_eq!(answered(1..9, 9000), REPLIES_BURST - REPLIES_PER_ASKER_BURST, "all have theirs");
    assert!(answered(0..1, 9100) > 0);
}

#[test]
fn a_driver_that_does_not_drain_costs_replies_and_no_memory() {
    let mut announcer = settled();
    let request = arp_to(MacAddr::BROADCAST, &arp::Packet::request(HOST_MAC, HOST_V4, V4));
    let dropped =
        (9000..19_000).find_map(|ms| announcer.handle_packet(&name("eth0"), &request, at(ms)).err());
    assert_eq!(dropped, Some(Dropped::QueueFull));
    assert_eq!(drain(&mut announcer).len(), TRANSMIT_QUEUE_MAX);
}

#[test]
fn many_addresses_are_announced_in_paced_batches_and_none_is_forgotten() {
    let mut announcer = announcer();
    let addresses: BTreeSet<IpAddr> =
        (0..1000).map(|host| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host))).collect();
    for address in &addresses {
        announcer.announce(*address, &on(&["eth0"]), Start::TakeOver, at(0));
    }
    let mut announced = BTreeSet::new();
    while announced != addresses {
        let (due, transmits) = elapse(&mut announcer);
        assert!(due < at(100), "all are announced once within 100 ms");
        assert!(transmits.len() <= 2 * ANNOUNCE_BATCH);
        announced.extend(transmits.iter().map(|transmit| transmit.address));
    }
}

#[test]
fn a_link_is_usable_when_up_with_carrier_and_a_mac() {
    let address = |text: &str| LinkAddress {
        address: text.parse().unwrap(),
        prefix: IpPrefix::containing(text.parse().unwrap(), 64).unwrap(),
    };
    let link = Link {
        index: 2,
        name: name("eth0"),
        mac: Some(ETH0_MAC),
        flags: [LinkFlag::Up, LinkFlag::Carrier].into(),
        addresses: vec![address("2001:db8::1"), address("fe80::10")],
    };
    assert_eq!(LinkState::of(&link), Some(eth0().1));
    let without =
        |flag| Link { flags: link.flags.iter().copied().filter(|f| *f != flag).collect(), ..link.clone() };
    assert_eq!(LinkState::of(&without(LinkFlag::Up)), None);
    assert_eq!(LinkState::of(&without(LinkFlag::Carrier)), None);
    assert_eq!(LinkState::of(&Link { mac: None, ..link.clone() }), None);
    let global_only = Link { addresses: vec![address("2001:db8::1")], ..link };
    assert!(!LinkState::of(&global_only).unwrap().has_link_local);
}
