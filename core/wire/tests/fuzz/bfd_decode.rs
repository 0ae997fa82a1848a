//! BFD Control packets with their authentication sections, and frames with Echo packets.

use ferrolb_wire::bfd::{Control, Echo, Frame, Section};

use crate::driver::Target;
use crate::inputs::{BFD_PACKETS, bodies};

/// Octets of the longest input: more than a packet's length can tell.
const OCTETS_MAX: usize = 300;

#[test]
fn any_packet_is_discarded_or_read_and_said_again() {
    let corpus = bodies(BFD_PACKETS);
    let target = Target { name: "bfd_decode", corpus, octets_max: OCTETS_MAX, executions: 200_000 };
    target.run(|input| format!("{} {}", control(input), frame(input)));
}

/// What came of octets that are a packet, or none.
fn control(octets: &[u8]) -> String {
    let received = match Control::parse(octets) {
        Ok(received) => received,
        Err(error) => return error.reason().to_owned(),
    };
    let control = received.control;
    assert_eq!(Control::parse(&control.emit()).unwrap().control, control);
    assert!(octets.starts_with(received.octets));
    let authentication = match received.authentication.map(Section::parse) {
        None => "plain".to_owned(),
        Some(Err(error)) => error.reason().to_owned(),
        Some(Ok(section)) => {
            let sealed = control.emit_authenticated(&section);
            let again = Control::parse(&sealed).unwrap();
            assert_eq!((again.control, again.octets), (control, &*sealed));
            assert_eq!(Section::parse(again.authentication.unwrap()), Ok(section));
            // What is reserved is not said again, but as many octets are.
            assert_eq!(again.octets.len(), received.octets.len());
            format!("{:?}", section.auth_type())
        }
    };
    let flags = [control.is_poll, control.is_final, control.is_demand].map(u8::from);
    format!("{:?} {flags:?} {authentication}", control.state)
}

/// What came of octets that are a frame, or none.
fn frame(octets: &[u8]) -> &'static str {
    let mut turned = octets.to_vec();
    let is_turned = Frame::turn_round(&mut turned).is_some();
    let Some(frame) = Frame::parse(octets) else {
        assert!(!is_turned && turned == octets);
        return "no frame";
    };
    assert_eq!(Frame::parse(&frame.emit()), Some(frame));
    assert_eq!(is_turned, frame.ttl > 0);
    if is_turned {
        let back = Frame { to: frame.from, from: frame.to, ttl: frame.ttl - 1, ..frame };
        assert_eq!(Frame::parse(&turned), Some(back));
    }
    match Echo::parse(frame.payload) {
        Some(echo) => {
            assert_eq!(echo.emit(), frame.payload);
            "an echo"
        }
        None => "a frame",
    }
}
