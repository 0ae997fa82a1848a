//! BMP messages, taken apart again by what RFC 7854 says of their octets.

use std::num::NonZeroU64;
use std::time::Duration;

use ferrolb_vocab::{Asn, BgpId};
use ferrolb_wire::bgp::{Family, HEADER_LENGTH, Notification};
use ferrolb_wire::bmp::{
    PeerDown, PeerUp, PerPeerHeader, Statistic, emit_initiation, emit_peer_down, emit_peer_up,
    emit_route_monitoring, emit_statistics, emit_termination,
};

use crate::choices::Choices;
use crate::driver::Target;
use crate::inputs::message;

/// For each message its type, and what is in it.
const CORPUS: [&[u8]; 4] = [
    &[4, 3, b'f', b'l', b'b', 2, b'n', b'1', 5],
    &[3, 0, 1, 2, 6, 1, 2, 3, 4, 5, 6, 3, b't', b'o', b'r', 2, 0, 2, 0, 1, 9],
    &[0, 1, 0, 23, 0, 0, 0, 4, 1, 2, 3, 4, 2, 1, 0, 3, b'b', b'y', b'e', 2, 0, 1, 1, 1],
    &[1, 1, 1, 4, 0, 1, 1, 2, 2, 3, 3, 4, 1, 0, 0, 0],
];

#[test]
fn whatever_is_told_a_station_can_take_apart() {
    let corpus = CORPUS.map(<[u8]>::to_vec).into();
    let target = Target { name: "bmp_encode", corpus, octets_max: 300, executions: 100_000 };
    target.run(|input| {
        let mut choices = Choices::new(input);
        let (mut out, mut types) = (Vec::new(), Vec::new());
        while !choices.is_empty() {
            types.extend(tell(&mut choices, &mut out));
        }
        let mut rest = &out[..];
        for &message_type in &types {
            let length = u32::from_be_bytes(rest[1..5].try_into().unwrap());
            let (message, after) = rest.split_at(length.try_into().unwrap());
            assert_eq!((message[0], message[5]), (3, message_type));
            check(message_type, &message[6..]);
            rest = after;
        }
        assert!(rest.is_empty());
        format!("{types:?}")
    });
}

/// Tells something, of this type, or nothing.
fn tell(choices: &mut Choices<'_>, out: &mut Vec<u8>) -> Option<u8> {
    let message_type = choices.octet() % 6;
    match message_type {
        0 => {
            let header = header(choices);
            let is_wide = choices.octet().is_multiple_of(2);
            emit_route_monitoring(&header, is_wide, &message(2, some(choices)), out);
        }
        1 => {
            let header = header(choices);
            let statistics: Vec<_> = (0..choices.octet() % 8).map(|_| statistic(choices)).collect();
            emit_statistics(&header, &statistics, out);
            return (!statistics.is_empty()).then_some(message_type);
        }
        2 => {
            let header = header(choices);
            emit_peer_down(&header, &peer_down(choices), out);
        }
        3 => {
            let header = header(choices);
            let up = PeerUp {
                local: (header.address, 179).into(),
                remote: (header.address, 40_000).into(),
                sent_open: &message(1, some(choices)),
                received_open: some(choices),
                admin_label: &String::from_utf8_lossy(some(choices)),
            };
            emit_peer_up(&header, &up, out);
        }
        4 => {
            let [description, name] = [(); 2].map(|()| String::from_utf8_lossy(some(choices)));
            emit_initiation(&description, &name, out);
        }
        _five => emit_termination(out),
    }
    Some(message_type)
}

fn header(choices: &mut Choices<'_>) -> PerPeerHeader {
    PerPeerHeader {
        distinguisher: NonZeroU64::new(choices.octet().into()),
        address: choices.one_of(&["192.0.2.2".parse().unwrap(), "2001:db8::2".parse().unwrap()]),
        asn: Asn(4_200_000_000),
        bgp_id: BgpId::from_ipv4([10, 0, 0, 2].into()).unwrap(),
        timestamp: Duration::from_millis(choices.word()),
    }
}

fn peer_down(choices: &mut Choices<'_>) -> PeerDown {
    let notification = |choices: &mut Choices<'_>| Notification {
        code: choices.octet(),
        subcode: choices.octet(),
        data: some(choices).into(),
    };
    match choices.octet() % 5 {
        0 => PeerDown::LocalNotification(notification(choices)),
        1 => PeerDown::LocalSilence { fsm_event: choices.octet().into() },
        2 => PeerDown::RemoteNotification(notification(choices)),
        3 => PeerDown::RemoteSilence,
        _four => PeerDown::Deconfigured,
    }
}

fn statistic(choices: &mut Choices<'_>) -> Statistic {
    match choices.octet() % 4 {
        0 => Statistic::AsPathLoops(choices.octet().into()),
        1 => Statistic::TreatedAsWithdraw(choices.octet().into()),
        2 => Statistic::AdjRibOut(choices.word()),
        _three => Statistic::AdjRibOutOf(choices.one_of(&Family::ALL), choices.word()),
    }
}

/// Octets after a number that says how many.
fn some<'a>(choices: &mut Choices<'a>) -> &'a [u8] {
    let count = choices.octet();
    choices.octets(count.into())
}

/// What follows the common header: RFC 7854 §4.3 to §4.10.
fn check(message_type: u8, body: &[u8]) {
    // Behind the per-peer header, where there is one.
    let body = if message_type < 4 { &body[42..] } else { body };
    match message_type {
        0 => assert!(after_message(body).is_empty()),
        1 => {
            let (count, statistics) = body.split_at(4);
            assert_eq!(count[..3], [0; 3]);
            assert_eq!(information(statistics), usize::from(count[3]));
        }
        2 => match body {
            [1 | 3, notification @ ..] => assert!(after_message(notification).is_empty()),
            [2, event @ ..] => assert_eq!(event.len(), 2),
            [4 | 5] => {}
            other => panic!("no reason in {other:?}"),
        },
        // The local address and both ports, both OPENs, the label.
        3 => assert_eq!(information(after_message(after_message(&body[20..]))), 1),
        4 => assert_eq!(information(body), 2),
        _five => assert_eq!(body, [0, 1, 0, 2, 0, 0]),
    }
}

/// What follows a BGP message.
fn after_message(octets: &[u8]) -> &[u8] {
    let length = u16::from_be_bytes(octets[16..18].try_into().unwrap());
    assert!(usize::from(length) >= HEADER_LENGTH);
    &octets[length.into()..]
}

/// How many pieces of information there are, and nothing else: RFC 7854 §4.4.
fn information(mut octets: &[u8]) -> usize {
    let mut count = 0;
    while !octets.is_empty() {
        let length = u16::from_be_bytes(octets[2..4].try_into().unwrap());
        octets = &octets[4 + usize::from(length)..];
        count += 1;
    }
    count
}
