//! Who the router at the other end of a link is, and that it learns the same of this host: Router Discovery,
//! RFC 4861 §6, between the two ends of an unnumbered BGP session.
//!
//! Each end advertises itself as a router that is nobody's default (Router Lifetime zero) and takes the
//! other's link-local address from where its advertisements come from. The link has two ends: of several
//! routers the first that is heard is the one, for as long as it can be expected to be there, and another
//! is told of.

use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::time::Duration;

use ferrolb_vocab::{Instant, MacAddr};
use ferrolb_wire::cursor::Reader;
use ferrolb_wire::ethernet::{EtherType, Header, multicast_mac};
use ferrolb_wire::ipv6;
use ferrolb_wire::ndp::router::{Advertisement, Message, Packet, Solicitation};

/// The group that solicitations come to, which is to be joined.
pub const SOLICITED_GROUP: Ipv6Addr = ipv6::ALL_ROUTERS;

/// The time between two advertisements: as long as FRR's on a link with an unnumbered peer. It is within what
/// RFC 4861 §6.2.1 allows `MaxRtrAdvInterval` to be, 4 to 1800 s.
pub const ADVERTISEMENT_INTERVAL: Duration = Duration::from_secs(10);

/// The least time between two advertisements, however often they are asked for: `MIN_DELAY_BETWEEN_RAS` of
/// RFC 4861 §10.
pub const ADVERTISEMENT_DELAY_MIN: Duration = Duration::from_secs(3);

/// How long a router that has been heard is the one whatever others say: as long as it is a default router
/// by its own word, and three times the advertisement interval at least.
pub const ROUTER_TIME_MIN: Duration = Duration::from_secs(30);

/// And no longer than this, the Router Lifetime of a router that is told nothing else (RFC 4861 §6.2.1): who
/// is heard once keeps the real router away for half an hour, and not for 18 hours as the field could say.
pub const ROUTER_TIME_MAX: Duration = Duration::from_secs(1_800);

/// How often an unknown router is asked for, `MAX_RTR_SOLICITATIONS` of RFC 4861 §10; then its next
/// advertisement is waited for.
pub const SOLICITATIONS_MAX: u32 = 3;

/// The time between two solicitations, `RTR_SOLICITATION_INTERVAL` of RFC 4861 §10.
pub const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);

/// The two ends of one link, from this end.
#[derive(Clone, Debug)]
pub struct RouterDiscovery {
    /// The link-local address and the hardware address of the interface.
    own: (Ipv6Addr, MacAddr),
    router: Option<Heard>,
    /// Another router, heard while the first was the one.
    other: Option<Ipv6Addr>,
    solicitations: u32,
    /// When to ask for the router.
    solicit: Option<Instant>,
    /// When to advertise.
    advertise: Instant,
    advertised: Option<Instant>,
}

/// The router, as its last advertisement has it.
#[derive(Clone, Copy, Debug)]
struct Heard {
    address: Ipv6Addr,
    /// Until when no other takes its place.
    until: Instant,
}

impl RouterDiscovery {
    /// The end of a link with this link-local address and this hardware address. It asks and advertises at
    /// once.
    #[must_use]
    pub const fn new(address: Ipv6Addr, mac: MacAddr, now: Instant) -> Self {
        Self {
            own: (address, mac),
            router: None,
            other: None,
            solicitations: 0,
            solicit: Some(now),
            advertise: now,
            advertised: None,
        }
    }

    /// The link-local address and the hardware address of this end.
    #[must_use]
    pub const fn own(&self) -> (Ipv6Addr, MacAddr) {
        self.own
    }

    /// The link-local address of the router at the other end, once it has been heard.
    #[must_use]
    pub fn router(&self) -> Option<Ipv6Addr> {
        self.router.map(|router| router.address)
    }

    /// A second router on the link, which should have none.
    #[must_use]
    pub const fn other(&self) -> Option<Ipv6Addr> {
        self.other
    }

    /// Looks whether `frame` is a router's advertisement, or asks for this end's. What is neither, or is
    /// not valid, is dropped silently: RFC 4861 §6.1.
    pub fn handle_packet(&mut self, frame: &[u8], now: Instant) {
        let mut reader = Reader::new(frame);
        let is_ipv6 = Header::parse(&mut reader).is_ok_and(|header| header.ether_type == EtherType::IPV6);
        let Ok(packet) = Packet::parse(reader.rest()) else { return };
        let (own, _) = self.own;
        if !is_ipv6 || packet.source == own {
            return;
        }
        match packet.message {
            Message::Advertisement(advertisement) => {
                self.take_advertisement(packet.source, advertisement, now);
            }
            Message::Solicitation(_) => {
                let earliest = self.advertised.map_or(now, |last| (last + ADVERTISEMENT_DELAY_MIN).max(now));
                self.advertise = self.advertise.min(earliest);
            }
        }
    }

    fn take_advertisement(&mut self, source: Ipv6Addr, advertisement: Advertisement, now: Instant) {
        if let Some(router) = self.router
            && router.address != source
            && now < router.until
        {
            self.other = Some(source);
            return;
        }
        let lifetime = Duration::from_secs(advertisement.router_lifetime.into());
        let time = lifetime.clamp(ROUTER_TIME_MIN, ROUTER_TIME_MAX);
        self.router = Some(Heard { address: source, until: now + time });
        self.other = self.other.filter(|other| *other != source);
        self.solicit = None;
    }

    /// A frame that is due; called until there is none.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.solicit.is_some_and(|due| due <= now) {
            self.solicitations += 1;
            self.solicit = (self.solicitations < SOLICITATIONS_MAX).then_some(now + SOLICITATION_INTERVAL);
            return Some(self.solicitation());
        }
        if self.advertise <= now {
            (self.advertise, self.advertised) = (now + ADVERTISEMENT_INTERVAL, Some(now));
            return Some(self.advertisement());
        }
        None
    }

    /// When to call [`RouterDiscovery::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.solicit.map_or(self.advertise, |solicit| solicit.min(self.advertise))
    }

    fn solicitation(&self) -> Vec<u8> {
        let (_, mac) = self.own;
        let message = Message::Solicitation(Solicitation { source_link_layer: Some(mac) });
        self.frame(ipv6::ALL_ROUTERS, message)
    }

    /// With a Router Lifetime of zero no host takes this one for its router: RFC 4861 §4.2.
    fn advertisement(&self) -> Vec<u8> {
        let (_, mac) = self.own;
        let advertisement = Advertisement { router_lifetime: 0, source_link_layer: Some(mac) };
        self.frame(ipv6::ALL_NODES, Message::Advertisement(advertisement))
    }

    fn frame(&self, group: Ipv6Addr, message: Message) -> Vec<u8> {
        let (source, mac) = self.own;
        let header = Header { destination: multicast_mac(group), source: mac, ether_type: EtherType::IPV6 };
        header.frame(&Packet { source, destination: group, message }.emit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const ITS: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn discovery() -> RouterDiscovery {
        RouterDiscovery::new(ip("fe80::1"), OURS, at(0))
    }

    fn frame(source: &str, message: Message) -> Vec<u8> {
        let packet = Packet { source: ip(source), destination: ipv6::ALL_NODES, message };
        let destination = multicast_mac(ipv6::ALL_NODES);
        Header { destination, source: ITS, ether_type: EtherType::IPV6 }.frame(&packet.emit())
    }

    fn advertisement(source: &str, router_lifetime: u16) -> Vec<u8> {
        let advertisement = Advertisement { router_lifetime, source_link_layer: Some(ITS) };
        frame(source, Message::Advertisement(advertisement))
    }

    fn solicitation(source: &str) -> Vec<u8> {
        frame(source, Message::Solicitation(Solicitation { source_link_layer: None }))
    }

    /// What is sent at `now`.
    fn sent(discovery: &mut RouterDiscovery, now: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(frame) = discovery.handle_timeout(now) {
            let mut reader = Reader::new(&frame);
            let header = Header::parse(&mut reader).unwrap();
            let packet = Packet::parse(reader.rest()).unwrap();
            assert_eq!((header.source, header.destination), (OURS, multicast_mac(packet.destination)));
            packets.push(packet);
        }
        packets
    }

    fn advertises(packets: &[Packet]) -> bool {
        packets.iter().any(|packet| matches!(packet.message, Message::Advertisement(_)))
    }

    #[test]
    fn the_router_is_asked_for_three_times_and_this_end_advertises_every_ten_seconds() {
        let mut discovery = discovery();
        let mut times = [Vec::new(), Vec::new()];
        let mut now = at(0);
        while now < at(30) {
            for packet in sent(&mut discovery, now) {
                assert_eq!(packet.source, ip("fe80::1"));
                match packet.message {
                    Message::Solicitation(solicitation) => {
                        assert_eq!(packet.destination, ip("ff02::2"));
                        assert_eq!(solicitation.source_link_layer, Some(OURS));
                        times[0].push(now);
                    }
                    Message::Advertisement(advertisement) => {
                        assert_eq!(packet.destination, ip("ff02::1"));
                        assert_eq!(advertisement.router_lifetime, 0, "nobody's default router");
                        assert_eq!(advertisement.source_link_layer, Some(OURS));
                        times[1].push(now);
                    }
                }
            }
            assert!(discovery.poll_timeout() > now);
            now = discovery.poll_timeout();
        }
        assert_eq!(times, [[at(0), at(4), at(8)], [at(0), at(10), at(20)]]);
    }

    #[test]
    fn the_first_router_is_the_one_until_its_time_is_over_and_another_is_told_of() {
        // Lifetime; when the other is heard; whether it then is the one.
        for (lifetime, second, is_replaced) in [
            (0, 29, false),
            (0, 30, true),
            (1_800, 1_799, false),
            (1_800, 1_800, true),
            (65_535, 1_800, true),
        ] {
            let mut discovery = discovery();
            discovery.handle_packet(&advertisement("fe80::fe", lifetime), at(0));
            assert_eq!((discovery.router(), discovery.other()), (Some(ip("fe80::fe")), None));
            discovery.handle_packet(&advertisement("fe80::fd", 0), at(second));
            let expected = if is_replaced {
                (Some(ip("fe80::fd")), None)
            } else {
                (Some(ip("fe80::fe")), Some(ip("fe80::fd")))
            };
            assert_eq!((discovery.router(), discovery.other()), expected, "{lifetime} s, {second} s");
        }
    }

    #[test]
    fn a_router_that_goes_on_advertising_stays_and_one_that_falls_silent_is_not_forgotten() {
        let mut discovery = discovery();
        for second in [0, 29, 58] {
            discovery.handle_packet(&advertisement("fe80::fe", 0), at(second));
            discovery.handle_packet(&advertisement("fe80::fd", 0), at(second + 1));
            assert_eq!(discovery.router(), Some(ip("fe80::fe")));
        }
        sent(&mut discovery, at(100_000));
        assert_eq!(discovery.router(), Some(ip("fe80::fe")), "that is for BGP and BFD to judge");
        discovery.handle_packet(&advertisement("fe80::fd", 0), at(100_000));
        assert_eq!((discovery.router(), discovery.other()), (Some(ip("fe80::fd")), None));
    }

    #[test]
    fn a_router_that_is_known_is_not_asked_for() {
        let mut discovery = discovery();
        sent(&mut discovery, at(0));
        discovery.handle_packet(&advertisement("fe80::fe", 0), at(1));
        assert_eq!((sent(&mut discovery, at(4)), discovery.poll_timeout()), (Vec::new(), at(10)));
    }

    #[test]
    fn who_asks_is_answered_soon_and_never_faster_than_every_three_seconds() {
        let mut discovery = discovery();
        assert!(advertises(&sent(&mut discovery, at(0))));
        discovery.handle_packet(&advertisement("fe80::fe", 0), at(0));
        for (asked, answered) in [(1, 3), (5, 6), (20, 20)] {
            discovery.handle_packet(&solicitation("::"), at(asked));
            if asked < answered {
                assert!(!advertises(&sent(&mut discovery, at(asked))));
            }
            assert!(advertises(&sent(&mut discovery, at(answered))), "asked at {asked} s");
        }
    }

    #[test]
    fn what_is_no_advertisement_of_another_end_changes_nothing() {
        let mut routed = advertisement("fe80::fe", 0);
        routed[Header::LENGTH + 7] = 254;
        let mut arp = advertisement("fe80::fe", 0);
        arp[12..14].copy_from_slice(&EtherType::ARP.0.to_be_bytes());
        for frame in [&advertisement("fe80::1", 0), &routed, &arp, &Vec::new()] {
            let mut discovery = discovery();
            discovery.handle_packet(frame, at(0));
            assert_eq!(discovery.router(), None, "{frame:02x?}");
        }
    }
}
