use super::*;
use std::num::NonZeroU8;

/// Session 7 with session 9 of its peer, 300 ms in both directions.
const RESUMPTION: &str = "20c003180000000700000009000493e0000493e000000000 \
                          20c003180000000900000007000493e0000493e000000000 300000 300000 - -";

const HEAD: &str = "1 192.0.2.1 192.0.2.9 eth0 one 49170 86400000 300000 300000 3 . active 1 plain";

fn line() -> String {
    format!("{HEAD} {RESUMPTION}")
}

fn path() -> SessionPath {
    SessionPath {
        peer: "192.0.2.1".parse().unwrap(),
        local: Some("192.0.2.9".parse().unwrap()),
        interface: Some("eth0".into()),
        is_multihop: false,
    }
}

fn inherited() -> Inherited {
    Inherited {
        source_port: 49_170,
        up_for: Duration::from_secs(86_400),
        config: Config::default(),
        is_authenticated: false,
        resumption: RESUMPTION.parse().unwrap(),
    }
}

#[test]
fn a_session_is_a_line_with_the_version_first() {
    assert_eq!(inherited().line(&path()), line());
}

#[test]
fn what_is_told_of_a_session_reads_back() {
    let echo = Interval::from_millis(50);
    let mult = NonZeroU8::new(200).unwrap();
    let timing = Timing::new(Interval::from_millis(10), Interval::from_millis(60_000), mult).unwrap();
    let config = Config { timing, role: Role::Passive, minimum_ttl: 254, authentication: None };
    let echoing = Config { timing: timing.with_echo(echo).unwrap(), ..config };
    let anywhere = SessionPath { local: None, interface: None, is_multihop: true, ..path() };
    let v6 =
        SessionPath { peer: "fe80::1".parse().unwrap(), local: Some("fe80::2".parse().unwrap()), ..path() };
    for path in [path(), anywhere, v6] {
        for config in [Config::default(), config, echoing] {
            for is_authenticated in [false, true] {
                let inherited = Inherited { config, is_authenticated, ..inherited() };
                let line = inherited.line(&path);
                assert_eq!(Inherited::parse(&line), Ok((path.clone(), inherited)), "{line}");
            }
        }
    }
}

#[test]
fn a_line_that_is_not_understood_is_refused_with_its_reason() {
    let word = |word: &str| LineError::Word(word.to_owned());
    let micros = Interval::from_micros;
    for (from, to, error) in [
        ("1 192", "2 192", LineError::Version("2".to_owned())),
        ("192.0.2.1 ", "192.0.2 ", word("192.0.2")),
        (" 192.0.2.9 ", " x ", word("x")),
        (" one ", " two ", word("two")),
        (" 49170 ", " 65536 ", word("65536")),
        (" 86400000 ", " -1 ", word("-1")),
        (" 300000 300000 3 ", " 9999 300000 3 ", LineError::Timing(TimingError::Transmit(micros(9_999)))),
        (" 300000 300000 3 ", " 300000 0 3 ", LineError::Timing(TimingError::Receive(Interval::ZERO))),
        (" 3 . ", " 0 . ", word("0")),
        (" 3 . ", " 3 1 ", LineError::Timing(TimingError::Echo(micros(1)))),
        (" active ", " . ", word(".")),
        (" plain ", "  ", word("")),
        (" 20c0", " 2040", LineError::Resumption(ResumptionError::NotUp)),
        (" - -", " -", LineError::Resumption(ResumptionError::Words)),
    ] {
        let refused = line().replacen(from, to, 1);
        assert_ne!(refused, line());
        assert_eq!(Inherited::parse(&refused), Err(error), "{refused}");
    }
    let mut cut = HEAD;
    while let Some((shorter, _)) = cut.rsplit_once(' ') {
        assert_eq!(Inherited::parse(cut), Err(LineError::Short), "{cut}");
        cut = shorter;
    }
    assert_eq!(Inherited::parse(""), Err(LineError::Version(String::new())));
}

#[test]
fn what_is_understood_goes_on_beside_what_is_not() {
    let authenticated = line().replace("192.0.2.1 ", "192.0.2.2 ").replace(" plain ", " authenticated ");
    let lines = ["rubbish".to_owned(), line(), authenticated, String::new()];
    let now = Instant::from_origin(Duration::from_secs(1));
    let mut inheritance = Inheritance::read(&lines, now);
    assert_eq!(inheritance.get(&path()), Some(&inherited()));
    let keyed = SessionPath { peer: "192.0.2.2".parse().unwrap(), ..path() };
    assert!(inheritance.get(&keyed).is_some());
    assert_eq!(inheritance.configs(), [(path(), Config::default())].into(), "the keys are not known");
    assert_eq!((inheritance.has_port(49_170), inheritance.has_port(49_171)), (true, false));
    // The peer waits three times 300 ms.
    inheritance.forget_late(now + Duration::from_millis(899));
    assert!(inheritance.get(&path()).is_some());
    inheritance.forget_late(now + Duration::from_millis(900));
    assert_eq!(inheritance.get(&path()), None);
}
