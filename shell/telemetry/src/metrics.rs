//! The metrics registry of the process and its text form.

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The media type of [`encode`]'s text (OpenMetrics 1.0, section "Protocol negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry with `ferrolb_build_info{version}` in it. Other crates register their metrics
/// under their full names, `ferrolb_<area>_<thing>_<unit>`; counters without `_total`, which
/// the encoder appends.
#[must_use]
pub fn registry(version: &'static str) -> Registry {
    let mut registry = Registry::default();
    registry.register(
        "ferrolb_build",
        "The version of the running program",
        Info::new([("version", version)]),
    );
    registry
}

/// The registry's present values as OpenMetrics text.
///
/// # Errors
/// A metric of the registry cannot be encoded.
pub fn encode(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut body = String::new();
    text::encode(&mut body, registry)?;
    Ok(body)
}
