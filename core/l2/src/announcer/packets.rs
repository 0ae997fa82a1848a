//! The announcer's answers to what it hears.

use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{Instant, InterfaceName, MacAddr};
use ferrolb_wire::arp;
use ferrolb_wire::cursor::Reader;
use ferrolb_wire::ethernet::{EtherType, Header};
use ferrolb_wire::ndp::{Message, Packet, Solicitation};

use super::{Announcer, LinkState};
use crate::claim::{Evidence, Meaning, State};
use crate::frames;
use crate::verdict::{Dropped, Handled, Protocol, Transmit, TransmitKind};

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
        let heard = if packet.is_probe() {
            (packet.target_ip.into(), Evidence::Probe)
        } else {
            (packet.sender_ip.into(), Evidence::Claim)
        };
        let meaning = self.hear(heard, packet.sender_hardware, received.interface, received.now);
        let answered = match packet.operation {
            arp::Operation::Request => self.answer_request(received, &packet),
            arp::Operation::Reply => Err(Dropped::NotOwned),
        };
        handled(meaning, Protocol::Arp, answered)
    }

    fn on_ndp(&mut self, received: Received<'_>, payload: &[u8]) -> Result<Handled, Dropped> {
        let Header { destination, source: heard_from, .. } = received.header;
        if destination != received.link.mac && !destination.is_multicast() {
            return Err(Dropped::OtherDestination);
        }
        let packet = Packet::parse(payload).map_err(Dropped::Ndp)?;
        // RFC 4861 §7.2.3 and §7.2.5: a solicitation's source and an advertisement's target would
        // be entered into a cache.
        let (heard, link_layer) = match packet.message {
            Message::Solicitation(Solicitation { target, .. }) if packet.source.is_unspecified() => {
                ((target.into(), Evidence::Probe), None)
            }
            Message::Solicitation(solicitation) => {
                ((packet.source.into(), Evidence::Claim), solicitation.source_link_layer)
            }
            Message::Advertisement(advertisement) => {
                ((advertisement.target.into(), Evidence::Claim), advertisement.target_link_layer)
            }
        };
        let claimant = link_layer.unwrap_or(heard_from);
        if self.is_own(claimant) {
            return Err(Dropped::Own);
        }
        let meaning = self.hear(heard, claimant, received.interface, received.now);
        let answered = match packet.message {
            Message::Solicitation(solicitation) => self.answer_solicitation(received, &packet, &solicitation),
            Message::Advertisement(_) => Err(Dropped::NotOwned),
        };
        handled(meaning, Protocol::Ndp, answered)
    }

    fn answer_request(&mut self, received: Received<'_>, request: &arp::Packet) -> Result<Handled, Dropped> {
        let address = IpAddr::V4(request.target_ip);
        self.announced_on(address, received.interface)?;
        if request.is_announcement() && self.fellow(request.sender_hardware).is_some() {
            return Err(Dropped::Fellow);
        }
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
        self.announced_on(address, received.interface)?;
        let Received { link, header, .. } = received;
        let frame = frames::answer(link.mac, packet.source, solicitation, header.source);
        self.reply(received, address, TransmitKind::Advertisement, frame)?;
        Ok(Handled::Request(Protocol::Ndp))
    }

    fn announced_on(&self, address: IpAddr, interface: &InterfaceName) -> Result<(), Dropped> {
        let claims = self.claims.get(&address).ok_or(Dropped::NotOwned)?;
        match claims.get(interface).ok_or(Dropped::OtherInterface)?.state {
            State::Waiting => Err(Dropped::NoLinkLocal),
            State::Probing(_) => Err(Dropped::NotAnnounced),
            State::Announced(_) => Ok(()),
        }
    }

    fn reply(
        &mut self,
        received: Received<'_>,
        address: IpAddr,
        kind: TransmitKind,
        frame: Vec<u8>,
    ) -> Result<(), Dropped> {
        let Received { interface, header, now, .. } = received;
        if !self.replies.entry(interface.clone()).or_default().admit(header.source, now) {
            return Err(Dropped::RateLimited);
        }
        let transmit = Transmit { interface: interface.clone(), address, kind, frame };
        self.transmit(transmit).then_some(()).ok_or(Dropped::QueueFull)
    }

    /// Whether `mac` is one of this host's: RFC 5227 §2.4 compares with all its interfaces,
    /// two of which may be on one link.
    fn is_own(&self, mac: MacAddr) -> bool {
        self.links.values().any(|link| link.mac == mac)
    }
}

/// What became of a packet that was answered, or not, and had a meaning of its own.
fn handled(
    meaning: Meaning,
    protocol: Protocol,
    answered: Result<Handled, Dropped>,
) -> Result<Handled, Dropped> {
    match meaning {
        Meaning::Nothing => answered,
        Meaning::Passing => answered.or(Err(Dropped::Fellow)),
        Meaning::Occupied => Ok(Handled::Occupied(protocol)),
        Meaning::Conflict => Ok(Handled::Conflict(protocol)),
    }
}
