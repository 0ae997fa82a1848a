use super::*;
use std::collections::BTreeSet;
use std::string::ToString;

#[test]
fn every_error_has_a_reason_a_message_and_a_notification_with_a_name() {
    let malformed = Malformed { attribute: AttributeType::MP_REACH_NLRI, defect: Defect::Length };
    let errors = [
        Error::NotSynchronized,
        Error::MessageLength(18),
        Error::MessageType(9),
        Error::Version(3),
        Error::PeerAs,
        Error::BgpIdentifier,
        Error::HoldTime(2),
        Error::OptionalParameter(1),
        Error::MalformedOpen,
        Error::MalformedAttributeList,
        Error::NetworkField,
        Error::Attribute { malformed, octets: [0x80, 14, 0].into() },
        Error::RouteRefreshLength([0; 24].into()),
    ];
    let reasons: BTreeSet<_> = errors.iter().map(Error::reason).collect();
    assert_eq!(reasons.len(), errors.len());
    for error in errors {
        let notification = error.notification();
        assert!(!error.to_string().is_empty());
        assert_eq!(notification.subcode_name().is_empty(), error == Error::MalformedOpen);
    }
    let message = Error::HoldTime(2).to_string();
    assert_eq!(message, "the peer's hold time is 2 s, expected 0 or at least 3 s");
}

#[test]
fn every_defect_of_an_attribute_has_the_subcode_of_rfc4271_6_3() {
    let cases = [
        (AttributeType::MP_REACH_NLRI, Defect::Duplicate, 1, false),
        (AttributeType(200), Defect::Unrecognized, 2, true),
        (AttributeType::MP_REACH_NLRI, Defect::Flags, 9, true),
        (AttributeType::MP_UNREACH_NLRI, Defect::Length, 9, true),
        (AttributeType::MP_REACH_NLRI, Defect::Value, 9, true),
        (AttributeType::MP_REACH_NLRI, Defect::Truncated, 9, true),
        (AttributeType::ORIGIN, Defect::Flags, 4, true),
        (AttributeType::MULTI_EXIT_DISC, Defect::Length, 5, true),
        (AttributeType::ORIGIN, Defect::Value, 6, true),
        (AttributeType::NEXT_HOP, Defect::Value, 8, true),
        (AttributeType::AS_PATH, Defect::Value, 11, false),
        (AttributeType::COMMUNITIES, Defect::Value, 9, true),
        (AttributeType::COMMUNITIES, Defect::Truncated, 1, false),
        (AttributeType::ORIGIN, Defect::Missing, 3, true),
    ];
    for (attribute, defect, subcode, has_data) in cases {
        let octets = Vec::from([1, 2, 3, 4]);
        let error = Error::Attribute { malformed: Malformed { attribute, defect }, octets: octets.clone() };
        let notification = error.notification();
        assert_eq!((notification.code, notification.subcode), (3, subcode), "{error}");
        assert_eq!(notification.data, if has_data { octets } else { Vec::new() }, "{error}");
    }
}
