use super::*;
use crate::bgp::Frame;
use proptest::prelude::*;
use std::string::ToString;

fn parse(message: &[u8]) -> Notification {
    let (frame, consumed) = Frame::next(message).unwrap().unwrap();
    assert_eq!((frame.message_type, consumed), (MessageType::Notification, message.len()));
    Notification::parse(frame.body).unwrap()
}

fn numbers(notification: &Notification) -> (u8, u8, &[u8]) {
    (notification.code, notification.subcode, &notification.data)
}

#[test]
fn the_octets_are_those_of_rfc4271_4_5() {
    let octets = Notification::hold_timer_expired().emit();
    assert_eq!(octets, [&[0xff; 16][..], &[0, 21, 3, 4, 0]].concat());
    assert_eq!(parse(&octets), Notification::hold_timer_expired());
}

#[test]
fn every_cease_has_the_subcode_and_the_name_of_its_registry() {
    let names = [
        "Maximum Number of Prefixes Reached",
        "Administrative Shutdown",
        "Peer De-configured",
        "Administrative Reset",
        "Connection Rejected",
        "Other Configuration Change",
        "Connection Collision Resolution",
        "Out of Resources",
        "Hard Reset",
        "BFD Down",
    ];
    for ((cease, name), subcode) in Cease::ALL.into_iter().zip(names).zip(1..) {
        let notification = Notification::cease(cease, None);
        assert_eq!(numbers(&notification), (6, subcode, &[][..]));
        assert_eq!(notification.as_cease(), Some(cease));
        assert_eq!(notification.subcode_name(), name);
    }
    assert_eq!(Notification::bare(6, 11).as_cease(), None);
    assert_eq!(Notification::bare(5, 2).as_cease(), None);
}

#[test]
fn an_operators_words_go_with_a_shutdown_and_a_reset_alone() {
    let shutdown = Notification::cease(Cease::AdministrativeShutdown, Some("maintenance"));
    assert_eq!(numbers(&shutdown), (6, 2, &b"\x0bmaintenance"[..]));
    assert_eq!(parse(&shutdown.emit()).text().unwrap(), "maintenance");
    assert_eq!(shutdown.to_string(), "Cease/Administrative Shutdown: maintenance");
    let reset = Notification::cease(Cease::AdministrativeReset, Some("later"));
    assert_eq!(reset.text().unwrap(), "later");
    for cease in [Cease::PeerDeconfigured, Cease::HardReset, Cease::BfdDown] {
        let notification = Notification::cease(cease, Some("words"));
        assert_eq!((&notification.data[..], notification.text()), (&[][..], None));
    }
}

#[test]
fn words_are_cut_at_255_octets_between_characters() {
    let text = std::iter::repeat_n('ü', 200).collect::<String>();
    let notification = Notification::cease(Cease::AdministrativeShutdown, Some(&text));
    assert_eq!(notification.data.len(), 255);
    assert_eq!(notification.data[0], 254);
    assert_eq!(notification.text().unwrap().chars().count(), 127);
}

#[test]
fn words_that_are_cut_short_or_empty_are_none_and_others_are_shown_without_what_a_terminal_obeys() {
    let with = |data: &[u8]| Notification { code: 6, subcode: 2, data: data.into() };
    for data in [&b""[..], b"\x00", b"\x05abc"] {
        assert_eq!(with(data).text(), None);
        assert_eq!(with(data).to_string(), "Cease/Administrative Shutdown");
    }
    // What follows the words is ignored.
    assert_eq!(with(b"\x03a\nbcd").to_string(), "Cease/Administrative Shutdown: a b");
    assert_eq!(with(b"\x02a\xff").text().unwrap(), "a\u{fffd}");
}

#[test]
fn a_hard_reset_carries_what_it_is_because_of() {
    let inner = Notification::cease(Cease::AdministrativeShutdown, Some("bye"));
    let reset = Notification::hard_reset(&inner);
    assert_eq!(numbers(&reset), (6, 9, &b"\x06\x02\x03bye"[..]));
    assert_eq!(parse(&reset.emit()).encapsulated(), Some(inner.clone()));
    assert_eq!(reset.to_string(), "Cease/Hard Reset: Cease/Administrative Shutdown: bye");
    assert_eq!(Notification::cease(Cease::HardReset, None).encapsulated(), None);
    assert_eq!(inner.encapsulated(), None);
    let within = Notification::hard_reset(&reset).to_string();
    assert_eq!(within, "Cease/Hard Reset: Cease/Hard Reset");
    let expired = Notification::hard_reset(&Notification::hold_timer_expired());
    assert_eq!(expired.to_string(), "Cease/Hard Reset: Hold Timer Expired");
}

#[test]
fn an_unexpected_message_is_named_by_its_type() {
    let cases = [
        (FsmSubcode::Unspecified, 0, None),
        (FsmSubcode::UnexpectedInOpenSent(MessageType::Keepalive), 1, Some(4)),
        (FsmSubcode::UnexpectedInOpenConfirm(MessageType::Update), 2, Some(2)),
        (FsmSubcode::UnexpectedInEstablished(MessageType::Open), 3, Some(1)),
    ];
    for (subcode, code, data) in cases {
        let notification = Notification::fsm_error(subcode);
        assert_eq!(numbers(&notification), (5, code, data.as_slice()));
    }
}

#[test]
fn what_the_peer_cannot_do_is_listed_as_capabilities() {
    let notification = Notification::unsupported_capability(Families::ALL);
    assert_eq!(numbers(&notification), (2, 7, &[1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1][..]));
}

#[test]
fn the_other_notifications_have_the_codes_of_their_rfcs() {
    for (notification, code, subcode, shown) in [
        (Notification::bad_peer_as(), 2, 2, "OPEN Message Error/Bad Peer AS"),
        (Notification::bad_bgp_identifier(), 2, 3, "OPEN Message Error/Bad BGP Identifier"),
        (Notification::unacceptable_hold_time(), 2, 6, "OPEN Message Error/Unacceptable Hold Time"),
        (Notification::hold_timer_expired(), 4, 0, "Hold Timer Expired"),
        (Notification::send_hold_timer_expired(), 8, 0, "Send Hold Timer Expired"),
    ] {
        assert_eq!(numbers(&notification), (code, subcode, &[][..]));
        assert_eq!(notification.to_string(), shown);
    }
}

#[test]
fn codes_without_a_name_are_shown_as_numbers() {
    assert_eq!(Notification::bare(3, 7).to_string(), "UPDATE Message Error/7");
    assert_eq!(Notification::bare(99, 0).to_string(), "Unknown Error");
    assert_eq!(Notification::bare(99, 1).to_string(), "Unknown Error/1");
    let named = (1..=8_u8).flat_map(|code| (0..=u8::MAX).map(move |subcode| (code, subcode)));
    let named = named.filter(|(code, subcode)| !codes::subcode_name(*code, *subcode).is_empty());
    // RFC 4271 3 + 5 + 10, RFC 5492, RFC 9234, RFC 6608 3, Cease 10, RFC 7313.
    assert_eq!(named.count(), 3 + 5 + 10 + 1 + 1 + 3 + 10 + 1);
}

#[test]
fn a_body_without_a_subcode_has_no_length_of_a_notification() {
    assert_eq!(Notification::parse(&[]), Err(Error::MessageLength(19)));
    assert_eq!(Notification::parse(&[6]), Err(Error::MessageLength(20)));
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(
        code: u8, subcode: u8, data in proptest::collection::vec(any::<u8>(), 0..5_000),
    ) {
        let notification = Notification { code, subcode, data };
        let octets = notification.emit();
        prop_assert!(octets.len() <= MESSAGE_MAX);
        let mut data = notification.data;
        data.truncate(4_075);
        prop_assert_eq!(parse(&octets), Notification { data, ..notification });
    }

    #[test]
    fn any_notification_can_be_shown(code in 0_u8..10, subcode in 0_u8..12, data: Vec<u8>) {
        let notification = Notification { code, subcode, data };
        prop_assert!(!notification.to_string().chars().any(char::is_control));
        prop_assert!(Notification::hard_reset(&notification).emit().len() <= MESSAGE_MAX);
    }
}
