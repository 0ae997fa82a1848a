use super::*;
use alloc::string::ToString;
use core::net::IpAddr;
use core::time::Duration;
use ferrolb_vocab::{Epoch, NodeName};
use std::vec;

const TAG: Tag = Tag([0xaa; TAG_LEN]);

fn datagram(body: Body) -> Datagram {
    Datagram {
        key: KeyId(0x1122_3344),
        sender: NodeName::from("node1").try_into().unwrap(),
        incarnation: 0x0102_0304_0506_0708,
        sequence: 42,
        echo: 7,
        body,
    }
}

fn heartbeat() -> Datagram {
    datagram(Body::Heartbeat(beat(3, false, false)))
}

fn beat(claims_version: u64, is_leaving: bool, is_herald: bool) -> Heartbeat {
    let (interval, detection) = (Duration::from_millis(40), Duration::from_millis(290));
    Heartbeat { claims_version, interval, detection, is_herald, is_leaving, is_followed: false }
}

fn page(entries: usize) -> Body {
    let entry = |index: usize| match index % 2 {
        0 => (IpAddr::from([192, 0, 2, u8::try_from(index).unwrap()]), Epoch(1)),
        _odd => ("2001:db8::50".parse().unwrap(), Epoch(u64::MAX)),
    };
    Body::Claims(ClaimsPage {
        version: 9,
        page: 2,
        pages: PAGES_MAX,
        entries: (0..entries).map(entry).collect(),
    })
}

fn bodies() -> Vec<Body> {
    let longest = NodeName::from("a".repeat(NAME_MAX)).try_into().unwrap();
    vec![
        Body::Heartbeat(beat(u64::MAX, false, false)),
        Body::Heartbeat(beat(u64::MAX, true, false)),
        Body::Heartbeat(beat(0, true, true)),
        Body::Suspect(Suspect { node: NodeName::from("node2").try_into().unwrap(), incarnation: 1 }),
        Body::Suspect(Suspect { node: longest, incarnation: u64::MAX }),
        Body::Leave,
        page(0),
        page(2),
        page(PAGE_ENTRIES_MAX),
        Body::Ask { version: 1 },
    ]
}

fn emitted(datagram: &Datagram) -> Vec<u8> {
    datagram.emit(|_| TAG)
}

#[test]
fn the_octets_are_the_documented_ones() {
    let mut expected = b"FLBm\x02\x01\x11\x22\x33\x44\x05node1\x01\x02\x03\x04\x05\x06\x07\x08".to_vec();
    expected.extend([0, 0, 0, 0, 0, 0, 0, 42]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 7]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x9c, 0x40, 0, 4, 0x6c, 0xd0, 0]);
    expected.extend([0xaa; TAG_LEN]);
    assert_eq!(emitted(&heartbeat()), expected);

    let claim = ("192.0.2.240".parse().unwrap(), Epoch(6));
    let claims = Body::Claims(ClaimsPage { version: 4, page: 0, pages: 1, entries: vec![claim] });
    let octets = emitted(&datagram(claims));
    let body = &octets[octets.len() - TAG_LEN - 37..octets.len() - TAG_LEN];
    let mut expected = vec![0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 1];
    expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 240]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 6]);
    assert_eq!(body, expected);
}

#[test]
fn what_is_emitted_parses_back_and_fits_the_smallest_path() {
    let longest: NodeName = "a".repeat(NAME_MAX).into();
    for body in bodies() {
        for name in [NodeName::from("n"), "worker-3.example.org".into(), longest.clone()] {
            for number in [0, 1, u64::MAX] {
                let sender = name.clone().try_into().unwrap();
                let numbers = Datagram { incarnation: number, sequence: number, echo: number, ..heartbeat() };
                let datagram = Datagram { sender, body: body.clone(), ..numbers };
                let octets = emitted(&datagram);
                assert!(octets.len() <= DATAGRAM_MAX, "{} octets", octets.len());
                let covered = &octets[..octets.len() - TAG_LEN];
                assert_eq!(Datagram::parse(&octets), Ok(Received { datagram, covered, tag: TAG }));
            }
        }
    }
}

#[test]
fn the_tag_is_given_to_everything_before_it() {
    let mut given = Vec::new();
    let octets = heartbeat().emit(|covered| {
        given = covered.to_vec();
        TAG
    });
    assert_eq!([&given[..], &TAG.0].concat(), octets);
}

#[test]
fn every_prefix_of_a_datagram_is_refused_as_truncated() {
    for body in bodies() {
        let octets = emitted(&datagram(body));
        for length in 0..octets.len() {
            let error = Datagram::parse(&octets[..length]).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated(_)), "{length}: {error:?}");
        }
    }
}

#[test]
fn each_defect_has_its_own_reason() {
    let with = |index: usize, octet: u8| {
        let mut octets = emitted(&heartbeat());
        octets[index] = octet;
        Datagram::parse(&octets).unwrap_err()
    };
    assert_eq!(with(0, b'X'), DecodeError::Magic);
    assert_eq!(with(4, 1), DecodeError::Version(1));
    assert_eq!(with(5, 0), DecodeError::Kind(0));
    assert_eq!(with(5, 6), DecodeError::Kind(6));
    assert_eq!(with(10, 0), DecodeError::Name);
    assert_eq!(with(11, b'\n'), DecodeError::Name);
    assert_eq!(with(11, 0xff), DecodeError::Name);
    assert_eq!(with(11, b'N'), DecodeError::Name);
    assert_eq!(with(56, 8), DecodeError::Flags(8));
    let longer = [&emitted(&heartbeat())[..], &[0]].concat();
    assert_eq!(Datagram::parse(&longer), Err(DecodeError::Trailing(1)));
    let overlong = [b"FLBm\x02\x01\0\0\0\0\xfe".as_slice(), &vec![b'a'; 254 + 49]].concat();
    assert_eq!(Datagram::parse(&overlong), Err(DecodeError::Name));
}

#[test]
fn pages_that_cannot_be_are_refused() {
    for (number, pages, entries) in [(0_u16, 0, 0), (3, 3, 0), (0, PAGES_MAX + 1, 0), (0, 1, 39)] {
        let mut octets = emitted(&datagram(Body::Ask { version: 1 }));
        octets[5] = Kind::Claims.code();
        octets.truncate(octets.len() - TAG_LEN);
        octets.extend(
            [&number.to_be_bytes()[..], &pages.to_be_bytes(), &[entries], &[0; 39 * 24], &TAG.0].concat(),
        );
        assert_eq!(Datagram::parse(&octets), Err(DecodeError::Page { page: number, pages, entries }));
    }
}

#[test]
fn names_that_do_not_fit_cannot_be_built() {
    for name in ["".to_string(), "a".repeat(NAME_MAX + 1), "Node1".into(), "a b".into(), "ä".into()] {
        let error = MemberName::try_from(NodeName::from(name.as_str())).unwrap_err();
        assert!(error.to_string().contains("1 to 253 lower-case letters"), "{error}");
    }
}

/// Beginnings after which chance finds the rest.
const HEADS: [&[u8]; 7] = [
    b"",
    b"FLBm",
    b"FLBm\x02\x01\0\0\0\0\x05node1",
    b"FLBm\x02\x02\0\0\0\0\x01a",
    b"FLBm\x02\x03\0\0\0\0\x01aIIIIIIIISSSSSSSSEEEEEEEEVVVVVVVV\0\0\0\x01\x01",
    b"FLBm\x02\x04\0\0\0\0\x01a",
    b"FLBm\x02\x05\0\0\0\0\x01aIIIIIIIISSSSSSSSEEEEEEEE\x05node1",
];

proptest::proptest! {
    #[test]
    fn whatever_parses_is_emitted_as_it_came(
        head in proptest::sample::select(HEADS.to_vec()),
        tail in proptest::collection::vec(proptest::num::u8::ANY, 0..60),
    ) {
        let octets = [head, &tail].concat();
        if let Ok(Received { datagram, tag, .. }) = Datagram::parse(&octets) {
            proptest::prop_assert_eq!(datagram.emit(|_| tag), octets);
        }
    }
}

#[test]
fn the_property_above_meets_datagrams_that_parse() {
    for (head, length) in
        [(HEADS[3], 24 + 16), (HEADS[4], 24 + 16), (HEADS[5], 24 + 8 + 16), (HEADS[6], 8 + 16)]
    {
        let octets = [head, &vec![7; length]].concat();
        let Received { datagram, tag, .. } = Datagram::parse(&octets).unwrap();
        assert_eq!(datagram.emit(|_| tag), octets);
    }
}
