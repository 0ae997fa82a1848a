//! What is told of configuration objects that are not in use as they are written: an Event and a line in
//! the log, each thing once.

use std::collections::BTreeMap;

use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_cluster::controller::{Condition, ConfigObject};

use super::VALID;

/// The last word about each object, by UID.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<String, String>);

impl Told {
    /// The Event that is due about `object`, given what its condition Accepted is to be. What the object
    /// says already, an earlier leader has told.
    pub(super) fn notice(&mut self, object: &ConfigObject, accepted: &Condition) -> Option<Notice> {
        let uid = object.reference.uid.as_deref().unwrap_or_default();
        if accepted.holds && accepted.reason == VALID {
            self.0.remove(uid);
            return None;
        }
        let message = format!("{}: {}", accepted.reason, accepted.message);
        let is_told = self.0.insert(uid.to_owned(), message.clone()).as_ref() == Some(&message);
        if is_told || object.conditions.iter().any(|written| accepted.is_said_by(written)) {
            return None;
        }
        tracing::warn!(
            object = object.reference.name.as_deref().unwrap_or_default(),
            reason = accepted.reason,
            error = accepted.message,
            "an object is not in use as it is written"
        );
        Some(Notice::new(EventReason::ConfigurationError, message))
    }

    pub(super) fn forget_all_but(&mut self, objects: &[ConfigObject]) {
        let exists = |uid: &String| objects.iter().any(|object| object.reference.uid.as_ref() == Some(uid));
        self.0.retain(|uid, _| exists(uid));
    }
}
