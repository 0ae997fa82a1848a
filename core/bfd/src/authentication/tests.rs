use super::*;
use core::num::{NonZeroU8, NonZeroU32};
use ferrolb_wire::bfd::{Diagnostic, Interval, LENGTH, State};
use proptest::prelude::*;
use std::format;
use std::string::ToString;
use std::vec::Vec;

const TYPES: [AuthType; 5] = [
    AuthType::SimplePassword,
    AuthType::KeyedMd5,
    AuthType::MeticulousKeyedMd5,
    AuthType::KeyedSha1,
    AuthType::MeticulousKeyedSha1,
];

const DIGESTS: [AuthType; 4] = [TYPES[1], TYPES[2], TYPES[3], TYPES[4]];

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn key(id: u8, secret: &str) -> Key {
    Key::new(id, secret.as_bytes()).unwrap()
}

fn with(auth_type: AuthType) -> Authentication {
    Authentication::new(auth_type, key(7, "secret"), None).unwrap()
}

fn control(detect_mult: u8) -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state: State::Up,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(detect_mult).unwrap(),
        my_discriminator: NonZeroU32::MIN,
        your_discriminator: Some(NonZeroU32::MIN),
        desired_min_tx: Interval::from_millis(300),
        required_min_rx: Interval::from_millis(300),
        required_min_echo_rx: Interval::ZERO,
    }
}

/// A packet with a Detect Mult of 3 whose sequence number is `sequence`.
fn sealed(authentication: &Authentication, sequence: u32) -> Payload {
    Sequences::default().seal(&control(3), authentication, || sequence)
}

/// A side with a Detection Time of 900 ms.
fn side() -> Sequences {
    Sequences { detection_time: Duration::from_millis(900), ..Sequences::default() }
}

fn admit(
    side: &mut Sequences,
    authentication: Option<&Authentication>,
    octets: &[u8],
    ms: u64,
) -> Result<(), Inauthentic> {
    side.admit(authentication, &Control::parse(octets).unwrap(), at(ms))
}

/// Digests by Python's hashlib over the packet with the key, zeros after it, in the digest's place.
#[test]
fn digests_are_those_of_rfc5880_6_7_3_and_6_7_4() {
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().concat();
    let digest = |auth_type| hex(&sealed(&with(auth_type), 0x0102_0304)[LENGTH + 8..]);
    assert_eq!(digest(AuthType::KeyedMd5), "357030813ab545a18a5731644f1007c5");
    assert_eq!(digest(AuthType::MeticulousKeyedMd5), "c8c20a8c0e0eccd8dfb309521997641d");
    assert_eq!(digest(AuthType::KeyedSha1), "32f1cd2f1d60e18a044fe57e72e67973606cc6aa");
    assert_eq!(digest(AuthType::MeticulousKeyedSha1), "e5e2f6c06d6bdfcd4637c2fef404235ab99f3a9f");
    assert_eq!(&sealed(&with(AuthType::SimplePassword), 0)[LENGTH..], b"\x01\x09\x07secret");
}

#[test]
fn a_packet_with_the_right_key_is_taken_and_with_another_is_not() {
    for auth_type in TYPES {
        let ours = with(auth_type);
        let other_secret = Authentication::new(auth_type, key(7, "Secret"), None).unwrap();
        let longer = Authentication::new(auth_type, key(7, "secret!"), None).unwrap();
        let other_key = Authentication::new(auth_type, key(8, "secret"), None).unwrap();
        assert_eq!(admit(&mut side(), Some(&ours), &sealed(&ours, 5), 0), Ok(()));
        for (theirs, error) in [
            (other_secret, Inauthentic::Mismatch(7)),
            (longer, Inauthentic::Mismatch(7)),
            (other_key, Inauthentic::KeyId(8)),
        ] {
            assert_eq!(admit(&mut side(), Some(&ours), &sealed(&theirs, 5), 0), Err(error), "{auth_type:?}");
        }
        for found in TYPES.into_iter().filter(|found| *found != auth_type) {
            let error = Inauthentic::Type { found, expected: auth_type };
            assert_eq!(admit(&mut side(), Some(&ours), &sealed(&with(found), 5), 0), Err(error));
        }
    }
}

#[test]
fn both_sides_authenticate_or_neither() {
    let ours = with(AuthType::KeyedSha1);
    let plain = control(3).emit();
    assert_eq!(admit(&mut side(), None, &plain, 0), Ok(()));
    assert_eq!(admit(&mut side(), Some(&ours), &plain, 0), Err(Inauthentic::Missing));
    assert_eq!(admit(&mut side(), None, &sealed(&ours, 5), 0), Err(Inauthentic::Unexpected));
    let mut malformed = sealed(&ours, 5).to_vec();
    malformed[LENGTH] = 9;
    let error = Inauthentic::Malformed(SectionError::Type(9));
    assert_eq!(admit(&mut side(), Some(&ours), &malformed, 0), Err(error));
}

#[test]
fn a_digest_covers_every_octet_of_the_packet() {
    for auth_type in DIGESTS {
        let ours = with(auth_type);
        let good = sealed(&ours, 5).to_vec();
        // Beside what says of what type, length and key it is.
        for at in (4..good.len()).filter(|at| ![LENGTH, LENGTH + 1, LENGTH + 2].contains(at)) {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            let Ok(parsed) = Control::parse(&damaged) else { continue };
            let error = Err(Inauthentic::Mismatch(7));
            assert_eq!(side().admit(Some(&ours), &parsed, Instant::ORIGIN), error, "octet {at}");
        }
        let mut polled = good;
        polled[1] |= 0x20;
        assert_eq!(admit(&mut side(), Some(&ours), &polled, 0), Err(Inauthentic::Mismatch(7)));
    }
}

#[test]
fn a_sequence_number_is_at_most_three_times_detect_mult_ahead() {
    for auth_type in DIGESTS {
        let ours = with(auth_type);
        for last in [100_u32, u32::MAX - 1] {
            let least = u32::from(auth_type.is_meticulous());
            for (ahead, is_taken) in
                [(0, least == 0), (1, true), (9, true), (10, false), (u32::MAX, false), (1 << 31, false)]
            {
                let mut side = side();
                assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, last), 0), Ok(()));
                let found = last.wrapping_add(ahead);
                let expected = if is_taken { Ok(()) } else { Err(Inauthentic::Sequence { found, last }) };
                assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, found), 10), expected, "{ahead}");
                // What was not taken moves nothing.
                let next = if is_taken { found.wrapping_add(1) } else { last.wrapping_add(1) };
                assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, next), 20), Ok(()));
            }
        }
    }
}

#[test]
fn a_strangers_packet_moves_no_window() {
    let ours = with(AuthType::MeticulousKeyedSha1);
    let stranger = Authentication::new(AuthType::MeticulousKeyedSha1, key(7, "guess"), None).unwrap();
    let mut side = side();
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&stranger, 900), 0), Err(Inauthentic::Mismatch(7)));
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, 5), 10), Ok(()));
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&stranger, 9), 20), Err(Inauthentic::Mismatch(7)));
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, 6), 30), Ok(()));
}

#[test]
fn the_sequence_is_forgotten_after_twice_the_detection_time() {
    let ours = with(AuthType::MeticulousKeyedMd5);
    let mut side = side();
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, 500), 1_000), Ok(()));
    let error = Err(Inauthentic::Sequence { found: 3, last: 500 });
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, 3), 2_799), error);
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, 3), 2_800), Ok(()), "a peer that began anew");
    side.note_detection_time(Some(Duration::from_secs(5)));
    side.note_detection_time(None);
    assert!(admit(&mut side, Some(&ours), &sealed(&ours, 500), 12_799).is_err());
    assert_eq!(admit(&mut side, Some(&ours), &sealed(&ours, 500), 12_800), Ok(()));
}

#[test]
fn each_packet_has_the_next_sequence_number_from_a_drawn_one_on() {
    let ours = with(AuthType::MeticulousKeyedSha1);
    let (mut one, mut two) = (side(), side());
    let mut sequences = Vec::new();
    for ms in 0..5 {
        let packet = one.seal(&control(3), &ours, || u32::MAX - 2);
        assert_eq!(admit(&mut two, Some(&ours), &packet, ms), Ok(()));
        sequences.extend(Section::parse(&packet[LENGTH..]).unwrap().sequence());
    }
    assert_eq!(sequences, [u32::MAX - 2, u32::MAX - 1, u32::MAX, 0, 1]);
}

#[test]
fn a_key_is_changed_in_three_steps_without_a_gap() {
    for auth_type in TYPES {
        let (old, new) = (key(1, "old"), key(2, "new"));
        let steps = [
            Authentication::new(auth_type, old, None),
            Authentication::new(auth_type, old, Some(new)),
            Authentication::new(auth_type, new, Some(old)),
            Authentication::new(auth_type, new, None),
        ]
        .map(Result::unwrap);
        for (mine, step) in steps.iter().enumerate() {
            for (theirs, sender) in steps.iter().enumerate() {
                let is_taken = admit(&mut side(), Some(step), &sealed(sender, 5), 0).is_ok();
                assert!(is_taken || mine.abs_diff(theirs) > 1, "{mine} does not take {theirs}'s");
            }
        }
    }
}

#[test]
fn keys_that_no_packet_has_room_for_are_refused_with_what_is_expected() {
    let error = |auth_type, length| {
        let key = Key::new(7, &[b'x'; 20][..length]).unwrap();
        Authentication::new(auth_type, key, None).err()
    };
    for (auth_type, maximum) in TYPES.into_iter().zip([16, 16, 16, 20, 20]) {
        assert_eq!(error(auth_type, maximum), None);
        let expected = (maximum < 20).then_some(KeyError::Length { id: 7, length: 17, maximum: 16 });
        assert_eq!(error(auth_type, 20.min(maximum + 1)), expected);
    }
    assert!(Key::new(7, &[]).unwrap_err().to_string().contains("0 octets: expected 1 to 20"));
    assert!(Key::new(7, &[0; 21]).is_err());
    let twice = Authentication::new(AuthType::KeyedMd5, key(7, "a"), Some(key(7, "b")));
    assert_eq!(twice, Err(KeyError::SameId(7)));
}

#[test]
fn a_secret_is_never_printed() {
    let printed = format!("{:?}", with(AuthType::SimplePassword));
    assert!(printed.contains("***") && !printed.contains("secret") && !printed.contains("115"), "{printed}");
}

#[test]
fn every_reason_has_a_name_that_says_authentication() {
    let reasons = [
        Inauthentic::Unexpected,
        Inauthentic::Missing,
        Inauthentic::Malformed(SectionError::Length { length: 1, found: 2 }),
        Inauthentic::Type { found: TYPES[0], expected: TYPES[1] },
        Inauthentic::KeyId(1),
        Inauthentic::Sequence { found: 1, last: 2 },
        Inauthentic::Mismatch(1),
    ]
    .map(Inauthentic::reason);
    let distinct: alloc::collections::BTreeSet<_> = reasons.into();
    assert_eq!(distinct.len(), reasons.len());
    assert!(reasons.iter().all(|reason| reason.starts_with("authentication_")));
}

proptest! {
    #[test]
    fn whoever_lacks_the_secret_is_refused(
        auth_type in prop::sample::select(Vec::from(TYPES)),
        section in prop::collection::vec(any::<u8>(), 0..30),
        head in prop::bool::ANY,
    ) {
        let ours = with(auth_type);
        let mut octets = [&control(3).emit()[..], &section].concat();
        if head && let Some([of_type, length, key_id]) = octets.get_mut(LENGTH..LENGTH + 3) {
            (*of_type, *length, *key_id) = (auth_type.code(), section.len().try_into().unwrap(), 7);
        }
        octets[1] |= 0x04;
        octets[3] = octets.len().try_into().unwrap();
        if let Ok(packet) = Control::parse(&octets) {
            prop_assert!(side().admit(Some(&ours), &packet, at(0)).is_err());
        }
    }
}
