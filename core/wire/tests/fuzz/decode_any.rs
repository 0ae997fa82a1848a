//! Any octets in the place of messages, whatever was agreed on.

use ferrolb_wire::bgp::{Frame, HEADER_LENGTH, MESSAGE_MAX, MessageType};

use crate::driver::Target;
use crate::inputs::{ALL, bodies, decoding, message};
use crate::round_trip;

/// Of the first octet of an input: both sides have Enhanced Route Refresh.
const IS_ENHANCED: u8 = 1 << 4;
/// What follows the second is not the body of a message of that type, but a stream.
const IS_STREAM: u8 = 1 << 5;

#[test]
fn any_message_is_refused_or_read_and_said_again() {
    let bodies = ALL.map(|(message_type, corpus)| (message_type, bodies(corpus)));
    let mut corpus = Vec::from([Vec::from([0, 4])]);
    for (message_type, bodies) in bodies {
        let stream: Vec<_> = bodies.iter().flat_map(|body| message(message_type, body)).collect();
        corpus.push([&[IS_STREAM, 0][..], &stream].concat());
        corpus.extend(bodies.iter().map(|body| [&[IS_ENHANCED, message_type][..], body].concat()));
    }
    let target = Target { name: "decode_any", corpus, octets_max: MESSAGE_MAX, executions: 200_000 };
    target.run(|input| {
        let [settings, message_type, rest @ ..] = input else { return "too short".to_owned() };
        if settings & IS_STREAM == 0 {
            return read_all(&message(*message_type, rest), *settings);
        }
        read_all(rest, *settings)
    });
}

/// Does with octets whatever can be done with them.
fn read_all(octets: &[u8], settings: u8) -> String {
    let (mut rest, mut last) = (octets, "nothing".to_owned());
    loop {
        match Frame::next(rest) {
            Ok(Some((frame, length))) => {
                assert!((HEADER_LENGTH..=MESSAGE_MAX).contains(&length));
                assert_eq!(frame.body.len() + HEADER_LENGTH, length);
                last = read(frame, settings);
                rest = &rest[length..];
            }
            Ok(None) => return last,
            Err(error) => return last + &round_trip::refused(&error, &[1], rest),
        }
    }
}

fn read(frame: Frame<'_>, settings: u8) -> String {
    match frame.message_type {
        MessageType::Open => round_trip::open(frame.body),
        MessageType::Update => round_trip::update(frame.body, &decoding(settings)),
        MessageType::Notification => round_trip::notification(frame.body),
        MessageType::Keepalive => {
            assert!(frame.body.is_empty());
            "keepalive".to_owned()
        }
        MessageType::RouteRefresh => round_trip::route_refresh(frame.body, settings & IS_ENHANCED != 0),
    }
}
