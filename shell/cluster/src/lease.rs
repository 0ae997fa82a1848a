//! Leader election over one coordination/v1 Lease, with client-go's semantics: a holder is
//! judged by when *this* process saw the Lease change, never by comparing clocks.

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

use crate::errors::{brief, is_conflict};

/// How long a Lease is honoured after it was last seen to change. A crashed leader is replaced
/// within this time plus one retry.
pub const LEASE_DURATION: Duration = Duration::from_secs(10);
/// A leader that could not renew for so long stops acting, before another may start.
const RENEW_DEADLINE: Duration = Duration::from_secs(7);
/// Time between attempts to acquire or renew.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Takes part in the election for one Lease.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    name: String,
    candidacy: Candidacy,
}

/// What a replica knows of the Lease, and the judgement whether it may claim it.
#[derive(Debug)]
struct Candidacy {
    identity: String,
    observed: Option<Observed>,
}

/// The last Lease this process saw, and when.
#[derive(Debug)]
struct Observed {
    lease: Lease,
    at: Instant,
}

impl Elector {
    /// Competes for Lease `namespace/name` as `identity`, unique among the replicas.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let candidacy = Candidacy { identity: identity.into(), observed: None };
        Self { api: Api::namespaced(client, namespace), name: name.into(), candidacy }
    }

    /// Competes until `stop` resolves, publishing whether this process leads; then gives the
    /// Lease up so that another replica takes over at once.
    pub async fn run(mut self, leads: watch::Sender<bool>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut renewed: Option<Instant> = None;
        loop {
            let started = Instant::now();
            match tokio::time::timeout(RENEW_DEADLINE, self.attempt(started)).await {
                Ok(Ok(true)) => renewed = Some(started),
                Ok(Ok(false)) => renewed = None,
                Ok(Err(error)) => tracing::warn!(error = brief(&error), "the leader Lease was not reached"),
                Err(_elapsed) => tracing::warn!("the API server did not answer about the leader Lease"),
            }
            let leading = renewed.is_some_and(|at| at.elapsed() < RENEW_DEADLINE);
            leads.send_if_modified(|now| std::mem::replace(now, leading) != leading);
            tokio::select! {
                () = tokio::time::sleep(RETRY_PERIOD) => {}
                () = &mut stop => break,
            }
        }
        leads.send_replace(false);
        if renewed.is_some()
            && let Err(error) = self.release().await
        {
            tracing::warn!(
                error = brief(&error),
                "the leader Lease was not released, another replica waits it out"
            );
        }
    }

    /// One attempt to acquire or renew; true while this process holds the Lease.
    async fn attempt(&mut self, now: Instant) -> Result<bool, kube::Error> {
        let Some(current) = self.api.get_opt(&self.name).await? else {
            let mut lease = self.candidacy.claim(None);
            lease.metadata.name = Some(self.name.clone());
            return self.write(self.api.create(&PostParams::default(), &lease).await, now);
        };
        if !self.candidacy.may_claim(&current, now) {
            return Ok(false);
        }
        let lease = self.candidacy.claim(Some(&current));
        self.write(self.api.replace(&self.name, &PostParams::default(), &lease).await, now)
    }

    fn write(&mut self, result: Result<Lease, kube::Error>, now: Instant) -> Result<bool, kube::Error> {
        match result {
            Ok(lease) => {
                self.candidacy.observed = Some(Observed { lease, at: now });
                Ok(true)
            }
            // Another replica was faster: 409 is how the election is decided, not a failure.
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn release(&mut self) -> Result<(), kube::Error> {
        let Some(observed) = self.candidacy.observed.take() else { return Ok(()) };
        let mut lease = observed.lease;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        lease.metadata.managed_fields = None;
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(|_| ())
    }
}

impl Candidacy {
    /// Whether `current` is ours, free, or was not renewed for its duration since we first saw it.
    fn may_claim(&mut self, current: &Lease, now: Instant) -> bool {
        let unchanged = self.observed.as_ref().filter(|observed| observed.lease.spec == current.spec);
        let since = unchanged.map_or(now, |observed| observed.at);
        self.observed = Some(Observed { lease: current.clone(), at: since });
        let spec = current.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(LEASE_DURATION, Duration::from_secs);
        holder.is_empty() || holder == self.identity || now.duration_since(since) > duration
    }

    fn claim(&self, current: Option<&Lease>) -> Lease {
        let old = current.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = Some(MicroTime(Timestamp::now()));
        let continues = old.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = old.lease_transitions.unwrap_or(0);
        let mut metadata = current.map(|lease| lease.metadata.clone()).unwrap_or_default();
        metadata.managed_fields = None;
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                acquire_time: if continues { old.acquire_time } else { now.clone() },
                renew_time: now,
                lease_transitions: Some(if continues || current.is_none() {
                    transitions
                } else {
                    transitions + 1
                }),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests;
