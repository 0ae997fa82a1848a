use super::*;
use crate::bfd::{Control, Diagnostic, Interval, LENGTH, State};
use alloc::vec::Vec;
use core::num::{NonZeroU8, NonZeroU32};
use proptest::prelude::*;
use std::format;

fn control() -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state: State::Down,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: NonZeroU32::MIN,
        your_discriminator: None,
        desired_min_tx: Interval::from_millis(1_000),
        required_min_rx: Interval::from_millis(300),
        required_min_echo_rx: Interval::ZERO,
    }
}

fn password(octets: &[u8]) -> Password {
    Password::read(octets).unwrap()
}

fn md5(is_meticulous: bool) -> Section {
    Section::KeyedMd5 { is_meticulous, key_id: 7, sequence: 0x0102_0304, digest: [0xaa; 16] }
}

fn sha1(is_meticulous: bool) -> Section {
    Section::KeyedSha1 { is_meticulous, key_id: 7, sequence: 0x0102_0304, digest: [0xbb; 20] }
}

/// The section that `section` is emitted as.
fn emitted(section: Section) -> Vec<u8> {
    let payload = control().emit_authenticated(&section);
    assert_eq!(usize::from(payload[3]), payload.len(), "the packet's length counts the section");
    assert_eq!(payload[1], control().emit()[1] | 0x04, "A is set");
    payload[LENGTH..].to_vec()
}

#[test]
fn the_octets_are_those_of_rfc5880_4_2_to_4_4() {
    let secret = Section::SimplePassword { key_id: 7, password: password(b"secret") };
    assert_eq!(emitted(secret), [&[1, 9, 7][..], b"secret"].concat());
    for (is_meticulous, types) in [(false, [2, 4]), (true, [3, 5])] {
        let head = [7, 0, 1, 2, 3, 4];
        assert_eq!(emitted(md5(is_meticulous)), [&[types[0], 24][..], &head, &[0xaa; 16]].concat());
        assert_eq!(emitted(sha1(is_meticulous)), [&[types[1], 28][..], &head, &[0xbb; 20]].concat());
    }
}

#[test]
fn a_section_of_another_type_or_length_is_refused_with_its_reason() {
    let good = emitted(md5(true));
    let with = |at: usize, octet: u8| {
        let mut octets = good.clone();
        octets[at] = octet;
        Section::parse(&octets).map_err(SectionError::reason)
    };
    assert_eq!(with(0, 0), Err("authentication_type"));
    assert_eq!(with(0, 6), Err("authentication_type"));
    assert_eq!(with(0, 4), Err("authentication_length"), "a hash is longer");
    assert_eq!(with(0, 1), Err("authentication_length"), "no password is that long");
    assert_eq!(with(1, 23), Err("authentication_length"));
    assert_eq!(with(3, 0xff), Ok(md5(true)), "what is reserved is ignored");
    for length in 0..good.len() {
        assert!(Section::parse(&good[..length]).is_err(), "{length} octets");
    }
    assert!(Section::parse(&[&good[..], &[0]].concat()).is_err());
    for octets in [&[1, 3, 7][..], &[1, 4, 7], &[1, 4, 7, 8, 9]] {
        let length = octets[1];
        let error = SectionError::Length { length, found: octets.len() };
        assert_eq!(Section::parse(octets), Err(error));
    }
}

#[test]
fn a_password_has_1_to_16_octets_and_is_never_printed() {
    assert_eq!(password(&[b'x'; 16]).octets(), [b'x'; 16]);
    assert_eq!((Password::read(&[]), Password::read(&[b'x'; 17])), (None, None));
    assert_eq!(Password::new([b'x'; 16], 0), password(b"x"));
    assert_eq!(Password::new([b'x'; 16], 200), password(&[b'x'; 16]));
    let section = Section::SimplePassword { key_id: 7, password: password(b"secret") };
    let printed = format!("{section:?} {:?}", control().emit_authenticated(&section));
    assert!(printed.contains("***") && !printed.contains("secret") && !printed.contains("115"), "{printed}");
}

fn section() -> impl Strategy<Value = Section> {
    let octets = prop::collection::vec(any::<u8>(), 1..=16);
    prop_oneof![
        (any::<u8>(), octets)
            .prop_map(|(key_id, octets)| { Section::SimplePassword { key_id, password: password(&octets) } }),
        any::<(bool, u8, u32, [u8; 16])>().prop_map(|(is_meticulous, key_id, sequence, digest)| {
            Section::KeyedMd5 { is_meticulous, key_id, sequence, digest }
        }),
        any::<(bool, u8, u32, [u8; 20])>().prop_map(|(is_meticulous, key_id, sequence, digest)| {
            Section::KeyedSha1 { is_meticulous, key_id, sequence, digest }
        }),
    ]
}

proptest! {
    #[test]
    fn an_authenticated_packet_parses_back(section in section(), tail: Vec<u8>) {
        let payload = control().emit_authenticated(&section);
        let datagram = [&payload[..], &tail].concat();
        let received = Control::parse(&datagram).unwrap();
        prop_assert_eq!(received.control, control());
        prop_assert_eq!(received.octets, &payload[..]);
        prop_assert_eq!(received.authentication.map(Section::parse), Some(Ok(section)));
    }

    #[test]
    fn arbitrary_octets_never_panic_and_what_parses_emits_the_same(
        auth_type in 0_u8..7, length in 0_u8..40, key_id: u8,
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut octets = [&[auth_type, length, key_id][..], &tail].concat();
        if let Ok(section) = Section::parse(&octets) {
            if section.auth_type() != AuthType::SimplePassword {
                octets[3] = 0;
            }
            prop_assert_eq!(emitted(section), octets);
        }
        if let Ok(section) = Section::parse(&tail) {
            prop_assert_eq!(emitted(section).len(), tail.len());
        }
    }
}
