use super::*;
use proptest::prelude::*;

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// What a router sends that lives at 192.0.2.1. Nobody looks at the sum of its datagram.
const ROUTERS: [u8; 46] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // to this host, from the router, IPv4
    0x45, 0xc0, 0x00, 0x20, 0x12, 0x34, 0x40, 0x00, // 32 octets, identification, Don't Fragment
    0xff, 0x11, 0xe4, 0xd5, // 255 hops, UDP, the sum
    192, 0, 2, 1, 192, 0, 2, 1, //
    0x0e, 0xc9, 0x0e, 0xc9, 0x00, 0x0c, 0xab, 0xcd, // 3785 to 3785, 12 octets
    1, 2, 3, 4, //
];

fn router() -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 1)
}

#[test]
fn a_frame_is_read_as_it_was_sent() {
    let frame = Frame::parse(&ROUTERS).unwrap();
    let (source, destination) = (router(), router());
    let expected =
        Frame { to: OURS, from: THEIRS, source, destination, ttl: 255, port: 3785, payload: &[1, 2, 3, 4] };
    assert_eq!(frame, expected);
    // An Ethernet frame has 60 octets at least.
    let padded = [&ROUTERS[..], &[0; 14]].concat();
    assert_eq!(Frame::parse(&padded), Some(expected));
}

#[test]
fn a_frame_that_is_turned_round_has_one_hop_less_and_is_else_as_it_was() {
    let mut octets = ROUTERS;
    assert_eq!(Frame::turn_round(&mut octets), Some(()));
    let before = Frame::parse(&ROUTERS).unwrap();
    assert_eq!(Frame::parse(&octets), Some(Frame { to: THEIRS, from: OURS, ttl: 254, ..before }));
    let changed: Vec<usize> = (0..ROUTERS.len()).filter(|at| octets[*at] != ROUTERS[*at]).collect();
    // The last octet of either address, the Time to Live, the header's checksum.
    assert_eq!(changed, [5, 11, 22, 24]);
    assert_eq!(octets[24], 0xe5);
}

#[test]
fn any_checksum_is_right_again_with_one_hop_less() {
    let before = Frame::parse(&ROUTERS).unwrap();
    // Addresses that give every sum that a header can have.
    for low in 0..=u16::MAX {
        let source = Ipv4Addr::from_bits(0x0a00_0000 | u32::from(low));
        let mut octets = Frame { source, ..before }.emit();
        assert_eq!(Frame::turn_round(&mut octets), Some(()));
        assert!(Frame::parse(&octets).is_some(), "{source}");
    }
}

#[test]
fn what_has_no_hop_left_or_is_no_datagram_is_not_turned_round() {
    let damaged = |at: usize, octet: u8| {
        let mut octets = ROUTERS;
        octets[at] = octet;
        octets
    };
    // Another type, version, fragment, protocol, checksum; more octets than there are.
    for (at, octet) in [(12, 0x86), (14, 0x46), (20, 0x60), (23, 6), (24, 0), (17, 0x30)] {
        let before = damaged(at, octet);
        let mut octets = before;
        assert_eq!(Frame::parse(&octets), None, "octet {at}");
        assert_eq!(Frame::turn_round(&mut octets), None, "octet {at}");
        assert_eq!(octets, before);
    }
    let mut last_hop = Frame { ttl: 0, ..Frame::parse(&ROUTERS).unwrap() }.emit();
    assert!(Frame::parse(&last_hop).is_some());
    assert_eq!(Frame::turn_round(&mut last_hop), None);
}

#[test]
fn an_echo_is_this_sides_discriminator_and_a_number() {
    let echo = Echo { discriminator: NonZeroU32::new(0x0102_0304).unwrap(), sequence: 0x0506_0708 };
    assert_eq!(echo.emit(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(Echo::parse(&echo.emit()), Some(echo));
    assert_eq!(Echo::parse(&[0, 0, 0, 0, 5, 6, 7, 8]), None);
    assert_eq!((Echo::parse(&[1; 7]), Echo::parse(&[1; 9])), (None, None));
}

#[test]
fn a_datagram_whose_checksum_would_be_zero_has_all_ones() {
    let mut has_seen = false;
    for payload in 0..=u16::MAX {
        let (source, destination) = (router(), router());
        let payload = payload.to_be_bytes();
        let frame =
            Frame { to: OURS, from: THEIRS, source, destination, ttl: 255, port: 3785, payload: &payload };
        let [high, low] = frame.emit()[40..42] else { unreachable!() };
        assert_ne!([high, low], [0, 0]);
        has_seen |= [high, low] == [0xff, 0xff];
    }
    assert!(has_seen);
}

prop_compose! {
    fn frame()(
        to: [u8; 6], from: [u8; 6], source: u32, destination: u32, ttl: u8, port: u16,
    ) -> Frame<'static> {
        Frame {
            to: MacAddr(to),
            from: MacAddr(from),
            source: source.into(),
            destination: destination.into(),
            ttl,
            port,
            payload: &[],
        }
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back_and_turns_round_twice(
        frame in frame(), payload in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let frame = Frame { payload: &payload, ..frame };
        let mut octets = frame.emit();
        prop_assert_eq!(Frame::parse(&octets), Some(frame));
        let datagram = &octets[34..];
        let sum = checksum(&[&frame.pseudo_header(datagram.len().try_into().unwrap()), datagram]);
        prop_assert_eq!(sum, 0);
        for hops in 1..=2 {
            let is_alive = frame.ttl >= hops;
            prop_assert_eq!(Frame::turn_round(&mut octets).is_some(), is_alive);
            let (to, from) = if hops == 1 { (frame.from, frame.to) } else { (frame.to, frame.from) };
            if is_alive {
                let ttl = frame.ttl - hops;
                prop_assert_eq!(Frame::parse(&octets), Some(Frame { to, from, ttl, ..frame }));
            }
        }
    }

    #[test]
    fn arbitrary_octets_never_panic(
        mut octets: Vec<u8>, at in 0_usize..46, octet: u8, length in 0_usize..=46,
    ) {
        Frame::turn_round(&mut octets);
        prop_assert!(Echo::parse(&octets).is_none_or(|echo| echo.emit()[..] == octets[..]));
        let mut damaged = ROUTERS;
        damaged[at] = octet;
        let damaged = &mut damaged[..length];
        if let Some(frame) = Frame::parse(damaged) {
            prop_assert!(frame.payload.len() <= length);
        }
        Frame::turn_round(damaged);
    }
}
