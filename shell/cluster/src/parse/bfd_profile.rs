//! `BFDProfile` objects.

use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::time::Duration;

use ferrolb_api::BfdProfile;
use ferrolb_plan as plan;

use super::{INVALID_SPEC, ObjectError};

/// The profile as the plan sees it.
///
/// # Errors
/// The first field out of its range.
pub fn bfd_profile(object: &BfdProfile) -> Result<plan::BfdProfile, ObjectError> {
    parse(object).map_err(|message| ObjectError::at(object, INVALID_SPEC, message))
}

fn parse(object: &BfdProfile) -> Result<plan::BfdProfile, String> {
    let spec = &object.spec;
    let default = plan::BfdProfile::default();
    let interval = |field, written| -> Result<Option<Duration>, String> {
        Ok(within(field, written, INTERVAL)?.map(|millis| Duration::from_millis(millis.into())))
    };
    let octet = |field, written, range| -> Result<Option<NonZeroU8>, String> {
        let value = within(field, written, range)?;
        Ok(value.and_then(|value| u8::try_from(value).ok()).and_then(NonZeroU8::new))
    };
    let echo = interval("echoInterval", spec.echo_interval)?.unwrap_or(plan::BfdProfile::ECHO_INTERVAL);
    Ok(plan::BfdProfile {
        receive_interval: interval("receiveInterval", spec.receive_interval)?
            .unwrap_or(default.receive_interval),
        transmit_interval: interval("transmitInterval", spec.transmit_interval)?
            .unwrap_or(default.transmit_interval),
        detect_multiplier: octet("detectMultiplier", spec.detect_multiplier, 2..=255)?
            .unwrap_or(default.detect_multiplier),
        echo_interval: spec.echo_mode.unwrap_or(false).then_some(echo),
        passive: spec.passive_mode.unwrap_or(false),
        minimum_ttl: octet("minimumTtl", spec.minimum_ttl, 1..=254)?
            .map_or(default.minimum_ttl, NonZeroU8::get),
    })
}

fn within(field: &str, written: Option<u32>, range: RangeInclusive<u32>) -> Result<Option<u32>, String> {
    match written.filter(|value| !range.contains(value)) {
        None => Ok(written),
        Some(value) => Err(format!(
            "spec.{field}: invalid value {value}, must be in {}-{} range",
            range.start(),
            range.end()
        )),
    }
}

/// Milliseconds.
const INTERVAL: RangeInclusive<u32> = 10..=60_000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(spec: &Value) -> Result<plan::BfdProfile, String> {
        let object = json!({"metadata": {"name": "fast", "namespace": "metallb-system"}, "spec": spec});
        bfd_profile(&serde_json::from_value(object).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn what_a_profile_does_not_say_is_as_the_contract_says() {
        let default = plan::BfdProfile {
            receive_interval: Duration::from_millis(300),
            transmit_interval: Duration::from_millis(300),
            detect_multiplier: NonZeroU8::new(3).unwrap(),
            echo_interval: None,
            passive: false,
            minimum_ttl: 254,
        };
        assert_eq!(read(&json!({})), Ok(default));
        assert_eq!(read(&json!({"echoInterval": 60})), Ok(default), "echo mode is off");
        let echo = plan::BfdProfile { echo_interval: Some(Duration::from_millis(50)), ..default };
        assert_eq!(read(&json!({"echoMode": true})), Ok(echo));
    }

    #[test]
    fn every_parameter_is_read() {
        // acceptance 67, 76
        let full = json!({
            "receiveInterval": 60, "transmitInterval": 61, "detectMultiplier": 255, "echoInterval": 62,
            "echoMode": true, "passiveMode": true, "minimumTtl": 1,
        });
        let expected = plan::BfdProfile {
            receive_interval: Duration::from_millis(60),
            transmit_interval: Duration::from_millis(61),
            detect_multiplier: NonZeroU8::MAX,
            echo_interval: Some(Duration::from_millis(62)),
            passive: true,
            minimum_ttl: 1,
        };
        assert_eq!(read(&full), Ok(expected));
    }

    #[test]
    fn a_value_out_of_its_range_is_told_with_the_range() {
        for (field, values, range) in [
            ("receiveInterval", [9, 60_001], "10-60000"),
            ("transmitInterval", [9, 60_001], "10-60000"),
            ("echoInterval", [9, 60_001], "10-60000"),
            ("detectMultiplier", [1, 256], "2-255"),
            ("minimumTtl", [0, 255], "1-254"),
        ] {
            for value in values {
                let expected = format!("spec.{field}: invalid value {value}, must be in {range} range");
                assert_eq!(read(&json!({ field: value })), Err(expected));
            }
        }
    }
}
