//! What becomes of an UPDATE with one attribute wrong: RFC 7606 §3, §4, §5.2 and §7.

use super::*;
use crate::bgp::path_attribute::{AttributeType, Malformed};

mod cases;

use cases::{CASES, TWO_OCTET_CASES};

/// What should become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Discarded,
    Withdrawn(Defect),
    /// With this subcode of an UPDATE Message Error.
    Reset(u8),
}

use Defect::{Length, Truncated, Value};
use Outcome::{Accepted, Discarded, Reset, Withdrawn};

/// A path of one system that is well-formed for the peer.
fn as_path(decoding: &Decoding) -> &'static [u8] {
    if decoding.four_octet_as { AS_PATH } else { &[0x40, 2, 4, 2, 1, 0xfc, 0x01] }
}

/// A body with all that the peer has to say, in which `wrong` stands for the attribute of its type.
fn body_with(wrong: &[u8], decoding: &Decoding, route: &[u8]) -> Vec<u8> {
    let local_pref = if decoding.is_internal { LOCAL_PREF } else { &[] };
    let right = [ORIGIN, as_path(decoding), NEXT_HOP, local_pref];
    let mut attributes: Vec<&[u8]> = right.into_iter().filter(|right| right.get(1) != wrong.get(1)).collect();
    attributes.insert(attributes.len() / 2, wrong);
    body(&[], &attributes, route)
}

/// What becomes of the route in `octets`, where the attribute of type `code` is wrong.
fn outcome(octets: &[u8], code: u8, decoding: &Decoding) -> Outcome {
    let update = match Update::parse(octets, decoding) {
        Ok(update) => update,
        Err(error) => {
            let (code, subcode, _data) = told(&error);
            assert_eq!(code, 3);
            return Reset(subcode);
        }
    };
    let discarded: Vec<_> = update.discarded().iter().collect();
    match update.disposition() {
        Disposition::Accept => {
            assert_eq!(texts(update.reachable()), ["198.51.100.0/24"]);
            assert_eq!(update.withdrawn().next(), None);
            if discarded.is_empty() {
                return Accepted;
            }
            assert_eq!(discarded, [AttributeType(code)]);
            Discarded
        }
        Disposition::TreatAsWithdraw(malformed) => {
            assert_eq!(malformed.attribute, AttributeType(code));
            assert_eq!(texts(update.withdrawn()), ["198.51.100.0/24"]);
            assert_eq!(update.reachable().next(), None);
            Withdrawn(malformed.defect)
        }
    }
}

#[test]
fn every_malformed_attribute_has_the_outcome_of_rfc7606_for_external_and_internal_peers() {
    assert!(CASES.len() >= 60, "{}", CASES.len());
    for (flags, code, value, external, internal) in CASES {
        let wrong = attribute(*flags, *code, value);
        for (decoding, expected) in [(EXTERNAL, external), (INTERNAL, internal)] {
            let octets = body_with(&wrong, &decoding, ROUTE);
            assert_eq!(outcome(&octets, *code, &decoding), *expected, "{wrong:02x?} {decoding:?}");
        }
    }
}

#[test]
fn malformed_attributes_in_two_octets_have_the_outcome_of_rfc6793() {
    for (flags, code, value, expected) in TWO_OCTET_CASES {
        let wrong = attribute(*flags, *code, value);
        let octets = body_with(&wrong, &TWO_OCTETS, ROUTE);
        assert_eq!(outcome(&octets, *code, &TWO_OCTETS), *expected, "{wrong:02x?}");
    }
}

#[test]
fn a_discarded_attribute_says_nothing() {
    let octets = body_with(&attribute(0x40, 5, &[0, 0, 0, 9]), &EXTERNAL, ROUTE);
    assert_eq!(Update::parse(&octets, &EXTERNAL).unwrap().local_pref(), None);
    let octets = body_with(&attribute(0xc0, 17, &[2, 1, 0, 0, 0, 9]), &EXTERNAL, ROUTE);
    assert_eq!(Update::parse(&octets, &EXTERNAL).unwrap().as_path().to_string(), "64513 64514");
}

#[test]
fn every_mandatory_attribute_that_is_missing_withdraws_the_routes() {
    for (code, external, internal) in [
        (1, Withdrawn(Defect::Missing), Withdrawn(Defect::Missing)),
        (2, Withdrawn(Defect::Missing), Withdrawn(Defect::Missing)),
        (3, Withdrawn(Defect::Missing), Withdrawn(Defect::Missing)),
        (5, Accepted, Withdrawn(Defect::Missing)),
    ] {
        for (decoding, expected) in [(EXTERNAL, external), (INTERNAL, internal)] {
            let local_pref = if decoding.is_internal { LOCAL_PREF } else { &[] };
            let all = [ORIGIN, AS_PATH, NEXT_HOP, local_pref];
            let others: Vec<_> = all.into_iter().filter(|one| one.get(1) != Some(&code)).collect();
            assert_eq!(outcome(&body(&[], &others, ROUTE), code, &decoding), expected, "{code}");
        }
    }
}

#[test]
fn of_an_attribute_that_is_there_twice_the_first_counts() {
    for (first, second) in [
        (attribute(0x40, 1, &[0]), attribute(0x40, 1, &[9])),
        (attribute(0x80, 4, &[0, 0, 0, 9]), attribute(0x80, 4, &[0])),
        (attribute(0xc0, 200, &[1]), attribute(0xc0, 200, &[2])),
        (attribute(0xc0, 8, &[0, 1, 0, 2]), attribute(0x00, 8, &[])),
    ] {
        let code = first[1];
        let octets = body_with(&[&first[..], &second].concat(), &EXTERNAL, ROUTE);
        assert_eq!(outcome(&octets, code, &EXTERNAL), Discarded, "the second of type {code}");
    }
    let octets = body_with(&[0x40, 1, 1, 9, 0x40, 1, 1, 0], &EXTERNAL, ROUTE);
    let update = Update::parse(&octets, &EXTERNAL).unwrap();
    let malformed = Malformed { attribute: AttributeType::ORIGIN, defect: Value };
    assert_eq!(update.disposition(), Disposition::TreatAsWithdraw(malformed));
}

#[test]
fn attributes_that_end_within_one_withdraw_the_routes() {
    let whole = [ORIGIN, AS_PATH, NEXT_HOP].concat();
    for (cut, code) in [
        (&[0xc0][..], 0),            // flags
        (&[0xc0, 8], 8),             // flags and type
        (&[0xd0, 8, 0], 8),          // half of a length
        (&[0xc0, 8, 1], 8),          // no value
        (&[0xd0, 8, 1, 0, 0, 0], 8), // some of the value
        (&[0x40, 200, 9], 200),      // an unknown one: its flags are not believed
    ] {
        let octets = body(&[], &[&whole, cut], ROUTE);
        assert_eq!(outcome(&octets, code, &EXTERNAL), Withdrawn(Truncated), "{cut:02x?}");
    }
}

#[test]
fn attributes_that_end_within_one_of_routes_reset_the_session() {
    let whole = [ORIGIN, AS_PATH, NEXT_HOP].concat();
    for cut in [&[0x80, 14][..], &[0x80, 14, 20, 0, 2, 1], &[0x80, 15, 4, 0, 2, 1]] {
        let octets = body(&[], &[&whole, cut], ROUTE);
        assert_eq!(told(&Update::parse(&octets, &EXTERNAL).unwrap_err()), (3, 9, cut.into()));
    }
}

#[test]
fn the_strongest_action_wins_wherever_it_stands() {
    let discarded = attribute(0x40, 6, &[0]);
    let withdrawn = attribute(0x80, 4, &[0]);
    let reset = attribute(0x40, 200, &[]);
    let both = |first: &[u8], second: &[u8]| {
        let octets = body(&[], &[first, ORIGIN, AS_PATH, NEXT_HOP, second], ROUTE);
        Update::parse(&octets, &EXTERNAL)
            .map(|update| (update.disposition(), update.discarded().iter().count()))
    };
    let malformed = Malformed { attribute: AttributeType::MULTI_EXIT_DISC, defect: Length };
    for (first, second) in [(&discarded, &withdrawn), (&withdrawn, &discarded)] {
        assert_eq!(both(first, second), Ok((Disposition::TreatAsWithdraw(malformed), 1)));
    }
    for weaker in [&discarded, &withdrawn] {
        assert!(both(weaker, &reset).is_err() && both(&reset, weaker).is_err());
    }
}

#[test]
fn a_wrong_attribute_without_routes_resets_the_session_unless_it_is_discarded() {
    let mut resets = 0;
    for (flags, code, value, external, _internal) in CASES {
        let wrong = attribute(*flags, *code, value);
        for withdrawn in [&[][..], &[8, 10]] {
            let octets = body(withdrawn, &[ORIGIN, AS_PATH, &wrong], &[]);
            let octets = if *code <= 2 { body(withdrawn, &[&wrong], &[]) } else { octets };
            let parsed = Update::parse(&octets, &EXTERNAL);
            // The value of a next hop that no route has is ignored.
            let expected = if *code == 3 && *external == Withdrawn(Value) { Accepted } else { *external };
            match expected {
                Accepted | Discarded => assert_eq!(parsed.unwrap().disposition(), Disposition::Accept),
                Withdrawn(_) | Reset(_) => {
                    let (code, _subcode, data) = told(&parsed.unwrap_err());
                    assert_eq!(code, 3);
                    assert!(data.is_empty() || data == wrong);
                    resets += 1;
                }
            }
        }
    }
    assert!(resets > 50, "{resets}");
}

#[test]
fn the_reset_names_the_attribute_and_what_is_wrong() {
    let cases = [
        (attribute(0x40, 1, &[9]), 6, true),
        (attribute(0x40, 2, &[9]), 11, false),
        (attribute(0x40, 3, &[]), 5, true),
        (attribute(0xc0, 4, &[0; 4]), 4, true),
        (Vec::from([0xc0, 8, 1]), 1, false),
        (attribute(0x40, 99, &[1]), 2, true),
    ];
    for (wrong, subcode, has_data) in cases {
        let error = Update::parse(&body(&[], &[&wrong], &[]), &EXTERNAL).unwrap_err();
        let data = if has_data { wrong } else { Vec::new() };
        assert_eq!(told(&error), (3, subcode, data), "{error}");
        assert_eq!(error.reason(), "attribute");
    }
}
