//! The frames the announcer sends, each with the clause that shapes it.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_vocab::MacAddr;
use ferrolb_wire::ethernet::{EtherType, Header, multicast_mac};
use ferrolb_wire::ndp::{Advertisement, Message, Packet, Solicitation};
use ferrolb_wire::{arp, ipv6};

use crate::gateway::Gateway;
use crate::verdict::TransmitKind;

/// A frame that nobody asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unasked {
    Probe,
    Announcement,
    /// The same as a reply, for stacks that update a cache only from replies (RFC 5227 §3 knows
    /// them and prefers requests; RFC 5944 §4.6 allows both). Only ARP has it.
    AnnouncementReply,
    Defence,
}

/// The frame of a kind for `address` from `mac`, if the address's protocol has it.
pub(crate) fn unasked(what: Unasked, mac: MacAddr, address: IpAddr) -> Option<(TransmitKind, Vec<u8>)> {
    Some(match (what, address) {
        (Unasked::Probe, IpAddr::V4(v4)) => {
            (TransmitKind::ArpProbe, arp_frame(mac, MacAddr::BROADCAST, &arp::Packet::probe(mac, v4)))
        }
        (Unasked::Probe, IpAddr::V6(v6)) => {
            (TransmitKind::DuplicateAddressDetection, duplicate_address_detection(mac, v6))
        }
        (Unasked::Announcement, IpAddr::V4(v4)) => (TransmitKind::ArpAnnouncement, arp_announcement(mac, v4)),
        (Unasked::Announcement, IpAddr::V6(v6)) => {
            (TransmitKind::UnsolicitedAdvertisement, unsolicited_advertisement(mac, v6))
        }
        (Unasked::AnnouncementReply, IpAddr::V4(v4)) => {
            let packet = arp::Packet::announcement_reply(mac, v4);
            (TransmitKind::ArpAnnouncementReply, arp_frame(mac, MacAddr::BROADCAST, &packet))
        }
        (Unasked::AnnouncementReply, IpAddr::V6(_)) => return None,
        (Unasked::Defence, IpAddr::V4(v4)) => (TransmitKind::ArpDefence, arp_announcement(mac, v4)),
        (Unasked::Defence, IpAddr::V6(v6)) => {
            (TransmitKind::AdvertisementDefence, unsolicited_advertisement(mac, v6))
        }
    })
}

/// The reply to `request`, unicast to the sender hardware address, RFC 826 "Packet Reception".
/// A probe (RFC 5227 §2.1.1) is answered the same way: that defends the address.
pub(crate) fn arp_reply(mac: MacAddr, request: &arp::Packet) -> Vec<u8> {
    arp_frame(mac, request.sender_hardware, &request.reply(mac))
}

/// An ARP Announcement, RFC 5227 §2.3: the form every host must accept.
fn arp_announcement(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    arp_frame(mac, MacAddr::BROADCAST, &arp::Packet::announcement(mac, address))
}

/// Asks whether `gateway` is there, where it is `known` to be or else everybody. `None` if its family is not that of
/// the address to ask from.
pub(crate) fn question(gateway: Gateway, known: Option<MacAddr>) -> Option<Vec<u8>> {
    let Gateway { address, own, mac } = gateway;
    match (address, own) {
        (IpAddr::V4(address), IpAddr::V4(own)) => {
            let request = arp::Packet::request(mac, own, address);
            Some(arp_frame(mac, known.unwrap_or(MacAddr::BROADCAST), &request))
        }
        (IpAddr::V6(target), IpAddr::V6(source)) => {
            let group = ipv6::solicited_node(target);
            let destination = if known.is_some() { target } else { group };
            let solicitation = Solicitation { target, source_link_layer: Some(mac) };
            let packet = Packet { source, destination, message: Message::Solicitation(solicitation) };
            Some(ndp_frame(mac, known.unwrap_or_else(|| multicast_mac(group)), &packet))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// The answer to a solicitation, RFC 4861 §7.2.4. To the unspecified address (Duplicate Address
/// Detection) it goes to all nodes and is not marked as solicited.
///
/// The frame goes to the Source Link-Layer Address or, in a unicast solicitation without
/// that option, to where the solicitation came from (`heard_from`): the sender is on this
/// link by RFC 4861 §7.1.1 (hop limit 255), so resolving it would yield nothing better.
pub(crate) fn answer(
    mac: MacAddr,
    source: Ipv6Addr,
    solicitation: &Solicitation,
    heard_from: MacAddr,
) -> Vec<u8> {
    if source.is_unspecified() {
        return advertisement(mac, Addressee::AllNodes, solicitation.target);
    }
    let solicitor = solicitation.source_link_layer.unwrap_or(heard_from);
    advertisement(mac, Addressee::Solicitor { ip: source, mac: solicitor }, solicitation.target)
}

/// Duplicate Address Detection, RFC 4862 §5.4.2, to the solicited-node group. Without the nonce of
/// RFC 7527: a copy that a switch sends back is known by its Ethernet source.
fn duplicate_address_detection(mac: MacAddr, target: Ipv6Addr) -> Vec<u8> {
    let packet = Packet::duplicate_address_detection(target);
    ndp_frame(mac, multicast_mac(packet.destination), &packet)
}

/// An unsolicited advertisement to all nodes, RFC 4861 §7.2.6.
fn unsolicited_advertisement(mac: MacAddr, target: Ipv6Addr) -> Vec<u8> {
    advertisement(mac, Addressee::AllNodes, target)
}

/// Override is set in every advertisement: RFC 4861 §7.2.4 clears it only for anycast
/// and proxied addresses and without a Target Link-Layer Address, and §7.2.6 asks for it
/// where a link-layer address has changed. Without it a cache would keep the former owner.
///
/// The source is the address advertised, as where a host's kernel owns it: `ndisc6` takes no
/// answer for a global address from a link-local one.
fn advertisement(mac: MacAddr, to: Addressee, target: Ipv6Addr) -> Vec<u8> {
    let (destination, destination_mac, solicited) = match to {
        Addressee::Solicitor { ip, mac } => (ip, mac, true),
        Addressee::AllNodes => (ipv6::ALL_NODES, multicast_mac(ipv6::ALL_NODES), false),
    };
    let packet = Packet {
        source: target,
        destination,
        message: Message::Advertisement(Advertisement {
            router: false,
            solicited,
            override_flag: true,
            target,
            target_link_layer: Some(mac),
        }),
    };
    ndp_frame(mac, destination_mac, &packet)
}

enum Addressee {
    Solicitor { ip: Ipv6Addr, mac: MacAddr },
    AllNodes,
}

fn arp_frame(source: MacAddr, destination: MacAddr, packet: &arp::Packet) -> Vec<u8> {
    Header { destination, source, ether_type: EtherType::ARP }.frame(&packet.emit())
}

fn ndp_frame(source: MacAddr, destination: MacAddr, packet: &Packet) -> Vec<u8> {
    Header { destination, source, ether_type: EtherType::IPV6 }.frame(&packet.emit())
}
