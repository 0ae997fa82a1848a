use super::*;
use crate::bgp::Frame;
use std::string::ToString;

fn parse(message: &[u8]) -> Result<RouteRefresh, Error> {
    let (frame, _) = Frame::next(message).unwrap().unwrap();
    assert_eq!(frame.message_type, MessageType::RouteRefresh);
    RouteRefresh::parse(frame.body, true)
}

#[test]
fn the_octets_are_those_of_rfc2918_3() {
    let request = RouteRefresh { family: Some(Family::Ipv6Unicast), subtype: Subtype::Request };
    let octets = request.emit();
    assert_eq!(octets[16..], [0, 23, 5, 0, 2, 0, 1]);
    assert_eq!(parse(&octets), Ok(request));
}

#[test]
fn marks_are_subtypes_and_others_mean_nothing() {
    for (code, subtype) in [
        (1, Subtype::BeginningOfRefresh),
        (2, Subtype::EndOfRefresh),
        (3, Subtype::Unknown(3)),
        (255, Subtype::Unknown(255)),
    ] {
        let mark = RouteRefresh { family: Some(Family::Ipv4Unicast), subtype };
        let octets = mark.emit();
        assert_eq!(octets[19..], [0, 1, code, 1]);
        assert_eq!(parse(&octets), Ok(mark));
    }
}

#[test]
fn a_refresh_of_another_family_is_of_none() {
    let vpn = frame::message(MessageType::RouteRefresh, &[0, 1, 0, 128]);
    let refresh = RouteRefresh { family: None, subtype: Subtype::Request };
    assert_eq!(parse(&vpn), Ok(refresh));
    assert_eq!(parse(&refresh.emit()), Ok(refresh));
}

#[test]
fn entries_of_a_filter_in_a_request_are_ignored() {
    let with_filter = frame::message(MessageType::RouteRefresh, &[0, 1, 0, 1, 1, 64, 0, 1, 0x80]);
    let request = RouteRefresh { family: Some(Family::Ipv4Unicast), subtype: Subtype::Request };
    assert_eq!(parse(&with_filter), Ok(request));
}

#[test]
fn without_the_capability_every_message_is_a_request() {
    let request = RouteRefresh { family: Some(Family::Ipv4Unicast), subtype: Subtype::Request };
    for body in [&[0, 1, 1, 1][..], &[0, 1, 9, 1], &[0, 1, 1, 1, 0]] {
        assert_eq!(RouteRefresh::parse(body, false), Ok(request), "{body:?}");
    }
}

#[test]
fn a_mark_of_another_length_goes_back_as_a_whole() {
    for code in [1, 2] {
        let octets = frame::message(MessageType::RouteRefresh, &[0, 1, code, 1, 0]);
        let error = parse(&octets).unwrap_err();
        assert_eq!(error.reason(), "route_refresh_length");
        assert!(error.to_string().contains("24 octets"));
        let notification = error.notification();
        assert_eq!((notification.code, notification.subcode, notification.data), (7, 1, octets));
    }
    assert_eq!(RouteRefresh::parse(&[0, 1, 0], true), Err(Error::MessageLength(22)));
}
