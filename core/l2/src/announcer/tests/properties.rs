//! Whatever happens in whatever order, against a model that only remembers who owns what.

use super::*;
use crate::schedule::PROBE_NUM;
use crate::verdict::Purpose;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Announce {
        address: IpAddr,
        interfaces: BTreeSet<InterfaceName>,
        how: Start,
    },
    Withdraw(IpAddr),
    SetLinks(BTreeMap<InterfaceName, LinkState>),
    Reannounce(InterfaceName, Protocol),
    Hear {
        interface: InterfaceName,
        frame: Vec<u8>,
    },
    Elapse(Duration),
    Fellows(BTreeSet<MacAddr>),
    Drain,
    /// The driver can send nothing.
    Lose,
}

fn interface() -> impl Strategy<Value = InterfaceName> {
    prop_oneof![Just(name("eth0")), Just(name("eth1")), Just(name("eth2"))]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (48_u8..52).prop_map(|host| IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))),
        (0x50_u16..0x54).prop_map(|host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host))),
    ]
}

fn how() -> impl Strategy<Value = Start> {
    prop_oneof![Just(Start::Probe), Just(Start::TakeOver)]
}

fn host(octet: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, octet])
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let request = move |(sender, address, announce): (u8, IpAddr, bool)| match address {
        IpAddr::V4(v4) => {
            let sender_ip = if announce { v4 } else { HOST_V4 };
            arp_to(MacAddr::BROADCAST, &arp::Packet::request(host(sender), sender_ip, v4))
        }
        IpAddr::V6(v6) if announce => ndp_from(host(sender), &advertisement(v6, Some(host(sender)))),
        IpAddr::V6(v6) => ndp_from(
            host(sender),
            &Packet {
                source: HOST_V6,
                destination: solicited_node(v6),
                message: Message::Solicitation(Solicitation { target: v6, source_link_layer: None }),
            },
        ),
    };
    prop_oneof![
        4 => (0x0e_u8..0x14, address(), any::<bool>()).prop_map(request),
        1 => any::<Vec<u8>>(),
    ]
}

fn links() -> impl Strategy<Value = BTreeMap<InterfaceName, LinkState>> {
    let link = (1_u32..4, 0x0e_u8..0x14, any::<bool>()).prop_map(|(index, mac, ipv6)| LinkState {
        index,
        mac: MacAddr([2, 0, 0, 0, 0, mac]),
        has_link_local: ipv6,
    });
    proptest::collection::btree_map(interface(), link, 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let interfaces = || proptest::collection::btree_set(interface(), 0..3);
    prop_oneof![
        3 => (address(), interfaces(), how())
            .prop_map(|(address, interfaces, how)| Step::Announce { address, interfaces, how }),
        1 => address().prop_map(Step::Withdraw),
        2 => links().prop_map(Step::SetLinks),
        1 => (interface(), prop_oneof![Just(Protocol::Arp), Just(Protocol::Ndp)])
            .prop_map(|(interface, protocol)| Step::Reannounce(interface, protocol)),
        4 => (interface(), frame()).prop_map(|(interface, frame)| Step::Hear { interface, frame }),
        4 => (0_u64..3000).prop_map(|ms| Step::Elapse(Duration::from_millis(ms))),
        1 => proptest::collection::btree_set((0x0e_u8..0x14).prop_map(host), 0..3).prop_map(Step::Fellows),
        4 => Just(Step::Drain),
        1 => Just(Step::Lose),
    ]
}

#[derive(Default)]
struct Model {
    owned: BTreeMap<IpAddr, BTreeMap<InterfaceName, Start>>,
    /// How many probes went out since an address was owned on an interface.
    probes: BTreeMap<(IpAddr, InterfaceName), u32>,
    links: BTreeMap<InterfaceName, LinkState>,
}

impl Model {
    fn announce(&mut self, address: IpAddr, interfaces: &BTreeSet<InterfaceName>, how: Start) {
        let owned = self.owned.entry(address).or_default();
        owned.retain(|interface, _| interfaces.contains(interface));
        for interface in interfaces {
            owned.entry(interface.clone()).or_insert(how);
        }
        self.probes.retain(|(probed, interface), _| *probed != address || owned.contains_key(interface));
    }

    fn drain(&mut self, announcer: &mut Announcer) -> Result<(), TestCaseError> {
        while let Some(transmit) = announcer.poll_transmit() {
            self.check(&transmit)?;
        }
        while announcer.poll_event().is_some() {}
        Ok(())
    }

    /// Every frame sent speaks for an address owned on that interface, from its own MAC, and only
    /// after it was probed for if it had to be.
    fn check(&mut self, transmit: &Transmit) -> Result<(), TestCaseError> {
        let start = self.owned.get(&transmit.address).and_then(|on| on.get(&transmit.interface)).copied();
        prop_assert!(start.is_some(), "{:?}", transmit);
        let probes = self.probes.entry((transmit.address, transmit.interface.clone())).or_default();
        let is_probe = transmit.kind.purpose() == Purpose::Probe;
        *probes += u32::from(is_probe);
        prop_assert!(is_probe || start == Some(Start::TakeOver) || *probes >= PROBE_NUM, "{:?}", transmit);
        let mac = self.links[&transmit.interface].mac;
        let source = Header::parse(&mut Reader::new(&transmit.frame)).unwrap().source;
        prop_assert_eq!(source, mac);
        match transmit.address {
            IpAddr::V4(v4) => {
                let (_, packet) = parsed_arp(transmit);
                let sender_ip = if is_probe { Ipv4Addr::UNSPECIFIED } else { v4 };
                prop_assert_eq!((packet.sender_ip, packet.sender_hardware), (sender_ip, mac));
            }
            IpAddr::V6(v6) => match parsed_ndp(transmit).1.message {
                Message::Solicitation(solicitation) => {
                    prop_assert!(is_probe && solicitation.source_link_layer.is_none());
                }
                Message::Advertisement(advertisement) => {
                    let claimed = (advertisement.target, advertisement.target_link_layer);
                    prop_assert_eq!((is_probe, claimed), (false, (v6, Some(mac))));
                }
            },
        }
        Ok(())
    }

    /// Every address owned on an interface that can carry it will be announced there, unasked.
    fn check_listening(&self, announcer: &Announcer) -> Result<(), TestCaseError> {
        let mut expected: BTreeMap<&InterfaceName, Listening> = BTreeMap::new();
        for (address, interfaces) in &self.owned {
            for interface in interfaces.keys() {
                let Some(link) = self.links.get(interface) else { continue };
                if address.is_ipv6() && !link.has_link_local {
                    continue;
                }
                let nothing =
                    Listening { index: link.index, arp: false, ndp: false, groups: BTreeSet::new() };
                let listening = expected.entry(interface).or_insert(nothing);
                match address {
                    IpAddr::V4(_) => listening.arp = true,
                    IpAddr::V6(v6) => {
                        listening.ndp = true;
                        listening.groups.insert(solicited_node(*v6));
                    }
                }
            }
        }
        prop_assert_eq!(announcer.listening(), expected.clone());
        prop_assert_eq!(announcer.poll_timeout().is_some(), !expected.is_empty());
        Ok(())
    }
}

proptest! {
    #[test]
    fn nothing_is_ever_sent_for_an_address_that_is_not_owned_there(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut announcer = Announcer::default();
        let mut model = Model::default();
        let mut now = at(0);
        for step in steps {
            match step {
                Step::Announce { address, interfaces, how } => {
                    announcer.announce(address, &interfaces, how, now);
                    model.announce(address, &interfaces, how);
                }
                Step::Withdraw(address) => {
                    announcer.withdraw(address);
                    model.announce(address, &BTreeSet::new(), Start::TakeOver);
                }
                Step::Fellows(fellows) => {
                    let named = |mac| (mac, NodeName::from("worker-2"));
                    announcer.set_fellows(fellows.into_iter().map(named).collect());
                }
                Step::SetLinks(links) => {
                    announcer.set_links(links.clone(), now);
                    model.links = links;
                }
                Step::Reannounce(interface, protocol) => announcer.reannounce(&interface, protocol, now),
                Step::Hear { interface, frame } => {
                    let handled = announcer.handle_packet(&interface, &frame, now);
                    prop_assert!(handled.is_err() || model.links.contains_key(&interface));
                }
                Step::Elapse(time) => {
                    // No driver sleeps before it has sent what it has.
                    model.drain(&mut announcer)?;
                    now = now + time;
                    announcer.handle_timeout(now);
                }
                Step::Drain => model.drain(&mut announcer)?,
                Step::Lose => {
                    while let Some(transmit) = announcer.poll_transmit() {
                        announcer.handle_unsent(&transmit, now);
                    }
                }
            }
            model.check_listening(&announcer)?;
        }
    }

    #[test]
    fn arbitrary_frames_never_panic(ether_type in prop_oneof![Just(0x0806_u16), Just(0x86dd), any::<u16>()],
                                    payload: Vec<u8>) {
        let mut announcer = settled();
        let header = Header { destination: ETH0_MAC, source: HOST_MAC, ether_type: EtherType(ether_type) };
        let dropped = announcer.handle_packet(&name("eth0"), &header.frame(&payload), at(9000));
        prop_assert!(dropped.is_err_and(|dropped| !dropped.reason().is_empty()));
    }
}
