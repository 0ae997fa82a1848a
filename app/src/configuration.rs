//! The verdict of a process on the configuration that it read, which its `ConfigurationState` shows.

use ferrolb_api::conditions::{CONFIGURATION_ERROR_PREFIX, ConfigurationReason};
use ferrolb_cluster::controller::Condition;
use k8s_openapi::api::core::v1::ObjectReference;

/// The API server refuses a condition whose message is longer than 32768 octets; so much is some
/// dozens of errors, in whatever script.
const MESSAGE_CHARS_MAX: usize = 8192;

/// The condition that tells of `errors`, each with its object, or, where there are none, says that it is
/// `valid`.
pub(crate) fn verdict<'a>(
    type_: &'static str,
    errors: impl Iterator<Item = (&'a ObjectReference, &'a str)>,
    valid: &str,
) -> Condition {
    let errors: Vec<String> = errors.map(told).collect();
    if errors.is_empty() {
        let reason = ConfigurationReason::Reconciled.as_str();
        return Condition { type_, holds: true, reason, message: valid.to_owned() };
    }
    let message = format!("{CONFIGURATION_ERROR_PREFIX}{}", errors.join("\n"));
    let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let reason = ConfigurationReason::ConfigurationError.as_str();
    Condition { type_, holds: false, reason, message }
}

fn told((object, message): (&ObjectReference, &str)) -> String {
    let [kind, namespace, name] =
        [&object.kind, &object.namespace, &object.name].map(|part| part.as_deref().unwrap_or_default());
    format!("{kind} {namespace}/{name}: {message}")
}
