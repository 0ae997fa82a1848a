//! Annotations with MetalLB's former prefix: read, and told once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_api::annotations::Annotation;
use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_cluster::parse::service::is_judged;
use ferrolb_vocab::ServiceKey;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

/// What a user writes. The controller itself replaces the one that controllers write.
const ASKED_WITH: [Annotation; 3] =
    [Annotation::AddressPool, Annotation::LoadBalancerIps, Annotation::AllowSharedIp];

/// The deprecated keys that were told at each Service.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ServiceKey, BTreeSet<&'static str>>);

impl Told {
    /// The Events that are due. At a Service that is met for the first time and that was judged
    /// before, an earlier leader has told them.
    pub(super) fn notices(&mut self, key: &ServiceKey, service: &Service) -> Vec<Notice> {
        let found = ASKED_WITH.iter().filter_map(|annotation| annotation.find(service.annotations()));
        let keys: BTreeSet<_> = found.filter(|found| found.deprecated).map(|found| found.key).collect();
        let told = self.0.get(key);
        let told_before = told.is_none() && is_judged(service);
        let is_due =
            |deprecated: &&&str| !told_before && !told.is_some_and(|told| told.contains(**deprecated));
        let notices = keys
            .iter()
            .filter(is_due)
            .map(|deprecated| {
                tracing::warn!(service = %key, annotation = deprecated, "a Service uses a deprecated annotation");
                let message = format!("Service uses deprecated annotation {deprecated}");
                Notice::new(EventReason::DeprecatedAnnotation, message)
            })
            .collect();
        self.0.entry(key.clone()).or_default().extend(keys);
        notices
    }

    pub(super) fn forget_all_but(&mut self, services: &BTreeMap<ServiceKey, Arc<Service>>) {
        self.0.retain(|key, _| services.contains_key(key));
    }
}
