//! BFD profiles keep their fields.

use std::ops::RangeInclusive;

use ferrolb_api::BfdProfile;
use ferrolb_api::bfd_profile::BfdProfileSpec;

use super::super::legacy;
use super::super::report::{Item, Problems};
use super::Migration;

/// Converts the profiles; `names` are those of the objects.
pub(super) fn convert(
    written: &[legacy::BfdProfile],
    names: &[String],
    migration: &mut Migration,
    problems: &mut Problems,
) {
    for (index, (profile, name)) in written.iter().zip(names).enumerate() {
        let place = format!("bfd-profiles[{index}]");
        check(&place, profile, problems);
        migration.resources.bfd_profiles.push(BfdProfile::new(name, spec(profile)));
        let mut item = Item::new(&place, Some(&profile.name));
        item.became("BFDProfile", name);
        if *name != profile.name {
            item.note(format!("renamed: the name of an object cannot be {:?}", profile.name));
        }
        migration.report.items.push(item);
    }
}

fn spec(profile: &legacy::BfdProfile) -> BfdProfileSpec {
    BfdProfileSpec {
        receive_interval: profile.receive_interval,
        transmit_interval: profile.transmit_interval,
        detect_multiplier: profile.detect_multiplier,
        echo_interval: profile.echo_interval,
        echo_mode: Some(profile.echo_mode),
        passive_mode: Some(profile.passive_mode),
        minimum_ttl: profile.minimum_ttl,
    }
}

fn check(place: &str, profile: &legacy::BfdProfile, problems: &mut Problems) {
    for (key, value, allowed) in [
        ("receive-interval", profile.receive_interval, INTERVAL),
        ("transmit-interval", profile.transmit_interval, INTERVAL),
        ("detect-multiplier", profile.detect_multiplier, 2..=255),
        ("echo-interval", profile.echo_interval, INTERVAL),
        ("minimum-ttl", profile.minimum_ttl, 1..=254),
    ] {
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            let (start, end) = (allowed.start(), allowed.end());
            problems
                .at(format_args!("{place}.{key}"), format_args!("expected {start} to {end}, found {value}"));
        }
    }
}

/// In milliseconds.
const INTERVAL: RangeInclusive<u32> = 10..=60_000;
