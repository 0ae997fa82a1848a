use super::*;
use crate::bgp::{Families, Family, Frame, GracefulRestart};
use alloc::string::String;
use proptest::prelude::*;

/// AS 64512, 90 s, 192.0.2.1, no parameters.
const PLAIN: [u8; 10] = [4, 0xfc, 0x00, 0, 90, 192, 0, 2, 1, 0];

fn id(value: u32) -> BgpId {
    BgpId::new(NonZeroU32::new(value).unwrap())
}

fn plain() -> Open {
    Open { asn: Asn(64_512), hold_time: 90, bgp_id: id(0xc000_0201), capabilities: Capabilities::default() }
}

fn with(at: usize, octets: &[u8]) -> Result<Open, Error> {
    let mut body = PLAIN;
    body[at..at + octets.len()].copy_from_slice(octets);
    Open::parse(&body)
}

/// The body of an OPEN with these optional parameters.
fn with_parameters(parameters: &[u8]) -> Vec<u8> {
    let length = u8::try_from(parameters.len()).unwrap();
    [&PLAIN[..9], &[length], parameters].concat()
}

/// The same in the extended form of RFC 9072.
fn with_extended_parameters(first: u8, parameters: &[u8]) -> Vec<u8> {
    let length = u16::try_from(parameters.len()).unwrap();
    [&PLAIN[..9], &[first, 255], &length.to_be_bytes(), parameters].concat()
}

fn capabilities(body: &[u8]) -> Capabilities {
    Open::parse(body).unwrap().capabilities
}

fn codes(error: &Error) -> (u8, u8, Vec<u8>) {
    let notification = error.notification();
    (notification.code, notification.subcode, notification.data)
}

#[test]
fn the_octets_are_those_of_rfc4271_4_2() {
    assert_eq!(Open::parse(&PLAIN), Ok(plain()));
    let octets = plain().emit();
    assert_eq!(octets[..19], [&[0xff; 16][..], &[0, 29, 1]].concat());
    assert_eq!(octets[19..], PLAIN);
}

#[test]
fn another_version_is_answered_with_this_speakers() {
    for version in [0, 3, 5, 255] {
        let error = with(0, &[version]).unwrap_err();
        assert_eq!(error, Error::Version(version));
        assert_eq!(codes(&error), (2, 1, [0, 4].into()));
    }
}

#[test]
fn an_as_number_of_zero_is_refused_in_either_field() {
    let four_octets = |my_as: u16, asn: u32| {
        let mut body = with_parameters(&[&[2, 6, 65, 4][..], &asn.to_be_bytes()].concat());
        body[1..3].copy_from_slice(&my_as.to_be_bytes());
        Open::parse(&body)
    };
    for refused in [with(1, &[0, 0]), four_octets(23_456, 0), four_octets(0, 64_512)] {
        assert_eq!(refused, Err(Error::PeerAs));
    }
    assert_eq!(codes(&Error::PeerAs), (2, 2, Vec::new()));
}

#[test]
fn an_identifier_of_zero_is_refused_and_any_other_taken() {
    assert_eq!(with(5, &[0; 4]), Err(Error::BgpIdentifier));
    assert_eq!(codes(&Error::BgpIdentifier), (2, 3, Vec::new()));
    // RFC 6286 §2.1: it need not be an address of a host.
    for value in [1_u32, 0xe000_0001, u32::MAX] {
        assert_eq!(with(5, &value.to_be_bytes()).unwrap().bgp_id, id(value));
    }
}

#[test]
fn a_hold_time_is_zero_or_at_least_three_seconds() {
    for hold_time in [1_u16, 2] {
        let error = with(3, &hold_time.to_be_bytes()).unwrap_err();
        assert_eq!(error, Error::HoldTime(hold_time));
        assert_eq!(codes(&error), (2, 6, Vec::new()));
    }
    for hold_time in [0_u16, 3, u16::MAX] {
        assert_eq!(with(3, &hold_time.to_be_bytes()).unwrap().hold_time, hold_time);
    }
}

#[test]
fn a_parameter_other_than_capabilities_is_not_supported() {
    for parameter in [0, 1, 3, 254] {
        let error = Open::parse(&with_parameters(&[parameter, 1, 0])).unwrap_err();
        assert_eq!(error, Error::OptionalParameter(parameter));
        assert_eq!(codes(&error), (2, 4, Vec::new()));
    }
}

#[test]
fn lengths_that_do_not_agree_are_malformed() {
    let cases = [
        (PLAIN[..9].to_vec(), "no length of parameters"),
        ([&PLAIN[..9], &[1]].concat(), "parameters beyond the message"),
        ([&PLAIN[..], &[0]].concat(), "octets behind the parameters"),
        (with_parameters(&[2]), "a parameter without a length"),
        (with_parameters(&[2, 3, 2, 0]), "a parameter beyond the parameters"),
        (with_parameters(&[2, 1, 2]), "a capability without a length"),
        (with_parameters(&[2, 2, 2, 1]), "a capability beyond its parameter"),
        (with_parameters(&[2, 5, 1, 3, 0, 1, 1]), "a family of three octets"),
        (with_parameters(&[2, 4, 65, 2, 0, 1]), "an AS number of two octets"),
        (with_extended_parameters(255, &[2, 0]), "an extended parameter without a length"),
        (with_extended_parameters(255, &[2, 1, 0, 2]), "an extended parameter beyond the parameters"),
        ([&PLAIN[..9], &[255, 255, 1]].concat(), "no extended length"),
        ([&PLAIN[..9], &[255, 255, 0, 1]].concat(), "extended parameters beyond the message"),
    ];
    for (body, case) in cases {
        let error = Open::parse(&body).unwrap_err();
        assert_eq!(error, Error::MalformedOpen, "{case}");
        assert_eq!(codes(&error), (2, 0, Vec::new()));
    }
}

#[test]
fn capabilities_count_the_same_in_one_parameter_and_in_many() {
    let one = with_parameters(&[2, 16, 1, 4, 0, 1, 0, 1, 2, 0, 65, 4, 0, 0, 0xfc, 0, 70, 0]);
    let many = with_parameters(&[
        2, 6, 1, 4, 0, 1, 0, 1, // IPv4 unicast
        2, 2, 2, 0, // route refresh
        2, 6, 65, 4, 0, 0, 0xfc, 0, // AS 64512
        2, 2, 70, 0, // enhanced route refresh
    ]);
    let expected = Capabilities {
        families: Some(Families::IPV4),
        four_octet_asn: Some(Asn(64_512)),
        route_refresh: true,
        enhanced_route_refresh: true,
        ..Capabilities::default()
    };
    assert_eq!(capabilities(&one), expected);
    assert_eq!(capabilities(&many), expected);
    assert_eq!(capabilities(&with_parameters(&[2, 0])), Capabilities::default());
}

#[test]
fn the_extended_form_of_parameters_is_read_whatever_its_first_length() {
    // One parameter of 298 octets: two capabilities that nobody knows, and AS 65536.
    let value = [&[200, 250][..], &[0; 250], &[201, 38], &[0; 38], &[65, 4, 0, 1, 0, 0]].concat();
    let parameters = [&[2][..], &298_u16.to_be_bytes(), &value].concat();
    for first in [255, 1] {
        let open = Open::parse(&with_extended_parameters(first, &parameters)).unwrap();
        assert_eq!(open.asn, Asn(65_536));
        assert_eq!(open.capabilities.unknown, [200, 201]);
    }
    // A length of zero: there are no parameters (RFC 9072 §2), and what follows is too much.
    assert_eq!(Open::parse(&with_extended_parameters(0, &[])), Err(Error::MalformedOpen));
}

#[test]
fn the_as_number_is_that_of_the_capability() {
    let mut body = with_parameters(&[2, 6, 65, 4, 0xfa, 0x56, 0xea, 0x00]);
    body[1..3].copy_from_slice(&[0x5b, 0xa0]);
    let open = Open::parse(&body).unwrap();
    assert_eq!(open.asn, Asn(4_200_000_000));
    assert_eq!(open.emit()[19..], body);
}

#[test]
fn the_first_of_two_as_numbers_counts_and_the_last_graceful_restart() {
    let body = with_parameters(&[
        2, 20, 65, 4, 0, 0, 0, 7, 65, 4, 0, 0, 0, 8, // AS 7, AS 8
        64, 2, 0x80, 1, 64, 2, 0, 2, // 1 s with R, 2 s
    ]);
    let open = Open::parse(&body).unwrap();
    assert_eq!(open.asn, Asn(7));
    let graceful_restart = open.capabilities.graceful_restart.unwrap();
    assert_eq!((graceful_restart.restarted, graceful_restart.restart_time), (false, 2));
}

/// Everything that can be sent, as long as can be.
fn longest() -> Open {
    Open {
        asn: Asn(4_200_000_000),
        hold_time: 9,
        bgp_id: id(1),
        capabilities: Capabilities {
            families: Some(Families::ALL),
            four_octet_asn: Some(Asn(4_200_000_000)),
            route_refresh: true,
            enhanced_route_refresh: true,
            graceful_restart: Some(GracefulRestart {
                restarted: true,
                notification: true,
                restart_time: 4_095,
                families: [(Family::Ipv4Unicast, true), (Family::Ipv6Unicast, false)].into(),
            }),
            extended_next_hop: true,
            extended_message: true,
            fqdn: Some("n".repeat(253).into()),
            unknown: [1, 2, 3].into(),
        },
    }
}

#[test]
fn what_is_sent_never_needs_the_extended_form() {
    let octets = longest().emit();
    let [.., length, parameter, inner] = octets[..19 + 12] else { unreachable!() };
    assert_eq!((usize::from(length), parameter), (octets.len() - 29, 2));
    assert_eq!(usize::from(inner), octets.len() - 31);
}

#[test]
fn what_is_never_sent_is_not_there() {
    let sent = Open::parse(&longest().emit()[19..]).unwrap();
    assert!(!sent.capabilities.extended_message);
    assert_eq!(sent.capabilities.unknown, []);
    assert_eq!(sent.capabilities.fqdn.unwrap().len(), 64);
}

prop_compose! {
    fn graceful_restart()(
        restarted: bool, notification: bool, restart_time in 0_u16..4_096, preserved: [Option<bool>; 2],
    ) -> GracefulRestart {
        let families = Family::ALL.into_iter().zip(preserved);
        let families = families.filter_map(|(family, preserved)| Some((family, preserved?))).collect();
        GracefulRestart { restarted, notification, restart_time, families }
    }
}

prop_compose! {
    fn open()(
        asn in 1_u32.., is_four_octet: bool, hold_time in prop_oneof![Just(0), 3_u16..],
        identifier in 1_u32.., families in proptest::option::of(1_usize..4), flags: [bool; 3],
        graceful_restart in proptest::option::of(graceful_restart()),
        fqdn in proptest::option::of("[a-z0-9.-]{1,64}"),
    ) -> Open {
        let asn = if is_four_octet { asn } else { asn % 65_535 + 1 };
        let [route_refresh, enhanced_route_refresh, extended_next_hop] = flags;
        let sets = [Families::EMPTY, Families::IPV4, Families::IPV6, Families::ALL];
        Open {
            asn: Asn(asn),
            hold_time,
            bgp_id: id(identifier),
            capabilities: Capabilities {
                families: families.map(|nth| sets[nth]),
                four_octet_asn: is_four_octet.then_some(Asn(asn)),
                route_refresh,
                enhanced_route_refresh,
                graceful_restart,
                extended_next_hop,
                extended_message: false,
                fqdn: fqdn.map(String::into_boxed_str),
                unknown: Vec::new(),
            },
        }
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(open in open()) {
        let octets = open.emit();
        let (frame, consumed) = Frame::next(&octets).unwrap().unwrap();
        prop_assert_eq!((frame.message_type, consumed), (MessageType::Open, octets.len()));
        prop_assert_eq!(Open::parse(frame.body), Ok(open));
    }

    #[test]
    fn arbitrary_parameters_never_panic_and_what_they_say_is_bounded(
        is_extended: bool, is_capabilities: bool, octets in proptest::collection::vec(any::<u8>(), 0..250),
    ) {
        let parameters = if is_capabilities {
            let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
            [&[2][..], if is_extended { &length } else { &length[1..] }, &octets].concat()
        } else {
            octets
        };
        let body = if is_extended {
            with_extended_parameters(255, &parameters)
        } else {
            with_parameters(&parameters)
        };
        if let Ok(open) = Open::parse(&body) {
            prop_assert!(open.capabilities.unknown.len() <= 64);
            prop_assert!(Open::parse(&open.emit()[19..]).is_ok());
        }
    }
}
