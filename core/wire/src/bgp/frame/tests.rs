use super::*;
use crate::bgp::{Decoding, Families, Notification, Open, RouteRefresh, Update};
use ferrolb_vocab::Asn;
use proptest::collection::vec;
use proptest::prelude::*;

/// A header of these numbers.
fn header(length: u16, code: u8) -> Vec<u8> {
    [&MARKER[..], &length.to_be_bytes(), &[code]].concat()
}

fn error(octets: &[u8]) -> Error {
    Frame::next(octets).unwrap_err()
}

#[test]
fn a_keepalive_is_a_header_alone() {
    let octets = keepalive();
    assert_eq!(octets.to_vec(), header(19, 4));
    assert_eq!(
        Frame::next(&octets),
        Ok(Some((Frame { message_type: MessageType::Keepalive, body: &[] }, 19)))
    );
}

#[test]
fn a_message_is_its_body_behind_a_header() {
    let octets = message(MessageType::Notification, &[6, 2, 0]);
    assert_eq!(octets, [&header(22, 3)[..], &[6, 2, 0]].concat());
    let followed = [&octets[..], &keepalive()].concat();
    let frame = Frame { message_type: MessageType::Notification, body: &[6, 2, 0] };
    assert_eq!(Frame::next(&followed), Ok(Some((frame, 22))));
}

#[test]
fn a_message_that_is_not_there_as_a_whole_is_waited_for() {
    let octets = message(MessageType::Notification, &[6, 2, 0]);
    for length in 0..octets.len() {
        assert_eq!(Frame::next(&octets[..length]), Ok(None), "{length} octets");
    }
}

#[test]
fn a_marker_of_anything_but_ones_is_not_synchronized() {
    for at in 0..16 {
        let mut octets = keepalive();
        octets[at] = 0xfe;
        assert_eq!(error(&octets), Error::NotSynchronized);
    }
    let notification = Error::NotSynchronized.notification();
    assert_eq!((notification.code, notification.subcode, &notification.data[..]), (1, 1, &[][..]));
}

#[test]
fn every_type_has_its_lengths_and_the_wrong_one_goes_back() {
    let longest = 4_096;
    let lengths = [
        (1, 29, longest), // OPEN
        (2, 23, longest), // UPDATE
        (3, 21, longest), // NOTIFICATION
        (4, 19, 19),      // KEEPALIVE
        (5, 23, longest), // ROUTE-REFRESH, with entries of a filter
    ];
    for (code, least, most) in lengths {
        for length in [least, most] {
            let octets = [&header(length, code)[..], &[0; 4_096]].concat();
            let (frame, consumed) = Frame::next(&octets).unwrap().unwrap();
            assert_eq!(frame.message_type.code(), code);
            assert_eq!(frame.body.len() + HEADER_LENGTH, usize::from(length));
            assert_eq!(consumed, usize::from(length));
        }
        for length in [0, 18, least - 1, most + 1, 4_097, u16::MAX] {
            let wrong = error(&header(length, code));
            assert_eq!(wrong, Error::MessageLength(length));
            let notification = wrong.notification();
            assert_eq!((notification.code, notification.subcode), (1, 2));
            assert_eq!(notification.data, length.to_be_bytes());
        }
    }
}

#[test]
fn a_type_that_is_unknown_goes_back() {
    for code in [0, 6, 128, 255] {
        let wrong = error(&header(19, code));
        assert_eq!(wrong, Error::MessageType(code));
        let notification = wrong.notification();
        assert_eq!((notification.code, notification.subcode, notification.data), (1, 3, [code].into()));
    }
}

#[test]
fn of_several_defects_of_a_header_the_first_of_rfc4271_6_1_counts() {
    let mut octets = header(18, 9);
    assert_eq!(error(&octets), Error::MessageLength(18));
    octets[0] = 0;
    assert_eq!(error(&octets), Error::NotSynchronized);
}

/// Every message of `stream`, which arrives in chunks of these lengths, and what is left.
fn frames(stream: &[u8], chunks: &[usize]) -> (Vec<(MessageType, Vec<u8>)>, Vec<u8>) {
    let (mut frames, mut buffer, mut rest) = (Vec::new(), Vec::new(), stream);
    let mut chunks = chunks.iter().copied().chain([usize::MAX]);
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(chunks.next().unwrap_or(usize::MAX).min(rest.len()));
        buffer.extend_from_slice(chunk);
        rest = later;
        while let Ok(Some((frame, consumed))) = Frame::next(&buffer) {
            frames.push((frame.message_type, frame.body.to_vec()));
            buffer.drain(..consumed);
        }
    }
    (frames, buffer)
}

const EXTERNAL: Decoding =
    Decoding { four_octet_as: true, is_internal: false, local_asn: Asn(64_512), families: Families::ALL };

/// Does with octets whatever can be done with them.
fn read_all(octets: &[u8]) {
    let mut rest = octets;
    while let Ok(Some((frame, consumed))) = Frame::next(rest) {
        rest = &rest[consumed..];
        match frame.message_type {
            MessageType::Open => drop(Open::parse(frame.body)),
            MessageType::Update => drop(Update::parse(frame.body, &EXTERNAL)),
            MessageType::Notification => {
                let notification = Notification::parse(frame.body).unwrap();
                assert_eq!(Frame::next(&notification.emit()).unwrap().unwrap().0, frame);
            }
            MessageType::Keepalive => assert!(frame.body.is_empty()),
            MessageType::RouteRefresh => drop(RouteRefresh::parse(frame.body, true)),
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_messages(
        bodies in vec((0_usize..5, vec(any::<u8>(), 10..100)), 0..20),
        chunks in vec(1_usize..200, 0..40),
        tail in vec(any::<u8>(), 0..30),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (nth, body) in bodies {
            let message_type = MessageType::ALL[nth];
            let body = if message_type == MessageType::Keepalive { Vec::new() } else { body };
            stream.extend(message(message_type, &body));
            expected.push((message_type, body));
        }
        // What follows is no message: it is left, however it came.
        let tail = [&[0][..], &tail].concat();
        stream.extend_from_slice(&tail);
        let split = frames(&stream, &chunks);
        prop_assert_eq!(&split, &frames(&stream, &[]));
        prop_assert_eq!(split, (expected, tail));
    }

    #[test]
    fn arbitrary_messages_never_panic(
        messages in vec((0_usize..5, any::<Vec<u8>>()), 0..4),
        garbage: Vec<u8>,
    ) {
        let mut octets = Vec::new();
        for (nth, body) in messages {
            octets.extend(message(MessageType::ALL[nth], &body));
        }
        octets.extend(garbage);
        read_all(&octets);
    }
}
