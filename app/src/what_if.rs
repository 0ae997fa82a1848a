//! `ferrolb plan`: what a change of pools, advertisements, nodes, Namespaces, claims or Services
//! would do, before it is made. Nothing is written.
//!
//! The cluster is read once. On a copy of its objects the [`Change`] is made as `kubectl apply` and
//! `kubectl delete` would make it, and both go through what the controller and the speakers decide
//! with: the same view, the same allocator, which remembers today when it decides on the change,
//! and the same election. What differs is the [`Outcome`].
//!
//! # Layout
//! [`change`] is what the operator gives, `merge` and `cluster_ips` are what the API server would
//! make of it, [`announcers`] elects, [`outcome`] compares, [`report`] prints.

pub mod announcers;
pub mod change;
mod cluster_ips;
mod merge;
pub mod outcome;
pub mod report;

pub use announcers::Traffic;
pub use change::{Change, Deletion};
pub use outcome::Outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use ferrolb_cluster::client;
use ferrolb_cluster::controller::{ControllerObjects, ControllerView, list_announcers, list_endpoint_slices};
use ferrolb_cluster::parse::endpoints::serving_endpoints;
use ferrolb_ipam::{Allocator, ClaimDecision, Decision, ServiceRequest};

use ferrolb_vocab::{NodeName, ServiceKey};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::config::ScopeConfig;
use crate::controller::conditions;
use outcome::{Complaint, Judgement};

/// Creation times are whole seconds, and who is new comes after all who are there.
const NEWCOMER_DELAY: Duration = Duration::from_secs(1);
/// Exit code when the change would take an address, or its announcement, from a Service, or its
/// reservation from a claim.
const EX_LOSS: u8 = 2;

/// Flags of `ferrolb plan`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("change").args(["files", "delete"]).required(true).multiple(true))]
pub struct PlanConfig {
    /// File with the objects to apply, `-` for standard input; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Object to delete, after all files are applied; may be given several times
    #[arg(long, value_name = "KIND/[NAMESPACE/]NAME")]
    pub delete: Vec<Deletion>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub scope: ScopeConfig,
    /// Whether nodes labelled node.kubernetes.io/exclude-from-external-load-balancers announce too, as the speakers'
    #[arg(long, env = "FERROLB_IGNORE_EXCLUDE_LB")]
    pub ignore_exclude_lb: bool,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Says what the change would do.
///
/// # Errors
/// The change cannot be read or made, or the cluster cannot be read.
pub async fn run(config: PlanConfig) -> anyhow::Result<ExitCode> {
    let change = Change::read(&config.files, config.delete.clone())?;
    let client = client::connect().await?;
    let today = ControllerObjects::list(&client, &config.scope.config_namespaces).await?;
    let traffic = Traffic {
        endpoints: serving_endpoints(&list_endpoint_slices(&client).await?),
        announcers: list_announcers(&client, ferrolb_api::FERROLB_NAMESPACE).await?,
    };
    let mut changed = today.clone();
    let context = change::Context {
        default_namespace: client.default_namespace().to_owned(),
        config_namespaces: config.scope.config_namespaces.clone(),
        created: Timestamp::now() + NEWCOMER_DELAY,
    };
    change.make(&mut changed, &context)?;
    let outcome = predict(&today, &changed, &traffic, &config);
    let text = match config.output {
        Output::Table => report::table(&outcome),
        Output::Json => report::json(&outcome)?,
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if outcome.summary().is_loss() { ExitCode::from(EX_LOSS) } else { ExitCode::SUCCESS })
}

/// What becomes of the Services of `today` when the objects are those of `changed`. No IO.
#[must_use]
pub fn predict(
    today: &ControllerObjects,
    changed: &ControllerObjects,
    traffic: &Traffic,
    config: &PlanConfig,
) -> Outcome {
    let mut allocator = Allocator::default();
    let mut judge = |objects: &ControllerObjects| {
        let mut view = objects.view(config.scope.lb_class.as_deref());
        if config.ignore_exclude_lb {
            view.nodes.values_mut().for_each(|node| node.excluded = false);
        }
        let judgement = judge(&mut allocator, &view, traffic, &speakers(objects));
        (judgement, view)
    };
    let (before, view) = judge(today);
    let (after, _) = judge(changed);
    let mut outcome = outcome::compare(&before, &after);
    let is_unsettled = |(key, request): &(ServiceKey, Arc<ServiceRequest>)| {
        before.decisions.get(key).is_some_and(|decision| decision.addresses() != request.recorded)
    };
    outcome.unsettled = view.requests().into_iter().filter(is_unsettled).map(|(key, _)| key).collect();
    outcome
}

fn judge(
    allocator: &mut Allocator,
    view: &ControllerView,
    traffic: &Traffic,
    speakers: &BTreeSet<NodeName>,
) -> Judgement {
    let decisions = settled(allocator, view);
    Judgement {
        announcers: announcers::elect(view, &decisions, traffic, speakers),
        decisions,
        claims: allocator.claims().clone(),
        complaints: complaints(view),
    }
}

/// What is decided in the end: a claim may wait for an address that the first round takes from a
/// Service. What a Service loses, and why, is told by the round in which it does.
fn settled(allocator: &mut Allocator, view: &ControllerView) -> BTreeMap<ServiceKey, Decision> {
    let (claims, services) = (view.claim_requests(), view.requests());
    let mut settled = allocator.reconcile(&view.pools, &claims, &services).clone();
    if claims.is_empty() {
        return settled;
    }
    for _ in 0..claims.len() + services.len() {
        let reserved = allocator.claims().values().filter_map(ClaimDecision::reservation).count();
        let again = allocator.reconcile(&view.pools, &claims, &services);
        let mut changed = false;
        for (key, decision) in again {
            if settled.get(key).map(Decision::addresses) != Some(decision.addresses()) {
                settled.insert(key.clone(), decision.clone());
                changed = true;
            }
        }
        if !changed && allocator.claims().values().filter_map(ClaimDecision::reservation).count() == reserved
        {
            break;
        }
    }
    settled
}

/// What the controller would say at objects that are not in use.
fn complaints(view: &ControllerView) -> Vec<Complaint> {
    let complaint = |object| {
        let failing = conditions(object, view).into_iter().find(|condition| !condition.holds)?;
        let reference = &object.reference;
        Some(Complaint {
            kind: reference.kind.clone().unwrap_or_default(),
            namespace: reference.namespace.clone().unwrap_or_default(),
            name: reference.name.clone().unwrap_or_default(),
            reason: failing.reason,
            message: failing.message,
        })
    };
    view.config.iter().filter_map(complaint).collect()
}

/// The nodes that have run a speaker; each counts as alive.
fn speakers(objects: &ControllerObjects) -> BTreeSet<NodeName> {
    objects.node_states.iter().map(|state| NodeName::from(state.name_any())).collect()
}

#[cfg(test)]
mod tests;
