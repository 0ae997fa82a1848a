//! A station: it applies what it is told, and takes nothing that it should not get.

use super::*;
use alloc::string::ToString;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ferrolb_wire::bgp::{Decoding, Disposition, Frame, MessageType, Update};
use ferrolb_wire::cursor::Reader;

/// What it knows, of one peer.
#[derive(Default)]
pub(super) struct Collector {
    is_greeted: bool,
    is_up: bool,
    /// Of the last header: flags, then the type of the peer and its distinguisher.
    pub(super) flags: u8,
    pub(super) instance: (u8, u64),
    /// The OPENs, sent and received, this end and both ports, and the label.
    pub(super) opens: [Vec<u8>; 2],
    pub(super) ends: String,
    pub(super) label: String,
    pub(super) routes: BTreeMap<IpPrefix, Vec<Community>>,
}

impl Collector {
    /// Takes whole messages, and says each in words.
    pub(super) fn take(&mut self, octets: &[u8]) -> Vec<String> {
        let mut reader = Reader::new(octets);
        let mut told = Vec::new();
        while !reader.is_empty() {
            assert_eq!(reader.u8(), Ok(3), "the version");
            let length = usize::try_from(reader.u32().unwrap()).unwrap();
            let kind = reader.u8().unwrap();
            let mut message = reader.nested(length - 6).unwrap();
            told.push(self.message(kind, &mut message));
            assert!(message.is_empty(), "{told:?}");
        }
        told
    }

    fn message(&mut self, kind: u8, message: &mut Reader<'_>) -> String {
        if kind == 4 {
            // Another connection.
            *self = Self { is_greeted: true, ..Self::default() };
            return format!("initiation: {}, {}", text(message, 1), text(message, 2));
        }
        assert!(self.is_greeted, "an Initiation comes first");
        let head = self.header(message);
        let direction = if kind == 0 { 0b0101_0000 } else { 0 };
        assert_eq!(self.flags & 0b0101_0000, direction, "{head}");
        match kind {
            0 => {
                assert!(self.is_up, "{head}");
                assert!(head.starts_with("0.000 "), "when a route was sent is not known: {head}");
                self.update(&bgp_message(message, MessageType::Update))
            }
            1 => statistics(message),
            2 => {
                assert!(self.is_up);
                self.is_up = false;
                self.routes.clear();
                format!("{head} down {}", reason(message))
            }
            3 => {
                assert!(!self.is_up);
                self.is_up = true;
                let local = address(message, self.flags);
                self.ends = format!("{local} {} {}", message.u16().unwrap(), message.u16().unwrap());
                self.opens = [(); 2].map(|()| bgp_message(message, MessageType::Open));
                self.label = text(message, 4);
                format!("{head} up")
            }
            other => panic!("type {other}"),
        }
    }

    fn header(&mut self, message: &mut Reader<'_>) -> String {
        let peer_type = message.u8().unwrap();
        self.flags = message.u8().unwrap();
        self.instance = (peer_type, message.u64().unwrap());
        let address = address(message, self.flags);
        let (asn, id) = (message.u32().unwrap(), message.ipv4().unwrap());
        let (seconds, micros) = (message.u32().unwrap(), message.u32().unwrap());
        format!("{seconds}.{:03} {address} AS{asn} {id}:", micros / 1_000)
    }

    fn update(&mut self, message: &[u8]) -> String {
        let decoding = Decoding {
            four_octet_as: self.flags & 0b0010_0000 == 0,
            is_internal: false,
            local_asn: Asn(64_513),
            families: Families::ALL,
        };
        let update = Update::parse(&message[19..], &decoding).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        if let Some(family) = update.end_of_rib() {
            return format!("end of {}", family.name());
        }
        let mut words = String::new();
        for prefix in update.withdrawn() {
            assert!(self.routes.remove(&prefix).is_some(), "{prefix} was told");
            words += &format!(" {prefix}");
        }
        for prefix in update.reachable() {
            let communities: Vec<Community> = update.communities().collect();
            assert_ne!(self.routes.get(&prefix), Some(&communities), "{prefix} is told once");
            self.routes.insert(prefix, communities);
            words += &format!(" {prefix}");
        }
        let verb = if update.reachable().next().is_some() { "announce" } else { "withdraw" };
        verb.to_string() + &words
    }
}

/// The text in a TLV, which has this type.
fn text(message: &mut Reader<'_>, kind: u16) -> String {
    assert_eq!(message.u16(), Ok(kind));
    let length = message.u16().unwrap();
    let octets = message.octets(length.into()).unwrap();
    String::from_utf8(octets.into()).unwrap()
}

/// A whole message of BGP.
fn bgp_message(message: &mut Reader<'_>, expected: MessageType) -> Vec<u8> {
    let (frame, length) = Frame::next(message.rest()).unwrap().unwrap();
    assert_eq!(frame.message_type, expected);
    message.octets(length).unwrap().into()
}

fn address(message: &mut Reader<'_>, flags: u8) -> IpAddr {
    let octets: [u8; 16] = message.array().unwrap();
    if flags & 0b1000_0000 != 0 {
        return Ipv6Addr::from(octets).into();
    }
    let (zeros, address) = octets.split_last_chunk::<4>().unwrap();
    assert_eq!(zeros, [0; 12]);
    Ipv4Addr::from(*address).into()
}

/// Why a session is down, and what goes with it.
fn reason(message: &mut Reader<'_>) -> String {
    let reason = message.u8().unwrap();
    match reason {
        1 | 3 => {
            let octets = bgp_message(message, MessageType::Notification);
            format!("{reason} {}", Notification::parse(&octets[19..]).unwrap())
        }
        2 => format!("2 event {}", message.u16().unwrap()),
        4 | 5 => reason.to_string(),
        other => panic!("reason {other}"),
    }
}

fn statistics(message: &mut Reader<'_>) -> String {
    let mut words = String::from("statistics");
    for _ in 0..message.u32().unwrap() {
        let (kind, length) = (message.u16().unwrap(), message.u16().unwrap());
        words += &match length {
            4 => format!(" {kind}:{}", message.u32().unwrap()),
            8 => format!(" {kind}:{}", message.u64().unwrap()),
            11 => {
                let (afi, safi) = (message.u16().unwrap(), message.u8().unwrap());
                format!(" {kind}:{afi}/{safi}:{}", message.u64().unwrap())
            }
            other => panic!("length {other}"),
        };
    }
    words
}
