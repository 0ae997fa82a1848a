//! Neighbours do not fall into step: RFC 5880 §6.8.7.

use core::time::Duration;

use ferrolb_wire::bfd::Interval;

/// The time until the next packet: the interval less 0 to 25 %, or 10 to 25 % where one lost
/// packet is a failure (`is_alone`).
pub(super) fn jittered(interval: Interval, is_alone: bool, draw: u32) -> Duration {
    let most_per_million: u64 = if is_alone { 900_000 } else { 1_000_000 };
    let span = most_per_million - LEAST_PER_MILLION + 1;
    let per_million = LEAST_PER_MILLION + ((u64::from(draw) * span) >> u32::BITS);
    Duration::from_nanos(u64::from(interval.micros()) * per_million / 1_000)
}

const LEAST_PER_MILLION: u64 = 750_000;
