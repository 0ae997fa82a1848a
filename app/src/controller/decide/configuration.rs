//! The verdict on the configuration as a whole, which the `ConfigurationState` shows.

use ferrolb_api::conditions::POOL_RECONCILER_VALID;
use ferrolb_cluster::controller::{Condition, ConfigObject};

/// Whether everything that the controller judges can be used. Advertisements and peers are judged by the
/// speakers.
pub(super) fn verdict(config: &[ConfigObject]) -> Condition {
    let is_judged = |object: &&ConfigObject| {
        matches!(object.reference.kind.as_deref(), Some("IPAddressPool" | "Community"))
    };
    let errors = config
        .iter()
        .filter(is_judged)
        .flat_map(|object| object.errors.iter().map(|error| (&object.reference, error.message.as_str())));
    let valid = "No IPAddressPool and no Community has an error.";
    crate::configuration::verdict(POOL_RECONCILER_VALID, errors, valid)
}
