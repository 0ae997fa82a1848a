//! The optional webhook (`--webhook`): the controller's judgement of the configuration, asked
//! before a write instead of told after it, and BGPPeer in both of its versions.
//!
//! Every replica answers, whichever leads, from the local copies that its watches keep. The
//! checks are those behind the conditions; a write that slips through is told about there.
//!
//! Tasks: the server, and what keeps its certificate. They share the certificate that is shown.

mod certificates;
mod convert;
mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrolb_admission::{AdmissionRequest, Reviewer, ServingCertificate, Verdict, WebhookServer};
use ferrolb_cluster::controller::ControllerWatches;
use ferrolb_cluster::webhook::{Callers, CertificateSecret, PeeringWatches, WebhookService};
use ferrolb_cluster::{Dirty, Watches};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, ServiceReference,
};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{ControllerConfig, ScopeConfig};
use crate::process::Process;
use certificates::{Directory, Keeper};
pub(crate) use convert::convert as convert_bgp_peer;
use judge::Cluster;

/// The Service of `deploy/webhook`.
pub(crate) const SERVICE: &str = "ferrolb-webhook";
/// Once asked to stop, answering goes on so long: API servers are sent here until every node knows better.
const LAME_DUCK: Duration = Duration::from_secs(3);
const VALIDATED_UNSEEN: &str =
    "FerroLB has not read the cluster yet and did not check this object; see its conditions";

/// The definition of BGPPeer that goes with `deploy/webhook`.
#[must_use]
pub fn converted_bgp_peer() -> CustomResourceDefinition {
    ferrolb_api::converted_bgp_peer(ServiceReference {
        namespace: ferrolb_api::FERROLB_NAMESPACE.into(),
        name: SERVICE.into(),
        path: Some("/convert".into()),
        port: Some(443),
    })
}

/// Starts the webhook if the operator asked for it, on local copies and the word that they are
/// complete; it answers until the process is asked to stop. Conversions are answered at once, since
/// API servers may need them to answer our own watches.
///
/// # Errors
/// The address is in use.
pub(super) async fn start(
    process: &Process,
    config: &ControllerConfig,
    (local, has_seen): (&Arc<ControllerWatches>, watch::Receiver<bool>),
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let (namespace, webhook) = (&config.common.namespace, &config.webhook);
    if !webhook.webhook {
        return Ok(None);
    }
    let dirty = Dirty::default();
    let mut watches = Watches::new(dirty.clone());
    let scope = config.common.scope.clone();
    let peering = PeeringWatches::start(&mut watches, &process.client, &scope.config_namespaces);
    let judge = Arc::new(Judge {
        local: Arc::clone(local),
        has_seen,
        peering,
        scope,
        is_synced: AtomicBool::new(false),
    });
    let serving = ServingCertificate::default();
    let server =
        WebhookServer::bind(webhook.webhook_address, serving.clone(), Arc::clone(&judge) as _).await?;
    tracing::info!(address = %server.address(), "the webhook is served");

    let ready = process.readiness.register("webhook");
    let (stopped, keeper_stopped) = (process.stopped(), process.stopped());
    let certificates = if let Some(directory) = webhook.webhook_cert_dir.clone() {
        futures::future::Either::Left(Directory::new(directory, serving, ready).run(keeper_stopped))
    } else {
        let service = WebhookService { namespace: namespace.clone(), name: webhook.webhook_service.clone() };
        let keeper = Keeper {
            secret: CertificateSecret::start(&mut watches, &process.client, namespace),
            names: certificates::names(&service),
            callers: Callers::start(&mut watches, &process.client, service),
            serving,
            served: None,
            ready,
            dirty,
        };
        futures::future::Either::Right(keeper.run(keeper_stopped))
    };
    Ok(Some(tokio::spawn(async move {
        let leaving = async {
            stopped.await;
            tokio::time::sleep(LAME_DUCK).await;
        };
        let served = async { tokio::join!(server.serve(leaving), certificates) };
        let synced = async {
            judge.sync().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = served => {}
            () = synced => {}
        }
        // They end with their owner.
        drop(watches);
    })))
}

/// Answers what the API server asks.
struct Judge {
    local: Arc<ControllerWatches>,
    has_seen: watch::Receiver<bool>,
    peering: PeeringWatches,
    scope: ScopeConfig,
    is_synced: AtomicBool,
}

impl Judge {
    /// Waits for what judging needs. An empty copy would find nothing wrong with anything.
    async fn sync(&self) {
        let mut has_seen = self.has_seen.clone();
        // An error would be the end of the process.
        drop(has_seen.wait_for(|seen| *seen).await);
        self.peering.synced().await;
        self.is_synced.store(true, Ordering::Relaxed);
    }
}

impl Reviewer for Judge {
    fn validate(&self, request: &AdmissionRequest) -> Verdict {
        if !self.is_synced.load(Ordering::Relaxed) {
            return Verdict::Unchecked(VALIDATED_UNSEEN.into());
        }
        let cluster = Cluster { objects: self.local.objects(), peering: self.peering.objects() };
        let verdict = judge::verdict(request, &cluster, &self.scope);
        if let Verdict::Deny(why) = &verdict {
            let (kind, object) = (&request.kind.kind, judge::name_of(request));
            tracing::info!(kind, object, error = why, "a write was denied");
        }
        verdict
    }

    fn convert(&self, object: Value, api_version: &str) -> Result<Value, String> {
        convert::convert(object, api_version)
    }
}
