//! Durations as Go writes them.

use std::time::Duration;

/// Parses `90s`, `1m30s` or `1.5h`; `None` if it is no such text, or below zero.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !is_number(c))?);
        let (unit, next) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        nanos = nanos.checked_add(term(number, unit_nanos(unit)?)?)?;
        rest = next;
    }
    let nanos = u64::try_from(nanos).ok()?;
    (!text.is_empty()).then_some(Duration::from_nanos(nanos))
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// A number with at most [`FRACTION_DIGITS_MAX`] digits behind the point, times its unit.
fn term(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let integer = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = unit.checked_mul(integer(fraction)?.into())? / scale;
    unit.checked_mul(integer(whole)?.into())?.checked_add(part)
}

const fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit.as_bytes() {
        b"ns" => 1,
        b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1_000,
        b"ms" => 1_000_000,
        b"s" => 1_000_000_000,
        b"m" => 60_000_000_000,
        b"h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Go keeps as many digits as fit 64 bits; these always do.
const FRACTION_DIGITS_MAX: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("2m0s", 120_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("2.9s100ms", 3_000),
            ("1500000us", 1_500),
            ("1500µs", 1),
            ("0", 0),
            ("0s", 0),
        ] {
            let expected = Duration::from_millis(millis);
            let found = parse(text).map(|found| found.as_millis());
            assert_eq!(found, Some(expected.as_millis()), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_none() {
        for text in
            ["", "90", "s", ".s", "1.2.3s", "-5s", "5 s", "1d", "99999999999999999999h", "9999999999h"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
