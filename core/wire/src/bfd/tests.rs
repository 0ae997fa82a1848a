use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

fn discriminator(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

/// An Up session's packet: 300 ms in both directions, times 3, no echo.
const UP: [u8; LENGTH] = [
    0x20, 0xc0, 0x03, 0x18, // version 1, no diagnostic; Up; 3; 24
    0x11, 0x22, 0x33, 0x44, // my discriminator
    0x55, 0x66, 0x77, 0x88, // your discriminator
    0x00, 0x04, 0x93, 0xe0, // 300,000 us
    0x00, 0x04, 0x93, 0xe0, //
    0x00, 0x00, 0x00, 0x00, //
];

fn up() -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state: State::Up,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: discriminator(0x1122_3344),
        your_discriminator: Some(discriminator(0x5566_7788)),
        desired_min_tx: Interval::from_millis(300),
        required_min_rx: Interval::from_millis(300),
        required_min_echo_rx: Interval::ZERO,
    }
}

fn parse(octets: &[u8]) -> Result<Control, ParseError> {
    Control::parse(octets).map(|received| received.control)
}

#[test]
fn the_octets_are_those_of_rfc5880_4_1() {
    assert_eq!(up().emit(), UP);
    assert_eq!(Control::parse(&UP), Ok(Received { control: up(), octets: &UP, authentication: None }));
}

#[test]
fn each_flag_and_state_has_its_bit() {
    let octet = |control: Control| control.emit()[1];
    assert_eq!(octet(Control { is_poll: true, ..up() }), 0xe0);
    assert_eq!(octet(Control { is_final: true, ..up() }), 0xd0);
    assert_eq!(octet(Control { is_control_plane_independent: true, ..up() }), 0xc8);
    assert_eq!(octet(Control { is_demand: true, ..up() }), 0xc2);
    for (state, bits) in [(State::AdminDown, 0), (State::Down, 0x40), (State::Init, 0x80), (State::Up, 0xc0)]
    {
        assert_eq!(octet(Control { state, ..up() }), bits);
    }
}

#[test]
fn a_diagnostic_is_five_bits() {
    let names: Vec<_> = (0..32).map(|bits| Diagnostic::of_bits(0x20 | bits).name()).collect();
    assert_eq!(names.iter().filter(|name| **name == "reserved").count(), 32 - 9);
    for bits in 0..32 {
        let mut octets = UP;
        octets[0] |= bits;
        let control = parse(&octets).unwrap();
        assert_eq!(control.diagnostic.code(), bits);
        assert_eq!(control.emit(), octets);
    }
    assert_eq!(Diagnostic::ADMINISTRATIVELY_DOWN.code(), 7);
    assert_eq!(names[8], "reverse_concatenated_path_down");
}

#[test]
fn every_discard_of_rfc5880_6_8_6_has_its_own_reason() {
    let with = |offset: usize, octet: u8| {
        let mut octets = UP;
        octets[offset] = octet;
        parse(&octets)
    };
    let without = |offset: usize, state: u8| {
        let mut octets = UP;
        octets[offset..offset + 4].fill(0);
        octets[1] = state;
        parse(&octets)
    };
    let cases = [
        (parse(&[]), ParseError::Truncated(Truncated { wanted: 1, left: 0 }), "truncated"),
        (parse(&UP[..3]), ParseError::Truncated(Truncated { wanted: 1, left: 0 }), "truncated"),
        (with(0, 0x00), ParseError::Version(0), "version"),
        (with(0, 0x40), ParseError::Version(2), "version"),
        (with(3, 23), ParseError::LengthTooShort { length: 23, minimum: 24 }, "length_too_short"),
        (with(1, 0xc4), ParseError::LengthTooShort { length: 24, minimum: 26 }, "length_too_short"),
        (with(3, 25), ParseError::LengthBeyondPayload { length: 25, payload: 24 }, "length_beyond_payload"),
        (
            parse(&UP[..23]),
            ParseError::LengthBeyondPayload { length: 24, payload: 23 },
            "length_beyond_payload",
        ),
        (with(2, 0), ParseError::DetectMult, "detect_mult_zero"),
        (with(1, 0xc1), ParseError::Multipoint, "multipoint"),
        (without(4, 0xc0), ParseError::MyDiscriminator, "my_discriminator_zero"),
        (without(8, 0xc0), ParseError::YourDiscriminator(State::Up), "your_discriminator_zero"),
        (without(8, 0x80), ParseError::YourDiscriminator(State::Init), "your_discriminator_zero"),
    ];
    for (parsed, error, reason) in cases {
        assert_eq!(parsed, Err(error));
        assert_eq!(error.reason(), reason);
    }
    for state in [0x00, 0x40] {
        assert_eq!(without(8, state).unwrap().your_discriminator, None);
    }
}

#[test]
fn of_several_defects_the_first_of_rfc5880_6_8_6_counts() {
    let mut octets = [0; LENGTH];
    let mut mend = |offset: usize, octet: u8| {
        let error = parse(&octets).unwrap_err();
        octets[offset] = octet;
        error.reason()
    };
    // Version 0, M set by the second step, everything else zero.
    assert_eq!(mend(0, 0x20), "version");
    assert_eq!(mend(1, 0x81), "length_too_short");
    assert_eq!(mend(3, 25), "length_too_short");
    assert_eq!(mend(3, 24), "length_beyond_payload");
    assert_eq!(mend(2, 1), "detect_mult_zero");
    assert_eq!(mend(1, 0x80), "multipoint");
    assert_eq!(mend(7, 1), "my_discriminator_zero");
    assert_eq!(mend(11, 1), "your_discriminator_zero");
    assert!(parse(&octets).is_ok());
}

#[test]
fn what_follows_the_length_is_ignored_and_authentication_is_handed_on() {
    let padded = [&UP[..], &[0xff; 22]].concat();
    assert_eq!(Control::parse(&padded), Control::parse(&UP));
    let mut authenticated = [&UP[..], &[4, 5, 9, 8, 7, 6]].concat();
    authenticated[1] |= 0x04;
    authenticated[3] = 29;
    let received = Control::parse(&authenticated).unwrap();
    let octets = &authenticated[..29];
    assert_eq!(received, Received { control: up(), octets, authentication: Some(&[4, 5, 9, 8, 7]) });
}

#[test]
fn intervals_are_microseconds_and_saturate() {
    assert_eq!(Interval::from_millis(300).micros(), 300_000);
    assert_eq!(Interval::from_millis(u32::MAX).micros(), u32::MAX);
    assert_eq!(Interval::from_micros(1_500).duration(), Duration::from_micros(1_500));
}

prop_compose! {
    fn control()(
        first: u8, flags: u8, detect_mult in 1_u8.., mine in 1_u32.., yours in 1_u32..,
        is_known: bool, intervals: [u32; 3],
    ) -> Control {
        let state = State::of_bits(flags);
        let needs_yours = matches!(state, State::Init | State::Up);
        let [tx, rx, echo] = intervals;
        Control {
            diagnostic: Diagnostic::of_bits(first),
            state,
            is_poll: flags & POLL != 0,
            is_final: flags & FINAL != 0,
            is_control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
            is_demand: flags & DEMAND != 0,
            detect_mult: NonZeroU8::new(detect_mult).unwrap(),
            my_discriminator: discriminator(mine),
            your_discriminator: (is_known || needs_yours).then(|| discriminator(yours)),
            desired_min_tx: Interval(tx),
            required_min_rx: Interval(rx),
            required_min_echo_rx: Interval(echo),
        }
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_back(control in control()) {
        let octets = control.emit();
        let received = Received { control, octets: &octets, authentication: None };
        prop_assert_eq!(Control::parse(&octets), Ok(received));
    }

    #[test]
    fn arbitrary_octets_never_panic_and_what_parses_emits_the_same(
        head in proptest::sample::select(Vec::from([&[][..], &[0x20], &[0x20, 0x40, 3, 24], &[0x21, 0xc0, 1, 24]])),
        tail: Vec<u8>,
    ) {
        let octets = [head, &tail].concat();
        if let Ok(received) = Control::parse(&octets) {
            let emitted = received.control.emit();
            if received.authentication.is_none() && octets[3] == 24 {
                prop_assert!(octets.starts_with(&emitted));
            }
            prop_assert_eq!(parse(&emitted), Ok(received.control));
        }
    }

    #[test]
    fn a_damaged_packet_never_panics(offset in 0_usize..LENGTH, octet: u8, length in 0_usize..=LENGTH) {
        let mut octets = UP;
        octets[offset] = octet;
        if let Ok(control) = parse(&octets[..length]) {
            prop_assert_eq!(control.emit(), octets);
        }
    }
}
