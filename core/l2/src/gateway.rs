//! Whether a gateway answers: Neighbor Unreachability Detection as RFC 4861 §7.3 does it, and the same with ARP
//! (RFC 1122 §2.3.2.1 (2), unicast poll), but without traffic that depends on it.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ferrolb_vocab::{Instant, MacAddr};
use ferrolb_wire::arp;
use ferrolb_wire::cursor::Reader;
use ferrolb_wire::ethernet::{EtherType, Header};
use ferrolb_wire::ndp::{Message, Packet};

use crate::frames;

/// The time between two questions while the answer is wanted soon: half of `RETRANS_TIMER` of RFC 4861 §10.
pub const URGENT_INTERVAL: Duration = Duration::from_millis(500);

/// The time between two questions otherwise: a gateway that a thousand nodes ask gets a hundred questions a second.
pub const CALM_INTERVAL: Duration = Duration::from_secs(10);

/// How many questions in a row stay without an answer before a gateway counts as silent. That takes as long as with
/// `MAX_UNICAST_SOLICIT` of RFC 4861 §10; but twice as many, because a link that loses every other frame is not cut.
pub const GATEWAY_MISSES: u32 = 6;

/// A gateway on a link, and who asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// An address of this host on the link, of the same family.
    pub own: IpAddr,
    /// The hardware address of the interface.
    pub mac: MacAddr,
}

/// Asks one gateway whether it is there.
#[derive(Clone, Debug)]
pub struct GatewayProbe {
    gateway: Gateway,
    /// Where it was last heard; until then it is asked for with a multicast or broadcast.
    known: Option<MacAddr>,
    answered: Option<Instant>,
    /// Questions since the last answer.
    unanswered: u32,
    is_urgent: bool,
    due: Instant,
}

impl GatewayProbe {
    /// A probe that asks at once.
    #[must_use]
    pub const fn new(gateway: Gateway, now: Instant) -> Self {
        Self { gateway, known: None, answered: None, unanswered: 0, is_urgent: false, due: now }
    }

    /// The gateway.
    #[must_use]
    pub const fn gateway(&self) -> Gateway {
        self.gateway
    }

    /// Whether the answer is wanted soon. It is asked for at once when that becomes so.
    pub fn set_urgent(&mut self, is_urgent: bool, now: Instant) {
        if is_urgent && !self.is_urgent {
            self.due = now;
        }
        self.is_urgent = is_urgent;
    }

    /// The question that is due, if one is.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        self.due = now + if self.is_urgent { URGENT_INTERVAL } else { CALM_INTERVAL };
        self.unanswered = self.unanswered.saturating_add(1);
        // One that has moved to another machine is found again.
        let known = self.known.filter(|_| self.unanswered <= GATEWAY_MISSES);
        frames::question(self.gateway, known)
    }

    /// Looks whether `frame` is the gateway's answer.
    pub fn handle_packet(&mut self, frame: &[u8], now: Instant) {
        let mut reader = Reader::new(frame);
        let Ok(header) = Header::parse(&mut reader) else { return };
        let answers = match header.ether_type {
            EtherType::ARP => arp::Packet::parse(reader.rest()).is_ok_and(|packet| {
                packet.operation == arp::Operation::Reply
                    && IpAddr::V4(packet.sender_ip) == self.gateway.address
            }),
            EtherType::IPV6 => Packet::parse(reader.rest()).is_ok_and(|packet| match packet.message {
                Message::Advertisement(advertisement) => {
                    advertisement.solicited && IpAddr::V6(advertisement.target) == self.gateway.address
                }
                Message::Solicitation(_) => false,
            }),
            EtherType(_) => false,
        };
        if answers && header.destination == self.gateway.mac {
            self.handle_answer(header.source, now);
        }
    }

    /// The gateway has answered from `mac`.
    pub fn handle_answer(&mut self, mac: MacAddr, now: Instant) {
        (self.known, self.answered, self.unanswered) = (Some(mac), Some(now), 0);
    }

    /// When to call [`GatewayProbe::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Whether it ever answered.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// When it last answered, if it used to and does not any more.
    #[must_use]
    pub fn silent_since(&self) -> Option<Instant> {
        // The last question has not had its time yet.
        self.answered.filter(|_| self.unanswered > GATEWAY_MISSES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_wire::ndp::Advertisement;

    const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const ITS: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn gateway(address: &str, own: &str) -> Gateway {
        Gateway { address: address.parse().unwrap(), own: own.parse().unwrap(), mac: OURS }
    }

    fn header(frame: &[u8]) -> Header {
        Header::parse(&mut Reader::new(frame)).unwrap()
    }

    fn arp_reply(sender: &str) -> Vec<u8> {
        let request = arp::Packet::request(OURS, "192.168.100.1".parse().unwrap(), sender.parse().unwrap());
        frames::arp_reply(ITS, &request)
    }

    #[test]
    fn a_gateway_is_asked_first_by_broadcast_then_where_it_answered_and_at_once_if_that_is_urgent() {
        let mut probe = GatewayProbe::new(gateway("192.168.100.254", "192.168.100.1"), at(0));
        assert_eq!(header(&probe.handle_timeout(at(0)).unwrap()).destination, MacAddr::BROADCAST);
        assert_eq!((probe.handle_timeout(at(9)), probe.poll_timeout()), (None, at(10)));
        probe.handle_packet(&arp_reply("192.168.100.254"), at(9));
        assert_eq!(header(&probe.handle_timeout(at(10)).unwrap()).destination, ITS);
        probe.set_urgent(true, at(11));
        for second in 11..14 {
            assert!(probe.handle_timeout(at(second)).is_some());
            probe.set_urgent(true, at(second));
            assert_eq!(probe.poll_timeout(), at(second) + URGENT_INTERVAL);
        }
    }

    #[test]
    fn it_is_silent_after_six_questions_if_it_used_to_answer_and_then_is_asked_for_anywhere() {
        let mut probe = GatewayProbe::new(gateway("192.168.100.254", "192.168.100.1"), at(0));
        probe.set_urgent(true, at(0));
        for second in 0..9 {
            assert!(probe.handle_timeout(at(second)).is_some());
            assert_eq!(probe.silent_since(), None, "it never answered");
        }
        probe.handle_packet(&arp_reply("192.168.100.253"), at(9));
        assert_eq!(probe.answered, None, "that was another");
        probe.handle_packet(&arp_reply("192.168.100.254"), at(9));
        for second in 9..15 {
            assert_eq!(header(&probe.handle_timeout(at(second)).unwrap()).destination, ITS);
            assert_eq!(probe.silent_since(), None);
        }
        let frame = probe.handle_timeout(at(15)).unwrap();
        assert_eq!((header(&frame).destination, probe.silent_since()), (MacAddr::BROADCAST, Some(at(9))));
        probe.handle_packet(&arp_reply("192.168.100.254"), at(16));
        assert_eq!(probe.silent_since(), None);
    }

    #[test]
    fn an_ipv6_gateway_is_solicited_and_answers_by_a_solicited_advertisement() {
        let mut probe = GatewayProbe::new(gateway("fe80::fe", "fe80::1"), at(0));
        probe.set_urgent(true, at(0));
        let frame = probe.handle_timeout(at(0)).unwrap();
        assert_eq!(header(&frame).destination, MacAddr([0x33, 0x33, 0xff, 0, 0, 0xfe]));
        let advertisement = |solicited| {
            let packet = Packet {
                source: "fe80::fe".parse().unwrap(),
                destination: "fe80::1".parse().unwrap(),
                message: Message::Advertisement(Advertisement {
                    router: true,
                    solicited,
                    override_flag: false,
                    target: "fe80::fe".parse().unwrap(),
                    target_link_layer: Some(ITS),
                }),
            };
            Header { destination: OURS, source: ITS, ether_type: EtherType::IPV6 }.frame(&packet.emit())
        };
        probe.handle_packet(&advertisement(false), at(0));
        assert_eq!(probe.answered, None);
        probe.handle_packet(&advertisement(true), at(0));
        assert_eq!(header(&probe.handle_timeout(at(1)).unwrap()).destination, ITS);
    }
}
