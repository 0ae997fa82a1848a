//! Annotations with MetalLB's former prefix: read, and told once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_api::annotations::Annotation;
use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_vocab::ServiceKey;

/// A user writes the others. The controller itself replaces this one.
const CONTROLLERS_OWN: &str = Annotation::IpAllocatedFromPool.deprecated_key();

/// The deprecated keys that were told at each Service.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ServiceKey, BTreeSet<&'static str>>);

impl Told {
    /// The Events that are due. At a Service that is met for the first time and that was judged
    /// before, an earlier leader has told them.
    pub(super) fn notices(&mut self, service: &SeenService) -> Vec<Notice> {
        let key = &service.key;
        let told = self.0.get(key);
        let told_before = told.is_none() && service.is_judged();
        let is_due =
            |deprecated: &&&str| !told_before && !told.is_some_and(|told| told.contains(**deprecated));
        let asked_with = service.deprecated.iter().filter(|key| **key != CONTROLLERS_OWN);
        let notices = asked_with
            .clone()
            .filter(is_due)
            .map(|deprecated| {
                tracing::warn!(service = %key, annotation = deprecated, "a Service uses a deprecated annotation");
                let message = format!("Service uses deprecated annotation {deprecated}");
                Notice::new(EventReason::DeprecatedAnnotation, message)
            })
            .collect();
        self.0.entry(key.clone()).or_default().extend(asked_with);
        notices
    }

    pub(super) fn forget_all_but(&mut self, services: &BTreeMap<ServiceKey, Arc<SeenService>>) {
        self.0.retain(|key, _| services.contains_key(key));
    }
}
