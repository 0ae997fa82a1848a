//! The announcer's answers to what it hears.

use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{Instant, InterfaceName, MacAddr};
use ferrolb_wire::arp;
use ferrolb_wire::cursor::Reader;
use ferrolb_wire::ethernet::{EtherType, Header};
use ferrolb_wire::ndp::{Message, Packet, Solicitation};

use super::{
    Announcer, CONFLICT_REPORT_INTERVAL, EVENT_QUEUE_MAX, LinkState, REPLIES_BURST, REPLIES_PER_SECOND,
};
use crate::frames;
use crate::rate::RateLimit;
use crate::verdict::{Conflict, Dropped, Event, Handled, Protocol, TransmitKind};

/// A frame being handled.
#[derive(Clone, Copy)]
struct Received<'a> {
    interface: &'a InterfaceName,
    link: LinkState,
    header: Header,
    now: Instant,
}

impl Announcer {
    /// Handles an Ethernet frame that `interface` received.
    ///
    /// # Errors
    /// The frame had no effect, for the reason given.
    pub fn handle_packet(
        &mut self,
        interface: &InterfaceName,
        frame: &[u8],
        now: Instant,
    ) -> Result<Handled, Dropped> {
        let link = *self.links.get(interface).ok_or(Dropped::UnknownInterface)?;
        let mut reader = Reader::new(frame);
        let header = Header::parse(&mut reader).map_err(Dropped::Ethernet)?;
        let received = Received { interface, link, header, now };
        match header.ether_type {
            EtherType::ARP => self.on_arp(received, reader.rest()),
            EtherType::IPV6 => self.on_ndp(received, reader.rest()),
            EtherType(_) => Err(Dropped::EtherType),
        }
    }

    fn on_arp(&mut self, received: Received<'_>, payload: &[u8]) -> Result<Handled, Dropped> {
        let destination = received.header.destination;
        if destination != received.link.mac && destination != MacAddr::BROADCAST {
            return Err(Dropped::OtherDestination);
        }
        let packet = arp::Packet::parse(payload).map_err(Dropped::Arp)?;
        if self.is_own(packet.sender_hardware) {
            return Err(Dropped::Own);
        }
        // RFC 5227 §2.4: the sender IP address is ours, the sender hardware address is not.
        let conflict = self.note_conflict(received, packet.sender_ip.into(), packet.sender_hardware);
        let answered = match packet.operation {
            arp::Operation::Request => self.answer_request(received, &packet),
            arp::Operation::Reply => Err(Dropped::NotOwned),
        };
        if conflict { Ok(Handled::Conflict(Protocol::Arp)) } else { answered }
    }

    fn on_ndp(&mut self, received: Received<'_>, payload: &[u8]) -> Result<Handled, Dropped> {
        let Header { destination, source: heard_from, .. } = received.header;
        if destination != received.link.mac && !destination.is_multicast() {
            return Err(Dropped::OtherDestination);
        }
        let packet = Packet::parse(payload).map_err(Dropped::Ndp)?;
        let (claimed, link_layer) = match packet.message {
            Message::Solicitation(solicitation) => (packet.source, solicitation.source_link_layer),
            Message::Advertisement(advertisement) => (advertisement.target, advertisement.target_link_layer),
        };
        let claimant = link_layer.unwrap_or(heard_from);
        if self.is_own(claimant) {
            return Err(Dropped::Own);
        }
        // RFC 4861 §7.2.3 and §7.2.5: either would enter the claimant into a cache. RFC 4862
        // §5.4.4: an advertisement for an address of ours says that it is not unique.
        let conflict = self.note_conflict(received, claimed.into(), claimant);
        let answered = match packet.message {
            Message::Solicitation(solicitation) => self.answer_solicitation(received, &packet, &solicitation),
            Message::Advertisement(_) => Err(Dropped::NotOwned),
        };
        if conflict { Ok(Handled::Conflict(Protocol::Ndp)) } else { answered }
    }

    fn answer_request(&mut self, received: Received<'_>, request: &arp::Packet) -> Result<Handled, Dropped> {
        let address = IpAddr::V4(request.target_ip);
        self.owned_on(address, received.interface)?;
        let frame = frames::arp_reply(received.link.mac, request);
        self.reply(received, address, TransmitKind::ArpReply, frame)?;
        Ok(Handled::Request(Protocol::Arp))
    }

    fn answer_solicitation(
        &mut self,
        received: Received<'_>,
        packet: &Packet,
        solicitation: &Solicitation,
    ) -> Result<Handled, Dropped> {
        let address = IpAddr::V6(solicitation.target);
        self.owned_on(address, received.interface)?;
        if !received.link.has_link_local {
            return Err(Dropped::NoLinkLocal);
        }
        let Received { link, header, .. } = received;
        let frame = frames::answer(link.mac, packet.source, solicitation, header.source);
        self.reply(received, address, TransmitKind::Advertisement, frame)?;
        Ok(Handled::Request(Protocol::Ndp))
    }

    fn owned_on(&self, address: IpAddr, interface: &InterfaceName) -> Result<(), Dropped> {
        let claims = self.claims.get(&address).ok_or(Dropped::NotOwned)?;
        claims.contains_key(interface).then_some(()).ok_or(Dropped::OtherInterface)
    }

    fn reply(
        &mut self,
        received: Received<'_>,
        address: IpAddr,
        kind: TransmitKind,
        frame: Vec<u8>,
    ) -> Result<(), Dropped> {
        let limit = self
            .replies
            .entry(received.interface.clone())
            .or_insert(RateLimit::new(REPLIES_PER_SECOND, REPLIES_BURST));
        if !limit.admit(received.now) {
            return Err(Dropped::RateLimited);
        }
        self.transmit(received.interface, address, kind, frame).then_some(()).ok_or(Dropped::QueueFull)
    }

    /// Whether `mac` is one of this host's: RFC 5227 §2.4 compares with all its interfaces,
    /// two of which may be on one link.
    fn is_own(&self, mac: MacAddr) -> bool {
        self.links.values().any(|link| link.mac == mac)
    }

    /// Whether `address` is ours on the interface where `mac` claims it; if so, that is reported.
    fn note_conflict(&mut self, received: Received<'_>, address: IpAddr, mac: MacAddr) -> bool {
        let Received { interface, now, .. } = received;
        let Some(claim) = self.claims.get_mut(&address).and_then(|claims| claims.get_mut(interface)) else {
            return false;
        };
        let is_recent = |reported: Instant| now.saturating_since(reported) < CONFLICT_REPORT_INTERVAL;
        if !claim.conflict_reported.is_some_and(is_recent) && self.events.len() < EVENT_QUEUE_MAX {
            claim.conflict_reported = Some(now);
            self.events.push_back(Event::Conflict(Conflict { address, mac, interface: interface.clone() }));
        }
        true
    }
}
