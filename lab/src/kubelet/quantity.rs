//! Kubernetes quantities, as far as `resourceFieldRef` needs them.

use anyhow::Context as _;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths in one; quantities are counted in them so that `100m` stays exact.
const MILLI: i128 = 1000;

/// `value / divisor`, rounded up, as the downward API exposes it.
pub(super) fn divide(value: &Quantity, divisor: &Quantity) -> anyhow::Result<i128> {
    let divisor_milli = milli(divisor)?;
    // The API server fills an absent divisor with "0", which means 1.
    let divisor_milli = if divisor_milli == 0 { MILLI } else { divisor_milli };
    let value_milli = milli(value)?;
    Ok(value_milli.div_euclid(divisor_milli) + i128::from(value_milli.rem_euclid(divisor_milli) != 0))
}

/// The quantity in thousandths, rounded up.
fn milli(quantity: &Quantity) -> anyhow::Result<i128> {
    let text = quantity.0.as_str();
    let parsed = || -> Option<i128> {
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == '+'));
        let (number, suffix) = text.split_at(split.unwrap_or(text.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let scale_milli = scale_milli(suffix)?;
        let decimals = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scaled = digits.checked_mul(scale_milli)?;
        Some(scaled.div_euclid(decimals) + i128::from(scaled.rem_euclid(decimals) != 0))
    };
    parsed().with_context(|| format!("quantity {text} is not understood by the lab"))
}

fn scale_milli(suffix: &str) -> Option<i128> {
    let binary = |power: u32| 1024_i128.checked_pow(power)?.checked_mul(MILLI);
    let decimal = |power: u32| 1000_i128.checked_pow(power)?.checked_mul(MILLI);
    match suffix {
        "m" => Some(1),
        "" => Some(MILLI),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::divide;

    #[test]
    fn quantities_are_divided_and_rounded_up() {
        let divided = |value: &str, divisor: &str| {
            divide(&Quantity(value.to_owned()), &Quantity(divisor.to_owned())).ok()
        };
        assert_eq!(divided("250m", "1"), Some(1));
        assert_eq!(divided("250m", "1m"), Some(250));
        assert_eq!(divided("1.5", "0"), Some(2));
        assert_eq!(divided("64Mi", "1Mi"), Some(64));
        assert_eq!(divided("64Mi", "1"), Some(67_108_864));
        assert_eq!(divided("1G", "1Mi"), Some(954));
        assert_eq!(divided("lots", "1"), None);
    }
}
