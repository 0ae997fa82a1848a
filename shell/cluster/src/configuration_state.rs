//! `ConfigurationState`: the verdict of a process on the configuration as a whole, in one object that
//! `kubectl get configurationstates` shows.

use std::collections::BTreeMap;

use ferrolb_api::configuration_state::{
    CONTROLLER_OBJECT_NAME, ConfigurationResult, ConfigurationStateFields, ConfigurationStateStatus,
    speaker_object_name,
};
use ferrolb_api::{ConfigurationState, labels};
use ferrolb_vocab::NodeName;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use crate::controller::writes::{Condition, timed};
use crate::watches::{Watches, synced};

/// Whose verdict it is.
#[derive(Clone, Debug)]
pub enum Component {
    /// The controller's: every replica follows the object, only the leader writes it.
    Controller,
    /// A speaker's.
    Speaker {
        /// Its node.
        node: NodeName,
        /// The Pod that the object goes with.
        owner: Option<OwnerReference>,
    },
}

/// Makes a component's `ConfigurationState` say what it judges.
#[derive(Debug)]
pub struct ConfigurationStateWriter {
    component: Component,
    api: Api<ConfigurationState>,
    namespace: String,
    known: Store<ConfigurationState>,
    written: Option<Written>,
}

/// The last write. It counts while the copy does not show it yet, and when the object is gone:
/// what somebody deletes comes back as it was.
#[derive(Debug)]
struct Written {
    /// As the API server keeps it: its times are whole seconds.
    status: ConfigurationStateStatus,
    /// The resourceVersion that the copy showed when this was written.
    over: Option<String>,
}

impl ConfigurationStateWriter {
    /// A writer of the object of `component` in `namespace`, which it follows.
    #[must_use]
    pub fn start(watches: &mut Watches, client: &Client, namespace: &str, component: Component) -> Self {
        let api = Api::namespaced(client.clone(), namespace);
        let only_ours = format!("metadata.name={}", component.object_name());
        let known = watches.follow(api.clone(), watcher::Config::default().fields(&only_ours), |_| ());
        Self { component, api, namespace: namespace.into(), known, written: None }
    }

    /// Waits until it is known whether there is an object, and what it says.
    pub async fn synced(&self) {
        synced(&self.known).await;
    }

    /// Makes the object say `verdict`, unless it does. An object that is absent is created.
    ///
    /// # Errors
    /// The API server refused the write or cannot be reached.
    pub async fn write(&mut self, verdict: &Condition) -> Result<(), kube::Error> {
        let name = self.component.object_name();
        let known = self.known.get(&ObjectRef::new(&name).within(&self.namespace));
        let wanted = status(verdict, latest(known.as_deref(), self.written.as_ref()), Timestamp::now());
        let is_ours = known.as_ref().is_some_and(|known| self.component.owns(known));
        let known_status = known.as_ref().and_then(|known| known.status.as_ref());
        if is_ours && known_status.is_some_and(|known| says(known, &wanted)) {
            return Ok(());
        }
        let mut object = ConfigurationState::new(&name, ConfigurationStateFields::default());
        let parameters = PatchParams::apply(self.component.field_manager()).force();
        object.metadata.labels = Some(self.component.labels());
        object.metadata.owner_references = self.component.owner().map(|owner| vec![owner.clone()]);
        if !is_ours {
            self.api.patch(&name, &parameters, &Patch::Apply(&object)).await?;
        }
        object.status = Some(wanted);
        let stored = self.api.patch_status(&name, &parameters, &Patch::Apply(&object)).await?;
        let over = known.and_then(|known| known.resource_version());
        self.written = stored.status.map(|status| Written { status, over });
        Ok(())
    }
}

impl Component {
    fn object_name(&self) -> String {
        match self {
            Self::Controller => CONTROLLER_OBJECT_NAME.to_owned(),
            Self::Speaker { node, .. } => speaker_object_name(node.as_str()),
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        match self {
            Self::Controller => [label(labels::COMPONENT_TYPE, labels::COMPONENT_CONTROLLER)].into(),
            Self::Speaker { node, .. } => [
                label(labels::COMPONENT_TYPE, labels::COMPONENT_SPEAKER),
                label(labels::NODE_NAME, node.as_str()),
            ]
            .into(),
        }
    }

    /// `MetalLB`'s name for the writer of the component's condition.
    const fn field_manager(&self) -> &'static str {
        match self {
            Self::Controller => "poolReconciler",
            Self::Speaker { .. } => "configReconciler",
        }
    }

    const fn owner(&self) -> Option<&OwnerReference> {
        match self {
            Self::Controller => None,
            Self::Speaker { owner, .. } => owner.as_ref(),
        }
    }

    /// Whether the object goes with our Pod, if there is one to go with.
    fn owns(&self, known: &ConfigurationState) -> bool {
        let is_known =
            |owner: &OwnerReference| known.owner_references().iter().any(|one| one.uid == owner.uid);
        self.owner().is_none_or(is_known)
    }
}

/// The status as it is by all we know. An object without one is the first half of its creation.
fn latest<'a>(
    known: Option<&'a ConfigurationState>,
    written: Option<&'a Written>,
) -> Option<&'a ConfigurationStateStatus> {
    let is_news =
        |known: &&ConfigurationState| written.is_none_or(|written| written.over != known.resource_version());
    let news = known.filter(is_news).and_then(|known| known.status.as_ref());
    news.or_else(|| written.map(|written| &written.status))
}

/// The status that tells `verdict`; its condition keeps its time as long as its truth is that
/// of the status `before`. A condition of another type is another's and not repeated here.
fn status(
    verdict: &Condition,
    before: Option<&ConfigurationStateStatus>,
    now: Timestamp,
) -> ConfigurationStateStatus {
    let current = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    ConfigurationStateStatus {
        result: Some(if verdict.holds { ConfigurationResult::Valid } else { ConfigurationResult::Invalid }),
        error_summary: (!verdict.holds).then(|| verdict.message.clone()),
        conditions: timed([verdict], current, None, now),
    }
}

/// Whether an object with the status `known` needs no write to say `wanted`.
fn says(known: &ConfigurationStateStatus, wanted: &ConfigurationStateStatus) -> bool {
    let is_known = |condition| known.conditions.contains(condition);
    known.result == wanted.result
        && known.error_summary == wanted.error_summary
        && wanted.conditions.iter().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_api::conditions::POOL_RECONCILER_VALID;

    fn verdict(holds: bool, message: &str) -> Condition {
        Condition { type_: POOL_RECONCILER_VALID, holds, reason: "Reason", message: message.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_result_and_the_summary_follow_the_verdict() {
        let valid = status(&verdict(true, "All is well."), None, at(0));
        assert_eq!((valid.result, valid.error_summary), (Some(ConfigurationResult::Valid), None));
        let invalid = status(&verdict(false, "configuration error: a"), None, at(0));
        assert_eq!(invalid.result, Some(ConfigurationResult::Invalid));
        assert_eq!(invalid.error_summary.as_deref(), Some("configuration error: a"));
        assert_eq!(invalid.conditions[0].status, "False");
    }

    #[test]
    fn a_speakers_object_is_its_nodes_and_goes_with_its_pod() {
        let pod = |uid: &str| OwnerReference { uid: uid.into(), ..OwnerReference::default() };
        let speaker = Component::Speaker { node: "worker1".into(), owner: Some(pod("1")) };
        assert_eq!(
            (speaker.object_name().as_str(), speaker.field_manager()),
            ("speaker-worker1", "configReconciler")
        );
        let labels = speaker.labels();
        assert_eq!(labels["metallb.io/component-type"], "speaker");
        assert_eq!(labels["metallb.io/node-name"], "worker1");
        let mut object = ConfigurationState::new("speaker-worker1", ConfigurationStateFields::default());
        assert!(!speaker.owns(&object) && Component::Controller.owns(&object));
        object.metadata.owner_references = Some(vec![pod("0")]);
        assert!(!speaker.owns(&object), "it is the Pod's before");
        object.metadata.owner_references = Some(vec![pod("1")]);
        assert!(speaker.owns(&object));
    }

    #[test]
    fn our_last_write_counts_until_the_copy_shows_something_newer() {
        let object = |version: &str, status: &ConfigurationStateStatus| {
            let mut object = ConfigurationState::new("controller", ConfigurationStateFields::default());
            object.metadata.resource_version = Some(version.into());
            object.status = Some(status.clone());
            object
        };
        let [old, ours] = [1, 2].map(|time| status(&verdict(true, ""), None, at(time)));
        let written = Written { status: ours.clone(), over: Some("7".into()) };
        assert_eq!(latest(None, None), None);
        assert_eq!(latest(Some(&object("7", &old)), None), Some(&old));
        assert_eq!(latest(Some(&object("7", &old)), Some(&written)), Some(&ours), "the copy lags");
        assert_eq!(latest(Some(&object("9", &old)), Some(&written)), Some(&old), "somebody wrote after us");
        assert_eq!(latest(None, Some(&written)), Some(&ours), "it was deleted");
    }

    #[test]
    fn a_verdict_that_stays_changes_nothing_not_even_its_time() {
        let before = status(&verdict(false, "configuration error: a"), None, at(1));
        let same = status(&verdict(false, "configuration error: a"), Some(&before), at(9));
        assert!(says(&before, &same));
        let reworded = status(&verdict(false, "configuration error: b"), Some(&before), at(9));
        assert!(!says(&before, &reworded));
        assert_eq!(reworded.conditions[0].last_transition_time.0, at(1));
        let healed = status(&verdict(true, ""), Some(&reworded), at(9));
        assert_eq!(healed.conditions[0].last_transition_time.0, at(9));
    }
}
