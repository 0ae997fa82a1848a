//! A session goes on in another process.

use super::*;
use crate::authentication::SequenceNumbers;
use proptest::prelude::*;
use std::string::{String, ToString};

/// What session 7 says of itself that is Up with peer 9, 300 ms in both directions.
const TEXT: &str = "20c003180000000700000009000493e0000493e000000000 \
                    20c003180000000900000007000493e0000493e000000000 300000 300000 - -";

/// What is left of a session in another process.
fn resumption(session: &Session) -> Resumption {
    session.resumption().unwrap().to_string().parse().unwrap()
}

/// A session that goes on where another has ended, and what it says at once.
fn resume(session: &Session, config: Config, now: Instant) -> (Session, Vec<Control>) {
    let mut session = Session::resume(&resumption(session), config, now);
    let told = drain(&mut session);
    (session, told)
}

#[test]
fn a_session_that_goes_on_is_to_its_peer_the_same() {
    let config = config(50, 200, 5);
    let mut session = up_session(config);
    tell(&mut session, Control { diagnostic: Diagnostic::PATH_DOWN, ..packet(State::Up) }, at(90));
    let (mut resumed, told) = resume(&session, config, at(1_000));
    let (_, next) = run(&mut session, at(400))[0];
    assert_eq!(told, [next], "what the one before would have said, at once");
    let of = |session: &Session| {
        let intervals = [session.tx_interval(), session.rx_interval()];
        let times = (session.detection_time(), session.peer_detection_time());
        (session.state(), session.remote_state(), session.remote_diag(), intervals, times)
    };
    assert_eq!(of(&resumed), of(&session));
    assert_eq!(resumed.poll_event(), None, "nothing has become of it");
    let sent = run_with(&mut resumed, packet(State::Up), 1_000, 5_000);
    assert!(gaps(&sent).iter().all(|gap| *gap >= Duration::from_millis(225)), "{:?}", gaps(&sent));
}

#[test]
fn the_peer_has_a_detection_time_from_the_resumption_on() {
    // Its last packet came at 10 ms, and those of the time between went nowhere.
    let (mut resumed, _) = resume(&up_session(Config::default()), Config::default(), at(900));
    resumed.handle_timeout(at(1_800) - TICK);
    assert_eq!((resumed.state(), resumed.poll_event()), (State::Up, None));
    resumed.handle_timeout(at(1_800));
    let diagnostic = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
    let why = DownReason::DetectionTimeExpired;
    assert_eq!(resumed.poll_event(), Some(Event::Down { at: at(1_800), why, diagnostic }));
}

#[test]
fn a_poll_sequence_begins_again_and_what_waits_for_final_goes_on_waiting() {
    let slower = config(1_000, 300, 3);
    let mut session = up_session(Config::default());
    configure(&mut session, slower, at(100));
    let under_way = run(&mut session, at(400));
    assert!(under_way.iter().all(|(_, packet)| packet.is_poll));
    let (mut resumed, told) = resume(&session, slower, at(500));
    assert_eq!(told, [under_way[0].1]);
    assert_eq!(resumed.tx_interval(), Some(ms(300)), "the peer does not know yet");
    tell(&mut resumed, Control { is_final: true, ..packet(State::Up) }, at(510));
    assert_eq!(resumed.tx_interval(), Some(ms(1_000)));
}

#[test]
fn another_configuration_counts_as_a_change_of_it() {
    let session = up_session(Config::default());
    let (mut resumed, told) = resume(&session, config(1_000, 100, 5), at(500));
    let [told] = told[..] else { panic!("{told:?}") };
    assert_eq!((told.is_poll, told.desired_min_tx, told.detect_mult.get()), (true, ms(1_000), 5));
    assert_eq!((resumed.tx_interval(), resumed.rx_interval()), (Some(ms(300)), Some(ms(300))));
    tell(&mut resumed, Control { is_final: true, ..packet(State::Up) }, at(510));
    assert_eq!(resumed.tx_interval(), Some(ms(1_000)));
    assert_eq!((resumed.state(), resumed.poll_event()), (State::Up, None));
}

#[test]
fn a_peer_in_demand_mode_is_polled_by_whoever_goes_on() {
    let demanding = Control { is_demand: true, ..packet(State::Up) };
    let mut session = up_session(Config::default());
    tell(&mut session, demanding, at(90));
    let (mut resumed, told) = resume(&session, Config::default(), at(500));
    assert!(told.len() == 1 && told[0].is_poll);
    tell(&mut resumed, Control { is_final: true, ..demanding }, at(510));
    assert_eq!(resumed.tx_interval(), None);
}

#[test]
fn a_session_that_is_not_up_has_nothing_to_go_on_with() {
    let mut session = new_session(Config::default());
    assert_eq!(session.resumption(), None);
    tell(&mut session, packet(State::Down), at(10));
    assert_eq!((session.state(), session.resumption()), (State::Init, None));
    let mut session = up_session(Config::default());
    session.disable(at(100));
    assert_eq!((session.state(), session.resumption()), (State::AdminDown, None));
}

#[test]
fn a_resumption_is_a_text_of_six_words() {
    let session = up_session(Config::default());
    let resumption = session.resumption().unwrap();
    assert_eq!(resumption.to_string(), TEXT);
    let numbers = SequenceNumbers { sent: Some(u32::MAX), received: Some(0) };
    let numbered = resumption.with_numbers(numbers);
    assert!(numbered.to_string().ends_with(" 300000 300000 4294967295 0"));
    for resumption in [resumption, numbered] {
        assert_eq!(resumption.to_string().parse::<Resumption>(), Ok(resumption));
        let later = [&resumption.to_string(), " later"].concat();
        assert_eq!(later.parse::<Resumption>(), Ok(resumption), "a later version says more");
    }
    assert_eq!(resumption.local_discr(), discr(7));
    assert_eq!(resumption.peer_detection_time(), session.peer_detection_time());
}

#[test]
fn a_text_that_is_no_session_is_refused_with_its_reason() {
    let word = |word: &str| ResumptionError::Word(word.into());
    let interval = |micros| ResumptionError::Interval(Interval::from_micros(micros));
    for (from, to, error) in [
        (" - -", " -", ResumptionError::Words),
        (" - -", " - x", word("x")),
        (" - -", " 4294967296 -", word("4294967296")),
        (" 300000 300000", " 300000 ", word("")),
        (" 300000 300000", " 9999 300000", interval(9_999)),
        (" 300000 300000", " 300000 60000001", interval(60_000_001)),
        // Its own intervals are bounded, the peer's are not.
        ("00000009000493e0", "0000000900000000", interval(0)),
        ("20c003180000000900", "20c00318000000aa00", ResumptionError::NotUp),
        ("20c003180000000700", "204003180000000700", ResumptionError::NotUp),
        ("20c003180000000900", "204003180000000900", ResumptionError::NotUp),
    ] {
        assert!(TEXT.contains(from));
        let text = TEXT.replacen(from, to, 1);
        assert_eq!(text.parse::<Resumption>(), Err(error), "{text}");
    }
    let (says, rest) = TEXT.split_at(48);
    for packet in ["", "20c00318", &says[1..], &says.replace('7', "g"), &says.replace('2', "4")] {
        let text = [packet, rest].concat();
        assert_eq!(text.parse::<Resumption>(), Err(word(packet)));
    }
    let patient_peer = TEXT.replace("00000007000493e0", "00000007ffffffff");
    assert!(patient_peer.parse::<Resumption>().is_ok());
}

proptest! {
    #[test]
    fn whatever_is_said_of_a_session_is_refused_or_said_again(
        at in 0..TEXT.len(), length in 0_usize..8, inserted in "[ 0-9a-f-]{0,8}|\\PC{0,4}",
    ) {
        let rest = TEXT.get((at + length).min(TEXT.len())..).unwrap_or_default();
        let text: String = [&TEXT[..at], &inserted, rest].concat();
        if let Ok(resumption) = text.parse::<Resumption>() {
            prop_assert_eq!(resumption.to_string().parse::<Resumption>(), Ok(resumption));
        }
    }
}
