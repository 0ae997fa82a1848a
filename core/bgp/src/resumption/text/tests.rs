use super::*;
use proptest::prelude::*;

/// 18 fields.
const LINES: [&str; 2] = [
    "outgoing 192.0.2.2:179 192.0.2.1 eth0 04fc00005a0a00000100 04fc0100b40a00000200 ffff - 60000 50040 1500 \
     2,1 1,2,0,3,0 1,0,0,4,0 5,6,7,8,9 ipv4_unicast - 192.0.2.50/32,2001:db8::/64",
    "incoming [2001:db8::2]:1790 - - 04fc00005a0a00000100 04fc0100b40a00000200 - 00ff 0 - - 0,0 0,0,0,0,0 \
     0,0,0,0,0 0,0,0,0,0 - ipv4_unicast,ipv6_unicast -",
];

/// Of the fields, the one that may be any word.
const INTERFACE: usize = 3;

fn parse(text: &str) -> Result<Resumption, ParseResumptionError> {
    text.parse()
}

#[test]
fn what_is_written_is_read_again() {
    for line in LINES {
        assert_eq!(parse(line).map(|resumption| resumption.to_string()).as_deref(), Ok(line));
    }
    let one = parse(LINES[0]).unwrap();
    assert_eq!(one.transport.interface, Some("eth0".into()));
    assert_eq!((one.undecoded.as_slice(), one.unwritten.as_slice()), (&[255, 255][..], &[][..]));
    assert_eq!((one.lasted, one.hold), (Duration::from_secs(60), Some(Duration::from_millis(50_040))));
    assert_eq!((one.offer.hold_time, one.received.hold_time), (90, 180));
}

#[test]
fn what_is_missing_or_means_nothing_is_named() {
    for line in LINES {
        let fields: Vec<&str> = line.split(' ').collect();
        assert_eq!(fields.len(), 18);
        for index in 0..fields.len() {
            assert!(parse(&fields[..index].join(" ")).is_err(), "{index} fields");
            let mut changed = fields.clone();
            changed[index] = "?";
            assert_eq!(parse(&changed.join(" ")).is_err(), index != INTERFACE, "field {index}");
        }
    }
    let error = parse("outgoing nowhere").unwrap_err();
    assert!(error.to_string().starts_with("of a session the remote address"), "{error}");
}

#[test]
fn what_waits_to_be_read_is_less_than_a_message() {
    for (octets, is_taken) in [(MESSAGE_MAX - 1, true), (MESSAGE_MAX, false)] {
        let line = LINES[0].replace("ffff", &"ff".repeat(octets));
        assert_eq!(parse(&line).is_ok(), is_taken, "{octets}");
    }
}

proptest! {
    #[test]
    fn no_text_is_more_than_refused(index in 0_usize..18, octets: Vec<u8>, line in 0_usize..2) {
        let field = String::from_utf8_lossy(&octets);
        let mut fields: Vec<&str> = LINES[line].split(' ').collect();
        fields[index] = &field;
        if let Ok(resumption) = parse(&fields.join(" ")) {
            let again = resumption.to_string();
            prop_assert_eq!(parse(&again), Ok(resumption), "{}", again);
        }
        prop_assert!(parse(&field).is_err());
    }
}
