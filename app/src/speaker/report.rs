//! The task that writes what the speaker has to say, so that the speaker never waits for the
//! API server.

use std::collections::BTreeMap;
use std::time::Duration;

use ferrolb_api::SPEAKER;
use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_cluster::errors::brief;
use ferrolb_cluster::speaker::{Report, Reporter, SpeakerWatches};
use ferrolb_cluster::{ConfigurationStateWriter, EventQueue, EventWriter, Notice, WRITE_DELAY};
use ferrolb_vocab::ObjectName;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::watch;

use crate::config::SpeakerConfig;

const WAITING_EVENTS_MAX: usize = 256;
/// Wait after a write that was refused; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// The API server has this long for all writes of one report.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// What was written is compared with the API server's objects again after this time: somebody
/// may have deleted one.
const VERIFY_INTERVAL: Duration = Duration::from_secs(5);

/// The way to the writing tasks, which live as long as this.
#[derive(Debug)]
pub(super) struct ReportTask {
    report: watch::Sender<Report>,
    events: EventQueue,
}

impl ReportTask {
    pub(super) fn start(
        client: &Client,
        config: &SpeakerConfig,
        local: &SpeakerWatches,
        configuration_state: ConfigurationStateWriter,
    ) -> Self {
        let pod_name = config.common.pod_name.as_str();
        let subject = (config.node(), config.pod_owner());
        let reporter = Reporter::new(client, &config.common.namespace, subject, local, configuration_state);
        let events =
            EventQueue::start(EventWriter::new(client.clone(), SPEAKER, pod_name), WAITING_EVENTS_MAX);
        let (report, reports) = watch::channel(Report::default());
        tokio::spawn(write_reports(reporter, reports));
        Self { report, events }
    }

    /// Replaces what is to be said of the sessions with BGP peers.
    pub(super) fn publish_sessions(&self, sessions: BTreeMap<ObjectName, BgpSessionStatus>) {
        self.report.send_if_modified(|current| {
            let changed = current.sessions != sessions;
            current.sessions = sessions;
            changed
        });
    }

    /// Replaces what is to be said; what was not yet written is forgotten.
    pub(super) fn publish(&self, report: Report, notices: Vec<(ObjectReference, Notice)>) {
        self.report.send_if_modified(|current| {
            let changed = *current != report;
            *current = report;
            changed
        });
        self.events.tell(notices);
    }
}

async fn write_reports(mut reporter: Reporter, mut reports: watch::Receiver<Report>) {
    let mut retry = RETRY_MIN;
    let mut report_changed = reports.changed().await;
    while report_changed.is_ok() {
        tokio::time::sleep(WRITE_DELAY).await;
        let report = reports.borrow_and_update().clone();
        let written = tokio::time::timeout(WRITE_TIMEOUT, reporter.write(&report)).await;
        let wait = match written {
            Ok(Ok(())) => {
                retry = RETRY_MIN;
                VERIFY_INTERVAL
            }
            Ok(Err(error)) => {
                tracing::warn!(error = brief(&error), "a status was not written and is retried");
                retry = (retry * 2).min(RETRY_MAX);
                retry
            }
            Err(_elapsed) => {
                tracing::warn!("the API server does not answer, statuses are retried");
                retry = (retry * 2).min(RETRY_MAX);
                retry
            }
        };
        report_changed = tokio::time::timeout(wait, reports.changed()).await.unwrap_or(Ok(()));
    }
}
