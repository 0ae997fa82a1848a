//! What became of the fast profile of liveness, told at the node's `NodeState`.

use ferrolb_peering::RealtimeError;
use ferrolb_telemetry::chain;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::config::LivenessProfile;

/// The condition's type: the node is found dead within the time of the fast profile.
const FAST_LIVENESS: &str = "FastLiveness";

/// Whether the fast profile is in use, if it was asked for.
pub(super) fn condition(profile: LivenessProfile, refused: Option<&RealtimeError>) -> Option<Condition> {
    let (status, reason, message) = match (profile, refused) {
        (LivenessProfile::Default, _) => return None,
        (LivenessProfile::Fast, None) => {
            ("True", "RunsFirst", "the liveness thread runs before all others of the host".to_owned())
        }
        (LivenessProfile::Fast, Some(error)) => {
            let error = chain(error).to_string();
            tracing::warn!(error, reason = "SchedulingRefused", "the default liveness profile is used");
            ("False", "SchedulingRefused", format!("the default profile is used: {error}"))
        }
    };
    Some(Condition {
        type_: FAST_LIVENESS.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: Time(Timestamp::now()),
        observed_generation: None,
    })
}
