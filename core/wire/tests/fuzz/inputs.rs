//! The corpora, and how inputs become messages.

use ferrolb_vocab::Asn;
use ferrolb_wire::bgp::{Decoding, Families, Frame, HEADER_LENGTH};

/// Bodies of messages.
pub(crate) const OPENS: &str = include_str!("../corpus/open.hex");
/// The same.
pub(crate) const UPDATES: &str = include_str!("../corpus/update.hex");
/// The same.
pub(crate) const NOTIFICATIONS: &str = include_str!("../corpus/notification.hex");
/// The same.
pub(crate) const ROUTE_REFRESHES: &str = include_str!("../corpus/route-refresh.hex");

/// Whole packets.
pub(crate) const BFD_PACKETS: &str = include_str!("../corpus/bfd.hex");
/// The same, from the IPv6 header on.
pub(crate) const ROUTER_DISCOVERY: &str = include_str!("../corpus/router-discovery.hex");

/// The corpora with the types of their messages (RFC 4271 §4.1).
pub(crate) const ALL: [(u8, &str); 4] = [(1, OPENS), (2, UPDATES), (3, NOTIFICATIONS), (5, ROUTE_REFRESHES)];

/// The lines of a corpus: hexadecimal digits, and behind `#` what they are.
pub(crate) fn bodies(corpus: &str) -> Vec<Vec<u8>> {
    let lines = corpus.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(octets).collect()
}

fn octets(line: &str) -> Vec<u8> {
    let digits: Vec<_> = line.chars().map(|digit| digit.to_digit(16).expect(line)).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "half an octet in {line}");
    pairs.iter().map(|[high, low]| u8::try_from(high << 4 | low).unwrap()).collect()
}

/// A message of any type and body.
pub(crate) fn message(message_type: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER_LENGTH + body.len()).unwrap();
    [&[0xff; 16][..], &length.to_be_bytes(), &[message_type], body].concat()
}

/// What was agreed on, by the bits of an octet: none is an external peer that can everything.
pub(crate) fn decoding(settings: u8) -> Decoding {
    Decoding {
        four_octet_as: settings & 1 == 0,
        is_internal: settings & 2 != 0,
        local_asn: Asn(64_512),
        families: Families { ipv4: settings & 4 == 0, ipv6: settings & 8 == 0 },
    }
}

/// The messages in `octets`, which hold nothing else.
pub(crate) fn messages(octets: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut messages) = (octets, Vec::new());
    while let Some((_frame, length)) = Frame::next(rest).unwrap() {
        let (message, after) = rest.split_at(length);
        messages.push(message);
        rest = after;
    }
    assert!(rest.is_empty(), "only whole messages are sent");
    messages
}
