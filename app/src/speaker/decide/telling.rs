//! What changed since the last pass, told at the Service and in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_api::events::EventReason;
use ferrolb_cluster::Notice;
use ferrolb_cluster::parse::service::SeenService;
use ferrolb_cluster::speaker::AnnouncedService;
use ferrolb_plan::{Plan, Verdict, Withheld};
use ferrolb_vocab::ServiceKey;
use k8s_openapi::api::core::v1::ObjectReference;

use super::{Decider, reference};

impl Decider {
    /// What is new about what is announced.
    pub(super) fn notices(
        &self,
        planned: &Plan,
        announced: &BTreeMap<ServiceKey, AnnouncedService>,
        seen: &[Arc<SeenService>],
    ) -> Vec<(ObjectReference, Notice)> {
        let mut notices = Vec::new();
        for (service, verdict) in &planned.verdicts {
            let was_announced = self.announced.contains(service);
            let notice = match verdict {
                Verdict::Announce(_) if was_announced || !announced.contains_key(service) => None,
                Verdict::Announce(_) => {
                    tracing::info!(%service, node = %self.me, "this node announces the Service");
                    let message = format!("announcing from node \"{}\" with protocol \"layer2\"", self.me);
                    Some(Notice::new(EventReason::NodeAssigned, message))
                }
                Verdict::Withhold(_) if self.verdicts.get(service) == Some(verdict) => None,
                Verdict::Withhold(why) => {
                    log_withheld(service, why, was_announced);
                    self.announce_failed(why)
                }
            };
            notices.extend(notice.and_then(|notice| Some((reference(seen, service)?, notice))));
        }
        notices
    }

    fn announce_failed(&self, why: &Withheld) -> Option<Notice> {
        let Withheld::NoUsableInterface { address } = why else { return None };
        let message = format!(
            "{}: the interfaces specified by LB IP \"{address}\" doesn't exist in assigned node \"{}\" with \
             protocol \"layer2\"; none that spec.interfaces of the L2Advertisement allows has carrier and can \
             resolve the address: see the links of NodeState \"{}\"",
            why.reason(),
            self.me,
            self.me
        );
        Some(Notice::new(EventReason::AnnounceFailed, message))
    }
}

/// A Service that this node stops announcing is worth a line; one that it never announced is not.
fn log_withheld(service: &ServiceKey, why: &Withheld, was_announced: bool) {
    let reason = why.reason();
    if was_announced {
        tracing::info!(%service, reason, "this node stops announcing the Service: {why}");
    } else {
        tracing::debug!(%service, reason, "this node does not announce the Service: {why}");
    }
}
