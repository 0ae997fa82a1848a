//! Where the webhook's certificate comes from: a Secret that the replicas keep themselves, or a
//! directory that somebody else fills.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use ferrolb_admission::certificate::{CERTIFICATE, CHECK_INTERVAL, KEY};
use ferrolb_admission::{Bundle, ServingCertificate};
use ferrolb_cluster::Dirty;
use ferrolb_cluster::errors::{brief, is_absent, is_conflict};
use ferrolb_cluster::webhook::{Callers, CertificateSecret, WebhookService, octets};
use ferrolb_telemetry::{Check, chain};

/// After a write that was refused, the next pass waits so long.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often files are read again. The kubelet needs about a minute to bring a changed Secret.
const READ_INTERVAL: Duration = Duration::from_secs(30);

/// The names under which API servers call `service`.
pub(super) fn names(service: &WebhookService) -> Vec<String> {
    let WebhookService { namespace, name } = service;
    vec![format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")]
}

/// Keeps the Secret, serves what it holds, and tells API servers to trust it. All replicas do the
/// same: whoever is first writes, the others find it written.
pub(super) struct Keeper {
    pub(super) secret: CertificateSecret,
    pub(super) callers: Callers,
    pub(super) names: Vec<String>,
    pub(super) serving: ServingCertificate,
    /// What is shown now.
    pub(super) served: Option<Bundle>,
    pub(super) ready: Check,
    pub(super) dirty: Dirty,
}

impl Keeper {
    /// Keeps the certificate until `stop` resolves.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        tokio::select! {
            _ = async { tokio::join!(self.secret.synced(), self.callers.synced()) } => {}
            () = &mut stop => return,
        }
        loop {
            let pause = if self.pass(SystemTime::now()).await { CHECK_INTERVAL } else { RETRY_AFTER };
            tokio::select! {
                () = self.dirty.wait() => {}
                () = tokio::time::sleep(pause) => {}
                () = &mut stop => return,
            }
        }
    }

    /// Makes everything as it should be; false if something has to be tried again.
    async fn pass(&mut self, now: SystemTime) -> bool {
        let known = self.secret.get();
        let found = known.as_deref().map(octets).as_ref().and_then(Bundle::from_data);
        let wanted = match &found {
            Some(bundle) => bundle.renewed(&self.names, now),
            None => Bundle::create(&self.names, now).map(Some),
        };
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the webhook has no certificate");
                return false;
            }
        };
        if let Some(wanted) = wanted {
            let reason =
                found.and_then(|found| found.due(&self.names, now)).map_or("Missing", |due| due.reason());
            // Served once the watch brings it: what the Secret holds counts, whoever wrote it.
            return match self.secret.write(known.as_deref(), wanted.to_data()).await {
                Ok(()) => {
                    tracing::info!(reason, "the webhook's certificate was made");
                    true
                }
                Err(error) if is_conflict(&error) || is_absent(&error) => false,
                Err(error) => {
                    tracing::warn!(
                        error = brief(&error),
                        "the webhook's certificate was not stored and is retried"
                    );
                    false
                }
            };
        }
        let Some(bundle) = found else { return false };
        self.serve(&bundle) && self.make_trusted(&bundle).await
    }

    fn serve(&mut self, bundle: &Bundle) -> bool {
        if self.served.as_ref() == Some(bundle) {
            return true;
        }
        if let Err(error) = self.serving.replace(&bundle.certificate, &bundle.key) {
            tracing::error!(error = %chain(&error), "the webhook's certificate cannot be served");
            return false;
        }
        self.served = Some(bundle.clone());
        self.ready.set(true);
        tracing::info!("the webhook serves a new certificate");
        true
    }

    async fn make_trusted(&self, bundle: &Bundle) -> bool {
        match self.callers.trust(&bundle.ca_certificate).await {
            Ok(told) => {
                for object in told {
                    tracing::info!(object, "API servers are told to trust the webhook");
                }
                true
            }
            // Changed meanwhile: the watch brings the change and the next pass.
            Err(error) if is_conflict(&error) || is_absent(&error) => false,
            Err(error) => {
                tracing::warn!(error = brief(&error), "API servers were not told to trust the webhook");
                false
            }
        }
    }
}

/// Serves what a directory holds, as it changes. Who is told to trust it, is not our business.
pub(super) struct Directory {
    path: PathBuf,
    serving: ServingCertificate,
    ready: Check,
    served: Option<(String, String)>,
}

impl Directory {
    pub(super) fn new(path: PathBuf, serving: ServingCertificate, ready: Check) -> Self {
        Self { path, serving, ready, served: None }
    }

    /// Reads the directory until `stop` resolves.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            match self.pass() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the webhook serves a new certificate"),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "the webhook's certificate cannot be served"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(READ_INTERVAL) => {}
                () = &mut stop => return,
            }
        }
    }

    /// Serves what is there; true if it is new.
    fn pass(&mut self) -> anyhow::Result<bool> {
        let pair = (self.read(CERTIFICATE)?, self.read(KEY)?);
        if self.served.as_ref() == Some(&pair) {
            return Ok(false);
        }
        self.serving.replace(&pair.0, &pair.1)?;
        self.ready.set(true);
        self.served = Some(pair);
        Ok(true)
    }

    fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.path.join(name);
        std::fs::read_to_string(&path).with_context(|| {
            format!("{} cannot be read; mount a Secret with {CERTIFICATE} and {KEY} there", path.display())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_telemetry::Readiness;

    #[test]
    fn a_directory_is_served_as_it_changes_and_what_is_broken_replaces_nothing() {
        let path = std::env::temp_dir().join(format!("ferrolb-webhook-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let readiness = Readiness::default();
        let serving = ServingCertificate::default();
        let mut directory = Directory::new(path.clone(), serving, readiness.register("webhook"));
        let missing = directory.pass().unwrap_err();
        assert!(format!("{missing:#}").contains("tls.crt cannot be read; mount a Secret"), "{missing:#}");
        assert!(!readiness.report().is_ok);

        let put = |certificate: &str, key: &str| {
            std::fs::write(path.join(CERTIFICATE), certificate).unwrap();
            std::fs::write(path.join(KEY), key).unwrap();
        };
        let service = WebhookService { namespace: "n".into(), name: "hook".into() };
        let bundle = || Bundle::create(&names(&service), SystemTime::now()).unwrap();
        let (one, two) = (bundle(), bundle());
        put(&one.certificate, &one.key);
        assert!(directory.pass().unwrap(), "it is new");
        assert!(!directory.pass().unwrap(), "it is the same");
        assert!(readiness.report().is_ok);
        put(&two.certificate, &one.key);
        assert!(directory.pass().unwrap_err().to_string().contains("belong together"));
        put(&two.certificate, &two.key);
        assert!(directory.pass().unwrap(), "it is new again");
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_service_is_called_by_two_names() {
        let service = WebhookService { namespace: "ferrolb-system".into(), name: "hook".into() };
        assert_eq!(names(&service), ["hook.ferrolb-system.svc", "hook.ferrolb-system.svc.cluster.local"]);
    }
}
