//! The verdict on the configuration as a whole, which the `ConfigurationState` shows.

use ferrolb_api::conditions::{CONFIGURATION_ERROR_PREFIX, ConfigurationReason, POOL_RECONCILER_VALID};
use ferrolb_cluster::controller::{Condition, ConfigObject};

/// The API server refuses a condition whose message is longer than 32768 octets; so much is some
/// dozens of errors, in whatever script.
const MESSAGE_CHARS_MAX: usize = 8192;

/// Whether everything that the controller judges can be used. Advertisements are judged by the
/// speakers.
pub(super) fn verdict(config: &[ConfigObject]) -> Condition {
    let is_judged = |object: &&ConfigObject| {
        matches!(object.reference.kind.as_deref(), Some("IPAddressPool" | "Community"))
    };
    let errors: Vec<String> = config.iter().filter(is_judged).flat_map(errors).collect();
    if errors.is_empty() {
        let (reason, message) =
            (ConfigurationReason::Reconciled, "No IPAddressPool and no Community has an error.".into());
        return Condition { type_: POOL_RECONCILER_VALID, holds: true, reason: reason.as_str(), message };
    }
    let message = format!("{CONFIGURATION_ERROR_PREFIX}{}", errors.join("\n"));
    let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let reason = ConfigurationReason::ConfigurationError.as_str();
    Condition { type_: POOL_RECONCILER_VALID, holds: false, reason, message }
}

fn errors(object: &ConfigObject) -> impl Iterator<Item = String> {
    let [kind, namespace, name] =
        [&object.reference.kind, &object.reference.namespace, &object.reference.name]
            .map(|part| part.as_deref().unwrap_or_default());
    object.errors.iter().map(move |error| format!("{kind} {namespace}/{name}: {}", error.message))
}
